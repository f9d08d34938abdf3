"""Walks under way: what is being read from the tables, for whom it waits, and what came of it.

A page is walked for once at a time: requests for a page that is being walked for join its walk. A
walk keeps its slot, and its result, until nothing refers to it any more.

Clock domain: ``sync``. Latency: 1 cycle from the start of a walk to its being offered to the
walker; a search is answered in the same cycle; a result shows, and goes to the IOTLB, the cycle
after it came. Throughput: one walk, one search and one result a cycle.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.iotlb import EntryLayout, RefillLayout, UseLayout
from byway.rtl.translation.walker import WalkedLayout, WalkLayout, check_slots
from byway.rtl.translation.window import PageKeyLayout

__all__ = ["ResultLayout", "StartLayout", "Walks"]


class StartLayout(data.StructLayout):
    """A walk to begin.

    Members
    -------
    page : PageKeyLayout(windows=windows)
        What it is for.
    place, user : unsigned(61), unsigned(user_width)
        Of the entry, as in `WalkLayout`.
    use : UseLayout()
        How the page is used.
    """

    def __init__(self, *, windows: int, user_width: int):
        members = WalkLayout(slots=2, user_width=user_width).members
        super().__init__(
            {
                "page": PageKeyLayout(windows=windows),
                "place": members["place"],
                "user": members["user"],
                "use": UseLayout(),
            }
        )


class ResultLayout(data.StructLayout):
    """What came of a walk; members as in `WalkedLayout`."""

    def __init__(self):
        super().__init__({"entry": EntryLayout(), "error": unsigned(1)})


class Walks(wiring.Component):
    """Keeps track of walks.

    Parameters
    ----------
    windows, user_width : int
        How many windows there are; width of AxUSER in bits.
    slots : int
        Walks it holds: a power of two, at least 2.

    Members
    -------
    start : In(stream.Signature(StartLayout(...)))
        Walks to begin; an offer may be taken back. The page must not be under way.
    slot : Out(range(slots))
        Slot of a walk that begins now.
    spare : Out(1)
        A slot is left even if one begins: a hint.
    search, match : In(EventSignature(PageKeyLayout(windows=windows))), Out(slots)
        A search: the slot of a walk for this page, a bit each. What begins now is not found. The
        slot found is kept in the next cycle as well.
    keep : In(slots)
        Slots to keep, a bit each.
    joins, is_upper : In(slots), In(1)
        An access of a half of the page makes use of the walks found.
    streams : Out(1)
        It shows that the next page will be used.
    seek, done, result : In(slots), Out(1), Out(ResultLayout())
        Whether the walk in a slot, a bit each, is done, and what came of it.
    walk, walked : Out(stream.Signature(WalkLayout(...))), In(EventSignature(WalkedLayout(...)))
        To and from a `Walker`.
    refill : Out(EventSignature(RefillLayout(windows=windows)))
        For the IOTLB, as results come.
    idle : Out(1)
        No slot is taken.

    Raises
    ------
    ValueError
        If `windows` or `slots` is not as above.
    """

    start: stream.Interface
    slot: Signal
    spare: Signal
    search: Event
    match: Signal
    keep: Signal
    joins: Signal
    is_upper: Signal
    streams: Signal
    seek: Signal
    done: Signal
    result: data.View
    walk: stream.Interface
    walked: Event
    refill: Event
    idle: Signal

    def __init__(self, *, windows: int = 16, user_width: int = 8, slots: int = 8):
        check_slots(slots)
        self.slots = slots
        number = range(slots)
        super().__init__(
            {
                "start": In(stream.Signature(StartLayout(windows=windows, user_width=user_width))),
                "slot": Out(number),
                "spare": Out(1),
                "search": In(EventSignature(PageKeyLayout(windows=windows))),
                "match": Out(slots),
                "keep": In(slots),
                "joins": In(slots),
                "is_upper": In(1),
                "streams": Out(1),
                "seek": In(slots),
                "done": Out(1),
                "result": Out(ResultLayout()),
                "walk": Out(stream.Signature(WalkLayout(slots=slots, user_width=user_width))),
                "walked": In(EventSignature(WalkedLayout(slots=slots))),
                "refill": Out(EventSignature(RefillLayout(windows=windows))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        """Slots: taken by turns, done when the walker answers, free when nobody needs them."""
        m = Module()
        start = self.start.payload
        taken = Signal(self.slots)
        done = Signal(self.slots)
        stored = Signal(self.slots)  # Who looks into the IOTLB from now on finds the entry.
        pages = Signal(data.ArrayLayout(start.page.shape(), self.slots))
        uses = Signal(data.ArrayLayout(UseLayout(), self.slots))

        # Begin in the slot whose turn it is; the turn passes on over slots that are still taken.
        following = Signal.like(self.slot)
        is_free = Signal()  # The slot; in a register, since all of the pipeline waits for it.
        begins = Signal()
        third = Signal.like(self.slot)
        m.d.comb += following.eq(self.slot + 1)
        m.d.comb += third.eq(self.slot + 2)
        m.d.comb += self.start.ready.eq(is_free)
        m.d.comb += begins.eq(self.start.valid & self.start.ready)

        # Nor does the pipeline wait for the bus: there is room for as many walks as there are.
        payload = Signal.like(self.walk.payload)
        m.submodules.queue = queue = SyncFIFO(width=len(payload.as_value()), depth=self.slots)
        m.d.comb += payload.slot.eq(self.slot)
        m.d.comb += payload.place.eq(start.place)
        m.d.comb += payload.user.eq(start.user)
        m.d.comb += queue.w_data.eq(payload)
        m.d.comb += queue.w_en.eq(begins)
        m.d.comb += self.walk.payload.eq(queue.r_data)
        m.d.comb += self.walk.valid.eq(queue.r_rdy)
        m.d.comb += queue.r_en.eq(self.walk.ready)
        m.d.sync += self.spare.eq(~taken.bit_select(following, 1))
        with m.If(begins | ~is_free):
            m.d.sync += self.slot.eq(following)
            m.d.sync += is_free.eq(~taken.bit_select(following, 1))
            m.d.sync += self.spare.eq(~taken.bit_select(third, 1))

        refills = Signal(self.slots)
        stores = Signal(self.slots)
        m.d.sync += stores.eq(refills)
        for slot in range(self.slots):
            begins_here = begins & (self.slot == slot)
            m.d.comb += self.match[slot].eq(
                self.search.valid & taken[slot] & (pages[slot] == self.search.payload)
            )
            with m.If(self.walked.valid & (self.walked.payload.slot == slot)):
                m.d.sync += done[slot].eq(1)
            with m.If(stores[slot]):
                m.d.sync += stored[slot].eq(1)
            with m.If(stored[slot] & ~self.keep[slot] & ~self.match[slot]):
                m.d.sync += taken[slot].eq(0)
            with m.If(begins_here):
                m.d.sync += taken[slot].eq(1)
                m.d.sync += done[slot].eq(0)
                m.d.sync += stored[slot].eq(0)
                m.d.sync += pages[slot].eq(start.page)

        # Uses of the page, for the IOTLB to go on with.
        streams = [
            self.joins[slot] & UseLayout.streams(uses[slot], self.is_upper)
            for slot in range(self.slots)
        ]
        m.d.comb += self.streams.eq(Cat(streams).any())
        for slot in range(self.slots):
            with m.If(self.joins[slot] & ~self.is_upper):
                m.d.sync += uses[slot].low.eq(1)
            with m.If(streams[slot]):
                m.d.sync += uses[slot].followed.eq(1)
            with m.If(begins & (self.slot == slot)):
                m.d.sync += uses[slot].eq(start.use)

        # Results.
        walked = self.walked.payload
        m.submodules.results = results = Memory(shape=ResultLayout(), depth=self.slots, init=[])
        write = results.write_port()
        read = results.read_port(domain="comb")
        m.d.comb += write.en.eq(self.walked.valid)
        m.d.comb += write.addr.eq(walked.slot)
        m.d.comb += write.data.entry.eq(walked.entry)
        m.d.comb += write.data.error.eq(walked.error)
        for slot in range(self.slots):
            with m.If(self.seek[slot]):
                m.d.comb += read.addr.eq(slot)
        m.d.comb += self.done.eq((done & self.seek).any())
        m.d.comb += self.result.eq(read.data)
        m.d.sync += self.refill.valid.eq(self.walked.valid)
        m.d.sync += self.refill.payload.page.eq(pages[walked.slot])
        m.d.sync += self.refill.payload.entry.eq(walked.entry)
        m.d.sync += self.refill.payload.use.eq(uses[walked.slot])
        m.d.sync += refills.eq(Mux(self.walked.valid, 1 << walked.slot, 0))
        m.d.comb += self.idle.eq(taken == 0)
        return m
