"""The first stages of the translator: which request, whose window, where its table lies.

Each is a register of the translator's pipeline, which goes on in the cycles of `advance`. A stage
holds what the one before it held, and what it has found besides. None of them judges: what they
find wrong goes along, for the fourth stage to refuse.

Source: LoPAR, translation control entries; patent, authentication capability of the redirected DMA.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data

from byway.rtl.bus.axi4 import Burst
from byway.rtl.translation.request import PAGE_BITS, AddressLayout, BurstCheck
from byway.rtl.translation.window import ENTRIES_BITS, TABLE_BASE_BITS, WINDOW_BITS

__all__ = ["BoundLayout", "ChosenLayout", "LookedUpLayout", "bind", "choose", "look_up"]


class ChosenLayout(data.StructLayout):
    """What is in the pipeline.

    Parameters
    ----------
    request : AddressLayout
        Shape of the requests.

    Members
    -------
    valid : unsigned(1)
        There is anything.
    ahead : unsigned(1)
        No request, but a page whose entry is to be fetched ahead of use.
    write : unsigned(1)
        It is of a write.
    request : AddressLayout
        The request; of a page ahead, its address and its requester.
    """

    def __init__(self, request: AddressLayout):
        super().__init__({"valid": 1, "ahead": 1, "write": 1, "request": request})


class BoundLayout(data.StructLayout):
    """The same, with its window.

    Members
    -------
    unbound : unsigned(1)
        Its requester has none.
    window : unsigned(8)
        Its number, 0 if there is none.
    """

    def __init__(self, request: AddressLayout):
        super().__init__({**ChosenLayout(request).members, "unbound": 1, "window": WINDOW_BITS})


class LookedUpLayout(data.StructLayout):
    """The same, with what is known of the window and of the burst.

    Members
    -------
    disabled : unsigned(1)
        The window does not translate.
    entries, table_base : unsigned(32), unsigned(52)
        Its extent in pages, and the page number of its table.
    burst : BurstCheck.layout
        The measure of the burst.
    """

    def __init__(self, request: AddressLayout):
        super().__init__(
            {
                **BoundLayout(request).members,
                "disabled": 1,
                "entries": ENTRIES_BITS,
                "table_base": TABLE_BASE_BITS,
                "burst": BurstCheck.layout,
            }
        )


def choose(m: Module, advance: Signal, reads, writes, proposal) -> data.View:
    """First stage: reads and writes in turn, before them what is asked for ahead."""
    chosen = Signal(ChosenLayout(reads.payload.shape()))
    request = Signal.like(reads.payload)
    offered = Signal()
    is_write = Signal()
    write_turn = Signal()
    m.d.comb += offered.eq((reads.valid | writes.valid) & ~proposal.valid)
    m.d.comb += is_write.eq(writes.valid & (write_turn | ~reads.valid))
    m.d.comb += reads.ready.eq(advance & ~proposal.valid & ~is_write)
    m.d.comb += writes.ready.eq(advance & ~proposal.valid & is_write)
    with m.If(proposal.valid):
        m.d.comb += request.addr.eq(proposal.payload.index << PAGE_BITS)
        m.d.comb += request.burst.eq(Burst.INCR)
        m.d.comb += request.user.eq(proposal.payload.user)
    with m.Else():
        m.d.comb += request.eq(Mux(is_write, writes.payload, reads.payload))
    with m.If(advance):
        m.d.sync += chosen.valid.eq(offered | proposal.valid)
        m.d.sync += chosen.ahead.eq(proposal.valid)
        m.d.sync += chosen.write.eq(is_write)
        m.d.sync += chosen.request.eq(request)
        with m.If(offered):
            m.d.sync += write_turn.eq(~is_write)
    return chosen


def bind(m: Module, advance: Signal, chosen, lookup) -> data.View:
    """Second stage: the window that the requester is bound to."""
    bound = Signal(BoundLayout(chosen.request.shape()))
    binding = lookup.binding
    m.d.comb += lookup.requester.eq(chosen.request.user)
    with m.If(advance):
        _hand_on(m, chosen, bound)
        m.d.sync += bound.unbound.eq(~binding.valid)
        m.d.sync += bound.window.eq(Mux(binding.valid, binding.window, 0))
    return bound


def look_up(m: Module, advance: Signal, bound, lookup, burst_check: BurstCheck, iotlb) -> data.View:
    """Third stage: the window's table, the burst's measure; the IOTLB reads its lines."""
    looked_up = Signal(LookedUpLayout(bound.request.shape()))
    window = lookup.window
    m.d.comb += lookup.number.eq(bound.window)
    m.d.comb += iotlb.page.window.eq(bound.window)
    m.d.comb += iotlb.page.index.eq(bound.request.addr[PAGE_BITS:])
    m.d.comb += iotlb.is_write.eq(bound.write)
    m.d.comb += iotlb.is_upper.eq(burst_check.reaches_upper(bound.request))
    with m.If(advance):
        _hand_on(m, bound, looked_up)
        m.d.sync += looked_up.burst.eq(burst_check.measure(m, bound.request))
        m.d.sync += looked_up.disabled.eq(~window.enable)
        m.d.sync += looked_up.entries.eq(window.entries)
        m.d.sync += looked_up.table_base.eq(window.table_base)
    return looked_up


def _hand_on(m: Module, before, after) -> None:
    """All of the stage before."""
    for name in before.shape().members:
        m.d.sync += after[name].eq(before[name])
