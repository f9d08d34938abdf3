"""The translator: judges requests and turns I/O bus addresses into system addresses.

Every request goes requester, binding, window, extent, IOTLB or TCE in memory, permission.
What comes out as not refused has an address in a page that a TCE of the requester's own window
granted, with the permission asked for; what is refused has been handed to the fault log once.

Clock domain: ``sync``. Latency: 3 cycles from a request being taken to its translation, if it hits.
Throughput: one request a cycle, reads and writes together, while they hit. A miss adds 2 cycles
and the time of the walk, and holds up what is behind it as long.

Reads and writes take turns in one pipeline: choose, look up, match, decide. A request enters only
if the queue behind the pipeline has room for it, so that of all stages only the last ever waits,
and only for a walk; reads that nobody takes never hold up writes, nor writes reads.

Source: LoPAR, translation control entries; patent, authentication capability of the redirected DMA.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from byway.rtl.contract.model import codes
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.fault import FaultLayout, FaultRecordLayout
from byway.rtl.translation.iotlb import IOTLB, check_geometry
from byway.rtl.translation.lane import Lane, check_room
from byway.rtl.translation.request import PAGE_BITS, AddressLayout, BurstCheck, TranslatedLayout
from byway.rtl.translation.walker import WalkedLayout, WalkLayout
from byway.rtl.translation.window import (
    ENTRIES_BITS,
    TABLE_BASE_BITS,
    WINDOW_BITS,
    BindingLookupSignature,
    InvalidationLayout,
    WindowLookupSignature,
    check_user_width,
)

__all__ = ["Translator"]

Reason = codes("fault_reason")


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
    room : int
        Requests of a kind that may be inside: a power of two. With less than 4, hits leave bubbles.

    Members
    -------
    reads, writes : In(stream.Signature(AddressLayout(...)))
        Requests.
    translated_reads, translated_writes : Out(stream.Signature(TranslatedLayout(...)))
        The same requests in the same order, judged.
    binding_lookup, window_lookup : Out(BindingLookupSignature()), Out(WindowLookupSignature())
        Configuration, looked up once for each request. No window from `windows` on is enabled.
    hold : In(1)
        Let no further request in.
    idle : Out(1)
        No request is inside, up to those in `reads` and `writes` that were not let in.
    invalidate : In(stream.Signature(InvalidationLayout(windows=windows)))
        For the IOTLB; only while on hold and idle.
    walk, walked : Out(stream.Signature(WalkLayout(...))), In(EventSignature(WalkedLayout()))
        To and from a `Walker`.
    fault : Out(EventSignature(FaultLayout()))
        Requests refused.
    iotlb_hit, iotlb_miss : Out(1)
        A pulse for each request that the IOTLB answered, and for each walk.

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
        room: int = 8,
    ):
        check_user_width(user_width)
        check_geometry(sets=iotlb_sets, ways=iotlb_ways)
        check_room(room)
        self.windows = windows
        self.iotlb_sets = iotlb_sets
        self.iotlb_ways = iotlb_ways
        self.room = room
        self._request = AddressLayout(
            addr_width=addr_width, id_width=id_width, user_width=user_width
        )
        self._burst_check = BurstCheck(data_width=data_width)
        requests = stream.Signature(self._request)
        translated = stream.Signature(TranslatedLayout(self._request))
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
                "walk": Out(stream.Signature(WalkLayout(user_width=user_width))),
                "walked": In(EventSignature(WalkedLayout())),
                "fault": Out(EventSignature(FaultLayout())),
                "iotlb_hit": Out(1),
                "iotlb_miss": Out(1),
            }
        )

    def elaborate(self, platform):
        """Choose, look up, match, decide; every stage moves unless the last waits for a walk."""
        m = Module()
        m.submodules.iotlb = iotlb = IOTLB(
            windows=self.windows, sets=self.iotlb_sets, ways=self.iotlb_ways
        )
        m.submodules.read_lane = reads = Lane(self._request, room=self.room)
        m.submodules.write_lane = writes = Lane(self._request, room=self.room)
        connect(m, flipped(self.reads), reads.requests)
        connect(m, flipped(self.writes), writes.requests)
        connect(m, reads.translated, flipped(self.translated_reads))
        connect(m, writes.translated, flipped(self.translated_writes))
        connect(m, flipped(self.invalidate), iotlb.invalidate)
        m.d.comb += reads.hold.eq(self.hold)
        m.d.comb += writes.hold.eq(self.hold)
        m.d.comb += self.idle.eq(reads.idle & writes.idle)

        advance = Signal()
        m.d.comb += iotlb.advance.eq(advance)
        chosen = self._choose(m, advance, reads.offer, writes.offer)
        looked_up = self._look_up(m, advance, chosen, iotlb)
        matched = self._match(m, advance, looked_up)
        self._decide(m, advance, matched, iotlb, reads.judged, writes.judged)
        return m

    def _choose(self, m, advance, reads, writes):
        """First stage: reads and writes in turn, and the window that the requester is bound to."""
        chosen = Signal(
            data.StructLayout(
                {
                    "valid": 1,
                    "write": 1,
                    "request": self._request,
                    "unbound": 1,
                    "window": WINDOW_BITS,
                }
            )
        )
        request = Signal(self._request)
        is_write = Signal()
        write_turn = Signal()
        m.d.comb += is_write.eq(writes.valid & (write_turn | ~reads.valid))
        m.d.comb += request.eq(Mux(is_write, writes.payload, reads.payload))
        binding = self.binding_lookup.binding
        m.d.comb += self.binding_lookup.requester.eq(request.user)
        m.d.comb += reads.ready.eq(advance & ~is_write)
        m.d.comb += writes.ready.eq(advance & is_write)
        with m.If(advance):
            m.d.sync += chosen.valid.eq(reads.valid | writes.valid)
            m.d.sync += chosen.write.eq(is_write)
            m.d.sync += chosen.request.eq(request)
            m.d.sync += chosen.unbound.eq(~binding.valid)
            m.d.sync += chosen.window.eq(Mux(binding.valid, binding.window, 0))
            with m.If(reads.valid | writes.valid):
                m.d.sync += write_turn.eq(~is_write)
        return chosen

    def _look_up(self, m, advance, chosen, iotlb):
        """Second stage: the window's table, the burst's measure; the IOTLB reads its lines."""
        looked_up = Signal(
            data.StructLayout(
                {
                    "valid": 1,
                    "write": 1,
                    "request": self._request,
                    "unbound": 1,
                    "window": WINDOW_BITS,
                    "disabled": 1,
                    "entries": ENTRIES_BITS,
                    "burst": self._burst_check.layout,
                    "table_base": TABLE_BASE_BITS,
                }
            )
        )
        window = self.window_lookup.window
        m.d.comb += self.window_lookup.number.eq(chosen.window)
        m.d.comb += iotlb.page.window.eq(chosen.window)
        m.d.comb += iotlb.page.index.eq(chosen.request.addr[PAGE_BITS:])
        m.d.comb += iotlb.is_write.eq(chosen.write)
        with m.If(advance):
            for name in ("valid", "write", "request", "unbound", "window"):
                m.d.sync += looked_up[name].eq(chosen[name])
            m.d.sync += looked_up.burst.eq(self._burst_check.measure(m, chosen.request))
            m.d.sync += looked_up.disabled.eq(~window.enable)
            m.d.sync += looked_up.entries.eq(window.entries)
            m.d.sync += looked_up.table_base.eq(window.table_base)
        return looked_up

    def _match(self, m, advance, looked_up):
        """Third stage: what can be refused without a TCE; the IOTLB compares its tags."""
        matched = Signal(
            data.StructLayout(
                {
                    "valid": 1,
                    "write": 1,
                    "request": self._request,
                    "window": WINDOW_BITS,
                    "refused": 1,
                    "reason": FaultRecordLayout().members["reason"],
                    "table_base": TABLE_BASE_BITS,
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
        with m.If(advance):
            for name in ("valid", "write", "request", "window", "table_base"):
                m.d.sync += matched[name].eq(looked_up[name])
            m.d.sync += matched.refused.eq(0)
            for condition, reason in reversed(reasons):
                with m.If(condition):
                    m.d.sync += matched.refused.eq(1)
                    m.d.sync += matched.reason.eq(reason)
        return matched

    def _decide(self, m, advance, matched, iotlb, reads, writes):
        """Last stage: ask the table if the IOTLB does not know, then permit or refuse."""
        request = matched.request
        index = request.addr[PAGE_BITS:]

        # A walk answers the request that missed; then the search behind it reads its lines again.
        walked = Signal()
        miss = Signal()
        m.d.comb += miss.eq(matched.valid & ~matched.refused & ~iotlb.found)
        m.d.comb += self.walk.payload.index.eq(index)
        m.d.comb += self.walk.payload.user.eq(request.user)
        m.d.comb += self.walk.payload.table_base.eq(matched.table_base)
        m.d.comb += iotlb.refill.payload.eq(self.walked.payload.entry)
        with m.FSM():
            with m.State("Answer"):
                m.d.comb += advance.eq(~miss)
                m.d.comb += self.walk.valid.eq(miss)
                with m.If(miss & self.walk.ready):
                    m.next = "Walk"
            with m.State("Walk"), m.If(self.walked.valid):
                m.d.comb += iotlb.refill.valid.eq(1)
                m.d.sync += walked.eq(1)
                with m.If(self.walked.payload.error):
                    m.d.sync += matched.refused.eq(1)
                    m.d.sync += matched.reason.eq(Reason.TABLE_ERROR)
                m.next = "Read again"
            with m.State("Read again"):
                m.next = "Answer"
        with m.If(advance):
            m.d.sync += walked.eq(0)

        # Permit or refuse.
        leaves = Signal()
        refused = Signal()
        reason = Signal.like(matched.reason)
        m.d.comb += leaves.eq(matched.valid & advance)
        m.d.comb += refused.eq(matched.refused | ~iotlb.permits)
        with m.If(matched.refused):
            m.d.comb += reason.eq(matched.reason)
        with m.Elif(~iotlb.entry.read & ~iotlb.entry.write):
            m.d.comb += reason.eq(Reason.NOT_MAPPED)
        with m.Else():
            m.d.comb += reason.eq(Mux(matched.write, Reason.WRITE_DENIED, Reason.READ_DENIED))
        for judged, is_kind in ((reads, ~matched.write), (writes, matched.write)):
            m.d.comb += judged.valid.eq(leaves & is_kind)
            m.d.comb += judged.payload.refused.eq(refused)
            m.d.comb += judged.payload.request.eq(request)
            m.d.comb += judged.payload.request.addr.eq(
                Cat(request.addr[:PAGE_BITS], iotlb.entry.rpn)
            )

        # Tell of it.
        hit = Signal()
        fault = self.fault.payload
        m.d.comb += hit.eq(leaves & ~matched.refused & ~walked)
        m.d.comb += iotlb.used.eq(hit)
        m.d.sync += self.iotlb_hit.eq(hit)
        m.d.sync += self.iotlb_miss.eq(self.walk.valid & self.walk.ready)
        m.d.sync += self.fault.valid.eq(leaves & refused)
        m.d.sync += fault.record.requester.eq(request.user)
        m.d.sync += fault.record.window.eq(matched.window)
        m.d.sync += fault.record.reason.eq(reason)
        m.d.sync += fault.record.write.eq(matched.write)
        m.d.sync += fault.address.eq(request.addr)
