"""Bursts keep their beats and their order on the way through the bridge [IHI 0022, A3.4.1, A5.3].

What passes is coloured. Shown, without a bound, between an arbitrary master, of which only the
standard is assumed, and an arbitrary memory:

- requests enter the translator's pipeline, leave the waiting room, and leave the translator once
  judged, in their order, each once; and one that must not pass another which waits is told so;
- data of writes leaves the write path in its order, each beat once, its last beat marked, but that
  of refused writes, of which none leaves; and addresses in theirs; so a write on the memory bus has
  the beats that the master gave it;
- answers of the memory leave the read path in their order, each beat once, its last beat marked;
- a refused read, and a refused write, has as many answers as it asked for, after all that came
  before it and before all that came later.
"""

import functools
from typing import Any

import pytest
from amaranth.asserts import AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cover, Elaboratable, Module, Signal
from amaranth.lib import data

from byway.rtl.bus.axi4 import Resp
from byway.rtl.translation.lane import Lane
from byway.rtl.translation.read_path import ReadPath
from byway.rtl.translation.request import AddressLayout
from byway.rtl.translation.waiting_room import OrderLayout, WaitingRoom
from byway.rtl.translation.write_path import WritePath
from tests.formal.colours import BLACK, GREY, may_follow
from tests.formal.configuration import WALKS
from tests.formal.surroundings import anything

WIDTHS = {"addr_width": 13, "id_width": 1, "user_width": 3}
"""A bit of AxUSER is the requester, the others a colour."""
ROOM = 2
LONGEST = 4
"""Beats of refused reads, for which the proof counts."""


def is_coloured(m, passes, colour):
    """Assume that colours come as they must."""
    m.d.comb += Assume(~passes | may_follow(m, passes, colour), "white, one grey, black")


def keeps_colours(m, passes, colour, name):
    """Assert it."""
    m.d.comb += Assert(~passes | may_follow(m, passes, colour), f"{name} keep their order")
    m.d.comb += Cover(passes & (colour == BLACK), f"{name} after the grey one")


def path_beside_a_memory(m, kind) -> Any:
    """A path whose memory answers what it was asked, and a write when it has all its data."""
    sizes = {"outstanding": 2, **WIDTHS}
    m.submodules.dut = dut = (
        ReadPath(walks=WALKS, **sizes) if kind == "reads" else WritePath(**sizes)
    )
    anything(m, dut)
    axi = dut.m_axi
    asked = Signal(2)
    if kind == "reads":
        is_walk, answers_walk = axi.arid[-1], axi.rid[-1]
        begins = axi.arvalid & axi.arready & ~is_walk
        ends = axi.rvalid & axi.rready & ~answers_walk & axi.rlast
        m.d.comb += Assume(~axi.rvalid | answers_walk | (asked != 0), "a beat was asked for")
    else:
        written = Signal(2)
        begins = axi.awvalid & axi.awready
        ends = axi.bvalid & axi.bready
        m.d.sync += written.eq(written + (axi.wvalid & axi.wready & axi.wlast) - ends)
        m.d.comb += Assume(~axi.bvalid | ((asked != 0) & (written != 0)), "it was written")
    m.d.sync += asked.eq(asked + begins - ends)
    return dut


class WhoWaitsKeepsTheirTurn(Elaboratable):
    """The waiting room: its ring, and what it tells those who come later."""

    def elaborate(self, platform):
        """Ghosts count who is in it, in all and of that order."""
        m = Module()
        shape = data.StructLayout({"colour": 2, "slot": 1})
        m.submodules.dut = dut = WaitingRoom(shape, id_width=1, slots=WALKS, room=ROOM)
        anything(m, dut)
        comes, leaves = dut.enter.valid, dut.first.valid & dut.first.ready
        level = Signal(range(ROOM + 1))
        m.d.sync += level.eq(level + comes - leaves)
        m.d.comb += Assume(~comes | (level != ROOM), "who enters finds room")
        m.d.comb += Assume(dut.enter_slots == 1 << dut.enter.payload.slot, "it waits for a walk")
        is_coloured(m, comes, dut.enter.payload.colour)
        keeps_colours(m, leaves, dut.first.payload.colour, "requests")
        m.d.comb += Assert(dut.empty == (level == 0), "it is empty when nobody is in it")
        first = dut.first.payload
        m.d.comb += Assert(~dut.first.valid | (dut.first_slots == 1 << first.slot), "for its walk")

        # The grey one is of the order that is asked for: it is there from its coming on.
        grey_inside = Signal()
        grey = Signal.like(dut.enter_order)
        with m.If(comes & (dut.enter.payload.colour == GREY)):
            m.d.sync += [grey_inside.eq(1), grey.eq(dut.enter_order)]
        with m.If(leaves & (first.colour == GREY)):
            m.d.sync += grey_inside.eq(0)
        keeps = OrderLayout.keeps(grey, dut.order)
        m.d.comb += Assert(~grey_inside | ~keeps | dut.conflict, "who must not pass is told")
        return m


