"""What the translator lets pass has the address that the entry of its own page gives, and may.

Shown, without a bound, of the translator alone, whatever the memory has in the tables: a request
that is not refused has the page number of the entry of the page that it asked for, in the window
that its requester is bound to, and that entry permits it. This holds for hits and after walks, when
walks are joined, and when lines are replaced.

To follow what becomes of an entry, bits of its page number are a tag: whether it is the entry of a
watched page, which may be any, and what it permits. A bit of AxUSER that makes no other difference
says whether that is the page that a request asks for.
"""

from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import (
    Array,
    Assert,
    Assume,
    Cat,
    Const,
    Cover,
    Elaboratable,
    Module,
    Mux,
    Signal,
    Value,
)
from amaranth.lib.wiring import In

from byway.rtl.translation.translator import Translator
from byway.rtl.translation.window import BindingLayout
from tests.formal.configuration import WALKS, WINDOWS

REQUESTERS = 2
PAGE_BITS = 3
#: Bits of a page index in a page of its table. The table of each window is a page.
LOW_BITS = 9


class AddressesAreThoseOfTheirEntries(Elaboratable):
    """Nothing is taken back; what is, is shown of the parts and of the bridge."""

    def elaborate(self, platform):
        """The tag of a walk is that of the place that it reads."""
        m = Module()
        m.submodules.dut = dut = Translator(
            windows=WINDOWS,
            addr_width=12 + PAGE_BITS,
            id_width=1,
            user_width=2,
            iotlb_sets=2,
            iotlb_ways=1,
            walks=WALKS,
            room=2,
        )
        but = ("binding_lookup", "window_lookup", "invalidate")
        for path, member, signal in dut.signature.flatten(dut):
            if member.flow == In and path[0] not in but:
                m.d.comb += signal.eq(AnySeq(len(Value.cast(signal))))

        # Every window is as large as can be, and whose it is makes the difference.
        bindings = Array(Signal(BindingLayout(), name=f"binding_{n}") for n in range(REQUESTERS))
        for binding in bindings:
            m.d.comb += binding.valid.eq(AnyConst(1))
            m.d.comb += binding.window.eq(AnyConst(1))
        m.d.comb += dut.binding_lookup.binding.eq(bindings[dut.binding_lookup.requester[0]])
        window = dut.window_lookup.window
        m.d.comb += window.enable.eq(1)
        m.d.comb += window.entries.eq(1 << PAGE_BITS)
        m.d.comb += window.table_base.eq(dut.window_lookup.number)

        # The watched page, who asks for it, and who reads its entry.
        watched = Cat(AnyConst(PAGE_BITS), Const(0, LOW_BITS - PAGE_BITS), AnyConst(1))
        for requests in (dut.reads, dut.writes):
            request = requests.payload
            place = Cat(
                request.addr[12:], Const(0, LOW_BITS - PAGE_BITS), bindings[request.user[0]].window
            )
            m.d.comb += Assume(request.user[1] == (place == watched), "the tag is the page")
        under_way = Signal(WALKS)
        tags = Signal(WALKS)
        walk, walked = dut.walk.payload, dut.walked.payload
        answered = under_way.bit_select(walked.slot, 1)
        m.d.comb += Assume(~dut.walked.valid | answered, "a walk is answered once")
        tag = Cat(tags.bit_select(walked.slot, 1), walked.entry.read, walked.entry.write)
        m.d.comb += Assume(walked.entry.rpn[:PAGE_BITS] == tag, "the tag is the entry")
        with m.If(dut.walked.valid):
            m.d.sync += answered.eq(0)
        with m.If(dut.walk.valid & dut.walk.ready):
            m.d.sync += under_way.bit_select(walk.slot, 1).eq(1)
            m.d.sync += tags.bit_select(walk.slot, 1).eq(walk.place == watched)

        for name, kind, write in (
            ("read", dut.translated_reads, 0),
            ("write", dut.translated_writes, 1),
        ):
            request = kind.payload.request
            passes = kind.valid & ~kind.payload.refused
            is_watched, may_read, may_write = request.addr[12:]
            m.d.comb += [
                Assert(~passes | (is_watched == request.user[1]), f"{name}: it is of its page"),
                Assert(~passes | Mux(write, may_write, may_read), f"{name}: it is permitted"),
                Assert(~passes | bindings[request.user[0]].valid, f"{name}: it has a window"),
                Cover(passes & is_watched, f"{name}: the watched page"),
            ]
        return m


def test_addresses_are_those_of_their_entries(verify):
    verify.reach(AddressesAreThoseOfTheirEntries())


def test_it_happens(verify):
    verify.cover(AddressesAreThoseOfTheirEntries(), depth=16)
