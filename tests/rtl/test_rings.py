# amaranth: UnusedElaboratable=no
"""`TransmitRings` from doorbells to completions, among hostile descriptors and a hostile bus.

The bench is the rest of the system: drivers that fill rings, memory that answers in any order, and
a transmit path that takes fragments and ends frames. What each completion must say follows from
`FrameRequest.verdict` and from how the path ended the frame.
"""

import itertools
import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.transmit.rings import FIRST_READ_ID, TransmitRings
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory
from byway.sim.bench import stream_put
from byway.sim.descriptor_bench import Fragment, FrameRequest, random_request

STATUS = codes("transmit_status")
STOP = codes("ring_stop_reason")
COMPLETION = record("completion")
OFFLOADS = {"checksum_ipv4", "checksum_tcp", "checksum_udp", "large_send_v4", "scatter_gather"}
ENTRY_BYTES = record("transmit_descriptor").size // 8
RECORD_BYTES = COMPLETION.size // 8
IDEAL = AXITiming()
AWKWARD = AXITiming(latency=(1, 40), stall=0.3, gap=0.2, interleave=True, exclusive_okay=True)


@dataclass
class Ring:
    """A driver's side of a ring, and what its completions must be."""

    number: int
    requests: list[FrameRequest]
    size_log2: int = 4
    granted: set[str] = field(default_factory=lambda: OFFLOADS)
    #: Doorbells announce at most so many entries at once, whether or not they end a frame.
    burst: int = 64
    starts_at: int = 0

    def __post_init__(self):
        self.descriptor_page = 0x1000 + 0x100 * self.number
        self.completion_page = 0x8000 + 0x100 * self.number
        self.stops = 0
        self.load(self.requests)

    def load(self, requests):
        """Begin afresh with these requests."""
        self.requests = requests
        self.entries = [entry for request in requests for entry in request.entries()]
        self.completions: list[dict[str, int]] = []
        #: Good frames that the path has not seen yet, and how it ended those it has.
        self.started = deque(
            request for request in requests if request.verdict(self.granted) == STATUS.SUCCESS
        )
        self.ends: list[dict[str, int]] = []

    def whole_frames(self, entries):
        """How many frames lie wholly within so many entries."""
        ends = itertools.accumulate(len(request.entries()) for request in self.requests)
        return sum(end <= entries for end in ends)

    def expected(self, count=None) -> list[dict[str, int]]:
        """The completions of so many frames, of all if not told."""
        ends = iter(self.ends)
        result = []
        consumed = 0
        for number, request in enumerate(self.requests[:count]):
            consumed += len(request.entries())
            status, segments = request.verdict(self.granted), 0
            if status == STATUS.SUCCESS:
                end = next(ends)
                segments = end["segments"]
                failures = {
                    Resp.DECERR: STATUS.MEMORY_REFUSED,
                    Resp.SLVERR: STATUS.MEMORY_ERROR,
                }
                status = failures.get(Resp(end["error"]), STATUS.SUCCESS)
            result.append(
                {
                    "correlator": request.correlator,
                    "status": status,
                    "generation": ~(number >> self.size_log2) & 1,
                    "segments": segments,
                    "consumer": consumed % 2**16,
                    "ring": self.number,
                }
            )
        return result


