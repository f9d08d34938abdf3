# amaranth: UnusedElaboratable=no
"""`Invalidator` holds, waits for silence, lets the IOTLB forget, and only then tells of the end.

The reference is that sequence, walked through with a random number of cycles at each step.
"""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.contract.model import codes
from byway.rtl.translation.invalidator import Invalidator

Scope = codes("invalidate_scope")


def simulate(dut, testbench):
    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("wait", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("windows", [1, 4, 256])
def test_each_invalidation_takes_its_steps_in_order_and_minds_no_other_start(windows, wait):
    """Between the steps all that must not matter changes: fields, starts, idle and ready."""
    seed = f"{windows} {wait}"
    rng = random.Random(seed)
    dut = Invalidator(windows=windows)
    window_mask = (1 << len(dut.invalidation.payload.page.window)) - 1

    async def testbench(ctx):
        async def cycle(*, start, idle, ready):
            """One cycle with random fields; what was shown in it as (hold, valid), and fields."""
            fields = (rng.choice(list(Scope)), rng.getrandbits(8), rng.getrandbits(32))
            ctx.set(dut.invalidate.scope, fields[0])
            ctx.set(dut.invalidate.window, fields[1])
            ctx.set(dut.invalidate.index, fields[2])
            ctx.set(dut.invalidate.start, start)
            ctx.set(dut.idle, idle)
            ctx.set(dut.invalidation.ready, ready)
            assert ctx.get(dut.invalidate.busy) == ctx.get(dut.hold), seed
            shown = ctx.get(dut.hold), ctx.get(dut.invalidation.valid)
            await ctx.tick()
            return shown, fields

        def lasts():
            return rng.random() < wait

        def any_bit():
            return rng.getrandbits(1)

        for _ in range(60):
            # Ready.
            while lasts():
                shown, _fields = await cycle(start=0, idle=any_bit(), ready=any_bit())
                assert shown == (0, 0), seed
            shown, fields = await cycle(start=1, idle=any_bit(), ready=any_bit())
            assert shown == (0, 0), seed
            # Drain.
            while lasts():
                shown, _fields = await cycle(start=any_bit(), idle=0, ready=any_bit())
                assert shown == (1, 0), seed
            shown, _fields = await cycle(start=any_bit(), idle=1, ready=any_bit())
            assert shown == (1, 0), seed
            # Forget.
            taken = False
            while not taken:
                taken = not lasts()
                payload = ctx.get(dut.invalidation.payload)
                page = payload.page
                expected = (fields[0], fields[1] & window_mask, fields[2])
                assert (payload.scope, page.window, page.index) == expected, seed
                shown, _fields = await cycle(start=any_bit(), idle=1, ready=taken)
                assert shown == (1, 1), seed

    simulate(dut, testbench)


@pytest.mark.parametrize("iotlb_cycles", [1, 4])
def test_busy_falls_two_cycles_and_those_of_the_iotlb_after_start(iotlb_cycles):
    """With the 4 of `IOTLB`, the promised 6."""
    dut = Invalidator()

    async def testbench(ctx):
        ctx.set(dut.idle, 1)
        ctx.set(dut.invalidate.start, 1)
        await ctx.tick()
        ctx.set(dut.invalidate.start, 0)
        cycles = 1
        while ctx.get(dut.hold):
            ctx.set(dut.invalidation.ready, cycles > iotlb_cycles)
            await ctx.tick()
            cycles += 1
        assert cycles == 2 + iotlb_cycles

    simulate(dut, testbench)


@pytest.mark.parametrize("windows", [0, 257])
def test_a_number_of_windows_that_the_registers_cannot_name_is_refused(windows):
    with pytest.raises(ValueError, match=f"^Windows must be 1 to 256, not {windows}$"):
        Invalidator(windows=windows)
