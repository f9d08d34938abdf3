"""The IOTLB: recently used TCEs, set-associative, searched in two register stages.

It holds only entries that permit something, so that what it finds was in a table of this window,
at this page index, when it was read. Nothing leaves it but by replacement and by `invalidate`:
making the entries match the table again after a change is the partition manager's part.

Clock domain: ``sync``. Latency: a search is answered 2 cycles after it was taken. Throughput: one
search a cycle. An invalidation takes 4 cycles.

Tags and entries lie in LUT RAM. They are read into registers, then tags are compared into
registers; choosing between the ways is left to the third stage, that of the answer. Which places
are valid, and whose, is in flip-flops, so that a whole window goes in a cycle. Sets are numbered by
the low bits of the page index, turned by the window so that the first pages of all windows, where
rings tend to lie, do not compete.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.contract.model import codes
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.window import ENTRIES_BITS, InvalidationLayout, PageKeyLayout

__all__ = ["IOTLB", "EntryLayout", "check_geometry"]

Scope = codes("invalidate_scope")


class EntryLayout(data.StructLayout):
    """A TCE without its unused bits; fields as in ``translation_control_entry``."""

    def __init__(self):
        super().__init__({"rpn": unsigned(52), "read": unsigned(1), "write": unsigned(1)})


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
        Searches move on by a stage: `page` and `is_write` are taken, and the answer becomes that of
        the next. Without it the answer stays.
    page : In(PageKeyLayout(windows=windows))
        What to search.
    is_write : In(1)
        What for.
    found : Out(1)
        An entry answers the search taken two advances ago.
    permits : Out(1)
        And it permits the access.
    entry : Out(EntryLayout())
        The entry, while `found`.
    refill : In(EventSignature(EntryLayout()))
        An answer from the table to the search that found nothing. It becomes the answer, and
        is stored if it permits anything. No `advance` may come with it, nor in the cycle after.
    used : In(1)
        The answer was used: replace another way first.
    invalidate : In(stream.Signature(InvalidationLayout(windows=windows)))
        What to forget; forgotten once it is taken. No search may be under way, and
        `advance` must stay high.

    Raises
    ------
    ValueError
        If `windows`, `sets` or `ways` is not as above.
    """

    advance: Signal
    page: data.View
    is_write: Signal
    found: Signal
    permits: Signal
    entry: data.View
    refill: Event
    used: Signal
    invalidate: stream.Interface

    def __init__(self, *, windows: int = 4, sets: int = 16, ways: int = 2):
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
                "found": Out(1),
                "permits": Out(1),
                "entry": Out(EntryLayout()),
                "refill": In(EventSignature(EntryLayout())),
                "used": In(1),
                "invalidate": In(stream.Signature(InvalidationLayout(windows=windows))),
            }
        )

    def _set_of(self, page) -> Value:
        """Set that holds `page`."""
        window = list(page.window)[: self._set_bits]
        turned = Cat(*reversed(window)) << self._set_bits - len(window)
        return page.index[: self._set_bits] ^ turned

    def elaborate(self, platform):
        """Read, compare, answer; then what changes the contents."""
        m = Module()
        page_layout = PageKeyLayout(windows=self.windows)
        window_shape = page_layout.members["window"]
        line_layout = data.StructLayout(
            {
                "window": window_shape,
                "tag": unsigned(ENTRIES_BITS - self._set_bits),
                "entry": EntryLayout(),
            }
        )

        # Places: which hold a line, of which window, and the way of each set that was used last.
        valid = Signal(data.ArrayLayout(self.ways, self.sets))
        owner = Signal(data.ArrayLayout(data.ArrayLayout(window_shape, self.ways), self.sets))
        recent = Signal(data.ArrayLayout(bits_for(self.ways - 1), self.sets))

        # Read the lines of the set; again, if they changed or a probe takes the place of a search.
        again = Signal()
        read_page = Signal(page_layout)
        read_is_write = Signal()
        read_set = Signal(self._set_bits)
        read_valid = Signal(self.ways)
        read_lines = Signal(data.ArrayLayout(line_layout, self.ways))
        writers = []
        m.d.comb += read_set.eq(Mux(again, self._set_of(read_page), self._set_of(self.page)))
        for way in range(self.ways):
            m.submodules[f"way_{way}"] = lines = Memory(shape=line_layout, depth=self.sets, init=[])
            writers.append(lines.write_port())
            reader = lines.read_port(domain="comb")
            m.d.comb += reader.addr.eq(read_set)
            with m.If(again | self.advance):
                m.d.sync += read_lines[way].eq(reader.data)
        with m.If(again | self.advance):
            m.d.sync += read_valid.eq(valid[read_set])
        with m.If(~again & self.advance):
            m.d.sync += read_page.eq(self.page)
            m.d.sync += read_is_write.eq(self.is_write)

        # Compare the tags, and what the entries permit with what is wanted.
        page = Signal(page_layout)
        page_set = Signal(self._set_bits)
        places = Signal(self.ways)
        match = Signal(self.ways)
        permit = Signal(self.ways)
        entries = Signal(data.ArrayLayout(EntryLayout(), self.ways))
        m.d.comb += page_set.eq(self._set_of(page))
        with m.If(self.advance):
            m.d.sync += page.eq(read_page)
            m.d.sync += places.eq(read_valid)
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
        for way in range(self.ways):
            answer |= Mux(match[way], entries[way].as_value(), 0)
        m.d.comb += self.entry.eq(answer)
        m.d.comb += self.found.eq(match.any())
        m.d.comb += self.permits.eq((match & permit).any())

        # Refill an empty way, or the one after that used last.
        refill = self.refill.payload
        wanted_is_write = Signal()
        victim = Signal(range(self.ways))
        refilled = Signal()
        with m.If(self.advance):
            m.d.sync += wanted_is_write.eq(read_is_write)
        m.d.comb += victim.eq(Mux(recent[page_set] == self.ways - 1, 0, recent[page_set] + 1))
        for way in reversed(range(self.ways)):
            with m.If(~places[way]):
                m.d.comb += victim.eq(way)
        for way, writer in enumerate(writers):
            m.d.comb += writer.addr.eq(page_set)
            m.d.comb += writer.data.window.eq(page.window)
            m.d.comb += writer.data.tag.eq(page.index[self._set_bits :])
            m.d.comb += writer.data.entry.eq(refill)
            with m.If(self.refill.valid & (refill.read | refill.write) & (victim == way)):
                m.d.comb += writer.en.eq(1)
                m.d.sync += valid[page_set][way].eq(1)
                m.d.sync += owner[page_set][way].eq(page.window)
                m.d.sync += recent[page_set].eq(way)
        m.d.sync += refilled.eq(self.refill.valid)
        with m.If(self.refill.valid):
            m.d.sync += match.eq(1)
            m.d.sync += permit.eq(Mux(wanted_is_write, refill.write, refill.read))
            m.d.sync += entries[0].eq(refill)
        for way in range(self.ways):
            with m.If(self.used & match[way]):
                m.d.sync += recent[page_set].eq(way)

        # Invalidate: a probe finds the page if it is here; whole windows are known by their owners.
        scope = self.invalidate.payload.scope
        window = self.invalidate.payload.page.window
        m.d.comb += again.eq(refilled)
        with m.FSM(name="invalidation"):
            with m.State("Idle"), m.If(self.invalidate.valid):
                m.d.sync += read_page.eq(self.invalidate.payload.page)
                m.next = "Probe"
            with m.State("Probe"):
                m.d.comb += again.eq(1)
                m.next = "Compare"
            with m.State("Compare"):
                m.next = "Forget"
            with m.State("Forget"):
                m.d.comb += self.invalidate.ready.eq(1)
                with m.If(scope == Scope.PAGE):
                    m.d.sync += valid[page_set].eq(places & ~match)
                with m.Elif(scope == Scope.WINDOW):
                    for place in range(self.sets):
                        for way in range(self.ways):
                            with m.If(owner[place][way] == window):
                                m.d.sync += valid[place][way].eq(0)
                with m.Else():
                    m.d.sync += valid.eq(0)
                m.next = "Idle"

        return m
