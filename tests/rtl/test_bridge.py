# amaranth: UnusedElaboratable=no
"""`TranslationBridge` between an awkward master and an awkward memory.

The master sends random reads and writes of several requesters, good and bad; the memory answers in
any order the standard allows. The reference translates by itself, from the same tables in memory,
and from it follow: every burst that may appear on the memory bus, in order, and no other; every
answer; every byte of memory; every fault record.
"""

import itertools
import random
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.contract.model import codes
from byway.rtl.translation.bridge import TranslationBridge
from byway.sim.axi_memory_bench import AXIBurst, AXIMemoryBench, AXITiming, SparseMemory

Reason = codes("fault_reason")
Scope = codes("invalidate_scope")

WALK_ID = 1 << 6
ENTRIES = 48
TABLE_PAGE = 0x1000  # Window w's table lies in page TABLE_PAGE + w.
READ_PAGE = 0x10_0000
WRITE_PAGE = 0x20_0000

AWKWARD = AXITiming(latency=(1, 20), stall=0.3, gap=0.2, reorder=True, interleave=True)


def make_request(address, *, user=0, beats=1, size=3, burst=1, id=0):
    return {
        "id": id,
        "addr": address,
        "len": beats - 1,
        "size": size,
        "burst": burst,
        "user": user,
    }


class System:
    """A bridge with five requesters and four windows, between a master and a memory.

    Requesters 0 and 1 have the windows 1 and 2; requester 2 shares window 2; requester 3 has none;
    requester 4 has window 3, which is off. Even pages of a window may be read, odd ones written,
    every fifth both; every seventh is not mapped; the last cannot be read from its table.
    """

    def __init__(self, *, timing=None, seed=0, **parameters):
        self.seed = seed
        self.memory = SparseMemory()
        self.dut = TranslationBridge(requesters=5, **parameters)
        self.bench = AXIMemoryBench(
            self.dut.m_axi,
            self.memory,
            timing=timing or AXITiming(),
            rng=random.Random(f"memory {seed}"),
        )
        self.bindings = {0: 1, 1: 2, 2: 2, 4: 3}
        self.enabled = {1, 2}
        for window, index in itertools.product(range(4), range(ENTRIES)):
            both = index % 5 == 0
            if index % 7 == 6:
                self.map(window, index, 0, 0, 0)
            else:
                area = WRITE_PAGE if index % 2 else READ_PAGE
                page = area + window * 0x100 + index
                self.map(window, index, page, int(both or index % 2 == 0), int(both or index % 2))
            if index == ENTRIES - 1:
                self.memory.fail(self.entry_address(window, index), 8, Resp.SLVERR)
        self.reads = []
        self.writes = []
        self.data = []  # Of each write: list of (data, strb).
        self.answers = {"r": defaultdict(deque), "b": defaultdict(deque)}
        self.answered = Counter()
        self.events = {"ar": [], "aw": [], "m_ar": [], "m_aw": [], "m_b": [], "r": [], "b": []}
        self.records = []
        self.pulses = Counter()
        self.cycle = 0

    @staticmethod
    def entry_address(window, index):
        return (TABLE_PAGE + window << 12) + 8 * index

    def map(self, window, index, page, read, write):
        """Store a TCE."""
        entry = page << 12 | write << 1 | read
        self.memory.write(self.entry_address(window, index), entry.to_bytes(8, "little"))

    def judge(self, request, *, write):
        """The reference: (reason, None) if refused, otherwise (None, system address)."""
        window = self.bindings.get(request["user"])
        index, offset = divmod(request["addr"], 4096)
        span = (offset & -(1 << request["size"])) + (request["len"] + 1 << request["size"])
        if window is None:
            return Reason.UNBOUND, None
        if window not in self.enabled:
            return Reason.WINDOW_DISABLED, None
        if request["burst"] == 3:
            return Reason.BURST_TYPE, None
        if span > 4096:
            return Reason.PAGE_CROSSING, None
        if index >= ENTRIES:
            return Reason.EXTENT, None
        place = self.entry_address(window, index)
        if self.memory.response(place, 8) != Resp.OKAY:
            return Reason.TABLE_ERROR, None
        entry = int.from_bytes(self.memory.read(place, 8), "little")
        if not entry & 3:
            return Reason.NOT_MAPPED, None
        if not entry & (2 if write else 1):
            return (Reason.WRITE_DENIED if write else Reason.READ_DENIED), None
        return None, entry >> 12 << 12 | offset

    def random_request(self, rng, *, indexes: Sequence[int], users=range(6)):
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
        pulses = {"hit": dut.iotlb_hit, "miss": dut.iotlb_miss, "fault": dut.fault}
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
                valid, ready = values[3 + 2 * number :][:2]
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
            for requester, window in self.bindings.items():
                ctx.set(dut.binding[requester].valid, 1)
                ctx.set(dut.binding[requester].window, window)
            for window in range(4):
                ctx.set(dut.window[window].table_base, TABLE_PAGE + window)
                ctx.set(dut.window[window].entries, ENTRIES)
                ctx.set(dut.window[window].enable, window in self.enabled)

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
        simulator.add_testbench(self.bench.reads, background=True)
        simulator.add_testbench(self.bench.writes, background=True)
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
        judged_reads = [self.judge(request, write=False) for request in reads]
        judged_writes = [self.judge(request, write=True) for request in writes]
        where = f"seed {self.seed}"

        # The bus: walks of the tables' own entries, and granted requests in order.
        tables = {self.entry_address(w, i) for w in self.enabled for i in range(ENTRIES)}
        walks = [burst for burst in self.bench.read_bursts if burst.id & WALK_ID]
        for burst in walks:
            assert burst.id == WALK_ID, where
            assert (burst.beats, burst.size) == (1, 3), where
            assert burst.address in tables, where
        assert self.pulses["miss"] == len(walks), where
        for requests, judged, bursts in (
            (reads, judged_reads, self.bench.read_bursts),
            (writes, judged_writes, self.bench.write_bursts),
        ):
            granted = [
                as_burst(request, address)
                for request, (reason, address) in zip(requests, judged, strict=True)
                if reason is None
            ]
            seen = [burst for burst in bursts if not burst.id & WALK_ID]
            for burst in seen:
                burst.cycle = 0
            assert seen == granted, where

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

        # The records: all there in the order of their kind.
        refused = []
        for kind, requests, judged in (
            ("reads", reads, judged_reads),
            ("writes", writes, judged_writes),
        ):
            expected = [
                (request["user"], self.bindings.get(request["user"], 0), reason, request["addr"])
                for request, (reason, _address) in zip(requests, judged, strict=True)
                if reason is not None
            ]
            refused += expected
            assert [fields for one, fields in self.records if one == kind] == expected, where
        assert self.pulses["fault"] == len(refused), where
        return Counter(reason for _user, _window, reason, _address in refused)


