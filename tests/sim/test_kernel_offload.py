"""What a kernel leaves to its device: granted offloads reach the adapter, a CPU does the rest.

scapy builds the frames and knows their checksums; the kernel's part, the sum of the pseudo-header
in the checksum's field, is made here.
"""

import random
import struct

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from byway.sim.live.kernel_offload import describe, tap_offloads
from byway.sim.wire.internet_checksum import residue
from byway.sim.wire.tap import TapOffload
from byway.sim.wire.virtio_net import Gso, VirtioNetHeader
from byway.sw.stack.network_device import Features

NOTHING = Features(mac=bytes(6), mtu=1500, maximum_header=1514)
EVERYTHING = Features(
    mac=bytes(6),
    mtu=1500,
    checksum_ipv4=True,
    checksum_tcp=True,
    checksum_udp=True,
    large_send_v4=True,
    maximum_large_send=65_535,
    maximum_fragments=10,
    maximum_header=1514,
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
    link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:01:01")
    for _tag in range(generator.choice((0, 0, 1, 2))):
        link = link / Dot1Q(vlan=generator.randrange(1, 4095))
    payload = Raw(generator.randbytes(generator.randrange(0, 1400)))
    if generator.random() < 0.3:
        return link / IPv6(src="fd62::1", dst="fd62::fe") / kind(sport=7, dport=9) / payload
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
    if IPv6 in packet:
        assert described.by_cpu
        assert described.frame == bytes(packet), f"seed {seed}"
        return
    offload = described.offload
    assert described.frame == frame
    assert not described.by_cpu
    assert (offload.checksum_tcp, offload.checksum_udp) == (kind is TCP, kind is UDP)
    assert offload.l2_length == len(frame) - len(bytes(packet[IP]))
    assert offload.l2_length + offload.l3_length == header.checksum_start
    assert described.header_length == header.checksum_start + (20 if kind is TCP else 8)


def super_frame() -> tuple[bytes, VirtioNetHeader]:
    packet = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(options=[("NOP", None)] * 4)
    return left_to_device(packet / Raw(bytes(9000)), TCP, gso=Gso.TCPV4, mss=1448)


def test_super_frame_is_described_with_all_its_headers():
    frame, header = super_frame()
    described = describe(frame, header, EVERYTHING)
    offload = described.offload
    assert offload.mss == 1448
    assert (offload.l2_length, offload.l3_length, offload.l4_length) == (14, 20, 24)
    assert described.header_length == 58


def test_super_frame_that_was_not_offered_is_refused():
    frame, header = super_frame()
    with pytest.raises(ValueError, match="TCPV4, which was not offered"):
        describe(frame, header, NOTHING)
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
            frame[12:15] = b"\x08\x00\x45"
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
    def offered(**granted: bool) -> TapOffload:
        return tap_offloads(Features(mac=bytes(6), mtu=1500, maximum_header=1514, **granted))

    assert offered() == TapOffload(0)
    assert offered(checksum_tcp=True) == TapOffload.CHECKSUM
    assert offered(checksum_udp=True) == TapOffload.CHECKSUM
    assert offered(large_send_v4=True) == TapOffload(0)
    assert tap_offloads(EVERYTHING) == TapOffload.CHECKSUM | TapOffload.TSO4 | TapOffload.TSO_ECN


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
