"""CRQ and sub-CRQ hcalls: registration, delivery, fullness, transport events.

Return codes in the order of LoPAR's checks: each call that is refused has every later fault too.
"""

import pytest

from byway.sw.manager.crq import CRQ_ELEMENT_BYTES, SUB_CRQ_ELEMENT_BYTES, Queue
from byway.sw.manager.crq_hcalls import MAXIMUM_INDIRECT, MAXIMUM_SUB_CRQS
from byway.sw.manager.return_codes import ReturnCode

PAGE = 4096
END = 16 * PAGE
COMMAND = 0x80 << 56
CRQ_CAPACITY = PAGE // CRQ_ELEMENT_BYTES


@pytest.fixture
def pair(machine):
    """A connection of which neither end is registered, with a page mapped at 0 of each window."""
    vnic = machine.connect(machine.hosted)
    addresses = [machine.map_new_page(end, 0) for end in vnic]
    return vnic, addresses


@pytest.fixture
def sub(shared):
    """A sub-CRQ of the hosting partition in two pages: (handle, irq, address of each page)."""
    server = shared.vnic.server
    pages = [shared.map_new_page(server, ioba) for ioba in (4 * PAGE, 5 * PAGE)]
    code, handle, irq = shared.hosting.hcalls.h_reg_sub_crq(server.unit, 4 * PAGE, 2 * PAGE)
    assert code is ReturnCode.H_SUCCESS
    shared.enable_interrupt(server, irq)
    return handle, irq, pages


def crq_of(shared, end):
    """All elements of the CRQ of `end`, which `shared` has put at 0 of its window."""
    tce = end.owner.hcalls.h_get_tce(end.liobn, 0)[1]
    memory = end.owner.memory.read(tce & ~(PAGE - 1), PAGE)
    size = CRQ_ELEMENT_BYTES
    return [memory[at : at + size] for at in range(0, PAGE, size)]


# ---------------------------------------------------------------- registration of CRQs


def test_the_first_to_register_is_told_closed_and_the_second_success(pair):
    vnic, _addresses = pair
    answers = [end.owner.hcalls.h_reg_crq(end.unit, 0, PAGE) for end in vnic]
    assert answers == [ReturnCode.H_CLOSED, ReturnCode.H_SUCCESS]
    assert vnic.client.is_open
    assert vnic.server.is_open


@pytest.mark.parametrize(
    ("ioba", "length"),
    [(8, PAGE), (0, 0), (0, 100), (0, 2 * PAGE), (END, PAGE), (0, 1 << 63), (1 << 63, PAGE)],
)
def test_a_queue_that_is_not_whole_mapped_pages_is_refused(pair, ioba, length):
    client = pair[0].client
    hcalls = client.owner.hcalls
    assert hcalls.h_reg_crq(client.unit, ioba, length) is ReturnCode.H_PARAMETER
    assert hcalls.h_reg_sub_crq(client.unit, ioba, length) == (ReturnCode.H_PARAMETER, 0, 0)
    assert client.crq is None
    assert client.sub_crqs == {}


def test_a_queue_needs_pages_mapped_for_writing(machine, pair):
    client = pair[0].client
    machine.map_new_page(client, PAGE, access=1)
    assert client.owner.hcalls.h_reg_crq(client.unit, 0, 2 * PAGE) is ReturnCode.H_PARAMETER


def test_registration_refuses_in_order(machine, pair):
    vnic, _addresses = pair
    hcalls = machine.hosted.hcalls
    for unit in (0, vnic.server.unit, -1):
        assert hcalls.h_reg_crq(unit, 8, PAGE) is ReturnCode.H_PARAMETER
    machine.manager.terminate(machine.hosting)
    assert hcalls.h_reg_crq(vnic.client.unit, 8, PAGE) is ReturnCode.H_PARAMETER
    assert hcalls.h_reg_crq(vnic.client.unit, 0, PAGE) is ReturnCode.H_NOT_FOUND


