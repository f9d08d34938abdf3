# amaranth: UnusedElaboratable=no
"""`Counter` shows the sum of all amounts up to two cycles ago, whole in every cycle."""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.counter import Counter


@pytest.mark.parametrize("start", [0, 2**63 - 2**37], ids=["from_zero", "through_bit_63"])
@pytest.mark.parametrize("width", [1, 8, 24, 31, 32])
def test_the_count_is_the_sum_of_the_amounts_two_cycles_late(width, start):
    dut = Counter(amount_width=width)
    rng = random.Random(width)
    largest = 2**width - 1
    sums = [start, start]  # Before this cycle's amount: of the cycle before, and of this one.

    async def bench(ctx):
        ctx.set(dut.count, start)  # Counting up to it would take years.
        for cycle in range(1000):
            amount = rng.choice([0, largest, largest, rng.getrandbits(width)])
            ctx.set(dut.amount, amount)
            _clk, _rst, count = await ctx.tick().sample(dut.count)
            assert count == sums[-2], f"seed {width}, cycle {cycle}"
            sums.append(sums[-1] + amount)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    carries = (sums[-1] - start) >> 32
    assert carries > 0 or width < 24


@pytest.mark.parametrize("width", [-1, 0, 33])
def test_other_widths_are_refused(width):
    with pytest.raises(ValueError, match=rf"^Amount width must be 1 to 32 bits, not {width}$"):
        Counter(amount_width=width)
