"""The rule of large send for test benches: frames, and their segments in plain bytes.

It is the reference for `byway.rtl.transmit.header` and `byway.rtl.transmit.segmenter`; the head of
the former states the rule in prose.
"""

import random
import struct
from dataclasses import dataclass, field, replace

__all__ = [
    "ACK",
    "CWR",
    "FIN",
    "PSH",
    "SYN",
    "Frame",
    "Segment",
    "cut",
    "random_frame",
    "segment_header",
    "shortened",
    "super_frame",
]

#: Flags of TCP [RFC 9293, 3.1; RFC 3168, 6.1].
FIN, SYN, PSH, ACK, CWR = 0x01, 0x02, 0x08, 0x10, 0x80


@dataclass
class Frame:
    """A frame to send; without `mss`, one to pass through."""

    packet: bytes
    mss: int = 0
    header_length: int = 0
    ip_offset: int = 0
    l4_offset: int = 0
    ipv6: bool = False
    udp: bool = False
    errors: dict[int, int] = field(default_factory=dict)
    missing: int = 0  # Bytes at the end that do not come; the last beat that comes is spoilt.

    @property
    def delivered(self) -> bytes:
        """Its bytes that come."""
        return self.packet[: len(self.packet) - self.missing]

    @property
    def command(self) -> dict[str, int]:
        """What the segmenter is told of it."""
        large = int(self.mss > 0)
        return {
            "total_length": len(self.packet),
            "mss": self.mss,
            "header_length": self.header_length,
            "ip_offset": self.ip_offset,
            "l4_offset": self.l4_offset,
            "ipv6": int(self.ipv6),
            "checksum_start": len(self.packet) % 200,
            "checksum_offset": len(self.packet) % 7,
            "checksum_ipv4": large & (not self.ipv6),
            "checksum_tcp": large & (not self.udp),
            "checksum_udp": int(self.udp),
            "checksum_generic": (len(self.packet) ^ large) & 1,
            "large_send": large,
        }


@dataclass
class Segment:
    """A packet that leaves the segmenter, and the run of its frame's bytes that is new in it."""

    packet: bytes
    last: bool
    begin: int
    end: int


def segment_header(
    header: bytes,
    *,
    ip_offset: int,
    l4_offset: int,
    ip_length: int,
    l4_length: int,
    number: int,
    payload_before: int,
    last: bool,
    ipv6: bool = False,
    udp: bool = False,
) -> bytes:
    """The header of segment `number` of the super-frame with this `header`.

    Parameters
    ----------
    ip_offset, l4_offset : int
        Where its IP header, and its TCP or UDP header, begin.
    ip_length, l4_length : int
        What the segment's IP header, and its UDP header, tell as length.
    payload_before : int
        Payload bytes in the segments before it.
    last : bool
        It is the last.
    ipv6, udp : bool
        The IP header is one of IPv6; the segments are of UDP.
    """
    own = bytearray(header)
    if ipv6:
        struct.pack_into("!H", own, ip_offset + 4, ip_length)
    else:
        (identification,) = struct.unpack_from("!H", own, ip_offset + 4)
        struct.pack_into("!HH", own, ip_offset + 2, ip_length, (identification + number) % 2**16)
    if udp:
        struct.pack_into("!H", own, l4_offset + 4, l4_length)
        return bytes(own)
    (sequence,) = struct.unpack_from("!I", own, l4_offset + 4)
    struct.pack_into("!I", own, l4_offset + 4, (sequence + payload_before) % 2**32)
    if not last:
        own[l4_offset + 13] &= ~(FIN | PSH)
    if number:
        own[l4_offset + 13] &= ~CWR
    return bytes(own)


def cut(frame: Frame) -> list[Segment]:
    """The reference: the segments of `frame`."""
    if not frame.mss:
        return [Segment(frame.packet, True, 0, len(frame.packet))]
    header, payload = frame.packet[: frame.header_length], frame.packet[frame.header_length :]
    starts = range(0, max(1, len(payload)), frame.mss)
    segments = []
    for number, start in enumerate(starts):
        share = payload[start : start + frame.mss]
        last = number == len(starts) - 1
        own = segment_header(
            header,
            ip_offset=frame.ip_offset,
            l4_offset=frame.l4_offset,
            ip_length=len(header) - frame.ip_offset + len(share) - (40 if frame.ipv6 else 0),
            l4_length=len(header) - frame.l4_offset + len(share),
            ipv6=frame.ipv6,
            udp=frame.udp,
            number=number,
            payload_before=start,
            last=last,
        )
        begin = frame.header_length + start if number else 0
        end = frame.header_length + start + len(share)
        segments.append(Segment(own + share, last, begin, end))
    return segments


