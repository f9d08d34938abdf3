"""Nothing that a buffer holds is lost, doubled or left behind, whatever its surroundings do.

Shown without bound in time, with reset at any moment, of the smallest sizes at which pointers wrap:

- `CommitQueue`: a watched item comes out in its place if it is committed, and never if it is rolled
  back; the level is what is held, and never more than the depth.
- `Packer`: a watched byte comes out in its place, at the end of a packet if it went in at one, its
  error with it; no error marks a beat without a spoilt byte. A piece is refused for two cycles
  at most, and whole packets leave, while the beats are taken.
- `FrameBuffer`: exactly the packets without an error, in a frame that had none before, are
  committed, each with its insertion; no more packets leave, nor ends come, than there are; valid
  does not fall inside a packet. Packets that are dropped take no room from those behind them.
  Of packets of one beat besides: a watched word comes out in its place; an empty buffer has room,
  and while insertions come and the consumers take, no packet is refused for long.

Of the surroundings only what the buffers document is assumed.
"""

import pytest
from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal

from byway.rtl.bus.packer import Packer
from byway.rtl.transmit.commit_queue import CommitQueue
from byway.rtl.transmit.frame_buffer import FrameBuffer
from tests.formal.surroundings import anything


def count(m: Module, name: str, most: int, plus, minus) -> Signal:
    """What has come less what has gone."""
    result = Signal(range(most + 1), name=name)
    m.d.sync += result.eq(result + plus - minus)
    return result


class ItemsStay(Elaboratable):
    """A commit queue, and one item of those pushed into it."""

    depth = 2

    def elaborate(self, platform):
        """Items that stay, items that may yet go, and the watched one with those ahead of it."""
        m = Module()
        m.submodules.dut = dut = CommitQueue(1, depth=self.depth)
        anything(m, dut)
        m.d.comb += Assume(~dut.push | (dut.level < self.depth), "it is pushed only into room")

        most = self.depth + 1  # The output register holds one more.
        stays = Signal(range(most + 1))
        may_go = Signal(range(most + 1))
        taken = Signal()
        m.d.comb += taken.eq(dut.items.valid & dut.items.ready)
        m.d.sync += [
            stays.eq(stays - taken + Mux(dut.commit, may_go, 0)),
            may_go.eq(Mux(dut.commit | dut.rollback, 0, may_go) + dut.push),
        ]
        m.d.comb += [
            Assert(dut.level + dut.items.valid == stays + may_go, "the level is what is held"),
            Assert(dut.level <= self.depth, "and no more than the depth"),
            Assert(dut.items.valid == (stays != 0), "what stays is shown, and nothing else"),
        ]

        watch_now = AnySeq(1)
        watched = Signal()
        committed = Signal()
        ahead = Signal(range(most + 1))
        item = Signal()
        with m.If(~watched):
            m.d.sync += [
                watched.eq(dut.push & watch_now),
                committed.eq(0),
                item.eq(dut.item),
                ahead.eq(stays - taken + Mux(dut.commit | ~dut.rollback, may_go, 0)),
            ]
        with m.Else():
            with m.If(dut.commit):
                m.d.sync += committed.eq(1)
            with m.Elif(dut.rollback & ~committed):
                m.d.sync += watched.eq(0)
            with m.If(dut.items.valid & (ahead == 0)):
                m.d.comb += Assert(committed, "the watched item is shown when it is committed")
                m.d.comb += Assert(dut.items.payload == item, "and is as it was pushed")
                m.d.comb += Cover(taken & (dut.level == self.depth), "and leaves a full queue")
            with m.If(taken):
                m.d.sync += ahead.eq(ahead - 1)
                with m.If(ahead == 0):
                    m.d.sync += watched.eq(0)
        return m


