"""No access leaves the translation bridge that a TCE of the requester's window did not grant.

The bridge stands between an arbitrary master, which need not even keep to AXI4, an arbitrary
partition manager that invalidates when it likes, and an arbitrary memory, of which only the
standard is assumed: it answers what it was asked, each once, and a write when it has all its data.
Shown, for a watched kind of access that may be either:

- a read or write in the watched system page is on the memory bus only if the memory, asked for a
  TCE of that requester's window, granted the page for that kind, and no invalidation of it has
  ended since;
- when an invalidation ends, no access of the master's is on the bus or under way;
- the walker reads one entry at a time;
- no incrementing burst leaves the page it begins in.

The proof has no bound in time, and reset may come at any moment. Configuration is arbitrary and
constant: it is looked up where the bridge has its tables. Sizes are the smallest at which windows,
pages and sets differ and buffers fill. The watched page has a number of its own, since page numbers
of the system only pass through.
"""

import pytest
from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, Signal
from amaranth.lib.wiring import In

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.translation.bridge import TranslationAgent
from byway.rtl.translation.window import BindingLayout, WindowLayout
from tests.formal.sby import run_sby

Scope = codes("invalidate_scope")
REQUESTERS = 2
WINDOWS = 2
PAGE_BITS = 2  # Of an address, above the offset in its page.
PAGES = 1 << PAGE_BITS
WATCHED_PAGE = 1


def agent_in_any_system(m, page_bits):
    """Put an agent into `m` whose surroundings do as they like, with a configuration that stays.

    Returns it, and its bindings and windows.
    """
    m.submodules.dut = dut = TranslationAgent(
        windows=WINDOWS,
        addr_width=12 + page_bits,
        id_width=1,
        user_width=1,
        iotlb_sets=2,
        iotlb_ways=1,
        outstanding=2,
    )
    for path, member, signal in dut.signature.flatten(dut):
        if member.flow == In and path[0] not in ("binding_lookup", "window_lookup"):
            m.d.comb += signal.eq(AnySeq(len(signal)))
    bindings = [Signal(BindingLayout(), name=f"binding_{n}") for n in range(REQUESTERS)]
    windows = [Signal(WindowLayout(), name=f"window_{n}") for n in range(WINDOWS)]
    for asked, found, elements in (
        (dut.binding_lookup.requester, dut.binding_lookup.binding, bindings),
        (dut.window_lookup.number, dut.window_lookup.window, windows),
    ):
        with m.Switch(asked):
            for number, element in enumerate(elements):
                m.d.comb += element.eq(AnyConst(len(element.as_value())))
                with m.Case(number):
                    m.d.comb += found.eq(element)
    return dut, bindings, windows


class BurstsStayInTheirPage(Elaboratable):
    """What the last beat of a burst on the bus has to do with its first."""

    def elaborate(self, platform):
        """As `BurstCheck` says, the alignment of later beats makes no difference."""
        m = Module()
        dut, _bindings, _windows = agent_in_any_system(m, page_bits=1)
        axi = dut.m_axi
        for prefix in ("ar", "aw"):
            valid, address, length, size, burst = (
                getattr(axi, f"{prefix}{name}")
                for name in ("valid", "addr", "len", "size", "burst")
            )
            last = address[:12] + (length << size)
            stays = (burst != Burst.INCR) | ~last[12:].any()
            m.d.comb += Assert(~valid | stays, f"{prefix} stays in its page")
            m.d.comb += Cover(valid & (last[:12] == 4088) & (length == 2), f"{prefix} to its end")
        return m