def super_frame(
    rng: random.Random,
    payload_length: int,
    mss: int,
    *,
    vlan: bool = False,
    ip_options: int = 0,
    tcp_options: int = 12,
    flags: int = ACK,
    identification: int | None = None,
    sequence: int | None = None,
    ipv6: bool = False,
    udp: bool = False,
) -> Frame:
    """A super-frame with random content.

    Options, over IPv6 extension headers, are of so many bytes, a multiple of 4.
    """
    ethernet = rng.randbytes(12) + (b"\x81\x00\x00\x07" if vlan else b"") + b"\x08\x00"
    identification = rng.getrandbits(16) if identification is None else identification
    sequence = rng.getrandbits(32) if sequence is None else sequence
    ip_header = (
        bytes([0x40 | 5 + ip_options // 4])
        + rng.randbytes(3)
        + struct.pack("!HHBB", identification, 0x4000, 64, 6)
        + rng.randbytes(10 + ip_options)
    )
    tcp_header = (
        rng.randbytes(4)
        + struct.pack("!I", sequence)
        + rng.randbytes(4)
        + bytes([5 + tcp_options // 4 << 4, flags])
        + rng.randbytes(6 + tcp_options)
    )
    if ipv6:
        ip_header = rng.randbytes(40 + ip_options)
    if udp:
        tcp_header = rng.randbytes(8)
    header = ethernet + ip_header + tcp_header
    return Frame(
        packet=header + rng.randbytes(payload_length),
        mss=mss,
        header_length=len(header),
        ip_offset=len(ethernet),
        l4_offset=len(ethernet) + len(ip_header),
        ipv6=ipv6,
        udp=udp,
    )


def random_frame(rng: random.Random, *, error: float = 0.0) -> Frame:
    """A frame of any kind; some of its beats are spoilt with a chance of `error`."""
    if rng.random() < 0.4:
        frame = Frame(
            rng.randbytes(rng.choice((14, 15, 16, 60, 61, 100, rng.randint(14, 300)))),
            ip_offset=2 * rng.randrange(20),
            l4_offset=2 * rng.randrange(100),
            ipv6=bool(rng.getrandbits(1)),
            udp=bool(rng.getrandbits(1)),
        )
    else:
        mss = rng.choice((64, 65, 66, 71, 72, rng.randint(64, 200)))
        segments = rng.randint(0, 4)
        exact = mss * segments
        frame = super_frame(
            rng,
            rng.choice((exact, exact + 1, max(0, exact - 1), rng.randint(0, 4 * mss))),
            mss,
            vlan=rng.random() < 0.3,
            ip_options=4 * rng.choice((0, 0, rng.randint(1, 10))),
            tcp_options=4 * rng.choice((0, 3, rng.randint(0, 10))),
            flags=rng.getrandbits(8),
            identification=rng.choice((None, 0xFFFE)),
            sequence=rng.choice((None, 0xFFFFFFFF - rng.randrange(300))),
            ipv6=rng.random() < 0.4,
            udp=rng.random() < 0.4,
        )
    if rng.random() < error:
        beats = -(-len(frame.packet) // 8)
        for _ in range(rng.randint(1, 3)):
            frame.errors[rng.randrange(beats)] = rng.choice((2, 3))
    return frame


def shortened(rng: random.Random, frame: Frame, lanes: int) -> Frame:
    """`frame` without some of its end."""
    missing = rng.choice((1, rng.randrange(len(frame.packet)), len(frame.packet) - 1))
    last_beat = (len(frame.packet) - missing - 1) // lanes
    errors = {beat: error for beat, error in frame.errors.items() if beat < last_beat}
    return replace(frame, missing=missing, errors=errors | {last_beat: 3})
