"""Frames to send, and what must leave for them, all of it built by scapy."""

import random
from dataclasses import dataclass

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

__all__ = [
    "Frame",
    "random_single",
    "random_super",
    "rightly_summed",
    "single",
    "sized",
    "super_frame",
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


def rightly_summed(frame: bytes) -> bytes:
    """`frame` with the IPv4, TCP and UDP checksums that scapy computes."""
    packet = Ether(frame)
    for layer in (IP, TCP, UDP):
        if layer in packet:
            del packet[layer].chksum
    return bytes(packet)


def _padded(frame: bytes) -> bytes:
    return frame.ljust(_PADDED, b"\0")


def _ip_option(rng: random.Random) -> bytes:
    """4 bytes of options: NOP, router alert, stream identifier [RFC 791, RFC 2113].

    No source route: that would put another destination into the pseudo header than the header's.
    """
    return rng.choice((b"\1\1\1\1", b"\x94\4\0\0", b"\x88\4" + rng.randbytes(2)))


def _lower_layers(rng: random.Random, ring: int) -> Packet:
    """Ethernet and IPv4, with VLAN tag and options at random; the source address tells the ring."""
    ether = Ether(dst="02:00:00:00:ff:01", src=f"02:00:00:00:00:{ring:02x}")
    if rng.random() < 0.3:
        ether /= Dot1Q(vlan=rng.randrange(1, 4095))
    options = b"".join(_ip_option(rng) for _number in range(rng.choice((0, 0, 0, 1, 10))))
    return ether / IP(
        src=f"10.0.{ring}.{rng.randrange(1, 255)}",
        dst=f"10.1.0.{rng.randrange(1, 255)}",
        id=rng.randrange(1 << 16),
        ttl=rng.randrange(1, 256),
        ihl=5 + len(options) // 4,
        options=Raw(options) if options else [],
    )


def _offsets(packet: Packet) -> dict[str, int]:
    ip_offset = len(packet) - len(packet[IP])
    return {"ip_offset": ip_offset, "l4_offset": ip_offset + 4 * packet[IP].ihl}


def _spoilt(rng: random.Random, frame: bytes) -> bytes:
    """`frame` with rubbish in its checksums."""
    packet = Ether(frame)
    for layer in (IP, TCP, UDP):
        if layer in packet:
            packet[layer].chksum = rng.randrange(1 << 16)
    return bytes(packet)


def single(rng: random.Random, ring: int, protocol: str, payload: bytes) -> Frame:
    """A frame that is not cut.

    Parameters
    ----------
    protocol : str
        ``tcp`` or ``udp`` with that checksum and the IPv4 checksum to be inserted, ``ipv4`` with
        the latter alone, or ``plain`` with no offload.
    payload : bytes
        Behind the TCP or UDP header.
    """
    upper = UDP if protocol == "udp" else TCP
    packet = _lower_layers(rng, ring) / upper(sport=rng.randrange(1 << 16)) / payload
    good = rightly_summed(bytes(packet))
    if protocol == "plain":
        return Frame(good, {}, (_padded(good),))
    wanted = {"checksum_ipv4": 1} | ({} if protocol == "ipv4" else {f"checksum_{protocol}": 1})
    data = _spoilt(rng, good)
    if protocol == "ipv4":
        # The checksum above stays as it came.
        l4 = _offsets(Ether(good))["l4_offset"]
        data = data[:l4] + good[l4:]
    return Frame(data, _offsets(Ether(good)) | wanted, (_padded(good),))


def sized(rng: random.Random, ring: int, length: int) -> Frame:
    """A frame of `length` bytes, 14 or more, of no protocol that asks for anything."""
    header = bytes(Ether(dst="02:00:00:00:ff:01", src=f"02:00:00:00:00:{ring:02x}", type=0x88B5))
    data = header + rng.randbytes(length - len(header))
    return Frame(data, {}, (_padded(data),))


def super_frame(rng: random.Random, ring: int, payload: bytes, mss: int) -> Frame:
    """A super-frame of TCP over IPv4, with options and flags at random."""
    lower = _lower_layers(rng, ring)
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
    cut = [payload[at : at + mss] for at in range(0, len(payload), mss)] or [b""]
    leaves = []
    for number, part in enumerate(cut):
        segment = (lower / tcp / part).copy()
        segment[IP].id = (lower[IP].id + number) & 0xFFFF
        segment[TCP].seq = (sequence + number * mss) & 0xFFFFFFFF
        cleared = (_FIN | _PSH) * (number < len(cut) - 1) | _CWR * (number > 0)
        segment[TCP].flags = flags & ~cleared
        leaves.append(_padded(rightly_summed(bytes(segment))))
    fields = _offsets(Ether(whole)) | {"mss": mss, "header_length": header, "large_send": 1}
    return Frame(_spoilt(rng, whole), fields, tuple(leaves))


def random_single(rng: random.Random, ring: int, longest: int) -> Frame:
    """A frame of any kind, with up to `longest` bytes of payload, short ones more often."""
    length = int(longest ** rng.random()) - 1 + rng.randrange(2)
    protocol = rng.choice(("tcp", "udp", "ipv4", "plain", "sized"))
    if protocol == "sized":
        return sized(rng, ring, 14 + length)
    return single(rng, ring, protocol, rng.randbytes(length))


def random_super(rng: random.Random, ring: int, longest: int) -> Frame:
    """A super-frame with up to `longest` bytes of payload, cut into a dozen segments at most."""
    length = rng.randrange(longest + 1)
    least = max(64, length // 12)
    mss = rng.choice((least, rng.randint(least, max(least, 1460)), 1448, 8900))
    return super_frame(rng, ring, rng.randbytes(length), mss)
