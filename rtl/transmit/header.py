"""The header of a super-frame: kept while the first segment streams, copied for every other.

`HeaderCopier` gives each segment its header by the rule of large send [patent, "large frame send";
IPv4: RFC 791, 3.1; IPv6: RFC 8200, 3; TCP: RFC 9293, 3.1; CWR: RFC 3168, 6.1.2; UDP: RFC 768].
With m payload bytes a segment, segment n differs from the header given in

- IPv4 total length, IPv6 payload length, UDP length: that of this segment;
- IPv4 identification: n more, modulo 2^16;
- TCP sequence number: n * m more, modulo 2^32;
- TCP's FIN and PSH: cleared in all but the last segment;
- TCP's CWR: cleared in all but the first.

All else, options and extension headers included, is as given. Checksums are left to the checksum
block, which ignores what the fields hold.

Clock domain: ``sync``. Latency: none from ``source`` to ``word``, so that the first segment streams
without waiting for its header. Throughput: a word a cycle; ``ready`` drops for 1 cycle after the
last word and after ``restart``.

Fields have even offsets, hence are whole 16-bit halves of a word. Where they fall in the word to
come is decided a cycle ahead, from its distances to the IP and TCP headers.
"""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.packet import PieceLayout
from byway.rtl.transmit.frame import FrameCommand
from byway.rtl.transmit.segment_plan import SegmentPlan

__all__ = ["HeaderCopier", "check_maximum_header"]

# Offsets of the fields within their headers, in 16-bit halves.
_IPV4_LENGTH = 1
_IPV4_IDENTIFICATION = 2
_IPV6_LENGTH = 2
_UDP_LENGTH = 2
_TCP_SEQUENCE_HIGH = 2
_TCP_SEQUENCE_LOW = 3
_TCP_FLAGS = 6

# The half that holds the flags, in network order.
_FIN = 0x0001
_PSH = 0x0008
_CWR = 0x0080


def _swapped(half: Value) -> Value:
    """Network order to the order of lanes, and back."""
    return half.rotate_left(8)


def _any(values: Iterable[Value]) -> Value:
    return reduce(or_, values)


def check_maximum_header(maximum_header: int) -> None:
    """Raise `ValueError` unless a `FrameCommand` can tell of headers so long."""
    longest = 2 ** FrameCommand()["header_length"].width - 1
    if maximum_header not in range(1, longest + 1):
        raise ValueError(f"Maximum header must be 1 to {longest} bytes, not {maximum_header!r}")


