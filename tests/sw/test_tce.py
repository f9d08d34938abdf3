"""H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT, on virtual and on adapter windows.

Return codes in the order of LoPAR's checks: each call that is refused has every later fault too.
"""

import pytest

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import WINDOW_PAGE, FaultReason, InvalidateScope, WindowPage
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.tables import UNMAPPED

PAGE = 4096
END = 16 * PAGE
NOWHERE = 1 << 40


@pytest.fixture(params=["virtual", "adapter"])
def window(request, shared):
    """The owner's hcalls, its memory, the LIOBN, and whether the window is the adapter's."""
    if request.param == "virtual":
        return shared.hosted, shared.vnic.client.liobn
    return shared.hosting, shared.adapter.liobn[0]


def entry_in_table(shared, ring, index):
    """The TCE of `ring` as the hardware sees it in memory."""
    window = WindowPage(shared.hardware.registers, WINDOW_PAGE).window[ring]
    base = window.table_base.read().page * PAGE
    size = TranslationControlEntry.SIZE
    return TranslationControlEntry.unpack(shared.hardware.memory.read(base + size * index, size))


def test_put_then_get_returns_the_logical_page_and_the_control_bits(window):
    owner, liobn = window
    for access in (1, 2, 3):
        assert owner.hcalls.h_put_tce(liobn, 5 * PAGE, 7 * PAGE | access) is ReturnCode.H_SUCCESS
        assert owner.hcalls.h_get_tce(liobn, 5 * PAGE) == (ReturnCode.H_SUCCESS, 7 * PAGE | access)


def test_reserved_bits_of_a_tce_are_not_stored(window):
    owner, liobn = window
    assert owner.hcalls.h_put_tce(liobn, 0x5000, 0x7FFD) is ReturnCode.H_SUCCESS
    assert owner.hcalls.h_get_tce(liobn, 0x5000) == (ReturnCode.H_SUCCESS, 0x7001)


def test_unmapping_keeps_the_page_number_untranslated(window):
    owner, liobn = window
    assert owner.hcalls.h_put_tce(liobn, 0x5000, NOWHERE) is ReturnCode.H_SUCCESS
    assert owner.hcalls.h_get_tce(liobn, 0x5000) == (ReturnCode.H_SUCCESS, NOWHERE)


@pytest.mark.parametrize("liobn", [0, -1, 1 << 64, 1 << 32])
def test_a_window_that_is_not_there_is_a_wrong_parameter(shared, liobn):
    hcalls = shared.hosted.hcalls
    assert hcalls.h_put_tce(liobn, 0, 3) is ReturnCode.H_PARAMETER
    assert hcalls.h_get_tce(liobn, 0) == (ReturnCode.H_PARAMETER, 0)
    assert hcalls.h_stuff_tce(liobn, 0, 3, 513) is ReturnCode.H_PARAMETER
    assert hcalls.h_put_tce_indirect(liobn, 0, PAGE, 1) is ReturnCode.H_PARAMETER


@pytest.mark.parametrize("name", ["client of another", "server", "second pane", "adapter"])
def test_a_foreign_window_is_as_good_as_none(shared, name):
    liobn = {
        "client of another": shared.other_vnic.client.liobn,
        "server": shared.vnic.server.liobn,
        "second pane": shared.vnic.server.r_liobn,
        "adapter": shared.adapter.liobn[1],
    }[name]
    assert shared.hosted.hcalls.h_put_tce(liobn, 0, 0x1003) is ReturnCode.H_PARAMETER
    assert shared.hosted.hcalls.h_get_tce(liobn, 0) == (ReturnCode.H_PARAMETER, 0)


def test_the_second_pane_is_not_for_these_hcalls_even_to_its_owner(shared):
    pane = shared.vnic.server.r_liobn
    assert shared.hosting.hcalls.h_put_tce(pane, 0, 0x1003) is ReturnCode.H_PARAMETER