def as_burst(request, address):
    """A request as the memory is to see it, at a system address."""
    return AXIBurst(
        id=request["id"],
        address=address,
        beats=request["len"] + 1,
        size=request["size"],
        user=request["user"],
        cycle=0,
    )


@pytest.mark.parametrize(
    ("seed", "idle", "stall", "timing"),
    [
        (0, 0.0, 0.0, AXITiming()),
        (1, 0.3, 0.3, AWKWARD),
        (2, 0.0, 0.5, AXITiming(latency=(1, 9), ready_after_valid=True, reorder=True)),
    ],
)
def test_random_traffic_is_translated_or_refused_as_the_tables_say(seed, idle, stall, timing):
    rng = random.Random(f"traffic {seed}")
    system = System(timing=timing, seed=seed)
    system.memory.fail((READ_PAGE + 0x104 << 12) + 0x800, 0x400, Resp.SLVERR)
    system.memory.fail((WRITE_PAGE + 0x203 << 12) + 0x800, 0x800, Resp.DECERR)
    # What may be both read and written is only read, so that a read's answer is known.
    pages = range(ENTRIES + 1)
    only_written = [index for index in pages for _ in range(index % 2 * 3 + 1) if index % 5]
    read = [index for index in pages for _ in range(4 - index % 2 * 3)]
    for _ in range(90):
        system.reads.append(system.random_request(rng, indexes=read))
        request = system.random_request(rng, indexes=only_written)
        system.add_write(request, rng)
    system.run(idle=idle, stall=stall)
    reasons = system.check_all()
    assert set(reasons) == {*Reason}, f"seed {seed}: {reasons}"
    assert system.pulses["hit"] > 20, f"seed {seed}"


def latencies(system, kind, bus):
    """Cycles from being taken from the master to being taken by the bus, of each address."""
    walks = len(system.events[bus]) - len(system.events[kind])
    assert walks == (1 if bus == "m_ar" and system.pulses["miss"] else 0)
    pairs = zip(system.events[kind], system.events[bus][walks:], strict=True)
    return [out - into for into, out in pairs]


def test_a_hit_takes_four_cycles_to_the_bus():
    request = make_request(0)
    for kind, bus in (("ar", "m_ar"), ("aw", "m_aw")):
        system = System()
        if kind == "ar":
            system.reads = [request, None, request]
        else:
            for _ in range(2):
                system.add_write(request, random.Random(0))
            system.writes.insert(1, None)
        system.run()
        assert latencies(system, kind, bus)[1] == 4, kind


