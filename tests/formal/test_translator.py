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
from tests.formal.sby import run_sby

Scope = codes("invalidate_scope")
WINDOWS = 2
WALKS = 2
PAGE_BITS = 2  # Of an address, above the offset in its page.
PAGES = 1 << PAGE_BITS
WATCHED_PAGE = 1
#: Bits of the configuration that make a difference where addresses have so few.
CONFIGURATION = {"valid": 1, "window": 2, "enable": 1, "entries": PAGE_BITS + 1, "table_base": 1}


class TranslationsAreGranted(Elaboratable):
    def __init__(self, **parameters):
        self.parameters = {
            "requesters": 2,
            "windows": WINDOWS,
            "addr_width": 12 + PAGE_BITS,
            "id_width": 1,
            "user_width": 1,
            "iotlb_sets": 2,
            "iotlb_ways": 1,
            "walks": WALKS,
            "ahead": 1,
            "room": 2,
            **parameters,
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Translator(**self.parameters)
        for path, member, signal in dut.signature.flatten(dut):
            if member.flow == In:
                kept = CONFIGURATION.get(path[-1]) if path[0] in ("binding", "window") else None
                m.d.comb += signal.eq(
                    AnySeq(len(Value.cast(signal))) if kept is None else AnyConst(kept)
                )

        # The walker answers what it was asked.
        under_way = Signal(WALKS)
        windows = Array(Signal(WINDOWS, name=f"window_{n}") for n in range(WALKS))
        indexes = Array(Signal(PAGE_BITS + 1, name=f"index_{n}") for n in range(WALKS))
        walk, walked = dut.walk.payload, dut.walked.payload
        begins = dut.walk.valid & dut.walk.ready
        m.d.comb += Assume(~dut.walked.valid | under_way.bit_select(walked.slot, 1))
        with m.If(dut.walked.valid):
            m.d.sync += under_way.bit_select(walked.slot, 1).eq(0)
        with m.If(begins):
            m.d.comb += Assert(~under_way.bit_select(walk.slot, 1), "a slot is taken once")
            m.d.sync += under_way.bit_select(walk.slot, 1).eq(1)
            m.d.sync += indexes[walk.slot].eq(walk.place)
            m.d.sync += windows[walk.slot].eq(
                Cat(window.table_base[0] == walk.place[9] for window in dut.window)
            )

        watched_write = AnyConst(1)
        grants = Signal()
        granted = [Signal(PAGES, name=f"granted_{window}") for window in range(WINDOWS)]
        m.d.comb += grants.eq(
            dut.walked.valid
            & ~walked.error
            & (walked.entry.rpn[:PAGE_BITS] == WATCHED_PAGE)
            & Mux(watched_write, walked.entry.write, walked.entry.read)
        )
        m.d.comb += Assume(~walked.error | (~walked.entry.write & ~walked.entry.read))
        for number in range(WINDOWS):
            for index in range(PAGES):
                with m.If(grants & windows[walked.slot][number] & (indexes[walked.slot] == index)):
                    m.d.sync += granted[number][index].eq(1)

        # An invalidation takes back what is in its scope.
        m.d.comb += Assume(~dut.invalidate.valid | (dut.hold & dut.idle))
        was = Signal.like(dut.invalidate.payload)
        was_valid = Signal()
        m.d.sync += was.eq(dut.invalidate.payload)
        m.d.sync += was_valid.eq(dut.invalidate.valid & ~dut.invalidate.ready)
        m.d.comb += Assume(~was_valid | (dut.invalidate.valid & (was == dut.invalidate.payload)))
        with m.If(dut.invalidate.valid & dut.invalidate.ready):
            scope, page = dut.invalidate.payload.scope, dut.invalidate.payload.page
            for number in range(WINDOWS):
                for index in range(PAGES):
                    with m.If(
                        (scope >= Scope.EVERYTHING)
                        | (
                            (page.window == number)
                            & ((scope == Scope.WINDOW) | (page.index == index))
                        )
                    ):
                        m.d.sync += granted[number][index].eq(0)

        for out, kind in ((dut.translated_reads, 0), (dut.translated_writes, 1)):
            request = out.payload.request
            may_use = Array(
                Mux(one.valid & ~one.window[1], 1 << one.window[0], 0) for one in dut.binding
            )[request.user]
            allowed = Cat(
                may_use[number] & window.enable & granted[number].any()
                for number, window in enumerate(dut.window)
            ).any()
            watched = (request.addr[12:] == WATCHED_PAGE) & (watched_write == kind)
            m.d.comb += Assert(~out.valid | out.payload.refused | ~watched | allowed)
        return m
