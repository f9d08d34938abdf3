"""Counters for software to read: 64 bits wide, so that they never come round again.

Clock domain: ``sync``. Latency: 2 cycles. Throughput: an amount each cycle.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Counter"]

_HALF = 32


class Counter(wiring.Component):
    """Adds up an amount in every cycle; the count shown is 2 cycles old.

    The halves are added a cycle apart, so that no carry crosses 64 bits; the low half waits for the
    high one, and what is shown belongs together.

    Parameters
    ----------
    amount_width : int
        Width of the amount in bits, 1 to 32.

    Members
    -------
    amount : In(amount_width)
    count : Out(64)

    Raises
    ------
    ValueError
        If `amount_width` is not as above.
    """

    amount: Signal
    count: Signal

    def __init__(self, *, amount_width: int = 1):
        if amount_width not in range(1, _HALF + 1):
            raise ValueError(f"Amount width must be 1 to {_HALF} bits, not {amount_width!r}")
        super().__init__({"amount": In(amount_width), "count": Out(2 * _HALF)})

    def elaborate(self, platform):
        """The low half with its carry, then the high half."""
        m = Module()
        low = Signal(_HALF)
        carry = Signal()
        shown_low = self.count[:_HALF]
        shown_high = self.count[_HALF:]
        m.d.sync += [
            Cat(low, carry).eq(low + self.amount),
            shown_low.eq(low),
            shown_high.eq(shown_high + carry),
        ]
        return m
