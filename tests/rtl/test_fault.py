# amaranth: UnusedElaboratable=no
"""`FaultLog` keeps refusals in order, and counts those that find no room.

The reference is a list of 8 records and a number.
"""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from byway.rtl.translation.fault import FaultLog


def random_fault(rng):
    return {
        "record": {
            "requester": rng.getrandbits(8),
            "window": rng.getrandbits(8),
            "reason": rng.randrange(9),
            "write": rng.getrandbits(1),
        },
        "address": rng.getrandbits(64),
    }


async def refuse(ctx, dut, fault):
    ctx.set(dut.fault.payload, fault)
    ctx.set(dut.fault.valid, 1)
    await ctx.tick()
    ctx.set(dut.fault.valid, 0)


async def pulse(ctx, signal):
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


def shown(ctx, dut):
    """The fault shown, as `random_fault` gives it, or None."""
    if not ctx.get(dut.fault_status.valid):
        return None
    record = ctx.get(dut.fault_record)
    names = ("requester", "window", "reason", "write")
    return {
        "record": {name: getattr(record, name) for name in names},
        "address": ctx.get(dut.fault_address),
    }


def run(test, **parameters):
    dut = FaultLog(**parameters)

    async def testbench(ctx):
        await test(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


def test_a_refusal_is_shown_two_cycles_later():
    async def test(ctx, dut):
        fault = random_fault(random.Random(1))
        assert shown(ctx, dut) is None
        await refuse(ctx, dut, fault)
        assert shown(ctx, dut) is None
        await ctx.tick()
        assert shown(ctx, dut) == fault

    run(test)


def test_nine_refusals_at_once_leave_eight_records_and_one_lost():
    async def test(ctx, dut):
        rng = random.Random(2)
        faults = [random_fault(rng) for _ in range(9)]
        for fault in faults:
            await refuse(ctx, dut, fault)
        await ctx.tick()
        assert ctx.get(dut.fault_status.lost) == 1
        for fault in faults[:8]:
            assert shown(ctx, dut) == fault
            await pulse(ctx, dut.fault_status.valid_modify)
            await ctx.tick()
        assert shown(ctx, dut) is None
        assert ctx.get(dut.fault_status.lost) == 1
        await pulse(ctx, dut.fault_status.lost_modify)
        assert ctx.get(dut.fault_status.lost) == 0

    run(test)


def test_a_drop_while_nothing_is_shown_drops_nothing():
    async def test(ctx, dut):
        fault = random_fault(random.Random(3))
        await pulse(ctx, dut.fault_status.valid_modify)
        ctx.set(dut.fault_status.valid_modify, 1)
        await refuse(ctx, dut, fault)
        await ctx.tick()
        ctx.set(dut.fault_status.valid_modify, 0)
        assert shown(ctx, dut) == fault

    run(test)


def test_the_count_of_lost_refusals_saturates():
    async def test(ctx, dut):
        ctx.set(dut.fault.valid, 1)
        await ctx.tick().repeat(2 + 0xFFFE)
        assert ctx.get(dut.fault_status.lost) == 0xFFFE
        await ctx.tick().repeat(4)
        assert ctx.get(dut.fault_status.lost) == 0xFFFF
        ctx.set(dut.fault_status.lost_modify, 1)
        await ctx.tick()
        assert ctx.get(dut.fault_status.lost) == 1, "a refusal lost with the clearing counts"

    run(test, depth=2)


@pytest.mark.parametrize("seed", range(3))
def test_every_refusal_is_recorded_in_order_or_counted(seed):
    async def test(ctx, dut):
        rng = random.Random(seed)
        kept, lost, room = deque(), 0, 8
        for cycle in range(1500):
            where = f"seed {seed}, cycle {cycle}"
            refused = rng.random() < 0.2
            drops = rng.random() < 0.2
            clears = rng.random() < 0.02
            fault = random_fault(rng)
            now = shown(ctx, dut)
            if now is not None:
                assert now == kept[0], where
            assert ctx.get(dut.fault_status.lost) == lost, where

            ctx.set(dut.fault.payload, fault)
            ctx.set(dut.fault.valid, refused)
            ctx.set(dut.fault_status.valid_modify, drops)
            ctx.set(dut.fault_status.lost_modify, clears)
            await ctx.tick()
            lost = 0 if clears else lost
            if refused:
                if len(kept) < room:
                    kept.append(fault)
                else:
                    lost += 1
            if drops and now is not None:
                kept.popleft()

    run(test)


def test_the_depth_is_checked():
    with pytest.raises(ValueError, match=r"^Depth must be a power of two, at least 2, not 6$"):
        FaultLog(depth=6)
