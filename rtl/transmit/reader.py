"""DMA reader: fragments of memory become a stream of pieces (patent FIG. 7: the data of a send).

`DmaReader` fetches each `Fragment`, at any address and of any length, and delivers its bytes as
`PieceLayout` in order, whatever the order of the answers. It guarantees:

- Bursts are INCR, of whole beats, at most ``burst_bytes`` long, and stay inside a block of
  ``burst_bytes``, so that none crosses 4 KiB [AMBA AXI4, IHI 0022, A3.4.1].
- A burst is asked for only when a slot of the reorder buffer is free to hold all of it. The slot's
  number is the AXI ID; so no two bursts in flight share an ID, answers may come in any order and
  interleaved [A5.3], and RREADY is always 1.
- The announced length is delivered. A beat that failed carries its response as ``error``; EXOKAY
  counts as OKAY.
- While a requester is dropped no burst is asked for in its name, from 2 cycles on and but for one
  that is shown already. Each comes as a single piece that was refused, whatever its length: its
  packet is the shorter.

Clock domain: sync. Latency: 2 cycles from a fragment taken to ARVALID, 3 from a beat on R to its
piece. Throughput: a piece each cycle, across bursts and fragments; a burst each cycle, and one
cycle besides for each fragment; 3 cycles for a burst that is dropped.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from byway.rtl.bus.axi4 import PAGE_BYTES, AXI4ReadSignature, Burst, Resp, check_widths
from byway.rtl.bus.packet import PieceLayout
from byway.rtl.transmit.frame import Fragment

__all__ = ["BurstLayout", "BurstSplitter", "DmaReader"]


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _check_bursts(addr_width: int, data_width: int, burst_bytes: int) -> None:
    check_widths(addr_width, data_width)
    beat_bytes = data_width // 8
    most = min(256 * beat_bytes, PAGE_BYTES)
    if burst_bytes not in range(2 * beat_bytes, most + 1) or not _is_power_of_two(burst_bytes):
        raise ValueError(
            f"Burst bytes must be a power of two from {2 * beat_bytes} to {most}, "
            f"not {burst_bytes!r}"
        )


class BurstLayout(data.StructLayout):
    """A burst to ask for, and which of its bytes are wanted.

    Parameters
    ----------
    addr_width, data_width : int
        Widths in bits of addresses and of the bus.
    burst_bytes : int
        The most that a burst holds.

    Members
    -------
    address : unsigned(addr_width)
        Of the first beat, aligned to it.
    length : unsigned
        Beats less one, as ARLEN.
    requester : unsigned(8)
        As in `Fragment`.
    first_lane, last_lane : unsigned
        Where the wanted bytes begin in the first beat, and end in the last.
    last : unsigned(1)
        The packet ends with this burst.
    dropped : unsigned(1)
        It is not to be asked for, and stands for a beat alone.
    """

    def __init__(self, *, addr_width: int, data_width: int, burst_bytes: int):
        lane_bits = exact_log2(data_width // 8)
        super().__init__(
            {
                "address": unsigned(addr_width),
                "length": unsigned(exact_log2(burst_bytes) - lane_bits),
                "requester": unsigned(8),
                "first_lane": unsigned(lane_bits),
                "last_lane": unsigned(lane_bits),
                "last": unsigned(1),
                "dropped": unsigned(1),
            }
        )


class BurstSplitter(wiring.Component):
    """Cuts fragments into bursts at multiples of ``burst_bytes``.

    Latency 2 cycles; a burst each cycle, and one cycle besides for each fragment.

    Parameters
    ----------
    addr_width, data_width, burst_bytes, requesters : int
        As in `DmaReader`.

    Members
    -------
    fragments : In(stream.Signature(Fragment()))
    drop : In(requesters)
        As in `DmaReader`.
    bursts : Out(stream.Signature(BurstLayout(...)))

    Raises
    ------
    ValueError
        If a parameter is not as in `DmaReader`.
    """

    fragments: stream.Interface
    drop: Signal
    bursts: stream.Interface

    def __init__(self, *, addr_width: int, data_width: int, burst_bytes: int, requesters: int = 1):
        _check_bursts(addr_width, data_width, burst_bytes)
        self._block_bits = exact_log2(burst_bytes)
        self._lane_bits = exact_log2(data_width // 8)
        layout = BurstLayout(addr_width=addr_width, data_width=data_width, burst_bytes=burst_bytes)
        super().__init__(
            {
                "fragments": In(stream.Signature(Fragment())),
                "drop": In(requesters),
                "bursts": Out(stream.Signature(layout)),
            }
        )

    def elaborate(self, platform):
        """Two register stages: what is left of a fragment, and the burst cut off it."""
        m = Module()
        taken = self.fragments.payload
        burst = self.bursts.payload
        block_bits = self._block_bits
        lane_bits = self._lane_bits

        # What is left of the fragment: from `offset` in the block `block` on, to `last_offset` in
        # the block `more_blocks` further on.
        busy = Signal()
        block = Signal(len(burst.address) - block_bits)
        offset = Signal(block_bits)
        more_blocks = Signal(len(taken.length) + 1 - block_bits)
        last_offset = Signal(block_bits)
        requester = Signal.like(taken.requester)
        last = Signal()

        # Take a fragment when the one before is cut up.
        m.d.comb += self.fragments.ready.eq(~busy)
        with m.If(~busy):
            m.d.sync += [
                busy.eq(self.fragments.valid),
                block.eq(taken.address[block_bits:]),
                offset.eq(taken.address[:block_bits]),
                Cat(last_offset, more_blocks).eq(taken.address[:block_bits] + taken.length - 1),
                requester.eq(taken.requester),
                last.eq(taken.last),
            ]

        # Cut off a burst: to the end of the block, or of the fragment.
        final = Signal()
        first_beat = offset[lane_bits:]
        last_beat = Mux(final, last_offset[lane_bits:], ~0)
        m.d.comb += final.eq(more_blocks == 0)
        with m.If(~self.bursts.valid | self.bursts.ready):
            m.d.sync += [
                self.bursts.valid.eq(busy),
                burst.address.eq(Cat(Const(0, lane_bits), first_beat, block)),
                burst.length.eq(last_beat - first_beat),
                burst.requester.eq(requester),
                burst.first_lane.eq(offset[:lane_bits]),
                burst.last_lane.eq(Mux(final, last_offset[:lane_bits], ~0)),
                burst.last.eq(last & final),
                burst.dropped.eq(self.drop.bit_select(requester, 1)),
            ]
            with m.If(busy):
                m.d.sync += [
                    busy.eq(~final),
                    block.eq(block + 1),
                    offset.eq(0),
                    more_blocks.eq(more_blocks - 1),
                ]
        return m


class DmaReader(wiring.Component):
    """Fetches fragments by AXI4 reads and delivers their bytes in order.

    Parameters
    ----------
    addr_width, data_width, user_width : int
        Widths in bits of the AXI bundle. Addresses wrap at ``addr_width``.
    id_width : int or None
        Width of ARID and RID; by default as many bits as the slots need.
    slots : int
        Bursts in flight at most, and the IDs used: 0 to ``slots - 1``. A power of two from 2.
    burst_bytes : int
        The most that a burst asks for: a power of two, at least two beats, at most 256 beats and
        4 KiB. The reorder buffer holds ``slots * burst_bytes``.
    requesters : int
        How many can be dropped, from 0 on.

    Members
    -------
    fragments : In(stream.Signature(Fragment()))
        What to fetch.
    drop : In(requesters)
        Requesters in whose name nothing is to be fetched.
    m_axi : Out(AXI4ReadSignature)
        ARUSER is the fragment's requester.
    pieces : Out(stream.Signature(PieceLayout(data_width)))
        ``last`` is set on the last piece of a fragment that has it set.

    Raises
    ------
    ValueError
        If a parameter is not as described.
    """

    fragments: stream.Interface
    drop: Signal
    m_axi: Any
    pieces: stream.Interface

    def __init__(
        self,
        *,
        addr_width: int = 64,
        data_width: int = 64,
        user_width: int = 8,
        id_width: int | None = None,
        slots: int = 16,
        burst_bytes: int = 256,
        requesters: int = 1,
    ):
        if slots < 2 or not _is_power_of_two(slots):
            raise ValueError(f"Slots must be a power of two from 2, not {slots!r}")
        _check_bursts(addr_width, data_width, burst_bytes)
        if id_width is None:
            id_width = exact_log2(slots)
        if id_width < exact_log2(slots):
            raise ValueError(
                f"ID width must be at least {exact_log2(slots)} bits for {slots} slots, "
                f"not {id_width!r}"
            )
        axi = AXI4ReadSignature(
            addr_width=addr_width, data_width=data_width, id_width=id_width, user_width=user_width
        )
        self.addr_width = addr_width
        self.data_width = data_width
        self.slots = slots
        self.burst_bytes = burst_bytes
        self.requesters = requesters
        super().__init__(
            {
                "fragments": In(stream.Signature(Fragment())),
                "drop": In(requesters),
                "m_axi": Out(axi),
                "pieces": Out(stream.Signature(PieceLayout(data_width))),
            }
        )

    def elaborate(self, platform):
        """Bursts out, beats into the reorder buffer, pieces out of it."""
        m = Module()
        axi = self.m_axi
        beats = self.burst_bytes * 8 // self.data_width

        m.submodules.splitter = splitter = BurstSplitter(
            addr_width=self.addr_width,
            data_width=self.data_width,
            burst_bytes=self.burst_bytes,
            requesters=self.requesters,
        )
        wiring.connect(m, wiring.flipped(self.fragments), splitter.fragments)
        m.d.comb += splitter.drop.eq(self.drop)
        burst = splitter.bursts.payload

        # Slots are given to bursts, and given back, in order.
        newest = Signal(range(self.slots))
        oldest = Signal(range(self.slots))
        following = Signal(range(self.slots), init=1)
        in_use = Signal(range(self.slots + 1))
        issued = Signal()
        freed = Signal()
        given_back = Signal()  # `freed` is known late in the cycle.
        m.d.sync += given_back.eq(freed)
        m.d.sync += in_use.eq(in_use + issued - given_back)
        with m.If(issued):
            m.d.sync += newest.eq(newest + 1)

        # Ask for a burst when there is a slot for it; one that is dropped has its slot without.
        has_slot = in_use != self.slots
        m.d.comb += [
            axi.arvalid.eq(splitter.bursts.valid & has_slot & ~burst.dropped),
            splitter.bursts.ready.eq(has_slot & (axi.arready | burst.dropped)),
            issued.eq(splitter.bursts.valid & splitter.bursts.ready),
            axi.arid.eq(newest),
            axi.araddr.eq(burst.address),
            axi.arlen.eq(burst.length),
            axi.arsize.eq(exact_log2(self.data_width // 8)),
            axi.arburst.eq(Burst.INCR),
            axi.aruser.eq(burst.requester),
        ]

        # Keep for each slot what its beats mean.
        wanted_layout = data.StructLayout(
            {
                name: burst.shape().members[name]
                for name in ("length", "first_lane", "last_lane", "last")
            }
        )
        m.submodules.wanted = wanted = Memory(shape=wanted_layout, depth=self.slots, init=[])
        wanted_write = wanted.write_port()
        wanted_read = wanted.read_port(domain="comb")
        m.d.comb += [
            wanted_write.en.eq(issued),
            wanted_write.addr.eq(newest),
            *(wanted_write.data[name].eq(burst[name]) for name in wanted_layout.members),
            # Of one that is dropped, a beat is all there is.
            wanted_write.data.length.eq(Mux(burst.dropped, 0, burst.length)),
            wanted_write.data.first_lane.eq(Mux(burst.dropped, 0, burst.first_lane)),
            wanted_read.addr.eq(oldest),
        ]

        # Count the beats that have come for each slot. A slot that is not `begun` has none,
        # whatever its counter holds: so slots are cleared by one bit, and by reset. The oldest
        # slot's count stands in a register, since every cycle looks at it.
        m.submodules.counts = counts = Memory(shape=range(beats + 1), depth=self.slots, init=[])
        count_write = counts.write_port()
        coming_read = counts.read_port(domain="comb")
        following_read = counts.read_port(domain="comb")
        begun = Signal(self.slots)
        coming = axi.rid[: len(oldest)]
        come_before = Signal(range(beats + 1))
        come_oldest = Signal(range(beats + 1))
        come_following = Signal(range(beats + 1))
        m.d.comb += [
            coming_read.addr.eq(coming),
            following_read.addr.eq(following),
            come_before.eq(Mux(begun.bit_select(coming, 1), coming_read.data, 0)),
            come_following.eq(Mux(begun.bit_select(following, 1), following_read.data, 0)),
            count_write.en.eq(axi.rvalid),
            count_write.addr.eq(coming),
            count_write.data.eq(come_before + 1),
        ]
        with m.If(axi.rvalid):
            m.d.sync += begun.bit_select(coming, 1).eq(1)
        with m.If(freed):
            m.d.sync += [
                begun.bit_select(oldest, 1).eq(0),
                come_oldest.eq(come_following + (axi.rvalid & (coming == following))),
            ]
        with m.Else():
            m.d.sync += come_oldest.eq(come_oldest + (axi.rvalid & (coming == oldest)))

        # Slots for which nothing comes. That the oldest is one is known a cycle late, and that it
        # is free again a cycle later still: no slot is the oldest again so soon.
        empty = Signal(self.slots)
        oldest_empty = Signal()
        was_freed = Signal()
        freed_slot = Signal.like(oldest)
        m.d.sync += [was_freed.eq(freed), freed_slot.eq(oldest)]
        with m.If(was_freed):
            m.d.sync += empty.bit_select(freed_slot, 1).eq(0)
        with m.If(issued & burst.dropped):
            m.d.sync += empty.bit_select(newest, 1).eq(1)
        m.d.sync += oldest_empty.eq(empty.bit_select(oldest, 1) & ~freed)

        # Put a beat into the reorder buffer, behind those that its slot has.
        word_layout = data.StructLayout({"data": unsigned(self.data_width), "error": unsigned(2)})
        m.submodules.reorder = reorder = Memory(
            shape=word_layout, depth=self.slots * beats, init=[]
        )
        put = reorder.write_port()
        get = reorder.read_port()
        failed = axi.rresp[1]
        m.d.comb += [
            axi.rready.eq(1),
            put.en.eq(axi.rvalid),
            put.addr.eq(Cat(come_before[:-1], coming)),
            put.data.data.eq(axi.rdata),
            put.data.error.eq(Cat(axi.rresp[0] & failed, failed)),
        ]

        # Fetch the next beat of the oldest slot as soon as it has come; free the slot with the
        # last. A row is read after it was written and before its slot is used again.
        beat = Signal(range(beats))
        fetch = Signal()
        fetched = Signal()
        forward = Signal()
        at_last = beat == wanted_read.data.length
        m.d.comb += [
            fetch.eq(((come_oldest != beat) | oldest_empty) & (~fetched | forward)),
            freed.eq(fetch & at_last),
            get.en.eq(fetch),
            get.addr.eq(Cat(beat, oldest)),
        ]
        first_lane = Signal.like(burst.first_lane)
        last_lane = Signal.like(burst.last_lane)
        last = Signal()
        missing = Signal()
        with m.If(fetch):
            m.d.sync += [
                missing.eq(oldest_empty),
                beat.eq(Mux(at_last, 0, beat + 1)),
                oldest.eq(oldest + at_last),
                following.eq(following + at_last),
                first_lane.eq(Mux(beat == 0, wanted_read.data.first_lane, 0)),
                last_lane.eq(Mux(at_last, wanted_read.data.last_lane, ~0)),
                last.eq(at_last & wanted_read.data.last),
            ]

        # Register the block RAM's output as the piece.
        piece = self.pieces.payload
        m.d.comb += forward.eq(~self.pieces.valid | self.pieces.ready)
        with m.If(fetch):
            m.d.sync += fetched.eq(1)
        with m.Elif(forward):
            m.d.sync += fetched.eq(0)
        with m.If(forward):
            m.d.sync += [
                self.pieces.valid.eq(fetched),
                piece.data.eq(get.data.data),
                piece.error.eq(Mux(missing, Resp.DECERR, get.data.error)),
                piece.start.eq(first_lane),
                piece.count.eq(last_lane + 1 - first_lane),
                piece.last.eq(last),
            ]
        return m
