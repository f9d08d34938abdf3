"""The translator: judges requests and turns I/O bus addresses into system addresses.

Every request goes requester, binding, window, extent, IOTLB or TCE in memory, permission.
What comes out as not refused has an address in a page that a TCE of the requester's own window
granted, with the permission asked for; what is refused has been handed to the fault log once.

Clock domain: ``sync``. Latency: 5 cycles from a request being taken to its translation, if it hits.
A miss adds 3 cycles and the time of the walk. Throughput: one request a cycle, reads and writes
together.

Reads and writes take turns in one pipeline: choose, bind, look up, match, decide. A request that
misses leaves it for the waiting room while its entry is walked for; what follows passes it by,
unless it must keep its order: reads with reads of the same ID, writes with writes. Several walks
are under way at a time. A page that is being streamed has the pages that follow it walked for ahead
of use.

A request enters only if the queue behind the pipeline has room for it, so that what leaves the
waiting room never waits; and reads that nobody takes never hold up writes, nor writes reads. The
pipeline waits only while a request leaves the waiting room, and for a walk to begin. Each page of a
stream costs one of its cycles, to look up the next.

Source: LoPAR, translation control entries; patent, authentication capability of the redirected DMA.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from byway.rtl.contract.model import codes
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.fault import FaultLayout, FaultRecordLayout
from byway.rtl.translation.iotlb import IOTLB, EntryLayout, check_geometry
from byway.rtl.translation.lane import Lane, check_room
from byway.rtl.translation.prefetcher import Prefetcher
from byway.rtl.translation.request import PAGE_BITS, AddressLayout, BurstCheck, TranslatedLayout
from byway.rtl.translation.stages import ChosenLayout, bind, choose, look_up
from byway.rtl.translation.waiting_room import OrderLayout, WaitingRoom
from byway.rtl.translation.walker import WalkedLayout, WalkLayout, check_slots
from byway.rtl.translation.walks import Walks
from byway.rtl.translation.window import (
    WINDOW_BITS,
    BindingLookupSignature,
    InvalidationLayout,
    PageKeyLayout,
    WindowLookupSignature,
    check_user_width,
)

__all__ = ["Translator"]

Reason = codes("fault_reason")
#: Address bits of a page within a table's page number: 512 entries of 8 bytes are a page.
_INDEX_BITS = 9


class Translator(wiring.Component):
    """Translates read and write requests.

    Parameters
    ----------
    windows : int
        How many there are.
    addr_width, data_width, id_width, user_width : int
        Widths in bits of the requests' fields, and of the bus their bursts are for.
    iotlb_sets, iotlb_ways : int
        Geometry of the `IOTLB`.
    walks : int
        Walks that may be under way: a power of two, at least 2.
    ahead : int
        Pages of a stream that are walked for ahead of use; 0 for none.
    room : int
        Requests of a kind that may be inside: a power of two. With less than 8, hits leave bubbles.

    Members
    -------
    reads, writes : In(stream.Signature(AddressLayout(...)))
        Requests.
    translated_reads, translated_writes : Out(stream.Signature(TranslatedLayout(...)))
        The same requests, judged; reads of an ID in their order, and writes in theirs.
    binding_lookup : Out(BindingLookupSignature())
    window_lookup : Out(WindowLookupSignature())
        Configuration, looked up once for each request. No window from `windows` on is enabled.
    hold : In(1)
        Let no further request in.
    idle : Out(1)
        No request is inside, up to those in `reads` and `writes` that were not let in, and no walk.
    invalidate : In(stream.Signature(InvalidationLayout(windows=windows)))
        For the IOTLB; only while on hold and idle.
    walk, walked : Out(stream.Signature(WalkLayout(...))), In(EventSignature(WalkedLayout(...)))
        To and from a `Walker`.
    fault : Out(EventSignature(FaultLayout()))
        Requests refused.
    iotlb_hit, iotlb_miss, iotlb_prefetch : Out(1)
        A pulse for each request that the IOTLB answered, for each walk that a request began, and
        for each begun ahead of use.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    reads: stream.Interface
    writes: stream.Interface
    translated_reads: stream.Interface
    translated_writes: stream.Interface
    binding_lookup: Any
    window_lookup: Any
    hold: Signal
    idle: Signal
    invalidate: stream.Interface
    walk: stream.Interface
    walked: Event
    fault: Event
    iotlb_hit: Signal
    iotlb_miss: Signal
    iotlb_prefetch: Signal

    def __init__(
        self,
        *,
        windows: int = 4,
        addr_width: int = 64,
        data_width: int = 64,
        id_width: int = 6,
        user_width: int = 8,
        iotlb_sets: int = 16,
        iotlb_ways: int = 2,
        walks: int = 8,
        ahead: int = 1,
        room: int = 8,
    ):
        check_user_width(user_width)
        check_geometry(sets=iotlb_sets, ways=iotlb_ways)
        check_slots(walks, "Walks")
        check_room(room)
        if ahead < 0:
            raise ValueError(f"Pages ahead must be 0 or more, not {ahead!r}")
        self.windows = windows
        self.iotlb_sets = iotlb_sets
        self.iotlb_ways = iotlb_ways
        self.walks = walks
        self.ahead = ahead
        self.room = room
        self._id_width = id_width
        self._user_width = user_width
        self._request = AddressLayout(
            addr_width=addr_width, id_width=id_width, user_width=user_width
        )
        self._order = OrderLayout(id_width=id_width)
        self._burst_check = BurstCheck(data_width=data_width)
        self._waiting = data.StructLayout(
            {
                "write": unsigned(1),
                "request": self._request,
                "window": unsigned(WINDOW_BITS),
                "refused": unsigned(1),
                "reason": FaultRecordLayout().members["reason"],
                "entry": EntryLayout(),
            }
        )
        requests = stream.Signature(self._request)
        translated = stream.Signature(TranslatedLayout(self._request))
        walk = WalkLayout(slots=walks, user_width=user_width)
        super().__init__(
            {
                "reads": In(requests),
                "writes": In(requests),
                "translated_reads": Out(translated),
                "translated_writes": Out(translated),
                "binding_lookup": Out(BindingLookupSignature()),
                "window_lookup": Out(WindowLookupSignature()),
                "hold": In(1),
                "idle": Out(1),
                "invalidate": In(stream.Signature(InvalidationLayout(windows=windows))),
                "walk": Out(stream.Signature(walk)),
                "walked": In(EventSignature(WalkedLayout(slots=walks))),
                "fault": Out(EventSignature(FaultLayout())),
                "iotlb_hit": Out(1),
                "iotlb_miss": Out(1),
                "iotlb_prefetch": Out(1),
            }
        )

    def elaborate(self, platform):
        """The pipeline; beside it, who waits and what is walked for."""
        m = Module()
        m.submodules.iotlb = iotlb = IOTLB(
            windows=self.windows, sets=self.iotlb_sets, ways=self.iotlb_ways
        )
        m.submodules.walks = walks = Walks(
            windows=self.windows,
            user_width=self._user_width,
            slots=self.walks,
        )
        m.submodules.waiting = waiting = WaitingRoom(
            self._waiting, id_width=self._id_width, slots=self.walks, room=2 * self.room
        )
        m.submodules.prefetcher = prefetcher = Prefetcher(
            user_width=self._user_width, distance=max(self.ahead, 1)
        )
        m.submodules.read_lane = reads = Lane(self._request, room=self.room)
        m.submodules.write_lane = writes = Lane(self._request, room=self.room)
        connect(m, flipped(self.reads), reads.requests)
        connect(m, flipped(self.writes), writes.requests)
        connect(m, reads.translated, flipped(self.translated_reads))
        connect(m, writes.translated, flipped(self.translated_writes))
        connect(m, flipped(self.invalidate), iotlb.invalidate)
        connect(m, walks.walk, flipped(self.walk))
        connect(m, flipped(self.walked), walks.walked)
        connect(m, walks.refill, iotlb.refill)
        for one in (reads, writes, prefetcher):
            m.d.comb += one.hold.eq(self.hold)

        advance = Signal()
        m.d.comb += iotlb.advance.eq(advance)
        m.d.comb += prefetcher.taken.eq(advance)
        chosen = choose(m, advance, reads.offer, writes.offer, prefetcher.proposal)
        bound = bind(m, advance, chosen, self.binding_lookup)
        looked_up = look_up(m, advance, bound, self.window_lookup, self._burst_check, iotlb)
        matched = self._match(m, advance, looked_up, walks, waiting)
        returned = self._return(m, waiting, walks)
        waits = Signal()
        m.d.comb += waits.eq(matched.waits & ~waiting.empty)
        self._begin(m, advance, matched, returned, waits, iotlb, walks, waiting)
        self._decide(m, matched, returned, waits, iotlb, reads.judged, writes.judged)
        if self.ahead:
            # Two stages: what is noted of a use is a hint, and may come late.
            noted = Signal.like(prefetcher.streamed.payload)
            streams = Signal()
            m.d.sync += noted.index.eq(matched.request.addr[PAGE_BITS:])
            m.d.sync += noted.user.eq(matched.request.user)
            m.d.sync += streams.eq(iotlb.used & iotlb.streams)
            m.d.sync += prefetcher.streamed.payload.eq(noted)
            m.d.sync += prefetcher.streamed.valid.eq(streams | walks.streams)

        # Told by who is there, not by the count of who came and went: so it is easily proved.
        inside = [stage.valid for stage in (chosen, bound, looked_up, matched, returned)]
        inside += [lane.translated.valid for lane in (reads, writes)]
        inside += [prefetcher.proposal.valid, ~waiting.empty, ~walks.idle]
        m.d.comb += self.idle.eq(~Cat(inside).any())
        return m

    def _match(self, m, advance, looked_up, walks, waiting):
        """Fourth stage: what can be refused without a TCE; who searches what compares it."""
        matched = Signal(
            data.StructLayout(
                {
                    **ChosenLayout(self._request).members,
                    "window": WINDOW_BITS,
                    "refused": 1,
                    "reason": FaultRecordLayout().members["reason"],
                    "place": walks.start.payload.place.shape(),
                    "slots": self.walks,
                    "walked_for": 1,
                    "asks": 1,
                    "waits": 1,
                }
            )
        )
        index = looked_up.request.addr[PAGE_BITS:]
        reasons = (  # The first that holds is reported.
            (looked_up.unbound, Reason.UNBOUND),
            (looked_up.disabled, Reason.WINDOW_DISABLED),
            (looked_up.burst.reserved, Reason.BURST_TYPE),
            (self._burst_check.crosses(looked_up.burst, looked_up.request), Reason.PAGE_CROSSING),
            (index >= looked_up.entries, Reason.EXTENT),
        )

        # The request ahead may begin a walk, or to wait, in this very cycle.
        page = Signal(PageKeyLayout(windows=self.windows))
        order = Signal(self._order)
        page_ahead = Signal(PageKeyLayout(windows=self.windows))
        begun = Signal(self.walks)
        m.d.comb += page.window.eq(looked_up.window)
        m.d.comb += page.index.eq(index)
        m.d.comb += order.write.eq(looked_up.write)
        m.d.comb += order.id.eq(looked_up.request.id)
        m.d.comb += page_ahead.eq(walks.start.payload.page)
        m.d.comb += walks.search.valid.eq(looked_up.valid)
        m.d.comb += walks.search.payload.eq(page)
        m.d.comb += waiting.order.eq(order)
        with m.If(walks.start.valid & walks.start.ready & (page == page_ahead)):
            m.d.comb += begun.eq(1 << walks.slot)
        enters = waiting.enter.valid & OrderLayout.keeps(waiting.enter_order, order)
        with m.If(advance):
            for name in ("valid", "ahead", "write", "request", "window"):
                m.d.sync += matched[name].eq(looked_up[name])
            refused = Cat(condition for condition, _ in reasons).any()
            m.d.sync += matched.asks.eq(looked_up.valid & ~refused)
            m.d.sync += matched.slots.eq(walks.match | begun)
            m.d.sync += matched.walked_for.eq((walks.match | begun).any())
            m.d.sync += matched.waits.eq(waiting.conflict | enters)
            m.d.sync += matched.place.eq(
                Cat(page.index[:_INDEX_BITS], looked_up.table_base + page.index[_INDEX_BITS:])
            )
            m.d.sync += matched.refused.eq(0)
            for condition, reason in reversed(reasons):
                with m.If(condition):
                    m.d.sync += matched.refused.eq(1)
                    m.d.sync += matched.reason.eq(reason)
        return matched

    def _return(self, m, waiting, walks):
        """From the waiting room: the first request there, once its entry has come."""
        returned = Signal(data.StructLayout({"valid": 1, **self._waiting.members}))
        first = waiting.first.payload
        walked = waiting.first_slots.any()
        m.d.comb += walks.seek.eq(waiting.first_slots)
        m.d.comb += waiting.first.ready.eq(~walked | walks.done)
        m.d.sync += returned.valid.eq(waiting.first.valid & waiting.first.ready)
        for name in self._waiting.members:
            m.d.sync += returned[name].eq(first[name])
        with m.If(walked):
            m.d.sync += returned.entry.eq(walks.result.entry)
            with m.If(walks.result.error):
                m.d.sync += returned.refused.eq(1)
                m.d.sync += returned.reason.eq(Reason.TABLE_ERROR)
        return returned

    def _begin(self, m, advance, matched, returned, waits, iotlb, walks, waiting):
        """Last stage: begin a walk if nobody knows the entry, and wait if it is not there yet."""
        known = Signal()
        unasked = Signal()
        stuck = Signal()
        is_request = Signal()
        m.d.comb += known.eq(matched.refused | iotlb.found)
        m.d.comb += unasked.eq(matched.asks & ~matched.walked_for & ~iotlb.found)
        m.d.comb += stuck.eq(unasked & ~matched.ahead & ~walks.start.ready)
        m.d.comb += advance.eq(~returned.valid & ~stuck)
        m.d.comb += is_request.eq(matched.valid & ~matched.ahead & advance)

        start = walks.start.payload
        begins = walks.start.valid & walks.start.ready
        begins_upper = matched.request.addr[PAGE_BITS - 1]
        m.d.comb += walks.start.valid.eq(unasked & ~returned.valid & (~matched.ahead | walks.spare))
        m.d.comb += start.page.window.eq(matched.window)
        m.d.comb += start.page.index.eq(matched.request.addr[PAGE_BITS:])
        m.d.comb += start.place.eq(matched.place)
        m.d.comb += start.user.eq(matched.request.user)
        m.d.comb += start.use.ahead.eq(matched.ahead)
        m.d.comb += start.use.low.eq(~begins_upper & ~matched.ahead)
        m.d.sync += walks.is_upper.eq(self._burst_check.reaches_upper(matched.request))
        users = matched.slots
        if self._burst_check.has_long:
            # One burst may be all of a page: who begins its walk has used both halves.
            users |= Mux(begins, 1 << walks.slot, 0)
        m.d.sync += walks.joins.eq(Mux(is_request & ~known, users, 0))

        # It waits for the walk that it found or begins, or, if it is known, for its turn.
        m.d.comb += walks.keep.eq(matched.slots | waiting.slots)
        m.d.comb += waiting.enter.valid.eq(is_request & (~known | waits))
        m.d.comb += waiting.enter_order.write.eq(matched.write)
        m.d.comb += waiting.enter_order.id.eq(matched.request.id)
        for name in ("write", "request", "window", "refused", "reason"):
            m.d.comb += waiting.enter.payload[name].eq(matched[name])
        m.d.comb += waiting.enter.payload.entry.eq(iotlb.entry)
        with m.If(~known):
            slots = Mux(matched.walked_for, matched.slots, 1 << walks.slot)
            m.d.comb += waiting.enter_slots.eq(slots)

        hit = Signal()
        m.d.comb += hit.eq(is_request & ~matched.refused & iotlb.found)
        m.d.comb += iotlb.used.eq(hit)
        m.d.sync += self.iotlb_hit.eq(hit)
        m.d.sync += self.iotlb_miss.eq(begins & ~matched.ahead)
        m.d.sync += self.iotlb_prefetch.eq(begins & matched.ahead)

    def _decide(self, m, matched, returned, waits, iotlb, reads, writes):
        """Permit or refuse: what comes from the waiting room first, or else from the pipeline."""
        subject = Signal.like(returned)
        entry = subject.entry
        permits = Signal()
        with m.If(returned.valid):
            m.d.comb += subject.eq(returned)
            m.d.comb += permits.eq(Mux(returned.write, returned.entry.write, returned.entry.read))
        with m.Else():
            m.d.comb += subject.valid.eq(
                matched.valid & ~matched.ahead & (matched.refused | iotlb.found) & ~waits
            )
            for name in ("write", "request", "window", "refused", "reason"):
                m.d.comb += subject[name].eq(matched[name])
            m.d.comb += subject.entry.eq(iotlb.entry)
            m.d.comb += permits.eq(iotlb.permits)

        request = subject.request
        refused = Signal()
        reason = Signal.like(subject.reason)
        m.d.comb += refused.eq(subject.refused | ~permits)
        with m.If(subject.refused):
            m.d.comb += reason.eq(subject.reason)
        with m.Elif(~entry.read & ~entry.write):
            m.d.comb += reason.eq(Reason.NOT_MAPPED)
        with m.Else():
            m.d.comb += reason.eq(Mux(subject.write, Reason.WRITE_DENIED, Reason.READ_DENIED))
        for judged, is_kind in ((reads, ~subject.write), (writes, subject.write)):
            m.d.sync += judged.valid.eq(subject.valid & is_kind)
            m.d.sync += judged.payload.refused.eq(refused)
            m.d.sync += judged.payload.request.eq(request)
            m.d.sync += judged.payload.request.addr.eq(Cat(request.addr[:PAGE_BITS], entry.rpn))

        fault = self.fault.payload
        m.d.sync += self.fault.valid.eq(subject.valid & refused)
        m.d.sync += fault.record.requester.eq(request.user)
        m.d.sync += fault.record.window.eq(subject.window)
        m.d.sync += fault.record.reason.eq(reason)
        m.d.sync += fault.record.write.eq(subject.write)
        m.d.sync += fault.address.eq(request.addr)