@pytest.mark.parametrize("ioba", [END, 5 * PAGE + 8, 1 << 63, -PAGE])
def test_an_address_outside_the_window_or_unaligned_is_refused(window, ioba):
    owner, liobn = window
    assert owner.hcalls.h_put_tce(liobn, ioba, NOWHERE | 3) is ReturnCode.H_PARAMETER
    assert owner.hcalls.h_get_tce(liobn, ioba) == (ReturnCode.H_PARAMETER, 0)
    assert owner.hcalls.h_stuff_tce(liobn, ioba, NOWHERE | 3, 513) is ReturnCode.H_PARAMETER


def test_memory_that_the_caller_does_not_have_cannot_be_mapped(window):
    owner, liobn = window
    for page in (owner.memory.size, NOWHERE, (1 << 64) - PAGE):
        assert owner.hcalls.h_put_tce(liobn, 0x5000, page | 3) is ReturnCode.H_PARAMETER
        assert owner.hcalls.h_stuff_tce(liobn, 0x5000, page | 3, 2) is ReturnCode.H_PARAMETER
    assert owner.hcalls.h_get_tce(liobn, 0x5000) == (ReturnCode.H_SUCCESS, 0)


def test_stuff_fills_a_range_and_refuses_in_order(window):
    owner, liobn = window
    stuff, get = owner.hcalls.h_stuff_tce, owner.hcalls.h_get_tce
    assert stuff(liobn, 5 * PAGE, NOWHERE | 3, 513) is ReturnCode.H_P4
    assert stuff(liobn, 5 * PAGE, NOWHERE | 3, 12) is ReturnCode.H_PARAMETER
    assert stuff(liobn, 5 * PAGE, 0x7003, 11) is ReturnCode.H_SUCCESS
    assert [get(liobn, n * PAGE)[1] for n in range(4, 16)] == [0] + [0x7003] * 11
    assert stuff(liobn, 6 * PAGE, 0, 2) is ReturnCode.H_SUCCESS
    assert stuff(liobn, 6 * PAGE, 0x7003, 0) is ReturnCode.H_SUCCESS
    assert [get(liobn, n * PAGE)[1] for n in range(5, 9)] == [0x7003, 0, 0, 0x7003]


def write_list(owner, tces):
    address = owner.memory.allocate(PAGE, align=PAGE)
    owner.memory.write(address, b"".join(tce.to_bytes(8, "big") for tce in tces))
    return address


def test_indirect_stores_a_big_endian_list(window):
    owner, liobn = window
    tces = [0x3001, 0x4002, 0x5003, 0]
    page = write_list(owner, tces)
    assert owner.hcalls.h_put_tce_indirect(liobn, 5 * PAGE, page, 4) is ReturnCode.H_SUCCESS
    assert [owner.hcalls.h_get_tce(liobn, (5 + n) * PAGE)[1] for n in range(4)] == tces


def test_indirect_refuses_the_whole_list_and_stores_nothing(window):
    owner, liobn = window
    put, get = owner.hcalls.h_put_tce_indirect, owner.hcalls.h_get_tce
    bad = write_list(owner, [0x3003, 0x4003, NOWHERE | 1])
    assert put(liobn, 5 * PAGE, bad, 513) is ReturnCode.H_PARAMETER
    assert put(liobn, 5 * PAGE, bad, 12) is ReturnCode.H_PARAMETER
    assert put(liobn, 5 * PAGE, bad + 8, 1) is ReturnCode.H_PARAMETER
    assert put(liobn, 5 * PAGE, owner.memory.size, 1) is ReturnCode.H_PARAMETER
    assert put(liobn, 5 * PAGE, bad, 3) is ReturnCode.H_PARAMETER
    assert [get(liobn, n * PAGE)[1] for n in range(5, 8)] == [0, 0, 0]


