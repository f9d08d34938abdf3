"""The hosting interface against clients with wrong frames, buffers and queues, and dead clients.

Shown: each wrong descriptor comes back with its return code and costs no other frame; what a client
had is taken back when it ends; whatever one client does, another client's frames go on.
"""

import random

import pytest
from scapy.layers import inet
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from byway.sim.flows.frames import tunnel
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.hosted.set_up import Wishes
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic import commands
from byway.sw.vnic.capabilities import Capability
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.descriptors import ScatterGatherEntry, TransmitFlag, elements_of
from byway.sw.vnic.ip_offload import IpOffloadControl
from byway.sw.vnic.receive import ReceiveBuffer

OK = VnicReturnCode.SUCCESS
EVERYTHING = IpOffloadControl(**dict.fromkeys(IpOffloadControl().functions, True))
TCP = TransmitFlag.COMPLETION | TransmitFlag.CHECKSUM | TransmitFlag.IPV4 | TransmitFlag.TCP
TCP_V6 = TCP & ~TransmitFlag.IPV4 | TransmitFlag.IPV6
UDP = TCP & ~TransmitFlag.TCP | TransmitFlag.UDP
USO = UDP | TransmitFlag.LARGE_SEND
#: Places of a generic checksum that are odd, outside the frame of 60 bytes, or too far for 8 bits.
NOWHERE = [(34, 26), (60, 0), (34, 7), (35, 16), (12, 4), (0xFFFF, 0xFFFF), (34, 256), (256, 16)]
UDP_HEADERS = {"l2_length": 14, "l3_length": 20, "l4_length": 8}
EXTENSIONS = {
    Capability.REQ_UDP_SEGMENTATION: 65_535,
    Capability.CHECKSUM_GENERIC_REQUESTED: 1,
}


@pytest.fixture
def machine(share):
    machine = share.machine(clients=2, rings=3)
    yield machine
    share.assert_other_client_sends(machine)


@pytest.fixture
def client(machine, share):
    return share.RawClient(machine)


@pytest.fixture
def user(client):
    """A client that is logged in with every offload."""
    return client.login(control=EVERYTHING, extensions=EXTENSIONS)


