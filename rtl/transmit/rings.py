"""All transmit rings together: from doorbells to frames that are started, and back to completions.

`TransmitRings` fetches the entries of every ring over one AXI4 read port into one prefetch store,
of which each ring has its own part, lets the rings take turns frame by frame, checks each frame,
and writes a completion for each over one AXI4 write port. It guarantees:

- Every read and write carries, as AxUSER, the number of the ring it is made for.
- RREADY and BREADY are always 1: room for what comes is reserved before it is asked for.
- A ring that stops, stalls or misbehaves delays no other ring, but for the frame of it that has
  been started.

    doorbell -> TransmitRing -> AR     R -> prefetch store -> Scheduler -> FrameParser -> fragments,
                                                                               |          frames
    interrupt <- B      AW, W <- CompletionWriter <- contexts -----------------+
                                        ^- ends

Clock domain: sync. Latency with a data width of 64, all else idle: 2 cycles from the doorbell to
ARVALID; 4 cycles from the last beat of a frame's entries on R to its first fragment.
Throughput: a frame of one entry every 6 cycles; a burst of entries each cycle, for each ring every
second cycle.

Source: patent FIG. 7, steps 750 to 770, on the side of the adapter; the modules that it is made of.
"""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from byway.rtl.bus.axi4 import AXI4ReadSignature, AXI4WriteSignature, Burst
from byway.rtl.contract.model import MAXIMUM_RINGS
from byway.rtl.transmit.completion import CompletionWriter
from byway.rtl.transmit.frame import Fragment, FrameCommand, FrameEnd
from byway.rtl.transmit.parser import FrameParser
from byway.rtl.transmit.ring import EntryRows, RingConfig, RingStatus, TransmitRing
from byway.rtl.transmit.round_robin import RoundRobin
from byway.rtl.transmit.scheduler import Scheduler

__all__ = ["TransmitRings", "check_rings"]


def check_rings(rings: int) -> None:
    """Raise `ValueError` unless an adapter can have so many rings."""
    if rings not in range(1, MAXIMUM_RINGS + 1):
        raise ValueError(f"Rings must be 1 to {MAXIMUM_RINGS}, not {rings!r}")


