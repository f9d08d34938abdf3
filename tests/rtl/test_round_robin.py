# amaranth: UnusedElaboratable=no
"""`RoundRobin` serves each requester before it serves any twice."""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.transmit.round_robin import RoundRobin


@pytest.mark.parametrize("count", [1, 2, 3, 8, 32])
def test_the_first_after_the_one_served_last_is_chosen(count):
    dut = RoundRobin(count=count)
    rng = random.Random(count)

    async def bench(ctx):
        last = count - 1
        for _ in range(200):
            requests = rng.getrandbits(count) & rng.choice([-1, rng.getrandbits(count)])
            served = rng.random() < 0.7
            ctx.set(dut.requests, requests)
            ctx.set(dut.served, served)
            turns = [(last + 1 + step) % count for step in range(count)]
            expected = next((number for number in turns if requests >> number & 1), None)
            assert ctx.get(dut.grant) == (0 if expected is None else 1 << expected)
            assert ctx.get(dut.index) == (expected or 0)
            await ctx.tick()
            if served and expected is not None:
                last = expected

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


def test_a_choice_among_nobody_is_refused():
    with pytest.raises(ValueError, match="Requesters must be at least 1, not 0"):
        RoundRobin(count=0)
