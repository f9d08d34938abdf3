# amaranth: UnusedElaboratable=no
"""`TransmitRing` keeps its books: what it fetches, when a frame is ready."""

import random
from collections import deque

import pytest

from byway.rtl.contract.model import codes
from byway.rtl.transmit.ring import BLOCK_ENTRIES, PREFETCH_ENTRIES, TransmitRing
from byway.sim.descriptor_bench import ENTRY_BYTES
from byway.sim.transmit_ring_bench import BASE_PAGE, TransmitRingBench, request

STOP = codes("ring_stop_reason")


@pytest.mark.parametrize(("data_width", "size_log2"), [(64, 4), (64, 6), (128, 8)])
def test_entries_are_fetched_in_blocks_and_frames_become_ready(data_width, size_log2):
    seed = f"{data_width} {size_log2}"
    rng = random.Random(seed)
    requests = [request(rng.choice([0, 1, 1, 2, 3, 4, 30, 31, 32, 255])) for _ in range(70)]
    entries = [entry for each in requests for entry in each.entries()]
    bench = TransmitRingBench(data_width=data_width, size_log2=size_log2, seed=seed)
    dut, size, rows = bench.dut, 1 << size_log2, ENTRY_BYTES * 8 // data_width
    produced = arrived = taken = 0
    asked: deque[int] = deque()

    async def software(ctx):
        nonlocal produced
        await bench.enable(ctx)
        while produced < len(entries):
            produced += rng.randint(0, min(size - (produced - taken), len(entries) - produced))
            await bench.doorbell(ctx, produced)
            await ctx.tick().repeat(rng.choice([1, 1, 5, 40]))

    async def fetches(ctx):
        fetched = 0
        while fetched < len(entries):
            await ctx.tick().repeat(rng.choice([1, 1, 10]))
            address, count = await bench.fetch(ctx)
            assert address == BASE_PAGE * 4096 + fetched % size * ENTRY_BYTES, seed
            assert 1 <= count <= BLOCK_ENTRIES - fetched % BLOCK_ENTRIES, seed
            fetched += count
            assert fetched <= produced, seed
            assert fetched - taken <= PREFETCH_ENTRIES, seed
            asked.extend(range(fetched - count, fetched))

    async def memory(ctx):
        nonlocal arrived
        for each in requests:
            for number, entry in enumerate(each.entries()):
                while not asked:
                    await ctx.tick()
                asked.popleft()
                for row in range(rows):
                    while rng.random() < 0.3:
                        await ctx.tick()
                    final = number == len(each.entries()) - 1 and row == rows - 1
                    assert ctx.get(dut.slot) == arrived % PREFETCH_ENTRIES, seed
                    assert ctx.get(dut.row) == row, seed
                    assert ctx.get(dut.opens) == int(number == 0 and row == 0), seed
                    assert ctx.get(dut.closes) == int(final), seed
                    await bench.beat(ctx, entry, row)
                arrived += 1

    async def scheduler(ctx):
        nonlocal taken
        for each in requests:
            count = len(each.entries())
            while not ctx.get(dut.ready):
                assert arrived < taken + count, seed
                await ctx.tick()
            assert arrived >= taken + count, seed
            assert ctx.get(dut.status.consumer) == taken, seed
            ctx.set(dut.reading, 1)
            await ctx.tick().repeat(rng.choice([3, 3, 30]))
            ctx.set(dut.taken_entries, count)
            await bench.pulse(ctx, dut.taken)
            ctx.set(dut.reading, 0)
            taken += count
            await bench.pulse(ctx, dut.completed)
        assert not ctx.get(dut.ready)

    bench.run(software, fetches, memory, scheduler)


def test_request_follows_the_doorbell_by_two_cycles():
    bench = TransmitRingBench()

    async def software(ctx):
        await bench.enable(ctx)
        await ctx.tick().repeat(3)
        await bench.doorbell(ctx, 5)
        assert not ctx.get(bench.dut.fetch.valid)
        await ctx.tick()
        assert ctx.get(bench.dut.fetch.valid)
        assert ctx.get(bench.dut.fetch.payload.entries) == 5

    bench.run(software)


@pytest.mark.parametrize(
    ("size_log2", "producers", "stops"),
    [
        (4, [16], False),
        (4, [17], True),
        (4, [0], False),
        (4, [5, 5, 16], False),
        (4, [5, 4], True),
        (4, [5, 0], True),
        (4, [10, 17], True),
        (4, [0xFFFF], True),
        (0, [16], False),
        (0, [17], True),
        (12, [4096], False),
        (12, [4097], True),
        (15, [4096], False),
        (15, [4097], True),
    ],
)
def test_doorbells_move_forward_by_no_more_than_the_size(size_log2, producers, stops):
    """Sizes outside the limits of 16 and 4,096 act as the nearest."""
    bench = TransmitRingBench(size_log2=size_log2)
    status = bench.dut.status

    async def software(ctx):
        await bench.enable(ctx)
        for producer in producers:
            await bench.doorbell(ctx, producer)
            await ctx.tick()
        await ctx.tick().repeat(2)
        assert ctx.get(status.stopped) == int(stops)
        assert ctx.get(status.reason) == (STOP.DOORBELL_RANGE if stops else STOP.NONE)

    bench.run(software)


def test_doorbells_keep_within_the_size_of_the_consumer():
    bench = TransmitRingBench()
    status = bench.dut.status

    async def software(ctx):
        await bench.hand_on(ctx, 8, 3)
        await bench.doorbell(ctx, 19)
        await ctx.tick().repeat(2)
        assert not ctx.get(status.stopped)
        await bench.doorbell(ctx, 20)
        await ctx.tick().repeat(2)
        assert ctx.get(status.reason) == STOP.DOORBELL_RANGE

    bench.run(software)


def test_doorbell_of_an_inactive_ring_is_not_heard():
    bench = TransmitRingBench()

    async def software(ctx):
        await bench.doorbell(ctx, 3)
        await bench.enable(ctx)
        await ctx.tick().repeat(5)
        assert not ctx.get(bench.dut.fetch.valid)
        assert not ctx.get(bench.dut.status.stopped)

    bench.run(software)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"addr_width": 31}, "Address width must be 32 to 64, not 31"),
        ({"data_width": 512}, "Data width must be 64 or 128, not 512"),
    ],
)
def test_what_cannot_be_built_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        TransmitRing(**parameters)