class TransmitRings(wiring.Component):
    """The rings of an adapter; the laws stand at the head of this file.

    Parameters
    ----------
    rings : int
        How many: 1 to 32.
    addr_width : int
        Bits of an I/O bus address, 32 to 64.
    data_width : int
        Bits of a beat: 64 or 128.
    first_read_id : int
        ARID with which ring 0 reads its entries; ring 1 has the next, and so on.
    read_id_width, write_id_width : int
        Bits of ARID, enough for the last ring; and of AWID, which is the number of the ring.
    frames_ahead : int
        Frames started ahead of those that are finished, at most; a power of two from 4.
    completions : int
        Completion writes under way at most.

    Members
    -------
    config : In(RingConfig()), for each ring
    status : Out(RingStatus()), for each ring
    m_axi_read : Out(AXI4ReadSignature(...))
    m_axi_write : Out(AXI4WriteSignature(...))
    frames : Out(stream.Signature(FrameCommand()))
        Frames that have been started.
    fragments : Out(stream.Signature(Fragment()))
        What to fetch for them.
    ends : In(stream.Signature(FrameEnd()))
        What became of them, in order.
    dropped : Out(1)
        High for one cycle for each completion with a status other than success.
    busy : Out(1)
        A frame has been started and has not ended.
    idle : Out(1)
        All rings are idle. A cycle late.

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    config: Any
    status: Any
    m_axi_read: Any
    m_axi_write: Any
    frames: stream.Interface
    fragments: stream.Interface
    ends: stream.Interface
    dropped: Signal
    busy: Signal
    idle: Signal

    def __init__(
        self,
        *,
        rings: int = 4,
        addr_width: int = 64,
        data_width: int = 64,
        first_read_id: int = 16,
        read_id_width: int = 6,
        write_id_width: int = 5,
        frames_ahead: int = 16,
        completions: int = 8,
    ):
        check_rings(rings)
        if first_read_id < 0 or first_read_id + rings > 1 << read_id_width:
            raise ValueError(
                f"Read IDs must be 0 to {(1 << read_id_width) - 1}, "
                f"not {first_read_id} to {first_read_id + rings - 1}"
            )
        self.rings = rings
        self.addr_width = addr_width
        self.data_width = data_width
        self.first_read_id = first_read_id
        self.frames_ahead = frames_ahead
        self.completions = completions
        self.entry_rows = EntryRows(data_width)
        widths = {"addr_width": addr_width, "data_width": data_width, "user_width": 8}
        super().__init__(
            {
                "config": In(RingConfig()).array(rings),
                "status": Out(RingStatus()).array(rings),
                "m_axi_read": Out(AXI4ReadSignature(**widths, id_width=read_id_width)),
                "m_axi_write": Out(AXI4WriteSignature(**widths, id_width=write_id_width)),
                "frames": Out(stream.Signature(FrameCommand())),
                "fragments": Out(stream.Signature(Fragment())),
                "ends": In(stream.Signature(FrameEnd())),
                "dropped": Out(1),
                "busy": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        """Rings around a bus, a store, a scheduler, a parser and a writer."""
        m = Module()
        rings = [
            TransmitRing(addr_width=self.addr_width, data_width=self.data_width)
            for _ in range(self.rings)
        ]
        for number, ring in enumerate(rings):
            m.submodules[f"ring_{number}"] = ring
            wiring.connect(m, wiring.flipped(self.config[number]), ring.config)
            wiring.connect(m, ring.status, wiring.flipped(self.status[number]))
        m.submodules.scheduler = scheduler = Scheduler(rings=self.rings, data_width=self.data_width)
        m.submodules.parser = parser = FrameParser(
            rings=self.rings, data_width=self.data_width, frames_ahead=self.frames_ahead
        )
        m.submodules.writer = writer = CompletionWriter(
            rings=self.rings,
            addr_width=self.addr_width,
            data_width=self.data_width,
            id_width=len(self.m_axi_write.awid),
            outstanding=self.completions,
        )
        self._request(m, rings)
        self._receive(m, rings, scheduler)

        # Frames go from the rings through the scheduler to the parser, and out.
        wiring.connect(m, scheduler.rows, parser.rows)
        wiring.connect(m, parser.fragments, wiring.flipped(self.fragments))
        wiring.connect(m, parser.frames, wiring.flipped(self.frames))
        m.d.comb += scheduler.room.eq(parser.room)
        for number, ring in enumerate(rings):
            m.d.comb += [
                scheduler.ready[number].eq(ring.ready),
                scheduler.consumers[number].eq(ring.status.consumer),
                scheduler.offloads[number].eq(self.config[number].offloads),
                ring.reading.eq(scheduler.reading[number]),
                ring.taken.eq(scheduler.taken[number]),
                ring.taken_entries.eq(scheduler.taken_entries),
            ]

        # What becomes of them goes through the writer to memory, and back to the rings.
        wiring.connect(m, parser.contexts, writer.contexts)
        wiring.connect(m, wiring.flipped(self.ends), writer.ends)
        wiring.connect(m, writer.m_axi, wiring.flipped(self.m_axi_write))
        for number, ring in enumerate(rings):
            wiring.connect(m, wiring.flipped(self.config[number]), writer.configs[number])
            m.d.comb += [
                writer.starts[number].eq(ring.starts),
                writer.mute[number].eq(ring.mute),
                ring.completed.eq(writer.completed[number]),
                ring.refused.eq(writer.refused[number]),
                ring.discarded.eq(writer.discarded[number]),
                ring.data_refused.eq(writer.data_refused[number]),
            ]
        m.d.comb += self.dropped.eq(writer.dropped)

        # Frames started and not ended: no more than there are contexts for.
        unended = Signal(range(2 * self.frames_ahead))
        ended = self.ends.valid & self.ends.ready
        m.d.sync += unended.eq(unended + parser.started - ended)
        m.d.comb += self.busy.eq(unended.any())
        m.d.sync += self.idle.eq(Cat(ring.idle for ring in rings).all())
        return m

    def _request(self, m: Module, rings: list[TransmitRing]) -> None:
        """AR: one request at a time, the rings in turn."""
        axi = self.m_axi_read
        m.submodules.turns = turns = RoundRobin(count=self.rings)
        is_free = Signal()
        request = Array(ring.fetch.payload for ring in rings)[turns.index]
        m.d.comb += [
            is_free.eq(~axi.arvalid | axi.arready),
            turns.requests.eq(Cat(ring.fetch.valid for ring in rings)),
            turns.served.eq(is_free),
            Cat(ring.fetch.ready for ring in rings).eq(Mux(is_free, turns.grant, 0)),
            axi.arsize.eq(exact_log2(self.data_width // 8)),
            axi.arburst.eq(Burst.INCR),
        ]
        with m.If(is_free):
            m.d.sync += [
                axi.arvalid.eq(turns.grant.any()),
                axi.arid.eq(turns.index + self.first_read_id),
                axi.araddr.eq(request.address),
                axi.arlen.eq(request.entries * self.entry_rows.count - 1),
                axi.aruser.eq(turns.index),
            ]

    def _receive(self, m: Module, rings: list[TransmitRing], scheduler: Scheduler) -> None:
        """R: into the store, to the books of the ring, and past the scheduler."""
        axi = self.m_axi_read
        beat = scheduler.beat

        # A beat is registered as it comes, so that what the memory side decides late and what the
        # rings make of it are in two cycles.
        arrives_at = Signal(self.rings)
        m.d.comb += axi.rready.eq(1)
        m.d.sync += [
            beat.valid.eq(axi.rvalid),
            beat.ring.eq(axi.rid - self.first_read_id),
            beat.data.eq(axi.rdata),
            beat.error.eq(axi.rresp[1]),
        ]
        m.d.comb += [
            beat.row.eq(Array(ring.row for ring in rings)[beat.ring]),
            beat.opens.eq(Array(ring.opens for ring in rings)[beat.ring]),
            beat.closes.eq(Array(ring.closes for ring in rings)[beat.ring]),
        ]
        for number, ring in enumerate(rings):
            is_own = axi.rvalid & (axi.rid == self.first_read_id + number)
            m.d.sync += arrives_at[number].eq(is_own)
            m.d.comb += [
                ring.beat_valid.eq(arrives_at[number]),
                ring.beat_data.eq(beat.data),
                ring.beat_error.eq(beat.error),
            ]

        # A row is written before it is read, and read before its room is free again: the two ports
        # never meet.
        m.submodules.store = store = Memory(
            shape=self.data_width, depth=scheduler.store_rows, init=[]
        )
        write = store.write_port()
        read = store.read_port()
        m.d.comb += [
            write.en.eq(beat.valid),
            write.addr.eq(Cat(beat.row, Array(ring.slot for ring in rings)[beat.ring], beat.ring)),
            write.data.eq(beat.data),
            read.addr.eq(scheduler.store_address),
            scheduler.store_data.eq(read.data),
        ]
