"""The translation agent: an AXI4 master's I/O bus addresses in, system addresses out.

It stands between any AXI4 master and the memory bus, and guarantees:

1. An address appears on the memory bus only if it is the TCE table's own, read by the walker, or
   lies in a page that a TCE of the requester's window granted, with the permission asked for.
2. A refused access puts nothing on the memory bus. Reads are answered with DECERR and data 0,
   writes are absorbed and answered with DECERR; the refusal is recorded. DECERR has no other cause.
3. After an invalidation no beat of an old mapping is issued or lands any more.
4. Towards both sides it keeps the rules of AXI4 as long as they are kept towards it; no path
   without a register leads from one side to the other.

The master names the requester of each access in AxUSER. What the bridge asks of the master beyond
AXI4 is that it takes answers, and gives write data, without waiting for another address to be
accepted; otherwise an invalidation, or a walk whose answer waits in line on R, might not end.

Reads of different IDs may pass each other, as AXI4 allows: one that hits the IOTLB passes one that
waits for its entry. Several entries are read at a time, and those of a stream ahead of use.

Clock domain: ``sync``. Latency: 6 cycles for an address that hits the IOTLB, 1 for R, W and B; a
miss adds 5 cycles and the latency of the memory. Throughput: one address a cycle, reads and writes
together, and one beat a cycle on R, on W and on B.

Source: patent, FIG. 5, the data path past the hosting partition, and the address translation
entries that the partition manager sets up for it; LoPAR, redirected RDMA.
"""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from byway.rtl.bus.axi4 import AXI4Signature
from byway.rtl.translation.fault import FaultLog, FaultRecordLayout, FaultStatusSignature
from byway.rtl.translation.invalidator import Invalidator
from byway.rtl.translation.iotlb import check_geometry
from byway.rtl.translation.outstanding import check_outstanding
from byway.rtl.translation.read_path import ReadPath
from byway.rtl.translation.request import channel_fields
from byway.rtl.translation.translator import Translator
from byway.rtl.translation.walker import Walker, check_data_width, check_walks
from byway.rtl.translation.window import (
    BindingLookupSignature,
    InvalidateSignature,
    WindowLookupSignature,
    check_user_width,
    check_windows,
)
from byway.rtl.translation.write_path import WritePath

__all__ = ["TranslationAgent", "TranslationAgentSignature"]


