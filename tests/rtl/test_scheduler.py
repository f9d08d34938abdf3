# amaranth: UnusedElaboratable=no
"""`Scheduler` hands frames on, ring by ring, and none waits for what another ring lacks."""

import itertools
import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from byway.rtl.contract.model import record
from byway.rtl.transmit.ring import PREFETCH_ENTRIES
from byway.rtl.transmit.scheduler import Scheduler
from byway.sim.descriptor_bench import ENTRY_BYTES, Fragment, FrameRequest


def frame(rng, count):
    """The entries of a frame of so many fragments."""
    parts = tuple(Fragment(rng.getrandbits(64), 64) for _ in range(max(1, count)))
    return FrameRequest(parts, count, 64 * count, correlator=rng.getrandbits(32)).entries()


class Bench:
    """Rings that fill the store by way of the bus, and a parser that puts rows together again."""

    def __init__(self, *, rings=3, data_width=64, seed="", stall=0.0):
        self.dut = Scheduler(rings=rings, data_width=data_width)
        self.rings = rings
        self.row_bytes = data_width // 8
        self.per_entry = ENTRY_BYTES // self.row_bytes
        self.seed, self.stall = seed, stall
        #: Of each ring: entries in the store from the consumer on, by whole frames.
        self.whole: list[deque[list[bytes]]] = [deque() for _ in range(rings)]
        self.store: dict[int, int] = {}
        self.arrived = [0] * rings
        self.consumer = [0] * rings
        self.cycle = 0
        self.first_rows: list[int] = []
        self.handed: list[tuple[int, list[bytes]]] = []
        self.taken: list[tuple[int, int]] = []

    async def rings_and_store(self, ctx):
        """The rings' books, a cycle after the event, and the store's synchronous read."""
        dut = self.dut
        while True:
            _clk, _rst, address, taken, entries = await ctx.tick().sample(
                dut.store_address, dut.taken, dut.taken_entries
            )
            self.cycle += 1
            assert self.cycle < 20_000, f"frames are missing, seed {self.seed!r}"
            for ring in range(self.rings):
                if taken >> ring & 1:
                    done = self.whole[ring].popleft()
                    assert entries == len(done), self.seed
                    self.consumer[ring] += entries
                    self.taken.append((self.cycle, ring))
                    ctx.set(dut.consumers[ring], self.consumer[ring] % 2**16)
                ctx.set(dut.ready[ring], int(bool(self.whole[ring])))
            ctx.set(dut.store_data, self.store.get(address, 0xBAD))

    async def parse(self, ctx):
        """Put frames together from rows; one that opens ends one that was broken off."""
        rows = self.dut.rows
        content = bytearray()
        ring = consumer = count = ended = 0
        async for _clk, _rst, valid, descriptor, row, data, now, before in ctx.tick().sample(
            rows.valid, rows.descriptor, rows.row, rows.data, rows.ring, rows.consumer
        ):
            if not valid:
                continue
            if descriptor and row == 0:
                content.clear()
                ring, consumer = now, before
                assert self.cycle >= ended + 2, self.seed
                self.first_rows.append(self.cycle)
            assert now == ring, self.seed
            assert row == len(content) // self.row_bytes % self.per_entry, self.seed
            assert descriptor == (len(content) < ENTRY_BYTES), self.seed
            content += data.to_bytes(self.row_bytes, "little")
            if len(content) == ENTRY_BYTES:
                layout = record("transmit_descriptor")
                count = layout.from_bits(int.from_bytes(content, "little")).fragments
            further = count // 2 if count <= 31 else 0
            if len(content) == ENTRY_BYTES * (1 + further):
                entries = [
                    bytes(content[start : start + ENTRY_BYTES])
                    for start in range(0, len(content), ENTRY_BYTES)
                ]
                assert consumer == sum(len(earlier) for of, earlier in self.handed if of == ring), (
                    self.seed
                )
                self.handed.append((ring, entries))
                ended = self.cycle

    async def room(self, ctx):
        rng = random.Random(f"room {self.seed}")
        while True:
            ctx.set(self.dut.room, int(rng.random() >= self.stall))
            await ctx.tick()

    async def beat(self, ctx, ring, number, entries, *, error=0):
        """One beat of a frame of a ring: over the bus, past the scheduler, into the store."""
        beat = self.dut.beat
        entry, row = divmod(number, self.per_entry)
        word = entries[entry][row * self.row_bytes : (row + 1) * self.row_bytes]
        final = number == len(entries) * self.per_entry - 1
        slot = self.arrived[ring] % PREFETCH_ENTRIES
        place = (ring * PREFETCH_ENTRIES + slot) * self.per_entry + row
        ctx.set(beat.valid, 1)
        ctx.set(beat.ring, ring)
        ctx.set(beat.row, row)
        ctx.set(beat.data, int.from_bytes(word, "little"))
        ctx.set(beat.error, error)
        ctx.set(beat.opens, int(number == 0))
        ctx.set(beat.closes, int(final))
        # The books follow at the end of the cycle, before the model of the rings looks.
        self.store[place] = int.from_bytes(word, "little")
        self.arrived[ring] += row == self.per_entry - 1
        if final and not error:
            self.whole[ring].append(entries)
        await ctx.tick()
        ctx.set(beat.valid, 0)

    def run(self, *testbenches):
        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_process(self.rings_and_store)
        for background in (self.parse, self.room):
            sim.add_testbench(background, background=True)
        for testbench in testbenches:
            sim.add_testbench(testbench)
        sim.run()


