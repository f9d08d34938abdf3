# amaranth: UnusedElaboratable=no
"""`OutstandingCounter` tells none, one and room of what began and did not end before this cycle."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Resp
from byway.rtl.translation.outstanding import OutstandingCounter, answer_of_memory


@pytest.mark.parametrize("limit", [2, 4, 16])
@pytest.mark.parametrize("pace", [0.5, 0.9])
def test_none_one_and_room_follow_the_count(limit, pace):
    """It fills and drains in turn; begins and ends also meet in one cycle."""
    dut = OutstandingCounter(limit=limit)
    seed = f"{limit} {pace}"
    seen = set()

    async def bench(ctx):
        rng = random.Random(seed)
        count = 0
        for cycle in range(800):
            fills = cycle // 100 % 2 == 0
            begins = count < limit and rng.random() < (pace if fills else 0.3)
            ends = count > 0 and rng.random() < (0.3 if fills else pace)
            ctx.set(dut.begins, begins)
            ctx.set(dut.ends, ends)
            _clk, _rst, *told = await ctx.tick().sample(dut.none, dut.one, dut.room)
            expected = [count == 0, count == 1, count < limit]
            assert told == expected, f"seed {seed}, cycle {cycle}, {count} under way"
            seen.add(count)
            count += begins - ends

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert seen == set(range(limit + 1))


@pytest.mark.parametrize("limit", [-2, 0, 1, 3, 12])
def test_other_limits_are_refused(limit):
    with pytest.raises(
        ValueError,
        match=rf"^Outstanding transactions must be a power of two, at least 2, not {limit}$",
    ):
        OutstandingCounter(limit=limit)


def test_of_the_memorys_answers_only_decerr_is_changed():
    resp, answer = Signal(2), Signal(2)
    m = Module()
    m.d.comb += answer.eq(answer_of_memory(resp))

    async def bench(ctx):
        for given in Resp:
            ctx.set(resp, given)
            assert ctx.get(answer) == (Resp.SLVERR if given == Resp.DECERR else given)

    sim = Simulator(m)
    sim.add_testbench(bench)
    sim.run()
