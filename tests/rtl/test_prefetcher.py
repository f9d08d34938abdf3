# amaranth: UnusedElaboratable=no
"""`Prefetcher` proposes the pages that follow, the newest stream's first, and none on hold."""

import pytest
from amaranth.sim import Simulator

from byway.rtl.translation.prefetcher import Prefetcher


def run(test, **parameters):
    dut = Prefetcher(**parameters)

    async def testbench(ctx):
        await test(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


async def tell(ctx, dut, index, user):
    ctx.set(dut.streamed.payload, {"index": index, "user": user})
    ctx.set(dut.streamed.valid, 1)
    await ctx.tick()
    ctx.set(dut.streamed.valid, 0)


async def proposed(ctx, dut, most=10):
    """Take proposals until there are none."""
    taken = []
    ctx.set(dut.taken, 1)
    while ctx.get(dut.proposal.valid) and len(taken) < most:
        payload = ctx.get(dut.proposal.payload)
        taken.append((payload.index, payload.user))
        await ctx.tick()
    ctx.set(dut.taken, 0)
    return taken


@pytest.mark.parametrize("distance", [1, 2, 5])
def test_as_many_pages_as_the_distance_are_proposed(distance):
    async def test(ctx, dut):
        assert not await proposed(ctx, dut)
        await tell(ctx, dut, 7, 3)
        await ctx.tick().repeat(5)
        assert await proposed(ctx, dut) == [(8 + number, 3) for number in range(distance)]

    run(test, distance=distance)


def test_a_newer_stream_takes_the_place_of_an_older():
    async def test(ctx, dut):
        await tell(ctx, dut, 7, 3)
        assert await proposed(ctx, dut, most=1) == [(8, 3)]
        await tell(ctx, dut, (1 << 52) - 1, 1)
        assert await proposed(ctx, dut) == [(0, 1), (1, 1), (2, 1)]

    run(test, distance=3)


def test_on_hold_nothing_is_proposed_and_nothing_is_remembered():
    async def test(ctx, dut):
        await tell(ctx, dut, 7, 3)
        ctx.set(dut.hold, 1)
        assert not await proposed(ctx, dut)
        await tell(ctx, dut, 9, 3)
        ctx.set(dut.hold, 0)
        await ctx.tick()
        assert not await proposed(ctx, dut)

    run(test)


def test_a_distance_of_none_is_refused():
    with pytest.raises(ValueError, match=r"^Distance must be at least 1, not 0$"):
        Prefetcher(distance=0)
