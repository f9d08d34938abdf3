"""H_PUT_RTCE, H_REMOVE_RTCE, H_COPY_RDMA: a server reaches what its client has mapped, no more."""

import random

import pytest

from byway.sw.contract.registers import InvalidateScope
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.rtce import RtceState
from byway.sw.manager.rtce_hcalls import MAXIMUM_COPY

PAGE = 4096
PAGES = 16
END = PAGES * PAGE


@pytest.fixture
def granted(shared):
    """Three pages of the hosted partition at 4, 5, 6 of its window: r/w, read, write."""
    addresses = [
        shared.map_new_page(shared.vnic.client, ioba, access=access)
        for ioba, access in ((4 * PAGE, 3), (5 * PAGE, 1), (6 * PAGE, 2))
    ]
    for number, address in enumerate(addresses):
        shared.hosted.memory.write(address, f"page {number}".encode())
    return addresses


def put(shared, r_ioba, ioba, count=1, *, ring=1):
    liobn = shared.adapter.liobn[ring]
    pane = shared.vnic.server.r_liobn
    return shared.hosting.hcalls.h_put_rtce(pane, r_ioba, liobn, ioba, count)


def remove(shared, r_ioba, ioba, count=1, *, ring=1, tce=0):
    liobn = shared.adapter.liobn[ring]
    pane = shared.vnic.server.r_liobn
    return shared.hosting.hcalls.h_remove_rtce(pane, r_ioba, liobn, ioba, count, tce)


def state(shared, page):
    return shared.vnic.client.rtce_table.state(page)


# ---------------------------------------------------------------- H_PUT_RTCE


def test_a_clone_reaches_the_clients_page_with_the_clients_permission(shared, granted):
    assert put(shared, 4 * PAGE, 0, 3) == (ReturnCode.H_SUCCESS, 3)
    assert shared.hardware.dma_read(1, 0, 6) == b"page 0"
    assert shared.hardware.dma_read(1, PAGE, 6) == b"page 1"
    assert shared.hardware.dma_read(1, 2 * PAGE, 6) is None
    assert not shared.hardware.dma_write(1, PAGE, b"x")
    assert shared.hardware.dma_write(1, 2 * PAGE, b"from the wire")
    assert shared.hosted.memory.read(granted[2], 13) == b"from the wire"


def test_a_clone_is_in_the_window_of_one_ring_only(shared, granted):
    put(shared, 4 * PAGE, 0)
    assert shared.hardware.dma_read(0, 0, 6) is None


def test_the_server_is_not_told_the_page_of_a_clone(shared, granted):
    put(shared, 4 * PAGE, 0)
    all_ones = (1 << 64) - PAGE
    answer = shared.hosting.hcalls.h_get_tce(shared.adapter.liobn[1], 0)
    assert answer == (ReturnCode.H_PARTIAL, all_ones | 3)


def test_clones_into_unmapped_entries_need_no_invalidation(shared, granted):
    shared.hardware.bridge.invalidations.clear()
    put(shared, 4 * PAGE, 0, 3)
    assert shared.hardware.bridge.invalidations == []


@pytest.mark.parametrize("pane", ["none", "own window", "adapter", "client", "other's"])
def test_what_is_no_second_pane_of_the_caller_is_refused(shared, granted, pane):
    r_liobn = {
        "none": 0,
        "own window": shared.vnic.server.liobn,
        "adapter": shared.adapter.liobn[0],
        "client": shared.vnic.client.liobn,
        "other's": shared.vnic.server.r_liobn,
    }[pane]
    caller = shared.hosted if pane in {"other's", "client"} else shared.hosting
    answer = caller.hcalls.h_put_rtce(r_liobn, 4 * PAGE, shared.adapter.liobn[1], 0, 1)
    assert answer == (ReturnCode.H_PARAMETER, 0)


@pytest.mark.parametrize(
    ("r_ioba", "ioba", "count"),
    [
        (END, 0, 1),
        (15 * PAGE, 0, 2),
        (4 * PAGE + 1, 0, 1),
        (4 * PAGE, END, 1),
        (4 * PAGE, 15 * PAGE, 2),
        (4 * PAGE, 8, 1),
        (4 * PAGE, 0, 1 << 63),
        (4 * PAGE, 0, -1),
    ],
)
def test_ranges_outside_either_window_are_refused(shared, granted, r_ioba, ioba, count):
    assert put(shared, r_ioba, ioba, count) == (ReturnCode.H_PARAMETER, 0)
    assert remove(shared, r_ioba, ioba, count) == (ReturnCode.H_PARAMETER, 0)


