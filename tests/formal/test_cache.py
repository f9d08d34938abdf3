"""What the IOTLB finds was given to it for that very page, and has not been taken back.

Shown, without a bound, of a watched page that may be any:

- a search for it is answered by an entry that was stored for it since it was last taken back, and
  a search for another page is not answered by that entry;
- an access is permitted as the entry says.

To follow what becomes of an entry, bits of its page number are a tag.
"""

from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal

from byway.rtl.contract.model import codes
from byway.rtl.translation.iotlb import IOTLB
from tests.formal.configuration import PAGE_BITS, WINDOWS, takes_back
from tests.formal.surroundings import anything

Scope = codes("invalidate_scope")


class WhatIsFoundWasGiven(Elaboratable):
    """An IOTLB, and one page of those that are stored, searched and taken back."""

    def elaborate(self, platform):
        """The search moves on beside the IOTLB's own stages."""
        m = Module()
        m.submodules.dut = dut = IOTLB(windows=WINDOWS, sets=2, ways=2)
        anything(m, dut)
        watched = Signal.like(dut.page)
        refill, taken_back = dut.refill, dut.invalidate
        m.d.comb += watched.window.eq(AnyConst(1))
        m.d.comb += watched.index.eq(AnyConst(PAGE_BITS))
        for page in (dut.page, refill.payload.page, taken_back.payload.page):
            m.d.comb += Assume(page.index < 1 << PAGE_BITS, "few pages")

        # The tag says for which page an entry is, and what it permits.
        entry = refill.payload.entry
        is_watched = refill.payload.page == watched
        m.d.comb += Assume(entry.rpn[0] == is_watched, "the tag is the page")
        m.d.comb += Assume(entry.rpn[1:3] == entry.as_value()[52:], "and what it permits")

        # What is searched.
        searches = AnySeq(1)
        stages = [
            {"valid": Signal(), "watched": Signal(), "write": Signal()} for _stage in range(2)
        ]
        come = {"valid": searches, "watched": dut.page == watched, "write": dut.is_write}
        for stage in stages:
            with m.If(dut.advance):
                m.d.sync += [stage[name].eq(come[name]) for name in stage]
            come = stage

        # Whether the watched page was given, and of when nothing may be under way.
        given = Signal()
        refilled = Signal()
        m.d.sync += refilled.eq(refill.valid)
        with m.If(refill.valid & is_watched & (entry.read | entry.write)):
            m.d.sync += given.eq(1)
        with m.If(taken_back.valid):
            under_way = refill.valid | refilled | (searches & dut.advance)
            under_way |= stages[0]["valid"] | stages[1]["valid"]
            m.d.comb += Assume(~under_way, "nothing is under way")
            meant = takes_back(
                taken_back.payload.scope,
                taken_back.payload.page.window,
                taken_back.payload.page.index,
                scopes=Scope,
                of=(watched.window, watched.index),
            )
            with m.If(taken_back.ready & meant):
                m.d.sync += given.eq(0)
        waited = Signal()
        before = Signal.like(taken_back.payload)
        m.d.sync += [waited.eq(taken_back.valid & ~taken_back.ready), before.eq(taken_back.payload)]
        stays = taken_back.valid & (before == taken_back.payload)
        m.d.comb += Assume(~waited | stays, "what is to be taken back stays")

        search = stages[-1]
        with m.If(search["valid"] & dut.found):
            rpn = dut.entry.rpn
            m.d.comb += [
                Assert(~search["watched"] | given, "it was given"),
                Assert(rpn[0] == search["watched"], "for this page"),
                Assert(dut.permits == Mux(search["write"], rpn[2], rpn[1]), "with this permission"),
            ]
            m.d.comb += Cover(search["watched"] & ~dut.permits, "it is found, and does not permit")
            m.d.comb += Cover(search["watched"] & dut.permits, "it is found, and permits")
        m.d.comb += Cover(taken_back.valid & taken_back.ready & given, "what was given is taken")
        return m


def test_always(verify):
    verify.reach(WhatIsFoundWasGiven())


def test_it_happens(verify):
    verify.cover(WhatIsFoundWasGiven(), depth=24)