class AccessesAreGranted(Elaboratable):
    """What the memory granted, and what is on the bus."""

    def elaborate(self, platform):
        """Ghosts follow what the memory was asked, what it granted, and what was taken back."""
        m = Module()
        dut, bindings, windows = agent_in_any_system(m, PAGE_BITS)
        axi = dut.m_axi

        # The memory answers what it was asked.
        is_walk = axi.arid[-1]
        answers_walk = axi.rid[-1]
        takes_read = Signal()
        takes_write = Signal()
        beats = Signal()
        answers = Signal()
        m.d.comb += takes_read.eq(axi.arvalid & axi.arready)
        m.d.comb += takes_write.eq(axi.awvalid & axi.awready)
        m.d.comb += beats.eq(axi.rvalid & axi.rready)
        m.d.comb += answers.eq(axi.bvalid & axi.bready)
        walks = Signal()
        walk_address = Signal.like(axi.araddr)
        reads = Signal(2)
        writes = Signal(2)
        written = Signal(2)
        with m.If(takes_read & is_walk):
            m.d.comb += Assert(~walks, "one walk at a time")
            m.d.sync += walks.eq(1)
            m.d.sync += walk_address.eq(axi.araddr)
        with m.Elif(beats & answers_walk):
            m.d.sync += walks.eq(0)
        m.d.sync += reads.eq(reads + (takes_read & ~is_walk) - (beats & ~answers_walk & axi.rlast))
        m.d.sync += writes.eq(writes + takes_write - answers)
        m.d.sync += written.eq(written + (axi.wvalid & axi.wready & axi.wlast) - answers)
        was_asked = Mux(answers_walk, walks, reads != 0)
        m.d.comb += Assume(~axi.rvalid | was_asked, "a beat was asked for")
        was_written = (writes != 0) & (written != 0)
        m.d.comb += Assume(~axi.bvalid | was_written, "an answer has an address and all its data")

        # What the memory granted of the watched page, by each entry of each table.
        watched_write = AnyConst(1)
        tce = Signal(record("translation_control_entry"))
        grants = Signal()
        granted = [Signal(PAGES, name=f"granted_{window}") for window in range(WINDOWS)]
        m.d.comb += tce.eq(axi.rdata)
        m.d.comb += grants.eq(
            beats
            & answers_walk
            & ~axi.rresp.matches(Resp.SLVERR, Resp.DECERR)
            & (tce.rpn[:PAGE_BITS] == WATCHED_PAGE)
            & Mux(watched_write, tce.write, tce.read)
        )
        for number, window in enumerate(windows):
            for index in range(PAGES):
                place = Cat(Signal(12), window.table_base[:PAGE_BITS]) + 8 * index
                with m.If(grants & (walk_address == place[: len(walk_address)])):
                    m.d.sync += granted[number][index].eq(1)

        # An invalidation takes back what is in its scope, when it ends.
        scope = Signal(2)
        scope_window = Signal(8)
        scope_index = Signal(32)
        was_busy = Signal()
        ends = Signal()
        m.d.sync += was_busy.eq(dut.invalidate.busy)
        m.d.comb += ends.eq(was_busy & ~dut.invalidate.busy)
        with m.If(dut.invalidate.start & ~dut.invalidate.busy):
            m.d.sync += scope.eq(dut.invalidate.scope)
            m.d.sync += scope_window.eq(dut.invalidate.window)
            m.d.sync += scope_index.eq(dut.invalidate.index)
        with m.If(ends):
            on_bus = (axi.arvalid & ~is_walk) | axi.awvalid | axi.wvalid
            m.d.comb += Assert(~on_bus, "an end leaves nothing on the bus")
            m.d.comb += Assert((reads == 0) & (writes == 0), "an end leaves nothing under way")
            for number in range(WINDOWS):
                for index in range(PAGES):
                    with m.If(
                        (scope >= Scope.EVERYTHING)
                        | (
                            (scope_window == number)
                            & ((scope == Scope.WINDOW) | (scope_index == index))
                        )
                    ):
                        m.d.sync += granted[number][index].eq(0)

        # What is on the bus.
        for prefix, is_data, kind in (("ar", ~is_walk, 0), ("aw", 1, 1)):
            valid = getattr(axi, f"{prefix}valid")
            address = getattr(axi, f"{prefix}addr")
            user = getattr(axi, f"{prefix}user")
            binding = Array(
                Mux(one.valid & (one.window < WINDOWS), 1 << one.window[0], 0) for one in bindings
            )[user]
            allowed = Signal(name=f"{prefix}_allowed")
            may_use = [
                binding[number] & window.enable & granted[number].any()
                for number, window in enumerate(windows)
            ]
            m.d.comb += allowed.eq(Cat(may_use).any())
            with m.If(valid & is_data):
                watched = (address[12:] == WATCHED_PAGE) & (watched_write == kind)
                m.d.comb += Assert(~watched | allowed, f"{prefix} was granted")
                m.d.comb += Cover(watched & ~granted[0].any(), f"{prefix} by the other window")
        m.d.comb += Cover(ends & granted[1].any(), "an end, with a page to take back")
        return m


@pytest.mark.timeout(900)  # A minute alone, several on a machine that is busy otherwise.
def test_every_access_on_the_bus_was_granted_and_none_outlives_an_invalidation(tmp_path):
    run_sby(tmp_path, AccessesAreGranted(), "prove", "abc pdr")


def test_no_burst_on_the_bus_leaves_its_page(tmp_path):
    run_sby(tmp_path, BurstsStayInTheirPage(), "prove", "abc pdr")


@pytest.mark.parametrize("design", [AccessesAreGranted, BurstsStayInTheirPage])
def test_the_proofs_are_not_empty(tmp_path, design):
    run_sby(tmp_path, design(), "cover", "smtbmc yices", depth=20)
