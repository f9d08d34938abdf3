"""Chooses the ring whose frame goes next, and hands its entries to the parser.

`Scheduler` guarantees:

- Rings take turns, frame by frame: a ring with a whole frame in the prefetch store waits for at
  most one frame of each other ring. A ring without a whole frame is passed over, so that a ring
  whose entries do not come, or come in part, delays no other.
- While no ring has a whole frame, the frame that begins to arrive is handed on as it comes from the
  bus. It is broken off when another ring has a whole frame, when yet another frame begins to
  arrive, or when a read fails, and is scheduled later like any other. The parser forgets a frame
  that is broken off when the next begins, and sees the last row of a frame only if all is well.

Clock domain: sync. Latency: 1 cycle from a beat on the bus to its row; 3 cycles from `ready` to the
first row from the store. Throughput with a data width of 64: a frame of one entry every 6 cycles,
also from one ring alone; every further entry takes 5.

Source: `transmit_descriptor` and `scatter_gather_entry` of the contract.
"""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.transmit.ring import (
    INDEX_BITS,
    PREFETCH_ENTRIES,
    EntryRows,
    OffloadGrants,
    further_entries,
)
from byway.rtl.transmit.round_robin import RoundRobin

__all__ = ["BeatSignature", "RowSignature", "Scheduler"]


class BeatSignature(wiring.Signature):
    """A beat of ring entries that comes from the bus.

    Parameters
    ----------
    rings, data_width : int
        As in `Scheduler`.

    Members
    -------
    valid : Out(1)
    ring : Out(range(rings))
    row : Out(row_bits)
        Which row of its entry it is.
    data : Out(data_width)
    error : Out(1)
        Its read failed.
    opens, closes : Out(1)
        It begins a frame; if it is good, it completes one.
    """

    def __init__(self, *, rings: int, data_width: int):
        super().__init__(
            {
                "valid": Out(1),
                "ring": Out(range(rings)),
                "row": Out(EntryRows(data_width).row_bits),
                "data": Out(data_width),
                "error": Out(1),
                "opens": Out(1),
                "closes": Out(1),
            }
        )


class RowSignature(wiring.Signature):
    """A row of an entry of the frame that is handed on; rows come in order and cannot be refused.

    After the last row of a frame at least one cycle passes before the first of the next.

    Parameters
    ----------
    rings, data_width : int
        As in `Scheduler`.

    Members
    -------
    valid : Out(1)
    descriptor : Out(1)
        The row is one of a descriptor. Row 0 of a descriptor begins a frame, and ends, without a
        trace, one that was broken off.
    row : Out(row_bits)
    data : Out(data_width)
    ring : Out(range(rings))
    offloads : Out(OffloadGrants())
        What is granted to the ring.
    consumer : Out(16)
        Entries of the ring consumed before this frame. Valid with the first row.
    """

    def __init__(self, *, rings: int, data_width: int):
        super().__init__(
            {
                "valid": Out(1),
                "descriptor": Out(1),
                "row": Out(EntryRows(data_width).row_bits),
                "data": Out(data_width),
                "ring": Out(range(rings)),
                "offloads": Out(OffloadGrants()),
                "consumer": Out(INDEX_BITS),
            }
        )


