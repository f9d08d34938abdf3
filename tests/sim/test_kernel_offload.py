"""What a kernel leaves to its device: granted offloads reach the adapter, a CPU does the rest.

scapy builds the frames and knows their checksums; the kernel's part, the sum of the pseudo-header
in the checksum's field, is made here.
"""

import random
import struct
from dataclasses import replace
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from byway.sim.live.kernel_offload import Described, describe, tap_offloads
from byway.sim.live.software_segments import software_segments
from byway.sim.wire.internet_checksum import residue
from byway.sim.wire.tap import TapOffload
from byway.sim.wire.virtio_net import Gso, VirtioNetHeader
from byway.sw.functions import AdvancedFunctions, SuperFrameLimits
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.stack.network_device import Features, Offload

#: With both addresses: scapy asks the network for one that is missing.
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:01:01")
NOTHING = Features(mac=bytes(6), mtu=1500, maximum_header=1514)
EVERYTHING = Features(
    mac=bytes(6),
    mtu=1500,
    super_frames=SuperFrameLimits(
        large_send_v4=65_535, large_send_v6=65_535, udp_segmentation=65_535
    ),
    minimum_mss=64,
    maximum_fragments=10,
    maximum_header=1514,
    **dict.fromkeys(AdvancedFunctions().functions, True),
)


def left_to_device(packet: Packet, kind: type[Packet], **virtio) -> tuple[bytes, VirtioNetHeader]:
    """A frame as a kernel hands it over that leaves the checksum of `kind` to the device."""
    frame = bytes(packet)
    start = frame.index(bytes(packet[kind]))
    offset = 16 if kind is TCP else 6
    number = 6 if kind is TCP else 17
    length = len(frame) - start
    ends = bytes(packet[IP])[12:20] if IP in packet else bytes(packet[IPv6])[8:40]
    pseudo = residue(ends, struct.pack(">HH", number, length & 0xFFFF))
    frame = bytearray(frame)
    frame[start + offset : start + offset + 2] = pseudo.to_bytes(2, "big")
    header = VirtioNetHeader(
        needs_checksum=True, checksum_start=start, checksum_offset=offset, **virtio
    )
    return bytes(frame), header


def random_packet(generator: random.Random, kind: type[Packet]) -> Packet:
    link = LINK
    for _tag in range(generator.choice((0, 0, 1, 2))):
        link = link / Dot1Q(vlan=generator.randrange(1, 4095))
    payload = Raw(generator.randbytes(generator.randrange(0, 1400)))
    if generator.random() < 0.3:
        link = link / IPv6(src="fd62::1", dst="fd62::fe")
        if generator.random() < 0.3:
            link = link / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"12")])
        return link / kind(sport=7, dport=9) / payload
    options = [IPOption(b"\x01" * 4)] if generator.random() < 0.2 else []
    return link / IP(src="10.0.0.1", dst="10.0.0.254", options=options) / kind(sport=7) / payload


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["TCP", "UDP"])
@pytest.mark.parametrize("seed", range(30))
def test_what_is_not_granted_is_summed_by_cpu(seed, kind):
    generator = random.Random(seed)
    packet = random_packet(generator, kind)
    frame, header = left_to_device(packet, kind)
    described = describe(frame, header, NOTHING)
    assert described.by_cpu
    assert not described.offload.large_send
    assert not described.offload.checksum_tcp
    assert not described.offload.checksum_udp
    assert described.frame == bytes(packet), f"seed {seed}"


