"""The partition manager as a whole: partitions, the adapter's owner, dispatch, counters, death."""

import pytest

from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    MANAGER_PAGE,
    WINDOW_PAGE,
    AdapterPage,
    FaultReason,
    IdentityPage,
    ManagerPage,
    WindowPage,
)
from byway.sw.manager.adapter_sharing import FaultRecord, HardwareError, RingReset
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.memory import PartitionFault
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.tables import UNMAPPED

PAGE = 4096
COMMAND = 0x80 << 56


# ---------------------------------------------------------------- configuration


def test_partitions_share_no_page(machine):
    partitions = (machine.hosting, machine.hosted, machine.other)
    assert machine.manager.partitions == list(partitions)
    assert [p.number for p in partitions] == [1, 2, 3]
    pages = [p.memory.physical_page(n) for p in partitions for n in range(64)]
    assert len(set(pages)) == 3 * 64


def test_impossible_configurations_are_refused_with_their_reason(machine):
    manager, hosting = machine.manager, machine.hosting
    with pytest.raises(ValueError, match="memory must be a positive multiple of 4096, not 100"):
        manager.create_partition("x", 100)
    with pytest.raises(ValueError, match="there is a partition hosted already"):
        manager.create_partition("hosted", PAGE)
    with pytest.raises(MemoryError, match="pages asked for"):
        manager.create_partition("x", 1 << 30)
    with pytest.raises(ValueError, match="partition hosting cannot be its own server"):
        manager.connect_vnic(hosting, hosting)
    with pytest.raises(ValueError, match="a window must be a positive multiple of 4096, not 0"):
        manager.connect_vnic(machine.hosted, hosting, window_bytes=0)
    manager.assign_adapter(hosting)
    with pytest.raises(ValueError, match="the adapter is assigned to hosting already"):
        manager.assign_adapter(machine.hosted)


def test_an_adapter_with_fewer_windows_than_rings_cannot_be_shared(make_hardware):
    manager = PartitionManager(make_hardware(rings=4, windows=2))
    with pytest.raises(ValueError, match="the adapter has 4 rings and 2 windows"):
        manager.assign_adapter(manager.create_partition("p", PAGE))


# ---------------------------------------------------------------- the adapter's owner


def test_assigning_binds_each_ring_to_an_enabled_window_of_its_own(shared):
    page = ManagerPage(shared.hardware.registers, MANAGER_PAGE)
    windows = WindowPage(shared.hardware.registers, WINDOW_PAGE)
    bases = set()
    for ring in range(2):
        binding = page.binding[ring].read()
        assert (binding.valid, binding.window) == (1, ring)
        window = windows.window[ring]
        assert window.control.read().enable == 1
        assert window.size.read().entries == shared.adapter.window_bytes // PAGE
        bases.add(window.table_base.read().page)
    assert len(bases) == len(set(shared.adapter.liobn)) == 2
    assert page.interrupt_enable.read().fault == 1
    partitions = (shared.hosting, shared.hosted, shared.other)
    assert all(p.memory.logical_page(base) is None for p in partitions for base in bases)


def test_the_owner_has_its_pages_of_the_register_space_and_no_others(shared):
    adapter, registers = shared.adapter, shared.hardware.registers
    assert IdentityPage(adapter.identity_page).geometry.read().rings == 2
    adapter.adapter_page.write(0x404, 0x1234)
    assert registers.read(ADAPTER_PAGE + 0x404) == 0x1234
    adapter.doorbell[1].write(0, 7)
    assert registers.read(DOORBELL_PAGE + DOORBELL_STRIDE) == 7
    for offset in (-4, PAGE, 2, MANAGER_PAGE - ADAPTER_PAGE):
        with pytest.raises(PartitionFault, match="partition hosting has no register at"):
            adapter.adapter_page.read(offset)
        with pytest.raises(PartitionFault, match="partition hosting has no register at"):
            adapter.adapter_page.write(offset, 0)
    with pytest.raises(PartitionFault, match="partition hosting may not write register 0xc"):
        adapter.identity_page.write(0xC, 0)


