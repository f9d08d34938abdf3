"""The frame check sequence [IEEE 802.3, 3.2.9]: CRC-32 over the bytes of a frame.

The remainder is kept bit-reversed, as usual for a link that sends the low bit of each byte first:
bit 0 of the value goes first, and so its low byte. All bits of a step are exclusive ors of
the bits before it, worked out in Python for each number of bytes, so that a step over many bytes
is as flat as one over a single byte.

Clock domain: ``sync``. The value is that of all bytes up to the previous cycle.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["FrameCheckSequence"]

#: The generating polynomial of 3.2.9, bit-reversed, without its highest term.
_POLYNOMIAL = 0xEDB8_8320


def _step(remainder: int, data: int, bits: int) -> int:
    """`remainder` after `bits` bits of `data`, the low one first."""
    remainder ^= data
    for _ in range(bits):
        remainder = (remainder >> 1) ^ (_POLYNOMIAL if remainder & 1 else 0)
    return remainder


def _step_gates(remainder: Value, data: Value) -> Value:
    """As `_step`, over all of `data`, in gates.

    A step is linear: each bit that comes out is the exclusive or of those bits going in that
    reach it when they alone are set.
    """
    bits = len(data)
    reach = [(remainder[i], _step(1 << i, 0, bits)) for i in range(32)]
    reach += [(data[i], _step(0, 1 << i, bits)) for i in range(bits)]
    return Cat(
        reduce(xor, (source for source, reached in reach if reached >> bit & 1))
        for bit in range(32)
    )


class FrameCheckSequence(wiring.Component):
    """Computes the FCS over up to ``data_width // 8`` bytes a cycle.

    Parameters
    ----------
    data_width : int
        Width of ``data`` in bits, a multiple of 8.

    Members
    -------
    restart : In(1)
        The bytes of this cycle, if any, are the first of a frame.
    data : In(data_width)
        Bytes of the frame, that of lane 0 first.
    count : In(range(data_width // 8 + 1))
        How many lanes hold bytes, from lane 0 on; 0 leaves the value as it is.
    value : Out(32)
        FCS of the bytes so far; its low byte goes first on the wire.
    """

    restart: Signal
    data: Signal
    count: Signal
    value: Signal

    def __init__(self, *, data_width: int = 8):
        if data_width < 8 or data_width % 8:
            raise ValueError(f"Data width must be a positive multiple of 8, not {data_width!r}")
        self.lanes = data_width // 8
        super().__init__(
            {
                "restart": In(1),
                "data": In(data_width),
                "count": In(range(self.lanes + 1)),
                "value": Out(32),
            }
        )

    def elaborate(self, platform):
        """One register, and a network of exclusive ors for each number of bytes."""
        m = Module()
        remainder = Signal(32, init=0xFFFF_FFFF)

        # A frame starts from all ones, which is to complement its first 32 bits [3.2.9 a].
        before = Signal(32)
        m.d.comb += before.eq(Mux(self.restart, Const(0xFFFF_FFFF, 32), remainder))
        with m.Switch(self.count):
            with m.Case(0):
                m.d.sync += remainder.eq(before)
            for count in range(1, self.lanes + 1):
                with m.Case(count):
                    m.d.sync += remainder.eq(_step_gates(before, self.data[: 8 * count]))

        # What is sent is the complement of the remainder [3.2.9 e].
        m.d.comb += self.value.eq(~remainder)
        return m