@pytest.mark.parametrize("kind", [TCP, UDP], ids=["TCP", "UDP"])
@pytest.mark.parametrize("seed", range(30))
def test_what_is_granted_is_left_to_the_adapter(seed, kind):
    generator = random.Random(seed)
    packet = random_packet(generator, kind)
    frame, header = left_to_device(packet, kind)
    described = describe(frame, header, EVERYTHING)
    offload = described.offload
    assert offload.ipv6 == (IPv6 in packet)
    assert described.frame == frame
    assert not described.by_cpu
    assert (offload.checksum_tcp, offload.checksum_udp) == (kind is TCP, kind is UDP)
    assert offload.l2_length == len(frame) - len(bytes(packet[IPv6 if IPv6 in packet else IP]))
    assert offload.l2_length + offload.l3_length == header.checksum_start
    assert described.header_length == header.checksum_start + (20 if kind is TCP else 8)


def test_behind_a_routing_header_or_in_a_fragment_sums_are_generic_or_made_by_cpu():
    """The pseudo-header has another address than the IPv6 header, or there is but a part of all."""
    by_protocol = replace(EVERYTHING, checksum_generic=False)
    ip = IPv6(src="fd62::1", dst="fd62::fe")
    routed = ip / IPv6ExtHdrRouting(addresses=["fd62::fd"], segleft=1)
    fragment = ip / IPv6ExtHdrFragment(m=1)
    for link in (LINK / routed, LINK / fragment):
        packet = link / UDP(sport=7, dport=9) / Raw(bytes(100))
        frame, header = left_to_device(packet, UDP)
        assert describe(frame, header, by_protocol).by_cpu
        place = GenericChecksum(header.checksum_start, 6)
        assert describe(frame, header, EVERYTHING) == Described(frame, 14, Offload(generic=place))


@pytest.mark.parametrize(("start", "offset"), [(35, 6), (34, 7), (256, 6), (34, 256), (12, 4)])
def test_a_checksum_where_the_adapter_does_not_reach_is_made_by_cpu(start, offset):
    frame = bytes(LINK / IP() / UDP() / Raw(bytes(n % 250 for n in range(600))))
    header = VirtioNetHeader(True, checksum_start=start, checksum_offset=offset)
    described = describe(frame, header, EVERYTHING)
    assert described.by_cpu
    field = start + offset
    assert described.frame[:field] == frame[:field]
    assert described.frame[field + 2 :] == frame[field + 2 :]
    made = int.from_bytes(described.frame[field : field + 2], "big")
    assert (residue(frame[start:]) + made) % 0xFFFF == 0


@pytest.mark.parametrize(("options", "start"), [(192, 254), (200, 262)])
def test_behind_headers_longer_than_can_be_told_sums_are_generic_or_made_by_cpu(options, start):
    long = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(options))])
    packet = LINK / IPv6(src="fd62::1", dst="fd62::fe") / long / UDP() / Raw(b"data")
    frame, header = left_to_device(packet, UDP)
    assert header.checksum_start == start
    described = describe(frame, header, EVERYTHING)
    assert not described.offload.checksum_udp
    if start < 256:
        assert described.offload.generic == GenericChecksum(start, 6)
    else:
        assert described.by_cpu


def test_with_a_generic_checksum_alone_all_sums_are_left_to_the_adapter():
    generic = replace(NOTHING, checksum_generic=True)
    assert tap_offloads(generic) == TapOffload.CHECKSUM
    for kind, offset in ((TCP, 16), (UDP, 6)):
        frame, header = left_to_device(LINK / IP() / kind() / Raw(b"data"), kind)
        offload = Offload(generic=GenericChecksum(34, offset))
        assert describe(frame, header, generic) == Described(frame, 14, offload)


def super_frame(
    version: type[Packet] = IP, kind: type[Packet] = TCP, *, payload: int = 9000, mss: int = 1448
) -> tuple[bytes, VirtioNetHeader]:
    ip = IP(src="10.0.0.1", dst="10.0.0.2") if version is IP else IPv6(src="fd62::1", dst="fd62::2")
    upper = TCP(options=[("NOP", None)] * 4) if kind is TCP else UDP(sport=5, dport=6)
    packet = LINK / ip / upper / Raw(bytes(n % 251 for n in range(payload)))
    gso = Gso.UDP_L4 if kind is UDP else Gso.TCPV4 if version is IP else Gso.TCPV6
    return left_to_device(packet, kind, gso=gso, mss=mss)


