"""Frames as software describes them, for test benches: their ring entries, and what must become of
them.

`FrameRequest.verdict` is the reference for `byway.rtl.transmit.parser`: it states in plain Python
what that file's head states in prose. `random_request` makes good frames of every kind, and bad
ones that differ from a good one in a value at the edge.
"""

import dataclasses
import itertools
import random
from collections.abc import Mapping, Set
from typing import Any

from byway.rtl.contract.model import codes, constant, record

__all__ = [
    "ENTRY_BYTES",
    "FLAGS",
    "Fragment",
    "FrameRequest",
    "plain_request",
    "plain_requests",
    "random_request",
]

#: What a descriptor may ask for, and the version of IP.
FLAGS = (
    *("checksum_ipv4", "checksum_tcp", "checksum_udp", "checksum_generic"),
    *("large_send", "udp_segmentation", "insert_vlan", "ipv6"),
)

#: Of a descriptor, and of each other entry of a ring.
ENTRY_BYTES = record("transmit_descriptor").size // 8

_STATUS = codes("transmit_status")
_MOST_FRAGMENTS = constant("frame_limits.maximum_fragments")
_MAXIMUM_FRAME = constant("frame_limits.maximum_frame")
_MAXIMUM_HEADER = constant("frame_limits.maximum_header")
_MINIMUM_MSS = constant("mss_limits.minimum_mss")
_MAXIMUM_MSS = constant("mss_limits.maximum_mss")
_LONGEST_V4 = constant("large_send_v4.maximum_packet")
_LONGEST_V6 = constant("large_send_v6.maximum_packet")