def test_only_the_adapters_windows_take_clones(shared, granted):
    hcalls, pane = shared.hosting.hcalls, shared.vnic.server.r_liobn
    for liobn in (shared.vnic.server.liobn, shared.vnic.client.liobn, pane, 0):
        answer = hcalls.h_put_rtce(pane, 4 * PAGE, liobn, 0, 1)
        assert answer == (ReturnCode.H_PARAMETER, 0)


def test_unmapped_pages_end_the_call_with_the_count_done(shared, granted):
    assert put(shared, 4 * PAGE, 0, 5) == (ReturnCode.H_REMOTE_PARM, 3)
    assert shared.hardware.dma_read(1, PAGE, 6) == b"page 1"
    assert put(shared, 3 * PAGE, 8 * PAGE, 5) == (ReturnCode.H_REMOTE_PARM, 0)


def test_without_an_open_connection_there_is_nothing_to_clone(shared, granted):
    shared.hosted.hcalls.h_free_crq(shared.vnic.client.unit)
    assert put(shared, 4 * PAGE, 0) == (ReturnCode.H_REMOTE_PARM, 0)


def test_the_same_clone_twice_is_in_use_and_a_second_one_over_the_limit(shared, granted):
    put(shared, 5 * PAGE, PAGE)
    assert put(shared, 4 * PAGE, 0, 3) == (ReturnCode.H_IN_USE, 1)
    assert put(shared, 5 * PAGE, 7 * PAGE) == (ReturnCode.H_RESOURCE, 0)
    assert put(shared, 5 * PAGE, PAGE, ring=0) == (ReturnCode.H_RESOURCE, 0)


def test_a_page_mapped_twice_by_the_client_can_be_cloned_twice(shared, granted):
    hcalls, liobn = shared.hosted.hcalls, shared.vnic.client.liobn
    hcalls.h_put_tce(liobn, 9 * PAGE, granted[0] | 1)
    assert put(shared, 4 * PAGE, 0) == (ReturnCode.H_SUCCESS, 1)
    assert put(shared, 9 * PAGE, PAGE) == (ReturnCode.H_SUCCESS, 1)
    assert hcalls.h_put_tce(liobn, 4 * PAGE, 0) is ReturnCode.H_SUCCESS
    assert shared.hardware.dma_read(1, 0, 6) is None
    assert shared.hardware.dma_read(1, PAGE, 6) == b"page 0"


def test_a_second_clone_over_a_first_one_leaves_the_first_entry_stale(shared, granted):
    put(shared, 4 * PAGE, 0)
    assert put(shared, 5 * PAGE, 0) == (ReturnCode.H_SUCCESS, 1)
    assert [state(shared, page) for page in (4, 5)] == [RtceState.STALE_CLONE, RtceState.LIVE_CLONE]
    shared.hosted.hcalls.h_put_tce(shared.vnic.client.liobn, 4 * PAGE, 0)
    assert shared.hardware.dma_read(1, 0, 6) == b"page 1"


# ---------------------------------------------------------------- H_REMOVE_RTCE


def test_remove_undoes_put_and_stores_the_value_without_access(shared, granted):
    put(shared, 4 * PAGE, 0, 3)
    shared.hardware.dma_read(1, 0, 1)
    shared.hardware.bridge.invalidations.clear()
    assert remove(shared, 4 * PAGE, 0, 3, tce=0xABC003) == (ReturnCode.H_SUCCESS, 3)
    assert shared.hardware.dma_read(1, 0, 1) is None
    get = shared.hosting.hcalls.h_get_tce
    assert get(shared.adapter.liobn[1], 0) == (ReturnCode.H_SUCCESS, 0xABC000)
    assert [c.scope for c in shared.hardware.bridge.invalidations] == [InvalidateScope.WINDOW]
    assert state(shared, 4) is RtceState.VALID_WITHOUT_CLONE


def test_remove_by_the_wrong_entry_does_not_hide_a_clone_from_its_client(shared, granted):
    put(shared, 4 * PAGE, 0)
    assert remove(shared, 4 * PAGE, 9 * PAGE) == (ReturnCode.H_SUCCESS, 1)
    assert state(shared, 4) is RtceState.LIVE_CLONE
    shared.hosted.hcalls.h_put_tce(shared.vnic.client.liobn, 4 * PAGE, 0)
    assert shared.hardware.dma_read(1, 0, 1) is None


