# amaranth: UnusedElaboratable=no
"""`TransmitRing` ends: what failed stops it, and it rests when all that is under way is over."""

import pytest

from byway.rtl.contract.model import codes
from byway.sim.transmit_ring_bench import TransmitRingBench, request

STOP = codes("ring_stop_reason")


@pytest.mark.parametrize("fail", [(0, 0), (1, 2), (3, 3)])
def test_entries_from_one_that_failed_on_become_no_frame(fail):
    bench = TransmitRingBench()
    dut = bench.dut
    entries = request(1).entries() * 8
    stops = 0

    async def count_stops(ctx):
        nonlocal stops
        async for _clk, _rst, stop in ctx.tick().sample(dut.status.stop):
            stops += stop

    async def software(ctx):
        await bench.enable(ctx)
        await bench.doorbell(ctx, 10)
        assert await bench.read(ctx, entries, fail=fail) == 8
        ctx.set(dut.taken_entries, 1)
        for number in range(fail[0]):
            assert ctx.get(dut.ready), number
            await bench.pulse(ctx, dut.taken)
        assert not ctx.get(dut.ready)
        assert ctx.get(dut.status.reason) == STOP.DESCRIPTOR_REFUSED
        assert ctx.get(dut.status.active)
        # What was asked for before is still answered; nothing of it counts.
        while ctx.get(dut.fetch.valid):
            await bench.read(ctx, entries)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.ready)
        assert stops == 1

    bench.run(software, background=[count_stops])


def test_disabled_ring_is_active_until_all_is_over():
    """Its reads are answered, its frames handed on, the completions of all of them written."""
    bench = TransmitRingBench()
    dut = bench.dut
    active = dut.status.active
    entries = request(3).entries() * 8

    async def software(ctx):
        await bench.enable(ctx)
        await bench.doorbell(ctx, 3)
        ctx.set(dut.config.enable, 0)
        await ctx.tick().repeat(3)
        assert await bench.read(ctx, entries) == 3
        await ctx.tick().repeat(3)
        assert ctx.get(active)
        assert ctx.get(dut.ready)
        ctx.set(dut.reading, 1)
        ctx.set(dut.taken_entries, 2)
        await bench.pulse(ctx, dut.taken)
        ctx.set(dut.reading, 0)
        # The third entry began a frame that did not come whole.
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.ready)
        assert ctx.get(active)
        await bench.pulse(ctx, dut.completed)
        await ctx.tick().repeat(2)
        assert not ctx.get(active)
        assert ctx.get(dut.status.consumer) == 2

        # Enabled again it knows nothing of all that.
        await bench.enable(ctx)
        assert ctx.get(dut.status.consumer) == 0
        assert ctx.get(dut.opens)
        assert ctx.get(dut.slot) == 0

    bench.run(software)


def test_refused_completion_drops_the_frames_not_yet_handed_on():
    bench = TransmitRingBench()
    dut = bench.dut

    async def software(ctx):
        await bench.hand_on(ctx, 8, 2)
        assert ctx.get(dut.ready)
        await bench.pulse(ctx, dut.refused)
        assert ctx.get(dut.mute)
        assert not ctx.get(dut.ready)
        await ctx.tick()
        assert ctx.get(dut.status.reason) == STOP.COMPLETION_REFUSED

        # It ends when the frame on its way has been left out.
        ctx.set(dut.config.enable, 0)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.status.active)
        await bench.pulse(ctx, dut.discarded)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.status.active)
        await bench.enable(ctx)
        assert not ctx.get(dut.mute)
        assert not ctx.get(dut.ready)

    bench.run(software)


def test_refused_data_drops_the_frames_not_yet_handed_on_but_writes_completions():
    bench = TransmitRingBench()
    dut = bench.dut

    async def software(ctx):
        await bench.hand_on(ctx, 8, 2)
        await bench.pulse(ctx, dut.data_refused)
        assert not ctx.get(dut.mute)
        assert not ctx.get(dut.ready)
        await ctx.tick()
        assert ctx.get(dut.status.reason) == STOP.DATA_REFUSED

        # It ends when the completions of those handed on are written.
        ctx.set(dut.config.enable, 0)
        await bench.pulse(ctx, dut.completed)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.status.active)
        await bench.pulse(ctx, dut.completed)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.status.active)

    bench.run(software)


@pytest.mark.parametrize("enabled", [0, 1])
def test_a_reset_of_a_ring_that_does_nothing_is_over_at_once(enabled):
    bench = TransmitRingBench()
    config, status = bench.dut.config, bench.dut.status

    async def software(ctx):
        # Enabled in the very cycle of the reset: it must not start.
        ctx.set(config.enable, enabled)
        ctx.set(config.reset, 1)
        assert ctx.get(status.reset_done)
        await ctx.tick()
        ctx.set(config.enable, 0)
        ctx.set(config.reset, 0)
        await ctx.tick().repeat(5)
        assert not ctx.get(status.active)
        await bench.enable(ctx)
        assert not ctx.get(bench.dut.mute)

    bench.run(software)


def test_a_reset_waits_for_what_is_under_way_and_drops_the_rest():
    """For reads of entries, and for frames handed on, of which no completion is wanted."""
    bench = TransmitRingBench()
    dut = bench.dut
    config, status = dut.config, dut.status
    entries = request(1).entries() * 8

    async def software(ctx):
        await bench.hand_on(ctx, 10, 1)
        ctx.set(config.reset, 1)
        await ctx.tick()
        ctx.set(config.enable, 0)
        assert ctx.get(dut.mute)
        assert not ctx.get(dut.ready)
        assert not ctx.get(status.reset_done)
        # The second block of entries had been asked for.
        assert await bench.read(ctx, entries, fail=(0, 0)) == 2
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.ready)
        assert not ctx.get(status.reset_done)
        await bench.pulse(ctx, dut.discarded)
        await ctx.tick()
        assert ctx.get(status.reset_done)
        await ctx.tick()
        ctx.set(config.reset, 0)
        assert not ctx.get(status.stopped)
        assert not ctx.get(status.consumer)
        await bench.enable(ctx)
        assert ctx.get(dut.opens)

    bench.run(software)


def test_muted_ring_is_active_while_a_frame_of_it_is_being_read():
    """That frame is still taken, and must not be counted in the ring's next life."""
    bench = TransmitRingBench()
    dut = bench.dut

    async def software(ctx):
        await bench.hand_on(ctx, 2, 1)
        ctx.set(dut.reading, 1)
        await bench.pulse(ctx, dut.refused)
        ctx.set(dut.config.enable, 0)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.status.active)
        await bench.pulse(ctx, dut.taken)
        ctx.set(dut.reading, 0)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.status.active)
        await bench.pulse(ctx, dut.discarded)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.status.active)

    bench.run(software)