def test_an_invalidation_that_never_ends_is_a_failure_of_the_hardware(shared):
    put = shared.hosting.hcalls.h_put_tce
    put(shared.adapter.liobn[1], 0, 0x1003)
    shared.hardware.bridge.stuck = True
    with pytest.raises(HardwareError, match="invalidation of window 1 is busy after 10000 reads"):
        put(shared.adapter.liobn[1], 0, 0)


def test_refused_accesses_are_recorded_counted_and_told_to_the_owner(shared):
    told = []
    adapter, faults = shared.adapter, shared.manager.faults
    shared.hosting.on_interrupt(adapter.fault_interrupt, lambda: told.append(dict(adapter.resets)))
    hardware = shared.hardware
    far = 0x1_2345_6789_A000
    hardware.dma_read(0, far, 4)
    hardware.dma_write(1, 0x3008, b"x")
    assert shared.manager.dispatch()
    expected = [
        FaultRecord(requester=0, window=0, reason=FaultReason.EXTENT, write=False, address=far),
        FaultRecord(
            requester=1, window=1, reason=FaultReason.NOT_MAPPED, write=True, address=0x3008
        ),
    ]
    assert list(faults) == expected
    assert told == [{fault.requester: RingReset(fault, 0) for fault in expected}]
    assert hardware.bridge.resets == [0, 1]
    adapter.resets.clear()

    # A storm of one ring is told to the owner as one reset, and every access of it is counted.
    for _ in range(10):
        hardware.dma_read(1, 0, 1)
    hardware.dma_read(0, far, 4)
    shared.manager.dispatch()
    assert len(faults) == 2 + 5 + 1
    assert hardware.bridge.resets == [0, 1, 0, 1]
    assert adapter.resets[1] == RingReset(faults[-2], 4 + 5)
    assert adapter.resets[0].fault == faults[-1]
    # What the owner has not taken note of yet is kept.
    hardware.dma_read(1, 0x5000, 1)
    shared.manager.dispatch()
    assert adapter.resets[1] == RingReset(faults[-1], 10)
    counters = shared.manager.counters
    assert (counters.faults, counters.faults_lost, counters.ring_resets) == (9, 5, 5)
    assert not hardware.manager_interrupt
    assert not shared.manager.dispatch()


# ---------------------------------------------------------------- dispatch and counters


def test_the_adapters_line_calls_its_owner_until_it_is_low(shared):
    calls = []

    def handler():
        calls.append(shared.manager.running)
        shared.hardware.adapter_interrupt = len(calls) < 3

    shared.hosting.on_interrupt(shared.adapter.interrupt, handler)
    assert not shared.manager.dispatch()
    shared.hardware.adapter_interrupt = True
    assert shared.manager.dispatch()
    assert calls == [shared.hosting] * 3
    assert shared.manager.counters.interrupts == 3


def test_a_line_that_is_never_cleared_starves_nobody_and_ends_the_call(shared):
    served = []
    shared.hosting.on_interrupt(shared.adapter.interrupt, lambda: None)
    shared.hosted.on_interrupt(shared.vnic.client.irq, lambda: served.append("hosted"))
    shared.hosting.hcalls.h_send_crq(shared.vnic.server.unit, COMMAND, 0)
    shared.hardware.adapter_interrupt = True
    assert shared.manager.dispatch()
    assert served == ["hosted"]


def test_crossings_count_every_change_of_the_running_partition(machine):
    seen = []
    manager = PartitionManager(
        machine.hardware, on_crossing=lambda a, b: seen.append((a.name, b.name))
    )
    a, b = (manager.create_partition(name, 8 * PAGE) for name in "ab")
    assert manager.running is None
    for partition in (a, a, b, b, a):
        partition.hcalls.h_get_tce(0, 0)
    manager.switch_to(a)
    manager.switch_to(b)
    assert seen == [("a", "b"), ("b", "a"), ("a", "b")]
    assert manager.counters.crossings == 3
    assert manager.running is b


