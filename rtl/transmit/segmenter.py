"""Large send: cuts super-frames into segments [patent, "large frame send", step 630].

`Segmenter` passes each frame without large send through with its bytes unchanged, and sends each
super-frame as segments: its header, adapted to the segment (`byway.rtl.transmit.header`), and the
next ``mss`` bytes of its payload. It guarantees that

- a super-frame of p payload bytes leaves as ceil(p / mss) packets, as one if p is 0;
- each packet has one `SegmentCommand`, offered no later than its first beat, and the next packet
  does not begin before that command is taken;
- from the first spoilt beat of a frame on, every beat that leaves carries that beat's error, to the
  end of the frame. So a spoilt header spoils every segment, and the last beat of a packet tells
  whether it is spoilt;
- a spoilt packet may be shorter than its command says. It leaves as as many packets: those for
  which nothing is left are a spoilt byte each.

Clock domain: ``sync``. Latency: 3 cycles from beat to beat, when the frame's command came 2 cycles
before its first beat (3 for a super-frame) or while the frame before it streamed. Throughput: a
beat a cycle; a segment takes at most 2 cycles more than it has beats, and a super-frame 1 more.
A segment for which nothing is left takes 2.
Payload is never stored. No ready depends on a valid or on the receiver's ready.

The beats of the packet go to the packer in pieces. A beat in which a segment ends stays where it is
until the header of the next segment has gone before its rest.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.bypass import BypassBuffer
from byway.rtl.bus.packer import Packer
from byway.rtl.bus.packet import BeatLayout, PieceLayout
from byway.rtl.transmit.frame import FrameCommand, SegmentCommand
from byway.rtl.transmit.header import HeaderCopier, check_maximum_header
from byway.rtl.transmit.segment_plan import SegmentPlan, SegmentPlanner

__all__ = ["Segmenter"]


class Segmenter(wiring.Component):
    """Cuts super-frames into segments and passes other frames through.

    Parameters
    ----------
    data_width : int
        Width of both packets' ``data`` in bits: 16 or more, 8 times a power of two.
    maximum_header : int
        Longest header of a super-frame in bytes, 1 to 255.

    Members
    -------
    frames : In(stream.Signature(FrameCommand()))
        A command for each packet. The MSS of a super-frame is at least the bytes of a beat, and its
        header covers the IP and TCP or UDP headers.
    packet : In(stream.Signature(BeatLayout(data_width)))
        The frames and super-frames.
    segments : Out(stream.Signature(SegmentCommand()))
        A command for each packet that leaves.
    segment_packet : Out(stream.Signature(BeatLayout(data_width)))
        The frames and segments.

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    frames: stream.Interface
    packet: stream.Interface
    segments: stream.Interface
    segment_packet: stream.Interface

    def __init__(self, *, data_width: int = 64, maximum_header: int = 192):
        check_maximum_header(maximum_header)
        self.data_width = data_width
        self.lanes = PieceLayout(data_width).lanes
        self.maximum_header = maximum_header
        super().__init__(
            {
                "frames": In(stream.Signature(FrameCommand())),
                "packet": In(stream.Signature(BeatLayout(data_width))),
                "segments": Out(stream.Signature(SegmentCommand())),
                "segment_packet": Out(stream.Signature(BeatLayout(data_width))),
            }
        )

    def elaborate(self, platform):
        """Begin a segment, send its header and its share of the packet, account for errors."""
        m = Module()
        m.submodules.planner = planner = SegmentPlanner(lanes=self.lanes)
        m.submodules.header = header = HeaderCopier(
            data_width=self.data_width, maximum_header=self.maximum_header
        )
        m.submodules.packer = packer = Packer(data_width=self.data_width)
        wiring.connect(m, wiring.flipped(self.frames), planner.frames)
        wiring.connect(m, packer.packet, wiring.flipped(self.segment_packet))
        # Whether a beat is taken is known late: who gave it is told by a flip-flop.
        m.submodules.entry = entry = BypassBuffer(BeatLayout(self.data_width))
        wiring.connect(m, wiring.flipped(self.packet), entry.i)
        packet = entry.o

        # The segment in hand, and what changes while it streams.
        plan = Signal(SegmentPlan(self.lanes))
        coming = planner.plans.payload
        opening = Signal()  # The packet's next beat holds bytes of the super-frame's header.
        lane = Signal.like(plan.lane)  # First byte of the packet's next beat that was not sent.
        beats = Signal.like(plan.beats)  # Beats up to the one in which the segment is cut off.
        cut = Signal()  # The next beat is that one.

        # Begin: when the segment before ends, if the next is planned and the last command is taken.
        begin = Signal()
        ending = Signal()
        wanting = Signal()
        m.d.comb += planner.plans.ready.eq(wanting & ~self.segments.valid)
        m.d.comb += begin.eq(planner.plans.valid & planner.plans.ready)
        with m.If(self.segments.ready):
            m.d.sync += self.segments.valid.eq(0)
        with m.If(begin):
            m.d.sync += self.segments.valid.eq(1)
            for field in self.segments.payload.shape().members:
                source = coming if field == "last" else coming.command
                m.d.sync += self.segments.payload[field].eq(source[field])
            m.d.sync += plan.eq(coming)

        # The piece on its way to the packer, a stage of its own.
        move = packer.pieces.ready
        piece = Signal.like(packer.pieces.payload)
        piece_valid = Signal()
        with m.If(move):
            m.d.sync += packer.pieces.payload.eq(piece)
            m.d.sync += packer.pieces.valid.eq(piece_valid)

        # The header looks on while the first segment passes, and speaks for the others.
        beat = packet.payload
        copying = Signal()
        spoilt = Signal.like(beat.error)
        over = Signal()  # The packet has ended before its last segment.
        ends_early = Signal()
        m.d.comb += [
            header.plan.eq(plan),
            header.source.eq(beat.data),
            header.active.eq(opening | copying),
            header.take.eq(header.active & piece_valid & move),
            header.restart.eq(begin & coming.first),
            piece.data.eq(header.word),
        ]
        with m.If(header.take & header.tail):
            m.d.sync += opening.eq(0)

        def begin_next(is_over):
            m.next = "IDLE"
            with m.If(begin):
                m.next = "COPY"
                with m.If(is_over):
                    m.next = "FILL"
                with m.If(coming.first):
                    m.next = "STREAM"

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += wanting.eq(1)
                begin_next(over)

            with m.State("COPY"):
                m.d.comb += copying.eq(1)
                m.d.comb += piece_valid.eq(header.ready)
                m.d.comb += piece.count.eq(Mux(header.tail, plan.header_tail, self.lanes))
                m.d.comb += piece.error.eq(spoilt)
                with m.If(header.take & header.tail):
                    m.next = "STREAM"

            with m.State("STREAM"):
                held_up = opening & ~header.ready
                cut_within = cut & (plan.cut != self.lanes)
                is_spoilt = spoilt.any() | beat.error.any()
                m.d.comb += ends_early.eq(beat.last & is_spoilt & ~plan.last)
                m.d.comb += packet.ready.eq(move & ~held_up & (~cut_within | ends_early))
                m.d.comb += piece_valid.eq(packet.valid & ~held_up)
                m.d.comb += piece.start.eq(lane)
                m.d.comb += piece.count.eq(Mux(cut, plan.cut, beat.count) - lane)
                m.d.comb += piece.last.eq(cut | beat.last)
                m.d.comb += piece.error.eq(Mux(spoilt.any(), spoilt, beat.error))
                m.d.comb += ending.eq(piece_valid & move & piece.last)
                m.d.comb += wanting.eq(ending)
                with m.If(piece_valid & move):
                    m.d.sync += lane.eq(0)
                    m.d.sync += beats.eq(beats - 1)
                    m.d.sync += cut.eq((beats == 1) & ~plan.last)
                    m.d.sync += spoilt.eq(piece.error)
                with m.If(ending):
                    m.d.sync += over.eq(ends_early)
                    begin_next(ends_early)

            with m.State("FILL"):
                m.d.comb += piece_valid.eq(1)
                m.d.comb += piece.count.eq(1)
                m.d.comb += piece.last.eq(1)
                m.d.comb += piece.error.eq(spoilt)
                m.d.comb += ending.eq(move)
                m.d.comb += wanting.eq(ending)
                with m.If(ending):
                    begin_next(over)

        # What begins overrides what ends in the same cycle.
        with m.If(begin):
            m.d.sync += opening.eq(coming.first & coming.command.large_send)
            m.d.sync += lane.eq(coming.lane)
            m.d.sync += beats.eq(coming.beats)
            m.d.sync += cut.eq((coming.beats == 0) & ~coming.last)
            with m.If(coming.first):
                m.d.sync += spoilt.eq(0)
        return m
