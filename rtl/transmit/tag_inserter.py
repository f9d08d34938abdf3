"""Inserts VLAN tags [IEEE 802.1Q, 9.3 to 9.6] into frames while they are still pieces.

`TagInserter` puts the four bytes of a tag behind the two addresses of each packet that is to have
one. A tag that the packet brings along becomes the inner one. All else, errors included, passes as
it is, and so does a packet that ends with its addresses, or in them.

Clock domain: ``sync``. Latency: 2 cycles. Throughput: a piece a cycle; an inserted tag takes one
cycle more, and another one if the addresses end within a piece. ``pieces.ready`` depends on
flip-flops alone.
"""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.packet import PieceLayout
from byway.rtl.bus.skid_buffer import SkidBuffer

__all__ = ["TAG_BYTES", "TagInserter", "TagLayout"]

TAG_BYTES = 4
_TAG_PROTOCOL = 0x8100
_ADDRESS_BYTES = 12


class TagLayout(data.StructLayout):
    """What is to be inserted into a packet.

    Members
    -------
    insert : unsigned(1)
        A tag.
    control : unsigned(16)
        Its tag control information: priority, drop eligible indicator, VLAN identifier.
    """

    def __init__(self):
        super().__init__({"insert": unsigned(1), "control": unsigned(16)})


class TagInserter(wiring.Component):
    """Inserts tags.

    Parameters
    ----------
    data_width : int
        Width of the pieces' data in bits: 32 or more, 8 times a power of two.

    Members
    -------
    tags : In(stream.Signature(TagLayout()))
        One for each packet. A packet waits for its own.
    pieces : In(stream.Signature(PieceLayout(data_width)))
        Packets.
    tagged : Out(stream.Signature(PieceLayout(data_width)))
        The same with their tags, from flip-flops.

    Raises
    ------
    ValueError
        If the width is not as above.
    """

    tags: stream.Interface
    pieces: stream.Interface
    tagged: Any

    def __init__(self, *, data_width: int = 64):
        shape = PieceLayout(data_width)
        if shape.lanes < TAG_BYTES:
            raise ValueError(f"Data width must be at least {8 * TAG_BYTES}, not {data_width!r}")
        super().__init__(
            {
                "tags": In(stream.Signature(TagLayout())),
                "pieces": In(stream.Signature(shape)),
                "tagged": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        """The addresses, the tag, the rest."""
        m = Module()
        m.submodules.entry = entry = SkidBuffer(shape=self.pieces.payload.shape())
        wiring.connect(m, wiring.flipped(self.pieces), entry.i)
        tag, piece, out = self.tags.payload, entry.o.payload, self.tagged.payload
        left = Signal(range(_ADDRESS_BYTES + 1), init=_ADDRESS_BYTES)  # Bytes before the tag.
        taken = Signal.like(piece.count)  # Bytes of the piece in hand that have gone.
        inserting = Signal()  # The tag is next.
        moves = Signal()
        ends = Signal()
        m.d.comb += moves.eq(~self.tagged.valid | self.tagged.ready)
        m.d.comb += [entry.o.ready.eq(ends), self.tags.ready.eq(ends & piece.last)]

        # What is left of the piece goes as far as the tag.
        rest = Signal.like(piece.count)
        up_to_tag = Signal()
        within = Signal()
        m.d.comb += [
            rest.eq(piece.count - taken),
            within.eq(tag.insert & (left != 0) & (rest > left)),
            up_to_tag.eq(within | (tag.insert & (rest == left) & ~piece.last)),
        ]
        with m.If(moves):
            m.d.sync += self.tagged.valid.eq(0)
            with m.If(inserting):
                m.d.sync += [
                    self.tagged.valid.eq(1),
                    out.data.eq(Cat(C(_TAG_PROTOCOL, 16).rotate_left(8), _swapped(tag.control))),
                    out.start.eq(0),
                    out.count.eq(TAG_BYTES),
                    out.last.eq(0),
                    out.error.eq(0),
                    inserting.eq(0),
                ]
            with m.Elif(entry.o.valid & self.tags.valid):
                m.d.comb += ends.eq(~within)
                m.d.sync += [
                    self.tagged.valid.eq(1),
                    out.data.eq(piece.data),
                    out.start.eq(piece.start + taken),
                    out.count.eq(Mux(within, left, rest)),
                    out.last.eq(piece.last & ~within),
                    out.error.eq(piece.error),
                    inserting.eq(up_to_tag),
                    taken.eq(Mux(within, taken + left, 0)),
                    left.eq(Mux(up_to_tag | (rest > left), 0, left - rest)),
                ]
                with m.If(ends & piece.last):
                    m.d.sync += left.eq(_ADDRESS_BYTES)
        return m


def _swapped(half):
    """Network order to the order of lanes."""
    return half.rotate_left(8)
