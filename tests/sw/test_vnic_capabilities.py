"""The rules of negotiation: unknown, query-only, capped, and nothing before it was requested."""

import pytest

from byway.sw.vnic.capabilities import QUERY_ONLY, SETTABLE, Capability, Negotiation
from byway.sw.vnic.codes import VnicReturnCode

OFFERED = {
    Capability.MIN_TX_ENTRIES_PER_SUBCRQ: 64,
    Capability.MAX_TX_ENTRIES_PER_SUBCRQ: 1024,
    Capability.MAX_TX_SG_ENTRIES: 29,
    Capability.MIN_MTU: 82,
    Capability.MAX_MTU: 9216,
}


def test_a_query_tells_what_is_offered_and_zero_for_what_is_not():
    negotiation = Negotiation(lambda: OFFERED)
    assert negotiation.query(Capability.MAX_MTU) == (VnicReturnCode.SUCCESS, 9216)
    assert negotiation.query(Capability.VLAN_HEADER_INSERTION) == (VnicReturnCode.SUCCESS, 0)


@pytest.mark.parametrize("number", [0, 34, 0xFFFF])
def test_an_unknown_capability_is_an_unsupported_option(number):
    negotiation = Negotiation(lambda: OFFERED)
    assert negotiation.query(number) == (VnicReturnCode.UNSUPPORTED_OPTION, 0)
    assert negotiation.request(number, 1) == (VnicReturnCode.UNSUPPORTED_OPTION, 0)


@pytest.mark.parametrize(("wanted", "capped"), [(63, 64), (0, 64), (1025, 1024), (1 << 63, 1024)])
def test_a_request_out_of_range_is_capped_and_not_granted(wanted, capped):
    negotiation = Negotiation(lambda: OFFERED)
    number = Capability.REQ_TX_ENTRIES_PER_SUBCRQ
    assert negotiation.request(number, wanted) == (VnicReturnCode.PARTIAL_SUCCESS, capped)
    assert negotiation.granted(number) == 0
    assert negotiation.request(number, capped) == (VnicReturnCode.SUCCESS, capped)
    assert negotiation.granted(number) == capped
    assert negotiation.query(number) == (VnicReturnCode.SUCCESS, capped)


def test_what_can_only_be_queried_cannot_be_requested():
    negotiation = Negotiation(lambda: OFFERED)
    assert negotiation.request(Capability.MAX_TX_SG_ENTRIES, 31) == (VnicReturnCode.PARAMETER, 29)
    assert set(QUERY_ONLY) | set(SETTABLE) == set(Capability)


def test_nothing_offered_grants_nothing():
    negotiation = Negotiation(dict)
    for number in SETTABLE:
        assert negotiation.request(number, 1) == (VnicReturnCode.PARTIAL_SUCCESS, 0)
        assert negotiation.granted(number) == 0
