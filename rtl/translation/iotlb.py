"""The IOTLB: recently used TCEs, set-associative, searched in two register stages.

It holds only entries that permit something, so that what it finds was in a table of this window,
at this page index, when it was read. Nothing leaves it but by replacement and by `invalidate`:
making the entries match the table again after a change is the partition manager's part.

With each entry it keeps how the page is used, and tells of a stream, a page that is read or written
on and on, so that the next page can be fetched before it is needed: a page that was itself fetched
ahead and is now used, or one whose upper half is used after its lower half.

Clock domain: ``sync``. Latency: a search is answered 2 cycles after it was taken. Throughput: one
search a cycle, and a refill beside it. An invalidation takes 4 cycles for a page, otherwise 3 and
one for each set.

Tags and entries lie in LUT RAM. They are read into registers, then tags are compared into
registers; choosing between the ways is left to the third stage, that of the answer. Sets are
numbered by the low bits of the page index, turned by the window so that the first pages of all
windows, where rings tend to lie, do not compete.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.contract.model import codes
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.window import ENTRIES_BITS, InvalidationLayout, PageKeyLayout

__all__ = ["IOTLB", "EntryLayout", "RefillLayout", "UseLayout", "check_geometry"]

Scope = codes("invalidate_scope")


class EntryLayout(data.StructLayout):
    """A TCE without its unused bits; fields as in ``translation_control_entry``."""

    def __init__(self):
        super().__init__({"rpn": unsigned(52), "read": unsigned(1), "write": unsigned(1)})


class UseLayout(data.StructLayout):
    """How a page is used. These are hints: nothing but speed depends on them.

    Members
    -------
    ahead : unsigned(1)
        Its entry was fetched ahead of use.
    low : unsigned(1)
        Its lower half was used.
    followed : unsigned(1)
        The page that follows it was asked for.
    """

    def __init__(self):
        super().__init__({"ahead": unsigned(1), "low": unsigned(1), "followed": unsigned(1)})

    @staticmethod
    def streams(use, upper: Value) -> Value:
        """Whether an access, in the `upper` half or not, shows that the next page will be used."""
        return ~use.followed & (use.ahead | (use.low & upper))


class RefillLayout(data.StructLayout):
    """What to store.

    Members
    -------
    page : PageKeyLayout(windows=windows)
        Where it applies.
    entry : EntryLayout()
        The entry.
    use : UseLayout()
        How the page was used so far.
    """

    def __init__(self, *, windows: int):
        super().__init__(
            {"page": PageKeyLayout(windows=windows), "entry": EntryLayout(), "use": UseLayout()}
        )


def check_geometry(*, sets: int, ways: int) -> None:
    """Raise `ValueError` unless an `IOTLB` can have `sets` and `ways`."""
    if sets < 2 or sets & (sets - 1):
        raise ValueError(f"Sets must be a power of two, at least 2, not {sets!r}")
    if ways < 1:
        raise ValueError(f"Ways must be a positive integer, not {ways!r}")


class IOTLB(wiring.Component):
    """A cache of translation control entries.

    Parameters
    ----------
    windows : int
        How many windows there are.
    sets, ways : int
        Its geometry: `sets` is a power of two, at least 2; `ways` at least 1.

    Members
    -------
    advance : In(1)
        Searches move on by a stage: `page`, `is_write` and `is_upper` are taken, and the answer
        becomes that of the next. Without it the answer stays.
    page : In(PageKeyLayout(windows=windows))
        What to search.
    is_write, is_upper : In(1)
        What for, and in which half of the page.
    found : Out(1)
        An entry answers the search taken two advances ago.
    permits : Out(1)
        And it permits the access.
    entry : Out(EntryLayout())
        The entry, while `found`.
    streams : Out(1)
        The access shows that the next page will be used.
    used : In(1)
        The answer was used: replace another way first, and take note of the use, in the next cycle.
    refill : In(EventSignature(RefillLayout(windows=windows)))
        An entry to store, if it permits anything. A search taken two cycles after it finds it. The
        IOTLB must not hold this page already.
    invalidate : In(stream.Signature(InvalidationLayout(windows=windows)))
        What to forget; forgotten once it is taken. No search nor refill may be under way.

    Raises
    ------
    ValueError
        If `windows`, `sets` or `ways` is not as above.
    """

    advance: Signal
    page: data.View
    is_write: Signal
    is_upper: Signal
    found: Signal
    permits: Signal
    entry: data.View
    streams: Signal
    used: Signal
    refill: Event
    invalidate: stream.Interface

    def __init__(self, *, windows: int = 16, sets: int = 16, ways: int = 2):
        check_geometry(sets=sets, ways=ways)
        self.windows = windows
        self.sets = sets
        self.ways = ways
        self._set_bits = bits_for(sets - 1)
        super().__init__(
            {
                "advance": In(1),
                "page": In(PageKeyLayout(windows=windows)),
                "is_write": In(1),
                "is_upper": In(1),
                "found": Out(1),
                "permits": Out(1),
                "entry": Out(EntryLayout()),
                "streams": Out(1),
                "used": In(1),
                "refill": In(EventSignature(RefillLayout(windows=windows))),
                "invalidate": In(stream.Signature(InvalidationLayout(windows=windows))),
            }
        )

    def _turn_of(self, window) -> Value:
        """What `window` turns the sets by."""
        bits = list(window)[: self._set_bits]
        return Cat(*reversed(bits)) << self._set_bits - len(bits)

    def _set_of(self, page) -> Value:
        """Set that holds `page`."""
        return page.index[: self._set_bits] ^ self._turn_of(page.window)

    def elaborate(self, platform):
        """Read, compare, answer; then what changes the contents."""
        m = Module()
        page_layout = PageKeyLayout(windows=self.windows)
        line_layout = data.StructLayout(
            {
                "window": page_layout.members["window"],
                "tag": unsigned(ENTRIES_BITS - self._set_bits),
                "entry": EntryLayout(),
            }
        )

        # Places: which hold a line, how it is used, and the way of each set that was used last.
        valid = Signal(data.ArrayLayout(self.ways, self.sets))
        uses = Signal(data.ArrayLayout(data.ArrayLayout(UseLayout(), self.ways), self.sets))
        recent = Signal(data.ArrayLayout(bits_for(self.ways - 1), self.sets))

        # Read the lines of the set: that of the search, or the next that an invalidation looks at.
        sweeps = Signal()
        swept_set = Signal(self._set_bits)
        set_to_read = Signal(self._set_bits)
        read_page = Signal(page_layout)
        read_is_write = Signal()
        read_is_upper = Signal()
        read_set = Signal(self._set_bits)
        read_valid = Signal(self.ways)
        read_uses = Signal(data.ArrayLayout(UseLayout(), self.ways))
        read_lines = Signal(data.ArrayLayout(line_layout, self.ways))
        writers = []
        m.d.comb += set_to_read.eq(Mux(sweeps, swept_set, self._set_of(self.page)))
        for way in range(self.ways):
            m.submodules[f"way_{way}"] = lines = Memory(shape=line_layout, depth=self.sets, init=[])
            writers.append(lines.write_port())
            reader = lines.read_port(domain="comb")
            m.d.comb += reader.addr.eq(set_to_read)
            with m.If(self.advance | sweeps):
                m.d.sync += read_lines[way].eq(reader.data)
        with m.If(self.advance | sweeps):
            m.d.sync += read_set.eq(set_to_read)
            m.d.sync += read_valid.eq(valid[set_to_read])
            m.d.sync += read_uses.eq(uses[set_to_read])
            m.d.sync += read_page.eq(self.page)
            m.d.sync += read_is_write.eq(self.is_write)
            m.d.sync += read_is_upper.eq(self.is_upper)

        # Compare the tags, and what the entries permit with what is wanted.
        page_set = Signal(self._set_bits)
        is_upper = Signal()
        match = Signal(self.ways)
        permit = Signal(self.ways)
        answer_uses = Signal(data.ArrayLayout(UseLayout(), self.ways))
        entries = Signal(data.ArrayLayout(EntryLayout(), self.ways))
        with m.If(self.advance):
            m.d.sync += page_set.eq(read_set)
            m.d.sync += is_upper.eq(read_is_upper)
            m.d.sync += answer_uses.eq(read_uses)
            for way in range(self.ways):
                line = read_lines[way]
                m.d.sync += match[way].eq(
                    read_valid[way]
                    & (line.window == read_page.window)
                    & (line.tag == read_page.index[self._set_bits :])
                )
                m.d.sync += permit[way].eq(Mux(read_is_write, line.entry.write, line.entry.read))
                m.d.sync += entries[way].eq(line.entry)

        # Answer with the way that matches: there is never more than one.
        answer = 0
        streams = 0
        for way in range(self.ways):
            answer |= Mux(match[way], entries[way].as_value(), 0)
            streams |= match[way] & UseLayout.streams(answer_uses[way], is_upper)
        m.d.comb += self.entry.eq(answer)
        m.d.comb += self.streams.eq(streams)
        m.d.comb += self.found.eq(match.any())
        m.d.comb += self.permits.eq((match & permit).any())

        # Take note of the use, a cycle later: it is known late in the cycle that an answer is used.
        notes = Signal(self.ways)
        noted_set = Signal(self._set_bits)
        noted_low = Signal()
        noted_streams = Signal()
        m.d.sync += notes.eq(Mux(self.used, match, 0))
        m.d.sync += noted_set.eq(page_set)
        m.d.sync += noted_low.eq(~is_upper)
        m.d.sync += noted_streams.eq(self.streams)
        for way in range(self.ways):
            with m.If(notes[way]):
                m.d.sync += recent[noted_set].eq(way)
                with m.If(noted_low):
                    m.d.sync += uses[noted_set][way].low.eq(1)
                with m.If(noted_streams):
                    m.d.sync += uses[noted_set][way].followed.eq(1)

        # Choose the way to refill: an empty one, or the one after that used last.
        refill_set = Signal(self._set_bits)
        refill_valid = Signal(self.ways)
        refill_recent = Signal.like(recent[0])
        victim = Signal(range(self.ways))
        m.d.comb += refill_set.eq(self._set_of(self.refill.payload.page))
        m.d.comb += refill_valid.eq(valid[refill_set])
        m.d.comb += refill_recent.eq(recent[refill_set])
        m.d.comb += victim.eq(Mux(refill_recent == self.ways - 1, 0, refill_recent + 1))
        for way in reversed(range(self.ways)):
            with m.If(~refill_valid[way]):
                m.d.comb += victim.eq(way)

        # Store it there. Of two for one set in a row the first may be lost: that costs a walk.
        stores = Signal(self.ways)
        stored_set = Signal(self._set_bits)
        stored = Signal.like(self.refill.payload)
        permits_any = self.refill.payload.entry.read | self.refill.payload.entry.write
        m.d.sync += stores.eq(Mux(self.refill.valid & permits_any, 1 << victim, 0))
        m.d.sync += stored_set.eq(refill_set)
        m.d.sync += stored.eq(self.refill.payload)
        for way, writer in enumerate(writers):
            m.d.comb += writer.en.eq(stores[way])
            m.d.comb += writer.addr.eq(stored_set)
            m.d.comb += writer.data.window.eq(stored.page.window)
            m.d.comb += writer.data.tag.eq(stored.page.index[self._set_bits :])
            m.d.comb += writer.data.entry.eq(stored.entry)
            with m.If(stores[way]):
                m.d.sync += valid[stored_set][way].eq(1)
                m.d.sync += uses[stored_set][way].eq(stored.use)
                m.d.sync += recent[stored_set].eq(way)

        # Invalidate: look at the set of the page, or at every set; forget the lines that are meant.
        scope = self.invalidate.payload.scope
        page = self.invalidate.payload.page
        forgets = Signal()
        meant = Signal(self.ways)
        for way in range(self.ways):
            line = read_lines[way]
            is_page = line.tag == page.index[self._set_bits :]
            m.d.comb += meant[way].eq(
                scope.matches(Scope.EVERYTHING, Scope.EVERYTHING + 1)
                | ((line.window == page.window) & ((scope == Scope.WINDOW) | is_page))
            )
        forgotten = Signal(self.ways)
        forgotten_set = Signal(self._set_bits)
        m.d.sync += forgotten.eq(Mux(forgets, meant, 0))
        m.d.sync += forgotten_set.eq(read_set)
        for way in range(self.ways):
            with m.If(forgotten[way]):
                m.d.sync += valid[forgotten_set][way].eq(0)
        with m.FSM(name="invalidation"):
            with m.State("Idle"):
                m.d.sync += swept_set.eq(Mux(scope == Scope.PAGE, self._set_of(page), 0))
                with m.If(self.invalidate.valid):
                    m.next = "Sweep"
            with m.State("Sweep"):
                m.d.comb += sweeps.eq(1)
                m.d.sync += swept_set.eq(swept_set + 1)
                m.d.sync += forgets.eq(1)
                with m.If((swept_set == self.sets - 1) | (scope == Scope.PAGE)):
                    m.next = "Compare"
            with m.State("Compare"):
                m.d.sync += forgets.eq(0)
                m.next = "Done"
            with m.State("Done"):
                m.d.comb += self.invalidate.ready.eq(1)
                m.next = "Idle"

        return m
