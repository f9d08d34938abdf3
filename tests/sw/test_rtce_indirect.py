"""H_PUT_RTCE_INDIRECT: clones of the entries that a page lists, in the order of the list."""

import pytest

from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.rtce import RtceState

PAGE = 4096
END = 16 * PAGE


@pytest.fixture
def granted(shared):
    """Pages of the hosted partition at 4 to 7 of its window, each with its number in it."""
    for page in range(4, 8):
        address = shared.map_new_page(shared.vnic.client, page * PAGE)
        shared.hosted.memory.write(address, bytes([page]))


def put(shared, listed, ioba=0, count=None):
    """Let the server list these addresses and clone `count` of them, or all."""
    memory = shared.hosting.memory
    page = memory.allocate(PAGE, align=PAGE)
    memory.write(page, b"".join(r_ioba.to_bytes(8, "big") for r_ioba in listed))
    return shared.hosting.hcalls.h_put_rtce_indirect(
        page,
        shared.vnic.server.r_liobn,
        shared.adapter.liobn[1],
        ioba,
        len(listed) if count is None else count,
    )


def reached(shared, pages):
    """First byte of each of the first `pages` pages that ring 1 reads; None where it may not."""
    found = [shared.hardware.dma_read(1, page * PAGE, 1) for page in range(pages)]
    return [byte and byte[0] for byte in found]


def test_listed_entries_come_one_after_the_other_whatever_their_order(shared, granted):
    listed = [6 * PAGE, 4 * PAGE, 7 * PAGE]
    assert put(shared, listed, PAGE) == (ReturnCode.H_SUCCESS, 3)
    assert reached(shared, 5) == [None, 6, 4, 7, None]
    table = shared.vnic.client.rtce_table
    assert [table.state(page) is RtceState.LIVE_CLONE for page in range(4, 8)] == [1, 0, 1, 1]
    shared.hosted.hcalls.h_put_tce(shared.vnic.client.liobn, 4 * PAGE, 0)
    assert reached(shared, 5) == [None, 6, None, 7, None]


def test_only_so_many_entries_of_the_list_are_looked_at(shared, granted):
    assert put(shared, [5 * PAGE, END, 1], count=1) == (ReturnCode.H_SUCCESS, 1)
    assert put(shared, [END], count=0) == (ReturnCode.H_SUCCESS, 0)


@pytest.mark.parametrize("wrong", [END, 5 * PAGE + 8, 1 << 63])
def test_a_listed_address_outside_the_window_is_told_before_anything_is_done(
    shared, granted, wrong
):
    listed = [4 * PAGE, 5 * PAGE, wrong, END]
    assert put(shared, listed) == (ReturnCode.H_REMOTE_PARM, 2)
    assert reached(shared, 3) == [None] * 3


def test_an_entry_that_cannot_be_cloned_ends_the_call_with_the_count_done(shared, granted):
    assert put(shared, [4 * PAGE, 9 * PAGE, 5 * PAGE]) == (ReturnCode.H_REMOTE_PARM, 1)
    assert reached(shared, 3) == [4, None, None]
    assert put(shared, [5 * PAGE, 5 * PAGE], PAGE) == (ReturnCode.H_RESOURCE, 1)
    assert put(shared, [6 * PAGE, 4 * PAGE], 3 * PAGE) == (ReturnCode.H_RESOURCE, 1)
    assert put(shared, [4 * PAGE, 7 * PAGE]) == (ReturnCode.H_IN_USE, 0)
    assert reached(shared, 5) == [4, 5, None, 6, None]
    shared.hosted.hcalls.h_free_crq(shared.vnic.client.unit)
    assert put(shared, [7 * PAGE], 5 * PAGE) == (ReturnCode.H_REMOTE_PARM, 0)


def test_a_whole_page_can_be_listed_and_no_more(machine):
    vnic = machine.connect(machine.hosted)
    machine.open(vnic)
    liobn = machine.manager.assign_adapter(machine.hosting, window_bytes=600 * PAGE).liobn[0]
    machine.map_new_page(vnic.client, PAGE)
    page = machine.hosting.memory.allocate(PAGE, align=PAGE)
    put_indirect = machine.hosting.hcalls.h_put_rtce_indirect
    assert put_indirect(page, vnic.server.r_liobn, liobn, 0, 513) == (ReturnCode.H_PARAMETER, 0)
    machine.hosting.memory.write(page, PAGE.to_bytes(8, "big") * 512)
    assert put_indirect(page, vnic.server.r_liobn, liobn, 0, 512) == (ReturnCode.H_RESOURCE, 1)
