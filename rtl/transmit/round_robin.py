"""Round robin: every requester is served once before any is served twice.

Clock domain: sync. The choice is combinational; the one served last comes last in the next.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RoundRobin"]


class RoundRobin(wiring.Component):
    """Chooses one of several requests.

    Parameters
    ----------
    count : int
        Requesters, at least 1.

    Members
    -------
    requests : In(count)
        Who asks.
    served : In(1)
        Who is chosen now is served: the next choice begins after it.
    grant : Out(count)
        The one chosen, a bit; no bit without requests.
    index : Out(range(count))
        Its number.

    Raises
    ------
    ValueError
        If `count` is not positive.
    """

    requests: Signal
    served: Signal
    grant: Signal
    index: Signal

    def __init__(self, *, count: int):
        if count < 1:
            raise ValueError(f"Requesters must be at least 1, not {count!r}")
        self.count = count
        super().__init__(
            {
                "requests": In(count),
                "served": In(1),
                "grant": Out(count),
                "index": Out(range(count)),
            }
        )

    def elaborate(self, platform):
        """The first request after the one served last, else the first of all."""
        m = Module()
        later = Signal(self.count)
        behind = Signal(self.count)
        field = Signal(self.count)
        m.d.comb += [
            later.eq(self.requests & behind),
            field.eq(Mux(later.any(), later, self.requests)),
            self.grant.eq(field & -field),
        ]
        for bit in range(len(self.index)):
            numbers = [number for number in range(self.count) if number >> bit & 1]
            m.d.comb += self.index[bit].eq(Cat(self.grant[number] for number in numbers).any())
        with m.If(self.served & self.grant.any()):
            # All bits above the one granted.
            m.d.sync += behind.eq(~(self.grant | (self.grant - 1)))
        return m
