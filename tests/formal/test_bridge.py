"""What leaves the translation bridge was granted, stays in its page, and ends with its grant.

The bridge stands between an arbitrary master, which need not even keep to AXI4, an arbitrary
partition manager that invalidates when it likes, and an arbitrary memory, of which only the
standard is assumed: it answers what it was asked, each once, and a write when it has all its data.
Shown, for a watched kind of access that may be either:

- a read or write in the watched system page is on the memory bus only if the memory, asked for a
  TCE of that requester's window, granted the page for that kind, and no invalidation of it has
  ended since;
- when an invalidation ends, no access of the master's is on the bus or under way;
- a walk reads one entry at a time;
- an incrementing burst that leaves the page it begins in is not forwarded, and those that are
  forwarded are what they were.

The proofs have no bound in time, and reset may come at any moment. Configuration is arbitrary and
constant. Sizes are the smallest at which windows, pages and sets differ and buffers fill. The
watched page has a number of its own, since page numbers of the system only pass through.
"""

import functools

import pytest
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Signal

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.translation.agent import TranslationAgent
from tests.formal.configuration import (
    PAGE_BITS,
    PAGES,
    WALKS,
    WATCHED_PAGE,
    WINDOWS,
    configure,
    takes_back,
)
from tests.formal.surroundings import anything

Scope = codes("invalidate_scope")


def agent_in_any_system(m, page_bits, *, requesters=2, user_width=1):
    """Put an agent into `m` whose surroundings do as they like; also returns its configuration."""
    m.submodules.dut = dut = TranslationAgent(
        windows=WINDOWS,
        addr_width=12 + page_bits,
        id_width=1,
        user_width=user_width,
        iotlb_sets=2,
        iotlb_ways=1,
        walks=WALKS,
        outstanding=2,
    )
    anything(m, dut, but=("binding_lookup", "window_lookup"))
    return dut, *configure(m, dut, requesters=requesters)


def end_of(m, invalidate):
    """A signal: an invalidation has just ended."""
    was_busy = Signal()
    m.d.sync += was_busy.eq(invalidate.busy)
    return was_busy & ~invalidate.busy


class TaggedRequests(Elaboratable):
    """A bridge whose master tags each request, by a bit of AxUSER that makes no difference.

    Requesters that differ in the tag alone have the same binding; so the tag only passes through.
    """

    def tag(self, request):
        """The tag of a request of the master."""
        raise NotImplementedError

    def check(self, request):
        """What follows for a request on the bus."""
        raise NotImplementedError

    def elaborate(self, platform):
        """Tag and check both address channels."""
        m = Module()
        dut, bindings, _windows = agent_in_any_system(m, 1, requesters=4, user_width=2)
        for one, other in ((0, 2), (1, 3)):
            same = bindings[one].as_value() == bindings[other].as_value()
            m.d.comb += Assume(same, "the tag makes no difference")
        for prefix in ("ar", "aw"):
            master, memory = (
                {
                    name: getattr(axi, f"{prefix}{name}")
                    for name in ("valid", "id", "addr", "len", "size", "burst", "user")
                }
                for axi in (dut.s_axi, dut.m_axi)
            )
            is_data = ~memory["id"][-1] if prefix == "ar" else 1
            m.d.comb += Assume(master["user"][1] == self.tag(master), "the tag")
            m.d.comb += Assert(~memory["valid"] | ~is_data | self.check(memory), prefix)
            m.d.comb += Cover(memory["valid"] & (memory["len"] == 2), f"{prefix} is used")
        return m


class BurstsThatCrossAreNotForwarded(TaggedRequests):
    """The tag says that the burst leaves the page it begins in."""

    def tag(self, request):
        """As `BurstCheck` says, the alignment of later beats makes no difference."""
        last = request["addr"][:12] + (request["len"] << request["size"])
        return (request["burst"] == Burst.INCR) & last[12:].any()

    def check(self, request):
        """None of them is on the bus."""
        return ~request["user"][1]


class BurstsAreForwardedAsTheyAre(TaggedRequests):
    """The tag is some bit of what a burst is made of."""

    def elaborate(self, platform):
        """Choose a bit."""
        self.which = AnyConst(5)
        return super().elaborate(platform)

    def tag(self, request):
        """That bit."""
        fields = Cat(request["addr"][:12], *(request[name] for name in ("len", "size", "burst")))
        return fields.bit_select(self.which, 1)

    def check(self, request):
        """It is still what it was."""
        return request["user"][1] == self.tag(request)


class EndsLeaveNothing(Elaboratable):
    """What the memory was asked and has answered, when an invalidation ends."""

    def elaborate(self, platform):
        """Ghosts count what is under way; the memory answers what it was asked, each once."""
        m = Module()
        dut, _bindings, _windows = agent_in_any_system(m, 1)
        axi = dut.m_axi
        is_walk = axi.arid[-1]
        answers_walk = axi.rid[-1]
        reads = Signal(2)
        writes = Signal(2)
        written = Signal(2)
        begins = axi.arvalid & axi.arready & ~is_walk
        ends = axi.rvalid & axi.rready & ~answers_walk & axi.rlast
        answers = axi.bvalid & axi.bready
        m.d.sync += reads.eq(reads + begins - ends)
        m.d.sync += writes.eq(writes + (axi.awvalid & axi.awready) - answers)
        m.d.sync += written.eq(written + (axi.wvalid & axi.wready & axi.wlast) - answers)
        m.d.comb += Assume(~axi.rvalid | answers_walk | (reads != 0), "a beat was asked for")
        was_written = (writes != 0) & (written != 0)
        m.d.comb += Assume(~axi.bvalid | was_written, "an answer has an address and all its data")
        on_bus = (axi.arvalid & ~is_walk) | axi.awvalid | axi.wvalid
        ended = end_of(m, dut.invalidate)
        with m.If(ended):
            m.d.comb += Assert(~on_bus, "an end leaves nothing on the bus")
            m.d.comb += Assert((reads == 0) & (writes == 0), "an end leaves nothing under way")
        used = Signal()
        with m.If(begins):
            m.d.sync += used.eq(1)
        m.d.comb += Cover(ended & used, "an end, after a read")
        return m


