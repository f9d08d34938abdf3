"""The frame buffer: frames wait here until they are whole, and leave with their checksums.

Store and forward, over a ring in block RAM. The words of a packet go into the ring as they come;
its last beat then either hands them over to the reading side, or, if any of its beats was spoilt,
gives their room back. The packet leaves once its insertion is there too: the checksums replace
halfwords on the way from the ring to the exit, so that no word is written twice. What became of
each frame is told at ``ends``, in order.

A frame is one packet, or all segments of a super-frame. From its first spoilt packet on, its
packets are discarded, spoilt or not. Only its insertion tells whether a packet is the last of its
frame; behind a discarded packet the entry therefore waits for that.

A packet that does not fit, although all others have left, is discarded as if its memory had
answered SLVERR: the buffer never stops for good. One of up to ``depth_bytes`` less three words
always fits.

Clock domain: ``sync``. Throughput: a beat a cycle, in and out, without a bubble between packets;
once a packet has begun to leave, valid stays. Latency: a packet is offered 2 cycles after its
insertion came, at the earliest 4 cycles after its last beat, if none is before it.
"""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from byway.rtl.bus.axi4 import Resp
from byway.rtl.bus.packet import BeatLayout
from byway.rtl.bus.skid_buffer import SkidBuffer
from byway.rtl.transmit.checksum import InsertionLayout, InsertionSignature
from byway.rtl.transmit.frame import FrameEnd

__all__ = ["FrameBuffer"]


class _WordLayout(data.StructLayout):
    """A word of the ring: a beat that is not spoilt."""

    def __init__(self, data_width: int):
        beat = BeatLayout(data_width).members
        super().__init__({name: beat[name] for name in ("data", "count", "last")})


