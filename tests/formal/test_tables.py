"""A walk reads an entry of the table of the window that its requester is bound to, and no other.

Shown, without a bound, of the translator, whatever requests and walks bring: what it asks the
walker for is the entry of the page that was asked for, within the extent of the table of an enabled
window, that of the requester's valid binding; and while a walk is under way, though nobody may wait
for it, the translator does not seem at rest. Of a page index those bits make a difference that lie
above a page of the table, so that tables span pages of memory, and the lowest.

To tell a watched page, which may be any, from others, a bit of AxUSER is a tag.
"""

import pytest
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Signal

from byway.rtl.translation.translator import Translator
from byway.rtl.translation.window import BindingLayout, WindowLayout
from tests.formal.configuration import PAGE_BITS, SIZES, WALKS, WINDOWS, configure
from tests.formal.surroundings import anything

REQUESTERS = 2
#: Bits of a page index in a page of the table, and of them those that make no difference.
LOW_BITS = 9
SAME = slice(1, LOW_BITS)
HIGH_BITS = 2


class WalksStayInTheirTable(Elaboratable):
    """Configuration is arbitrary, and constant; a page ahead of a stream is looked up as others."""

    def elaborate(self, platform):
        """Tables begin in the first pages of memory; they may end between any two entries."""
        m = Module()
        m.submodules.dut = dut = Translator(
            **SIZES, addr_width=12 + LOW_BITS + HIGH_BITS, user_width=2, ahead=0, room=2
        )
        anything(m, dut, but=("binding_lookup", "window_lookup", "invalidate"))
        watched = Cat(AnyConst(1), Signal(LOW_BITS - 1), AnyConst(HIGH_BITS))
        for requests in (dut.reads, dut.writes):
            index = requests.payload.addr[12:]
            m.d.comb += Assume(index[SAME] == 0, "bits that are always 0")
            m.d.comb += Assume(requests.payload.user[1] == (index == watched), "the tag")

        bindings = Array(Signal(BindingLayout(), name=f"binding_{n}") for n in range(REQUESTERS))
        windows = Array(Signal(WindowLayout(), name=f"window_{n}") for n in range(WINDOWS))
        for binding in bindings:
            m.d.comb += binding.valid.eq(AnyConst(1))
            m.d.comb += binding.window.eq(AnyConst(2))
        for window in windows:
            m.d.comb += window.enable.eq(AnyConst(1))
            m.d.comb += window.table_base.eq(AnyConst(HIGH_BITS))
            entries = Cat(AnyConst(1), Signal(LOW_BITS - 1), AnyConst(HIGH_BITS + 1))
            m.d.comb += window.entries.eq(entries)
        found = self.of_number(m, windows, dut.window_lookup.number)
        m.d.comb += dut.window_lookup.window.eq(found)
        lookup = dut.binding_lookup
        m.d.comb += lookup.binding.eq(bindings[lookup.requester[0]])

        walk = dut.walk.payload
        binding = bindings[walk.user[0]]
        window = self.of_number(m, windows, binding.window)
        offset = Signal(LOW_BITS + HIGH_BITS + 2)
        m.d.comb += offset.eq(walk.place - (window.table_base << LOW_BITS))
        with m.If(dut.walk.valid):
            m.d.comb += Assert(binding.valid & window.enable, "its requester has a window")
            m.d.comb += Assert(offset < window.entries, "the entry is in the table")
            m.d.comb += Assert((offset == watched) == walk.user[1], "that of the page asked for")
            m.d.comb += Assert(walk.place[LOW_BITS + HIGH_BITS + 1 :] == 0, "and nowhere above it")
            m.d.comb += Cover(
                offset[LOW_BITS : LOW_BITS + HIGH_BITS].all(), "an entry of the last page"
            )
        return m

    @staticmethod
    def of_number(m, windows, number):
        """The window of that number; none of the others is enabled."""
        found = Signal(WindowLayout())
        with m.If(number < WINDOWS):
            m.d.comb += found.eq(windows[number[0]])
        return found


class WalksAreNoRest(Elaboratable):
    """Walks for a request, and those ahead of a stream, for which nobody waits."""

    def elaborate(self, platform):
        """The memory answers each once."""
        m = Module()
        m.submodules.dut = dut = Translator(
            **SIZES, addr_width=12 + PAGE_BITS, user_width=1, room=2
        )
        anything(m, dut, but=("binding_lookup", "window_lookup", "invalidate"))
        configure(m, dut)
        under_way = Signal(WALKS)
        answered = under_way.bit_select(dut.walked.payload.slot, 1)
        m.d.comb += Assume(~dut.walked.valid | answered, "a walk is answered once")
        with m.If(dut.walked.valid):
            m.d.sync += answered.eq(0)
        with m.If(dut.walk.valid & dut.walk.ready):
            m.d.sync += under_way.bit_select(dut.walk.payload.slot, 1).eq(1)
        m.d.comb += Assert(~dut.idle | ~(dut.walk.valid | under_way.any()), "it is not at rest")
        m.d.comb += Cover(dut.iotlb_prefetch, "a walk ahead of a stream")
        return m


def test_walks_stay_in_their_table(verify):
    verify.reach(WalksStayInTheirTable())


def test_the_translator_is_not_at_rest_while_a_walk_is_under_way(verify):
    verify.reach(WalksAreNoRest())


@pytest.mark.parametrize("claim", [WalksStayInTheirTable, WalksAreNoRest])
def test_it_happens(verify, claim):
    verify.cover(claim(), depth=20)
