"""One transmit ring: its indexes, its doorbell, the prefetch of its entries, its state.

`TransmitRing` keeps the books of a ring; the entries themselves go from the memory bus into the
prefetch store, which all rings share (`byway.rtl.transmit.rings`). It guarantees:

- Entries are fetched in order, in bursts of at most `BLOCK_ENTRIES` that end at the producer index
  or at a block of 256 bytes, so that none crosses 4 KiB [AMBA AXI4, IHI 0022, A3.4.1] or the end of
  the ring. Room for a whole block is free before a burst is asked for, and the next block is
  fetched while earlier ones are consumed.
- A frame is ready when all its entries have come. An entry that failed, and all that follow it,
  become no frame.
- A doorbell counts only while the ring runs. The producer index moves forward, by at most the size,
  and never further than the size from the consumer index; otherwise the ring stops with
  `doorbell_range`. So a producer index that goes back stops the ring too.
- A ring that is disabled, or stopped, asks for no more entries. What has been read whole is still
  handed on and finished; the rest is dropped. A disabled ring is active until all that is over.
- Whole frames are dropped too when data was refused, since more might be; when a completion was
  refused, for nobody would learn what became of them; and by a function-level reset.
- A function-level reset ends the ring, running or not, without completions. It is over when nothing
  of the ring is under way; until then the ring cannot start.

Clock domain: sync. Latency: 2 cycles from the doorbell to the fetch request, 1 cycle from the last
beat of a frame to `ready`. Throughput: a burst every 2 cycles, a beat each cycle.

Source: patent FIG. 7, steps 750 to 760, on the side of the adapter; ``ring_registers`` and
``doorbell_page`` of the contract.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from byway.rtl.bus.axi4 import PAGE_BYTES
from byway.rtl.contract.model import codes, constant, record

__all__ = [
    "BLOCK_ENTRIES",
    "INDEX_BITS",
    "PREFETCH_ENTRIES",
    "EntryRows",
    "FetchRequest",
    "OffloadGrants",
    "RingConfig",
    "RingStatus",
    "TransmitRing",
    "further_entries",
    "ring_size_log2",
]

#: Entries of each ring that can be on the way or in the prefetch store.
PREFETCH_ENTRIES = 32

#: Most entries of one burst; blocks of so many entries are not crossed.
BLOCK_ENTRIES = 8

#: Bits of the producer and consumer indexes.
INDEX_BITS = record("completion")["consumer"].width

_ENTRY_BYTES = record("transmit_descriptor").size // 8
_PAGE_BITS = 64 - exact_log2(PAGE_BYTES)
_MOST_INDEX_BITS = constant("ring_limits.maximum_size_log2")
_STOP_REASON = codes("ring_stop_reason")


class EntryRows:
    """How a ring entry lies in rows of the data width, a row for each beat.

    Parameters
    ----------
    data_width : int
        64 or 128: the lengths of a descriptor come before its last row.

    Attributes
    ----------
    count : int
        Rows of an entry.
    row_bits : int
        Bits of the number of a row.
    """

    def __init__(self, data_width: int):
        if data_width not in (64, 128):
            raise ValueError(f"Data width must be 64 or 128, not {data_width!r}")
        self.data_width = data_width
        self.count = _ENTRY_BYTES * 8 // data_width
        self.row_bits = exact_log2(self.count)

    def place(self, record_name: str, name: str) -> tuple[int, slice]:
        """The row in which a field of a record stands, and its bits there."""
        field = record(record_name)[name]
        row, low = divmod(field.offset, self.data_width)
        return row, slice(low, low + field.width)


class OffloadGrants(data.StructLayout):
    """The offloads that a ring may use: a bit each, as in the contract's ``offloads`` register."""

    def __init__(self):
        names = (
            *("checksum_ipv4", "checksum_tcp", "checksum_udp", "large_send_v4", "scatter_gather"),
            *("checksum_tcp_v6", "checksum_udp_v6", "large_send_v6"),
            *("udp_segmentation", "checksum_generic", "vlan_insertion"),
        )
        super().__init__({name: unsigned(1) for name in names})