def test_a_miss_adds_six_cycles_and_the_latency_of_the_memory():
    for latency in (1, 31):
        system = System(timing=AXITiming(latency=(latency, latency)))
        system.reads = [make_request(0)]
        system.run()
        assert latencies(system, "ar", "m_ar") == [4 + 6 + latency]


def test_hits_leave_no_cycle_unused_on_any_channel():
    system = System()
    rng = random.Random(0)
    requests = [make_request(8 * number, id=number % 4) for number in range(40)]
    system.reads = [make_request(0), None, *requests]
    for request in [make_request(0), *requests]:
        system.add_write(request, rng)
    system.writes.insert(1, None)
    system.run()
    # An address a cycle, reads and writes together.
    both = sorted(system.events["m_ar"][2:] + system.events["m_aw"][1:])
    assert both == list(range(both[0], both[0] + 80))

    system = System()
    system.reads = [make_request(0), None]
    system.reads += [make_request(0x100 * number, beats=32) for number in range(16)]
    system.run()
    beats = system.events["r"][1:]
    assert beats == list(range(beats[0], beats[0] + 512)), "R has gaps"


def test_the_counts_of_hits_walks_and_refusals_are_exact():
    system = System()
    requests = [
        make_request(page << 12, user=user)
        for page, user in [(0, 0), (0, 0), (2, 0), (0, 1), (0, 2), (0, 0), (1, 0), (6, 0), (6, 0)]
    ]
    system.reads = [*requests, make_request(0, user=3), make_request(0, user=4)]
    system.run()
    # Pages 0 and 2 of window 1, page 0 of window 2, shared by two requesters; page 1, which may
    # only be written, is kept as well; page 6 is not mapped, and walked each time.
    assert system.pulses["miss"] == 4 + 2
    assert system.pulses["hit"] == 3
    assert system.pulses["fault"] == 1 + 2 + 2
    system.check_all()


def test_a_full_fault_log_counts_what_it_loses():
    system = System()
    system.reads = [make_request(number << 12, user=3) for number in range(11)]
    seen = []

    async def look(ctx):
        await ctx.tick().repeat(200)
        dut = system.dut
        seen.append((ctx.get(dut.fault_status.valid), ctx.get(dut.fault_status.lost)))
        seen.append((ctx.get(dut.fault_record.reason), ctx.get(dut.fault_address)))

    system.run(extra=[look], manage=False)
    assert seen == [(1, 3), (Reason.UNBOUND, 0)]
    assert system.pulses["fault"] == 11


@pytest.mark.parametrize("refused_user", [0, 3])
def test_answers_of_one_id_keep_their_order_around_a_refusal(refused_user):
    timing = AXITiming(latency=(40, 40))
    system = System(timing=timing, seed=refused_user)
    rng = random.Random(0)
    for user in (0, refused_user, 0):
        system.reads.append(make_request(0, user=user, beats=3, id=5))
        system.add_write(make_request(5 << 12, user=user, beats=2, id=5), rng)
    system.run()
    system.check_all()


def test_a_refused_write_that_waits_for_its_data_holds_up_no_read():
    system = System()
    system.reads = [make_request(8 * number) for number in range(30)]
    system.writes = [make_request(0, user=3) for _ in range(10)]
    seen = []

    async def write_late(ctx):
        axi = system.dut.s_axi
        await ctx.tick().repeat(300)
        seen.append(system.answered["r"])
        ctx.set(axi.wlast, 1)
        ctx.set(axi.wvalid, 1)
        for _ in range(10):
            await ctx.tick().until(axi.wready)
        ctx.set(axi.wvalid, 0)

    system.run(extra=[write_late])
    assert seen == [30]
    assert system.answered["b"] == 10
    assert not system.events["m_aw"]


