"""Transactions under way: how many of a kind the master has begun and not seen the end of.

Clock domain: ``sync``. The outputs tell of all cycles before this one.
"""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.axi4 import Resp

__all__ = ["OutstandingCounter", "answer_of_memory", "check_outstanding"]


def answer_of_memory(resp: Value) -> Value:
    """Response `resp` of the memory as the master sees it: DECERR is the bridge's own answer."""
    return Mux(resp == Resp.DECERR, Resp.SLVERR, resp)


def check_outstanding(limit: int) -> None:
    """Raise `ValueError` unless an `OutstandingCounter` can have this `limit`."""
    if limit < 2 or limit & (limit - 1):
        raise ValueError(
            f"Outstanding transactions must be a power of two, at least 2, not {limit!r}"
        )


class OutstandingCounter(wiring.Component):
    """Counts transactions under way.

    Parameters
    ----------
    limit : int
        The most it can count: a power of two, at least 2.

    Members
    -------
    begins, ends : In(1)
        One begins; one ends. None may begin while there is no room.
    room : Out(1)
        One more may begin.
    none, one : Out(1)
        None is under way; exactly one is.

    Raises
    ------
    ValueError
        If `limit` is not as above.
    """

    begins: Signal
    ends: Signal
    room: Signal
    none: Signal
    one: Signal

    def __init__(self, *, limit: int):
        check_outstanding(limit)
        self.limit = limit
        super().__init__(
            {"begins": In(1), "ends": In(1), "room": Out(1), "none": Out(1), "one": Out(1)}
        )

    def elaborate(self, platform):
        """The count."""
        m = Module()
        count = Signal(range(self.limit + 1))
        m.d.sync += count.eq(count + self.begins - self.ends)
        m.d.comb += self.room.eq(~count[-1])
        m.d.comb += self.none.eq(count == 0)
        m.d.comb += self.one.eq(count == 1)
        return m
