# amaranth: UnusedElaboratable=no
"""`CompletionWriter` writes what became of each frame, in order, then says so."""

import random
from collections import deque
from dataclasses import dataclass

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.transmit.completion import CompletionWriter
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory
from byway.sim.bench import stream_put

STATUS = codes("transmit_status")
RECORD = record("completion")
RECORD_BYTES = RECORD.size // 8
SIZES = (4, 5, 8)
OUTSTANDING = 8


@dataclass
class Frame:
    """A context, and the end of a frame that was started."""

    ring: int
    correlator: int
    status: int
    consumer: int
    segments: int = 0
    error: int = Resp.OKAY

    @property
    def outcome(self):
        if self.status != STATUS.SUCCESS:
            return self.status, 0
        failures = {Resp.DECERR: STATUS.MEMORY_REFUSED, Resp.SLVERR: STATUS.MEMORY_ERROR}
        return failures.get(Resp(self.error), STATUS.SUCCESS), self.segments


def random_frames(rng, count):
    return [
        Frame(
            ring=rng.randrange(len(SIZES)),
            correlator=rng.getrandbits(32),
            status=rng.choice([STATUS.SUCCESS, STATUS.SUCCESS, rng.choice(list(STATUS)[:10])]),
            consumer=rng.getrandbits(16),
            segments=rng.getrandbits(16),
            error=rng.choice([Resp.OKAY, Resp.OKAY, Resp.EXOKAY, Resp.SLVERR, Resp.DECERR]),
        )
        for _ in range(count)
    ]


def completion_page(ring):
    return 0xABCD_0000_0000 + 0x100 * ring


def expected(frames, ring):
    """The records of one ring, and where they stand."""
    for number, frame in enumerate(frame for frame in frames if frame.ring == ring):
        place = number % (1 << SIZES[ring]) * RECORD_BYTES
        status, segments = frame.outcome
        yield (
            completion_page(ring) * PAGE_BYTES + place,
            {
                "correlator": frame.correlator,
                "status": status,
                "generation": ~(number >> SIZES[ring]) & 1,
                "segments": segments,
                "consumer": frame.consumer,
                "ring": ring,
            },
        )


class Bench:
    """Contexts, ends and memory around a writer. A refusal mutes its ring, as the ring would."""

    def __init__(self, *, seed, data_width=64, timing=None, idle=0.0):
        self.dut = CompletionWriter(
            outstanding=OUTSTANDING, rings=len(SIZES), data_width=data_width
        )
        self.seed, self.idle = seed, idle
        self.memory = SparseMemory()
        self.bus = AXIMemoryBench(
            self.dut.m_axi, self.memory, timing=timing, rng=random.Random(f"bus {seed}")
        )
        self.completed: list[tuple[int, dict[str, int]]] = []
        self.places: dict[int, deque[int]] = {}
        self.refused = [0] * len(SIZES)
        self.discarded = [0] * len(SIZES)
        self.dropped = 0
        self.data_refused = [0] * len(SIZES)
        self.cycle = 0
        self.taken: list[int] = []

    async def listen(self, ctx):
        """At each interrupt, read the record that must stand in memory by then."""
        dut = self.dut
        async for _clk, _rst, completed, refused, discarded, dropped, data in ctx.tick().sample(
            dut.completed, dut.refused, dut.discarded, dut.dropped, dut.data_refused
        ):
            self.cycle += 1
            assert self.cycle < 20_000, f"completions are missing, seed {self.seed!r}"
            self.dropped += dropped
            assert (completed | refused | discarded).bit_count() <= 1
            for ring in range(len(SIZES)):
                self.data_refused[ring] += data >> ring & 1
                self.refused[ring] += refused >> ring & 1
                self.discarded[ring] += discarded >> ring & 1
                if completed >> ring & 1:
                    content = self.memory.read(self.places[ring].popleft(), RECORD_BYTES)
                    view = RECORD.from_bits(int.from_bytes(content, "little"))
                    fields = {str(name): int(view[name]) for name, _field in RECORD}
                    self.completed.append((ring, fields))
                if refused >> ring & 1:
                    ctx.set(dut.mute[ring], 1)

    def run(self, frames, *, done=None):
        """Complete `frames`, until as many are told of; `done` is then called with the context."""
        dut = self.dut
        for ring in range(len(SIZES)):
            self.places[ring] = deque(address for address, _record in expected(frames, ring))

        async def contexts(ctx):
            rng = random.Random(f"contexts {self.seed}")
            for ring, log2 in enumerate(SIZES):
                ctx.set(dut.configs[ring].completion_base, completion_page(ring))
                ctx.set(dut.configs[ring].size_log2, log2)
            for frame in frames:
                payload = {
                    "ring": frame.ring,
                    "correlator": frame.correlator,
                    "status": frame.status,
                    "consumer": frame.consumer,
                }
                await stream_put(ctx, dut.contexts, payload, rng=rng, idle=self.idle)
                self.taken.append(self.cycle)

        async def ends(ctx):
            rng = random.Random(f"ends {self.seed}")
            for frame in frames:
                if frame.status == STATUS.SUCCESS:
                    payload = {"segments": frame.segments, "error": int(frame.error)}
                    await stream_put(ctx, dut.ends, payload, rng=rng, idle=self.idle)

        async def wait(ctx):
            while len(self.completed) + sum(self.refused) + sum(self.discarded) < len(frames):
                await ctx.tick()
            if done is not None:
                await done(ctx)

        sim = Simulator(dut)
        sim.add_clock(1e-6)
        sim.add_testbench(self.bus.writes, background=True)
        sim.add_testbench(self.listen, background=True)
        for testbench in (contexts, ends, wait):
            sim.add_testbench(testbench)
        sim.run()