def test_a_good_frame_goes_out(user, machine, share):
    assert user.submit([user.frame(5).pack()]) is ReturnCode.H_SUCCESS
    assert user.completions() == [(OK, 5)]
    assert machine.model.wire == [(1, share.header(6) + bytes(6))]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"entries": (ScatterGatherEntry(9, 0x10000, 60),)}, VnicReturnCode.INVALID_IOBA),
        ({"entries": (ScatterGatherEntry(1, 4096, 60),)}, VnicReturnCode.INVALID_IOBA),
        ({"entries": (ScatterGatherEntry(1, 1 << 63, 60),)}, VnicReturnCode.INVALID_IOBA),
        ({"entries": (ScatterGatherEntry(1, 0, 1514),)}, VnicReturnCode.INVALID_IOBA),
        (
            {"flags": TCP | TransmitFlag.IPV6, "l2_length": 14, "l3_length": 40},
            VnicReturnCode.PARAMETER,
        ),
        ({"flags": TCP & ~TransmitFlag.IPV4}, VnicReturnCode.PARAMETER),
        ({"flags": TCP | TransmitFlag.LARGE_SEND}, VnicReturnCode.PARAMETER),
        (
            {"flags": (TCP & ~TransmitFlag.TCP) | TransmitFlag.LARGE_SEND, "mss": 1448},
            VnicReturnCode.PARAMETER,
        ),
        (
            {"flags": TCP | TransmitFlag.LARGE_SEND, "mss": 1500, "l2_length": 14},
            VnicReturnCode.PARAMETER,
        ),
        (
            {
                "flags": TCP | TransmitFlag.LARGE_SEND,
                "mss": 1500,
                "l2_length": 14,
                "l3_length": 20,
                "l4_length": 20,
            },
            VnicReturnCode.INVALID_LENGTH,
        ),
        *(({"generic": GenericChecksum(*place)}, VnicReturnCode.PARAMETER) for place in NOWHERE),
        (
            {"flags": USO, "mss": 64, "generic": GenericChecksum(34, 6), **UDP_HEADERS},
            VnicReturnCode.PARAMETER,
        ),
        ({"flags": USO, **UDP_HEADERS}, VnicReturnCode.PARAMETER),
        ({"flags": USO, "mss": 63, **UDP_HEADERS}, VnicReturnCode.PARAMETER),
        ({"flags": USO & ~TransmitFlag.IPV4, "mss": 64, **UDP_HEADERS}, VnicReturnCode.PARAMETER),
        ({"flags": USO | TransmitFlag.TCP, "mss": 64, **UDP_HEADERS}, VnicReturnCode.PARAMETER),
        ({"flags": USO, "mss": 64, **UDP_HEADERS, "l4_length": 0}, VnicReturnCode.PARAMETER),
        ({"flags": USO, "mss": 64, **UDP_HEADERS, "l3_length": 19}, VnicReturnCode.PARAMETER),
        ({"flags": USO, "mss": 1473, **UDP_HEADERS}, VnicReturnCode.INVALID_LENGTH),
        (
            {"flags": TCP, "l2_length": 250, "l3_length": 6, "l4_length": 20},
            VnicReturnCode.PARAMETER,
        ),
        ({"flags": TCP, "l2_length": 15, "l3_length": 20}, VnicReturnCode.PARAMETER),
        (
            {"flags": TCP | TransmitFlag.UDP, "l2_length": 14, "l3_length": 20},
            VnicReturnCode.PARAMETER,
        ),
    ],
)
def test_a_wrong_frame_is_told_in_its_completion(user, machine, changes, code):
    good = user.frame(2)
    assert user.submit([user.frame(1, **changes).pack(), good.pack()]) is ReturnCode.H_SUCCESS
    assert sorted(user.completions(), key=lambda pair: pair[1]) == [(code, 1), (OK, 2)]
    assert len(machine.model.wire) == 1


def gather(user, *lengths):
    return tuple(ScatterGatherEntry(1, user.memory.ioba + 64 * n, k) for n, k in enumerate(lengths))


@pytest.mark.parametrize(
    ("lengths", "code"),
    [
        ((13,), VnicReturnCode.INVALID_LENGTH),
        ((60, 0), VnicReturnCode.INVALID_LENGTH),
        ((1515,), VnicReturnCode.INVALID_LENGTH),
        ((20,) * 32, VnicReturnCode.PARAMETER),
        ((20,) * 31, VnicReturnCode.SUCCESS),
    ],
)
def test_lengths_and_fragments_have_limits(user, lengths, code):
    frame = user.frame(1, entries=gather(user, *lengths))
    assert len(frame.pack()) == elements_of(len(lengths))
    user.submit([frame.pack()])
    assert user.completions() == [(code, 1)]


@pytest.mark.parametrize(
    ("flags", "control"),
    [
        (TCP, IpOffloadControl(checksum_ipv4=True)),
        (TCP & ~TransmitFlag.TCP, IpOffloadControl(checksum_tcp=True)),
        (UDP, IpOffloadControl(checksum_tcp=True)),
        (TCP | TransmitFlag.LARGE_SEND, IpOffloadControl(checksum_ipv4=True, checksum_tcp=True)),
        (TCP_V6, IpOffloadControl(checksum_ipv4=True, checksum_tcp=True)),
        (TCP_V6 | TransmitFlag.LARGE_SEND, IpOffloadControl(checksum_tcp_v6=True)),
        (TCP_V6 & ~TransmitFlag.TCP, EVERYTHING),
        (USO, EVERYTHING),
        (None, EVERYTHING),
    ],
)
def test_an_offload_that_was_not_granted_is_not_given(client, machine, flags, control):
    user = client.login(control=control)
    changes = {"mss": 1448, "l2_length": 14, "l3_length": 20, "l4_length": 20}
    if flags is None:
        flags, changes = TransmitFlag.COMPLETION, {"generic": GenericChecksum(34, 16)}
    user.submit([user.frame(1, flags=flags, **changes).pack()])
    assert user.completions() == [(VnicReturnCode.UNSUPPORTED_OPTION, 1)]
    assert not machine.model.wire


