"""Surroundings of a component that do as they like."""

from amaranth.asserts import AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Value
from amaranth.lib.wiring import In

__all__ = ["anything"]


def anything(m, dut, *, but=()):
    """Drive the inputs of `dut` with anything, those of the members `but` excepted."""
    for path, member, signal in dut.signature.flatten(dut):
        if member.flow == In and path[0] not in but:
            m.d.comb += Value.cast(signal).eq(AnySeq(len(Value.cast(signal))))
