"""The frame check sequence [IEEE 802.3, 3.2.9]: CRC-32 over the bytes of a frame.

The remainder is kept bit-reversed, as usual for a link that sends the low bit of each byte first:
bit 0 of the value goes first, and so its low byte. All bits of a step are exclusive ors of
the bits before it, worked out in Python for a number of bytes, so that a step over many bytes is as
flat as one over a single byte.

A frame is a run of words with bytes in all lanes, but for the last word, which may hold fewer. Only
the step over a whole word must end before the next word comes; what the last word holds is worked
in afterwards, 4, 2, 1 bytes at a time, each in a cycle of its own.

Clock domain: ``sync``. A word every cycle; latency 1 cycle for a byte, 1 more for each doubling.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

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
        Width of ``data`` in bits: 8 times a power of two.

    Attributes
    ----------
    latency : int
        Cycles from a word to the value that has it in.

    Members
    -------
    restart : In(1)
        The bytes of this cycle, if any, are the first of a frame.
    data : In(data_width)
        Bytes of the frame, that of lane 0 first.
    count : In(range(data_width // 8 + 1))
        How many lanes hold bytes, from lane 0 on. If only some do, the frame ends with them; if
        none does, nothing of the frame is in this cycle.
    value : Out(32)
        FCS of all bytes of the frame up to those of ``latency`` cycles ago; its low byte goes first
        on the wire. It stays while no bytes come, but not beyond an end in fewer than all lanes.

    Raises
    ------
    ValueError
        If the width is not as above.
    """

    restart: Signal
    data: Signal
    count: Signal
    value: Signal

    def __init__(self, *, data_width: int = 8):
        self.lanes = data_width // 8
        if data_width < 8 or data_width % 8 or self.lanes & (self.lanes - 1):
            raise ValueError(f"Data width must be 8 times a power of two, not {data_width!r}")
        self.latency = bits_for(self.lanes)
        super().__init__(
            {
                "restart": In(1),
                "data": In(data_width),
                "count": In(range(self.lanes + 1)),
                "value": Out(32),
            }
        )

    def elaborate(self, platform):
        """A register with a step over whole words, and one for each smaller step behind it."""
        m = Module()
        remainder = Signal(32, init=0xFFFF_FFFF)

        # A frame starts from all ones, which is to complement its first 32 bits [3.2.9 a].
        before = Signal(32)
        m.d.comb += before.eq(Mux(self.restart, Const(0xFFFF_FFFF, 32), remainder))
        with m.Switch(self.count[-1]):
            with m.Case(0):
                m.d.sync += remainder.eq(before)
            with m.Case(1):
                m.d.sync += remainder.eq(_step_gates(before, self.data))

        # The bytes of a word that is not whole: as many as the bits of the count say.
        data, count = self.data, self.count
        for exponent in reversed(range(self.latency - 1)):
            width = 8 << exponent
            rest = Signal(2 * width, name=f"rest_{2 << exponent}")
            left = Signal(exponent + 1, name=f"left_{2 << exponent}")
            after = Signal(32, name=f"remainder_{1 << exponent}", init=0xFFFF_FFFF)
            m.d.sync += [rest.eq(data), left.eq(count), after.eq(remainder)]
            data, count = rest, left[:exponent]
            with m.If(left[exponent]):
                m.d.sync += after.eq(_step_gates(remainder, rest[:width]))
                data = Mux(left[exponent], rest[width:], rest[:width])
            remainder = after

        # What is sent is the complement of the remainder [3.2.9 e].
        m.d.comb += self.value.eq(~remainder)
        return m
