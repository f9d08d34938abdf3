"""The virtual hosted device driver when things go away: the server, the ring, the wire, memory.

Shown: frames under way are lost and told so, mappings stay, and the set-up begins anew; rubbish
from a server is survived; what is in the way is named.
"""

import random
import re
import struct

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from byway.sw.contract.registers import FaultReason, RingStopReason
from byway.sw.hosting.transmit_ring import CREDIT
from byway.sw.stack.network_device import Frame, FrameOutcome
from byway.sw.vnic.codes import ErrorCause, LinkState

SENT, LOST = FrameOutcome.SENT, FrameOutcome.LOST
CONTENT = bytes((7 * n + n // 251) % 256 for n in range(50_000))


def payload_of(segments: list[bytes]) -> bytes:
    """What the segments carry, by their sequence numbers; every checksum is checked."""
    parts = {}
    for segment in segments:
        packet = Ether(segment)
        again = Ether(segment)
        del again[IP].chksum
        del again[TCP].chksum
        assert bytes(again) == segment
        parts[packet[TCP].seq] = bytes(packet[TCP].payload)[: packet[IP].len - 40]
    return b"".join(part for _, part in sorted(parts.items()))


def test_a_server_that_comes_back_finds_the_mappings_again(share):
    machine = share.machine()
    device = machine.device()
    user = share.Recorder()
    device.attach(user)
    fragment = machine.payload(device, CONTENT)
    closing = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    machine.model.paused = True
    outcomes: list[FrameOutcome] = []
    device.transmit([share.tcp_frame((closing,), outcomes, mss=1448)])
    machine.manager.dispatch()
    device.unmap(closing.mapping)
    machine.model.rings[1].active = False  # The frames are still in memory when the ring goes.
    machine.sessions[0].reset()
    machine.manager.dispatch()
    assert outcomes == [LOST]
    assert user.links == [True, False, True]
    machine.model.paused = False
    device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])
    machine.manager.dispatch()
    assert outcomes == [LOST, SENT]
    assert payload_of([frame for _, frame in machine.model.wire]) == CONTENT


def test_a_stopped_ring_is_told_and_runs_again(share):
    machine = share.machine()
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    fragment = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    machine.model.paused = True
    device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)] * 3)
    machine.manager.dispatch()
    ring = machine.model.rings[1]
    machine.model.run_ring(ring, frames=1)
    machine.model.stop(ring, RingStopReason.DESCRIPTOR_REFUSED)
    machine.model.paused = False
    machine.manager.dispatch()
    assert outcomes == [SENT, LOST, LOST]
    assert device.errors == {0: 1}
    device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])
    machine.manager.dispatch()
    assert outcomes[-1] is SENT
    assert machine.driver.stops == {(1, RingStopReason.DESCRIPTOR_REFUSED): 1}


def test_refused_memory_is_told_and_the_ring_comes_back(share):
    """The client takes memory back without asking: its frames are lost, it is told, it goes on."""
    machine = share.machine(clients=2)
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    fragment = machine.payload(device, CONTENT)
    taken_back = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    end = machine.connections[0].client
    rpn = end.owner.memory.physical_page(taken_back.address // 4096 + 1)
    entries = range(end.window.pages)
    (index,) = [page for page in entries if end.window.entry(page).rpn == rpn]
    end.owner.hcalls.h_put_tce(end.liobn, index * 4096, 0)
    machine.model.paused = True
    device.transmit(
        [
            share.tcp_frame((piece,), outcomes, mss=1448)
            for piece in (fragment, taken_back, fragment)
        ]
    )
    machine.manager.dispatch()
    machine.model.paused = False
    machine.model.run()
    machine.manager.dispatch()
    assert outcomes == [SENT, FrameOutcome.REFUSED, LOST]
    assert device.errors == {ErrorCause.DEVICE_DRIVER_PROBLEM: 1}
    # The detail names the place as the client knows it.
    (detail,) = device.error_details
    assert machine.sessions[0].errors == {1: detail}
    assert (detail.stop, detail.reason, detail.write) == (0, FaultReason.READ_DENIED, 0)
    assert detail.map_id == taken_back.mapping
    assert detail.ioba // 4096 == index
    device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])
    machine.manager.dispatch()
    assert outcomes[-1] is SENT
    assert device.link_up