@pytest.mark.parametrize(("data_width", "stall"), [(64, 0.0), (64, 0.9), (128, 0.0), (128, 0.5)])
@pytest.mark.parametrize("mix", [0.0, 0.3])
def test_each_frame_is_handed_on_whole_and_in_the_order_of_its_ring(data_width, stall, mix):
    """Frames of all rings arrive, with gaps, interleaved by the chance `mix`."""
    seed = f"{data_width} {stall} {mix}"
    rng = random.Random(seed)
    bench = Bench(data_width=data_width, seed=seed, stall=stall)
    frames = [
        deque(frame(rng, rng.choice([0, 1, 1, 1, 2, 3, 5, 31])) for _ in range(25))
        for _ in range(bench.rings)
    ]
    expected = [list(ring) for ring in frames]

    async def bus(ctx):
        sent = [0] * bench.rings
        ring = 0
        while any(frames):
            while rng.random() < 0.2:
                await ctx.tick()
            waiting = [number for number in range(bench.rings) if frames[number]]
            if ring not in waiting or sent[ring] == 0 or rng.random() < mix:
                ring = rng.choice(waiting)
            entries = frames[ring][0]
            if bench.arrived[ring] - bench.consumer[ring] > PREFETCH_ENTRIES - 1:
                await ctx.tick()
                continue
            await bench.beat(ctx, ring, sent[ring], entries)
            sent[ring] += 1
            if sent[ring] == len(entries) * bench.per_entry:
                frames[ring].popleft()
                sent[ring] = 0
        while len(bench.handed) < sum(map(len, expected)):
            await ctx.tick()
        await ctx.tick().repeat(20)

    bench.run(bus)
    for ring in range(bench.rings):
        assert [entries for of, entries in bench.handed if of == ring] == expected[ring], seed
    assert len(bench.taken) == sum(map(len, expected)), seed


def test_rings_take_turns_frame_by_frame():
    """One ring has many frames of one entry, one has few of sixteen; neither waits for two."""
    rng = random.Random("turns")
    bench = Bench(seed="turns")
    for ring, counts in enumerate(([1] * 20, [31] * 2, [3] * 10)):
        for count in counts:
            entries = frame(rng, count)
            for content in entries:
                place = (ring * PREFETCH_ENTRIES + bench.arrived[ring] % PREFETCH_ENTRIES) * 4
                for row in range(4):
                    word = content[row * 8 : row * 8 + 8]
                    bench.store[place + row] = int.from_bytes(word, "little")
                bench.arrived[ring] += 1
            bench.whole[ring].append(entries)

    async def wait(ctx):
        while len(bench.handed) < 32:
            await ctx.tick()

    bench.run(wait)
    order = [ring for ring, _entries in bench.handed]
    assert sorted(order[:6]) == [0, 0, 1, 1, 2, 2]
    assert order[:3] == order[3:6]
    rest = order[6:]
    assert all(rest[place] != rest[place + 1] for place in range(15))


