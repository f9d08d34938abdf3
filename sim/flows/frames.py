"""Frames to send, and what must leave for them, all of it built by scapy."""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    PadN,
    RouterAlert,
)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import NoPayload, Packet, Raw

from byway.sim.wire.internet_checksum import residue

__all__ = [
    "Frame",
    "datagrams",
    "random_single",
    "random_super",
    "rightly_summed",
    "single",
    "sized",
    "super_frame",
    "tunnel",
    "with_tag",
]

_PADDED = 60
_FIN, _PSH, _CWR = 0x01, 0x08, 0x80


@dataclass(frozen=True)
class Frame:
    """What software hands over.

    Attributes
    ----------
    data : bytes
        The frame or super-frame, with rubbish in the checksums that the adapter is to insert.
    fields : dict
        Descriptor fields that ask for offloads.
    leaves : tuple of bytes
        What must appear on the wire, in order.
    """

    data: bytes
    fields: dict[str, int]
    leaves: tuple[bytes, ...]


def _layers(packet: Packet) -> Iterator[Packet]:
    """The layers of `packet`, from the outermost on."""
    layer: Packet | NoPayload = packet
    while not isinstance(layer, NoPayload):
        yield layer
        layer = layer.payload


def rightly_summed(frame: bytes) -> bytes:
    """`frame` with the IPv4, TCP and UDP checksums that scapy computes, at every level."""
    packet = Ether(frame)
    for layer in _layers(packet):
        if isinstance(layer, IP | TCP | UDP):
            del layer.chksum
    return bytes(packet)


def _padded(frame: bytes) -> bytes:
    return frame.ljust(_PADDED, b"\0")


def _ip_option(rng: random.Random) -> bytes:
    """4 bytes of options: NOP, router alert, stream identifier [RFC 791, RFC 2113].

    No source route: that would put another destination into the pseudo header than the header's.
    """
    return rng.choice((b"\1\1\1\1", b"\x94\4\0\0", b"\x88\4" + rng.randbytes(2)))


def _ipv4(rng: random.Random, ring: int) -> Packet:
    options = b"".join(_ip_option(rng) for _number in range(rng.choice((0, 0, 0, 1, 10))))
    return IP(
        src=f"10.0.{ring}.{rng.randrange(1, 255)}",
        dst=f"10.1.0.{rng.randrange(1, 255)}",
        id=rng.randrange(1 << 16),
        ttl=rng.randrange(1, 256),
        ihl=5 + len(options) // 4,
        options=Raw(options) if options else [],
    )


def _ipv6(rng: random.Random, ring: int) -> Packet:
    """With extension headers at random, but for that of routing, as above."""
    packet = IPv6(
        src=f"2001:db8:{ring}::{rng.randrange(1, 1 << 16):x}",
        dst=f"2001:db8:ff::{rng.randrange(1, 1 << 16):x}",
        tc=rng.randrange(256),
        fl=rng.randrange(1 << 20),
        hlim=rng.randrange(1, 256),
    )
    if rng.random() < 0.2:
        packet /= IPv6ExtHdrHopByHop(options=[RouterAlert()])
    if rng.random() < 0.2:
        packet /= IPv6ExtHdrDestOpt(options=[PadN(optdata=rng.randbytes(rng.choice((4, 12, 20))))])
    return packet


def _lower_layers(rng: random.Random, ring: int, version: int | None = None) -> Packet:
    """Ethernet and IP, of either version if none is told; the source address tells the ring."""
    ether = Ether(dst="02:00:00:00:ff:01", src=f"02:00:00:00:00:{ring:02x}")
    for _tag in range(rng.choice((0, 0, 0, 1, 2))):
        ether /= Dot1Q(vlan=rng.randrange(1, 4095))
    network = _ipv6 if (version or rng.choice((4, 6))) == 6 else _ipv4
    return ether / network(rng, ring)


def _first(packet: Packet, *kinds: type[Packet]) -> Packet:
    """The outermost layer of `kinds`."""
    return next(layer for layer in _layers(packet) if isinstance(layer, kinds))


