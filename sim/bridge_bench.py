"""The rest of the system around `byway.rtl.translation.bridge`, for test benches.

`BridgeBench` is a master that sends reads and writes, a memory with TCE tables in it, and a
partition manager that takes fault records. What it must do follows from the reference of
`byway.sim.tables_bench`: every burst that may appear on the memory bus, in the order of its ID,
and no other; every answer; every byte of memory; every fault record.
"""

import random
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.translation.bridge import TranslationBridge
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory
from byway.sim.request_bench import as_burst, make_request
from byway.sim.tables_bench import ENTRIES, TablesBench

__all__ = ["AWKWARD", "WALK_ID", "BridgeBench"]

#: A memory with every bad habit at once.
AWKWARD = AXITiming(latency=(1, 20), stall=0.3, gap=0.2, reorder=True, interleave=True)
#: The bit in the ID of the walker's reads on the memory bus.
WALK_ID = 1 << 6


class BridgeBench:
    """A bridge between a master and a memory, with five requesters and four windows, or others.

    `windows`, `bindings` and `enabled` are those of its `TablesBench`.
    """

    def __init__(
        self,
        *,
        timing=None,
        seed=0,
        requesters=5,
        windows=4,
        bindings=None,
        enabled=None,
        **parameters,
    ):
        self.seed = seed
        self.memory = SparseMemory()
        self.dut = TranslationBridge(requesters=requesters, windows=windows, **parameters)
        self.memory_bench = AXIMemoryBench(
            self.dut.m_axi,
            self.memory,
            timing=timing or AXITiming(),
            rng=random.Random(f"memory {seed}"),
        )
        self.tables = TablesBench(self.memory, windows=windows, bindings=bindings, enabled=enabled)
        self.configured = False
        self.reads = []
        self.writes = []
        self.data = []  # Of each write: list of (data, strb).
        self.answers = {"r": defaultdict(deque), "b": defaultdict(deque)}
        self.answered = Counter()
        self.events = {"ar": [], "aw": [], "m_ar": [], "m_aw": [], "m_b": [], "r": [], "b": []}
        self.records = []
        self.pulses = Counter()
        self.cycle = 0

    def random_request(self, rng, *, indexes: Sequence[int], users: Sequence[int] = range(6)):
        """A request, mostly a good one."""
        size = rng.choice([3, 3, 3, 2, 0])
        beats = rng.choice([1, 1, 2, 8, 32])
        offset = rng.randrange(4096)
        if rng.random() < 0.8:
            offset = min(offset, 4096 - (beats << size))
        else:
            offset |= 0xFC0
        index = rng.choice(indexes) if rng.random() < 0.96 else rng.getrandbits(52)
        burst = 3 if rng.random() < 0.03 else Burst.INCR
        user = rng.choice([*users, *[0, 1, 2] * 6])
        ids = rng.choice([range(3), range(64)])
        return make_request(
            index << 12 | offset,
            user=user,
            beats=beats,
            size=size,
            burst=burst,
            id=rng.choice(ids),
        )

    def add_write(self, request, rng):
        """Have a write sent, of random data."""
        self.writes.append(request)
        burst = as_burst(request, request["addr"])
        beats = []
        for number in range(burst.beats):
            start, length = burst.beat(number)
            lanes = (1 << length) - 1 << start % 8
            beats.append((rng.getrandbits(64), rng.choice([lanes, lanes & rng.getrandbits(8)])))
        self.data.append(beats)

    # ------------------------------------------------------------------ the master

    def send(self, channel, payloads, *, rng, idle):
        """Coroutine that sends `payloads`, dictionaries of fields; None is a pause."""
        axi = self.dut.s_axi
        valid, ready = (getattr(axi, f"{channel}{name}") for name in ("valid", "ready"))

        async def coroutine(ctx):
            while not self.configured:
                await ctx.tick()
            for payload in payloads:
                if payload is None:
                    await ctx.tick().repeat(80)
                    continue
                while rng.random() < idle:
                    await ctx.tick()
                for name, value in payload.items():
                    ctx.set(getattr(axi, f"{channel}{name}"), value)
                ctx.set(valid, 1)
                while not (await ctx.tick().sample(ready))[2]:
                    pass
                ctx.set(valid, 0)

        return coroutine

    def take(self, channel, *, rng, stall):
        """Coroutine that takes R or B, for ever, and keeps what it took by ID."""
        axi = self.dut.s_axi
        names = ("id", "data", "resp", "last") if channel == "r" else ("id", "resp")
        valid, ready = (getattr(axi, f"{channel}{name}") for name in ("valid", "ready"))
        fields = [getattr(axi, f"{channel}{name}") for name in names]

        async def coroutine(ctx):
            before = None
            while True:
                takes = rng.random() >= stall
                ctx.set(ready, takes)
                _edge, _reset, shown, *payload = await ctx.tick().sample(valid, *fields)
                if before is not None:
                    assert shown, f"{channel}valid fell, seed {self.seed}"
                    assert payload == before, f"{channel} changed, seed {self.seed}"
                before = payload if shown and not takes else None
                if shown and takes:
                    beat = dict(zip(names, payload, strict=True))
                    self.answers[channel][beat["id"]].append(beat)
                    if beat.get("last", 1):
                        self.answered[channel] += 1

        return coroutine

    async def watch(self, ctx):
        """Note the cycles of events, and the pulses; keep the fault records, as they come."""
        dut = self.dut
        pulses = {
            "hit": dut.iotlb_hit,
            "miss": dut.iotlb_miss,
            "prefetch": dut.iotlb_prefetch,
            "fault": dut.fault,
        }
        channels = [
            (name, getattr(axi, f"{channel}valid"), getattr(axi, f"{channel}ready"))
            for name, axi, channel in (
                ("ar", dut.s_axi, "ar"),
                ("aw", dut.s_axi, "aw"),
                ("r", dut.s_axi, "r"),
                ("b", dut.s_axi, "b"),
                ("m_ar", dut.m_axi, "ar"),
                ("m_aw", dut.m_axi, "aw"),
                ("m_b", dut.m_axi, "b"),
            )
        ]
        signals = [signal for _name, *pair in channels for signal in pair]
        async for _edge, _reset, *values in ctx.tick().sample(*pulses.values(), *signals):
            for name, value in zip(pulses, values, strict=False):
                self.pulses[name] += value
            for number, (name, *_pair) in enumerate(channels):
                valid, ready = values[len(pulses) + 2 * number :][:2]
                if valid and ready:
                    self.events[name].append(self.cycle)
            self.cycle += 1

    async def manage(self, ctx):
        """The partition manager: takes fault records, slowly."""
        status = self.dut.fault_status
        record = self.dut.fault_record
        signals = [status.valid, record, self.dut.fault_address]
        while True:
            _edge, _reset, valid, what, address = await ctx.tick().sample(*signals)
            if valid:
                kind = "writes" if what.write else "reads"
                fields = (what.requester, what.window, what.reason, address)
                self.records.append((kind, fields))
                ctx.set(status.valid_modify, 1)
                await ctx.tick()
                ctx.set(status.valid_modify, 0)
                await ctx.tick()

    def run(self, *, idle=0.0, stall=0.0, extra=(), manage=True):
        """Send everything, until all is answered and every testbench of `extra` has ended."""
        dut = self.dut
        finished = Counter()

        async def configure(ctx):
            await self.tables.configure(ctx, dut)
            self.configured = True

        def counted(testbench):
            async def coroutine(ctx):
                await testbench(ctx)
                finished["extra"] += 1

            return coroutine

        async def settle(ctx):
            expected = {
                kind: sum(one is not None for one in requests)
                for kind, requests in (("r", self.reads), ("b", self.writes))
            }
            while self.answered != +Counter(expected) or finished["extra"] < len(extra):
                assert self.cycle < 60_000, f"seed {self.seed}: some were never answered"
                await ctx.tick()
            await ctx.tick().repeat(60)

        beats = [
            {"data": data, "strb": strb, "last": number == len(burst) - 1}
            for burst in self.data
            for number, (data, strb) in enumerate(burst)
        ]
        simulator = Simulator(dut)
        simulator.add_clock(8e-9)
        simulator.add_testbench(configure)
        for testbench in extra:
            simulator.add_testbench(counted(testbench), background=True)
        for channel, payloads in (("ar", self.reads), ("aw", self.writes), ("w", beats)):
            rng = random.Random(f"{channel} {self.seed}")
            coroutine = self.send(channel, payloads, rng=rng, idle=idle)
            simulator.add_testbench(coroutine, background=True)
        for channel in ("r", "b"):
            rng = random.Random(f"{channel} {self.seed}")
            coroutine = self.take(channel, rng=rng, stall=stall)
            simulator.add_testbench(coroutine, background=True)
        simulator.add_testbench(self.memory_bench.reads, background=True)
        simulator.add_testbench(self.memory_bench.writes, background=True)
        if manage:
            simulator.add_testbench(self.manage, background=True)
        simulator.add_process(self.watch)
        simulator.add_testbench(settle)
        simulator.run()

    # ------------------------------------------------------------------ checks

    def take_answer(self, channel, request):
        """Beats of the next answer to the ID of `request`."""
        waiting = self.answers[channel][request["id"]]
        beats = 1 if channel == "b" else request["len"] + 1
        assert len(waiting) >= beats, f"seed {self.seed}: {request} was not answered"
        taken = [waiting.popleft() for _ in range(beats)]
        lasts = [beat.get("last", 1) for beat in taken]
        assert lasts == [0] * (beats - 1) + [1] or channel == "b", f"seed {self.seed}: {request}"
        return taken

    def check_all(self):
        """Everything that follows from the reference, for tables that did not change."""
        reads = [request for request in self.reads if request is not None]
        writes = [request for request in self.writes if request is not None]
        judged_reads = [self.tables.judge(request, write=False) for request in reads]
        judged_writes = [self.tables.judge(request, write=True) for request in writes]
        where = f"seed {self.seed}"

        # The bus: walks of the tables' own entries, and granted requests in the order of their ID.
        tables = {
            self.tables.entry_address(w, i) for w in self.tables.enabled for i in range(ENTRIES)
        }
        walks = [burst for burst in self.memory_bench.read_bursts if burst.id & WALK_ID]
        for burst in walks:
            assert burst.id & ~WALK_ID < 8, where
            assert (burst.beats, burst.size) == (1, 3), where
            assert burst.address in tables, where
        assert self.pulses["miss"] + self.pulses["prefetch"] == len(walks), where
        for requests, judged, bursts in (
            (reads, judged_reads, self.memory_bench.read_bursts),
            (writes, judged_writes, self.memory_bench.write_bursts),
        ):
            granted = [
                as_burst(request, address)
                for request, (reason, address) in zip(requests, judged, strict=True)
                if reason is None
            ]
            seen = [burst for burst in bursts if not burst.id & WALK_ID]
            for burst in seen:
                burst.cycle = 0
            if requests is writes:
                assert seen == granted, where
            for id_ in {request["id"] for request in requests}:
                assert [one for one in seen if one.id == id_] == [
                    one for one in granted if one.id == id_
                ], where
            assert len(seen) == len(granted), where

        # The answers.
        shadow = SparseMemory()
        for request, (reason, address) in zip(reads, judged_reads, strict=True):
            beats = self.take_answer("r", request)
            for number, beat in enumerate(beats):
                place = f"{where}, beat {number} of {request}"
                if reason is not None:
                    assert (beat["data"], beat["resp"]) == (0, Resp.DECERR), place
                    continue
                start, length = as_burst(request, address).beat(number)
                response = self.memory.response(start, length)
                assert beat["resp"] == (Resp.SLVERR if response else Resp.OKAY), place
                word = beat["data"].to_bytes(8, "little")
                assert word == self.memory.read(start & -8, 8), place
        for request, (reason, address), data in zip(writes, judged_writes, self.data, strict=True):
            (answer,) = self.take_answer("b", request)
            place = f"{where}, {request}"
            if reason is not None:
                assert answer["resp"] == Resp.DECERR, place
                continue
            burst = as_burst(request, address)
            failed = False
            for number, (word, strobe) in enumerate(data):
                start, length = burst.beat(number)
                if self.memory.response(start, length):
                    failed = True
                else:
                    shadow.write(start & -8, word.to_bytes(8, "little"), strobe)
            assert answer["resp"] == (Resp.SLVERR if failed else Resp.OKAY), place
        for _reason, address in judged_writes:
            if address is not None:
                page = address & -4096
                assert self.memory.read(page, 4096) == shadow.read(page, 4096), where

        # The records: all there, those of writes in order.
        refused = []
        for kind, requests, judged in (
            ("reads", reads, judged_reads),
            ("writes", writes, judged_writes),
        ):
            expected = [
                (
                    request["user"],
                    self.tables.bindings.get(request["user"], 0),
                    reason,
                    request["addr"],
                )
                for request, (reason, _address) in zip(requests, judged, strict=True)
                if reason is not None
            ]
            refused += expected
            recorded = [fields for one, fields in self.records if one == kind]
            assert sorted(recorded) == sorted(expected), where
            if kind == "writes":
                assert recorded == expected, where
        assert self.pulses["fault"] == len(refused), where
        return Counter(reason for _user, _window, reason, _address in refused)
