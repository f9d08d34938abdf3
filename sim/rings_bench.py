"""The rest of the system around `byway.rtl.transmit.rings`, for test benches.

`RingsBench` is drivers that fill rings, memory that answers as awkwardly as told, and a transmit
path that takes fragments and ends frames. It checks what leaves the rings as it leaves; completions
are collected in each `RingBench`, whose `expected` says what they must be: that follows from
`FrameRequest.verdict` and from how the path ended the frame.
"""

import itertools
import random
from collections import deque
from collections.abc import Set
from dataclasses import dataclass

from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.transmit.ring import OffloadGrants
from byway.rtl.transmit.rings import TransmitRings
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory
from byway.sim.bench import stream_put
from byway.sim.descriptor_bench import ENTRY_BYTES, FrameRequest

__all__ = ["AWKWARD", "OFFLOADS", "RECORD_BYTES", "RingBench", "RingsBench"]

OFFLOADS = frozenset(OffloadGrants().members)
RECORD_BYTES = record("completion").size // 8

#: A memory with every bad habit at once.
AWKWARD = AXITiming(latency=(1, 40), stall=0.3, gap=0.2, interleave=True, exclusive_okay=True)

_COMPLETION = record("completion")
_STATUS = codes("transmit_status")


@dataclass
class RingBench:
    """A driver's side of a ring, and what its completions must be.

    Members
    -------
    number : int
        Of the ring.
    requests : list of FrameRequest
        What it asks for.
    size_log2, granted
        Entries as a power of two; offloads granted.
    burst : int
        Most entries that a doorbell announces, whether or not they end a frame.
    starts_at : int
        Cycle in which it is enabled.

    Attributes
    ----------
    entries : list of bytes
        The entries of the requests.
    completions : list of dict
        The completions told of so far, by field.
    started : deque of FrameRequest
        Good frames that the path has not seen yet.
    ends : list of dict
        How the path ended those it has.
    stops : int
        How often it was told that the ring stopped.
    """

    number: int
    requests: list[FrameRequest]
    size_log2: int = 4
    granted: Set[str] = OFFLOADS
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
        self.started = deque(
            request for request in requests if request.verdict(self.granted) == _STATUS.SUCCESS
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
            if status == _STATUS.SUCCESS:
                end = next(ends)
                segments = end["segments"]
                failures = {
                    Resp.DECERR: _STATUS.MEMORY_REFUSED,
                    Resp.SLVERR: _STATUS.MEMORY_ERROR,
                }
                status = failures.get(Resp(end["error"]), _STATUS.SUCCESS)
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


class RingsBench:
    """Drivers, memory and transmit path around `TransmitRings`.

    Parameters
    ----------
    rings : list of RingBench
        Drivers, by number.
    seed : str
        Of everything random, for messages too.
    data_width : int
        Of the rings.
    timing : AXITiming or None
        Manners of the memory; None stands for an ideal one.
    path_stall : float
        Chance, each cycle, that the path does not take a fragment or a command.
    errors : float
        Chance that a frame ends with an error of the memory.
    refuse : function or None
        Tells of a ring, and of the number of its frame that ends, whether its data was refused.
    delay : int
        Most cycles until a frame ends.

    Attributes
    ----------
    events : dict of list of int
        Cycles of "doorbell", "ar", "r", "fragment": the first is noted as the driver shows it, the
        others at the end of every cycle in which they are valid.
    dropped : int
        Frames that the rings told of as dropped.
    """

    def __init__(
        self,
        rings,
        *,
        seed="",
        data_width=64,
        timing=None,
        path_stall=0.0,
        errors=0.0,
        refuse=None,
        delay=0,
    ):
        self.dut = TransmitRings(rings=len(rings), data_width=data_width)
        self.rings = rings
        self.seed = seed
        self.path_stall, self.errors, self.delay = path_stall, errors, delay
        self.refuse = refuse
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
        self._to_end: deque[tuple[RingBench, int]] = deque()

    def _note(self, event):
        self.events.setdefault(event, []).append(self.cycle)

    async def _watch(self, ctx):
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
                    self._note(event)
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
        self._note("doorbell")
        await ctx.tick()
        ctx.set(config.producer_modify, 0)

    def _listener(self, ring, count):
        """At each interrupt read the completion that must stand in memory."""
        status = self.dut.status[ring.number]

        async def listen(ctx):
            async for _clk, _rst, completion, stop in ctx.tick().sample(
                status.completion, status.stop
            ):
                ring.stops += stop
                if completion:
                    self._take_completion(ring)

        async def wait(ctx):
            while len(ring.completions) < count:
                await ctx.tick()

        return listen, wait

    def _take_completion(self, ring):
        place = len(ring.completions) % (1 << ring.size_log2) * RECORD_BYTES
        content = self.memory.read(ring.completion_page * PAGE_BYTES + place, RECORD_BYTES)
        view = _COMPLETION.from_bits(int.from_bytes(content, "little"))
        ring.completions.append({str(name): int(view[name]) for name, _field in _COMPLETION})

    async def _take(self, ctx, stream, rng):
        """Take one payload; may wait for ever."""
        while rng.random() < self.path_stall:
            await ctx.tick()
        ctx.set(stream.ready, 1)
        while True:
            _clk, _rst, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
            if valid:
                ctx.set(stream.ready, 0)
                return payload

    async def _take_frames(self, ctx):
        """Take fragments and commands; they must be those of the next good frame."""
        rng = random.Random(f"frames {self.seed}")
        while True:
            parts = []
            while not parts or not parts[-1].last:
                parts.append(await self._take(ctx, self.dut.fragments, rng))
            command = await self._take(ctx, self.dut.frames, rng)
            assert ctx.get(self.dut.busy)
            ring = self.rings[parts[0].requester]
            request = ring.started.popleft()
            what = f"ring {ring.number}, seed {self.seed!r}"
            assert {part.requester for part in parts} == {ring.number}, what
            assert [(part.address, part.length) for part in parts] == [
                (part.address, part.length) for part in request.fragments
            ], what
            assert {name: command[name] for name in request.command()} == request.command(), what
            self._to_end.append((ring, self.cycle + rng.randint(0, self.delay)))

    async def _end_frames(self, ctx):
        """End the frames in order, some with an error."""
        rng = random.Random(f"ends {self.seed}")
        while True:
            while not self._to_end or self.cycle < self._to_end[0][1]:
                await ctx.tick()
            ring, _due = self._to_end.popleft()
            bad = rng.random() < self.errors
            error = Resp.SLVERR if bad else Resp.OKAY
            if self.refuse is not None and self.refuse(ring, len(ring.ends)):
                error = Resp.DECERR
            end = {"segments": rng.getrandbits(16), "error": int(error)}
            ring.ends.append(end)
            await stream_put(ctx, self.dut.ends, end)

    def run(self, counts=None, *others):
        """Run until each ring has so many completions (all, if not told), and the `others` end."""
        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_process(self._watch)
        for bench in (self.reads.reads, self.writes.writes, self._take_frames, self._end_frames):
            sim.add_testbench(bench, background=True)
        for ring in self.rings:
            count = len(ring.requests) if counts is None else counts[ring.number]
            listen, wait = self._listener(ring, count)
            sim.add_testbench(listen, background=True)
            sim.add_testbench(self.driver(ring))
            sim.add_testbench(wait)
        for other in others:
            sim.add_testbench(other)
        sim.run()

    def in_flight(self, ring):
        """Reads and writes of a ring that have been asked for and not answered."""
        return self.reads.in_flight[ring] + self.writes.in_flight[ring]

    def check_completions(self):
        """Every ring has the completions that it must have."""
        for ring in self.rings:
            assert ring.completions == ring.expected(), f"ring {ring.number}, seed {self.seed!r}"

    def check_requesters(self):
        """Each access is made for the ring whose memory it touches."""
        for burst in self.reads.read_bursts:
            ring = self.rings[burst.user]
            assert burst.id == self.dut.first_read_id + ring.number
            assert burst.address // PAGE_BYTES - ring.descriptor_page in range(0x100)
            length = burst.beats << burst.size
            assert burst.address // 256 == (burst.address + length - 1) // 256
        for burst in self.writes.write_bursts:
            ring = self.rings[burst.user]
            assert burst.id == ring.number
            assert burst.address // PAGE_BYTES - ring.completion_page in range(0x100)