@pytest.mark.parametrize(
    ("data_width", "idle", "timing"),
    [
        (64, 0.0, AXITiming()),
        (64, 0.5, AXITiming(latency=(1, 30), stall=0.5, gap=0.3, reorder=True)),
        (64, 0.0, AXITiming(latency=(60, 90), reorder=True)),
        (128, 0.2, AXITiming(latency=(1, 30), stall=0.5, ready_after_valid=True)),
    ],
)
def test_each_frame_has_its_completion_in_order(data_width, idle, timing):
    seed = f"{data_width} {idle} {timing.latency}"
    frames = random_frames(random.Random(seed), 150)
    bench = Bench(seed=seed, data_width=data_width, timing=timing, idle=idle)
    bench.run(frames)
    for ring in range(len(SIZES)):
        records = [fields for number, fields in bench.completed if number == ring]
        assert records == [fields for _address, fields in expected(frames, ring)], seed
        refused = [frame for frame in frames if frame.outcome[0] == STATUS.MEMORY_REFUSED]
        assert bench.data_refused[ring] == sum(frame.ring == ring for frame in refused), seed
    assert bench.dropped == sum(frame.outcome[0] != STATUS.SUCCESS for frame in frames), seed
    for burst in bench.bus.write_bursts:
        assert burst.id == burst.user, seed
        assert burst.address >> 20 == completion_page(burst.user) >> 8, seed


def test_a_slow_memory_has_no_more_writes_in_flight_than_allowed():
    frames = [Frame(0, number, STATUS.NOT_GRANTED, number) for number in range(3 * OUTSTANDING)]
    bench = Bench(seed="slow", timing=AXITiming(latency=(300, 300)))
    bench.run(frames)
    cycles = [burst.cycle for burst in bench.bus.write_bursts]
    assert cycles[OUTSTANDING - 1] < 300 < cycles[OUTSTANDING]


def test_a_completion_is_written_every_four_cycles():
    frames = [Frame(0, number, STATUS.NOT_GRANTED, number) for number in range(20)]
    bench = Bench(seed="rate")
    bench.run(frames)
    cycles = [burst.cycle for burst in bench.bus.write_bursts]
    assert cycles[-1] - cycles[4] == 4 * 15


@pytest.mark.parametrize("response", [Resp.SLVERR, Resp.DECERR])
def test_a_refused_write_mutes_its_ring_alone(response):
    """What follows is left out, except for writes that were on their way already."""
    seed = f"refused {response}"
    frames = random_frames(random.Random(seed), 90)
    bench = Bench(seed=seed, timing=AXITiming(latency=(1, 20)), idle=0.2)
    first = completion_page(1) * PAGE_BYTES + 5 * RECORD_BYTES
    bench.memory.fail(first, PAGE_BYTES - 5 * RECORD_BYTES, response)
    # The second lap over a ring of 32 begins with records that do not fail.
    frames = [frame for frame in frames if frame.ring != 1] + [
        frame for frame in frames if frame.ring == 1
    ][:30]
    random.Random(seed).shuffle(frames)
    bench.run(frames)
    mine = [fields for number, fields in bench.completed if number == 1]
    assert mine == [fields for _address, fields in expected(frames, 1)][:5]
    assert 1 <= bench.refused[1] <= OUTSTANDING
    assert bench.refused[1] + bench.discarded[1] + 5 == sum(frame.ring == 1 for frame in frames)
    for ring in (0, 2):
        records = [fields for number, fields in bench.completed if number == ring]
        assert records == [fields for _address, fields in expected(frames, ring)], seed


def test_a_ring_that_starts_again_writes_from_index_0():
    frames = [Frame(0, number, STATUS.LENGTH_SHORT, number) for number in range(20)]
    bench = Bench(seed="again")
    dut = bench.dut

    async def again(ctx):
        ctx.set(dut.starts, 1)
        await ctx.tick()
        ctx.set(dut.starts, 0)
        bench.places[0].append(completion_page(0) * PAGE_BYTES)
        payload = {"ring": 0, "correlator": 77, "status": STATUS.LENGTH_SHORT, "consumer": 1}
        await stream_put(ctx, dut.contexts, payload)
        while len(bench.completed) < len(frames) + 1:
            await ctx.tick()

    bench.run(frames, done=again)
    _ring, fields = bench.completed[-1]
    assert fields["correlator"] == 77
    assert fields["generation"] == 1
    assert bench.completed[-2][1]["generation"] == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rings": 0}, "Rings must be 1 to 32, not 0"),
        ({"rings": 5, "id_width": 2}, "Rings must be 1 to 4, not 5"),
        ({"data_width": 32}, "Data width must be 64 or 128, not 32"),
        ({"outstanding": 0}, "Outstanding must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_built_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        CompletionWriter(**parameters)