def test_offloads_start_off(client, machine):
    user = client.login()
    user.submit([user.frame(1, flags=TCP, l2_length=14, l3_length=20, l4_length=20).pack()])
    assert user.completions() == [(VnicReturnCode.UNSUPPORTED_OPTION, 1)]


def test_a_checksum_covers_what_was_granted_of_the_protocols_named(client, machine):
    user = client.login(control=IpOffloadControl(checksum_tcp=True))
    user.submit([user.frame(1, flags=TCP, l2_length=14, l3_length=20, l4_length=20).pack()])
    assert user.completions() == [(OK, 1)]
    (_, frame) = machine.model.wire[0]
    assert frame[24:26] == bytes(2)
    assert frame[50:52] != bytes(2)


def test_a_tag_is_inserted(user, machine, share):
    user.submit([user.frame(5, vlan_tag=0x6007).pack()])
    assert user.completions() == [(OK, 5)]
    plain = share.header(6) + bytes(6)
    assert machine.model.wire == [(1, plain[:12] + b"\x81\x00\x60\x07" + plain[12:])]


@pytest.mark.parametrize("mss", [0, 1000])
def test_frames_of_ipv6_get_their_checksums(user, machine, mss):
    """scapy builds the frame, and knows what each segment must be."""
    packet = (
        Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
        / IPv6(src="2001:db8::1", dst="2001:db8::2")
        / inet.TCP(seq=1000, flags="PA")
        / Raw(bytes(n % 251 for n in range(1200)))
    )
    given = bytearray(bytes(packet))
    given[70:72] = bytes(2)
    flags = TCP_V6 | (TransmitFlag.LARGE_SEND if mss else 0)
    lengths = {"l2_length": 14, "l3_length": 40, "l4_length": 20, "mss": mss}
    entries = (ScatterGatherEntry(1, user.memory.ioba, len(given)),)
    frame = user.frame(1, flags=flags, entries=entries, **lengths)
    user.end.owner.memory.write(user.memory.address, bytes(given))
    user.submit([frame.pack()])
    assert user.completions() == [(OK, 1)]
    wire = [frame for _ring, frame in machine.model.wire]
    assert len(wire) == (2 if mss else 1)
    assert b"".join(bytes(Ether(frame)[Raw]) for frame in wire) == bytes(packet[Raw])
    for segment in wire:
        again = Ether(segment)
        del again[inet.TCP].chksum, again[IPv6].plen
        assert bytes(again) == segment


DATAGRAMS = {
    IPv6: Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
    / IPv6(src="2001:db8::1", dst="2001:db8::2")
    / inet.UDP(sport=5, dport=6),
    inet.IP: Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
    / inet.IP(src="10.0.0.1", dst="10.0.0.2", id=0xFFFF)
    / inet.UDP(sport=5, dport=6),
}