class Revoker:
    """Takes pages back and gives others, while traffic runs; never gives a page twice.

    Attributes
    ----------
    revoked : dict
        System page -> cycle in which `busy` fell.
    """

    def __init__(self, system, rng):
        self.system = system
        self.rng = rng
        self.revoked = {}
        self.fresh = itertools.count(0x50_0000)
        self.durations = []

    async def invalidate(self, ctx, scope, window, index):
        """Start an invalidation and wait for its end, trying to start another meanwhile."""
        dut, system = self.system.dut, self.system
        ctx.set(dut.invalidate.scope, scope)
        ctx.set(dut.invalidate.window, window)
        ctx.set(dut.invalidate.index, index)
        ctx.set(dut.invalidate.start, 1)
        begin = system.cycle
        await ctx.tick()
        ctx.set(dut.invalidate.start, 0)
        assert ctx.get(dut.invalidate.busy), "busy does not follow start"
        ctx.set(dut.invalidate.scope, Scope.PAGE)
        ctx.set(dut.invalidate.index, index + 1)
        while ctx.get(dut.invalidate.busy):
            await ctx.tick()
            assert system.cycle - begin < 3000, f"seed {system.seed}: no end"
        self.durations.append(system.cycle - begin)

    async def revoke(self, ctx):
        """One change: a few entries of a window, and their invalidation."""
        rng, system = self.rng, self.system
        scope = rng.choice(list(Scope))
        window = rng.choice([1, 2])
        indexes = [rng.randrange(8)] if scope == Scope.PAGE else rng.sample(range(8), 3)
        old = []
        for index in indexes:
            place = system.entry_address(window, index)
            old.append(int.from_bytes(system.memory.read(place, 8), "little") >> 12)
            access = rng.choice([0, 1, 2, 3, 3])
            system.map(window, index, next(self.fresh), access & 1, access >> 1)
        await self.invalidate(ctx, scope, window, indexes[0])
        for page in old:
            self.revoked[page] = system.cycle
        assert system.bench.reads_in_flight == 0, f"seed {system.seed}: a read is under way"
        writes = (len(system.events["m_aw"]), len(system.events["m_b"]))
        assert writes[0] == writes[1], f"seed {system.seed}: a write is under way"


@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_a_page_is_touched_once_its_revocation_has_ended(seed):
    rng = random.Random(f"revocation {seed}")
    timing = AWKWARD if seed % 2 else AXITiming(latency=(1, 15))
    system = System(timing=timing, seed=seed, iotlb_sets=(16, 2)[seed // 2])
    for index, window in itertools.product(range(8), (1, 2)):
        system.map(window, index, (READ_PAGE + window * 0x100 + index), 1, 1)
    for _ in range(100):
        system.reads.append(system.random_request(rng, indexes=range(8), users=range(3)))
        request = system.random_request(rng, indexes=range(8), users=range(3))
        system.add_write(request, rng)
    revoker = Revoker(system, rng)

    async def revoke(ctx):
        while system.answered["r"] < 90 or system.answered["b"] < 90:
            await ctx.tick().repeat(rng.randint(1, 40))
            await revoker.revoke(ctx)

    system.run(idle=0.2, stall=0.2 * (seed % 2), extra=[revoke])
    assert len(revoker.revoked) > 20, f"seed {seed}"
    touched = 0
    for burst in system.bench.read_bursts + system.bench.write_bursts:
        end = revoker.revoked.get(burst.address >> 12)
        assert end is None or burst.cycle <= end, f"seed {seed}: {burst} after cycle {end}"
        touched += end is not None
    assert touched > 20, f"seed {seed}"


def test_an_invalidation_of_an_idle_bridge_takes_six_cycles():
    system = System()
    revoker = Revoker(system, random.Random(0))

    async def invalidate(ctx):
        await ctx.tick()
        for scope in Scope:
            await revoker.invalidate(ctx, scope, 1, 0)

    system.run(extra=[invalidate])
    assert revoker.durations == [6, 6, 6]


def test_a_walk_under_way_at_the_start_leaves_nothing_of_the_old_entry():
    latency = 10
    system = System(timing=AXITiming(latency=(latency, latency)))
    revoker = Revoker(system, random.Random(0))
    delays = range(1, 3 * latency)
    old, new = 0xAAAA00, 0xBBBB00
    for number in range(len(delays)):
        request = make_request(number << 12)
        system.reads += [request, None, request, None]
        system.map(1, number, old + number, 1, 1)

    async def invalidate(ctx):
        for number, delay in enumerate(delays):
            while len(system.events["ar"]) <= 2 * number:
                await ctx.tick()
            await ctx.tick().repeat(delay)
            system.map(1, number, new + number, 1, 1)
            await revoker.invalidate(ctx, Scope.PAGE, 1, number)

    system.run(extra=[invalidate])
    pages = [burst.address >> 12 for burst in system.bench.read_bursts if not burst.id & WALK_ID]
    assert pages[1::2] == [new + number for number in range(len(delays))]
    assert {page & -256 for page in pages[::2]} == {old, new}


def test_the_exported_ports_have_the_standard_names():
    names = {"_".join(map(str, path)) for path, *_rest in flattened(TranslationBridge())}
    assert {"s_axi_arready", "m_axi_awuser", "binding_0_window", "window_3_table_base"} <= names


def flattened(component):
    return component.signature.flatten(component)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"requesters": 0}, "Requesters must be 1 to 256, not 0"),
        ({"windows": 300}, "Windows must be 1 to 256, not 300"),
        ({"data_width": 32}, "Data width must be at least 64 bits, not 32"),
        ({"iotlb_sets": 3}, "Sets must be a power of two, at least 2, not 3"),
        ({"id_width": 0}, "ID width must be a positive integer, not 0"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        TranslationBridge(**parameters)
