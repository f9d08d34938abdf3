"""The hosting interface and what clients ask of the adapter: as granted, or told in the completion.

scapy builds what is cut or summed, and knows what must be on the wire. Whatever one client asks
for, another client's frames go on.
"""

import random

import pytest
from scapy.layers import inet
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from byway.sim.flows.frames import tunnel
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic.capabilities import Capability
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.descriptors import ScatterGatherEntry, TransmitFlag
from byway.sw.vnic.ip_offload import IpOffloadControl

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


@pytest.mark.parametrize(
    ("changes", "code"),
    [
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
def test_what_cannot_be_done_is_told_in_the_completion(user, machine, changes, code):
    good = user.frame(2)
    assert user.submit([user.frame(1, **changes).pack(), good.pack()]) is ReturnCode.H_SUCCESS
    assert sorted(user.completions(), key=lambda pair: pair[1]) == [(code, 1), (OK, 2)]
    assert len(machine.model.wire) == 1


def gather(user, *lengths):
    return tuple(ScatterGatherEntry(1, user.memory.ioba + 64 * n, k) for n, k in enumerate(lengths))


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
