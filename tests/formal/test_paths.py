"""What the parts around the translator do to what they are given.

Of the whole, `test_bridge` shows more; these end in seconds, and name the part that fails. Shown,
without a bound:

- of the requests that the read path and the write path are given, those that are not refused are
  on the bus as they came, and nothing else is, but the walker's reads in the read path; none is
  left when a path says that it is idle;
- a walk is read at its place, under the ID of its slot, and answered with what was read there;
- the IOTLB is invalidated only while nothing is in the translator, which stays so on hold.

To follow what becomes of a request, a bit of AxUSER, which the parts only carry, is its tag.
"""

import functools
from typing import Any

import pytest
from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, Signal

from byway.rtl.bus.axi4 import Resp
from byway.rtl.translation.invalidator import Invalidator
from byway.rtl.translation.read_path import ReadPath
from byway.rtl.translation.translator import Translator
from byway.rtl.translation.walker import Walker
from byway.rtl.translation.write_path import WritePath
from tests.formal.configuration import PAGE_BITS, SIZES, WALKS, WINDOWS, configure
from tests.formal.surroundings import anything

WIDTHS = {"addr_width": 13, "id_width": 1, "user_width": 2}


def body(request):
    """All of a request but its tag and the upper bits of its ID."""
    names = ("addr", "len", "size", "burst")
    return Cat(request["id"][0], request["user"][0], *(request[name] for name in names))


def on_bus(axi, prefix):
    """The request on an address channel of the bus."""
    names = ("id", "addr", "len", "size", "burst", "user")
    return {name: getattr(axi, f"{prefix}{name}") for name in names}


def path_in_any_system(m, prefix) -> tuple[Any, Any]:
    """Put a path into `m`; returns it and whether the request on the bus is the walker's."""
    if prefix == "ar":
        m.submodules.dut = dut = ReadPath(**WIDTHS, outstanding=2, walks=WALKS)
        is_walk = dut.m_axi.arid[-1]
    else:
        m.submodules.dut = dut = WritePath(**WIDTHS, outstanding=2)
        is_walk = 0
    anything(m, dut)
    return dut, is_walk


class RequestsAreForwardedAsTheyAre(Elaboratable):
    """The tag of a request is some bit of it, the same of all."""

    def __init__(self, prefix):
        self.prefix = prefix

    def elaborate(self, platform):
        """Both of the translator's requests and of the walker's."""
        m = Module()
        dut, is_walk = path_in_any_system(m, self.prefix)
        which = AnyConst(5)
        request = dut.translated.payload.request
        sources = [request] + ([dut.table_read.payload] if self.prefix == "ar" else [])
        for source in sources:
            tag = body(source).bit_select(which, 1)
            m.d.comb += Assume(source.user[1] == tag, "the tag is the bit")
        seen = on_bus(dut.m_axi, self.prefix)
        valid = getattr(dut.m_axi, f"{self.prefix}valid")
        same = seen["user"][1] == body(seen).bit_select(which, 1)
        m.d.comb += Assert(~valid | same, "it is still what it was")
        m.d.comb += Cover(valid & ~is_walk & (which == 9), "there is one")
        return m


class OnlyWhatIsNotRefusedIsForwarded(Elaboratable):
    """The tag says that a request is refused, or that it is the walker's."""

    def __init__(self, prefix):
        self.prefix = prefix

    def elaborate(self, platform):
        """Ghosts count the requests that are given and not yet on the bus."""
        m = Module()
        dut, is_walk = path_in_any_system(m, self.prefix)
        given = dut.translated.payload
        m.d.comb += Assume(given.request.user[1] == given.refused, "the tag is the refusal")
        if self.prefix == "ar":
            m.d.comb += Assume(dut.table_read.payload.user[1], "the tag is set for a walk")
        valid, ready, user = (
            getattr(dut.m_axi, f"{self.prefix}{name}") for name in ("valid", "ready", "user")
        )
        m.d.comb += Assert(~valid | (user[1] == is_walk), "only walks are tagged")
        waiting = Signal(3)
        comes = dut.translated.valid & dut.translated.ready & ~given.refused
        m.d.sync += waiting.eq(waiting + comes - (valid & ready & ~is_walk))
        m.d.comb += Assert(~valid | is_walk | (waiting != 0), "it was given")
        m.d.comb += Assert(~dut.idle | (waiting == 0), "none is left when idle")
        m.d.comb += Cover(waiting == 2, "two at a time")
        return m


