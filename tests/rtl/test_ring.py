# amaranth: UnusedElaboratable=no
"""`TransmitRing` keeps its books: what it fetches, when a frame is ready, when it ends."""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from byway.rtl.contract.model import codes, record
from byway.rtl.transmit.ring import BLOCK_ENTRIES, PREFETCH_ENTRIES, TransmitRing
from byway.sim.descriptor_bench import Fragment, FrameRequest

STOP = codes("ring_stop_reason")
ENTRY_BYTES = record("transmit_descriptor").size // 8
BASE_PAGE = 0xFEDCB_A9876543


def request(count):
    """A frame of so many fragments; out of range, it is told by its descriptor alone."""
    parts = tuple(Fragment(number, 64) for number in range(count if 1 <= count <= 31 else 1))
    return FrameRequest(parts, count, 64 * len(parts))


class Bench:
    """Software, memory and scheduler around one ring."""

    def __init__(self, *, data_width=64, size_log2=4, seed=""):
        self.dut = TransmitRing(data_width=data_width)
        self.row_bytes = data_width // 8
        self.size_log2 = size_log2
        self.seed = seed
        self.bursts: list[tuple[int, int]] = []
        self.cycle = 0

    def run(self, *testbenches, background=()):
        async def clock(ctx):
            async for _ in ctx.tick():
                self.cycle += 1
                assert self.cycle < 20_000, f"no end, seed {self.seed!r}"

        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_process(clock)
        for testbench in background:
            sim.add_testbench(testbench, background=True)
        for testbench in testbenches:
            sim.add_testbench(testbench)
        sim.run()

    async def enable(self, ctx):
        config = self.dut.config
        ctx.set(config.descriptor_base, BASE_PAGE)
        ctx.set(config.size_log2, self.size_log2)
        await ctx.tick().repeat(2)
        ctx.set(config.enable, 1)
        await ctx.tick().until(self.dut.status.active)

    async def doorbell(self, ctx, producer):
        ctx.set(self.dut.config.producer, producer % 2**16)
        ctx.set(self.dut.config.producer_modify, 1)
        await ctx.tick()
        ctx.set(self.dut.config.producer_modify, 0)

    async def beat(self, ctx, entry, row, *, error=0):
        word = entry[row * self.row_bytes : (row + 1) * self.row_bytes]
        ctx.set(self.dut.beat_valid, 1)
        ctx.set(self.dut.beat_data, int.from_bytes(word, "little"))
        ctx.set(self.dut.beat_error, error)
        await ctx.tick()
        ctx.set(self.dut.beat_valid, 0)

    async def pulse(self, ctx, signal, cycles=1):
        ctx.set(signal, 1)
        await ctx.tick().repeat(cycles)
        ctx.set(signal, 0)

    async def fetch(self, ctx):
        """Take one fetch request."""
        port = self.dut.fetch
        ctx.set(port.ready, 1)
        payload, _ready = await ctx.tick().sample(port.payload, port.ready).until(port.valid)
        ctx.set(port.ready, 0)
        return payload.address, payload.entries

    async def read(self, ctx, entries, *, fail=None):
        """Answer one fetch request; the beat (entry, row) `fail` with an error."""
        _address, count = await self.fetch(ctx)
        for number, entry in enumerate(entries[:count]):
            for row in range(ENTRY_BYTES // self.row_bytes):
                await self.beat(ctx, entry, row, error=int(fail == (number, row)))
        return count


@pytest.mark.parametrize(("data_width", "size_log2"), [(64, 4), (64, 6), (128, 8)])
def test_entries_are_fetched_in_blocks_and_frames_become_ready(data_width, size_log2):
    seed = f"{data_width} {size_log2}"
    rng = random.Random(seed)
    requests = [request(rng.choice([0, 1, 1, 2, 3, 4, 30, 31, 32, 255])) for _ in range(70)]
    entries = [entry for each in requests for entry in each.entries()]
    bench = Bench(data_width=data_width, size_log2=size_log2, seed=seed)
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
    bench = Bench()

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
    bench = Bench(size_log2=size_log2)
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
    bench = Bench()
    status = bench.dut.status
    entries = request(1).entries() * 16

    async def software(ctx):
        await bench.enable(ctx)
        await bench.doorbell(ctx, 8)
        await bench.read(ctx, entries)
        ctx.set(bench.dut.taken_entries, 1)
        await bench.pulse(ctx, bench.dut.taken, 3)
        await bench.doorbell(ctx, 19)
        await ctx.tick().repeat(2)
        assert not ctx.get(status.stopped)
        await bench.doorbell(ctx, 20)
        await ctx.tick().repeat(2)
        assert ctx.get(status.reason) == STOP.DOORBELL_RANGE

    bench.run(software)


def test_doorbell_of_an_inactive_ring_is_not_heard():
    bench = Bench()

    async def software(ctx):
        await bench.doorbell(ctx, 3)
        await bench.enable(ctx)
        await ctx.tick().repeat(5)
        assert not ctx.get(bench.dut.fetch.valid)
        assert not ctx.get(bench.dut.status.stopped)

    bench.run(software)


@pytest.mark.parametrize("fail", [(0, 0), (1, 2), (3, 3)])
def test_entries_from_one_that_failed_on_become_no_frame(fail):
    bench = Bench()
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
    bench = Bench()
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
    bench = Bench()
    dut = bench.dut
    entries = request(1).entries() * 8

    async def software(ctx):
        await bench.enable(ctx)
        await bench.doorbell(ctx, 8)
        await bench.read(ctx, entries)
        ctx.set(dut.taken_entries, 1)
        await bench.pulse(ctx, dut.taken, 2)
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
    bench = Bench()
    dut = bench.dut
    entries = request(1).entries() * 8

    async def software(ctx):
        await bench.enable(ctx)
        await bench.doorbell(ctx, 8)
        await bench.read(ctx, entries)
        ctx.set(dut.taken_entries, 1)
        await bench.pulse(ctx, dut.taken, 2)
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
    bench = Bench()
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
    bench = Bench()
    dut = bench.dut
    config, status = dut.config, dut.status
    entries = request(1).entries() * 8

    async def software(ctx):
        await bench.enable(ctx)
        await bench.doorbell(ctx, 10)
        await bench.read(ctx, entries)
        ctx.set(dut.taken_entries, 1)
        await bench.pulse(ctx, dut.taken)
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
    bench = Bench()
    dut = bench.dut
    entries = request(1).entries() * 8

    async def software(ctx):
        await bench.enable(ctx)
        await bench.doorbell(ctx, 2)
        await bench.read(ctx, entries)
        ctx.set(dut.taken_entries, 1)
        await bench.pulse(ctx, dut.taken)
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
