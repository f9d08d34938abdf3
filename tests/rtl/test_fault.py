# amaranth: UnusedElaboratable=no
"""`FaultLog` keeps refusals in order, and counts those that find no room.

The reference is a list of records, the requesters that have one in their place, and a number.
"""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from byway.rtl.translation.fault import FaultLog

REQUESTERS = 3


def random_fault(rng, requester=None):
    """Without `requester`, of one that has no place."""
    return {
        "record": {
            "requester": rng.randrange(REQUESTERS, 256) if requester is None else requester,
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


def run(test, *, depth=8):
    dut = FaultLog(depth=depth, requesters=REQUESTERS)

    async def testbench(ctx):
        await test(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


def test_a_refusal_is_shown_three_cycles_later():
    async def test(ctx, dut):
        fault = random_fault(random.Random(1))
        assert shown(ctx, dut) is None
        await refuse(ctx, dut, fault)
        await ctx.tick()
        assert shown(ctx, dut) is None
        await ctx.tick()
        assert shown(ctx, dut) == fault

    run(test)


def test_a_storm_of_one_requester_leaves_room_for_a_record_of_each_other():
    async def test(ctx, dut):
        rng = random.Random(2)
        storm = [random_fault(rng, 0) for _ in range(300)]
        others = [random_fault(rng, requester) for requester in (2, 1)]
        for fault in storm + others:
            await refuse(ctx, dut, fault)
        await ctx.tick().repeat(2)
        # One of the storm in its place, and as many as there are places for nobody.
        kept = storm[: 8 - REQUESTERS] + others
        assert ctx.get(dut.fault_status.lost) == len(storm + others) - len(kept)
        for fault in kept:
            assert shown(ctx, dut) == fault
            await pulse(ctx, dut.fault_status.valid_modify)
            await ctx.tick()
        assert shown(ctx, dut) is None
        assert ctx.get(dut.fault_status.lost)
        await pulse(ctx, dut.fault_status.lost_modify)
        assert ctx.get(dut.fault_status.lost) == 0

    run(test)


def test_a_drop_while_nothing_is_shown_drops_nothing():
    async def test(ctx, dut):
        fault = random_fault(random.Random(3))
        await pulse(ctx, dut.fault_status.valid_modify)
        ctx.set(dut.fault_status.valid_modify, 1)
        await refuse(ctx, dut, fault)
        await ctx.tick().repeat(2)
        ctx.set(dut.fault_status.valid_modify, 0)
        assert shown(ctx, dut) == fault

    run(test)


def test_the_count_of_lost_refusals_saturates():
    async def test(ctx, dut):
        ctx.set(dut.fault.payload, random_fault(random.Random(4)))
        ctx.set(dut.fault.valid, 1)
        await ctx.tick().repeat(1 + 1 + 0xFFFE)
        assert ctx.get(dut.fault_status.lost) == 0xFFFE
        await ctx.tick().repeat(4)
        assert ctx.get(dut.fault_status.lost) == 0xFFFF
        ctx.set(dut.fault_status.lost_modify, 1)
        await ctx.tick()
        assert ctx.get(dut.fault_status.lost) == 1, "a refusal lost with the clearing counts"

    run(test, depth=4)


@pytest.mark.parametrize("seed", range(3))
def test_every_refusal_is_recorded_in_order_or_counted(seed):
    async def test(ctx, dut):
        rng = random.Random(seed)
        kept, lost, coming = deque(), 0, None
        places: set[int] = set()
        for cycle in range(2500):
            where = f"seed {seed}, cycle {cycle}"
            refused = rng.random() < 0.2
            drops = rng.random() < 0.2
            clears = rng.random() < 0.02
            fault = random_fault(rng, rng.choice([None, 0, 0, *range(REQUESTERS)]))
            now = shown(ctx, dut)
            if now is not None:
                assert now == kept[0][0], where
            assert ctx.get(dut.fault_status.lost) == lost, where

            ctx.set(dut.fault.payload, fault)
            ctx.set(dut.fault.valid, refused)
            ctx.set(dut.fault_status.valid_modify, drops)
            ctx.set(dut.fault_status.lost_modify, clears)
            await ctx.tick()
            lost = 0 if clears else lost
            requester = None if coming is None else coming["record"]["requester"]
            in_place = requester in set(range(REQUESTERS)) - places
            room = in_place or len(kept) < 8 - REQUESTERS
            if drops and now is not None and kept.popleft()[1]:
                places.remove(now["record"]["requester"])
            if coming is not None:
                if room:
                    kept.append((coming, in_place))
                    places |= {requester} if in_place else set()
                else:
                    lost += 1
            coming = fault if refused else None

    run(test)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"depth": 6}, "Depth must be a power of two above 2 for as many requesters, not 6"),
        (
            {"depth": 8, "requesters": 8},
            "Depth must be a power of two above 8 for as many requesters, not 8",
        ),
        ({"requesters": 0}, "Requesters must be a positive integer, not 0"),
    ],
)
def test_what_cannot_be_built_is_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        FaultLog(**parameters)
