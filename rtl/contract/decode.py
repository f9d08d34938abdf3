"""What the register bank's two ways share: an address decoder and a wide AND-OR tree, in stages.

Clock domain: ``sync``. Every stage is at most two levels of 4-input lookup tables, however many
registers there are; each takes new input in every cycle.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AddressDecoder", "SelectTree"]


class AddressDecoder(wiring.Component):
    """Tells which of some addresses it is given, two cycles later.

    Parameters
    ----------
    addresses : list of int
        The addresses, all different.
    width : int
        Bits of an address.

    Members
    -------
    start : In(1)
        ``address`` counts in this cycle.
    address : In(width)
        What to decode.
    select : Out(len(addresses))
        Two cycles later, for one cycle: the bit of the address that it was; none for any other.
    """

    start: Signal
    address: Signal
    select: Signal

    #: Cycles from `start` to `select`.
    LATENCY = 2

    #: Bits of the address that one lookup table takes, beside `start`.
    _DIGIT = 4

    def __init__(self, addresses: list[int], width: int):
        if not addresses or len(set(addresses)) != len(addresses):
            raise ValueError("Addresses must be at least one, and all different")
        if not 0 <= min(addresses) <= max(addresses) < 1 << width:
            raise ValueError(f"Addresses must fit in {width} bits")
        self._addresses = addresses
        self._width = width
        super().__init__(
            {"start": In(1), "address": In(width), "select": Out(len(addresses))},
        )

    def elaborate(self, platform):
        """Describe the two stages."""
        m = Module()

        # First stage: each digit of the address against the values that occur in its place.
        digits = range(0, self._width, self._DIGIT)
        matches: dict[tuple[int, int], Signal] = {}
        for low in digits:
            digit = self.address[low : low + self._DIGIT]
            for value in sorted({self._digit(address, low) for address in self._addresses}):
                match = Signal(name=f"match_{low}_{value:x}")
                matches[low, value] = match
                m.d.sync += match.eq(self.start & (digit == value))

        # Second stage: the digits together.
        for number, address in enumerate(self._addresses):
            parts = Cat(matches[low, self._digit(address, low)] for low in digits)
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