class HeaderCopier(wiring.Component):
    """Keeps a header and gives it to each segment with the fields of that segment.

    Parameters
    ----------
    data_width : int
        Bits of a word: 16 or more, 8 times a power of two.
    maximum_header : int
        Longest header in bytes, 1 to 255.

    Members
    -------
    plan : In(SegmentPlan(lanes))
        The segment in hand.
    restart : In(1)
        ``plan`` is another from the next cycle on, and the first of its frame.
    source : In(data_width)
        For the first segment: the word of the packet.
    active : In(1)
        A word of the header is wanted now; otherwise ``word`` is ``source``.
    take : In(1)
        ``word`` is taken, while ``active`` and ``ready``.
    ready : Out(1)
        ``word`` is there, apart from ``source``.
    word : Out(data_width)
        The word for the wire.
    tail : Out(1)
        It is the last word of the header. In the first segment payload follows in the same word.

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    plan: data.View
    restart: Signal
    source: Signal
    active: Signal
    take: Signal
    ready: Signal
    word: Signal
    tail: Signal

    def __init__(self, *, data_width: int, maximum_header: int):
        check_maximum_header(maximum_header)
        self.data_width = data_width
        self.lanes = PieceLayout(data_width).lanes
        self.maximum_header = maximum_header
        super().__init__(
            {
                "plan": In(SegmentPlan(self.lanes)),
                "restart": In(1),
                "source": In(data_width),
                "active": In(1),
                "take": In(1),
                "ready": Out(1),
                "word": Out(data_width),
                "tail": Out(1),
            }
        )

    def elaborate(self, platform):
        """Step through the words, find the fields, keep what is given, patch what is copied."""
        m = Module()
        plan = self.plan
        command = plan.command
        halves = self.lanes // 2

        # Step: row is that of the word in hand, unless a step to row 0 is still to be made.
        row = Signal.like(plan.header_rows)
        next_row = Signal.like(row)
        coming_row = Signal.like(row)
        step = Signal()
        m.d.comb += step.eq(self.take | ~self.ready)
        m.d.comb += coming_row.eq(Mux(self.ready, next_row, 0))
        with m.If(step):
            m.d.sync += row.eq(coming_row)
            m.d.sync += next_row.eq(coming_row + 1)
            m.d.sync += self.tail.eq(coming_row == plan.header_rows)
            m.d.sync += self.ready.eq(1)
        with m.If(self.restart | (self.take & self.tail)):
            m.d.sync += self.ready.eq(0)

        # Keep: the first segment's words as they come; read a row ahead of the word in hand.
        depth = -(-self.maximum_header // self.lanes)
        m.submodules.store = store = Memory(shape=self.data_width, depth=depth, init=[])
        write = store.write_port()
        read = store.read_port(domain="comb")
        kept = Signal(self.data_width)
        m.d.comb += [
            write.addr.eq(row),
            write.data.eq(self.source),
            write.en.eq(self.take & plan.first),
            read.addr.eq(coming_row),
        ]
        with m.If(step):
            m.d.sync += kept.eq(read.data)

        # Find: halves from the word to come to each header, then which half holds which field.
        distances = {}
        for name, offset in ("ip", command.ip_offset), ("l4", command.l4_offset):
            reach = signed(len(offset) + 1)
            coming = Signal(reach, name=f"{name}_distance")
            after = Signal(reach, name=f"{name}_distance_after")
            m.d.comb += coming.eq(Mux(self.ready, after, offset[1:]))
            with m.If(step):
                m.d.sync += after.eq(coming - halves)
            distances[name] = coming

        def find(name: str, header: str, fields: Iterable[tuple[Value, int]]) -> Signal:
            here = Signal(halves, name=f"{name}_here")
            for half in range(halves):
                with m.If(step):
                    m.d.sync += here[half].eq(
                        _any(has & (distances[header] == half - field) for has, field in fields)
                    )
            return here

        is_v6, is_udp = command.ipv6, command.checksum_udp
        ip_length_here = find("ip_length", "ip", [(~is_v6, _IPV4_LENGTH), (is_v6, _IPV6_LENGTH)])
        identification_here = find("identification", "ip", [(~is_v6, _IPV4_IDENTIFICATION)])
        udp_length_here = find("udp_length", "l4", [(is_udp, _UDP_LENGTH)])
        sequence_high_here = find("sequence_high", "l4", [(~is_udp, _TCP_SEQUENCE_HIGH)])
        sequence_low_here = find("sequence_low", "l4", [(~is_udp, _TCP_SEQUENCE_LOW)])
        flags_here = find("flags", "l4", [(~is_udp, _TCP_FLAGS)])

        # Count: identification and sequence number as given, then on by one segment each time that
        # a header has passed. The payload behind it leaves a cycle for that.
        passed = Signal()
        identification = Signal(16)
        sequence = Signal(32)
        with m.If(self.take & plan.first):
            for here, number in (
                (identification_here, identification),
                (sequence_high_here, sequence[16:]),
                (sequence_low_here, sequence[:16]),
            ):
                with m.If(here.any()):
                    given = _any(
                        Mux(here[half], self.source.word_select(half, 16), 0)
                        for half in range(halves)
                    )
                    m.d.sync += number.eq(_swapped(given))
        m.d.sync += passed.eq(self.take & self.tail)
        with m.If(passed):
            m.d.sync += identification.eq(identification + 1)
            m.d.sync += sequence.eq(sequence + command.mss)

        # Patch: in each half one field at most. The first segment's own numbers are those given.
        copying = Signal()
        origin = Signal(self.data_width)
        cleared = Signal(16)
        m.d.comb += copying.eq(self.active & ~plan.first)
        m.d.comb += origin.eq(Mux(copying, kept, self.source))
        m.d.comb += cleared.eq(Mux(plan.last, 0, _FIN | _PSH) | Mux(plan.first, 0, _CWR))
        for half in range(halves):
            fields = [
                (self.active & ip_length_here[half], plan.ip_length),
                (self.active & udp_length_here[half], plan.l4_length),
                (copying & identification_here[half], identification),
                (copying & sequence_high_here[half], sequence[16:]),
                (copying & sequence_low_here[half], sequence[:16]),
            ]
            renewed = Signal(name=f"renewed_{half}")
            trimmed = Signal(16, name=f"trimmed_{half}")
            m.d.comb += renewed.eq(_any(here for here, _value in fields))
            m.d.comb += trimmed.eq(Mux(self.active & flags_here[half], cleared, 0))
            m.d.comb += self.word.word_select(half, 16).eq(
                Mux(
                    renewed,
                    _any(Mux(here, _swapped(value), 0) for here, value in fields),
                    origin.word_select(half, 16) & ~_swapped(trimmed),
                )
            )
        return m
