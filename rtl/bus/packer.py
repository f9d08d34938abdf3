"""Joins pieces into packets: any bytes from any lanes become contiguous beats.

`Packer` guarantees that each run of pieces that ends with ``last`` leaves as one packet with the
same bytes in the same order, by the laws of `byway.rtl.bus.packet`, and that the error of a piece
marks every beat that holds a byte of it.

Clock domain: ``sync``. Latency: 2 cycles from the piece that completes a beat to the beat.
Throughput: one piece a cycle; a packet whose last piece completes a beat and leaves bytes over
takes one cycle more. ``pieces.ready`` depends on flip-flops of the packer alone.

Bytes turn once: on entry a piece is rotated so that its first byte stands in the lane after the
last byte held. Lanes from there up complete the beat in hand; what wrapped around to lane 0 is
already in place to begin the next one.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.bus.packet import BeatLayout, PieceLayout

__all__ = ["Packer"]


class _TurnedPiece(data.StructLayout):
    """A piece in the lanes where it will leave.

    Members
    -------
    data : unsigned(data_width)
        The bytes, rotated.
    held : unsigned(lanes)
        Lanes that belong to bytes held from earlier pieces: a run from lane 0.
    fill : unsigned
        Bytes held and bytes of the piece together; the bit of weight `lanes` tells a full beat.
    spills : unsigned(1)
        The last piece of its packet, and more than one beat together with the bytes held.
    last, error
        As in `PieceLayout`.
    """

    def __init__(self, data_width: int, lanes: int):
        super().__init__(
            {
                "data": unsigned(data_width),
                "held": unsigned(lanes),
                "fill": unsigned(bits_for(2 * lanes - 1)),
                "spills": unsigned(1),
                "last": unsigned(1),
                "error": unsigned(2),
            }
        )


class Packer(wiring.Component):
    """Joins pieces of any start and count into packets.

    Parameters
    ----------
    data_width : int
        Width of both streams' ``data`` in bits: 16 or more, 8 times a power of two.

    Members
    -------
    pieces : In(stream.Signature(PieceLayout(data_width)))
        What to join. ``start + count`` is at most all lanes.
    packet : Out(stream.Signature(BeatLayout(data_width)))
        The packets. Lanes from ``count`` on hold no particular value.

    Raises
    ------
    ValueError
        If `data_width` is not as above.
    """

    pieces: stream.Interface
    packet: stream.Interface

    def __init__(self, *, data_width: int = 64):
        self.data_width = data_width
        piece = PieceLayout(data_width)
        self.lanes = piece.lanes
        super().__init__(
            {
                "pieces": In(stream.Signature(piece)),
                "packet": Out(stream.Signature(BeatLayout(data_width))),
            }
        )

    def elaborate(self, platform):
        """Entry, merge, exit: a register stage each but the merge, which lies between two."""
        m = Module()
        lanes = self.lanes
        full_bit = bits_for(lanes) - 1
        turned_layout = _TurnedPiece(self.data_width, lanes)
        beat_layout = BeatLayout(self.data_width)

        # A waiting beat is the only reason to stop, so that readiness comes from flip-flops.
        turned_valid = Signal()
        turned = Signal(turned_layout)
        waiting_valid = Signal()
        waiting = Signal(beat_layout)
        move = Signal()
        m.d.comb += move.eq(~waiting_valid)
        m.d.comb += self.pieces.ready.eq(move & ~turned.spills)

        # Entry: turn the piece so that its first byte follows the last byte held.
        piece = self.pieces.payload
        held = Signal(range(lanes))
        fill = Signal(turned_layout.members["fill"])
        turn = Signal(range(lanes))
        m.d.comb += fill.eq(held + piece.count)
        m.d.comb += turn.eq(held - piece.start)
        turned_data = piece.data
        for bit, by in enumerate(turn):
            turned_data = Mux(by, turned_data.rotate_left(8 << bit), turned_data)
        with m.If(self.pieces.ready):
            m.d.sync += turned_valid.eq(self.pieces.valid)
            m.d.sync += turned.data.eq(turned_data)
            m.d.sync += turned.held.eq((1 << held) - 1)
            m.d.sync += turned.fill.eq(fill)
            m.d.sync += turned.spills.eq(self.pieces.valid & piece.last & (fill > lanes))
            m.d.sync += turned.last.eq(piece.last)
            m.d.sync += turned.error.eq(piece.error)
            with m.If(self.pieces.valid):
                m.d.sync += held.eq(Mux(piece.last, 0, fill))
        with m.Elif(move):
            # The bytes that wrapped around are now a last piece by themselves.
            m.d.sync += turned.held.eq(0)
            m.d.sync += turned.fill[full_bit].eq(0)
            m.d.sync += turned.spills.eq(0)

        # Merge: bytes held below, the piece above.
        kept = Signal(self.data_width)
        kept_error = Signal(2)
        beat = Signal(beat_layout)
        beat_valid = Signal()
        is_full = Signal()
        m.d.comb += is_full.eq(turned.fill[full_bit])
        for lane in range(lanes):
            m.d.comb += beat.data.word_select(lane, 8).eq(
                Mux(turned.held[lane], kept.word_select(lane, 8), turned.data.word_select(lane, 8))
            )
        m.d.comb += beat.count.eq(Mux(is_full, lanes, turned.fill))
        m.d.comb += beat.last.eq(turned.last & ~turned.spills)
        m.d.comb += beat.error.eq(Mux(kept_error.any(), kept_error, turned.error))
        m.d.comb += beat_valid.eq(turned_valid & move & (is_full | turned.last))

        # Keep: all so far while the beat is short, then what wrapped around.
        with m.If(turned_valid & move):
            m.d.sync += kept.eq(Mux(is_full, turned.data, beat.data))
            m.d.sync += kept_error.eq(beat.error)
            with m.If(beat.last | (turned.fill == lanes)):
                m.d.sync += kept_error.eq(0)
            with m.Elif(is_full):
                m.d.sync += kept_error.eq(turned.error)

        # Exit: two beats of room, so that a stall of the receiver is seen a cycle late.
        with m.If(self.packet.ready | ~self.packet.valid):
            m.d.sync += self.packet.valid.eq(waiting_valid | beat_valid)
            m.d.sync += self.packet.payload.eq(Mux(waiting_valid, waiting, beat))
            m.d.sync += waiting_valid.eq(0)
        with m.Elif(beat_valid):
            m.d.sync += waiting_valid.eq(1)
            m.d.sync += waiting.eq(beat)

        return m