def test_a_registered_queue_cannot_be_registered_again(shared):
    client = shared.vnic.client
    assert shared.hosted.hcalls.h_reg_crq(client.unit, 0, PAGE) is ReturnCode.H_RESOURCE


# ---------------------------------------------------------------- H_SEND_CRQ


def test_a_message_lies_in_the_partners_memory_big_endian(shared):
    high, low = 0x8011223344556677, 0x8899AABBCCDDEEFF
    for end in shared.vnic:
        assert end.owner.hcalls.h_send_crq(end.unit, high, low) is ReturnCode.H_SUCCESS
        assert crq_of(shared, end.partner)[:2] == [
            bytes.fromhex("8011223344556677 8899aabbccddeeff"),
            bytes(16),
        ]
    assert shared.manager.counters.messages == 2


def test_the_header_is_stored_after_the_rest(shared, monkeypatch):
    order = []
    write = shared.hardware.memory.write
    monkeypatch.setattr(
        shared.hardware.memory,
        "write",
        lambda address, data: (order.append(data), write(address, data)),
    )
    shared.hosted.hcalls.h_send_crq(shared.vnic.client.unit, COMMAND, 1)
    assert b"".join(order) == (1).to_bytes(8, "big") + COMMAND.to_bytes(8, "big")


def test_initialisation_is_the_partners_own_affair(shared):
    init = 0xC001 << 48
    shared.hosted.hcalls.h_send_crq(shared.vnic.client.unit, init, 0)
    assert crq_of(shared, shared.vnic.server)[0][:2] == b"\xc0\x01"
    assert crq_of(shared, shared.vnic.client)[0] == bytes(16)


def test_sending_refuses_in_order(pair):
    vnic, _addresses = pair
    client = vnic.client
    send, no_header = client.owner.hcalls.h_send_crq, 0x7F << 56
    assert send(vnic.server.unit, no_header, 0) is ReturnCode.H_PARAMETER
    assert send(client.unit, no_header, 0) is ReturnCode.H_PARAMETER
    assert send(client.unit, 0xFF << 56, 0) is ReturnCode.H_PARAMETER
    assert send(client.unit, COMMAND, 0) is ReturnCode.H_CLOSED
    client.owner.hcalls.h_reg_crq(client.unit, 0, PAGE)
    assert send(client.unit, COMMAND, 0) is ReturnCode.H_CLOSED
    # A partner that sends without having registered itself is no better off.
    assert vnic.server.owner.hcalls.h_send_crq(vnic.server.unit, COMMAND, 0) is ReturnCode.H_CLOSED


def test_a_full_queue_drops_until_its_receiver_frees_the_oldest_element(shared):
    server = shared.vnic.server
    send, unit = shared.hosted.hcalls.h_send_crq, shared.vnic.client.unit
    for number in range(CRQ_CAPACITY):
        assert send(unit, COMMAND, number) is ReturnCode.H_SUCCESS
    assert send(unit, COMMAND, 999) is ReturnCode.H_DROPPED
    queue = shared.hosting.hcalls.h_get_tce(server.liobn, 0)[1] & ~(PAGE - 1)
    shared.hosting.memory.write(queue + CRQ_ELEMENT_BYTES, b"\0")  # Not the oldest.
    assert send(unit, COMMAND, 999) is ReturnCode.H_DROPPED
    shared.hosting.memory.write(queue, b"\0")
    assert send(unit, COMMAND, 1000) is ReturnCode.H_SUCCESS
    assert crq_of(shared, server)[0][8:] == (1000).to_bytes(8, "big")
    assert shared.manager.counters.messages == CRQ_CAPACITY + 1