class WalksAreReadAtTheirPlace(Elaboratable):
    """The tag of a walk is some bit of it, the same of all."""

    def elaborate(self, platform):
        """The read is the walk; the answer is the entry of the beat that answers."""
        m = Module()
        m.submodules.dut = dut = Walker(
            addr_width=WIDTHS["addr_width"], user_width=WIDTHS["user_width"], slots=WALKS
        )
        anything(m, dut)
        which = AnyConst(4)
        walk, read = dut.walk.payload, dut.address.payload
        asked = Cat(walk.slot, walk.user[0], walk.place[: WIDTHS["addr_width"] - 3])
        m.d.comb += Assume(walk.user[1] == asked.bit_select(which, 1), "the tag is the bit")
        seen = Cat(read.id, read.user[0], read.addr[3:])
        same = read.user[1] == seen.bit_select(which, 1)
        whole = (read.addr[:3] == 0) & (read.size == 3) & (read.len == 0)
        m.d.comb += Assert(~dut.address.valid | (same & whole), "it is read at its place")
        m.d.comb += Cover(dut.address.valid & (which == 7), "there is one")

        beat, walked = dut.beat.payload, dut.walked.payload
        came = Signal()
        slot = Signal.like(beat.slot)
        word = Signal(64)
        failed = Signal()
        m.d.sync += came.eq(dut.beat.valid)
        m.d.sync += slot.eq(beat.slot)
        m.d.sync += word.eq(beat.data)
        m.d.sync += failed.eq(beat.resp.matches(Resp.SLVERR, Resp.DECERR))
        permits = Cat(walked.entry.read, walked.entry.write)
        m.d.comb += Assert(dut.walked.valid == came, "each beat is an answer")
        m.d.comb += Assert(~came | (walked.slot == slot), "for its own slot")
        m.d.comb += Assert(~came | (walked.error == failed), "and tells of an error")
        entry = (walked.entry.rpn == word[12:]) & (permits == Mux(failed, 0, word[:2]))
        m.d.comb += Assert(~came | entry, "and is the entry, which an error hides")
        return m


class InvalidationsFindTheTranslatorAtRest(Elaboratable):
    """The invalidator and the translator, joined as in the agent."""

    def elaborate(self, platform):
        """All else in the agent is idle when it likes."""
        m = Module()
        m.submodules.translator = translator = Translator(
            **SIZES, addr_width=12 + PAGE_BITS, user_width=1, room=2
        )
        m.submodules.invalidator = invalidator = Invalidator(windows=WINDOWS)
        anything(m, translator, but=("hold", "invalidate", "binding_lookup", "window_lookup"))
        configure(m, translator)
        anything(m, invalidator, but=("idle", "invalidation"))
        taken = translator.invalidate
        m.d.comb += translator.hold.eq(invalidator.hold)
        m.d.comb += invalidator.idle.eq(translator.idle & AnySeq(1))
        m.d.comb += taken.valid.eq(invalidator.invalidation.valid)
        m.d.comb += taken.payload.eq(invalidator.invalidation.payload)
        m.d.comb += invalidator.invalidation.ready.eq(taken.ready)

        at_rest = translator.hold & translator.idle
        m.d.comb += Assert(~taken.valid | at_rest, "nothing is inside")
        before = Signal.like(taken.payload)
        waited = Signal()
        m.d.sync += before.eq(taken.payload)
        m.d.sync += waited.eq(taken.valid & ~taken.ready)
        stays = taken.valid & (before == taken.payload)
        m.d.comb += Assert(~waited | stays, "an invalidation stays until it is taken")
        was_at_rest = Signal()
        m.d.sync += was_at_rest.eq(at_rest)
        m.d.comb += Assert(~was_at_rest | ~translator.hold | at_rest, "rest lasts")
        used = Signal()
        with m.If(translator.walked.valid):
            m.d.sync += used.eq(1)
        m.d.comb += Cover(taken.valid & taken.ready & used, "there is one, after a walk")
        return m


PROOFS = {
    f"{kind.__name__} {prefix}": functools.partial(kind, prefix)
    for kind in (RequestsAreForwardedAsTheyAre, OnlyWhatIsNotRefusedIsForwarded)
    for prefix in ("ar", "aw")
} | {
    kind.__name__: kind for kind in (WalksAreReadAtTheirPlace, InvalidationsFindTheTranslatorAtRest)
}


@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_always(verify, design):
    verify.reach(design())


@pytest.mark.parametrize("design", PROOFS.values(), ids=PROOFS)
def test_it_happens(verify, design):
    verify.cover(design(), depth=20)