class Bench:
    """Drivers, memory and transmit path around `TransmitRings`."""

    def __init__(
        self, rings, *, seed="", data_width=64, timing=IDEAL, path_stall=0.0, errors=0.0, delay=0
    ):
        self.dut = TransmitRings(rings=len(rings), data_width=data_width)
        self.rings = rings
        self.seed = seed
        self.path_stall, self.errors, self.delay = path_stall, errors, delay
        self.memory = SparseMemory()
        self.reads = AXIMemoryBench(
            self.dut.m_axi_read, self.memory, timing=timing, rng=random.Random(f"read {seed}")
        )
        self.writes = AXIMemoryBench(
            self.dut.m_axi_write, self.memory, timing=timing, rng=random.Random(f"write {seed}")
        )
        self.cycle = 0
        self.dropped = 0
        self.events: dict[str, list[int]] = {}
        self.to_end: deque[tuple[Ring, int]] = deque()

    def note(self, event):
        self.events.setdefault(event, []).append(self.cycle)

    async def watch(self, ctx):
        """Count cycles and drops; note the cycles of what the latencies run between."""
        axi = self.dut.m_axi_read
        async for _clk, _rst, dropped, ar, r, fragment in ctx.tick().sample(
            self.dut.dropped,
            axi.arvalid,
            axi.rvalid,
            self.dut.fragments.valid,
        ):
            self.cycle += 1
            self.dropped += dropped
            for event, happens in (("ar", ar), ("r", r), ("fragment", fragment)):
                if happens:
                    self.note(event)
            assert self.cycle < 60_000, f"the rings do not come to an end, seed {self.seed!r}"

    def driver(self, ring):
        """Enable the ring, then fill it and ring the doorbell as completions make room."""
        config, status = self.dut.config[ring.number], self.dut.status[ring.number]

        async def drive(ctx):
            rng = random.Random(f"driver {ring.number} {self.seed}")
            ctx.set(config.descriptor_base, ring.descriptor_page)
            ctx.set(config.completion_base, ring.completion_page)
            ctx.set(config.size_log2, ring.size_log2)
            ctx.set(config.offloads, dict.fromkeys(ring.granted, 1))
            for _ in range(ring.starts_at):
                await ctx.tick()
            ctx.set(config.enable, 1)
            await ctx.tick().until(status.active)
            produced = 0
            while produced < len(ring.entries) and ctx.get(status.active & ~status.stopped):
                consumed = ring.completions[-1]["consumer"] if ring.completions else 0
                free = (1 << ring.size_log2) - (produced - consumed) % 2**16
                count = min(free, len(ring.entries) - produced, rng.randint(1, ring.burst))
                if count or rng.random() < 0.01:
                    # A doorbell that announces nothing new does nothing.
                    await self.announce(ctx, ring, produced, count)
                    produced += count
                await ctx.tick()

        return drive

    async def announce(self, ctx, ring, produced, count):
        """Write entries to memory and ring the doorbell, which takes a cycle."""
        config = self.dut.config[ring.number]
        for index in range(produced, produced + count):
            place = index % (1 << ring.size_log2) * ENTRY_BYTES
            self.memory.write(ring.descriptor_page * PAGE_BYTES + place, ring.entries[index])
        ctx.set(config.producer, (produced + count) % 2**16)
        ctx.set(config.producer_modify, 1)
        self.note("doorbell")
        await ctx.tick()
        ctx.set(config.producer_modify, 0)

    def listener(self, ring, count):
        """At each interrupt read the completion that must stand in memory."""
        status = self.dut.status[ring.number]

        async def listen(ctx):
            async for _clk, _rst, completion, stop in ctx.tick().sample(
                status.completion, status.stop
            ):
                ring.stops += stop
                if completion:
                    self.take_completion(ring)

        async def wait(ctx):
            while len(ring.completions) < count:
                await ctx.tick()

        return listen, wait

    def take_completion(self, ring):
        place = len(ring.completions) % (1 << ring.size_log2) * RECORD_BYTES
        content = self.memory.read(ring.completion_page * PAGE_BYTES + place, RECORD_BYTES)
        view = COMPLETION.from_bits(int.from_bytes(content, "little"))
        ring.completions.append({str(name): int(view[name]) for name, _field in COMPLETION})

    async def take(self, ctx, stream, rng):
        """Take one payload; may wait for ever."""
        while rng.random() < self.path_stall:
            await ctx.tick()
        ctx.set(stream.ready, 1)
        while True:
            _clk, _rst, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
            if valid:
                ctx.set(stream.ready, 0)
                return payload

    async def take_frames(self, ctx):
        """Take fragments and commands; they must be those of the next good frame."""
        rng = random.Random(f"frames {self.seed}")
        while True:
            parts = []
            while not parts or not parts[-1].last:
                parts.append(await self.take(ctx, self.dut.fragments, rng))
            command = await self.take(ctx, self.dut.frames, rng)
            assert ctx.get(self.dut.busy)
            ring = self.rings[parts[0].requester]
            request = ring.started.popleft()
            what = f"ring {ring.number}, seed {self.seed!r}"
            assert {part.requester for part in parts} == {ring.number}, what
            assert [(part.address, part.length) for part in parts] == [
                (part.address, part.length) for part in request.fragments
            ], what
            assert {name: command[name] for name in request.command()} == request.command(), what
            self.to_end.append((ring, self.cycle + rng.randint(0, self.delay)))

    async def end_frames(self, ctx):
        """End the frames in order, some with an error."""
        rng = random.Random(f"ends {self.seed}")
        while True:
            while not self.to_end or self.cycle < self.to_end[0][1]:
                await ctx.tick()
            ring, _due = self.to_end.popleft()
            bad = rng.random() < self.errors
            error = rng.choice([Resp.SLVERR, Resp.DECERR]) if bad else Resp.OKAY
            end = {"segments": rng.getrandbits(16), "error": int(error)}
            ring.ends.append(end)
            await stream_put(ctx, self.dut.ends, end)

    def run(self, counts=None, *others):
        """Run until each ring has so many completions (all, if not told), and the `others` end."""
        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_process(self.watch)
        for bench in (self.reads.reads, self.writes.writes, self.take_frames, self.end_frames):
            sim.add_testbench(bench, background=True)
        for ring in self.rings:
            count = len(ring.requests) if counts is None else counts[ring.number]
            listen, wait = self.listener(ring, count)
            sim.add_testbench(listen, background=True)
            sim.add_testbench(self.driver(ring))
            sim.add_testbench(wait)
        for other in others:
            sim.add_testbench(other)
        sim.run()

    def check_completions(self):
        for ring in self.rings:
            assert ring.completions == ring.expected(), f"ring {ring.number}, seed {self.seed!r}"

    def check_requesters(self):
        """Each access is made for the ring whose memory it touches."""
        for burst in self.reads.read_bursts:
            ring = self.rings[burst.user]
            assert burst.id == FIRST_READ_ID + ring.number
            assert burst.address // PAGE_BYTES - ring.descriptor_page in range(0x100)
            length = burst.beats << burst.size
            assert burst.address // 256 == (burst.address + length - 1) // 256
        for burst in self.writes.write_bursts:
            ring = self.rings[burst.user]
            assert burst.id == ring.number
            assert burst.address // PAGE_BYTES - ring.completion_page in range(0x100)