class JudgedRequestsLeaveInOrder(Elaboratable):
    """A lane, from the judgement on; and up to it."""

    def __init__(self, end):
        self.end = end

    def elaborate(self, platform):
        """What comes back is what was offered, or the test is of its own two ends."""
        m = Module()
        request = AddressLayout(**WIDTHS)
        m.submodules.dut = dut = Lane(request, room=2)
        anything(m, dut)
        entered = Signal(range(3))
        enters = dut.offer.valid & dut.offer.ready
        m.d.sync += entered.eq(entered + enters - dut.judged.valid)
        m.d.comb += Assume(~dut.judged.valid | (entered != 0), "what is judged has entered")
        if self.end == "in":
            comes = dut.requests.valid & dut.requests.ready
            is_coloured(m, comes, dut.requests.payload.user[1:])
            keeps_colours(m, enters, dut.offer.payload.user[1:], "requests")
        else:
            leaves = dut.translated.valid & dut.translated.ready
            is_coloured(m, dut.judged.valid, dut.judged.payload.request.user[1:])
            keeps_colours(m, leaves, dut.translated.payload.request.user[1:], "requests")
        return m


def taken_writes(m, dut):
    """Follow the writes that are taken and have not all of their data.

    Returns how many there are, and whether the oldest is refused.
    """
    given = dut.translated
    takes = given.valid & given.ready
    ends = dut.beats.valid & dut.beats.ready & dut.beats.payload.last
    count = Signal(2)
    refused = Array(Signal(name=f"refused_{n}") for n in range(2))
    m.d.sync += count.eq(count + takes - ends)
    with m.If(ends):
        m.d.sync += refused[0].eq(refused[1])
    with m.If(takes):
        m.d.sync += refused[(count - ends)[0]].eq(given.payload.refused)
    return count, refused[0]


class WritesKeepTheirData(Elaboratable):
    """The write path; a beat has its colour in its data, and in WSTRB what its write is."""

    def elaborate(self, platform):
        """Ghosts follow the writes that are taken, up to their last beat."""
        m = Module()
        dut = path_beside_a_memory(m, "writes")
        axi = dut.m_axi
        beats = dut.beats.payload
        count, refused = taken_writes(m, dut)
        comes = dut.beats.valid & dut.beats.ready
        m.d.comb += Assert(~comes | (count != 0), "data comes after its address")
        m.d.comb += Assume(beats.strb[0] == refused, "WSTRB tells whether the write is refused")
        m.d.comb += Assume(beats.strb[1] == beats.last, "and which beat is the last")
        is_coloured(m, comes & ~refused, beats.data[:2])
        leaves = axi.wvalid & axi.wready
        m.d.comb += Assert(~axi.wvalid | ~axi.wstrb[0], "no data of a refused write leaves")
        m.d.comb += Assert(~axi.wvalid | (axi.wstrb[1] == axi.wlast), "the last beat is marked")
        keeps_colours(m, leaves, axi.wdata[:2], "beats")
        m.d.comb += Cover(comes & refused & ~beats.last, "data of a refused write")
        return m