@pytest.mark.parametrize("version", DATAGRAMS)
def test_a_super_frame_of_udp_leaves_as_datagrams(client, machine, version):
    """With the capability alone: what it implies comes with it. scapy knows each datagram."""
    user = client.login(extensions={Capability.REQ_UDP_SEGMENTATION: 65_535})
    headers, content = DATAGRAMS[version], bytes(n % 251 for n in range(2100))
    l3_length = len(headers[version]) - 8
    whole = bytes(headers / Raw(content))
    entries = (ScatterGatherEntry(1, user.memory.ioba, len(whole)),)
    flags = USO if version is inet.IP else USO & ~TransmitFlag.IPV4 | TransmitFlag.IPV6
    changes = {"flags": flags, "mss": 1000, **UDP_HEADERS, "l3_length": l3_length}
    submission = user.frame(1, entries=entries, **changes).pack()
    user.end.owner.memory.write(user.memory.address, whole)
    user.submit([submission])
    assert user.completions() == [(OK, 1)]
    expected = []
    for number, at in enumerate(range(0, 2100, 1000)):
        datagram = headers / Raw(content[at : at + 1000])
        if version is inet.IP:
            datagram[inet.IP].id = (0xFFFF + number) & 0xFFFF
        expected.append(bytes(datagram))
    assert [frame for _ring, frame in machine.model.wire] == expected


@pytest.mark.parametrize("seed", range(6))
def test_a_tunnel_leaves_with_both_its_checksums(user, machine, seed):
    """The inner by its place, the outer by protocol. scapy knows them."""
    frame = tunnel(random.Random(seed), 1, b"through the tunnel")
    fields = frame.fields
    l3, l4 = fields["ip_offset"], fields["l4_offset"]
    submission = user.frame(
        1,
        flags=UDP & ~TransmitFlag.IPV4 | TransmitFlag.IPV6 if "ipv6" in fields else UDP,
        generic=GenericChecksum(fields["checksum_start"], fields["checksum_offset"]),
        entries=(ScatterGatherEntry(1, user.memory.ioba, len(frame.data)),),
        l2_length=l3,
        l3_length=l4 - l3,
        l4_length=8,
    ).pack()
    user.end.owner.memory.write(user.memory.address, frame.data)
    user.submit([submission])
    assert user.completions() == [(OK, 1)]
    assert [(sent,) for _ring, sent in machine.model.wire] == [frame.leaves], f"seed {seed}"


@pytest.mark.parametrize(("granted", "code"), [(1128, OK), (1127, VnicReturnCode.INVALID_LENGTH)])
def test_a_super_frame_of_udp_is_as_long_as_agreed_at_most(client, granted, code):
    user = client.login(extensions={Capability.REQ_UDP_SEGMENTATION: granted})
    entries = gather(user, 14 + 1128)
    changes = {"flags": USO, "mss": 100, **UDP_HEADERS}
    user.submit([user.frame(1, entries=entries, **changes).pack()])
    assert user.completions() == [(code, 1)]


