# amaranth: UnusedElaboratable=no
"""Rings of `TransmitRings` stop, are disabled or get stuck alone, and start again as new."""

import random

import pytest

from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.rtl.contract.model import codes
from byway.sim.descriptor_bench import ENTRY_BYTES, plain_request, plain_requests, random_request
from byway.sim.rings_bench import AWKWARD, RECORD_BYTES, RingBench, RingsBench

STOP = codes("ring_stop_reason")


def stop_test(seed, first, *, reason, expect=None, disturb=None, fail=None, refuse=None):
    """Ring 0 stops after `expect` completions for `reason`; the other finishes; it starts again.

    `fail` prepares the memory, `refuse` the path; `disturb` is a coroutine that does what a driver
    must not. Without `expect` every frame that the path ended must have its completion.
    """
    rng = random.Random(seed)
    second = plain_requests(20)
    others = [random_request(rng, rng.getrandbits(32), bad=0.3) for _ in range(15)]
    rings = [RingBench(0, first), RingBench(1, others)]
    bench = RingsBench(rings, seed=seed, timing=AWKWARD, path_stall=0.1, errors=0.1, delay=20)
    bench.refuse = refuse
    ring, status, config = rings[0], bench.dut.status[0], bench.dut.config[0]
    if fail is not None:
        fail(bench.memory, ring)

    async def stop_and_restart(ctx):
        while not ctx.get(status.active):
            await ctx.tick()
        if disturb is not None:
            await disturb(ctx, bench, ring)
        while not ctx.get(status.stopped):
            await ctx.tick()
        assert ctx.get(status.reason) == reason
        for _ in range(600):
            await ctx.tick()
        assert ring.completions == ring.expected(len(ring.ends) if expect is None else expect)
        assert ring.stops == 1
        assert ctx.get(status.active)

        # What the driver does now is of no account until it disables the ring.
        reads = len([burst for burst in bench.reads.read_bursts if burst.user == 0])
        await bench.announce(ctx, ring, 0, 1)
        for _ in range(20):
            await ctx.tick()
        assert reads == len([burst for burst in bench.reads.read_bursts if burst.user == 0])
        ctx.set(config.enable, 0)
        await ctx.tick().until(~status.active)
        assert ctx.get(status.stopped)
        assert ctx.get(status.reason) == reason

        # Enabled again it is as new.
        bench.memory.mend()
        ring.load(second)
        ctx.set(config.enable, 1)
        await ctx.tick().until(status.active)
        assert not ctx.get(status.stopped)
        assert ctx.get(status.reason) == STOP.NONE
        assert ctx.get(status.consumer) == 0
        await bench.driver(ring)(ctx)
        while len(ring.completions) < len(second):
            await ctx.tick()

    bench.run({0: 0, 1: len(others)}, stop_and_restart)
    bench.check_completions()
    assert ring.stops == 1


@pytest.mark.parametrize(
    ("entry", "row", "response"),
    [(0, 0, Resp.SLVERR), (7, 2, Resp.DECERR), (13, 3, Resp.SLVERR)],
)
def test_a_descriptor_read_that_fails_stops_its_ring_alone(entry, row, response):
    """The frames before it are finished, those from it on do not exist."""
    first = [plain_request(number, 1 + 2 * (number % 3)) for number in range(30)]

    def fail(memory, ring):
        place = ring.descriptor_page * PAGE_BYTES + entry * ENTRY_BYTES + row * 8
        memory.fail(place, 8, response)

    stop_test(
        f"descriptor {entry}",
        first,
        expect=RingBench(0, first).whole_frames(entry),
        reason=STOP.DESCRIPTOR_REFUSED,
        fail=fail,
    )


