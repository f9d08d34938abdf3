"""The virtual hosted device driver over the real manager and a model of the adapter.

Shown: the set-up in Linux's order grants what the adapter has and no more; frames reach the wire
from the client's own memory, without a copy, with two crossings for any batch; grants end when the
client says so; a server that goes away and comes back costs the frames under way and nothing else.
"""

import re
from itertools import starmap

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from byway.sw.functions import AdvancedFunctions, SuperFrameLimits
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.hosted.set_up import Wishes
from byway.sw.manager.crq_hcalls import MAXIMUM_INDIRECT
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, Offload
from byway.sw.vnic.codes import Command
from byway.sw.vnic.descriptors import elements_of

SENT, REFUSED, LOST = FrameOutcome.SENT, FrameOutcome.REFUSED, FrameOutcome.LOST
FUNCTIONS = tuple(AdvancedFunctions().functions)
CONTENT = bytes((7 * n + n // 251) % 256 for n in range(50_000))


def commands_sent(machine) -> list[str]:
    """Names of the commands that the client sent, repetitions left out."""
    names: list[str] = []
    for caller, name, arguments in machine.calls:
        if caller != "hosting" and name == "h_reg_sub_crq":
            names.append("sub-CRQ")
        elif caller != "hosting" and name == "h_send_crq" and arguments[1] >> 56 == 0x80:
            names.append(Command(arguments[1] >> 48 & 0xFF).name)
    return [name for n, name in enumerate(names) if names[:n][-1:] != [name]]


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


def test_the_set_up_follows_the_order_of_linux(share):
    machine = share.machine()
    machine.device()
    assert commands_sent(machine) == [
        "VERSION_EXCHANGE",
        "QUERY_CAPABILITY",
        "REQUEST_CAPABILITY",
        "QUERY_IP_OFFLOAD",
        "CONTROL_IP_OFFLOAD",
        "sub-CRQ",
        "LOGIN",
        "CHANGE_MAC_ADDR",
        "GET_VPD_SIZE",
        "GET_VPD",
        "QUERY_MAP",
        "REQUEST_MAP",
        "LOGICAL_LINK_STATE",
    ]


def test_the_device_has_what_the_adapter_has(share):
    device = share.machine().device()
    assert device.link_up
    assert all(getattr(device.features, name) for name in FUNCTIONS)
    assert device.features.maximum_fragments == 31
    assert device.features.super_frames == SuperFrameLimits(
        large_send_v4=65_535, large_send_v6=262_144, udp_segmentation=65_535
    )
    assert device.features.minimum_mss == 64
    assert device.features.mtu == 1500
    assert device.granted.vital_product_data == b"RM\x0bbyway 1.2.0"


def test_the_user_is_told_of_the_link_once_whenever_it_attaches(share):
    machine = share.machine()
    device = share.HostedDriver(machine.connections[0].client, share.MACS[1])
    early, late = share.Recorder(), share.Recorder()
    device.attach(early)
    device.start()
    machine.manager.dispatch()
    device.attach(late)
    assert early.links == late.links == [True]


def test_without_scatter_gather_a_frame_is_its_header(share):
    machine = share.machine(without=("scatter_gather",))
    device = machine.device()
    assert device.features.maximum_fragments == 1
    assert not device.features.scatter_gather
    assert device.transmit([Frame(share.header(1460) + bytes(1460))]) == 1
    machine.manager.dispatch()
    assert [len(frame) for _, frame in machine.model.wire] == [1514]


@pytest.mark.parametrize(
    ("wishes", "entries", "buffers", "mtu"),
    [
        (Wishes(transmit_entries=1, receive_buffers=1, mtu=40), 64, 16, 68),
        (Wishes(transmit_entries=1 << 20, receive_buffers=200, mtu=65535), 2048, 200, 9202),
    ],
)
def test_wishes_beyond_the_limits_are_capped(share, wishes, entries, buffers, mtu):
    device = share.machine().device(wishes=wishes)
    assert device.granted.transmit_entries == entries
    assert device.granted.receive_buffers == buffers
    assert device.features.mtu == mtu


def test_a_super_frame_reaches_the_wire_whole(share):
    machine = share.machine()
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    fragment = machine.payload(device, CONTENT)
    assert device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)]) == 1
    machine.manager.dispatch()
    assert outcomes == [SENT]
    rings, segments = zip(*machine.model.wire, strict=True)
    assert set(rings) == {1}
    assert [len(segment) for segment in segments] == [54 + 1448] * 34 + [54 + 50_000 - 34 * 1448]
    assert payload_of(list(segments)) == CONTENT


