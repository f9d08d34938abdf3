"""No request leaves the translator as permitted that a TCE of the requester's window did not grant.

The requests are arbitrary, and so is the walker, but for this: it answers what it was asked, each
once. The IOTLB is invalidated only while nothing is inside, as the invalidator sees to.
"""

import pytest
from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from byway.rtl.contract.model import codes
from byway.rtl.translation.translator import Translator
from tests.formal.configuration import (
    PAGE_BITS,
    PAGES,
    WALKS,
    WATCHED_PAGE,
    WINDOWS,
    configure,
    takes_back,
)
from tests.formal.pdr import prove
from tests.formal.sby import run_sby

Scope = codes("invalidate_scope")


class TranslationsAreGranted(Elaboratable):
    """What the walker brought, and what is let through."""

    def elaborate(self, platform):
        """Ghosts follow what was walked for, what that granted, and what was taken back."""
        m = Module()
        m.submodules.dut = dut = Translator(
            windows=WINDOWS,
            addr_width=12 + PAGE_BITS,
            id_width=1,
            user_width=1,
            iotlb_sets=2,
            iotlb_ways=1,
            walks=WALKS,
            room=2,
        )
        for path, member, signal in dut.signature.flatten(dut):
            if member.flow == In and path[0] not in ("binding_lookup", "window_lookup"):
                m.d.comb += signal.eq(AnySeq(len(Value.cast(signal))))
        bindings, windows = configure(m, dut)

        # The walker answers what it was asked: entries of tables, named by their places.
        under_way = Signal(WALKS)
        places = Array(Signal(9 + PAGE_BITS, name=f"place_{slot}") for slot in range(WALKS))
        walk, walked = dut.walk.payload, dut.walked.payload
        is_asked = under_way.bit_select(walked.slot, 1)
        m.d.comb += Assume(~dut.walked.valid | is_asked, "an answer was asked for")
        permits = walked.entry.read | walked.entry.write
        m.d.comb += Assume(~walked.error | ~permits, "an error permits nothing")
        with m.If(dut.walked.valid):
            m.d.sync += under_way.bit_select(walked.slot, 1).eq(0)
        with m.If(dut.walk.valid & dut.walk.ready):
            m.d.comb += Assert(~under_way.bit_select(walk.slot, 1), "a slot is taken once")
            m.d.sync += under_way.bit_select(walk.slot, 1).eq(1)
            m.d.sync += places[walk.slot].eq(walk.place)

        # What it granted of the watched page, and what an invalidation takes back.
        watched_write = AnyConst(1)
        grants = Signal()
        granted = [Signal(PAGES, name=f"granted_{window}") for window in range(WINDOWS)]
        m.d.comb += grants.eq(
            dut.walked.valid
            & (walked.entry.rpn[:PAGE_BITS] == WATCHED_PAGE)
            & Mux(watched_write, walked.entry.write, walked.entry.read)
        )
        invalidate = dut.invalidate
        is_at_rest = dut.hold & dut.idle
        m.d.comb += Assume(~invalidate.valid | is_at_rest, "nothing is inside")
        before = Signal.like(invalidate.payload)
        waited = Signal()
        m.d.sync += before.eq(invalidate.payload)
        m.d.sync += waited.eq(invalidate.valid & ~invalidate.ready)
        stays = invalidate.valid & (before == invalidate.payload)
        m.d.comb += Assume(~waited | stays, "an invalidation stays until it is taken")
        meant = invalidate.payload
        for number, window in enumerate(windows):
            for index in range(PAGES):
                place = Cat(Signal(9), window.table_base[:PAGE_BITS]) | index
                with m.If(grants & (places[walked.slot] == place)):
                    m.d.sync += granted[number][index].eq(1)
                taken = invalidate.valid & invalidate.ready
                with m.If(
                    taken
                    & takes_back(
                        meant.scope,
                        meant.page.window,
                        meant.page.index,
                        scopes=Scope,
                        of=(number, index),
                    )
                ):
                    m.d.sync += granted[number][index].eq(0)

        # What is let through.
        for out, kind in ((dut.translated_reads, 0), (dut.translated_writes, 1)):
            request = out.payload.request
            may_use = Array(
                Mux(one.valid & (one.window < WINDOWS), 1 << one.window[0], 0) for one in bindings
            )[request.user]
            allowed = Cat(
                may_use[number] & window.enable & granted[number].any()
                for number, window in enumerate(windows)
            ).any()
            watched = (request.addr[12:] == WATCHED_PAGE) & (watched_write == kind)
            passes = out.valid & ~out.payload.refused
            m.d.comb += Assert(~passes | ~watched | allowed, "it was granted")
            m.d.comb += Cover(passes & watched & ~granted[0].any(), "by the other window")
        return m


@pytest.mark.timeout(900)
def test_it_holds_without_a_bound(tmp_path):
    prove(tmp_path, TranslationsAreGranted())


def test_the_proof_is_not_empty(tmp_path):
    run_sby(tmp_path, TranslationsAreGranted(), "cover", "smtbmc yices", depth=20)
