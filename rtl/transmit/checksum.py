"""The Internet checksums [RFC 1071] of frames on their way to the wire.

Sums while it streams: the beats leave as they came, and after the last one of a packet follow the
halfwords that belong into it, which the frame buffer inserts on the way out. The sums are

* IPv4 header checksum [RFC 791]: from ``ip_offset`` up to ``l4_offset``, its own field as zero;
* TCP [RFC 9293] and UDP [RFC 768] checksum: from ``l4_offset`` to the end of the packet, its own
  field as zero, and the pseudo header: the addresses of the IP header [RFC 791; RFC 8200, 8.1], the
  protocol, and as length that of the packet less ``l4_offset``. A UDP checksum of 0 is sent as
  0xFFFF;
* generic checksum: from ``checksum_start`` to the end of the packet, its own field as it is, so
  that it may hold the sum of a pseudo header. One of 0 is sent as 0xFFFF, the same number.

What the fields of the first two hold when the packet comes does not matter. The TCP or UDP checksum
counts the generic one as it is sent: so the outer checksum of a tunnel and the inner are inserted
into one packet. Words are added as they lie in the
lanes, low byte first: the order of bytes changes a sum only in that it comes out in the same order
[RFC 1071, 2 B].

Clock domain: ``sync``. Throughput: a beat a cycle, without a bubble between packets. Latency:
2 cycles from ``packet`` to ``checked``, if its command came a cycle before; with 64-bit data
6 cycles from the last beat of ``checked`` to ``insertions``.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from byway.rtl.bus.packet import BeatLayout
from byway.rtl.bus.skid_buffer import SkidBuffer
from byway.rtl.transmit.frame import SegmentCommand

__all__ = [
    "Checksummer",
    "FieldLayout",
    "InsertionLayout",
    "InsertionSignature",
    "OnesComplementSum",
]

# Halfwords from the start of a header to its checksum field, and of IP to its addresses.
_IPV4_FIELD = 10 // 2
_IPV4_ADDRESSES = 12 // 2
_IPV4_ADDRESSES_END = 20 // 2
_IPV6_ADDRESSES = 8 // 2
_IPV6_ADDRESSES_END = 40 // 2
_TCP_FIELD = 16 // 2
_UDP_FIELD = 6 // 2

_TCP_PROTOCOL = 6
_UDP_PROTOCOL = 17

#: Width of the number of a halfword that two offsets of 8 bits can name, and of those past it.
_HALFWORD_BITS = 9


class FieldLayout(data.StructLayout):
    """A field of a packet to be replaced.

    Members
    -------
    enable : unsigned(1)
        It is to be replaced.
    halfword : unsigned(9)
        Where it lies: its offset in the packet, divided by 2.
    value : unsigned(16)
        What to put there; the low byte goes first.
    """

    def __init__(self):
        super().__init__(
            {
                "enable": unsigned(1),
                "halfword": unsigned(_HALFWORD_BITS),
                "value": unsigned(16),
            }
        )


class InsertionLayout(data.StructLayout):
    """What is to be inserted into a packet.

    Members
    -------
    ipv4, l4, generic : FieldLayout
        The IPv4 header checksum, that of TCP or UDP, and the generic one.
    last : unsigned(1)
        The packet is the last segment of its frame, or the frame itself.
    """

    def __init__(self):
        fields = {name: FieldLayout() for name in ("ipv4", "l4", "generic")}
        super().__init__({**fields, "last": unsigned(1)})


class InsertionSignature(wiring.Signature):
    """Insertions, one for each packet, in order, each after the last beat of its packet was taken.

    There is no ready: whoever takes the beats of a packet has room for its insertion.

    Members
    -------
    payload : Out(InsertionLayout())
        Insertion.
    valid : Out(1)
        There is one in this cycle.
    """

    def __init__(self):
        super().__init__({"payload": Out(InsertionLayout()), "valid": Out(1)})


class OnesComplementSum(wiring.Component):
    """Adds up halfwords modulo 2^16 - 1, over any number of beats, at one beat a cycle.

    An accumulator for each lane of 16 bits keeps its carry and adds it the next time. Behind the
    last beat the lanes are added up in a tree, a level a cycle.

    Parameters
    ----------
    data_width : int
        Width of ``data`` in bits: 16 times a power of two.

    Attributes
    ----------
    latency : int
        Cycles from a beat to the sum that includes it.

    Members
    -------
    take : In(1)
        There is a beat in this cycle.
    first : In(1)
        It is the first of its packet.
    data : In(data_width)
        Its halfwords.
    mask : In(data_width // 8)
        Which of its bytes count.
    addend : In(16)
        Added to the sum up to this beat alone.
    sum : Out(17)
        The low 16 bits and the carry above them, added up, are the sum.
    """

    take: Signal
    first: Signal
    data: Signal
    mask: Signal
    addend: Signal
    sum: Signal

    def __init__(self, *, data_width: int = 64):
        self.halfwords = data_width // 16
        if self.halfwords < 2 or data_width != 16 << exact_log2(self.halfwords):
            raise ValueError(
                f"Data width must be 32 or more, 16 times a power of two, not {data_width!r}"
            )
        # The accumulators, the tree but for its root, the root, the fold.
        self.latency = 1 + exact_log2(self.halfwords) - 1 + 1 + 1
        super().__init__(
            {
                "take": In(1),
                "first": In(1),
                "data": In(data_width),
                "mask": In(data_width // 8),
                "addend": In(16),
                "sum": Out(17),
            }
        )

    def elaborate(self, platform):
        """Accumulate, add up the lanes, fold: registers behind each step."""
        m = Module()

        # Accumulators. The carry of the last addition enters this one as its carry in.
        terms: list[Value] = []
        for lane in range(self.halfwords):
            accumulator = Signal(17, name=f"accumulator_{lane}")
            halfword = self.data.word_select(lane, 16)
            counts = self.mask.word_select(lane, 2)
            term = halfword & Cat(counts[0].replicate(8), counts[1].replicate(8))
            before = Mux(self.first, 0, accumulator)
            with m.If(self.take):
                m.d.sync += accumulator.eq((Cat(1, term) + Cat(before[16], before[:16])) >> 1)
            terms.append(accumulator)
        addend = Signal(16, name="addend_0")
        m.d.sync += addend.eq(self.addend)

        # The tree, until two terms and the addend are left.
        level = 0
        while len(terms) > 2:
            level += 1
            level_sums: list[Value] = []
            for number in range(len(terms) // 2):
                both = terms[2 * number] + terms[2 * number + 1]
                level_sum = Signal(both.shape(), name=f"sum_{level}_{number}")
                m.d.sync += level_sum.eq(both)
                level_sums.append(level_sum)
            delayed = Signal(16, name=f"addend_{level}")
            m.d.sync += delayed.eq(addend)
            terms, addend = level_sums, delayed
        everything = terms[0] + terms[1] + addend
        total = Signal(everything.shape())
        m.d.sync += total.eq(everything)

        # Carries end around.
        m.d.sync += self.sum.eq(total[:16] + total[16:])
        return m


def _folded(total: Value) -> Value:
    """A sum of 17 bits with its last carry added, which leaves no other."""
    return (total[:16] + total[16])[:16]


def _never_zero(checksum: Value) -> Value:
    """`checksum`, of 16 bits, or 0xFFFF for 0, which is the same number [RFC 768]."""
    return Mux(checksum.any(), checksum, 0xFFFF)


class _KeptLayout(data.StructLayout):
    """What becomes, with the sums of a packet, its insertion."""

    def __init__(self):
        super().__init__(
            {
                "checksum_ipv4": unsigned(1),
                "checksum_tcp": unsigned(1),
                "checksum_udp": unsigned(1),
                "checksum_generic": unsigned(1),
                "ipv4_field": unsigned(_HALFWORD_BITS),
                "l4_field": unsigned(_HALFWORD_BITS),
                "generic_field": unsigned(_HALFWORD_BITS),
                "last": unsigned(1),
            }
        )


class _PlanLayout(data.StructLayout):
    """A command, worked out: where things lie, in halfwords, and the pseudo header's start."""

    def __init__(self):
        halfword = unsigned(_HALFWORD_BITS)
        super().__init__(
            {
                "ip": halfword,
                "addresses": halfword,
                "addresses_end": halfword,
                "l4": halfword,
                "start": halfword,
                "pseudo": unsigned(16),
                "kept": _KeptLayout(),
            }
        )


class Checksummer(wiring.Component):
    """Computes the checksums of packets as they pass.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 32 to 1024, a power of two.

    Members
    -------
    segments : In(stream.Signature(SegmentCommand()))
        What to do with each packet. A packet waits for its command.
    packet : In(stream.Signature(BeatLayout(data_width)))
        Packets.
    checked : Out(stream.Signature(BeatLayout(data_width)))
        The same packets, from flip-flops.
    insertions : Out(InsertionSignature())
        What belongs into them, from flip-flops.
    """

    segments: stream.Interface
    packet: stream.Interface
    checked: stream.Interface
    insertions: Any

    def __init__(self, *, data_width: int = 64):
        if data_width not in (32, 64, 128, 256, 512, 1024):
            raise ValueError(
                f"Data width must be a power of two from 32 to 1024 bits, not {data_width!r}"
            )
        self.data_width = data_width
        super().__init__(
            {
                "segments": In(stream.Signature(SegmentCommand())),
                "packet": In(stream.Signature(BeatLayout(data_width))),
                "checked": Out(stream.Signature(BeatLayout(data_width))),
                "insertions": Out(InsertionSignature()),
            }
        )

    def elaborate(self, platform):
        """Plan, mask, sum, insertion; the beats leave from the stage of the masks."""
        m = Module()
        lanes = self.data_width // 8
        halfwords = lanes // 2
        lane_bits = exact_log2(halfwords)

        m.submodules.commands = commands = SkidBuffer(shape=SegmentCommand())
        m.submodules.beats = beats = SkidBuffer(shape=BeatLayout(self.data_width))
        m.submodules.ipv4_sum = ipv4_sum = OnesComplementSum(data_width=self.data_width)
        m.submodules.l4_sum = l4_sum = OnesComplementSum(data_width=self.data_width)
        m.submodules.generic_sum = generic_sum = OnesComplementSum(data_width=self.data_width)
        wiring.connect(m, wiring.flipped(self.segments), commands.i)
        wiring.connect(m, wiring.flipped(self.packet), beats.i)
        command = commands.o.payload
        beat = beats.o.payload

        # A beat moves on when its packet has a plan and the beat before it has left.
        planned = Signal()
        move = Signal()
        finish = Signal()
        m.d.comb += [
            move.eq(beats.o.valid & planned & (~self.checked.valid | self.checked.ready)),
            finish.eq(move & beat.last),
            beats.o.ready.eq(move),
            commands.o.ready.eq(~planned | finish),
        ]

        # The plan: all that can be known before the packet. Length and protocol of the pseudo
        # header are one number, which starts here and grows by the bytes of each beat.
        plan = Signal(_PlanLayout())
        ip = command.ip_offset[1:]
        l4 = command.l4_offset[1:]
        start = command.checksum_start[1:]
        with m.If(commands.o.ready):
            m.d.sync += [
                planned.eq(commands.o.valid),
                plan.ip.eq(ip),
                plan.addresses.eq(ip + Mux(command.ipv6, _IPV6_ADDRESSES, _IPV4_ADDRESSES)),
                plan.addresses_end.eq(
                    ip + Mux(command.ipv6, _IPV6_ADDRESSES_END, _IPV4_ADDRESSES_END)
                ),
                plan.l4.eq(l4),
                plan.start.eq(start),
                plan.pseudo.eq(
                    Mux(command.checksum_udp, _UDP_PROTOCOL, _TCP_PROTOCOL) - command.l4_offset
                ),
                plan.kept.checksum_ipv4.eq(command.checksum_ipv4),
                plan.kept.checksum_tcp.eq(command.checksum_tcp),
                plan.kept.checksum_udp.eq(command.checksum_udp),
                plan.kept.checksum_generic.eq(command.checksum_generic),
                plan.kept.ipv4_field.eq(ip + _IPV4_FIELD),
                plan.kept.l4_field.eq(l4 + Mux(command.checksum_udp, _UDP_FIELD, _TCP_FIELD)),
                plan.kept.generic_field.eq(start + command.checksum_offset[1:]),
                plan.kept.last.eq(command.last),
            ]

        # Masks. The number of the beat stays at its maximum, which lies past every header.
        number = Signal(_HALFWORD_BITS - lane_bits)

        def at(halfword):
            """Lane in which `halfword` lies, if it does in this beat: a bit for each lane."""
            here = number == halfword[lane_bits:]
            return Cat(here & (halfword[:lane_bits] == lane) for lane in range(halfwords))

        def from_on(halfword):
            """Lanes at or past `halfword`."""
            past = number > halfword[lane_bits:]
            here = number == halfword[lane_bits:]
            return Cat(past | here & (halfword[:lane_bits] <= lane) for lane in range(halfwords))

        addresses = from_on(plan.addresses) & ~from_on(plan.addresses_end)
        ipv4_halfwords = from_on(plan.ip) & ~from_on(plan.l4) & ~at(plan.kept.ipv4_field)
        # Of the generic checksum's field the sum gets what is sent, behind the adders.
        inserted = at(plan.kept.generic_field) & plan.kept.checksum_generic.replicate(halfwords)
        l4_halfwords = from_on(plan.l4) & ~at(plan.kept.l4_field) & ~inserted | addresses
        held = Cat(lane < beat.count for lane in range(lanes))

        first = Signal()
        ipv4_mask = Signal(lanes)
        l4_mask = Signal(lanes)
        generic_mask = Signal(lanes)
        pseudo = Signal(16)
        kept = Signal(_KeptLayout())
        with m.If(~self.checked.valid | self.checked.ready):
            m.d.sync += self.checked.valid.eq(move)
        with m.If(move):
            m.d.sync += [
                self.checked.payload.eq(beat),
                first.eq(number == 0),
                ipv4_mask.eq(Cat(bit.replicate(2) for bit in ipv4_halfwords) & held),
                l4_mask.eq(Cat(bit.replicate(2) for bit in l4_halfwords) & held),
                generic_mask.eq(Cat(bit.replicate(2) for bit in from_on(plan.start)) & held),
                pseudo.eq(Mux(number == 0, plan.pseudo, pseudo) + beat.count),
                kept.eq(plan.kept),
            ]
            with m.If(beat.last):
                m.d.sync += number.eq(0)
            with m.Elif(~number.all()):
                m.d.sync += number.eq(number + 1)

        # Sums, of what leaves. The pseudo header's number is turned as the bytes lie in the lanes.
        leave = self.checked.valid & self.checked.ready
        for adder, mask in (
            (ipv4_sum, ipv4_mask),
            (l4_sum, l4_mask),
            (generic_sum, generic_mask),
        ):
            m.d.comb += [
                adder.take.eq(leave),
                adder.first.eq(first),
                adder.data.eq(self.checked.payload.data),
                adder.mask.eq(mask),
            ]
        m.d.comb += l4_sum.addend.eq(Cat(pseudo[8:], pseudo[:8]))
        summed = leave & self.checked.payload.last
        for stage in range(1, l4_sum.latency + 2):
            summed_before, kept_before = summed, kept
            summed = Signal(name=f"summed_{stage}")
            kept = Signal(_KeptLayout(), name=f"kept_{stage}")
            m.d.sync += [summed.eq(summed_before), kept.eq(kept_before)]

        # The generic checksum comes first; beside it the last carries of the others.
        generic = Signal(16)
        ipv4 = Signal(16)
        l4 = Signal(16)
        generic_folded = _folded(generic_sum.sum)
        m.d.sync += [
            generic.eq(_never_zero(~generic_folded)),
            ipv4.eq(_folded(ipv4_sum.sum)),
            l4.eq(_folded(l4_sum.sum)),
        ]

        # The insertions. A carry out of the last addition goes around at once.
        insertion = self.insertions.payload
        further = Mux(kept.checksum_generic, generic, 0)
        without_carry = l4 + further
        l4_checksum = ~Mux(without_carry[16], l4 + further + 1, without_carry)[:16]
        m.d.sync += [
            self.insertions.valid.eq(summed),
            insertion.ipv4.enable.eq(kept.checksum_ipv4),
            insertion.ipv4.halfword.eq(kept.ipv4_field),
            insertion.ipv4.value.eq(~ipv4),
            insertion.l4.enable.eq(kept.checksum_tcp | kept.checksum_udp),
            insertion.l4.halfword.eq(kept.l4_field),
            insertion.l4.value.eq(
                Mux(kept.checksum_udp, _never_zero(l4_checksum), l4_checksum),
            ),
            insertion.generic.enable.eq(kept.checksum_generic),
            insertion.generic.halfword.eq(kept.generic_field),
            insertion.generic.value.eq(generic),
            insertion.last.eq(kept.last),
        ]
        return m