def _fields(packet: Packet) -> dict[str, int]:
    """Where the outermost IP, TCP and UDP headers of `packet` are, and which IP it is."""
    network = _first(packet, IP, IPv6)
    fields = {
        "ip_offset": len(packet) - len(network),
        "l4_offset": len(packet) - len(_first(packet, TCP, UDP)),
    }
    return fields | ({"ipv6": 1} if isinstance(network, IPv6) else {})


def _spoilt(rng: random.Random, frame: bytes) -> bytes:
    """`frame` with rubbish in its outermost checksums."""
    packet = Ether(frame)
    for layer in (_first(packet, IP, IPv6), _first(packet, TCP, UDP)):
        if not isinstance(layer, IPv6):
            layer.chksum = rng.randrange(1 << 16)
    return bytes(packet)


def single(
    rng: random.Random, ring: int, protocol: str, payload: bytes, *, version: int | None = None
) -> Frame:
    """A frame that is not cut.

    Parameters
    ----------
    protocol : str
        ``tcp`` or ``udp`` with that checksum and, over IPv4, the header checksum to be inserted,
        ``ipv4`` with the latter alone, or ``plain`` with no offload.
    payload : bytes
        Behind the TCP or UDP header.
    version : int or None
        Of IP: 4 or 6; either if None.
    """
    upper = UDP if protocol == "udp" else TCP
    version = 4 if protocol == "ipv4" else version
    packet = _lower_layers(rng, ring, version) / upper(sport=rng.randrange(1 << 16)) / payload
    good = rightly_summed(bytes(packet))
    if protocol == "plain":
        return Frame(good, {}, (_padded(good),))
    fields = _fields(Ether(good))
    wanted = {} if "ipv6" in fields else {"checksum_ipv4": 1}
    wanted |= {} if protocol == "ipv4" else {f"checksum_{protocol}": 1}
    data = _spoilt(rng, good)
    if protocol == "ipv4":
        # The checksum above stays as it came.
        l4 = fields["l4_offset"]
        data = data[:l4] + good[l4:]
    return Frame(data, fields | wanted, (_padded(good),))


def tunnel(rng: random.Random, ring: int, payload: bytes) -> Frame:
    """A frame within UDP, as VXLAN has it: the outer checksums by protocol, the inner generic."""
    shell = UDP(sport=rng.randrange(1 << 16), dport=4789) / VXLAN(vni=rng.getrandbits(24))
    inner = _lower_layers(rng, ring) / rng.choice((TCP(), UDP(dport=7))) / payload
    good = rightly_summed(bytes(_lower_layers(rng, ring) / shell / inner))
    whole = Ether(good)
    fields = _fields(whole)
    # The field of the inner checksum comes with the sum of its pseudo-header.
    network, transport = _first(whole[VXLAN], IP, IPv6), _first(whole[VXLAN], TCP, UDP)
    start = len(good) - len(transport)
    offset = 6 if isinstance(transport, UDP) else 16
    ends = bytes(network)[8:40] if isinstance(network, IPv6) else bytes(network)[12:20]
    number = 17 if isinstance(transport, UDP) else 6
    pseudo = residue(ends, struct.pack(">HH", number, len(transport)))
    data = bytearray(_spoilt(rng, good))
    data[start + offset : start + offset + 2] = pseudo.to_bytes(2, "big")
    fields |= {} if "ipv6" in fields else {"checksum_ipv4": 1}
    fields |= {"checksum_udp": 1, "checksum_generic": 1}
    fields |= {"checksum_start": start, "checksum_offset": offset}
    return Frame(bytes(data), fields, (_padded(good),))


def sized(rng: random.Random, ring: int, length: int) -> Frame:
    """A frame of `length` bytes, 14 or more, of no protocol that asks for anything."""
    header = bytes(Ether(dst="02:00:00:00:ff:01", src=f"02:00:00:00:00:{ring:02x}", type=0x88B5))
    data = header + rng.randbytes(length - len(header))
    return Frame(data, {}, (_padded(data),))


def _cut(payload: bytes, mss: int) -> list[bytes]:
    return [payload[at : at + mss] for at in range(0, len(payload), mss)] or [b""]


def _segment(lower: Packet, upper: Packet, part: bytes, number: int) -> bytes:
    """Segment `number`: scapy finds its lengths and checksums, and counts its identification."""
    segment = (lower / upper / part).copy()
    if IP in segment:
        segment[IP].id = (lower[IP].id + number) & 0xFFFF
    return _padded(rightly_summed(bytes(segment)))