def test_a_queue_unmapped_by_its_receiver_drops_and_one_remapped_goes_on_elsewhere(shared):
    server = shared.vnic.server
    send, unit = shared.hosted.hcalls.h_send_crq, shared.vnic.client.unit
    put_tce = shared.hosting.hcalls.h_put_tce
    put_tce(server.liobn, 0, 0)
    assert send(unit, COMMAND, 1) is ReturnCode.H_DROPPED
    elsewhere = shared.hosting.memory.allocate(PAGE, align=PAGE)
    put_tce(server.liobn, 0, elsewhere | 2)
    assert send(unit, COMMAND, 2) is ReturnCode.H_SUCCESS
    assert shared.hosting.memory.read(elsewhere + 8, 8) == (2).to_bytes(8, "big")


# ---------------------------------------------------------------- H_FREE_CRQ and transport events


def test_freeing_tells_the_partner_once_and_closes_both_ways(shared):
    client, server = shared.vnic
    assert shared.hosted.hcalls.h_free_crq(client.unit) is ReturnCode.H_SUCCESS
    assert crq_of(shared, server)[:2] == [b"\xff\x02".ljust(16, b"\0"), bytes(16)]
    assert shared.hosted.hcalls.h_free_crq(client.unit) is ReturnCode.H_SUCCESS
    assert crq_of(shared, server)[1] == bytes(16)
    for end in shared.vnic:
        assert end.owner.hcalls.h_send_crq(end.unit, COMMAND, 0) is ReturnCode.H_CLOSED
    assert shared.hosted.hcalls.h_free_crq(server.unit) is ReturnCode.H_PARAMETER


def test_a_transport_event_overlays_the_newest_element_of_a_full_queue(shared):
    client, server = shared.vnic
    for number in range(CRQ_CAPACITY):
        shared.hosted.hcalls.h_send_crq(client.unit, COMMAND, number)
    shared.hosted.hcalls.h_free_crq(client.unit)
    elements = crq_of(shared, server)
    assert elements[-1][:2] == b"\xff\x02"
    assert elements[0][8:] == bytes(8)
    assert elements[-2][8:] == (CRQ_CAPACITY - 2).to_bytes(8, "big")


def test_an_end_that_registers_again_starts_at_the_first_element(shared):
    client, server = shared.vnic
    for _ in range(3):
        shared.hosting.hcalls.h_send_crq(server.unit, COMMAND, 7)
    shared.hosted.hcalls.h_free_crq(client.unit)
    page = shared.map_new_page(client, 0)
    assert shared.hosted.hcalls.h_reg_crq(client.unit, 0, PAGE) is ReturnCode.H_SUCCESS
    shared.hosting.hcalls.h_send_crq(server.unit, COMMAND, 8)
    assert shared.hosted.memory.read(page + 8, 8) == (8).to_bytes(8, "big")


def test_freeing_a_crq_frees_its_sub_crqs(shared, sub):
    handle, irq, _pages = sub
    server, client = shared.vnic.server, shared.vnic.client
    shared.hosting.hcalls.h_free_crq(server.unit)
    code = shared.hosted.hcalls.h_send_sub_crq(client.unit, handle, COMMAND, 0, 0, 0)
    assert code is ReturnCode.H_PARAMETER
    assert shared.hosting.hcalls.h_free_sub_crq(server.unit, handle) is ReturnCode.H_PARAMETER
    with pytest.raises(Exception, match="no interrupt source"):
        shared.hosting.on_interrupt(irq, lambda: None)


# ---------------------------------------------------------------- sub-CRQs


def test_registering_a_sub_crq_frees_its_elements(shared):
    server = shared.vnic.server
    page = shared.map_new_page(server, 4 * PAGE)
    shared.hosting.memory.write(page, b"\x80" * PAGE)
    code, handle, _irq = shared.hosting.hcalls.h_reg_sub_crq(server.unit, 4 * PAGE, PAGE)
    assert code is ReturnCode.H_SUCCESS
    send, client = shared.hosted.hcalls.h_send_sub_crq, shared.vnic.client
    assert send(client.unit, handle, COMMAND, 0, 0, 0) is ReturnCode.H_SUCCESS