class AccessesAreGranted(Elaboratable):
    """What the memory granted, and what is on the bus, for one kind of access by one window."""

    def __init__(self, *, write, window):
        self.write = write
        self.window = window

    def elaborate(self, platform):
        """Ghosts follow what the memory was asked, what it granted, and what was taken back."""
        m = Module()
        dut, bindings, windows = agent_in_any_system(m, PAGE_BITS)
        axi = dut.m_axi

        # The memory answers the walks that it was asked for.
        is_walk = axi.arid[-1]
        answers_walk = axi.rid[-1]
        beats = Signal()
        m.d.comb += beats.eq(axi.rvalid & axi.rready)
        walks = Signal(WALKS)  # A bit for each slot.
        walk_addresses = Array(Signal.like(axi.araddr, name=f"walk_{n}") for n in range(WALKS))
        walk_address = walk_addresses[axi.rid[0]]
        under_way = walks.bit_select(axi.rid[0], 1)
        m.d.comb += Assume(~axi.rvalid | ~answers_walk | under_way, "a beat was asked for")
        with m.If(beats & answers_walk):
            m.d.sync += walks.bit_select(axi.rid[0], 1).eq(0)
        with m.If(axi.arvalid & axi.arready & is_walk):
            free = ~walks.bit_select(axi.arid[0], 1)
            m.d.comb += Assert(free, "an entry is read by one walk at a time")
            m.d.sync += walks.bit_select(axi.arid[0], 1).eq(1)
            m.d.sync += walk_addresses[axi.arid[0]].eq(axi.araddr)

        # What the memory granted of the watched page, by each entry of the window's table.
        tce = Signal(record("translation_control_entry"))
        grants = Signal()
        granted = Signal(PAGES)
        m.d.comb += tce.eq(axi.rdata)
        m.d.comb += grants.eq(
            beats
            & answers_walk
            & ~axi.rresp.matches(Resp.SLVERR, Resp.DECERR)
            & (tce.rpn[:PAGE_BITS] == WATCHED_PAGE)
            & (tce.write if self.write else tce.read)
        )
        window = windows[self.window]
        for index in range(PAGES):
            place = Cat(Signal(12), window.table_base[:PAGE_BITS]) + 8 * index
            with m.If(grants & (walk_address == place[: len(walk_address)])):
                m.d.sync += granted[index].eq(1)

        # An invalidation takes back what is in its scope, when it ends.
        scope = Signal(2)
        scope_window = Signal(8)
        scope_index = Signal(32)
        ended = end_of(m, dut.invalidate)
        with m.If(dut.invalidate.start & ~dut.invalidate.busy):
            m.d.sync += scope.eq(dut.invalidate.scope)
            m.d.sync += scope_window.eq(dut.invalidate.window)
            m.d.sync += scope_index.eq(dut.invalidate.index)
        for index in range(PAGES):
            entry = (self.window, index)
            meant = takes_back(scope, scope_window, scope_index, scopes=Scope, of=entry)
            with m.If(ended & meant):
                m.d.sync += granted[index].eq(0)

        # What is on the bus.
        prefix, is_data = ("aw", 1) if self.write else ("ar", ~is_walk)
        valid = getattr(axi, f"{prefix}valid")
        address = getattr(axi, f"{prefix}addr")
        user = getattr(axi, f"{prefix}user")
        uses = Array(one.valid & (one.window == self.window) for one in bindings)[user]
        with m.If(valid & is_data & (address[12:] == WATCHED_PAGE)):
            may_use = window.enable & granted.any()
            m.d.comb += Assert(~uses | may_use, "it was granted")
            m.d.comb += Cover(uses, "it happens")
            if self.window == 0:
                bound = Array(one.valid & (one.window < WINDOWS) for one in bindings)[user]
                m.d.comb += Assert(bound, "it has a window")
        m.d.comb += Cover(ended & granted.any(), "an end, with a page to take back")
        return m


GRANTED = {
    f"{'writes' if write else 'reads'} by window {window}": functools.partial(
        AccessesAreGranted, write=write, window=window
    )
    for write in (0, 1)
    for window in range(WINDOWS)
}
PROOFS = {
    "ends leave nothing": EndsLeaveNothing,
    "bursts that cross are not forwarded": BurstsThatCrossAreNotForwarded,
    "bursts are forwarded as they are": BurstsAreForwardedAsTheyAre,
    **GRANTED,
}
BY_COST = [GRANTED["reads by window 1"], EndsLeaveNothing, BurstsAreForwardedAsTheyAre]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_always(verify, design):
    verify.reach(design(), by_cost=design in BY_COST)


@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_it_happens(verify, design):
    verify.cover(design(), depth=20)
