"""Every access of the master is answered once, in order, and as refused exactly if it was.

Of the read path and the write path, between an arbitrary master, an arbitrary translator and a
memory of which only the standard is assumed. Shown, without a bound:

- a read is answered with as many beats as it asked for, in the order of the reads; DECERR on all of
  them, with data 0, if it was refused, and on none if not;
- the entries that are walked for are not shown to the master, and nothing else to the walker;
- write data is taken in the order of the writes, only once its address has been judged, and none of
  a refused write is on the bus; a write is answered once, when all its data has been taken, with
  DECERR if it was refused and not if not.

Requests are all of one ID, since those of others need keep no order, and of two beats at most. To
follow what becomes of data, its lowest bit is a tag.
"""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cover, Elaboratable, Module, Signal

from byway.rtl.bus.axi4 import Resp
from byway.rtl.translation.read_path import ReadPath
from byway.rtl.translation.write_path import WritePath
from tests.formal.configuration import WALKS
from tests.formal.surroundings import anything

WIDTHS = {"addr_width": 13, "id_width": 1, "user_width": 1}
OUTSTANDING = 2


class Queue:
    """A ghost: values in order, of which the first is looked at. `room` must be a power of two."""

    def __init__(self, m, width, *, room, put, value, get):
        places = Array(Signal(width) for _ in range(room))
        newest = Signal(range(room))
        oldest = Signal(range(room))
        level = Signal(range(room + 1))
        m.d.sync += [newest.eq(newest + put), oldest.eq(oldest + get), level.eq(level + put - get)]
        with m.If(put):
            m.d.sync += places[newest].eq(value)
        self.level = level
        self.first = places[oldest]


def requests_are_small(m, dut):
    """All of one ID, and of two beats at most."""
    request = dut.translated.payload.request
    m.d.comb += Assume((request.id == 0) & (request.len <= 1), "small requests")
    return request


class ReadsAreAnswered(Elaboratable):
    """Reads by one ID, and walks beside them."""

    def elaborate(self, platform):
        """Ghosts keep what the memory and the master are owed."""
        m = Module()
        m.submodules.dut = dut = ReadPath(**WIDTHS, outstanding=OUTSTANDING, walks=WALKS)
        anything(m, dut)
        request = requests_are_small(m, dut)
        axi = dut.m_axi

        # The memory answers what it was asked, in order; the tag says that it is an entry.
        is_table = axi.rid[-1]
        comes = Signal()
        on_bus_beat = Signal()
        m.d.comb += comes.eq(axi.rvalid & axi.rready & ~is_table)
        on_bus = Queue(
            m,
            1,
            room=4,
            put=axi.arvalid & axi.arready & ~axi.arid[-1],
            value=axi.arlen[0],
            get=comes & axi.rlast,
        )
        with m.If(comes):
            m.d.sync += on_bus_beat.eq(~axi.rlast)
        asked = (on_bus.level != 0) & (axi.rlast == (on_bus_beat == on_bus.first))
        m.d.comb += Assume(~axi.rvalid | is_table | (asked & (axi.rid == 0)), "it was asked for")
        m.d.comb += Assume(axi.rdata[0] == is_table, "the tag is set for an entry")
        m.d.comb += Assume(dut.table_read.payload.len == 0, "an entry is one beat")

        # What the master is owed.
        taken = Signal()
        beat = dut.beats.payload
        m.d.comb += taken.eq(dut.beats.valid & dut.beats.ready)
        owed = Queue(
            m,
            2,
            room=4,
            put=dut.translated.valid & dut.translated.ready,
            value=dut.translated.payload.refused << 1 | request.len[0],
            get=taken & beat.last,
        )
        second = Signal()
        with m.If(taken):
            m.d.sync += second.eq(~beat.last)
        refused, length = owed.first[1], owed.first[0]
        with m.If(dut.beats.valid):
            m.d.comb += [
                Assert(owed.level != 0, "an answer was asked for"),
                Assert(beat.id == 0, "and has its ID"),
                Assert(beat.last == (second == length), "it ends with the last of its beats"),
                Assert((beat.resp == Resp.DECERR) == refused, "it is refused if the read was"),
                Assert(~refused | (beat.data == 0), "a refusal has no data"),
                Assert(~beat.data[0], "it is no entry"),
            ]
            m.d.comb += Cover(refused & beat.last & second, "a refusal of two beats ends")
            m.d.comb += Cover(~refused & (owed.level == 2), "an answer, and another to come")
        entry = dut.table_beat
        m.d.comb += Assert(~entry.valid | entry.payload.data[0], "a walk is answered by an entry")
        m.d.comb += Cover(entry.valid & (owed.level != 0), "a walk is answered before a read")
        return m