def test_a_sub_crq_can_be_registered_before_the_connection_is_open(pair):
    client = pair[0].client
    code, handle, irq = client.owner.hcalls.h_reg_sub_crq(client.unit, 0, PAGE)
    assert code is ReturnCode.H_CLOSED
    assert client.sub_crqs[handle].irq == irq
    server = pair[0].server
    send = server.owner.hcalls.h_send_sub_crq
    assert send(server.unit, handle, COMMAND, 0, 0, 0) is ReturnCode.H_CLOSED


def test_sub_crqs_are_limited_in_number(shared):
    server = shared.vnic.server
    register = shared.hosting.hcalls.h_reg_sub_crq
    shared.map_new_page(server, 4 * PAGE)
    for _ in range(MAXIMUM_SUB_CRQS):
        assert register(server.unit, 4 * PAGE, PAGE)[0] is ReturnCode.H_SUCCESS
    assert register(server.unit, 4 * PAGE, PAGE) == (ReturnCode.H_RESOURCE, 0, 0)


def test_only_the_receiver_frees_a_sub_crq(shared, sub):
    handle, _irq, _pages = sub
    server, client = shared.vnic.server, shared.vnic.client
    assert shared.hosted.hcalls.h_free_sub_crq(client.unit, handle) is ReturnCode.H_PARAMETER
    assert shared.hosted.hcalls.h_free_sub_crq(server.unit, handle) is ReturnCode.H_PARAMETER
    other_unit = shared.other_vnic.server.unit
    assert shared.hosting.hcalls.h_free_sub_crq(other_unit, handle) is ReturnCode.H_PARAMETER
    assert shared.hosting.hcalls.h_free_sub_crq(server.unit, handle) is ReturnCode.H_SUCCESS
    assert shared.hosting.hcalls.h_free_sub_crq(server.unit, handle) is ReturnCode.H_PARAMETER


def test_a_sub_crq_message_has_four_words_and_interrupts_its_own_source(shared, sub):
    handle, irq, pages = sub
    calls = []
    shared.hosting.on_interrupt(irq, lambda: calls.append("sub"))
    shared.hosting.on_interrupt(shared.vnic.server.irq, lambda: calls.append("crq"))
    words = (COMMAND | 1, 2, 3, 4)
    code = shared.hosted.hcalls.h_send_sub_crq(shared.vnic.client.unit, handle, *words)
    assert code is ReturnCode.H_SUCCESS
    shared.manager.dispatch()
    assert calls == ["sub"]
    expected = b"".join(word.to_bytes(8, "big") for word in words)
    assert shared.hosting.memory.read(pages[0], 32) == expected


def test_sending_to_a_sub_crq_refuses_in_order(shared, sub):
    handle, _irq, _pages = sub
    client = shared.vnic.client
    send, bad = shared.hosted.hcalls.h_send_sub_crq, (0xC0 << 56, 0, 0, 0)
    assert send(0, 0, *bad) is ReturnCode.H_PARAMETER
    assert send(client.unit, 0, *bad) is ReturnCode.H_PARAMETER
    assert send(client.unit, handle, *bad) is ReturnCode.H_PARAMETER
    other = shared.other.hcalls.h_send_sub_crq
    good = (COMMAND, 0, 0, 0)
    assert other(client.unit, handle, *good) is ReturnCode.H_PARAMETER
    assert other(shared.other_vnic.client.unit, handle, *good) is ReturnCode.H_PARAMETER
    shared.hosted.hcalls.h_free_crq(client.unit)
    assert send(client.unit, handle, *bad) is ReturnCode.H_PARAMETER
    assert send(client.unit, handle, *good) is ReturnCode.H_CLOSED