def test_a_server_can_clean_up_after_the_connection_has_closed(shared, granted):
    put(shared, 4 * PAGE, 0)
    shared.hosted.hcalls.h_free_crq(shared.vnic.client.unit)
    assert remove(shared, 4 * PAGE, 0) == (ReturnCode.H_SUCCESS, 1)
    assert not shared.hardware.dma_write(1, 0, b"x")


# ---------------------------------------------------------------- the four states of a re-PUT


def test_each_of_the_four_states_takes_a_new_mapping(shared, granted):
    hcalls, client = shared.hosted.hcalls, shared.vnic.client
    new_page = shared.hosted.memory.allocate(PAGE, align=PAGE)
    put(shared, 4 * PAGE, 0)
    put(shared, 5 * PAGE, PAGE)
    shared.hosting.hcalls.h_put_tce(shared.adapter.liobn[1], PAGE, 0x3003)
    pages = [3, 6, 5, 4]
    assert [state(shared, page) for page in pages] == list(RtceState)
    for page in pages:
        code = hcalls.h_put_tce(client.liobn, page * PAGE, new_page | 1)
        assert code is ReturnCode.H_SUCCESS
        assert state(shared, page) is RtceState.VALID_WITHOUT_CLONE
    assert shared.hardware.dma_read(1, PAGE, 6) == bytes(6)  # The server's own page stays.


def test_a_revoked_clone_becomes_the_bit_bucket(shared, granted):
    put(shared, 4 * PAGE, 0)
    assert shared.hardware.dma_read(1, 0, 6) == b"page 0"
    assert shared.hardware.dma_write(1, 0, b"P")
    shared.hosted.hcalls.h_put_tce(shared.vnic.client.liobn, 4 * PAGE, 0)
    assert shared.hardware.dma_read(1, 0, 6) is None
    assert shared.hardware.dma_write(1, 0, b"dropped")
    assert shared.hosted.memory.read(granted[0], 7) == b"Page 0\0"


def test_without_the_bit_bucket_the_server_must_let_go_first(machine):
    vnic = machine.connect(machine.hosted, bit_bucket_allowed=False)
    machine.open(vnic)
    adapter = machine.manager.assign_adapter(machine.hosting, window_bytes=END)
    page = machine.map_new_page(vnic.client, 4 * PAGE)
    put_tce = machine.hosted.hcalls.h_put_tce
    server = machine.hosting.hcalls
    server.h_put_rtce(vnic.server.r_liobn, 4 * PAGE, adapter.liobn[0], 0, 1)
    assert put_tce(vnic.client.liobn, 4 * PAGE, 0) is ReturnCode.H_RESOURCE
    stuff = machine.hosted.hcalls.h_stuff_tce
    assert stuff(vnic.client.liobn, 2 * PAGE, page | 1, 4) is ReturnCode.H_RESOURCE
    assert machine.hosted.hcalls.h_free_crq(vnic.client.unit) is ReturnCode.H_RESOURCE
    assert server.h_free_crq(vnic.server.unit) is ReturnCode.H_RESOURCE
    assert machine.hosted.hcalls.h_get_tce(vnic.client.liobn, 2 * PAGE)[1] == 0
    assert vnic.client.is_open
    assert machine.hardware.dma_read(0, 0, 1) is not None
    server.h_remove_rtce(vnic.server.r_liobn, 4 * PAGE, adapter.liobn[0], 0, 1, 0)
    assert put_tce(vnic.client.liobn, 4 * PAGE, 0) is ReturnCode.H_SUCCESS
    assert machine.hosted.hcalls.h_free_crq(vnic.client.unit) is ReturnCode.H_SUCCESS


# ---------------------------------------------------------------- H_COPY_RDMA


