"""Colours that show order: first all that comes is white, then one is grey, then all is black.

What is carried and not looked at may be coloured. If what leaves has its colours in that order,
whichever was chosen to be grey, nothing is lost, doubled or overtaken [P. Wolper, Expressing
interesting properties of programs in propositional temporal logic, 1986].
"""

from amaranth.hdl import Mux, Signal

__all__ = ["BLACK", "GREY", "WHITE", "may_follow"]

WHITE, GREY, BLACK = range(3)


def may_follow(m, passes, colour):
    """Follow colours as they pass; returns whether `colour` may be the next."""
    seen_grey = Signal()
    with m.If(passes & (colour == GREY)):
        m.d.sync += seen_grey.eq(1)
    return Mux(seen_grey, colour == BLACK, colour <= GREY)