def test_a_batch_of_messages_costs_one_crossing_each_way(shared):
    def serve():
        for _ in range(5):
            shared.hosting.hcalls.h_send_crq(shared.vnic.server.unit, COMMAND, 0)

    shared.hosting.on_interrupt(shared.vnic.server.irq, serve)
    shared.hosted.on_interrupt(shared.vnic.client.irq, lambda: None)
    shared.manager.switch_to(shared.hosted)
    before = shared.manager.counters.crossings
    for _ in range(10):
        shared.hosted.hcalls.h_send_crq(shared.vnic.client.unit, COMMAND, 0)
    shared.manager.dispatch()
    assert shared.manager.counters.crossings == before + 2
    assert shared.manager.counters.messages == 15
    assert shared.manager.counters.interrupts == 2


def test_the_running_partitions_interrupts_come_before_a_switch(shared):
    order = []
    shared.hosting.on_interrupt(shared.vnic.server.irq, lambda: order.append("hosting"))
    shared.hosting.on_interrupt(shared.other_vnic.server.irq, lambda: order.append("hosting"))
    shared.hosted.on_interrupt(shared.vnic.client.irq, lambda: order.append("hosted"))
    shared.hosted.hcalls.h_send_crq(shared.vnic.client.unit, COMMAND, 0)
    shared.hosting.hcalls.h_send_crq(shared.vnic.server.unit, COMMAND, 0)
    shared.other.hcalls.h_send_crq(shared.other_vnic.client.unit, COMMAND, 0)
    shared.manager.switch_to(shared.hosted)
    shared.manager.dispatch()
    assert order == ["hosted", "hosting", "hosting"]


def test_hcalls_and_refusals_are_counted_by_name_and_observed(machine):
    seen = []
    manager = PartitionManager(
        machine.hardware, on_hcall=lambda *call: seen.append((call[0].name, *call[1:]))
    )
    caller = manager.create_partition("caller", 8 * PAGE)
    caller.hcalls.h_put_tce(1, 2, 3)
    caller.hcalls.h_put_tce(1, 2, tce=-3)
    caller.hcalls.h_free_crq(9)
    refused = ReturnCode.H_PARAMETER
    assert manager.counters.hcalls == {"h_put_tce": 2, "h_free_crq": 1}
    assert manager.counters.refusals == {
        ("caller", "h_put_tce", refused): 2,
        ("caller", "h_free_crq", refused): 1,
    }
    assert seen == [
        ("caller", "h_put_tce", (1, 2, 3), refused),
        ("caller", "h_put_tce", (1, 2, -3), refused),
        ("caller", "h_free_crq", (9,), refused),
    ]


# ---------------------------------------------------------------- death of partitions


def test_a_dead_client_leaves_no_way_to_its_memory(shared):
    manager, hardware = shared.manager, shared.hardware
    client, server = shared.vnic
    secret = shared.map_new_page(client, 4 * PAGE)
    shared.hosted.memory.write(secret, b"secret")
    place = (server.r_liobn, 4 * PAGE, shared.adapter.liobn[1], 0, 1)
    shared.hosting.hcalls.h_put_rtce(*place)
    assert hardware.dma_read(1, 0, 6) == b"secret"
    manager.terminate(shared.hosted)
    assert hardware.dma_read(1, 0, 6) is None
    assert {client.window.entry(index) for index in range(client.window.pages)} == {UNMAPPED}
    assert shared.hosting.hcalls.h_put_rtce(*place) == (ReturnCode.H_REMOTE_PARM, 0)
    copy = shared.hosting.hcalls.h_copy_rdma
    assert copy(6, server.r_liobn, 4 * PAGE, server.liobn, 0) is ReturnCode.H_SOURCE_PARM
    queue = shared.hosting.hcalls.h_get_tce(server.liobn, 0)[1] & ~(PAGE - 1)
    assert shared.hosting.memory.read(queue, 2) == b"\xff\x01"
    assert shared.hosting.hcalls.h_send_crq(server.unit, COMMAND, 0) is ReturnCode.H_CLOSED
    assert shared.hosting.hcalls.h_remove_rtce(*place, 0) == (ReturnCode.H_SUCCESS, 1)