class TranslationAgentSignature(wiring.Signature):
    """What a translation agent is made of and joined by.

    Parameters
    ----------
    requesters : int
        For so many, from 0 on, the fault log keeps a place.
    windows : int
        How many there are: 1 to 256.
    addr_width, data_width, id_width, user_width : int
        Widths in bits of the master's fields. The memory bus has the same, and one bit of ID more:
        set for reads of the walker, clear for the master's. Page numbers that are too large for
        `addr_width` are the partition manager's to avoid.
    iotlb_sets, iotlb_ways : int
        Geometry of the IOTLB.
    walks : int
        Table walks that may be under way: a power of two, at least 2, at most the master's IDs.
    ahead : int
        Pages of a stream that are walked for ahead of use; 0 for none.
    outstanding : int
        Reads, and writes, that may be under way: a power of two, at least 2. Further ones wait.

    Members
    -------
    s_axi : In(AXI4Signature(...))
        The master; its AxUSER names the requester.
    m_axi : Out(AXI4Signature(...))
        The memory bus. AxUSER is handed on; reads of the walker carry the requester they are for.
    binding_lookup : Out(BindingLookupSignature())
    window_lookup : Out(WindowLookupSignature())
        Configuration. No window from `windows` on is enabled.
    invalidate : In(InvalidateSignature())
        Taking back.
    fault_status, fault_record, fault_address : Out(...)
        Refusals, as `FaultLog` shows them.
    idle : Out(1)
        No access of the master and no walk is under way, nor an invalidation.
    iotlb_hit, iotlb_miss, iotlb_prefetch, fault : Out(1)
        A pulse for each request that the IOTLB answered, each walk that a request began, each
        walk begun ahead of use, each refusal.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        *,
        requesters: int = 2,
        windows: int = 16,
        addr_width: int = 64,
        data_width: int = 64,
        id_width: int = 6,
        user_width: int = 8,
        iotlb_sets: int = 16,
        iotlb_ways: int = 2,
        walks: int = 8,
        ahead: int = 1,
        outstanding: int = 128,
    ):
        check_user_width(user_width)
        check_windows(windows)
        check_geometry(sets=iotlb_sets, ways=iotlb_ways)
        check_data_width(data_width)
        check_outstanding(outstanding)
        self.requesters = requesters
        self.windows = windows
        self.walks = walks
        self.outstanding = outstanding
        self.cache = {"iotlb_sets": iotlb_sets, "iotlb_ways": iotlb_ways, "ahead": ahead}
        self.widths = {
            "addr_width": addr_width,
            "data_width": data_width,
            "id_width": id_width,
            "user_width": user_width,
        }
        super().__init__(
            {
                "s_axi": In(AXI4Signature(**self.widths)),
                "m_axi": Out(AXI4Signature(**{**self.widths, "id_width": id_width + 1})),
                "binding_lookup": Out(BindingLookupSignature()),
                "window_lookup": Out(WindowLookupSignature()),
                "invalidate": In(InvalidateSignature()),
                "fault_status": Out(FaultStatusSignature()),
                "fault_record": Out(FaultRecordLayout()),
                "fault_address": Out(64),
                "iotlb_hit": Out(1),
                "iotlb_miss": Out(1),
                "iotlb_prefetch": Out(1),
                "fault": Out(1),
                "idle": Out(1),
            }
        )
        check_walks(walks, id_width=id_width)


class TranslationAgent(wiring.Component):
    """Translates and isolates an AXI4 master by bindings and windows that it looks up elsewhere.

    Parameters, members and errors are those of `TranslationAgentSignature`.
    """

    s_axi: Any
    m_axi: Any
    binding_lookup: Any
    window_lookup: Any
    invalidate: Any
    fault_status: Any
    fault_record: data.View
    fault_address: Signal
    idle: Signal
    iotlb_hit: Signal
    iotlb_miss: Signal
    iotlb_prefetch: Signal
    fault: Signal

    def __init__(self, **parameters: int):
        self._made = TranslationAgentSignature(**parameters)
        super().__init__(self._made)

    def elaborate(self, platform):
        """Translate, then read and write; walk, log and invalidate beside them."""
        m = Module()
        made = self._made
        m.submodules.translator = translator = Translator(
            **made.widths,
            **made.cache,
            windows=made.windows,
            walks=made.walks,
            room=min(made.outstanding, 8),
        )
        m.submodules.walker = walker = Walker(
            slots=made.walks,
            **{name: width for name, width in made.widths.items() if name != "id_width"},
        )
        m.submodules.read_path = reads = ReadPath(
            **made.widths, outstanding=made.outstanding, walks=made.walks
        )
        m.submodules.write_path = writes = WritePath(**made.widths, outstanding=made.outstanding)
        m.submodules.fault_log = fault_log = FaultLog(
            depth=max(8, 2 << ceil_log2(made.requesters)), requesters=made.requesters
        )
        m.submodules.invalidator = invalidator = Invalidator(windows=made.windows)

        # The master's channels.
        for prefix, into in (
            ("ar", translator.reads),
            ("aw", translator.writes),
            ("w", writes.beats),
        ):
            for signal, field in channel_fields(self.s_axi, prefix, into.payload):
                m.d.comb += field.eq(signal)
            m.d.comb += into.valid.eq(getattr(self.s_axi, f"{prefix}valid"))
            m.d.comb += getattr(self.s_axi, f"{prefix}ready").eq(into.ready)
        for prefix, out in (("r", reads.beats), ("b", writes.answers)):
            for signal, field in channel_fields(self.s_axi, prefix, out.payload):
                m.d.comb += signal.eq(field)
            m.d.comb += getattr(self.s_axi, f"{prefix}valid").eq(out.valid)
            m.d.comb += out.ready.eq(getattr(self.s_axi, f"{prefix}ready"))

        # Translation, and the memory's channels.
        connect(m, translator.translated_reads, reads.translated)
        connect(m, translator.translated_writes, writes.translated)
        connect(m, translator.walk, walker.walk)
        connect(m, walker.walked, translator.walked)
        connect(m, walker.address, reads.table_read)
        connect(m, reads.table_beat, walker.beat)
        for path in (reads, writes):
            for name, member in path.m_axi.signature.members.items():
                if member.flow == Out:
                    m.d.comb += getattr(self.m_axi, name).eq(getattr(path.m_axi, name))
                else:
                    m.d.comb += getattr(path.m_axi, name).eq(getattr(self.m_axi, name))

        # Configuration, invalidation and faults.
        connect(m, translator.binding_lookup, flipped(self.binding_lookup))
        connect(m, translator.window_lookup, flipped(self.window_lookup))
        connect(m, flipped(self.invalidate), invalidator.invalidate)
        connect(m, invalidator.invalidation, translator.invalidate)
        m.d.comb += translator.hold.eq(invalidator.hold)
        m.d.comb += invalidator.idle.eq(translator.idle & reads.idle & writes.idle)
        connect(m, translator.fault, fault_log.fault)
        connect(m, fault_log.fault_status, flipped(self.fault_status))
        m.d.comb += self.fault_record.eq(fault_log.fault_record)
        m.d.comb += self.fault_address.eq(fault_log.fault_address)

        # Counters.
        m.d.comb += self.iotlb_hit.eq(translator.iotlb_hit)
        m.d.comb += self.iotlb_miss.eq(translator.iotlb_miss)
        m.d.comb += self.iotlb_prefetch.eq(translator.iotlb_prefetch)
        m.d.comb += self.fault.eq(translator.fault.valid)

        # Last of all: placed earlier, it makes the proof of the bridge take ten times as long.
        m.d.comb += self.idle.eq(invalidator.idle & ~invalidator.hold)
        return m