@pytest.mark.parametrize(
    ("version", "agreed", "length", "code"),
    [
        (4, 262_144, 65_535, OK),
        (4, 262_144, 65_536, VnicReturnCode.INVALID_LENGTH),
        (6, 0, 65_535, OK),
        (6, 0, 65_536, VnicReturnCode.INVALID_LENGTH),
        (6, 100_000, 100_000, OK),
        (6, 100_000, 100_001, VnicReturnCode.INVALID_LENGTH),
        (6, 262_144, 262_144, OK),
        (6, 262_144, 262_145, VnicReturnCode.INVALID_LENGTH),
    ],
)
def test_a_super_frame_is_as_long_as_agreed_for_its_version_at_most(
    client, machine, version, agreed, length, code
):
    user = client.login(
        control=EVERYTHING, extensions={Capability.REQ_LARGE_SEND_V6: agreed} if agreed else {}
    )
    # The same 60 KiB again and again, which the adapter need not know.
    whole, rest = divmod(14 + length, 60 << 10)
    entries = gather(user, *[60 << 10] * whole, rest)
    lengths = {"l2_length": 14, "l3_length": 20 if version == 4 else 40, "l4_length": 20}
    flags = (TCP if version == 4 else TCP_V6) | TransmitFlag.LARGE_SEND
    user.submit([user.frame(1, flags=flags, mss=1400, entries=entries, **lengths).pack()])
    assert user.completions() == [(code, 1)]
    headers = sum(lengths.values())
    segments = -(-(14 + length - headers) // 1400)
    assert len(machine.model.wire) == (segments if code is OK else 0)
    carried = sum(len(frame) - headers for _ring, frame in machine.model.wire)
    assert carried == (14 + length - headers if code is OK else 0)


def test_a_completion_that_is_not_wanted_is_sent_only_for_errors(user):
    quiet = user.frame(1, flags=TransmitFlag(0))
    wrong = user.frame(2, flags=TransmitFlag(0), entries=(ScatterGatherEntry(9, 0, 60),))
    user.submit([quiet.pack(), wrong.pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_IOBA, 2)]


def test_no_frame_leaves_while_the_link_is_down(user, machine):
    assert user.ask(commands.LogicalLinkState(0)).state == 0
    user.submit([user.frame(1).pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_STATE, 1)]
    assert user.ask(commands.LogicalLinkState(0xFF)).state == 0
    assert not machine.model.wire


def test_elements_that_make_no_frame_are_counted_and_the_next_frame_goes_out(user, machine):
    stray = user.frame(1).pack()[1]
    cut_short = user.frame(2, entries=gather(user, 20, 20, 20)).pack()[:1]
    user.submit([[stray], cut_short, user.frame(3).pack()])
    assert user.completions() == [(VnicReturnCode.PARAMETER, 2), (OK, 3)]
    assert machine.sessions[0].path.malformed_elements == 1


def test_memory_that_the_client_takes_back_without_asking_is_not_sent(user, machine):
    for page in range(0, user.memory.length, 4096):
        code = user.end.owner.hcalls.h_put_tce(user.end.liobn, user.memory.ioba + page, 0)
        assert code is ReturnCode.H_SUCCESS
    user.submit([user.frame(1).pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_IOBA, 1)]
    assert machine.driver.faults == {1: 1}
    assert not machine.model.wire


def test_memory_that_is_only_received_into_is_not_sent(user, machine):
    memory = user.window.allocate(4096, write=True)
    assert user.map(2, memory.ioba, 4096) == OK
    entry = ScatterGatherEntry(2, memory.ioba, 60)
    user.submit([user.frame(1, entries=(entry,)).pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_IOBA, 1)]


def test_completions_that_the_client_never_reads_are_lost_to_it_alone(user, machine):
    for correlator in range(700):
        user.submit([user.frame(correlator).pack()])
    assert machine.sessions[0].path.completions_lost == 700 - 128
    assert len(machine.model.wire) == 700
    assert len(user.completions()) == 128


def test_one_client_cannot_name_the_queues_of_another(user, machine, share):
    machine.other = machine.device(1)
    handle = machine.other.granted.submission
    element = user.frame(1).pack()[:1]
    assert user.sender.send(handle, [element])[0] is ReturnCode.H_PARAMETER


# Receiving


def receive(machine, share, length=60):
    machine.driver.receive(share.MACS[1] + bytes(length - 6))


@pytest.mark.parametrize(
    ("buffer", "code"),
    [
        ((9, 0, 2048), VnicReturnCode.INVALID_IOBA),
        ((1, 64 * 1024 - 2047, 2048), VnicReturnCode.INVALID_IOBA),
        ((1, -4096, 2048), VnicReturnCode.INVALID_IOBA),
        ((1, 0, 59), VnicReturnCode.INVALID_LENGTH),
    ],
)
def test_a_receive_buffer_that_cannot_be_used_is_given_back(user, machine, share, buffer, code):
    map_id, offset, length = buffer
    user.add_buffers([ReceiveBuffer(7, map_id, user.memory.ioba + offset, length)])
    receive(machine, share)
    (back,) = user.returned()
    assert (back.correlator, back.length, back.rc) == (7, 0, code)
    assert machine.sessions[0].path.refused_buffers == 1
    user.add_buffers([ReceiveBuffer(8, 1, user.memory.ioba, 2048)])
    receive(machine, share)
    assert [(back.correlator, back.length) for back in user.returned()] == [(8, 60)]


def test_more_buffers_than_agreed_are_given_back(user, machine, share):
    user.add_buffers([ReceiveBuffer(n, 1, user.memory.ioba, 2048) for n in range(20)])
    receive(machine, share)
    back = user.returned()
    assert [one.rc for one in back[:4]] == [VnicReturnCode.NO_MEMORY] * 4
    assert (back[4].correlator, back[4].length) == (0, 60)


def test_a_buffer_whose_memory_is_gone_costs_its_frame(user, machine, share):
    user.add_buffers([ReceiveBuffer(n, 1, user.memory.ioba + 4096 * n, 2048) for n in range(2)])
    user.end.owner.hcalls.h_put_tce(user.end.liobn, user.memory.ioba, 0)
    receive(machine, share)
    receive(machine, share)
    codes = [(back.correlator, back.rc) for back in user.returned()]
    assert codes == [(0, VnicReturnCode.INVALID_IOBA), (1, OK)]


def test_without_a_buffer_or_a_link_a_frame_is_dropped(user, machine, share):
    receive(machine, share)
    assert machine.sessions[0].path.statistics.no_receive_buffer == 1
    user.ask(commands.LogicalLinkState(0))
    user.add_buffers([ReceiveBuffer(1, 1, user.memory.ioba, 2048)])
    receive(machine, share)
    assert not user.returned()


# The end of a client


def test_a_client_that_deregisters_keeps_nothing_and_may_come_again(user, machine, share):
    (clone,) = [arguments[3] for _, name, arguments in machine.calls if name == "h_put_rtce"]
    assert machine.hardware.dma_read(1, clone, 1) is not None
    assert user.queue.close() is ReturnCode.H_SUCCESS
    assert machine.hardware.dma_read(1, clone, 1) is None
    machine.manager.dispatch()
    assert machine.sessions[0].path is None
    assert machine.driver.free_rings == 2
    receive(machine, share)
    assert machine.driver.unclaimed == 1
    again = machine.device(0, Wishes(receive_buffers=16))
    assert again.link_up


def test_a_client_that_initialises_again_begins_anew(user, machine):
    user.queue.send(b"\xc0\x01".ljust(16, b"\0"))
    machine.manager.dispatch()
    assert machine.sessions[0].path is None
    assert machine.driver.free_rings == 2
    assert user.ask(commands.VersionExchange(1)).rc == OK


@pytest.mark.parametrize("seed", range(4))
def test_random_elements_on_every_queue_stop_nobody(user, machine, share, seed):
    generator = random.Random(seed)
    response = user.login_response
    good = [user.frame(n, entries=gather(user, 30, 30)).pack() for n in range(4)]
    for _ in range(300):
        choice = generator.randrange(4)
        if choice == 0:
            kind = generator.choice((0x80, 0x80, 0x80, 0xC0, 0xA5))
            element = bytes((kind, generator.randrange(0x24))) + generator.randbytes(14)
            if kind != 0xC0 or element[1] != 1:
                user.queue.send(element)
        elif choice == 1:
            user.sender.send(response.receive_add[0], [[b"\x80" + generator.randbytes(31)]])
        elif choice == 2:
            kind = generator.choice((0x10, 0x11, 0x12, 0x30, 0x77))
            element = bytes((0x80, kind, generator.randrange(4))) + generator.randbytes(29)
            user.sender.send(response.transmit_submission[0], [[element]])
        else:
            frame = generator.choice(good)
            mixed = [bytearray(element) for element in frame]
            mixed[generator.randrange(len(mixed))][generator.randrange(2, 32)] ^= 1 << (
                generator.randrange(8)
            )
            user.sender.send(response.transmit_submission[0], [[bytes(one) for one in mixed]])
        if generator.randrange(3) == 0:
            receive(machine, share)
            machine.manager.dispatch()
            user.completions()
            user.returned()
    machine.manager.dispatch()
    assert all(ring == 1 for ring, _ in machine.model.wire), f"seed {seed}"