def test_death_revokes_even_what_the_bit_bucket_attribute_would_hold(machine):
    vnic = machine.connect(machine.hosted, bit_bucket_allowed=False)
    machine.open(vnic)
    adapter = machine.manager.assign_adapter(machine.hosting, window_bytes=16 * PAGE)
    machine.map_new_page(vnic.client, 4 * PAGE)
    place = (vnic.server.r_liobn, 4 * PAGE, adapter.liobn[0], 0, 1)
    machine.hosting.hcalls.h_put_rtce(*place)
    assert machine.hardware.dma_read(0, 0, 1) is not None
    machine.manager.terminate(machine.hosted)
    assert machine.hardware.dma_read(0, 0, 1) is None


def test_a_dead_partition_has_nothing_and_its_pages_serve_others(shared):
    manager, hosted, client = shared.manager, shared.hosted, shared.vnic.client
    hosted.memory.write(0, b"secret")
    manager.terminate(hosted)
    assert hosted not in manager.partitions
    with pytest.raises(ValueError, match="partition hosted has ended"):
        manager.terminate(hosted)
    with pytest.raises(ValueError, match="partition hosted has ended"):
        manager.connect_vnic(hosted, shared.hosting)
    assert hosted.hcalls.h_put_tce(client.liobn, 0, 3) is ReturnCode.H_PARAMETER
    assert hosted.hcalls.h_send_crq(client.unit, COMMAND, 0) is ReturnCode.H_PARAMETER
    with pytest.raises(PartitionFault):
        hosted.memory.read(0, 1)
    heir = manager.create_partition("heir", 700 * PAGE)
    assert not any(heir.memory.read(0, heir.memory.size))


def test_a_dead_owner_loses_the_adapter_and_its_clients_live_on(shared):
    manager, hardware, hosting = shared.manager, shared.hardware, shared.hosting
    hosting.hcalls.h_put_tce(shared.adapter.liobn[0], 0, 0x1003)
    assert hardware.dma_read(0, 0, 1) is not None
    AdapterPage(shared.adapter.adapter_page).ring[0].control.write(enable=1)
    manager.terminate(hosting)
    assert hardware.dma_read(0, 0, 1) is None
    assert hardware.bridge.fault_queue.pop().reason is FaultReason.UNBOUND
    with pytest.raises(PartitionFault):
        shared.adapter.doorbell[0].write(0, 1)
    ring = AdapterPage(hardware.registers, ADAPTER_PAGE).ring[0]
    assert ring.control.read().enable == 0
    assert shared.hosted.hcalls.h_free_crq(shared.vnic.client.unit) is ReturnCode.H_SUCCESS
    adapter = manager.assign_adapter(shared.other, window_bytes=16 * PAGE)
    assert shared.other.hcalls.h_put_tce(adapter.liobn[0], 0, 0x1001) is ReturnCode.H_SUCCESS
    assert hardware.dma_read(0, 0, 2) == shared.other.memory.read(0x1000, 2)


def test_the_rings_that_reach_memory_of_the_dead_are_reset_before_it_is_taken_away(shared):
    client, server = shared.vnic
    shared.map_new_page(client, 4 * PAGE)
    for ring in (0, 1):
        place = (server.r_liobn, 4 * PAGE, shared.adapter.liobn[ring], ring * PAGE, 1)
        if ring:
            shared.map_new_page(client, 5 * PAGE)
            place = (server.r_liobn, 5 * PAGE, *place[2:])
        assert shared.hosting.hcalls.h_put_rtce(*place) == (ReturnCode.H_SUCCESS, 1)
    reachable = []
    shared.hardware.bridge.on_reset = lambda ring: reachable.append(
        shared.hardware.dma_read(ring, ring * PAGE, 1) is not None
    )
    told = []
    shared.hosting.on_interrupt(
        shared.adapter.fault_interrupt, lambda: told.append(dict(shared.adapter.resets))
    )
    shared.manager.terminate(shared.hosted)
    assert reachable == [True, True]
    assert shared.hardware.bridge.resets == [0, 1]
    assert shared.manager.counters.ring_resets == 2
    shared.manager.dispatch()
    assert told == [{0: RingReset(None, 0), 1: RingReset(None, 0)}]
    assert not shared.manager.faults