def plain(correlator=0, length=60):
    return FrameRequest((Fragment(0x1_0000, length),), 1, length, correlator=correlator)


def many(correlator, count):
    parts = tuple(Fragment(0x2_0000 + 16 * number, 16) for number in range(count))
    return FrameRequest(parts, count, 16 * count, correlator=correlator)


@pytest.mark.parametrize(
    ("data_width", "timing", "bursts"),
    [(64, IDEAL, (64, 3, 1)), (64, AWKWARD, (64, 64, 2)), (128, AWKWARD, (5, 1, 64))],
)
def test_every_frame_of_every_ring_is_completed(data_width, timing, bursts):
    seed = f"all {data_width} {timing.stall}"
    rng = random.Random(seed)
    rings = [
        Ring(
            number,
            [random_request(rng, rng.getrandbits(32), bad=0.4) for _ in range(30)],
            size_log2=log2,
            granted=OFFLOADS if number else OFFLOADS - {"checksum_udp"},
            burst=burst,
        )
        for number, (log2, burst) in enumerate(zip((4, 5, 8), bursts, strict=True))
    ]
    bench = Bench(
        rings,
        seed=seed,
        data_width=data_width,
        timing=timing,
        path_stall=0.3,
        errors=0.2,
        delay=30,
    )
    bench.run()
    bench.check_completions()
    bench.check_requesters()
    statuses = [completion["status"] for ring in rings for completion in ring.completions]
    assert bench.dropped == sum(status != STATUS.SUCCESS for status in statuses)


