"""No refused access goes unnoticed: each leaves its record, in order, or counts as lost.

The fault log stands between arbitrary refusals and arbitrary software. Those that leave records are
coloured. Shown, without a bound:

- each refusal leaves a record or is counted, up to the limit, whenever software clears the count;
- one of a requester that has no record there leaves one, whatever others do, and so does any while
  there is room beside the places that are kept;
- records are shown in their order, each until software drops it, and soon.
"""

from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal

from byway.rtl.translation.fault import FaultLog
from tests.formal.colours import BLACK, may_follow

DEPTH = 2
REQUESTERS = 1
SOON = 3


class RefusalsAreNoticed(Elaboratable):
    """What software sees of the count tells which refusals left a record."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = FaultLog(depth=DEPTH, requesters=REQUESTERS)
        fault, status = dut.fault, dut.fault_status
        clears = AnySeq(1)
        m.d.comb += [
            fault.valid.eq(AnySeq(1)),
            fault.payload.eq(AnySeq(len(fault.payload.as_value()))),
            status.valid_modify.eq(AnySeq(1)),
            status.lost_modify.eq(clears),
        ]
        watched = AnyConst(range(REQUESTERS))

        # A refusal shows in the count two cycles later.
        looked_at, noticed, cleared, was_dropped = (Signal() for _ in range(4))
        colours = Signal(2), Signal(2)
        requesters = Signal(8), Signal(8)
        before = Signal(16)
        dropped = status.valid_modify & status.valid
        m.d.sync += [
            looked_at.eq(fault.valid),
            noticed.eq(looked_at),
            cleared.eq(clears),
            was_dropped.eq(dropped),
            colours[0].eq(fault.payload.address),
            colours[1].eq(colours[0]),
            requesters[0].eq(fault.payload.record.requester),
            requesters[1].eq(requesters[0]),
            before.eq(status.lost),
        ]
        counted = status.lost != Mux(cleared, 0, before)
        m.d.comb += Assume(~before.all(), "the count is below its limit")
        one_more = status.lost == Mux(cleared, 0, before) + 1
        m.d.comb += Assert(~counted | (noticed & one_more), "a refusal is counted once")

        # What is not counted is held until software drops it.
        recorded = noticed & ~counted
        of_watched = recorded & (requesters[1] == watched)
        shown = dut.fault_record.requester == watched
        held = Signal(range(DEPTH + 1))
        held_of_watched = Signal(range(DEPTH + 1))
        m.d.sync += held.eq(held + recorded - dropped)
        m.d.sync += held_of_watched.eq(held_of_watched + of_watched - (dropped & shown))
        is_watched = noticed & (requesters[1] == watched)
        has_one = (held_of_watched != 0) | was_dropped
        m.d.comb += Assert(~is_watched | has_one | recorded, "there is a place for its first")
        free = held + was_dropped < DEPTH - REQUESTERS
        m.d.comb += Assert(~counted | ~free, "others have what is free")
        m.d.comb += Assert(~status.valid | (held != 0), "what is shown is held")
        since = Signal(range(SOON + 1))
        m.d.sync += since.eq(Mux((held == 0) | dropped, 0, since + (since != SOON)))
        m.d.comb += Assert(status.valid | (since != SOON), "what is held is shown")

        colour = dut.fault_address[:2]
        m.d.comb += Assume(~recorded | may_follow(m, recorded, colours[1]), "white, grey, black")
        m.d.comb += Assert(~status.valid | may_follow(m, dropped, colour), "in their order")
        m.d.comb += Cover(dropped & (colour == BLACK) & (status.lost == 2), "some are lost")
        return m


def test_every_refusal_is_noticed(verify):
    verify.reach(RefusalsAreNoticed())


def test_it_happens(verify):
    verify.cover(RefusalsAreNoticed(), depth=20)
