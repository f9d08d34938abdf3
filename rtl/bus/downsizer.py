"""Splits the beats of a packet: from a wide stream to a narrow one.

`Downsizer` guarantees that each packet leaves with the same bytes in the same order, by the laws of
`byway.rtl.bus.packet`, and that the error of a beat marks all that it is split into.

Clock domain: ``sync``. Latency: 1 cycle. Throughput: a narrow beat a cycle, without a bubble
between packets.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.packet import BeatLayout

__all__ = ["Downsizer"]


class Downsizer(wiring.Component):
    """Splits the beats of packets.

    Parameters
    ----------
    data_width, narrow_width : int
        Widths of both streams' ``data`` in bits: 8 times a power of two, the first the larger.

    Members
    -------
    wide : In(stream.Signature(BeatLayout(data_width)))
    narrow : Out(stream.Signature(BeatLayout(narrow_width)))
        From flip-flops.

    Raises
    ------
    ValueError
        If a width is not as above.
    """

    wide: stream.Interface
    narrow: stream.Interface

    def __init__(self, *, data_width: int = 128, narrow_width: int = 64):
        layout, narrow_layout = BeatLayout(data_width), BeatLayout(narrow_width)
        if narrow_layout.lanes >= layout.lanes:
            raise ValueError(f"{narrow_width} bits are not fewer than {data_width!r}")
        super().__init__(
            {
                "wide": In(stream.Signature(layout)),
                "narrow": Out(stream.Signature(narrow_layout)),
            }
        )

    def elaborate(self, platform):
        """A wide beat moves down by a narrow one at a time."""
        m = Module()
        out = self.narrow.payload
        lanes = out.shape().lanes
        data = Signal.like(self.wide.payload.data)
        count = Signal.like(self.wide.payload.count)  # Bytes of `data`.
        ends_packet = Signal()
        is_rest = Signal()  # They all leave in this beat.
        m.d.comb += [
            out.data.eq(data),
            self.wide.ready.eq(~self.narrow.valid | (self.narrow.ready & is_rest)),
        ]

        later = Signal.like(count)
        later_ends = Signal()
        fits = Signal()
        m.d.comb += [later.eq(count - lanes), later_ends.eq(ends_packet)]
        with m.If(self.wide.ready):
            m.d.comb += [later.eq(self.wide.payload.count), later_ends.eq(self.wide.payload.last)]
            m.d.sync += self.narrow.valid.eq(self.wide.valid)
        m.d.comb += fits.eq(later <= lanes)
        with m.If(self.wide.ready | self.narrow.ready):
            m.d.sync += [
                data.eq(data >> (8 * lanes)),
                count.eq(later),
                ends_packet.eq(later_ends),
                is_rest.eq(fits),
                out.count.eq(Mux(fits, later, lanes)),
                out.last.eq(later_ends & fits),
            ]
        with m.If(self.wide.ready):
            m.d.sync += [data.eq(self.wide.payload.data), out.error.eq(self.wide.payload.error)]
        return m