def _pack(name: str, fields: Mapping[Any, int]) -> bytes:
    layout = record(name)
    return layout.const(fields).as_bits().to_bytes(layout.size // 8, "little")


@dataclasses.dataclass(frozen=True)
class Fragment:
    """A run of bytes: I/O bus address and length."""

    address: int
    length: int


@dataclasses.dataclass(frozen=True)
class FrameRequest:
    """A frame as a driver asks for it.

    Members
    -------
    fragments : tuple of Fragment
        Its pieces. One alone where `count` is out of range.
    count : int
        What the descriptor says their number is.
    total_length, mss, header_length, ip_offset, l4_offset, checksum_start, ... : int
        Fields of the descriptor.
    flags : frozenset of str
        Those of `FLAGS` that are set.
    """

    fragments: tuple[Fragment, ...]
    count: int
    total_length: int
    mss: int = 0
    header_length: int = 0
    ip_offset: int = 0
    l4_offset: int = 0
    checksum_start: int = 0
    checksum_offset: int = 0
    vlan_tag: int = 0
    flags: frozenset[str] = frozenset()
    correlator: int = 0

    def entries(self) -> list[bytes]:
        """The ring entries: a descriptor, then two fragments to each."""
        descriptor = {
            "address": self.fragments[0].address,
            "fragment_length": self.fragments[0].length,
            "fragments": self.count,
            "total_length": self.total_length,
            "mss": self.mss,
            "header_length": self.header_length,
            "ip_offset": self.ip_offset,
            "l4_offset": self.l4_offset,
            "checksum_start": self.checksum_start,
            "checksum_offset": self.checksum_offset,
            "vlan_tag": self.vlan_tag,
            "correlator": self.correlator,
            **dict.fromkeys(self.flags, 1),
        }
        result = [_pack("transmit_descriptor", descriptor)]
        for start in range(1, len(self.fragments), 2):
            # What stands in place of a fragment beyond the last must not matter.
            first, second = (*self.fragments[start : start + 2], Fragment(0xBAD, 0xBAD))[:2]
            fields = {
                "first_address": first.address,
                "first_length": first.length,
                "second_address": second.address,
                "second_length": second.length,
            }
            result.append(_pack("scatter_gather_entry", fields))
        return result

    def verdict(self, granted: Set[str]) -> int:
        """The status that the parser gives it, for a ring with these offloads granted."""
        failures = self.failures(granted)
        return next((code for code, failed in failures.items() if failed), _STATUS.SUCCESS)

    def failures(self, granted: Set[str]) -> dict[Any, bool]:
        """For each status but success whether it applies, in the order in which they are told."""
        ip, l4, header, total = (
            self.ip_offset,
            self.l4_offset,
            self.header_length,
            self.total_length,
        )
        flags = self.flags
        tag = self.tag_bytes
        ipv6 = "ipv6" in flags
        segmented = bool(flags & {"large_send", "udp_segmentation"})
        tcp = bool(flags & {"large_send", "checksum_tcp"})
        udp = bool(flags & {"udp_segmentation", "checksum_udp"})
        generic = "checksum_generic" in flags
        by_protocol = tcp or udp or "checksum_ipv4" in flags

        # Where the headers end, at the least. Segmentation implies its own checksums, and checks
        # its header instead. TCP and UDP conflict; then it is as if TCP were asked for.
        headers = l4 + (20 if tcp else 8 if udp else 0)
        checksums = (
            set() if segmented else flags & {"checksum_ipv4", "checksum_tcp", "checksum_udp"}
        )
        past_frame = not segmented and headers > total
        bad_offsets = (ip | l4) % 2 == 1 or ip < 14 or l4 < ip + (40 if ipv6 else 20)
        bad_offsets = bad_offsets or l4 + tag > 255
        maximum_frame = _MAXIMUM_FRAME - tag
        longest = ip + (_LONGEST_V6 if ipv6 else _LONGEST_V4) if segmented else maximum_frame

        wanted = {f"{name}_v6" if ipv6 and name != "checksum_ipv4" else name for name in checksums}
        wanted |= flags & {"udp_segmentation", "checksum_generic"}
        wanted |= {"vlan_insertion"} if tag else set()
        if "large_send" in flags:
            wanted.add("large_send_v6" if ipv6 else "large_send_v4")
        if self.count > 1:
            wanted.add("scatter_gather")

        # The generic checksum lies behind the headers of those that count it.
        start, field = self.checksum_start, self.checksum_start + self.checksum_offset
        behind = max(14, headers if by_protocol else 0)
        bad_field = field % 2 == 1 or start % 2 == 1 or start < 14 or start + tag > 255
        bad_field = bad_field or field < behind or field + 2 > total

        return {
            _STATUS.FRAGMENT_COUNT: not 1 <= self.count <= _MOST_FRAGMENTS,
            _STATUS.LENGTH_SHORT: total < 14 or any(not part.length for part in self.fragments),
            _STATUS.LENGTH_MISMATCH: total != sum(part.length for part in self.fragments),
            _STATUS.LENGTH_LONG: total > longest,
            _STATUS.FLAGS_CONFLICT: (tcp and udp)
            or (ipv6 and "checksum_ipv4" in flags)
            or (generic and segmented),
            _STATUS.NOT_GRANTED: not wanted <= granted,
            _STATUS.OFFSET_RANGE: (by_protocol and (bad_offsets or past_frame))
            or (generic and bad_field),
            _STATUS.HEADER_LENGTH: segmented
            and not headers <= header <= min(_MAXIMUM_HEADER - tag, total),
            _STATUS.MSS_RANGE: segmented
            and not (
                _MINIMUM_MSS <= self.mss <= _MAXIMUM_MSS and header + self.mss <= maximum_frame
            ),
        }

    @property
    def tag_bytes(self) -> int:
        """Bytes that are inserted."""
        return 4 if "insert_vlan" in self.flags else 0

    def command(self) -> dict[str, int]:
        """The `FrameCommand` of the frame, if it is good."""
        moved = ("total_length", "header_length", "ip_offset", "l4_offset", "checksum_start")
        fields = ("mss", "checksum_offset", "vlan_tag")
        flags = set(self.flags)
        if flags & {"large_send", "udp_segmentation"}:
            flags.add("checksum_tcp" if "large_send" in flags else "checksum_udp")
            flags |= {"large_send"} if "ipv6" in flags else {"large_send", "checksum_ipv4"}
        return {
            **{name: getattr(self, name) for name in fields},
            # Where it is not used a field of 8 bits may wrap.
            **{
                name: (getattr(self, name) + self.tag_bytes)
                % (1 << (20 if name == "total_length" else 8))
                for name in moved
            },
            **{name: int(name in flags) for name in FLAGS if name != "udp_segmentation"},
        }


def _cut(rng: random.Random, total: int, count: int) -> tuple[Fragment, ...]:
    """`total` bytes in `count` fragments, none of them empty if there are bytes enough."""
    total = max(total, count)
    marks = [0, *sorted(rng.sample(range(1, total), count - 1)), total]
    lengths = [end - start for start, end in itertools.pairwise(marks)]
    return tuple(Fragment(rng.getrandbits(64), length) for length in lengths)


def _good_request(rng: random.Random, correlator: int) -> FrameRequest:
    """A frame that passes every check, of a kind drawn at random."""
    count = rng.choice([1, 1, 1, 1, 2, 2, 3, 4, 5, 30, 31])
    kind = rng.choice(["plain", "checksum_ipv4", "checksum_tcp", "checksum_udp", "generic", "send"])
    ipv6 = kind != "checksum_ipv4" and rng.random() < 0.4
    ip = rng.choice([14, 18, rng.randrange(14, 80, 2)])
    least_ip = 40 if ipv6 else 20
    l4 = ip + rng.choice([least_ip, rng.randrange(least_ip, 61, 2)])
    least = max(l4 + 20, count)
    mss = header = start = offset = 0
    if kind == "send":
        header = rng.choice([l4 + 20, min(_MAXIMUM_HEADER, rng.randint(l4 + 20, l4 + 60))])
        mss = rng.choice([_MINIMUM_MSS, 1448, _MAXIMUM_MSS])
        longest = ip + (_LONGEST_V6 if ipv6 else _LONGEST_V4)
        total = rng.choice([header, rng.randint(max(header, least), longest), longest])
    elif kind == "generic":
        # Alone, or within a tunnel: behind the UDP header of the outer packet.
        start = rng.choice([l4 + 8, l4 + 8 + rng.randrange(0, 60, 2)])
        offset = rng.choice([6, 16, rng.randrange(0, 256, 2)])
        least = max(start + offset + 2, count)
        total = rng.choice([least, _MAXIMUM_FRAME, rng.randint(least, _MAXIMUM_FRAME)])
    elif kind == "plain":
        total = rng.choice([14, 60, 1514, _MAXIMUM_FRAME, rng.randint(14, _MAXIMUM_FRAME)])
    else:
        total = rng.choice([least, _MAXIMUM_FRAME, rng.randint(least, _MAXIMUM_FRAME)])
    total = max(total, count)
    flags = {
        "plain": [set()],
        "checksum_ipv4": [{"checksum_ipv4"}],
        "checksum_tcp": [{"checksum_tcp"}, {"checksum_tcp", "checksum_ipv4"}],
        "checksum_udp": [{"checksum_udp"}, {"checksum_udp", "checksum_ipv4"}],
        "generic": [
            {"checksum_generic"},
            {"checksum_generic", "checksum_udp"},
            {"checksum_generic", "checksum_udp", "checksum_ipv4"},
        ],
        "send": [
            {"large_send"},
            {"large_send", "checksum_tcp", "checksum_ipv4"},
            {"udp_segmentation"},
        ],
    }[kind]
    chosen = rng.choice(flags)
    if ipv6:
        chosen = (chosen - {"checksum_ipv4"}) | {"ipv6"}
    longest = _MAXIMUM_FRAME if kind != "send" else 1 << 20
    if max(l4, start, header) < _MAXIMUM_HEADER - 4 and total < longest - 4 and rng.random() < 0.4:
        chosen = chosen | {"insert_vlan"}
    return FrameRequest(
        fragments=_cut(rng, total, count),
        count=count,
        total_length=total,
        mss=mss,
        header_length=header,
        ip_offset=ip,
        l4_offset=l4,
        checksum_start=start,
        checksum_offset=offset,
        vlan_tag=rng.getrandbits(16),
        flags=frozenset(chosen),
        correlator=correlator,
    )


def _resize(request: FrameRequest, total: int) -> FrameRequest:
    """The same frame of another length: its last fragment makes up for the difference."""
    others = request.fragments[:-1]
    length = total - sum(part.length for part in others)
    if length not in range(1, 1 << 20):
        return request
    last = Fragment(request.fragments[-1].address, length)
    return dataclasses.replace(request, total_length=total, fragments=(*others, last))


def _spoil(rng: random.Random, request: FrameRequest) -> FrameRequest:
    """`request` with one value moved, mostly by one across an edge."""
    ip, l4, header = request.ip_offset, request.l4_offset, request.header_length
    step = rng.choice([-2, -1, 1, 2])
    choice = rng.randrange(10)
    if choice == 0:
        count = rng.choice([0, _MOST_FRAGMENTS + 1, 255])
        return dataclasses.replace(request, count=count, fragments=request.fragments[:1])
    if choice == 1:
        place = rng.randrange(len(request.fragments))
        parts = list(request.fragments)
        parts[place] = Fragment(parts[place].address, 0)
        total = sum(part.length for part in parts)
        return dataclasses.replace(request, fragments=tuple(parts), total_length=total)
    if choice == 2:
        total = request.total_length + rng.choice([step, 1 << 19])
        return dataclasses.replace(request, total_length=total % (1 << 20))
    if choice in (3, 4):
        field = request.checksum_start + request.checksum_offset
        edges = [
            13,
            14,
            _MAXIMUM_FRAME + 1,
            _MAXIMUM_FRAME - 3,
            ip + _LONGEST_V4 + 1,
            ip + _LONGEST_V6 + 1,
        ]
        edges += [l4, l4 - 1, l4 + 7, l4 + 8, l4 + 19, field + 1]
        return _resize(request, rng.choice([*edges, header, header - 1, (1 << 20) - 1]))
    if choice == 5:
        return dataclasses.replace(request, flags=request.flags ^ {rng.choice(FLAGS)})
    name, values = rng.choice(
        [
            ("ip_offset", [12, 13, ip + step, l4 - 20, l4 - 18, 255]),
            ("l4_offset", [l4 + step, ip + 18, ip + 19, ip + 38, request.total_length, 255]),
            ("checksum_start", [request.checksum_start + step, 12, 14, l4, l4 + 6, 255]),
            ("checksum_offset", [request.checksum_offset + step, 0, 255]),
            ("header_length", [l4 + 19, l4 + 20, _MAXIMUM_HEADER, _MAXIMUM_HEADER + 1, 0]),
            ("header_length", [_MAXIMUM_HEADER - 4, _MAXIMUM_HEADER - 3]),
            ("mss", [0, _MINIMUM_MSS - 1, _MAXIMUM_MSS + 1, 0xFFFF]),
            ("mss", [_MAXIMUM_FRAME - header, _MAXIMUM_FRAME - header + 1]),
        ]
    )
    bits = record("transmit_descriptor")[name].width
    return dataclasses.replace(request, **{name: rng.choice(values) % (1 << bits)})


def plain_request(correlator: int = 0, count: int = 1) -> FrameRequest:
    """A good frame without offloads: so many fragments of 60 bytes."""
    parts = tuple(Fragment(0x1_0000 + 0x100 * number, 60) for number in range(count))
    return FrameRequest(parts, count, 60 * count, correlator=correlator)


def plain_requests(number: int) -> list[FrameRequest]:
    """So many of them, with correlators from 0 on."""
    return [plain_request(correlator) for correlator in range(number)]


def random_request(rng: random.Random, correlator: int, *, bad: float = 0.5) -> FrameRequest:
    """A frame of any kind; with the chance `bad`, spoilt in one place or two."""
    request = _good_request(rng, correlator)
    if rng.random() < bad:
        for _ in range(rng.choice([1, 1, 2])):
            request = _spoil(rng, request)
    return request
