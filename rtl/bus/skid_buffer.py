"""Skid buffer: a register stage on a stream that cuts its paths in both directions.

Valid and payload of the output come from flip-flops, and so does the ready of the input: when the
consumer stalls, the one payload that is already under way skids into a spare register.

Clock domain: sync. Latency 1 cycle, throughput a payload each cycle.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """A stream, one register later.

    Parameters
    ----------
    shape : ShapeLike
        Of the payload.

    Members
    -------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """The register, and the spare one beside it."""
        m = Module()
        spare = Signal.like(self.i.payload)
        spare_full = Signal()

        m.d.comb += self.i.ready.eq(~spare_full)
        with m.If(~spare_full):
            m.d.sync += spare.eq(self.i.payload)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(self.i.valid | spare_full),
                self.o.payload.eq(Mux(spare_full, spare, self.i.payload)),
                spare_full.eq(0),
            ]
        with m.Elif(self.i.valid):
            m.d.sync += spare_full.eq(1)
        return m
