"""What the register bank's two ways share: an address decoder and a wide AND-OR tree, in stages.

Clock domain: ``sync``. Every stage is at most two levels of 4-input lookup tables, however many
registers there are, or a comparison of addresses; each takes new input in every cycle.
"""

import itertools

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AddressDecoder", "SelectTree"]


class AddressDecoder(wiring.Component):
    """Tells in which of some ranges the address lies that it is given, two cycles later.

    Parameters
    ----------
    ranges : list of range
        The ranges: none is empty, and no two have an address in common.
    width : int
        Bits of an address.

    Members
    -------
    start : In(1)
        ``address`` counts in this cycle.
    address : In(width)
        What to decode.
    select : Out(len(ranges))
        Two cycles later, for one cycle: the bit of the range that it lies in; none if in no range.
    """

    start: Signal
    address: Signal
    select: Signal

    #: Cycles from `start` to `select`.
    LATENCY = 2

    #: Bits of the address that one lookup table takes, beside `start`.
    _DIGIT = 4

    def __init__(self, ranges: list[range], width: int):
        order = sorted(ranges, key=lambda one: one.start)
        if not order or not all(order):
            raise ValueError("Ranges must be at least one, and none empty")
        if any(one.stop > other.start for one, other in itertools.pairwise(order)):
            raise ValueError("Ranges must have no address in common")
        if order[0].start < 0 or order[-1].stop > 1 << width:
            raise ValueError(f"Ranges must fit in {width} bits")
        self._ranges = ranges
        self._width = width
        super().__init__({"start": In(1), "address": In(width), "select": Out(len(ranges))})

    def elaborate(self, platform):
        """Describe the two stages."""
        m = Module()

        # First stage: each digit of the address against the values that occur in its place; or,
        # for more than one address, the address against both ends.
        digits = range(0, self._width, self._DIGIT)
        single = {one.start for one in self._ranges if len(one) == 1}
        matches: dict[tuple[int, int], Signal] = {}
        for low in digits:
            digit = self.address[low : low + self._DIGIT]
            for value in sorted({self._digit(address, low) for address in single}):
                match = Signal(name=f"match_{low}_{value:x}")
                matches[low, value] = match
                m.d.sync += match.eq(self.start & (digit == value))

        # Second stage: the digits, or the ends, together.
        for number, one in enumerate(self._ranges):
            if len(one) == 1:
                parts = Cat(matches[low, self._digit(one.start, low)] for low in digits)
            else:
                parts = Signal(2, name=f"within_{one.start:x}")
                within = Cat(self.address >= one.start, self.address < one.stop)
                m.d.sync += parts.eq(within & self.start.replicate(2))
            m.d.sync += self.select[number].eq(parts.all())
        return m

    def _digit(self, address: int, low: int) -> int:
        return (address >> low) % (1 << self._DIGIT)


class SelectTree(wiring.Component):
    """The one selected of many values, or 0 if none is, `latency` cycles later.

    All values are sampled in the cycle of ``select``.

    Parameters
    ----------
    count, width : int
        Number of values, and bits of each.

    Attributes
    ----------
    latency : int
        Cycles from ``select`` to ``selected``.

    Members
    -------
    select : In(count)
        One bit, or none.
    values : In(count times width)
        The values.
    selected : Out(width)
        The value.
    """

    select: Signal
    values: data.View
    selected: Signal

    #: Values that the first stage joins, and every stage after it.
    _FIRST = 8
    _LATER = 16

    def __init__(self, count: int, width: int):
        if count < 1:
            raise ValueError(f"Count must be a positive integer, not {count!r}")
        self._width = width
        self.latency = 1
        while count > self._FIRST * self._LATER ** (self.latency - 1):
            self.latency += 1
        super().__init__(
            {
                "select": In(count),
                "values": In(data.ArrayLayout(width, count)),
                "selected": Out(width),
            }
        )

    def elaborate(self, platform):
        """Describe the stages."""
        m = Module()
        count = len(self.select)
        terms = [Mux(self.select[n], self.values[n], 0) for n in range(count)]
        for stage in range(self.latency):
            radix = self._LATER if stage else self._FIRST
            joined = []
            for start in range(0, len(terms), radix):
                name = f"stage{stage}_{start // radix}"
                register = Signal(self._width, name=name)
                value = terms[start]
                for term in terms[start + 1 : start + radix]:
                    value |= term
                m.d.sync += register.eq(value)
                joined.append(register)
            terms = joined
        m.d.comb += self.selected.eq(terms[0])
        return m