@pytest.mark.parametrize("sends", [0, 3])
def test_a_device_whose_frames_all_fault_is_set_up_anew_if_it_ever_sent(share, sends):
    """The server takes its ring down, which is fatal; another client does not notice."""
    machine = share.machine(clients=2, rings=3)
    device = machine.device()
    user = share.Recorder()
    device.attach(user)
    outcomes: list[FrameOutcome] = []
    taken_back = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    for _ in range(sends):
        device.transmit([Frame(share.header(0), on_complete=outcomes.append)])
        machine.manager.dispatch()
    end = machine.connections[0].client
    pages = {end.owner.memory.physical_page(taken_back.address // 4096 + n) for n in range(5)}
    for index in range(end.window.pages):
        if end.window.entry(index).rpn in pages:
            end.owner.hcalls.h_put_tce(end.liobn, index * 4096, 0)
    for _ in range(CREDIT + 1):
        device.transmit([share.tcp_frame((taken_back,), outcomes, mss=1448)])
        machine.manager.dispatch()
    assert outcomes[:sends] == [SENT] * sends
    assert SENT not in outcomes[sends:]
    assert len(outcomes) == sends + CREDIT + 1
    assert device.errors == {ErrorCause.DEVICE_DRIVER_PROBLEM: CREDIT + 1}
    if sends:
        assert user.links == [True, False, True]
    else:
        assert user.links == [True, False]
        assert device.failure == "the server met a fatal error"
        assert machine.driver.free_rings == 2
        device.start()
        machine.manager.dispatch()
        assert user.links == [True, False, True]
    share.assert_other_client_sends(machine)


def test_the_wire_going_down_takes_the_link_down(share):
    machine = share.machine()
    device = machine.device()
    user = share.Recorder()
    device.attach(user)
    machine.interface.announce_link(LinkState.DOWN)
    machine.manager.dispatch()
    assert device.free_entries == device.transmit([Frame(share.header(0))]) == 0
    with pytest.raises(RuntimeError, match=r"^the link is down$"):
        device.map(4096, 10)
    machine.interface.announce_link(LinkState.UP)
    machine.manager.dispatch()
    assert user.links == [True, False, True]


def test_two_clients_that_race_for_the_last_ring_do_not_both_get_it(share):
    machine = share.machine(clients=2)
    devices = [
        share.HostedDriver(connection.client, share.MACS[1 + number])
        for number, connection in enumerate(machine.connections)
    ]
    for device in devices:
        device.start()
    machine.manager.dispatch()
    assert [device.link_up for device in devices].count(True) == 1
    (loser,) = [device for device in devices if not device.link_up]
    assert loser.failure == "MAX_TX_QUEUES is 0: the server has no queue left"
    winner = 1 - devices.index(loser)
    machine.manager.terminate(machine.partitions[winner])
    machine.manager.dispatch()
    loser.start()
    machine.manager.dispatch()
    assert loser.link_up
    assert not loser.failure


def test_a_server_that_is_gone_for_good_is_named(share):
    machine = share.machine()
    device = machine.device()
    user = share.Recorder()
    device.attach(user)
    machine.manager.terminate(machine.hosting)
    machine.manager.dispatch()
    assert user.links == [True, False]
    assert device.failure == "H_REG_CRQ: H_NOT_FOUND"


def test_an_adapter_without_room_for_the_device_is_named(share):
    machine = share.machine(window_bytes=64 * 4096)
    device = machine.device()
    assert not device.link_up
    assert re.fullmatch(r"the adapter's window has \d+ pages left, 112 are needed", device.failure)
    assert machine.driver.free_rings == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_server_that_sends_rubbish_is_survived(share, seed):
    generator = random.Random(seed)
    machine = share.machine()
    device = machine.device()
    user = share.Recorder()
    device.attach(user)
    end = machine.connections[0].server
    hcalls = machine.hosting.hcalls
    handles = list(machine.connections[0].client.sub_crqs)
    outcomes: list[FrameOutcome] = []
    machine.model.paused = True
    taken = 0
    for _ in range(200):
        taken += device.transmit([Frame(share.header(0), on_complete=outcomes.append)])
        if generator.randrange(2):
            kind = generator.choice((0x80, 0x81, 0x84, 0x92, 0x12, 0x08, 0x9E, 0x9F))
            element = bytes((0x80, kind)) + generator.randbytes(14)
            hcalls.h_send_crq(end.unit, *struct.unpack(">2Q", element))
        count = generator.randrange(8)
        content = bytes((0x80, count)) + generator.randbytes(10) + bytes(range(20))
        hcalls.h_send_sub_crq(end.unit, generator.choice(handles), *struct.unpack(">4Q", content))
        machine.manager.dispatch()
    assert len(outcomes) <= taken, f"seed {seed}"
    machine.sessions[0].reset()
    machine.model.paused = False
    machine.manager.dispatch()
    if device.failure:  # Some of the rubbish was an error that is fatal.
        device.start()
        machine.manager.dispatch()
    assert len(outcomes) == taken
    assert device.link_up


def test_a_client_that_is_terminated_leaves_its_ring_and_its_memory(share):
    machine = share.machine(clients=2)
    first = machine.device(0)
    fragment = machine.payload(first, CONTENT)
    machine.manager.dispatch()
    machine.model.paused = True
    first.transmit([share.tcp_frame((fragment,), [], mss=1448)])
    machine.manager.dispatch()
    machine.manager.terminate(machine.partitions[0])
    machine.model.paused = False
    machine.model.run()
    machine.manager.dispatch()
    assert not machine.model.wire
    assert machine.sessions[0].path is None
    assert machine.driver.free_rings == 1
    second = machine.device(1)
    outcomes: list[FrameOutcome] = []
    fragment = machine.payload(second, CONTENT, 1)
    second.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])
    machine.manager.dispatch()
    assert outcomes == [SENT]
    assert payload_of([frame for _, frame in machine.model.wire]) == CONTENT