class Scheduler(wiring.Component):
    """Hands frames of entries to the parser, ring by ring; its laws stand at the head of this file.

    Parameters
    ----------
    rings : int
        How many rings there are.
    data_width : int
        Bits of a row: 64 or 128.

    Attributes
    ----------
    store_rows : int
        Rows of the prefetch store. The address of a row is its number in its entry, then the number
        of the entry, then that of the ring, from the least bit up.

    Members
    -------
    ready : In(rings)
        Rings with a whole frame in the store.
    consumers, offloads : In(16) and In(OffloadGrants()), for each ring
        Of each ring, the entries consumed, and the offloads granted.
    reading : Out(rings)
        The ring whose frame is being read.
    taken, taken_entries : Out(rings), Out(5)
        High for one cycle: its frame has been handed on; so many entries are consumed.
    beat : In(BeatSignature(...))
        What comes from the bus.
    store_address, store_data : Out(range(store_rows)), In(data_width)
        A row of the prefetch store; what it holds, a cycle later.
    room : In(1)
        The parser can take a whole frame.
    rows : Out(RowSignature(...))
        The frames' entries.
    """

    ready: Signal
    consumers: Any
    offloads: Any
    reading: Signal
    taken: Signal
    taken_entries: Signal
    beat: Any
    store_address: Signal
    store_data: Signal
    room: Signal
    rows: Any

    def __init__(self, *, rings: int = 4, data_width: int = 64):
        self.rings = rings
        self.entry_rows = EntryRows(data_width)
        self.store_rows = rings * PREFETCH_ENTRIES * self.entry_rows.count
        super().__init__(
            {
                "ready": In(rings),
                "consumers": In(INDEX_BITS).array(rings),
                "offloads": In(OffloadGrants()).array(rings),
                "reading": Out(rings),
                "taken": Out(rings),
                "taken_entries": Out(range(PREFETCH_ENTRIES)),
                "beat": In(BeatSignature(rings=rings, data_width=data_width)),
                "store_address": Out(range(self.store_rows)),
                "store_data": In(data_width),
                "room": In(1),
                "rows": Out(RowSignature(rings=rings, data_width=data_width)),
            }
        )

    def elaborate(self, platform):
        """Choose, then read from the store or follow the bus, then account for the entries."""
        m = Module()
        beat, rows = self.beat, self.rows
        last_row = self.entry_rows.count - 1
        m.submodules.turns = turns = RoundRobin(count=self.rings)
        m.d.comb += turns.requests.eq(self.ready)

        # The ring in hand, and how far its frame has been handed on.
        chosen = Signal(range(self.rings))
        chosen_bit = Signal(self.rings)
        entry = Signal(range(PREFETCH_ENTRIES))
        row = Signal(self.entry_rows.row_bits)
        m.d.comb += [
            chosen_bit.eq(1 << chosen),
            rows.ring.eq(chosen),
            rows.offloads.eq(Array(self.offloads)[chosen]),
            rows.consumer.eq(Array(self.consumers)[chosen]),
            self.taken_entries.eq(entry + 1),
        ]

        # How many entries follow the descriptor is known once its lengths have passed.
        lengths_row, fragments = self.entry_rows.place("transmit_descriptor", "fragments")
        further = Signal.like(further_entries(rows.data[fragments]))
        counted = Signal()
        with m.If(rows.valid & rows.descriptor & (rows.row == lengths_row)):
            m.d.sync += [further.eq(further_entries(rows.data[fragments])), counted.eq(1)]

        # A frame that opens on the bus is followed from its first beat.
        opens = beat.valid & beat.opens & ~beat.error
        follow = Signal()
        passes = Signal()
        with m.If(follow):
            m.d.comb += passes.eq(1)
            m.d.sync += [chosen.eq(beat.ring), entry.eq(0), counted.eq(0)]

        look = Signal()
        with m.FSM(name="schedule"):
            with m.State("CHOOSE"):
                m.d.sync += row.eq(0)
                with m.If(self.room & self.ready.any()):
                    m.d.comb += turns.served.eq(1)
                    m.d.sync += [chosen.eq(turns.index), entry.eq(0), counted.eq(0)]
                    m.next = "READ"
                with m.Elif(self.room & opens & ~rows.valid):
                    # Not in the cycle of a last row: the parser wants one more to judge by.
                    m.d.comb += follow.eq(1)
                    m.next = "FOLLOW"
            with m.State("FOLLOW"):
                with m.If(beat.valid & (beat.ring == chosen) & ~beat.opens & ~beat.error):
                    m.d.comb += passes.eq(1)
                    with m.If(beat.closes):
                        m.next = "COUNT"
                    with m.Else():
                        m.d.sync += entry.eq(entry + (beat.row == last_row))
                        with m.If(self.ready.any()):
                            m.next = "CHOOSE"
                with m.Elif(self.ready.any() | (beat.valid & beat.error & (beat.ring == chosen))):
                    m.next = "CHOOSE"
                with m.Elif(opens):
                    m.d.comb += follow.eq(1)
            with m.State("READ"):
                m.d.comb += [look.eq(1), self.reading.eq(chosen_bit)]
                m.d.sync += row.eq(row + 1)
                with m.If(row == last_row):
                    m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += self.reading.eq(chosen_bit)
                with m.If(counted):
                    with m.If(entry == further):
                        m.d.comb += self.taken.eq(chosen_bit)
                        m.next = "CHOOSE"
                    with m.Else():
                        m.d.sync += entry.eq(entry + 1)
                        m.next = "READ"

        # Rows come from the store, whose output is registered before anything looks at it, or
        # straight from the bus; never both, and who looked is known earlier.
        looked = Signal()
        looked_row = Signal.like(row)
        slot = (rows.consumer + entry)[: len(self.taken_entries)]
        m.d.comb += self.store_address.eq(Cat(row, slot, chosen))
        m.d.sync += [
            looked.eq(look),
            looked_row.eq(row),
            rows.valid.eq(looked | passes),
            rows.descriptor.eq(follow | (entry == 0)),
            rows.row.eq(Mux(looked, looked_row, beat.row)),
            rows.data.eq(Mux(looked, self.store_data, beat.data)),
        ]
        return m