@pytest.mark.parametrize(("version", "length"), [(IP, 20), (IPv6, 40)])
def test_super_frame_is_described_with_all_its_headers(version, length):
    frame, header = super_frame(version)
    described = describe(frame, header, EVERYTHING)
    offload = described.offload
    assert (offload.mss, offload.ipv6) == (1448, version is IPv6)
    assert (offload.l2_length, offload.l3_length, offload.l4_length) == (14, length, 24)
    assert described.header_length == 38 + length


@pytest.mark.parametrize(("version", "length"), [(IP, 20), (IPv6, 40)])
def test_super_frame_of_udp_is_left_to_the_adapter_too(version, length):
    frame, header = super_frame(version, UDP)
    described = describe(frame, header, EVERYTHING)
    assert described.offload == Offload(
        ipv6=version is IPv6, mss=1448, udp_segmentation=True, l3_length=length, l4_length=8
    )
    assert (described.frame, described.header_length) == (frame, 22 + length)


@pytest.mark.parametrize("kind", [TCP, UDP])
@pytest.mark.parametrize("version", [IP, IPv6])
@pytest.mark.parametrize("payload", [1, 40, 41, 950])
def test_segments_too_short_for_the_adapter_are_cut_as_it_would(version, kind, payload):
    """With their checksums left to the device, as the kernel left that of the whole."""
    content = bytes(n % 251 for n in range(payload))
    link = LINK / (IP(id=0xFFFF) if version is IP else IPv6(src="::1", dst="::2"))
    upper = TCP(flags="FPACE", seq=0xFFFF_FFF0) if kind is TCP else UDP()
    gso = Gso.UDP_L4 if kind is UDP else Gso.TCPV4 if version is IP else Gso.TCPV6
    frame, header = left_to_device(link / upper / Raw(content), kind, gso=gso, mss=40)
    whole = describe(frame, header, EVERYTHING)
    field = header.checksum_start + header.checksum_offset
    starts = range(0, payload, 40)
    expected = []
    for number, start in enumerate(starts):
        packet = (link / upper / Raw(content[start : start + 40])).copy()
        if version is IP:
            packet[IP].id = (0xFFFF + number) & 0xFFFF
        if kind is TCP:
            packet[TCP].seq = (0xFFFF_FFF0 + start) & 0xFFFF_FFFF
            flags = "A" + "C" * (number == 0) + "E" + "FP" * (start == starts[-1])
            packet[TCP].flags = flags
        expected.append(left_to_device(packet, kind)[0])
    assert software_segments(whole, field) == expected


@pytest.mark.parametrize("data_offset", [0, 4, 15])
def test_super_frame_without_a_whole_header_is_refused(data_offset):
    frame, header = super_frame(payload=10, mss=2)
    broken = frame[:46] + bytes((data_offset << 4,)) + frame[47:]
    with pytest.raises(ValueError, match="TCPV4, which was not offered"):
        describe(broken, header, EVERYTHING)


@pytest.mark.parametrize("kind", [TCP, UDP])
@pytest.mark.parametrize("version", [IP, IPv6])
def test_super_frames_with_wrong_bits_trip_nothing(version, kind):
    seed = 7
    generator = random.Random(seed)
    frame, header = super_frame(version, kind, payload=300, mss=40)
    cut = 0
    for _ in range(300):
        broken = bytearray(frame)
        for _bit in range(generator.randrange(4)):
            broken[generator.randrange(12, 80)] ^= 1 << generator.randrange(8)
        try:
            whole = describe(bytes(broken), header, EVERYTHING)
        except ValueError:
            continue
        field = header.checksum_start + header.checksum_offset
        segments = software_segments(whole, field)
        assert all(len(segment) <= whole.header_length + 40 for segment in segments), f"seed {seed}"
        cut += 1
    assert cut > 100


