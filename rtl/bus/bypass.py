"""Bypass buffers: they cut the path of ``ready``, and cost no cycle while nobody stalls.

`BypassBuffer` and `BypassQueue` hand on what they get in the same cycle if they are empty and it is
taken; otherwise they keep it. Their ``i.ready`` depends on flip-flops alone. What comes out of
``o`` depends on ``i`` without a register between: put one behind it at the border of a block.

Clock domain: ``sync``. Latency: 0 cycles. Throughput: one payload a cycle.
"""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["BypassBuffer", "BypassQueue"]


class BypassBuffer(wiring.Component):
    """A bypass buffer for one payload, in flip-flops.

    Parameters
    ----------
    shape : ShapeLike
        Shape of the payload.

    Members
    -------
    i, o : In(stream.Signature(shape)), Out(stream.Signature(shape))
        Entry and exit.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape: ShapeLike):
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """A kept payload goes first; a payload that finds no taker is kept."""
        m = Module()

        kept = Signal()
        kept_payload = Signal(self.shape)
        m.d.comb += self.i.ready.eq(~kept)
        m.d.comb += self.o.valid.eq(kept | self.i.valid)
        m.d.comb += self.o.payload.eq(Mux(kept, kept_payload, self.i.payload))
        m.d.sync += kept.eq(self.o.valid & ~self.o.ready)
        with m.If(~kept):
            m.d.sync += kept_payload.eq(self.i.payload)

        return m


class BypassQueue(wiring.Component):
    """A bypass buffer for several payloads, in LUT RAM.

    Parameters
    ----------
    shape : ShapeLike
        Shape of the payload.
    depth : int
        Payloads it keeps: a power of two, at least 2.

    Members
    -------
    i, o : In(stream.Signature(shape)), Out(stream.Signature(shape))
        Entry and exit.

    Raises
    ------
    ValueError
        If `depth` is not as above.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape: ShapeLike, *, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"Depth must be a power of two, at least 2, not {depth!r}")
        self.shape = shape
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """A ring in memory, passed by while it is empty."""
        m = Module()

        m.submodules.ring = ring = Memory(shape=self.shape, depth=self.depth, init=[])
        write = ring.write_port()
        read = ring.read_port(domain="comb")
        level = Signal(range(self.depth + 1))
        holds = Signal()  # The level is not 0.
        m.d.comb += self.i.ready.eq(~level[-1])
        m.d.comb += self.o.valid.eq(holds | self.i.valid)
        m.d.comb += self.o.payload.eq(Mux(holds, read.data, self.i.payload))

        # What is not passed by is kept; the ring is read as soon as it holds anything. A free place
        # is written in any case, since what comes is known late.
        put = Signal()
        get = Signal()
        m.d.comb += put.eq(self.i.valid & self.i.ready & (holds | ~self.o.ready))
        m.d.comb += get.eq(holds & self.o.ready)
        m.d.comb += write.data.eq(self.i.payload)
        m.d.comb += write.en.eq(self.i.ready)
        m.d.sync += write.addr.eq(write.addr + put)
        m.d.sync += read.addr.eq(read.addr + get)
        with m.If(put & ~get):
            m.d.sync += level.eq(level + 1)
            m.d.sync += holds.eq(1)
        with m.Elif(get & ~put):
            m.d.sync += level.eq(level - 1)
            m.d.sync += holds.eq(level != 1)

        return m
