"""No access leaves the translation bridge that a TCE of the requester's window did not grant.

The bridge stands between an arbitrary master, which need not even keep to AXI4, an arbitrary
partition manager that invalidates when it likes, and an arbitrary memory, of which only the
standard is assumed: it answers what it was asked, each once, and a write when it has all its data.
Shown, for a watched kind of access that may be either:

- a read or write in the watched system page is on the memory bus only if the memory, asked for a
  TCE of that requester's window, granted the page for that kind, and no invalidation of it has
  ended since;
- when an invalidation ends, no access of the master's is on the bus or under way;
- a walk reads one entry at a time;
- no incrementing burst leaves the page it begins in.

The proof has no bound in time, and reset may come at any moment. Configuration is arbitrary and
constant. Sizes are the smallest at which windows, pages and sets differ and buffers fill. The
watched page has a number of its own, since page numbers of the system only pass through.
"""

import pytest
from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, Signal
from amaranth.lib.wiring import In

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.translation.bridge import TranslationBridge
from tests.formal.sby import run_sby

Scope = codes("invalidate_scope")
WINDOWS = 2
WALKS = 2
PAGE_BITS = 2  # Of an address, above the offset in its page.
PAGES = 1 << PAGE_BITS
WATCHED_PAGE = 1
#: Bits of the configuration that make a difference where addresses have so few.
CONFIGURATION = {
    "valid": 1,
    "window": 2,
    "enable": 1,
    "entries": PAGE_BITS + 1,
    "table_base": PAGE_BITS,
}


def bridge_in_any_system(m, page_bits, **parameters):
    """Put a bridge into `m` whose surroundings do as they like, with a configuration that stays."""
    m.submodules.dut = dut = TranslationBridge(
        **{"requesters": 2, "user_width": 1, **parameters},
        windows=WINDOWS,
        addr_width=12 + page_bits,
        id_width=1,
        iotlb_sets=2,
        iotlb_ways=1,
        walks=WALKS,
        outstanding=2,
    )
    for path, member, signal in dut.signature.flatten(dut):
        if member.flow == In:
            kept = CONFIGURATION.get(path[-1]) if path[0] in ("binding", "window") else None
            free = AnySeq(len(signal)) if kept is None else AnyConst(kept)
            m.d.comb += signal.eq(free)
    return dut


def end_of(m, invalidate):
    """A signal: an invalidation has just ended."""
    was_busy = Signal()
    m.d.sync += was_busy.eq(invalidate.busy)
    return was_busy & ~invalidate.busy


class TaggedRequests(Elaboratable):
    """A bridge whose master tags each request, by a bit of AxUSER that makes no difference.

    Requesters that differ in the tag alone have the same window; so the tag only passes through.
    """

    def elaborate(self, platform):
        """`tag` says what the tag is of a request, `check` what follows for one on the bus."""
        m = Module()
        dut = bridge_in_any_system(m, page_bits=1, requesters=4, user_width=2)
        for one, other in ((0, 2), (1, 3)):
            for name in ("valid", "window"):
                same = getattr(dut.binding[one], name) == getattr(dut.binding[other], name)
                m.d.comb += Assume(same)
        for prefix in ("ar", "aw"):
            master, memory = (
                {
                    name: getattr(axi, f"{prefix}{name}")
                    for name in ("valid", "id", "addr", "len", "size", "burst", "user")
                }
                for axi in (dut.s_axi, dut.m_axi)
            )
            is_data = ~memory["id"][-1] if prefix == "ar" else 1
            m.d.comb += Assume(master["user"][1] == self.tag(m, master))
            m.d.comb += Assert(~memory["valid"] | ~is_data | self.check(m, memory), prefix)
            m.d.comb += Cover(memory["valid"] & (memory["len"] == 2), f"{prefix} is used")
        return m


class BurstsThatCrossAreNotForwarded(TaggedRequests):
    """The tag says that the burst leaves the page it begins in."""

    def tag(self, m, request):
        """As `BurstCheck` says, the alignment of later beats makes no difference."""
        last = request["addr"][:12] + (request["len"] << request["size"])
        return (request["burst"] == Burst.INCR) & last[12:].any()

    def check(self, m, request):
        """None of them is on the bus."""
        return ~request["user"][1]


class BurstsAreForwardedAsTheyAre(TaggedRequests):
    """The tag is some bit of what a burst is made of."""

    def bit(self, request):
        """The bit."""
        fields = Cat(request["addr"][:12], *(request[name] for name in ("len", "size", "burst")))
        return fields.bit_select(self.which, 1)

    def tag(self, m, request):
        """Some bit, the same of all."""
        return self.bit(request)

    def check(self, m, request):
        """It is still what it was."""
        return request["user"][1] == self.bit(request)

    def elaborate(self, platform):
        """Choose a bit."""
        self.which = AnyConst(5)
        return super().elaborate(platform)


class EndsLeaveNothing(Elaboratable):
    """What the memory was asked and has answered, when an invalidation ends."""

    def elaborate(self, platform):
        """Ghosts count what is under way; the memory answers what it was asked, each once."""
        m = Module()
        dut = bridge_in_any_system(m, page_bits=1)
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
        with m.If(end_of(m, dut.invalidate)):
            m.d.comb += Assert(~on_bus, "an end leaves nothing on the bus")
            m.d.comb += Assert((reads == 0) & (writes == 0), "an end leaves nothing under way")
        return m


class AccessesAreGranted(Elaboratable):
    """What the memory granted, and what is on the bus."""

    def elaborate(self, platform):
        """Ghosts follow what the memory was asked, what it granted, and what was taken back."""
        m = Module()
        dut = bridge_in_any_system(m, PAGE_BITS)
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
        for number, window in enumerate(dut.window):
            for index in range(PAGES):
                place = Cat(Signal(12), window.table_base[:PAGE_BITS]) + 8 * index
                with m.If(grants & (walk_address == place[: len(walk_address)])):
                    m.d.sync += granted[number][index].eq(1)

        # An invalidation takes back what is in its scope, when it ends.
        scope = Signal(2)
        scope_window = Signal(8)
        scope_index = Signal(32)
        ends = end_of(m, dut.invalidate)
        with m.If(dut.invalidate.start & ~dut.invalidate.busy):
            m.d.sync += scope.eq(dut.invalidate.scope)
            m.d.sync += scope_window.eq(dut.invalidate.window)
            m.d.sync += scope_index.eq(dut.invalidate.index)
        with m.If(ends):
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
                Mux(one.valid & (one.window < WINDOWS), 1 << one.window[0], 0)
                for one in dut.binding
            )[user]
            allowed = Signal(name=f"{prefix}_allowed")
            may_use = [
                binding[number] & window.enable & granted[number].any()
                for number, window in enumerate(dut.window)
            ]
            m.d.comb += allowed.eq(Cat(may_use).any())
            with m.If(valid & is_data):
                watched = (address[12:] == WATCHED_PAGE) & (watched_write == kind)
                m.d.comb += Assert(~watched | allowed, f"{prefix} was granted")
                m.d.comb += Cover(watched & ~granted[0].any(), f"{prefix} by the other window")
        m.d.comb += Cover(ends & granted[1].any(), "an end, with a page to take back")
        return m


TODO = 1
