"""What stands around `byway.rtl.translation.translator`, for test benches.

The table walker and the consumers are coroutines; tables are a dictionary.
"""

import itertools
from collections import deque
from dataclasses import dataclass, field

from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from byway.rtl.translation.translator import Translator
from byway.rtl.translation.window import BindingLayout, WindowLayout
from byway.sim.bench import stream_put

__all__ = ["ENTRIES", "PAUSE", "TABLES", "TranslatorBench", "granted", "page"]

#: Page numbers of the tables of windows 0 and 1.
TABLES = (0x100, 0x200)
#: Entries of each.
ENTRIES = 64
#: Among requests: long enough for all before it to end.
PAUSE = None

_SYSTEM_PAGE = 0x8_0000_0000


def page(index, offset=0):
    """The I/O bus address of a page, or of a place in it."""
    return index << 12 | offset


def granted(window, index):
    """The system page that a window's table names for an index."""
    return _SYSTEM_PAGE + window * 0x1000 + index


@dataclass
class TranslatorBench:
    """A translator with two requesters, each bound to a window of 64 pages that grant everything.

    Attributes
    ----------
    binding, window : list of data.View
        What the translator looks up, by number; what is not there is neither valid nor enabled.
    tables : dict
        (table page, index) -> (rpn, read, write), or None for a table that cannot be read.
    walks : list
        What was walked.
    out, taken : dict
        Kind -> list of (cycle, payload): what came out translated, and what was taken.
    faults : list
        The fault events.
    hits, misses, prefetches : int
        Pulses that were counted.
    """

    dut: Translator = field(default_factory=Translator)
    tables: dict = field(default_factory=dict)
    walk_latency: int = 3
    walks: list = field(default_factory=list)
    out: dict = field(default_factory=lambda: {"read": [], "write": []})
    taken: dict = field(default_factory=lambda: {"read": [], "write": []})
    faults: list = field(default_factory=list)
    hits: int = 0
    misses: int = 0
    prefetches: int = 0
    cycle: int = 0

    def __post_init__(self):
        self.binding = [Signal(BindingLayout(), name=f"binding_{number}") for number in range(2)]
        self.window = [Signal(WindowLayout(), name=f"window_{number}") for number in range(4)]
        for window, index in itertools.product(range(2), range(ENTRIES)):
            self.tables[TABLES[window], index] = (granted(window, index), 1, 1)

    async def watch(self, ctx):
        """Note what goes in and out, faults and pulses."""
        dut = self.dut
        channels = (
            (dut.reads, self.taken["read"]),
            (dut.writes, self.taken["write"]),
            (dut.translated_reads, self.out["read"]),
            (dut.translated_writes, self.out["write"]),
        )
        counts = [dut.iotlb_hit, dut.iotlb_miss, dut.iotlb_prefetch]
        signals = [dut.fault.valid, dut.fault.payload, *counts]
        for channel, _log in channels:
            signals += [channel.valid, channel.ready, channel.payload]
        async for _edge, _reset, *samples in ctx.tick().sample(*signals):
            fault_valid, fault, hit, miss, prefetch = samples[:5]
            for number, (_channel, log) in enumerate(channels):
                valid, ready, payload = samples[5 + 3 * number :][:3]
                if valid and ready:
                    log.append((self.cycle, payload))
            if fault_valid:
                self.faults.append(fault)
            self.hits += hit
            self.misses += miss
            self.prefetches += prefetch
            self.cycle += 1

    async def serve(self, ctx):
        """The walker: takes a walk a cycle, answers in order, one a cycle."""
        dut = self.dut
        under_way = deque()
        ctx.set(dut.walk.ready, 1)
        while True:
            _edge, _reset, valid, walk, idle = await ctx.tick().sample(
                dut.walk.valid, dut.walk.payload, dut.idle
            )
            now = self.cycle
            assert not (idle and (valid or under_way)), "at rest while a walk is under way"
            if valid:
                place = divmod(walk.place, 512)
                self.walks.append((*place, walk.user))
                under_way.append((now + self.walk_latency, walk.slot, place))
            answers = under_way and under_way[0][0] <= now
            ctx.set(dut.walked.valid, bool(answers))
            if answers:
                _due, slot, place = under_way.popleft()
                entry = self.tables[place]
                rpn, read, write = entry or (0, 0, 0)
                walked = {"rpn": rpn, "read": read, "write": write}
                error = entry is None
                ctx.set(dut.walked.payload, {"slot": slot, "entry": walked, "error": error})

    def sender(self, stream, requests, rng, idle):
        """Coroutine that sends `requests`."""

        async def send(ctx):
            await ctx.tick()
            for request in requests:
                if request is PAUSE:
                    await ctx.tick().repeat(40)
                else:
                    await stream_put(ctx, stream, request, rng=rng, idle=idle)

        return send

    def taker(self, stream, rng, stall):
        """Coroutine that takes what is translated, for ever."""

        async def take(ctx):
            while True:
                ctx.set(stream.ready, rng is None or rng.random() >= stall)
                await ctx.tick()

        return take

    def run(
        self,
        *,
        reads=(),
        writes=(),
        rng=None,
        idle=0.0,
        stall=0.0,
        setup=None,
        blocked=None,
        extra=(),
    ):
        """Translate all requests; returns (reads, writes) translated, without their cycles."""
        dut = self.dut
        expected = [sum(one is not PAUSE for one in kind) for kind in (reads, writes)]

        async def configure(ctx):
            for number in range(2):
                ctx.set(self.binding[number].valid, 1)
                ctx.set(self.binding[number].window, number)
                ctx.set(self.window[number].table_base, TABLES[number])
                ctx.set(self.window[number].entries, ENTRIES)
                ctx.set(self.window[number].enable, 1)
            if setup is not None:
                setup(ctx, self)

        async def settle(ctx):
            while [len(log) for log in self.out.values()] != expected:
                assert self.cycle < 20_000, "some never came out"
                await ctx.tick()
            await ctx.tick().repeat(3)

        m = Module()
        m.submodules.dut = dut
        for asked, found, elements in (
            (dut.binding_lookup.requester, dut.binding_lookup.binding, self.binding),
            (dut.window_lookup.number, dut.window_lookup.window, self.window),
        ):
            with m.Switch(asked):
                for number, element in enumerate(elements):
                    with m.Case(number):
                        m.d.comb += found.eq(element)
        simulator = Simulator(m)
        simulator.add_clock(8e-9)
        simulator.add_testbench(configure)
        for testbench in (*extra, settle):
            simulator.add_testbench(testbench)
        simulator.add_testbench(self.sender(dut.reads, reads, rng, idle))
        simulator.add_testbench(self.sender(dut.writes, writes, rng, idle))
        for kind in ("reads", "writes"):
            if kind != blocked:
                taker = self.taker(getattr(dut, f"translated_{kind}"), rng, stall)
                simulator.add_testbench(taker, background=True)
        simulator.add_testbench(self.serve, background=True)
        simulator.add_process(self.watch)
        simulator.run()
        return [[one for _cycle, one in log] for log in self.out.values()]