class BytesStay(Elaboratable):
    """A packer, and one byte of those put into it."""

    lanes = 2

    def elaborate(self, platform):
        """Bytes are counted from the packer's exit inwards."""
        m = Module()
        m.submodules.dut = dut = Packer(data_width=8 * self.lanes)
        anything(m, dut)
        piece, beat = dut.pieces.payload, dut.packet.payload
        in_word = (piece.count != 0) & (piece.start + piece.count <= self.lanes)
        m.d.comb += Assume(in_word, "a piece has bytes, all of them in the word")

        # Bytes inside; those up to the end of the last whole packet, and up to the last spoilt one.
        put = Signal()
        taken = Signal()
        left = Signal(range(self.lanes + 1))
        inside = Signal(range(8 * self.lanes))
        whole = Signal.like(inside)
        spoilt = Signal.like(inside)
        remaining = Signal.like(inside)
        m.d.comb += [
            put.eq(dut.pieces.valid & dut.pieces.ready),
            taken.eq(dut.packet.valid & dut.packet.ready),
            left.eq(Mux(taken, beat.count, 0)),
            remaining.eq(inside - left + Mux(put, piece.count, 0)),
        ]
        m.d.sync += [
            inside.eq(remaining),
            whole.eq(Mux(put & piece.last, remaining, Mux(whole > left, whole - left, 0))),
            spoilt.eq(
                Mux(put & piece.error.any(), remaining, Mux(spoilt > left, spoilt - left, 0))
            ),
        ]
        with m.If(dut.packet.valid):
            m.d.comb += [
                Assert((beat.count != 0) & (beat.count <= inside), "a beat has bytes that came"),
                Assert(beat.last | (beat.count == self.lanes), "all lanes but for the last beat's"),
                Assert((spoilt != 0) | ~beat.error.any(), "an error has a spoilt byte"),
            ]

        # It comes to a stop only if its beats are not taken.
        refused = Signal(2)
        waiting = Signal(2)
        m.d.sync += refused.eq(Mux(dut.packet.ready & ~dut.pieces.ready, refused + 1, 0))
        m.d.sync += waiting.eq(
            Mux(dut.packet.ready & ~dut.packet.valid & (whole != 0), waiting + 1, 0)
        )
        m.d.comb += Assert(refused < 3, "a piece is refused for two cycles at most")
        m.d.comb += Assert(waiting < 3, "a whole packet leaves")

        watch_now = AnySeq(1)
        place = AnyConst(range(self.lanes))  # Of the watched byte in its piece.
        watched = Signal()
        ahead = Signal.like(inside)
        byte = Signal(8)
        ends = Signal()
        error = Signal()
        with m.If(~watched):
            m.d.sync += [
                watched.eq(put & watch_now & (place < piece.count)),
                ahead.eq(inside - left + place),
                byte.eq(piece.data.word_select((piece.start + place)[: len(piece.start)], 8)),
                ends.eq(piece.last & (place == piece.count - 1)),
                error.eq(piece.error.any()),
            ]
        with m.Elif(dut.packet.valid & (ahead < beat.count)):
            m.d.comb += [
                Assert(beat.data.word_select(ahead[: len(piece.start)], 8) == byte, "its byte"),
                Assert((beat.last & (beat.count == ahead + 1)) == ends, "and no other end"),
                Assert(beat.error.any() | ~error, "with the error that it came with"),
                Cover(taken & ends & (place == self.lanes - 1) & ~beat.error.any(), "the last one"),
            ]
            with m.If(taken):
                m.d.sync += watched.eq(0)
        with m.Else():
            m.d.sync += ahead.eq(ahead - left)
        return m


WORDS = 8
PACKETS = 2


class FrameBufferBench:
    """A frame buffer in `m` and what must become of the packets that go into it.

    A packet has ended, then it is due, until its insertion comes; then it waits, until it has left.
    It is good if none of its beats, and no packet of its frame before it, was spoilt. A bad one is
    the last that is due, as only its insertion tells where its frame ends.
    """

    def __init__(self, m: Module, *, longest: int):
        self.dut = dut = FrameBuffer(data_width=16, depth_bytes=2 * WORDS, depth_packets=PACKETS)
        m.submodules.dut = dut
        anything(m, dut)
        beat, insertion = dut.packet.payload, dut.insertions
        self.taken = Signal()
        self.left = Signal()
        self.finished = Signal()
        ended = Signal()
        m.d.comb += [
            self.taken.eq(dut.packet.valid & dut.packet.ready),
            self.left.eq(dut.frame.valid & dut.frame.ready),
            self.finished.eq(self.left & dut.frame.payload.last),
            ended.eq(self.taken & beat.last),
        ]

        # The surroundings: packets that fit, and an insertion for each after its end.
        self.length = Signal(range(WORDS))
        with m.If(self.taken):
            m.d.sync += self.length.eq(Mux(beat.last, 0, self.length + 1))
        m.d.comb += Assume(beat.last | (self.length < longest - 1), "it is not too long")
        self.due = count(m, "due", PACKETS + 1, ended, insertion.valid)
        m.d.comb += Assume(~insertion.valid | (self.due != 0), "an insertion has a packet")

        # Good and bad.
        spoilt = Signal()
        bad_frame = Signal()
        bad_settled = Signal()
        self.bad_due = Signal()
        self.good = Signal()
        is_bad = spoilt | bad_frame | beat.error.any()
        m.d.comb += self.good.eq(ended & ~is_bad)
        m.d.comb += bad_settled.eq(insertion.valid & self.bad_due & (self.due == 1))
        with m.If(self.taken):
            m.d.sync += spoilt.eq(~beat.last & (spoilt | beat.error.any()))
        with m.If(ended & is_bad):
            m.d.sync += [bad_frame.eq(1), self.bad_due.eq(1)]
        with m.Elif(bad_settled):
            m.d.sync += [bad_frame.eq(bad_frame & ~insertion.payload.last), self.bad_due.eq(0)]

        # What is to come out, and what has.
        self.commits = Signal()
        m.d.comb += self.commits.eq(insertion.valid & ~bad_settled)
        self.waiting = count(m, "waiting", PACKETS + 2, self.commits, self.finished)
        frame_ends = insertion.valid & insertion.payload.last
        end_taken = dut.ends.valid & dut.ends.ready
        self.ends = count(m, "ends_due", PACKETS + 1, frame_ends, end_taken)