def test_transmitting_copies_no_byte_of_payload(share):
    machine = share.machine()
    device = machine.device()
    fragment = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    control = machine.manager.counters.bytes_copied["control"]
    machine.calls.clear()
    device.transmit([share.tcp_frame((fragment,), [], mss=1448)] * 8)
    machine.manager.dispatch()
    assert len(machine.model.wire) == 8 * 35
    assert machine.manager.counters.bytes_copied == {"control": control}
    assert not [call for call in machine.calls if call[1] == "h_copy_rdma"]


@pytest.mark.parametrize("frames", [1, 8, 60, 300])
def test_a_batch_costs_two_crossings_and_one_doorbell_and_few_hcalls(share, frames):
    machine = share.machine()
    device = machine.device()
    fragment = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    counters = machine.manager.counters
    crossings = counters.crossings
    machine.calls.clear()
    outcomes: list[FrameOutcome] = []
    assert device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)] * frames) == frames
    machine.manager.dispatch()
    assert outcomes == [SENT] * frames
    assert counters.crossings - crossings == 2
    assert machine.model.doorbells[1] == 1
    submissions = [call for call in machine.calls if call[0] != "hosting"]
    per_hcall = MAXIMUM_INDIRECT // elements_of(2)
    assert len(submissions) == -(-frames // per_hcall)


def test_frames_wait_in_order_until_their_memory_is_granted(share):
    machine = share.machine()
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    fragment = machine.payload(device, b"first")
    taken = device.transmit(
        [
            share.tcp_frame((fragment,), outcomes),
            Frame(share.header(0) + b"second", on_complete=outcomes.append),
        ]
    )
    assert taken == 2
    assert machine.manager.dispatch()
    assert outcomes == [SENT, SENT]
    assert [frame[54:] for _, frame in machine.model.wire] == [b"first", b"second"]


def test_frames_whose_memory_the_server_refuses_are_refused_and_others_go_on(share):
    machine = share.machine(window_bytes=1 << 20)
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    memory = machine.partitions[0].memory
    address = memory.allocate(1 << 20)
    fragment = Fragment(device.map(address, 1 << 20), address, 100)
    good = Frame(share.header(0) + b"good", on_complete=outcomes.append)
    device.transmit([share.tcp_frame((fragment,), outcomes), good])
    machine.manager.dispatch()
    assert sorted(outcome.name for outcome in outcomes) == ["REFUSED", "SENT"]
    assert [frame[54:] for _, frame in machine.model.wire] == [b"good"]


def test_unmapping_waits_for_the_last_frame_and_then_ends_the_adapters_reach(share):
    machine = share.machine()
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    fragment = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    machine.model.paused = True
    device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])
    device.unmap(fragment.mapping)
    machine.manager.dispatch()
    machine.calls.clear()
    machine.model.run()
    machine.manager.dispatch()
    assert outcomes == [SENT]
    assert payload_of([frame for _, frame in machine.model.wire]) == CONTENT
    (removal,) = [arguments for _, name, arguments in machine.calls if name == "h_remove_rtce"]
    assert machine.hardware.dma_read(1, removal[3], 1) is None
    names = [name for _, name, _ in machine.calls]
    assert names.index("h_remove_rtce") < names.index("h_stuff_tce")
    with pytest.raises(ValueError, match=rf"^nothing is mapped under {fragment.mapping}$"):
        device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])


def test_memory_outside_a_mapping_is_not_sent(share):
    machine = share.machine()
    device = machine.device()
    fragment = machine.payload(device, CONTENT)
    beyond = Fragment(fragment.mapping, fragment.address + 1, fragment.length)
    with pytest.raises(ValueError, match=r"^50000 bytes at 0x\w+ are not inside mapping"):
        device.transmit([share.tcp_frame((part,), [], mss=1448) for part in (fragment, beyond)])
    machine.manager.dispatch()
    assert not machine.model.wire


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (lambda share: Frame(b"short"), "header must have 14 to 1514 bytes, not 5"),
        (lambda share: Frame(bytes(1515)), "header must have 14 to 1514 bytes, not 1515"),
        (
            lambda share: Frame(share.header(0), (Fragment(1, 0, 1),) * 31),
            "frame must have at most 31 fragments, not 32",
        ),
        (
            lambda share: Frame(share.header(0), (Fragment(1, 0, 1500),)),
            "frame of 1554 bytes is too long for an MTU of 1500",
        ),
        (
            lambda share: Frame(
                share.header(0),
                (Fragment(1, 0, 70_000),),
                Offload(mss=1448, l3_length=20, l4_length=20),
            ),
            "super-frame must be an IP packet of at most 65535 bytes, not 70040",
        ),
        (
            lambda share: Frame(
                share.header(0),
                (Fragment(1, 0, 262_105),),
                Offload(mss=1400, l3_length=40, l4_length=20, ipv6=True),
            ),
            "super-frame must be an IP packet of at most 262144 bytes, not 262145",
        ),
        (
            lambda share: Frame(
                share.header(0),
                (Fragment(1, 0, 65_500),),
                Offload(udp_segmentation=True, mss=1400, l3_length=20, l4_length=8),
            ),
            "super-frame must be an IP packet of at most 65535 bytes, not 65540",
        ),
        (
            lambda share: Frame(share.header(0), offload=Offload(mss=63)),
            "MSS must be at least 64 bytes, not 63",
        ),
        (
            lambda share: Frame(share.header(0), offload=Offload(udp_segmentation=True)),
            "UDP segmentation needs an MSS",
        ),
        *(
            (
                lambda share, place=place: Frame(share.header(0), offload=Offload(generic=place)),
                re.escape(f"{place} has no place in a frame of 54 bytes"),
            )
            for place in starmap(GenericChecksum, [(34, 20), (33, 16), (34, 5), (12, 4), (34, -2)])
        ),
        (
            lambda share: Frame(share.header(0), offload=Offload(l2_length=256)),
            "headers must have at most 255 bytes, not 256",
        ),
    ],
)
def test_a_frame_that_the_device_cannot_send_is_named(share, frame, complaint):
    device = share.machine().device()
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        device.transmit([frame(share)])