def test_frames_of_one_entry_go_every_six_cycles():
    rng = random.Random("rate")
    bench = Bench(seed="rate", rings=1)

    async def bus(ctx):
        for _ in range(20):
            entries = frame(rng, 1)
            for number in range(4):
                await bench.beat(ctx, 0, number, entries)
        while len(bench.handed) < 20:
            await ctx.tick()

    bench.run(bus)
    cycles = [cycle for cycle, _ring in bench.taken]
    assert {after - before for before, after in itertools.pairwise(cycles[2:])} == {6}


def test_a_lone_frame_is_handed_on_as_it_arrives():
    rng = random.Random("lone")
    bench = Bench(seed="lone")

    async def bus(ctx):
        await ctx.tick().repeat(5)
        begin = bench.cycle
        entries = frame(rng, 3)
        for number in range(8):
            await bench.beat(ctx, 1, number, entries)
        # The first beat stood in the cycle that ended at `begin + 1`, its row in the next.
        assert bench.first_rows == [begin + 2]
        await ctx.tick().repeat(2)
        assert bench.handed == [(1, entries)]

    bench.run(bus)


@pytest.mark.parametrize("stops_after", range(1, 8))
def test_a_frame_that_stops_arriving_delays_no_other(stops_after):
    """It goes on later, over the bus or out of the store, as if nothing had happened."""
    rng = random.Random("stuck")
    bench = Bench(seed=f"stuck {stops_after}")
    stuck = frame(rng, 3)
    others = [frame(rng, count) for count in (1, 2, 1)]

    async def bus(ctx):
        await ctx.tick().repeat(5)
        for number in range(stops_after):
            await bench.beat(ctx, 0, number, stuck)
        await ctx.tick().repeat(20)
        begin = bench.cycle
        for entries in others:
            for number in range(len(entries) * 4):
                await bench.beat(ctx, 2, number, entries)
        while len(bench.handed) < 3:
            await ctx.tick()
        # The first was handed on as it arrived, in place of the one that had stopped.
        assert bench.first_rows[1] == begin + 2
        assert bench.cycle - begin < 40
        for number in range(stops_after, 8):
            await bench.beat(ctx, 0, number, stuck)
        while len(bench.handed) < 4:
            await ctx.tick()

    bench.run(bus)
    assert bench.handed == [*((2, entries) for entries in others), (0, stuck)]


@pytest.mark.parametrize("data_width", [64, 128])
@pytest.mark.parametrize("delay", range(1, 10))
def test_frames_are_a_cycle_apart_whenever_the_second_arrives(delay, data_width):
    """The first comes out of the store, for it was there before there was room."""
    rng = random.Random(delay)
    bench = Bench(seed=f"apart {delay}", data_width=data_width, stall=1.0)
    first, second = frame(rng, 1), frame(rng, 1)

    async def bus(ctx):
        for number in range(bench.per_entry):
            await bench.beat(ctx, 0, number, first)
        bench.stall = 0.0
        await ctx.tick().repeat(delay)
        for number in range(bench.per_entry):
            await bench.beat(ctx, 1, number, second)
        while len(bench.handed) < 2:
            await ctx.tick()

    bench.run(bus)
    assert bench.handed == [(0, first), (1, second)]


@pytest.mark.parametrize("fails_at", range(4))
def test_a_read_that_fails_breaks_a_frame_off(fails_at):
    rng = random.Random("error")
    bench = Bench(seed=f"error {fails_at}")
    bad, good = frame(rng, 1), frame(rng, 1)

    async def bus(ctx):
        await ctx.tick().repeat(5)
        for number in range(4):
            if number > fails_at:
                ctx.set(bench.dut.beat.closes, 0)
                continue
            await bench.beat(ctx, 0, number, bad, error=int(number == fails_at))
        await ctx.tick().repeat(10)
        assert bench.handed == []
        for number in range(4):
            await bench.beat(ctx, 1, number, good)
        while not bench.handed:
            await ctx.tick()

    bench.run(bus)
    assert bench.handed == [(1, good)]
    assert len(bench.taken) == 1