class RingConfig(wiring.Signature):
    """What software says to a ring, from the side of the register bank.

    Members
    -------
    descriptor_base, completion_base : Out(52)
        Page numbers of the two rings. Stable while the ring is active, as `size_log2`.
    size_log2 : Out(4)
        Entries of each, as a power of two; outside the limits it acts as the nearest.
    enable : Out(1)
    offloads : Out(OffloadGrants())
    producer : Out(16)
    producer_modify : Out(1)
        The doorbell: high in the first cycle in which `producer` is what was written.
    reset : Out(1)
        A function-level reset is under way: high until `RingStatus.reset_done`.
    """

    def __init__(self):
        super().__init__(
            {
                "descriptor_base": Out(_PAGE_BITS),
                "completion_base": Out(_PAGE_BITS),
                "size_log2": Out(4),
                "enable": Out(1),
                "offloads": Out(OffloadGrants()),
                "producer": Out(INDEX_BITS),
                "producer_modify": Out(1),
                "reset": Out(1),
            }
        )


class RingStatus(wiring.Signature):
    """What a ring says to software, from the side of the ring.

    Members
    -------
    active, stopped, reason, consumer
        As in the contract's ``status`` register.
    completion, stop : Out(1)
        Interrupt causes: high for one cycle when a completion has been written, and when the
        hardware stopped the ring.
    reset_done : Out(1)
        The function-level reset is over: high for one cycle.
    """

    def __init__(self):
        super().__init__(
            {
                "active": Out(1),
                "stopped": Out(1),
                "reason": Out(4),
                "consumer": Out(INDEX_BITS),
                "completion": Out(1),
                "stop": Out(1),
                "reset_done": Out(1),
            }
        )


class FetchRequest(data.StructLayout):
    """A burst of ring entries to read.

    Parameters
    ----------
    addr_width : int
        Bits of an address.

    Members
    -------
    address : unsigned(addr_width)
        I/O bus address of the first entry.
    entries : unsigned(4)
        How many: 1 to `BLOCK_ENTRIES`.
    """

    def __init__(self, addr_width: int):
        super().__init__(
            {"address": unsigned(addr_width), "entries": range(BLOCK_ENTRIES + 1)},
        )


def further_entries(fragments: Value) -> Value:
    """Entries of a frame beyond its descriptor: two fragments to each.

    A count out of range has none: of such a frame the descriptor alone is consumed.
    """
    in_range = fragments <= constant("frame_limits.maximum_fragments")
    return Mux(in_range, fragments >> 1, 0)[: exact_log2(PREFETCH_ENTRIES) - 1]


def ring_size_log2(size_log2: Value) -> Value:
    """The size as a power of two, brought within the contract's limits."""
    least = constant("ring_limits.minimum_size_log2")
    most = constant("ring_limits.maximum_size_log2")
    return Mux(size_log2 < least, least, Mux(size_log2 > most, most, size_log2))


