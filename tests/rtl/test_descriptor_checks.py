# amaranth: UnusedElaboratable=no
"""`DescriptorChecks` tells of each check whether it fails, whatever the others say.

The reference is `FrameRequest.failures`. The parser's own tests see only the first check that
fails; here every descriptor has all of its checks compared, a descriptor in each cycle.
"""

import random
from dataclasses import replace
from itertools import combinations

import pytest
from amaranth.sim import Simulator

from byway.rtl.contract.model import constant, record
from byway.rtl.transmit.parser import DescriptorChecks
from byway.rtl.transmit.ring import OffloadGrants
from byway.sim.descriptor_bench import FLAGS, Fragment, FrameRequest, random_request

CHECKS = (
    "fragment_count",
    "length_short",
    "length_long",
    "flags_conflict",
    "not_granted",
    "offset_range",
    "field_range",
    "field_in_header",
    "header_length",
    "mss_range",
)
#: Two more outputs for the check of offsets.
_OF_FIELD = {"field_range", "field_in_header"}
OFFLOADS = tuple(OffloadGrants().members)

MAXIMUM_FRAME = constant("frame_limits.maximum_frame")


def failing(request, granted):
    """The reference: the checks that fail."""
    failures = request.failures(granted)
    return {code.name.lower() for code, failed in failures.items() if failed} & set(CHECKS)


def alone(request):
    """`request` with a fragment to match, so that the descriptor is all there is to check."""
    return replace(request, fragments=(Fragment(0, request.total_length),))


def request_at_the_edges(rng):
    """A request in which each value lies about an edge that the contract or another value sets."""

    def about(*edges):
        return max(0, rng.choice(edges) + rng.choice([-2, -1, 0, 0, 0, 1, 2]))

    ip = min(255, about(14, 14, 18, 100, 253))
    l4 = min(255, about(ip + 20, ip + 40))
    most = constant("frame_limits.maximum_header")
    header = min(255, about(l4 + 8, l4 + 20, most, most - 4))
    start = min(255, about(14, l4, l4 + 8, 254))
    offset = min(255, about(0, 6, l4 + 8 - start, l4 + 20 - start))
    longest = [ip + constant(f"large_send_{version}.maximum_packet") for version in ("v4", "v6")]
    lengths = [14, l4, l4 + 8, l4 + 20, header, start + offset + 2, *longest]
    lengths += [MAXIMUM_FRAME, MAXIMUM_FRAME - 4]
    total = about(*lengths, 2**20 - 3)
    limits = constant("mss_limits.minimum_mss"), constant("mss_limits.maximum_mss")
    most_fragments = constant("frame_limits.maximum_fragments")
    return FrameRequest(
        fragments=(),
        count=min(255, about(1, 1, most_fragments, 255)),
        total_length=total,
        mss=about(*limits, MAXIMUM_FRAME - header, MAXIMUM_FRAME - header - 4),
        header_length=header,
        ip_offset=ip,
        l4_offset=l4,
        checksum_start=start,
        checksum_offset=offset,
        flags=frozenset(rng.sample(FLAGS, rng.choice([0, 1, 1, 2, 2, 3, len(FLAGS)]))),
    )


def subsets(names):
    return [set(each) for size in range(len(names) + 1) for each in combinations(names, size)]


def random_grants(rng):
    most = len(OFFLOADS)
    return set(rng.sample(OFFLOADS, rng.choice([most, most, most - 1, 0])))


def run(asked):
    """Check each of `asked`, (request, offloads granted), in a cycle of its own."""
    dut = DescriptorChecks()
    layout = record("transmit_descriptor")

    async def bench(ctx):
        # What is seen in a cycle is of the descriptor of the cycle before.
        before = None
        for request, granted in [*asked, asked[-1]]:
            descriptor = layout.from_bits(int.from_bytes(request.entries()[0], "little"))
            fields = dut.descriptor.shape().members
            ctx.set(dut.descriptor, {name: descriptor[name] for name in fields})
            ctx.set(dut.offloads, dict.fromkeys(granted, 1))
            _clk, _rst, *outputs = await ctx.tick().sample(*(getattr(dut, name) for name in CHECKS))
            if before is not None:
                found = {name for name, failed in zip(CHECKS, outputs, strict=True) if failed}
                if found & _OF_FIELD:
                    found = found - _OF_FIELD | {"offset_range"}
                assert found == failing(*before), before
            before = request, granted

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("seed", range(3))
def test_descriptors_at_the_edges_fail_the_checks_of_the_reference(seed):
    rng = random.Random(f"edges {seed}")
    run([(alone(request_at_the_edges(rng)), random_grants(rng)) for _ in range(1000)])


def test_every_check_may_be_the_only_one_that_fails():
    """Frames of every kind, good ones and such as one value spoils."""
    rng = random.Random("spoilt")
    asked = [(alone(random_request(rng, 0, bad=0.8)), random_grants(rng)) for _ in range(1500)]
    run(asked)
    seen = {frozenset(failing(*each)) for each in asked}
    alone_once = set(CHECKS) - _OF_FIELD  # Which are told as the other.
    assert seen >= {frozenset(), *(frozenset({name}) for name in alone_once)}


def test_every_set_of_flags_meets_every_grant_that_is_missing():
    """Each flag needs its grant; segmentation needs only its own."""
    good = FrameRequest(
        (),
        1,
        total_length=1000,
        mss=64,
        header_length=80,
        ip_offset=14,
        l4_offset=54,
        checksum_start=80,
    )
    grants = [set(OFFLOADS) - {name} for name in (*OFFLOADS, "none")]
    grants += [{name} for name in OFFLOADS]
    run(
        [
            (alone(replace(good, flags=frozenset(flags), count=count)), granted)
            for flags in subsets(FLAGS)
            for granted in grants
            for count in (1, 2)
        ]
    )