class PacketsStay(Elaboratable):
    """Packets of up to the length that always fits, all words but three."""

    def elaborate(self, platform):
        """What leaves, and when."""
        m = Module()
        bench = FrameBufferBench(m, longest=WORDS - 3)
        dut = bench.dut
        committed = Signal()
        within = Signal()
        m.d.sync += committed.eq(bench.commits)
        with m.If(bench.left):
            m.d.sync += within.eq(~dut.frame.payload.last)
        m.d.comb += [
            Assert(dut.committed == committed, "good packets are committed, and no others"),
            Assert(~dut.frame.valid | (bench.waiting != 0), "what leaves was committed"),
            Assert(~within | dut.frame.valid, "valid does not fall inside a packet"),
            Assert(~dut.ends.valid | (bench.ends != 0), "an end has a frame"),
            Cover(within & (bench.waiting == PACKETS), "one leaves, one waits"),
        ]
        return m


class DroppedPacketsGo(Elaboratable):
    """Nothing but bad packets, which never reach the reading side."""

    def elaborate(self, platform):
        """All that stops them is an insertion, or an end, that is still to come."""
        m = Module()
        bench = FrameBufferBench(m, longest=WORDS - 3)
        m.d.comb += Assume(~bench.good, "none is good")
        begun = Signal(range(4))
        with m.If(begun != 3):
            m.d.sync += begun.eq(begun + 1)
        is_held_up = bench.bad_due | (bench.due + bench.ends >= PACKETS)
        m.d.comb += [
            Assert(bench.dut.packet.ready | is_held_up | (begun != 3), "there is always room"),
            Cover(bench.taken & (bench.length == WORDS - 4) & (bench.ends != 0), "a long one fits"),
        ]
        return m


class WordsStay(Elaboratable):
    """Packets of one beat, good and bad, and one of them that is watched."""

    def elaborate(self, platform):
        """Behind the content: room comes back, and all moves while the consumers take."""
        m = Module()
        bench = FrameBufferBench(m, longest=1)
        dut, beat = bench.dut, bench.dut.packet.payload
        inserted = dut.insertions.payload
        for field in (inserted.ipv4, inserted.l4, inserted.generic):
            m.d.comb += Assume(~field.enable, "words stay as they are")
        held = count(m, "held", PACKETS + 2, bench.good, bench.finished)

        watch_now = AnySeq(1)
        watched = Signal()
        ahead = Signal.like(held)
        bit = Signal()
        with m.If(~watched):
            m.d.sync += [
                watched.eq(bench.good & watch_now),
                ahead.eq(held - bench.finished),
                bit.eq(beat.data[0]),
            ]
        with m.Elif(dut.frame.valid & (ahead == 0)):
            m.d.comb += Assert(dut.frame.payload.data[0] == bit, "the watched word comes out")
            m.d.comb += Cover(bench.finished & bench.bad_due, "with a bad packet behind it")
            with m.If(bench.finished):
                m.d.sync += watched.eq(0)
        with m.Elif(bench.finished):
            m.d.sync += ahead.eq(ahead - 1)

        empty = Signal(range(4))
        is_empty = (held == 0) & (bench.due == 0) & (bench.ends == 0)
        m.d.sync += empty.eq(Mux(is_empty, Mux(empty == 3, 3, empty + 1), 0))
        m.d.comb += Assert((empty != 3) | ~is_empty | dut.packet.ready, "an empty buffer has room")

        refused = Signal(range(16))
        is_taken = dut.frame.ready & dut.ends.ready & (dut.insertions.valid | (bench.due == 0))
        m.d.sync += refused.eq(Mux(dut.packet.valid & ~dut.packet.ready & is_taken, refused + 1, 0))
        m.d.comb += Assert(~refused.all(), "a source is heard while the consumers take")
        return m


BUFFERS = [ItemsStay, BytesStay, PacketsStay, DroppedPacketsGo, WordsStay]


@pytest.mark.parametrize("buffer", BUFFERS)
def test_nothing_is_lost_doubled_or_left_behind(verify, buffer):
    verify.reach(buffer())


@pytest.mark.parametrize("buffer", BUFFERS)
def test_it_happens(verify, buffer):
    verify.cover(buffer(), depth=20)