def test_super_frame_longer_than_agreed_is_refused():
    short = replace(EVERYTHING, super_frames=SuperFrameLimits(large_send_v4=5000))
    with pytest.raises(ValueError, match="TCPV4, which was not offered"):
        describe(*super_frame(), short)


def test_super_frame_that_was_not_offered_is_refused():
    frame, header = super_frame()
    with pytest.raises(ValueError, match="TCPV4, which was not offered"):
        describe(frame, header, NOTHING)
    with pytest.raises(ValueError, match="TCPV6, which was not offered"):
        describe(*super_frame(IPv6), replace(EVERYTHING, large_send_v6=False))
    with pytest.raises(ValueError, match="UDP_L4, which was not offered"):
        describe(*super_frame(IP, UDP), replace(EVERYTHING, udp_segmentation=False))
    for kind in (Gso.TCPV6, Gso.UDP, Gso.UDP_L4):
        other = VirtioNetHeader(True, kind, 0, 1448, header.checksum_start, 16)
        with pytest.raises(ValueError, match=f"{kind.name}, which was not offered"):
            describe(frame, other, EVERYTHING)


def test_nonsense_is_refused_or_described_but_never_trips():
    seed = 5
    generator = random.Random(seed)
    verdicts = set()
    for _ in range(3000):
        frame = bytearray(generator.randbytes(generator.choice((0, 5, 14, 20, 33, 54, 60, 200))))
        if len(frame) > 14 and generator.random() < 0.7:
            frame[12:15] = generator.choice((b"\x08\x00\x45", b"\x86\xdd\x60"))
        content = bytearray(generator.randbytes(VirtioNetHeader.SIZE))
        content[1] = generator.choice((0, 0, 0, 1, 3, 4, 5, 0x81))
        for place in (6, 8):
            content[place : place + 2] = generator.randrange(80).to_bytes(2, "little")
        header = VirtioNetHeader.unpack(bytes(content))
        try:
            described = describe(bytes(frame), header, EVERYTHING)
        except ValueError:
            verdicts.add("refused")
            continue
        verdicts.add("by CPU" if described.by_cpu else "described")
        assert len(described.frame) == len(frame), f"seed {seed}"
        assert described.header_length > 0, f"seed {seed}"
    assert verdicts == {"refused", "by CPU", "described"}


def test_kernel_may_leave_only_what_was_granted():
    def offered(**granted: Any) -> TapOffload:
        return tap_offloads(Features(mac=bytes(6), mtu=1500, maximum_header=1514, **granted))

    assert offered() == TapOffload(0)
    assert offered(checksum_tcp=True) == TapOffload.CHECKSUM
    assert offered(checksum_udp=True) == TapOffload.CHECKSUM
    assert offered(large_send_v4=True) == TapOffload(0)
    assert offered(checksum_tcp_v6=True) == TapOffload.CHECKSUM
    v6 = offered(checksum_tcp_v6=True, large_send_v6=True)
    assert v6 == TapOffload.CHECKSUM | TapOffload.TSO6 | TapOffload.TSO_ECN
    udp = TapOffload.USO4 | TapOffload.USO6
    assert offered(udp_segmentation=True) == TapOffload(0)
    assert offered(udp_segmentation=True, checksum_udp=True) == TapOffload.CHECKSUM | udp
    assert tap_offloads(EVERYTHING) == v6 | TapOffload.TSO4 | udp


@pytest.mark.parametrize("seed", range(50))
def test_virtio_header_survives_its_bytes(seed):
    generator = random.Random(seed)
    header = VirtioNetHeader(
        generator.random() < 0.5,
        generator.choice(list(Gso)),
        *(generator.randrange(1 << 16) for _ in range(4)),
    )
    assert VirtioNetHeader.unpack(header.pack()) == header
    assert len(header.pack()) == VirtioNetHeader.SIZE