def test_copies_cross_scattered_pages_in_both_directions_and_are_counted(shared):
    seed = 3
    rng = random.Random(seed)
    hosted, hosting = shared.hosted, shared.hosting
    client, server = shared.vnic.client, shared.vnic.server
    theirs = hosted.memory.allocate(4 * PAGE, align=PAGE)
    ours = hosting.memory.allocate(4 * PAGE, align=PAGE)
    for page in range(4):
        hosted.hcalls.h_put_tce(client.liobn, (4 + page) * PAGE, theirs + page * PAGE | 3)
        hosting.hcalls.h_put_tce(server.liobn, (4 + page) * PAGE, ours + page * PAGE | 3)
    copied = 0
    for _ in range(50):
        length = rng.randrange(3 * PAGE)
        there, here = rng.randrange(PAGE), rng.randrange(PAGE)
        data = rng.randbytes(length)
        remote, local = (server.r_liobn, 4 * PAGE + there), (server.liobn, 4 * PAGE + here)
        if rng.random() < 0.5:
            hosting.memory.write(ours + here, data)
            code = hosting.hcalls.h_copy_rdma(length, *local, *remote, cause="receive")
            copied += length
            result = hosted.memory.read(theirs + there, length)
        else:
            hosted.memory.write(theirs + there, data)
            code = hosting.hcalls.h_copy_rdma(length, *remote, *local)
            result = hosting.memory.read(ours + here, length)
        assert code is ReturnCode.H_SUCCESS, f"seed {seed}"
        assert result == data, f"seed {seed}"
    counted = shared.manager.counters.bytes_copied
    assert counted["receive"] == copied
    assert counted["control"] > 0
    assert counted["transmit"] == 0


def test_copy_refuses_in_order(shared, granted):
    copy = shared.hosting.hcalls.h_copy_rdma
    server, far = shared.vnic.server, END - 1
    pane, own = server.r_liobn, server.liobn
    assert copy(MAXIMUM_COPY + 1, 0, far, 0, far) is ReturnCode.H_PARAMETER
    assert copy(2, 0, far, 0, far) is ReturnCode.H_SOURCE_PARM
    assert copy(2, pane, far, 0, far) is ReturnCode.H_DEST_PARM
    assert copy(2, pane, far, own, far) is ReturnCode.H_SOURCE_PARM
    assert copy(2, pane, 0, own, far) is ReturnCode.H_DEST_PARM
    assert copy(2, pane, 6 * PAGE, own, 0) is ReturnCode.H_PERMISSION  # Write only at the source.
    assert copy(2, own, 0, pane, 5 * PAGE) is ReturnCode.H_PERMISSION  # Read only at the target.
    assert copy(2, pane, 5 * PAGE, own, PAGE) is ReturnCode.H_PERMISSION  # Not mapped.
    assert copy(2, pane, 5 * PAGE, own, 0) is ReturnCode.H_SUCCESS
    assert sum(shared.manager.counters.bytes_copied.values()) == 2


def test_copy_takes_neither_adapter_windows_nor_the_panes_of_others(shared, granted):
    server, other = shared.vnic.server, shared.other_vnic.client
    copy = shared.hosting.hcalls.h_copy_rdma
    assert copy(2, shared.adapter.liobn[0], 0, server.liobn, 0) is ReturnCode.H_SOURCE_PARM
    assert copy(2, shared.vnic.client.liobn, 0, server.liobn, 0) is ReturnCode.H_SOURCE_PARM
    client_copy = shared.hosted.hcalls.h_copy_rdma
    own = shared.vnic.client.liobn
    assert client_copy(2, server.r_liobn, 0, own, 0) is ReturnCode.H_SOURCE_PARM
    assert client_copy(2, own, 0, server.liobn, 0) is ReturnCode.H_DEST_PARM
    assert client_copy(2, own, 0, other.liobn, 0) is ReturnCode.H_DEST_PARM


def test_the_second_pane_is_cut_when_either_end_deregisters_and_linked_again(shared, granted):
    server, client = shared.vnic.server, shared.vnic.client
    copy = shared.hosting.hcalls.h_copy_rdma
    for end in (client, server):
        put(shared, 4 * PAGE, 0)
        assert end.owner.hcalls.h_free_crq(end.unit) is ReturnCode.H_SUCCESS
        assert copy(2, server.r_liobn, 4 * PAGE, server.liobn, 0) is ReturnCode.H_SOURCE_PARM
        assert copy(2, server.liobn, 0, server.r_liobn, 4 * PAGE) is ReturnCode.H_DEST_PARM
        assert shared.hardware.dma_read(1, 0, 1) is None
        assert end.owner.hcalls.h_reg_crq(end.unit, 0, PAGE) is ReturnCode.H_SUCCESS
        assert copy(2, server.r_liobn, 4 * PAGE, server.liobn, 0) is ReturnCode.H_SUCCESS