@pytest.mark.parametrize("response", [Resp.SLVERR, Resp.DECERR])
def test_a_completion_that_is_refused_stops_its_ring_alone(response):
    """Its frames that are on the way end without a completion."""

    def fail(memory, ring):
        place = ring.completion_page * PAGE_BYTES + 3 * RECORD_BYTES
        memory.fail(place, 13 * RECORD_BYTES, response)

    stop_test(
        f"completion {response}",
        [plain_request(number, 1 + number % 3) for number in range(40)],
        expect=3,
        reason=STOP.COMPLETION_REFUSED,
        fail=fail,
    )


@pytest.mark.parametrize("refused", [0, 7])
def test_refused_data_stops_its_ring_alone(refused):
    """It is told by its frame's completion; frames started behind it have theirs, others none."""
    first = [plain_request(number, 1 + number % 3) for number in range(40)]
    ended = 0

    def refuse(ring, number):
        nonlocal ended
        if ring.number or ring.requests is not first:
            return False
        ended = number
        return number == refused

    stop_test(f"data {refused}", first, reason=STOP.DATA_REFUSED, refuse=refuse)
    assert refused < ended < len(first) - 1


@pytest.mark.parametrize("producer", [20, 2, 0x8000])
def test_a_doorbell_out_of_range_stops_its_ring_alone(producer):
    """Too far, or back: entries announced before are still good."""
    first = plain_requests(3)

    async def disturb(ctx, bench, ring):
        while len(ring.completions) < 3:
            await ctx.tick()
        ctx.set(bench.dut.config[0].producer, producer)
        ctx.set(bench.dut.config[0].producer_modify, 1)
        await ctx.tick()
        ctx.set(bench.dut.config[0].producer_modify, 0)

    stop_test(
        f"doorbell {producer}",
        first,
        expect=3,
        reason=STOP.DOORBELL_RANGE,
        disturb=disturb,
    )


@pytest.mark.parametrize("after", [0, 1, 10])
def test_a_ring_that_is_disabled_ends_in_order(after):
    """Whatever was started is completed before it is inactive; then it starts at index 0 again."""
    seed = f"disable {after}"
    rng = random.Random(seed)
    first = [random_request(rng, rng.getrandbits(32), bad=0.2) for _ in range(60)]
    second = plain_requests(20)
    rings = [
        RingBench(0, first, size_log2=6),
        RingBench(1, plain_requests(30)),
    ]
    bench = RingsBench(rings, seed=seed, timing=AWKWARD, path_stall=0.2, errors=0.1, delay=20)
    ring, status, config = rings[0], bench.dut.status[0], bench.dut.config[0]

    async def disable_and_restart(ctx):
        while not ctx.get(status.active) or len(ring.completions) < after:
            await ctx.tick()
        ctx.set(config.enable, 0)
        await ctx.tick().until(~status.active)
        done = len(ring.completions)
        assert after <= done < len(first)
        assert ring.completions == ring.expected(done)
        consumed = sum(len(request.entries()) for request in first[:done])
        assert ctx.get(status.consumer) == consumed
        for _ in range(200):
            await ctx.tick()
        assert len(ring.completions) == done

        # A doorbell of a ring that is not active is not heard.
        await bench.announce(ctx, ring, 0, 4)
        ring.load(second)
        ctx.set(config.enable, 1)
        await ctx.tick().until(status.active)
        await bench.driver(ring)(ctx)
        while len(ring.completions) < len(second):
            await ctx.tick()

    bench.run({0: 0, 1: 30}, disable_and_restart)
    bench.check_completions()
    assert ring.stops == 0


def test_a_frame_that_is_announced_in_part_delays_no_other_ring():
    stuck = RingBench(0, [plain_request(0, 31)])
    stuck.entries = stuck.entries[:9]
    other = RingBench(1, plain_requests(40))
    bench = RingsBench([stuck, other], seed="partial", delay=10)

    async def disable(ctx):
        while len(other.completions) < len(other.requests):
            await ctx.tick()
        ctx.set(bench.dut.config[0].enable, 0)
        await ctx.tick().until(~bench.dut.status[0].active)

    bench.run({0: 0, 1: 40}, disable)
    assert stuck.completions == []
    assert other.completions == other.expected()
