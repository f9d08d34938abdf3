"""A queue into which a group of items goes whole or not at all.

Items pushed become visible at the output when they are committed; until then a rollback forgets
them. A queue whose ``commit`` is always 1 is an ordinary one.

Clock domain: sync. Latency: 1 cycle from commit to output, and a commit covers the items pushed in
cycles before it; so 2 cycles from push to output. Throughput: one item a cycle. The output comes
from flip-flops; the items lie in distributed memory.
"""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["CommitQueue"]


class CommitQueue(wiring.Component):
    """Holds items until they are committed and taken, in order.

    Parameters
    ----------
    shape : ShapeLike
        Of an item.
    depth : int
        Room: a power of two, at least 2. The output register holds one item more.

    Members
    -------
    push, item : In(1), In(shape)
        Add an item; only while `level` is less than `depth`.
    commit : In(1)
        Items pushed before this cycle stay.
    rollback : In(1)
        Items pushed before this cycle and not committed, not even by this cycle's commit, go.
    level : Out(range(depth + 1))
        Items held, committed or not, without that in the output register.
    items : Out(stream.Signature(shape))
        The committed items.

    Raises
    ------
    ValueError
        If `depth` is not as above.
    """

    push: Signal
    item: Any
    commit: Signal
    rollback: Signal
    level: Signal
    items: stream.Interface

    def __init__(self, shape: ShapeLike, *, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"Depth must be a power of two, at least 2, not {depth!r}")
        self.depth = depth
        super().__init__(
            {
                "push": In(1),
                "item": In(shape),
                "commit": In(1),
                "rollback": In(1),
                "level": Out(range(depth + 1)),
                "items": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        """Three pointers, each a lap bit longer than an address: head, committed, tail."""
        m = Module()
        shape = self.items.payload.shape()
        # A block RAM would merge with the output register, and make the output slow.
        m.submodules.memory = memory = Memory(
            shape=shape, depth=self.depth, init=[], attrs={"ram_style": "distributed"}
        )
        write = memory.write_port()
        read = memory.read_port(domain="comb")
        head = Signal(range(2 * self.depth))
        tail = Signal.like(head)
        committed = Signal.like(head)

        # Push behind what stays. Whether it is committed is known late: after the sums.
        falls_back = Signal()
        m.d.comb += [
            falls_back.eq(self.rollback & ~self.commit),
            write.en.eq(~self.level[-1]),  # Known early; an item that is not pushed is overwritten.
            write.addr.eq(Mux(falls_back, committed, tail)),
            write.data.eq(self.item),
            self.level.eq(tail - head),
        ]
        m.d.sync += tail.eq(Mux(falls_back, committed + self.push, tail + self.push))
        with m.If(self.commit):
            m.d.sync += committed.eq(tail)

        # Show the oldest item that stays. What is committed was written a cycle ago or earlier.
        is_waiting = Signal()
        m.d.comb += [
            is_waiting.eq((head != committed) | (self.commit & (head != tail))),
            read.addr.eq(head),
        ]
        with m.If(~self.items.valid | self.items.ready):
            m.d.sync += [
                self.items.valid.eq(is_waiting),
                self.items.payload.eq(read.data),
                head.eq(head + is_waiting),
            ]
        return m
