"""What leaves the translation bridge was granted, stays in its page, and ends with its grant.

The bridge stands between an arbitrary master, which need not even keep to AXI4, an arbitrary
partition manager that invalidates when it likes, and an arbitrary memory, of which only the
standard is assumed: it answers what it was asked, each once, and a write when it has all its data.
Shown:

- a read or write by a requester of a window is in the watched system page only if the memory, asked
  for the watched entry of the window's table, has named that page and granted that kind of access;
  nobody else's is, but for those who have the same table;
- once an invalidation of that entry has ended, no access is in the page that it named before;
- when an invalidation ends, no access of the master's is on the bus or under way;
- a walk reads one entry at a time;
- an incrementing burst that leaves the page it begins in is not forwarded, and those that are
  forwarded are what they were.

No other entry names the watched page, nor does the watched one once it has been changed. That takes
nothing away: page numbers of the system only pass through the bridge, so whatever else is named may
be called by another number. Together it says: what is on the bus was granted by the entry as it has
stood since the last invalidation of it.

The proofs have no bound in time, and reset may come at any moment. Configuration is arbitrary and
constant. Sizes are the smallest at which windows, pages and sets differ and buffers fill.
"""

import functools

import pytest
from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Signal

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.translation.agent import TranslationAgent
from tests.formal.configuration import (
    PAGE_BITS,
    SIZES,
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
        **SIZES, addr_width=12 + page_bits, user_width=user_width, outstanding=2
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


class WatchedWalks:
    """The walks that the memory is asked for, and those of them for the watched entry.

    Whose entry it is, `window` says; which of its table, is arbitrary.
    """

    def __init__(self, m, dut, window):
        axi = dut.m_axi
        self.index = AnyConst(PAGE_BITS)
        is_walk = axi.arid[-1]
        taken = axi.arvalid & axi.arready & is_walk
        under_way, watched = (Signal(WALKS, name=name) for name in ("asked", "for_watched"))
        slot, answered_slot = axi.arid[0], axi.rid[0]
        self.taken, self.slot, self.answered_slot = taken, slot, answered_slot
        answers = axi.rvalid & axi.rready & axi.rid[-1]
        table = Cat(Signal(12), window.table_base[:PAGE_BITS])
        place = (table + 8 * self.index)[: len(axi.araddr)]

        # A bit for each slot.
        m.d.comb += [
            Assume(
                ~axi.rvalid | ~axi.rid[-1] | under_way.bit_select(answered_slot, 1),
                "a beat was asked for",
            ),
            Assert(~taken | ~under_way.bit_select(slot, 1), "an entry is read by one at a time"),
        ]
        with m.If(answers):
            m.d.sync += under_way.bit_select(answered_slot, 1).eq(0)
        with m.If(taken):
            m.d.sync += under_way.bit_select(slot, 1).eq(1)
            m.d.sync += watched.bit_select(slot, 1).eq(axi.araddr == place)

        #: The memory answers with an entry that grants, and names the watched page.
        self.tce = Signal(record("translation_control_entry"))
        self.grants = Signal()
        m.d.comb += [
            self.tce.eq(axi.rdata),
            self.grants.eq(
                answers
                & ~axi.rresp.matches(Resp.SLVERR, Resp.DECERR)
                & (self.tce.rpn[:PAGE_BITS] == WATCHED_PAGE)
            ),
            Assume(
                ~self.grants | watched.bit_select(answered_slot, 1), "no other entry names the page"
            ),
        ]


def uses_watched_page(axi, bindings, is_meant, *, write):
    """An access to the watched page is on the bus, by a requester whose binding `is_meant`."""
    prefix, is_data = ("aw", 1) if write else ("ar", ~axi.arid[-1])
    valid, address, user = (getattr(axi, prefix + name) for name in ("valid", "addr", "user"))
    is_of_those = Array(map(is_meant, bindings))[user]
    return valid & is_data & (address[12:] == WATCHED_PAGE) & is_of_those


def is_bound_to(window):
    """Tells of a binding whether it is valid, and to `window`."""
    return lambda binding: binding.valid & (binding.window == window)


class AccessesAreGranted(Elaboratable):
    """One kind of access, by one window: the watched entry grants it."""

    def __init__(self, *, write, window):
        self.write = write
        self.window = window

    def elaborate(self, platform):
        """A ghost knows whether the memory has granted it."""
        m = Module()
        dut, bindings, windows = agent_in_any_system(m, PAGE_BITS)
        window = windows[self.window]
        walks = WatchedWalks(m, dut, window)
        granted = Signal()
        with m.If(walks.grants & (walks.tce.write if self.write else walks.tce.read)):
            m.d.sync += granted.eq(1)
        is_meant = is_bound_to(self.window)
        uses = uses_watched_page(dut.m_axi, bindings, is_meant, write=self.write)
        m.d.comb += Assert(~uses | (granted & window.enable), "it is granted")
        m.d.comb += Cover(uses, "it happens")
        return m


class NobodyElseHasIt(Elaboratable):
    """The watched page, and accesses by requesters that have another table, or none."""

    def elaborate(self, platform):
        """Two windows may have the same table."""
        m = Module()
        dut, bindings, windows = agent_in_any_system(m, PAGE_BITS)
        WatchedWalks(m, dut, windows[0])
        bases = [window.table_base[:PAGE_BITS] for window in windows]
        same_table = bases[0] == bases[1]

        def has_table(binding):
            is_one, is_other = (is_bound_to(window)(binding) for window in range(WINDOWS))
            return is_one | (is_other & same_table)

        def has_another(binding):
            return ~has_table(binding)

        for write in (0, 1):
            others = uses_watched_page(dut.m_axi, bindings, has_another, write=write)
            m.d.comb += Assert(~others, "it has the table")
            uses = uses_watched_page(dut.m_axi, bindings, has_table, write=write)
            m.d.comb += Cover(uses, "it is used")
        return m


class OldTranslationsEnd(Elaboratable):
    """One invalidation of the watched entry, by one window, which may be any of all that come."""

    def __init__(self, *, write, window):
        self.write = write
        self.window = window

    def elaborate(self, platform):
        """The entry names the watched page only to walks that were asked before its start."""
        m = Module()
        dut, bindings, windows = agent_in_any_system(m, PAGE_BITS)
        axi, invalidate = dut.m_axi, dut.invalidate
        walks = WatchedWalks(m, dut, windows[self.window])
        is_meant = takes_back(
            invalidate.scope,
            invalidate.window,
            invalidate.index,
            scopes=Scope,
            of=(self.window, walks.index),
        )
        started = Signal()
        ended = Signal()
        with m.If(invalidate.start & ~invalidate.busy & is_meant & AnySeq(1)):
            m.d.sync += started.eq(1)
        with m.If(started & ~invalidate.busy):
            m.d.sync += ended.eq(1)
        asked_late = Signal(WALKS)  # A bit for each slot.
        with m.If(walks.taken):
            m.d.sync += asked_late.bit_select(walks.slot, 1).eq(started)
        is_late = asked_late.bit_select(walks.answered_slot, 1)
        m.d.comb += Assume(~walks.grants | ~is_late, "a later walk finds another")
        uses = uses_watched_page(axi, bindings, is_bound_to(self.window), write=self.write)
        over = ended | (started & ~invalidate.busy)
        m.d.comb += Assert(~uses | ~over, "it is not used after the end")
        m.d.comb += Cover(uses & started, "it is used until the end")
        m.d.comb += Cover(over, "an end")
        return m


KINDS = {
    f"{name} {'writes' if write else 'reads'} by window {window}": functools.partial(
        kind, write=write, window=window
    )
    for name, kind in (("granted", AccessesAreGranted), ("ended", OldTranslationsEnd))
    for write in (0, 1)
    for window in range(WINDOWS)
}
PROOFS = {
    "ends leave nothing": EndsLeaveNothing,
    "bursts that cross are not forwarded": BurstsThatCrossAreNotForwarded,
    "bursts are forwarded as they are": BurstsAreForwardedAsTheyAre,
    "nobody else": NobodyElseHasIt,
    **KINDS,
}
BY_COST = [EndsLeaveNothing, BurstsAreForwardedAsTheyAre]
AS_IT_IS = [design for name, design in PROOFS.items() if name.startswith("ended")]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_always(verify, design):
    verify.reach(design(), by_cost=design in BY_COST, as_it_is=design in AS_IT_IS)


@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_it_happens(verify, design):
    verify.cover(design(), depth=20)