def test_a_reset_that_never_ends_is_a_failure_of_the_hardware(shared):
    shared.hardware.dma_read(1, 0, 1)
    shared.hardware.bridge.stuck = True
    with pytest.raises(HardwareError, match="ring 1 is being reset after 100000 reads"):
        shared.manager.dispatch()


@pytest.mark.parametrize("enabled", [0, 1])
def test_the_transmitter_runs_while_a_ring_is_reset_whatever_its_owner_wants(shared, enabled):
    """Frames of others that are before those of the ring can leave only by it."""
    switch = AdapterPage(shared.hardware.registers, ADAPTER_PAGE).mac_control
    switch.write(transmit_enable=enabled)
    meanwhile = []

    class Watch:
        def read(self, offset):
            meanwhile.append(switch.read().transmit_enable)
            return bus.read(offset)

        def write(self, offset, value):
            bus.write(offset, value)

    bus = shared.hardware.registers.pages[MANAGER_PAGE // PAGE]
    shared.hardware.registers.pages[MANAGER_PAGE // PAGE] = Watch()
    shared.hardware.dma_read(1, 0, 1)
    shared.manager.dispatch()
    assert 1 in meanwhile
    assert switch.read().transmit_enable == enabled


# ---------------------------------------------------------------- software that vanishes


def test_a_partition_begins_anew_after_its_software_has_vanished(shared):
    manager, hosted, client = shared.manager, shared.hosted, shared.vnic.client
    address = hosted.memory.allocate(3 * PAGE)
    hosted.memory.write(address, b"secret")
    hosted.on_interrupt(client.irq, lambda: pytest.fail("it was gone"))
    shared.hosting.hcalls.h_send_crq(shared.vnic.server.unit, COMMAND, 0)
    manager.restart(hosted)
    manager.dispatch()
    assert not any(hosted.memory.read(0, hosted.memory.size))
    assert hosted.memory.allocate(hosted.memory.size - PAGE) == PAGE
    assert {client.window.entry(index) for index in range(client.window.pages)} == {UNMAPPED}
    send = shared.hosting.hcalls.h_send_crq
    assert send(shared.vnic.server.unit, COMMAND, 0) is ReturnCode.H_CLOSED

    # Its virtual adapter is as it was at first.
    hosted.memory.clear()
    shared.map_new_page(client, 0)
    assert hosted.hcalls.h_reg_crq(client.unit, 0, PAGE) is ReturnCode.H_SUCCESS
    assert send(shared.vnic.server.unit, COMMAND, 0) is ReturnCode.H_SUCCESS


def test_an_owner_that_begins_anew_can_be_given_the_adapter_again(shared):
    manager, hosting, adapter = shared.manager, shared.hosting, shared.adapter
    hosting.hcalls.h_put_tce(adapter.liobn[0], 0, 0x1003)
    manager.restart(hosting)
    assert shared.hardware.bridge.resets == [0, 1]
    assert shared.hardware.dma_read(0, 0, 1) is None
    for page in (adapter.adapter_page, *adapter.doorbell):
        with pytest.raises(PartitionFault):
            page.write(0, 0)
    for source in (adapter.interrupt, adapter.fault_interrupt):
        with pytest.raises(PartitionFault):
            hosting.on_interrupt(source, None)
    assert hosting.hcalls.h_put_tce(adapter.liobn[0], 0, 0x1003) is ReturnCode.H_PARAMETER
    again = manager.assign_adapter(hosting, window_bytes=16 * PAGE)
    assert hosting.hcalls.h_put_tce(again.liobn[0], 0, 0x1003) is ReturnCode.H_SUCCESS
    assert shared.hardware.dma_read(0, 0, 1) is not None
    manager.terminate(hosting)
    with pytest.raises(ValueError, match="partition hosting has ended"):
        manager.restart(hosting)