def test_a_full_device_takes_what_it_has_room_for_and_goes_on_after_completions(share):
    machine = share.machine()
    device = machine.device(wishes=Wishes(transmit_entries=64))
    fragment = machine.payload(device, CONTENT)
    machine.manager.dispatch()
    machine.model.paused = True
    outcomes: list[FrameOutcome] = []
    frames = [share.tcp_frame((fragment,), outcomes, mss=1448)] * 30
    assert device.free_entries == 64 // elements_of(31)
    assert device.transmit(frames) == 64 // elements_of(2)
    assert device.free_entries == 0
    machine.model.paused = False
    machine.manager.dispatch()
    machine.model.run()
    machine.manager.dispatch()
    assert outcomes == [SENT] * 21
    assert device.transmit(frames) == 21


def test_a_ring_smaller_than_the_queue_keeps_frames_waiting_in_order(share):
    machine = share.machine(ring_log2=4)
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    frames = [
        Frame(share.header(0) + number.to_bytes(2, "big"), on_complete=outcomes.append)
        for number in range(100)
    ]
    machine.model.paused = True
    assert device.transmit(frames) == 100
    machine.manager.dispatch()
    assert not machine.model.wire
    machine.model.paused = False
    machine.model.run()
    machine.manager.dispatch()
    assert outcomes == [SENT] * 100
    order = [int.from_bytes(frame[54:], "big") for _, frame in machine.model.wire]
    assert order == list(range(100))


def test_frames_from_the_wire_reach_their_client_and_are_counted_as_copied(share):
    machine = share.machine(clients=2, rings=3)
    users = []
    for number in range(2):
        users.append(share.Recorder())
        machine.device(number).attach(users[-1])
    to_first = share.MACS[1] + bytes(54)
    to_second = share.MACS[2] + bytes(1508)
    to_all = b"\xff" * 6 + bytes(54)
    for frame in (to_first, to_second, to_all, bytes(60)):
        machine.driver.receive(frame)
    machine.manager.dispatch()
    assert [user.frames for user in users] == [[to_first, to_all], [to_second, to_all]]
    assert machine.manager.counters.bytes_copied["receive"] == 60 + 1514 + 60 + 60
    assert (machine.driver.received, machine.driver.unclaimed) == (4, 1)


def test_receive_buffers_come_back_without_interrupting_the_server(share):
    machine = share.machine()
    device = machine.device()
    user = share.Recorder()
    device.attach(user)
    crossings = machine.manager.counters.crossings
    for _ in range(40):
        for _ in range(10):
            machine.driver.receive(share.MACS[1] + bytes(54))
        machine.manager.dispatch()
    assert len(user.frames) == 400
    assert machine.manager.counters.crossings - crossings <= 2 * 40


def test_statistics_tell_what_went_over_the_wire(share):
    machine = share.machine()
    device = machine.device()
    fragment = machine.payload(device, CONTENT)
    device.transmit(
        [
            share.tcp_frame((fragment,), [], mss=1448),
            Frame(b"\xff" * 6 + share.header(0)[6:], offload=Offload(vlan_tag=7)),
            Frame(b"\x01" + share.header(0)[1:]),
        ]
    )
    machine.driver.receive(share.MACS[1] + bytes(54))
    answers = []
    device.request_statistics(answers.append)
    machine.manager.dispatch()
    device.request_statistics(answers.append)
    machine.manager.dispatch()
    statistics = answers[-1]
    assert (statistics.sent, statistics.received) == (37, 1)
    assert statistics.bytes_sent == sum(len(frame) for _, frame in machine.model.wire)
    assert statistics.bytes_received == 60
    assert statistics.unicast_sent == 35
    assert (statistics.broadcast_sent, statistics.multicast_sent) == (1, 1)
    assert statistics.unicast_received == 1