class TransmitRing(wiring.Component):
    """The books of one ring; its laws stand at the head of this file.

    Parameters
    ----------
    addr_width : int
        Bits of an I/O bus address, 32 to 64.
    data_width : int
        Bits of a beat of the memory bus: 64 or 128.

    Members
    -------
    config : In(RingConfig())
    status : Out(RingStatus())
    fetch : Out(stream.Signature(FetchRequest(addr_width)))
        Entries to read. They are answered in order, through `beat_valid`.
    beat_valid, beat_data, beat_error : In(1), In(data_width), In(1)
        A beat of this ring's entries comes; its read failed.
    slot, row : Out(5), Out(row_bits)
        Where in the ring's part of the prefetch store the next beat belongs.
    opens, closes : Out(1)
        The next beat begins a frame; if it is good, it completes one.
    ready : Out(1)
        A whole frame stands in the store, from entry ``status.consumer`` on.
    reading : In(1)
        The scheduler is reading that frame.
    taken, taken_entries : In(1), In(5)
        It has read it all: so many entries are consumed.
    starts : Out(1)
        The ring begins at index 0 in the next cycle.
    mute : Out(1)
        Write no more completions of this ring: one was refused, or the ring is being reset.
    completed, refused, discarded : In(1)
        A completion has been written, has been refused, has been left out. One at a time.
    data_refused : In(1)
        A completion is being written that tells of refused data.
    idle : Out(1)
        No entries are on their way, and no frame from its last entry to its completion.

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    config: Any
    status: Any
    fetch: Any
    beat_valid: Signal
    beat_data: Signal
    beat_error: Signal
    slot: Signal
    row: Signal
    opens: Signal
    closes: Signal
    ready: Signal
    reading: Signal
    taken: Signal
    taken_entries: Signal
    starts: Signal
    mute: Signal
    completed: Signal
    refused: Signal
    discarded: Signal
    data_refused: Signal
    idle: Signal

    def __init__(self, *, addr_width: int = 64, data_width: int = 64):
        if addr_width not in range(32, 65):
            raise ValueError(f"Address width must be 32 to 64, not {addr_width!r}")
        self.rows = EntryRows(data_width)
        self.addr_width = addr_width
        super().__init__(
            {
                "config": In(RingConfig()),
                "status": Out(RingStatus()),
                "fetch": Out(stream.Signature(FetchRequest(addr_width))),
                "beat_valid": In(1),
                "beat_data": In(data_width),
                "beat_error": In(1),
                "slot": Out(range(PREFETCH_ENTRIES)),
                "row": Out(self.rows.row_bits),
                "opens": Out(1),
                "closes": Out(1),
                "ready": Out(1),
                "reading": In(1),
                "taken": In(1),
                "taken_entries": In(range(PREFETCH_ENTRIES)),
                "starts": Out(1),
                "mute": Out(1),
                "completed": In(1),
                "refused": In(1),
                "discarded": In(1),
                "data_refused": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        """Doorbell, fetch, arrival, frames, and the life of the ring around them."""
        m = Module()
        config, status, fetch = self.config, self.status, self.fetch
        index_mask = Signal(INDEX_BITS)
        draining = Signal()
        running = Signal()
        m.d.sync += index_mask.eq((1 << ring_size_log2(config.size_log2)) - 1)
        m.d.comb += running.eq(status.active & ~status.stopped & ~draining)

        # Doorbell: forward by 1 to the size, and no further from the consumer. Less one, these are
        # numbers below the size, without any bit above the index. Whether they are is known a cycle
        # late: the producer index that is too far is there by then, but nothing is fetched for it.
        producer = Signal(INDEX_BITS)
        ahead = Signal(INDEX_BITS)
        unconsumed = Signal(INDEX_BITS)
        rings = Signal()
        rung = Signal()
        overrun = Signal()
        m.d.comb += [
            rings.eq(running & config.producer_modify & (config.producer != producer)),
            overrun.eq(rung & ((ahead | unconsumed) & ~index_mask).any()),
        ]
        m.d.sync += [
            ahead.eq(config.producer + ~producer),
            unconsumed.eq(config.producer + ~status.consumer),
            rung.eq(rings),
        ]
        with m.If(rings):
            m.d.sync += producer.eq(config.producer)

        # Fetch up to the producer or the end of the block, into room that is reserved at once.
        fetched = Signal(INDEX_BITS)
        index = Signal(_MOST_INDEX_BITS)
        pending = Signal(INDEX_BITS)
        block_left = Signal(range(BLOCK_ENTRIES + 1))
        reserved = Signal(range(PREFETCH_ENTRIES + 1))
        m.d.comb += [
            index.eq(fetched & index_mask),
            pending.eq(producer - fetched),
            block_left.eq(BLOCK_ENTRIES - fetched % BLOCK_ENTRIES),
            reserved.eq(fetched - status.consumer),
        ]
        with m.If(fetch.valid & fetch.ready):
            m.d.sync += [fetch.valid.eq(0), fetched.eq(fetched + fetch.payload.entries)]
        with m.Elif(~fetch.valid):
            m.d.sync += [
                fetch.valid.eq(
                    running
                    & ~overrun
                    & pending.any()
                    & (reserved <= PREFETCH_ENTRIES - BLOCK_ENTRIES)
                ),
                fetch.payload.entries.eq(Mux(pending < block_left, pending, block_left)),
                fetch.payload.address.eq(
                    config.descriptor_base * PAGE_BYTES + index * _ENTRY_BYTES
                ),
            ]

        # Arrival: count rows and entries, and find where frames begin and end.
        lengths_row, fragments = self.rows.place("transmit_descriptor", "fragments")
        received = Signal(range(2 * PREFETCH_ENTRIES))
        descriptor = Signal(init=1)
        further = Signal(further_entries(self.beat_data[fragments]).shape())
        failed = Signal()
        dropping = Signal()  # Frames that have not been handed on.
        ends_entry = Signal()
        closed = Signal()
        m.d.comb += [
            self.slot.eq(received),
            ends_entry.eq(self.row == self.rows.count - 1),
            self.opens.eq(descriptor & (self.row == 0) & ~failed & ~dropping),
            self.closes.eq(ends_entry & (further == 0) & ~failed),
            closed.eq(self.closes & self.beat_valid & ~self.beat_error),
        ]
        with m.If(self.beat_valid):
            m.d.sync += [
                self.row.eq(self.row + 1),
                received.eq(received + ends_entry),
                failed.eq(failed | self.beat_error),
            ]
            with m.If(descriptor & (self.row == lengths_row)):
                m.d.sync += further.eq(further_entries(self.beat_data[fragments]))
            with m.If(ends_entry):
                m.d.sync += descriptor.eq(further == 0)
                with m.If(further != 0):
                    m.d.sync += further.eq(further - 1)

        # Frames that are whole, and frames handed on whose completion is still to come.
        frames = Signal(range(PREFETCH_ENTRIES + 1))
        in_flight = Signal(range(2 * PREFETCH_ENTRIES))
        retired = Signal()
        m.d.comb += retired.eq(self.completed | self.refused | self.discarded)
        m.d.sync += [
            frames.eq(frames + closed - self.taken),
            in_flight.eq(in_flight + self.taken - retired),
            status.completion.eq(self.completed),
        ]
        drop = Signal()
        m.d.comb += drop.eq(self.refused | self.data_refused | config.reset)
        with m.If(drop):
            m.d.sync += [self.ready.eq(0), dropping.eq(1)]
        with m.Elif(closed):
            m.d.sync += self.ready.eq(~dropping)
        with m.Elif(self.taken):
            m.d.sync += self.ready.eq((frames != 1) & ~dropping)
        with m.If(self.taken):
            m.d.sync += status.consumer.eq(status.consumer + self.taken_entries)

        # Stop, for the first reason there is.
        stop_reason = Signal(_STOP_REASON)
        m.d.sync += status.stop.eq(0)
        with m.If(self.refused):
            m.d.sync += self.mute.eq(1)
            m.d.comb += stop_reason.eq(_STOP_REASON.COMPLETION_REFUSED)
        with m.Elif(self.data_refused):
            m.d.comb += stop_reason.eq(_STOP_REASON.DATA_REFUSED)
        with m.Elif(self.beat_valid & self.beat_error):
            m.d.comb += stop_reason.eq(_STOP_REASON.DESCRIPTOR_REFUSED)
        with m.Elif(overrun):
            m.d.comb += stop_reason.eq(_STOP_REASON.DOORBELL_RANGE)
        with m.If(~status.stopped & (stop_reason != _STOP_REASON.NONE)):
            m.d.sync += [status.stopped.eq(1), status.reason.eq(stop_reason), status.stop.eq(1)]

        # Drain when disabled or reset; start afresh when enabled.
        m.d.comb += [
            self.idle.eq(
                ~fetch.valid
                & (received == fetched[: len(received)])
                & ((frames == 0) | dropping)
                & (in_flight == 0)
                & ~self.reading
            ),
            self.starts.eq(~status.active & config.enable & ~config.reset),
            status.reset_done.eq(~status.active & config.reset),
        ]
        with m.If(status.active & (~config.enable | config.reset)):
            m.d.sync += draining.eq(1)
        with m.If(draining & self.idle):
            m.d.sync += [status.active.eq(0), draining.eq(0)]
        with m.If(self.starts):
            books = (producer, fetched, received, further, failed, frames, self.ready)
            m.d.sync += [
                status.active.eq(1),
                Cat(*books, dropping, self.mute).eq(0),
                descriptor.eq(1),
            ]
        with m.If(self.starts | status.reset_done):
            m.d.sync += Cat(status.stopped, status.reason, status.consumer).eq(0)
        with m.If(config.reset):
            m.d.sync += self.mute.eq(1)
        return m