class WritesKeepTheirOrder(Elaboratable):
    """The write path; an address has its colour in AWUSER."""

    def elaborate(self, platform):
        """Refused writes are not coloured."""
        m = Module()
        dut = path_beside_a_memory(m, "writes")
        given, axi = dut.translated, dut.m_axi
        takes = given.valid & given.ready & ~given.payload.refused
        is_coloured(m, takes, given.payload.request.user[1:])
        keeps_colours(m, axi.awvalid & axi.awready, axi.awuser[1:], "addresses")
        return m


class AnswersKeepTheirOrder(Elaboratable):
    """The read path; an answer of the memory has its colour in its data."""

    def elaborate(self, platform):
        """Answers to the walker go elsewhere."""
        m = Module()
        dut = path_beside_a_memory(m, "reads")
        axi, beats = dut.m_axi, dut.beats.payload
        comes = axi.rvalid & axi.rready & ~axi.rid[-1]
        is_coloured(m, comes, axi.rdata[:2])
        marks = [axi.rlast, axi.rid[0], axi.rresp == Resp.OKAY]
        for place, mark in enumerate(marks, start=2):
            m.d.comb += Assume(axi.rdata[place] == mark, "data tells of the rest")
        leaves = dut.beats.valid & (beats.resp != Resp.DECERR)
        keeps_colours(m, leaves & dut.beats.ready, beats.data[:2], "beats")
        marks = [beats.last, beats.id, beats.resp == Resp.OKAY]
        for place, mark in enumerate(marks, start=2):
            m.d.comb += Assert(~leaves | (beats.data[place] == mark), "the rest is as it came")
        return m


class RefusedRequestsAreAnswered(Elaboratable):
    """A path, and one refused request, which any may be."""

    def __init__(self, kind):
        self.kind = kind

    def elaborate(self, platform):
        """Count what is ahead of it, then its own beats."""
        m = Module()
        dut = path_beside_a_memory(m, self.kind)
        beats = dut.beats if self.kind == "reads" else dut.answers
        last = beats.payload.last if self.kind == "reads" else 1
        given = dut.translated.payload
        takes = dut.translated.valid & dut.translated.ready
        leaves = beats.valid & beats.ready
        inside = Signal(2)
        m.d.sync += inside.eq(inside + takes - (leaves & last))
        watched = Signal()
        ahead = Signal(2)
        left = Signal(range(LONGEST + 1))
        request_id = Signal.like(given.request.id)
        watch_now = AnySeq(1)
        with m.If(takes & given.refused & watch_now & ~watched):
            m.d.sync += watched.eq(1)
            m.d.sync += ahead.eq(inside - (leaves & last))
            m.d.sync += left.eq(given.request.len + 1 if self.kind == "reads" else 1)
            m.d.sync += request_id.eq(given.request.id)
        with m.If(watched & (left != 0)):
            with m.If(leaves & (ahead != 0)):
                m.d.sync += ahead.eq(ahead - last)
            with m.If(beats.valid & (ahead == 0)):
                m.d.comb += Assert(beats.payload.resp == Resp.DECERR, "it is refused")
                m.d.comb += Assert(beats.payload.id == request_id, "under its ID")
                if self.kind == "reads":
                    m.d.comb += Assert(last == (left == 1), "by as many beats as it asked for")
                    m.d.comb += Assert(beats.payload.data == 0, "which tell nothing")
            with m.If(leaves & (ahead == 0)):
                m.d.sync += left.eq(left - 1)
        m.d.comb += Assume(given.request.len < LONGEST, "it is short")
        m.d.comb += Cover(watched & (left == 0) & takes, "a refusal, and another request")
        return m


PROOFS = {
    f"{kind.__name__} {which}": functools.partial(kind, which)
    for kind, ends in (
        (JudgedRequestsLeaveInOrder, ("in", "out")),
        (RefusedRequestsAreAnswered, ("reads", "writes")),
    )
    for which in ends
} | {
    kind.__name__: kind
    for kind in (
        WhoWaitsKeepsTheirTurn,
        WritesKeepTheirData,
        WritesKeepTheirOrder,
        AnswersKeepTheirOrder,
    )
}


@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_always(verify, design):
    verify.reach(design())


@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_it_happens(verify, design):
    verify.cover(design(), depth=20)