def test_indirect_copies_no_more_than_it_stores_and_takes_a_whole_page(window):
    owner, liobn = window
    page = write_list(owner, [0x3003] + [NOWHERE | 3] * 511)
    put = owner.hcalls.h_put_tce_indirect
    assert put(liobn, 5 * PAGE, page, 1) is ReturnCode.H_SUCCESS
    assert put(liobn, END, page, 0) is ReturnCode.H_SUCCESS
    assert put(liobn, END, page, 1) is ReturnCode.H_PARAMETER


def test_indirect_for_several_windows_is_no_function_of_this_machine(window):
    owner, _liobn = window
    for liobn in (1 << 63, (1 << 64) - 1):
        assert owner.hcalls.h_put_tce_indirect(liobn, 8, 8, 513) is ReturnCode.H_FUNCTION


def test_the_adapters_table_holds_physical_pages(shared):
    owner, liobn = shared.hosting, shared.adapter.liobn[1]
    owner.hcalls.h_put_tce(liobn, 5 * PAGE, 7 * PAGE | 1)
    entry = entry_in_table(shared, 1, 5)
    assert entry == TranslationControlEntry(read=1, rpn=owner.memory.physical_page(7))
    assert entry_in_table(shared, 0, 5) == UNMAPPED


def test_the_adapter_reaches_scattered_pages_as_the_owner_laid_them_out(shared):
    owner, liobn = shared.hosting, shared.adapter.liobn[0]
    owner.memory.write(8 * PAGE - 4, b"one piece")
    owner.hcalls.h_put_tce(liobn, 0, 7 * PAGE | 1)
    owner.hcalls.h_put_tce(liobn, PAGE, 8 * PAGE | 1)
    read = shared.hardware.dma_read
    assert read(0, PAGE - 4, 4) + read(0, PAGE, 5) == b"one piece"


def test_only_a_change_of_a_mapped_entry_is_invalidated(shared):
    hcalls, liobn = shared.hosting.hcalls, shared.adapter.liobn[1]
    done = shared.hardware.bridge.invalidations
    done.clear()
    hcalls.h_put_tce(liobn, 5 * PAGE, 0x7003)
    hcalls.h_put_tce(liobn, 5 * PAGE, 0x7003)
    hcalls.h_put_tce(liobn, 6 * PAGE, NOWHERE)
    assert done == []
    hcalls.h_put_tce(liobn, 5 * PAGE, 0x8003)
    assert [(c.scope, c.window) for c in done] == [(InvalidateScope.PAGE, 1)]
    hcalls.h_stuff_tce(liobn, 5 * PAGE, 0x8003, 3)
    assert len(done) == 1
    hcalls.h_stuff_tce(liobn, 5 * PAGE, 0, 4)
    assert [c.scope for c in done] == [InvalidateScope.PAGE, InvalidateScope.WINDOW]


def test_the_adapter_never_uses_a_mapping_that_has_changed(shared):
    owner, liobn = shared.hosting, shared.adapter.liobn[0]
    for page, text in ((7, b"old"), (8, b"new")):
        owner.memory.write(page * PAGE, text)
    owner.hcalls.h_put_tce(liobn, 0, 7 * PAGE | 3)
    assert shared.hardware.dma_read(0, 0, 3) == b"old"
    owner.hcalls.h_put_tce(liobn, 0, 8 * PAGE | 1)
    assert shared.hardware.dma_read(0, 0, 3) == b"new"
    assert not shared.hardware.dma_write(0, 0, b"xxx")
    owner.hcalls.h_put_tce(liobn, 0, 0)
    assert shared.hardware.dma_read(0, 0, 3) is None
    reasons = [fault.reason for fault in shared.hardware.bridge.fault_queue]
    assert reasons == [FaultReason.WRITE_DENIED, FaultReason.NOT_MAPPED]


def test_rings_do_not_share_a_window(shared):
    shared.hosting.hcalls.h_put_tce(shared.adapter.liobn[0], 0, 7 * PAGE | 3)
    assert shared.hardware.dma_read(0, 0, 1) is not None
    assert shared.hardware.dma_read(1, 0, 1) is None
