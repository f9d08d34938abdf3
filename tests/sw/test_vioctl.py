"""H_VIOCTL: the interrupt modes of a virtual adapter's queues, and what a server can ask for."""

import pytest

from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.vioctl import VioSubfunction

PAGE = 4096
COMMAND = 0x80 << 56
DONE = (ReturnCode.H_SUCCESS, 0, 0)
REFUSED = (ReturnCode.H_PARAMETER, 0, 0)
ENABLE = VioSubfunction.ENABLE_VIO_INTERRUPT
DISABLE = VioSubfunction.DISABLE_VIO_INTERRUPT
DISABLE_ALL = VioSubfunction.DISABLE_ALL_VIO_INTERRUPTS


@pytest.fixture
def queues(shared):
    """Queues of the client with handlers that note their names: CRQ, and two sub-CRQs.

    Returns a function that sends an element to each, and returns who was interrupted; the sources;
    and the client's H_VIOCTL for its own adapter.
    """
    client, server = shared.vnic
    hcalls = shared.hosted.hcalls
    shared.map_new_page(client, 4 * PAGE)
    registered = [hcalls.h_reg_sub_crq(client.unit, 4 * PAGE, PAGE)[1:] for _ in range(2)]
    sources = [client.irq, *(irq for _handle, irq in registered)]
    rung = []
    for number, source in enumerate(sources):
        shared.hosted.on_interrupt(source, lambda number=number: rung.append(number))

    def send():
        rung.clear()
        shared.hosting.hcalls.h_send_crq(server.unit, COMMAND, 0)
        for handle, _irq in registered:
            send_sub = shared.hosting.hcalls.h_send_sub_crq
            assert send_sub(server.unit, handle, COMMAND, 0, 0, 0) is ReturnCode.H_SUCCESS
            # The two queues share a page: free the element for the other one.
            address = hcalls.h_get_tce(client.liobn, 4 * PAGE)[1] & -PAGE
            shared.hosted.memory.write(address, bytes(PAGE))
        shared.manager.dispatch()
        return rung.copy()

    def vioctl(subfunction, *parameters):
        return hcalls.h_vioctl(client.unit, subfunction, *parameters, *[0] * (3 - len(parameters)))

    return send, sources, vioctl


def test_registering_disables_and_each_source_is_enabled_by_itself(queues):
    send, sources, vioctl = queues
    assert send() == [0]  # The machine enables CRQs when it opens the connection.
    assert vioctl(ENABLE, sources[2]) == DONE
    assert send() == [0, 2]
    assert vioctl(DISABLE, sources[0]) == DONE
    assert vioctl(ENABLE, sources[1]) == DONE
    assert send() == [1, 2]
    assert vioctl(DISABLE_ALL) == DONE
    assert send() == []


def test_what_comes_while_disabled_is_lost_and_what_was_signalled_is_presented(shared, queues):
    _send, sources, vioctl = queues
    rung = []
    server = shared.vnic.server
    send_crq = shared.hosting.hcalls.h_send_crq
    shared.hosted.on_interrupt(sources[0], lambda: rung.append("CRQ"))
    vioctl(DISABLE, sources[0])
    send_crq(server.unit, COMMAND, 0)
    vioctl(ENABLE, sources[0])
    shared.manager.dispatch()
    assert rung == []
    send_crq(server.unit, COMMAND, 0)
    vioctl(DISABLE_ALL)
    shared.manager.dispatch()
    assert rung == ["CRQ"]


def test_a_crq_that_is_registered_again_starts_disabled(shared, queues):
    _send, sources, vioctl = queues
    client = shared.vnic.client
    assert shared.hosted.hcalls.h_free_crq(client.unit) is ReturnCode.H_SUCCESS
    assert vioctl(ENABLE, sources[1]) == REFUSED  # Its queue went with the CRQ.
    shared.hosted.hcalls.h_put_tce(client.liobn, 0, 0x8003)
    assert shared.hosted.hcalls.h_reg_crq(client.unit, 0, PAGE) is ReturnCode.H_SUCCESS
    shared.hosting.hcalls.h_send_crq(shared.vnic.server.unit, COMMAND, 0)
    assert not shared.manager.dispatch()
    assert vioctl(ENABLE, sources[0]) == DONE
    shared.hosting.hcalls.h_send_crq(shared.vnic.server.unit, COMMAND, 0)
    assert shared.manager.dispatch()


def test_a_server_learns_that_an_entry_has_one_clone_at_a_time(shared):
    asked = VioSubfunction.GET_MAX_REDIRECTED_MAPPINGS
    client, server = shared.vnic
    answer = shared.hosting.hcalls.h_vioctl(server.unit, asked, 0, 0, 0)
    assert answer == (ReturnCode.H_SUCCESS, 0, 1)
    assert shared.hosted.hcalls.h_vioctl(client.unit, asked, 0, 0, 0) == REFUSED
    assert shared.hosting.hcalls.h_vioctl(server.unit, asked, 0, 1, 0) == REFUSED


def test_refusals_come_in_order(shared, queues):
    _send, sources, vioctl = queues
    client, server = shared.vnic
    call = shared.hosted.hcalls.h_vioctl
    for subfunction in (0, 1, 0x8, 0x11, 0x1E, 1 << 32 | ENABLE):
        assert call(0, subfunction, 1, 1, 1) == (ReturnCode.H_NOT_FOUND, 0, 0)
    for unit in (0, server.unit, shared.other_vnic.client.unit, client.liobn):
        assert call(unit, ENABLE, sources[0], 0, 0) == REFUSED
    for source in (0, sources[2] + 1, server.irq, shared.other_vnic.client.irq):
        assert vioctl(ENABLE, source) == REFUSED
        assert vioctl(DISABLE, source) == REFUSED
    for parameters in ((sources[0], 1, 0), (sources[0], 0, 1)):
        assert vioctl(DISABLE, *parameters) == REFUSED
    for parameters in ((sources[0], 0, 0), (0, 1, 0), (0, 0, 1)):
        assert vioctl(DISABLE_ALL, *parameters) == REFUSED


def test_enabling_a_crq_asks_for_an_adapter_only(shared):
    client = shared.vnic.client
    enable = shared.hosted.hcalls.h_enable_crq
    assert enable(client.unit) is ReturnCode.H_SUCCESS
    shared.hosted.hcalls.h_free_crq(client.unit)
    assert enable(client.unit) is ReturnCode.H_SUCCESS
    assert not client.is_open
    for unit in (0, shared.vnic.server.unit, -1):
        assert enable(unit) is ReturnCode.H_PARAMETER