class _Queue(wiring.Component):
    """A queue with its exit in flip-flops, 1 cycle behind. Who fills it knows that it has room.

    Parameters
    ----------
    shape : ShapeLike
        Shape of the payload.
    depth : int
        Payloads it holds behind the one at the exit.

    Members
    -------
    payload : In(shape)
        Payload to put in.
    put : In(1)
        Put it in.
    o : Out(stream.Signature(shape))
        Exit.
    """

    payload: Any
    put: Signal
    o: stream.Interface

    def __init__(self, shape: ShapeLike, *, depth: int):
        self.depth = depth
        super().__init__({"payload": In(shape), "put": In(1), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        """An empty queue is passed by."""
        m = Module()
        payload = Value.cast(self.payload)
        m.submodules.queue = queue = SyncFIFO(width=len(payload), depth=self.depth)
        free = ~self.o.valid | self.o.ready
        m.d.comb += [
            queue.w_data.eq(payload),
            queue.w_en.eq(self.put & ~(free & ~queue.r_rdy)),
            queue.r_en.eq(free),
        ]
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(queue.r_rdy | self.put),
                Value.cast(self.o.payload).eq(Mux(queue.r_rdy, queue.r_data, payload)),
            ]
        return m


class FrameBuffer(wiring.Component):
    """Stores packets, discards those of spoilt frames, inserts checksums.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 16 or more, 8 times a power of two.
    depth_bytes : int
        Size of the ring: a power of two, at least 8 beats.
    depth_packets : int
        Whole packets that can wait, and frame ends that can: a power of two, at least 2.

    Members
    -------
    packet : In(stream.Signature(BeatLayout(data_width)))
        Packets.
    insertions : In(InsertionSignature())
        What belongs into each, once its last beat was taken.
    frame : Out(stream.Signature(BeatLayout(data_width)))
        The packets for the wire, from flip-flops; ``error`` is always OKAY.
    ends : Out(stream.Signature(FrameEnd()))
        What became of each frame, from flip-flops.
    committed : Out(1)
        A packet was committed for the wire.
    """

    packet: stream.Interface
    insertions: Any
    frame: stream.Interface
    ends: stream.Interface
    committed: Signal

    def __init__(self, *, data_width: int = 64, depth_bytes: int = 16384, depth_packets: int = 16):
        beat = BeatLayout(data_width)
        if data_width < 16:
            raise ValueError(f"Data width must be at least 16, not {data_width!r}")
        if depth_bytes < 8 * beat.lanes or depth_bytes & (depth_bytes - 1):
            raise ValueError(
                f"Depth in bytes must be a power of two, at least 8 beats, not {depth_bytes!r}"
            )
        if depth_packets < 2 or depth_packets & (depth_packets - 1):
            raise ValueError(
                f"Depth in packets must be a power of two, at least 2, not {depth_packets!r}"
            )
        self.data_width = data_width
        self.words = depth_bytes // beat.lanes
        self.depth_packets = depth_packets
        super().__init__(
            {
                "packet": In(stream.Signature(beat)),
                "insertions": In(InsertionSignature()),
                "frame": Out(stream.Signature(beat)),
                "ends": Out(stream.Signature(FrameEnd())),
                "committed": Out(1),
            }
        )

    def elaborate(self, platform):
        """Entry, insertions and ends, exit."""
        m = Module()
        beat = self.packet.payload
        insertion = self.insertions.payload

        # The ring. Pointers have one bit more than addresses, to tell full from empty: words
        # from `read_pointer` on are whole packets, from `commit_pointer` on they are not.
        m.submodules.ring = ring = Memory(
            shape=_WordLayout(self.data_width), depth=self.words, init=[]
        )
        write = ring.write_port()
        read = ring.read_port()
        write_pointer = Signal(exact_log2(self.words) + 1)
        commit_pointer = Signal.like(write_pointer)
        read_pointer = Signal.like(write_pointer)

        # Room is known a cycle late, so that the last word of the ring stays for the beat between.
        room = Signal()
        m.d.sync += room.eq((write_pointer - read_pointer)[: len(read_pointer)] < self.words - 1)

        # Whole packets that have not left; ends that are not taken, or may come of a packet.
        held = Signal(range(self.depth_packets + 1))
        owed = Signal(range(self.depth_packets + 1))

        # The entry. `error` is that of the frame; `settling` waits for the insertion of a
        # discarded packet.
        error = Signal(2)
        settling = Signal()
        taken = Signal()
        spoilt = Signal()
        ended = Signal()
        m.d.comb += [
            self.packet.ready.eq(room & ~held[-1] & ~owed[-1] & ~settling),
            taken.eq(self.packet.valid & self.packet.ready),
            spoilt.eq((error != Resp.OKAY) | (beat.error != Resp.OKAY)),
            ended.eq(taken & beat.last),
            write.addr.eq(write_pointer),
            write.data.data.eq(beat.data),
            write.data.count.eq(beat.count),
            write.data.last.eq(beat.last),
            write.en.eq(taken),
        ]
        with m.If(taken & spoilt):
            m.d.sync += [write_pointer.eq(commit_pointer), settling.eq(beat.last)]
            with m.If(error == Resp.OKAY):
                m.d.sync += error.eq(beat.error)
        with m.Elif(taken):
            m.d.sync += write_pointer.eq(write_pointer + 1)
            with m.If(beat.last):
                m.d.sync += commit_pointer.eq(write_pointer + 1)

        # A packet that alone fills the ring can never be whole.
        with m.If(~room & (read_pointer == commit_pointer) & (write_pointer != commit_pointer)):
            m.d.sync += [write_pointer.eq(commit_pointer), error.eq(Resp.SLVERR)]

        # Insertions come in the order of the packets: that of a discarded one is the last
        # outstanding, as nothing was taken behind it.
        outstanding = Signal(range(self.depth_packets + 1))
        settled = Signal()
        m.d.comb += settled.eq(self.insertions.valid & settling & (outstanding == 1))
        m.d.sync += outstanding.eq(outstanding + ended - self.insertions.valid)
        commit = Signal()
        m.d.comb += commit.eq(self.insertions.valid & ~settled)
        m.d.sync += self.committed.eq(commit)
        with m.If(settled):
            m.d.sync += settling.eq(0)
            with m.If(insertion.last):
                m.d.sync += error.eq(Resp.OKAY)

        # Ends. An end enters its queue a cycle after the insertion it comes of.
        m.submodules.ends_queue = ends_queue = _Queue(FrameEnd(), depth=self.depth_packets)
        wiring.connect(m, ends_queue.o, wiring.flipped(self.ends))
        segments = Signal(16)
        m.d.sync += ends_queue.put.eq(self.insertions.valid & insertion.last)
        with m.If(self.insertions.valid):
            m.d.sync += [
                ends_queue.payload.segments.eq(segments + commit),
                ends_queue.payload.error.eq(Mux(settled, error, Resp.OKAY)),
                segments.eq(Mux(insertion.last, 0, segments + commit)),
            ]
        m.d.sync += owed.eq(
            owed
            + ended
            - (self.insertions.valid & ~insertion.last)
            - (self.ends.valid & self.ends.ready)
        )

        # The exit: the ring's own register, a register behind it, and a skid buffer, which a word
        # enters only when the insertion of its packet is there.
        m.submodules.way_out = way_out = SkidBuffer(shape=self.frame.payload.shape())
        wiring.connect(m, way_out.o, wiring.flipped(self.frame))
        m.submodules.queue = queue = _Queue(InsertionLayout(), depth=self.depth_packets)
        inserted = queue.o.payload
        fetched = Signal()
        word = Signal(_WordLayout(self.data_width))
        word_valid = Signal()
        leave = Signal()
        finish = Signal()
        pass_word = Signal()
        pass_ring = Signal()
        available = Signal()
        m.d.comb += [
            leave.eq(word_valid & queue.o.valid & way_out.i.ready),
            finish.eq(leave & word.last),
            queue.payload.eq(insertion),
            queue.put.eq(commit),
            queue.o.ready.eq(finish),
            pass_word.eq(~word_valid | leave),
            pass_ring.eq(~fetched | pass_word),
            available.eq(read_pointer != commit_pointer),
            read.addr.eq(read_pointer),
            read.en.eq(available & pass_ring),
        ]
        with m.If(read.en):
            m.d.sync += read_pointer.eq(read_pointer + 1)
        with m.If(pass_ring):
            m.d.sync += fetched.eq(available)
        with m.If(pass_word):
            m.d.sync += [word_valid.eq(fetched), word.eq(read.data)]
        m.d.sync += held.eq(held + (ended & ~spoilt) - finish)

        # The number of the word stays at its maximum, which lies past every field.
        lane_bits = exact_log2(self.data_width // 16)
        number = Signal(len(inserted.ipv4.halfword) - lane_bits)
        with m.If(finish):
            m.d.sync += number.eq(0)
        with m.Elif(leave & ~number.all()):
            m.d.sync += number.eq(number + 1)
        halfwords = []
        for lane in range(self.data_width // 16):
            halfword = word.data.word_select(lane, 16)
            for field in (inserted.ipv4, inserted.l4, inserted.generic):
                hit = field.enable & (field.halfword == Cat(C(lane, lane_bits), number))
                halfword = Mux(hit, field.value, halfword)
            halfwords.append(halfword)
        m.d.comb += [
            way_out.i.valid.eq(word_valid & queue.o.valid),
            way_out.i.payload.data.eq(Cat(halfwords)),
            way_out.i.payload.count.eq(word.count),
            way_out.i.payload.last.eq(word.last),
        ]
        return m