def test_a_ring_may_be_longer_than_a_page():
    ring = Ring(0, [plain(number) for number in range(200)], size_log2=8)
    bench = Bench([ring], seed="pages", delay=10)
    bench.run()
    bench.check_completions()
    assert len({burst.address // PAGE_BYTES for burst in bench.reads.read_bursts}) == 2


def test_first_fragment_leaves_three_cycles_after_the_last_beat():
    bench = Bench([Ring(0, [plain()], starts_at=20), Ring(1, [])], seed="latency")
    bench.run()
    events = bench.events
    # The doorbell is noted in the cycle before the one that it takes, as all else is afterwards.
    assert events["ar"][0] - events["doorbell"][0] == 3
    assert events["fragment"][0] - events["r"][-1] == 3


def test_one_ring_alone_starts_a_frame_every_six_cycles():
    bench = Bench([Ring(0, [plain(n) for n in range(64)], size_log2=6)], seed="rate")
    bench.run()
    starts = bench.events["fragment"]
    assert (starts[-1] - starts[31]) / 32 <= 6


def stop_test(seed, first, second, *, expect, reason, disturb=None, others=2, fail=None):
    """Ring 0 stops after `expect` completions for `reason`; the others finish; it starts again.

    `fail` prepares the memory; `disturb` is a coroutine that does what a driver must not.
    """
    rng = random.Random(seed)
    rings = [
        Ring(0, first),
        *(
            Ring(number, [random_request(rng, rng.getrandbits(32), bad=0.3) for _ in range(15)])
            for number in range(1, others)
        ),
    ]
    bench = Bench(rings, seed=seed, timing=AWKWARD, path_stall=0.1, errors=0.1, delay=20)
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
        assert ring.completions == ring.expected(expect)
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

    counts = {ring.number: len(ring.requests) for ring in rings} | {0: 0}
    bench.run(counts, stop_and_restart)
    bench.check_completions()
    assert ring.stops == 1


@pytest.mark.parametrize(
    ("entry", "row", "response"),
    [(0, 0, Resp.SLVERR), (7, 2, Resp.DECERR), (13, 3, Resp.SLVERR)],
)
def test_a_descriptor_read_that_fails_stops_its_ring_alone(entry, row, response):
    """The frames before it are finished, those from it on do not exist."""
    seed = f"descriptor {entry}"
    first = [many(number, random.Random(seed).choice([1, 2, 5])) for number in range(30)]

    def fail(memory, ring):
        place = ring.descriptor_page * PAGE_BYTES + entry * ENTRY_BYTES + row * 8
        memory.fail(place, 8, response)

    stop_test(
        seed,
        first,
        [plain(number) for number in range(20)],
        expect=Ring(0, first).whole_frames(entry),
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
        [many(number, 1 + number % 3) for number in range(40)],
        [plain(number) for number in range(20)],
        expect=3,
        reason=STOP.COMPLETION_REFUSED,
        fail=fail,
    )


@pytest.mark.parametrize("producer", [17, 2, 0x8000])
def test_a_doorbell_out_of_range_stops_its_ring_alone(producer):
    """Too far, or back: entries announced before are still good."""
    first = [plain(number) for number in range(3)]

    async def disturb(ctx, bench, ring):
        while len(ring.completions) < 3:
            await ctx.tick()
        ctx.set(bench.dut.config[0].producer, (producer + 3 * (producer == 17)) % 2**16)
        ctx.set(bench.dut.config[0].producer_modify, 1)
        await ctx.tick()
        ctx.set(bench.dut.config[0].producer_modify, 0)

    stop_test(
        f"doorbell {producer}",
        first,
        [plain(number) for number in range(20)],
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
    second = [plain(number) for number in range(20)]
    rings = [Ring(0, first, size_log2=6), Ring(1, [plain(number) for number in range(30)])]
    bench = Bench(rings, seed=seed, timing=AWKWARD, path_stall=0.2, errors=0.1, delay=20)
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
    stuck = Ring(0, [many(0, 31)])
    stuck.entries = stuck.entries[:9]
    other = Ring(1, [plain(number) for number in range(40)])
    bench = Bench([stuck, other], seed="partial", delay=10)

    async def disable(ctx):
        while len(other.completions) < len(other.requests):
            await ctx.tick()
        ctx.set(bench.dut.config[0].enable, 0)
        await ctx.tick().until(~bench.dut.status[0].active)

    bench.run({0: 0, 1: 40}, disable)
    assert stuck.completions == []
    assert other.completions == other.expected()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rings": 0}, "Rings must be 1 to 32, not 0"),
        ({"rings": 33}, "Rings must be 1 to 32, not 33"),
        ({"rings": 32, "read_id_width": 5}, "Read IDs must be 0 to 31, not 16 to 47"),
        ({"data_width": 256}, "Data width must be 64 or 128, not 256"),
    ],
)
def test_what_cannot_be_built_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        TransmitRings(**parameters)