def super_frame(
    rng: random.Random, ring: int, payload: bytes, mss: int, *, version: int | None = None
) -> Frame:
    """A super-frame of TCP, with options and flags at random, over IP of `version` or of either."""
    lower = _lower_layers(rng, ring, version)
    flags = 0x10 | rng.choice((0, _PSH, _FIN | _PSH, _CWR, _FIN | _PSH | _CWR))
    sequence = rng.choice((rng.randrange(1 << 32), (1 << 32) - mss // 2 - 1))
    options = [("NOP", None), ("NOP", None), ("Timestamp", (rng.getrandbits(32), 7))]
    tcp = TCP(
        sport=rng.randrange(1 << 16),
        seq=sequence,
        ack=rng.getrandbits(32),
        flags=flags,
        options=options if rng.random() < 0.7 else [],
    )
    whole = bytes(lower / tcp / payload)
    header = len(whole) - len(payload)
    cut = _cut(payload, mss)
    leaves = []
    for number, part in enumerate(cut):
        own = tcp.copy()
        own.seq = (sequence + number * mss) & 0xFFFFFFFF
        own.flags = flags & ~((_FIN | _PSH) * (number < len(cut) - 1) | _CWR * (number > 0))
        leaves.append(_segment(lower, own, part, number))
    fields = _fields(Ether(whole)) | {"mss": mss, "header_length": header, "large_send": 1}
    return Frame(_spoilt(rng, whole), fields, tuple(leaves))


def datagrams(rng: random.Random, ring: int, payload: bytes, mss: int) -> Frame:
    """A super-frame of UDP: each segment is a datagram."""
    lower = _lower_layers(rng, ring)
    udp = UDP(sport=rng.randrange(1 << 16), dport=7)
    whole = bytes(lower / udp / payload)
    leaves = [_segment(lower, udp, part, n) for n, part in enumerate(_cut(payload, mss))]
    fields = _fields(Ether(whole)) | {
        "mss": mss,
        "header_length": len(whole) - len(payload),
        "udp_segmentation": 1,
    }
    return Frame(_spoilt(rng, whole), fields, tuple(leaves))


def with_tag(rng: random.Random, frame: Frame) -> Frame:
    """`frame`, into which, or into each segment of which, the adapter is to insert a VLAN tag."""
    header, whole = frame.fields.get("header_length", 0), len(frame.data)
    parts = _cut(frame.data[header:], frame.fields.get("mss", 0) or whole)
    tag = rng.randrange(1 << 16)
    leaves = []
    for leaf, part in zip(frame.leaves, parts, strict=True):
        own = leaf[: header + len(part)]  # Without padding.
        leaves.append(_padded(own[:12] + struct.pack(">HH", 0x8100, tag) + own[12:]))
    return Frame(frame.data, frame.fields | {"insert_vlan": 1, "vlan_tag": tag}, tuple(leaves))


def _maybe_with_tag(rng: random.Random, frame: Frame) -> Frame:
    return with_tag(rng, frame) if rng.random() < 0.25 else frame


def random_single(rng: random.Random, ring: int, longest: int) -> Frame:
    """A frame of any kind, with up to `longest` bytes of payload, short ones more often."""
    length = int(longest ** rng.random()) - 1 + rng.randrange(2)
    protocol = rng.choice(("tcp", "udp", "ipv4", "plain", "sized", "tunnel"))
    if protocol == "sized":
        frame = sized(rng, ring, 14 + length)
    elif protocol == "tunnel":
        frame = tunnel(rng, ring, rng.randbytes(length))
    else:
        frame = single(rng, ring, protocol, rng.randbytes(length))
    return _maybe_with_tag(rng, frame)


def random_super(rng: random.Random, ring: int, longest: int) -> Frame:
    """A super-frame with up to `longest` bytes of payload, cut into a dozen segments at most."""
    length = rng.randrange(longest + 1)
    least = max(64, length // 12)
    mss = rng.choice((least, rng.randint(least, max(least, 1460)), 1448, 8900))
    kind = rng.choice((super_frame, super_frame, datagrams))
    return _maybe_with_tag(rng, kind(rng, ring, rng.randbytes(length), mss))