class WritesAreAnswered(Elaboratable):
    """Writes by one ID."""

    def elaborate(self, platform):
        """Ghosts keep whose data comes next, and what the memory and the master are owed."""
        m = Module()
        m.submodules.dut = dut = WritePath(**WIDTHS, outstanding=OUTSTANDING)
        anything(m, dut)
        request = requests_are_small(m, dut)
        axi = dut.m_axi
        takes = dut.translated.valid & dut.translated.ready
        is_refused = dut.translated.payload.refused

        # The memory answers a write when it has its address and all its data, in order.
        answers = axi.bvalid & axi.bready
        addresses = Signal(3)
        data = Signal(3)
        m.d.sync += addresses.eq(addresses + (axi.awvalid & axi.awready) - answers)
        m.d.sync += data.eq(data + (axi.wvalid & axi.wready & axi.wlast) - answers)
        whole = (addresses != 0) & (data != 0) & (axi.bid == 0)
        m.d.comb += Assume(~axi.bvalid | whole, "it was asked for")

        # The master gives the data of its writes in order; the tag says that the write is refused.
        beat = dut.beats.payload
        comes = Signal()
        second = Signal()
        m.d.comb += comes.eq(dut.beats.valid & dut.beats.ready)
        writes = Queue(
            m,
            2,
            room=4,
            put=takes,
            value=is_refused << 1 | request.len[0],
            get=comes & beat.last,
        )
        with m.If(comes):
            m.d.sync += second.eq(~beat.last)
        refused, length = writes.first[1], writes.first[0]
        with m.If(dut.beats.valid & (writes.level != 0)):
            m.d.comb += Assume(beat.data[0] == refused, "the tag is the refusal")
            m.d.comb += Assume(beat.last == (second == length), "it has the length of its write")
        m.d.comb += Assert(~comes | (writes.level != 0), "data is taken after its address")
        m.d.comb += Assert(~axi.wvalid | ~axi.wdata[0], "of a refused write nothing is on the bus")
        m.d.comb += Cover(comes & refused & second, "the data of a refusal is absorbed")

        # What the master is owed.
        answer = dut.answers.payload
        owed = Queue(
            m,
            1,
            room=4,
            put=takes,
            value=is_refused,
            get=dut.answers.valid & dut.answers.ready,
        )
        with m.If(dut.answers.valid):
            m.d.comb += [
                Assert(owed.level != 0, "an answer was asked for"),
                Assert(owed.level > writes.level, "and has all its data"),
                Assert(answer.id == 0, "it has its ID"),
                Assert((answer.resp == Resp.DECERR) == owed.first, "it is refused if that was"),
            ]
            m.d.comb += Cover(owed.first & (owed.level == 1), "a refusal")
            m.d.comb += Cover(~owed.first & (owed.level == 2), "an answer, and another to come")
        return m


PATHS = [ReadsAreAnswered, WritesAreAnswered]


@pytest.mark.parametrize("path", PATHS)
def test_every_access_is_answered_once_and_refused_if_it_was(verify, path):
    verify.reach(path())


@pytest.mark.parametrize("path", PATHS)
def test_it_happens(verify, path):
    verify.cover(path(), depth=24)