def fill_source(shared, count, *, header=0x80):
    """Elements at 8 pages into the client's window, the last with `header`; their bytes."""
    client = shared.vnic.client
    page = shared.map_new_page(client, 8 * PAGE, access=1)
    headers = [0x80] * (count - 1) + [header]
    elements = [bytes([h, *n.to_bytes(31, "big")]) for n, h in enumerate(headers)]
    shared.hosted.memory.write(page, b"".join(elements))
    return b"".join(elements)


def test_indirect_sends_all_elements_across_scattered_pages_and_counts_them(shared, sub):
    handle, irq, pages = sub
    calls = []
    shared.hosting.on_interrupt(irq, lambda: calls.append("sub"))
    client = shared.vnic.client
    elements = fill_source(shared, MAXIMUM_INDIRECT)
    send = shared.hosted.hcalls.h_send_sub_crq_indirect
    before = shared.manager.counters.messages
    assert send(client.unit, handle, 8 * PAGE, 100) is ReturnCode.H_SUCCESS
    assert send(client.unit, handle, 8 * PAGE, 100) is ReturnCode.H_SUCCESS
    memory = b"".join(shared.hosting.memory.read(page, PAGE) for page in pages)
    assert memory == (elements[:3200] * 2).ljust(2 * PAGE, b"\0")
    assert shared.manager.counters.messages == before + 200
    shared.manager.dispatch()
    assert calls == ["sub"]


def test_indirect_is_all_or_nothing(shared, sub):
    handle, _irq, pages = sub
    client = shared.vnic.client
    elements = fill_source(shared, MAXIMUM_INDIRECT)
    send = shared.hosted.hcalls.h_send_sub_crq_indirect
    capacity = 2 * PAGE // SUB_CRQ_ELEMENT_BYTES
    assert capacity == 256
    for _ in range(2):
        assert send(client.unit, handle, 8 * PAGE, 127) is ReturnCode.H_SUCCESS
    assert send(client.unit, handle, 8 * PAGE, 3) is ReturnCode.H_DROPPED
    assert shared.hosting.memory.read(pages[1] + PAGE - 64, 64) == bytes(64)
    assert send(client.unit, handle, 8 * PAGE, 2) is ReturnCode.H_SUCCESS
    assert shared.hosting.memory.read(pages[1] + PAGE - 64, 64) == elements[:64]
    assert send(client.unit, handle, 8 * PAGE, 1) is ReturnCode.H_DROPPED


def test_more_elements_than_a_queue_has_never_fit(shared):
    server = shared.vnic.server
    shared.map_new_page(server, 4 * PAGE)
    queue = Queue(
        memory=shared.hardware.memory,
        window=server.window,
        ioba=4 * PAGE,
        length=PAGE,
        element_bytes=SUB_CRQ_ELEMENT_BYTES,
    )
    elements = [b"\x80".ljust(SUB_CRQ_ELEMENT_BYTES, b"\0")] * (queue.capacity + 1)
    assert not queue.put(elements)
    assert queue.put(elements[1:])


def test_indirect_refuses_in_order(shared, sub):
    handle, _irq, _pages = sub
    client = shared.vnic.client
    fill_source(shared, 4, header=0x00)
    send = shared.hosted.hcalls.h_send_sub_crq_indirect
    assert send(0, 0, END, 0) is ReturnCode.H_PARAMETER
    assert send(client.unit, 0, END, 0) is ReturnCode.H_PARAMETER
    for ioba, count in (
        (END, 1),
        (9 * PAGE, 1),  # Not mapped.
        (8 * PAGE, 0),
        (8 * PAGE, 129),
        (8 * PAGE, 1 << 60),
        (9 * PAGE - 32, 2),  # Leaves the page.
        (8 * PAGE, 4),  # A header that is free.
    ):
        assert send(client.unit, handle, ioba, count) is ReturnCode.H_PARAMETER, (ioba, count)
    shared.hosted.hcalls.h_free_crq(client.unit)
    assert send(client.unit, handle, 8 * PAGE, 4) is ReturnCode.H_CLOSED
