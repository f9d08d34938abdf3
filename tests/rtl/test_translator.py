# amaranth: UnusedElaboratable=no
"""`Translator` lets through what a TCE grants, refuses the rest with a reason, and is fast on hits.

The table walker and the consumers are coroutines; tables are a dictionary. Bursts are judged by
the addresses of all their beats, computed one by one as AXI4 defines them [A3.4.1].
"""

import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Burst
from byway.rtl.contract.model import codes
from byway.rtl.translation.translator import Translator
from byway.rtl.translation.window import BindingLayout, WindowLayout
from byway.sim.bench import stream_put

Reason = codes("fault_reason")
TABLES = (0x100, 0x200)  # Page numbers of the tables of windows 0 and 1.
ENTRIES = 64
SYSTEM_PAGE = 0x8_0000_0000
PAUSE = None  # Among requests: long enough for all before it to end.


def make_request(address, *, user=0, beats=1, size=3, burst: int = Burst.INCR, id=0):
    return {
        "id": id,
        "addr": address,
        "len": beats - 1,
        "size": size,
        "burst": burst,
        "user": user,
    }


def page(index, offset=0):
    return index << 12 | offset


def granted(window, index):
    """The system page that a window's table names for an index."""
    return SYSTEM_PAGE + window * 0x1000 + index


@dataclass
class Bench:
    """A translator with two requesters, each bound to a window of 64 pages that grant everything.

    Attributes
    ----------
    binding, window : list of data.View
        What the translator looks up, by number; what is not there is neither valid nor enabled.
    tables : dict
        (table page, index) -> (rpn, read, write), or None for a table that cannot be read.
    walks : list
        What was walked.
    out : dict
        Kind -> list of (cycle, translated).
    faults : list
        The fault events.
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
            _edge, _reset, valid, walk = await ctx.tick().sample(dut.walk.valid, dut.walk.payload)
            now = self.cycle
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
        async def send(ctx):
            await ctx.tick()
            for request in requests:
                if request is PAUSE:
                    await ctx.tick().repeat(40)
                else:
                    await stream_put(ctx, stream, request, rng=rng, idle=idle)

        return send

    def taker(self, stream, rng, stall):
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


def expect_refused(bench, translated, reason, request, *, write=False, window=None):
    """One request was refused, and its fault tells everything of it."""
    assert translated.refused
    (fault,) = bench.faults
    assert fault.record.reason == reason
    assert fault.record.requester == request["user"]
    assert fault.record.window == (request["user"] if window is None else window)
    assert fault.record.write == write
    assert fault.address == request["addr"]


def test_a_granted_page_is_translated_and_everything_else_of_the_request_stays():
    bench = Bench()
    request = make_request(page(5, 0x678), user=1, beats=4, size=2, id=0x2A)
    (read,), (write,) = bench.run(reads=[request], writes=[request])
    for translated in (read, write):
        assert not translated.refused
        got = {name: getattr(translated.request, name) for name in request}
        assert got == request | {"addr": granted(1, 5) << 12 | 0x678}
    assert not bench.faults


def test_a_request_of_nobody_is_unbound():
    bench = Bench()
    request = make_request(page(1), user=2)
    (read,), _ = bench.run(reads=[request])
    expect_refused(bench, read, Reason.UNBOUND, request, window=0)
    assert not bench.walks


def test_a_requester_whose_binding_is_not_valid_is_unbound():
    bench = Bench()
    request = make_request(page(1), user=1)
    (read,), _ = bench.run(
        reads=[request], setup=lambda ctx, bench: ctx.set(bench.binding[1].valid, 0)
    )
    expect_refused(bench, read, Reason.UNBOUND, request, window=0)
    assert not bench.walks


@pytest.mark.parametrize("window", [3, 4, 255])
def test_a_window_that_is_off_or_does_not_exist_is_disabled(window):
    bench = Bench()
    request = make_request(page(1), user=1)
    _, (write,) = bench.run(
        writes=[request], setup=lambda ctx, bench: ctx.set(bench.binding[1].window, window)
    )
    expect_refused(bench, write, Reason.WINDOW_DISABLED, request, write=True, window=window)
    assert not bench.walks


@pytest.mark.parametrize("index", [ENTRIES, ENTRIES + 1, 1 << 31, 1 << 32, 1 << 51, (1 << 52) - 1])
def test_a_page_past_the_table_is_an_extent_error(index):
    bench = Bench()
    request = make_request(page(index))
    (read,), _ = bench.run(reads=[request])
    expect_refused(bench, read, Reason.EXTENT, request)
    assert not bench.walks


def test_a_window_of_no_entries_has_no_page():
    bench = Bench()
    request = make_request(page(0))
    (read,), _ = bench.run(
        reads=[request], setup=lambda ctx, bench: ctx.set(bench.window[0].entries, 0)
    )
    expect_refused(bench, read, Reason.EXTENT, request)


@pytest.mark.parametrize(
    ("permissions", "write", "reason"),
    [
        ((0, 0), False, Reason.NOT_MAPPED),
        ((0, 0), True, Reason.NOT_MAPPED),
        ((0, 1), False, Reason.READ_DENIED),
        ((1, 0), True, Reason.WRITE_DENIED),
        (None, False, Reason.TABLE_ERROR),
        (None, True, Reason.TABLE_ERROR),
    ],
)
def test_what_the_table_does_not_permit_is_refused_by_walk_and_by_hit(permissions, write, reason):
    bench = Bench()
    bench.tables[TABLES[1], 7] = permissions and (granted(1, 7), *permissions)
    request = make_request(page(7, 0x10), user=1)
    requests: dict[str, Any] = {"writes" if write else "reads": [request, PAUSE, request]}
    translated = bench.run(**requests)[write]
    assert all(one.refused for one in translated)
    assert [fault.record.reason for fault in bench.faults] == [reason, reason]
    # An entry that permits anything was kept, the others were asked for again.
    kept = permissions is not None and any(permissions)
    assert (bench.misses, bench.hits) == ((1, 1) if kept else (2, 0))
    assert bench.walks == [(TABLES[1], 7, 1)] * bench.misses


def beat_addresses(request):
    """Address of the first byte of each beat, and bytes of a beat [A3.4.1]."""
    width = 1 << request["size"]
    beats = request["len"] + 1
    start = request["addr"]
    if request["burst"] == Burst.FIXED:
        return [start] * beats, width
    aligned = start & -width
    addresses = [start] + [aligned + number * width for number in range(1, beats)]
    if request["burst"] == Burst.WRAP:
        total = width * beats
        lower = start // total * total
        addresses = [lower + (address - lower) % total for address in addresses]
    return addresses, width


@pytest.mark.parametrize("seed", range(2))
def test_only_bursts_that_stay_in_their_page_pass(seed):
    rng = random.Random(seed)
    requests, expected = [], []
    for _ in range(400):
        beats = rng.choice([1, 2, 4, 8, 16, 256, rng.randint(1, 256)])
        size = rng.choice([0, 1, 2, 3, 3, 3, 4, 7])
        burst = rng.choice([0, 1, 1, 1, 2, 3])
        offset = rng.choice([rng.randrange(4096), 4096 - min(4096, beats << size)])
        offset = min(4095, max(0, offset + rng.choice([0, 0, 0, -1, 1])))
        request = make_request(
            page(rng.randrange(ENTRIES), offset), beats=beats, size=size, burst=burst
        )
        requests.append(request)
        if burst == 3 or size > 3 or (burst == Burst.WRAP and beats not in (2, 4, 8, 16)):
            expected.append(Reason.BURST_TYPE)
            continue
        addresses, width = beat_addresses(request)
        pages = {address >> 12 for address in addresses}
        pages |= {(address & -width) + width - 1 >> 12 for address in addresses}
        expected.append(None if len(pages) == 1 else Reason.PAGE_CROSSING)

    bench = Bench(walk_latency=1)
    reads, _ = bench.run(reads=requests)
    faults = iter(bench.faults)
    for request, read, reason in zip(requests, reads, expected, strict=True):
        got = next(faults).record.reason if read.refused else None
        assert got == reason, f"seed {seed}, {request}"
    for reason in (None, Reason.BURST_TYPE, Reason.PAGE_CROSSING):
        assert reason in expected


def test_a_hit_takes_five_cycles():
    bench = Bench()
    bench.run(reads=[make_request(page(1)), PAUSE, make_request(page(1))])
    (_, hit) = bench.out["read"]
    (_, taken) = bench.taken["read"]
    assert hit[0] - taken[0] == 5
    assert (bench.misses, bench.hits) == (1, 1)


def test_a_miss_adds_three_cycles_and_the_walk():
    bench = Bench(walk_latency=20)
    bench.run(reads=[make_request(page(1))])
    ((taken, _),) = bench.taken["read"]
    ((out, _),) = bench.out["read"]
    assert out - taken == 5 + (20 + 1) + 3


def test_a_stream_of_hits_has_no_bubbles():
    bench = Bench()
    warm = [make_request(page(number)) for number in range(2)]
    requests = [make_request(page(number % 2, 8 * number)) for number in range(60)]
    bench.run(reads=[*warm, PAUSE, *requests])
    cycles = [cycle for cycle, _one in bench.out["read"]][2:]
    assert cycles == list(range(cycles[0], cycles[0] + 60))
    assert (bench.misses, bench.hits) == (2, 60)


def test_reads_and_writes_take_turns_without_bubbles():
    bench = Bench()
    requests = [make_request(page(1, 8 * number)) for number in range(30)]
    warm = [make_request(page(1)), PAUSE]
    bench.run(reads=[*warm, *requests], writes=[*warm, *requests])
    reads, writes = ([cycle for cycle, _one in bench.out[kind]][1:] for kind in ("read", "write"))
    both = sorted(reads + writes)
    assert both == list(range(both[0], both[0] + 60))
    assert reads == reads[:1] + [reads[0] + 2 * number for number in range(1, 30)]


def test_requests_behind_a_miss_of_their_own_page_join_its_walk():
    bench = Bench(walk_latency=10)
    bench.run(reads=[make_request(page(3, 8 * number)) for number in range(6)])
    assert (bench.misses, bench.hits) == (1, 0)


def order_of(bench, kind="read"):
    """IDs in the order in which they came out."""
    return [one.request.id for _cycle, one in bench.out[kind]]


def test_a_hit_passes_a_miss_of_another_id():
    bench = Bench(walk_latency=30)
    miss = make_request(page(2), id=1)
    hits = [make_request(page(1, 8 * number), id=2) for number in range(5)]
    bench.run(reads=[make_request(page(1)), PAUSE, miss, *hits])
    assert order_of(bench)[1:] == [2, 2, 2, 2, 2, 1]
    first_taken = bench.taken["read"][2][0]
    assert [cycle for cycle, _one in bench.out["read"]][1:6] == [
        first_taken + 5 + number for number in range(5)
    ]


def test_reads_of_an_id_wait_for_each_other_and_cost_the_walk_once():
    bench = Bench(walk_latency=30)
    miss = make_request(page(2), id=2)
    hits = [make_request(page(1, 8 * number), id=2) for number in range(5)]
    refused = make_request(page(1), id=2, user=5)
    reads, _ = bench.run(reads=[make_request(page(1)), PAUSE, miss, *hits, refused])
    assert [one.request.addr >> 12 for one in reads[1:7]] == [granted(0, 2), *[granted(0, 1)] * 5]
    assert reads[7].refused
    cycles = [cycle for cycle, _one in bench.out["read"]][1:]
    assert cycles == list(range(cycles[0], cycles[0] + 7))


def test_writes_wait_for_a_write_that_misses_and_reads_do_not():
    bench = Bench(walk_latency=30)
    requests = [make_request(page(1, 8 * number), id=number) for number in range(5)]
    warm = [make_request(page(1)), PAUSE]
    writes = [*warm, make_request(page(2), id=9), *requests]
    bench.run(reads=[*warm, *requests], writes=writes)
    assert order_of(bench, "write")[1:] == [9, 0, 1, 2, 3, 4]
    assert bench.out["read"][-1][0] < bench.out["write"][1][0]


def test_behind_a_miss_that_is_over_hits_of_its_id_leave_no_bubbles():
    bench = Bench(walk_latency=30)
    hits = [make_request(page(1, 8 * number)) for number in range(100)]
    bench.run(reads=[make_request(page(1)), PAUSE, make_request(page(2)), *hits])
    cycles = [cycle for cycle, _one in bench.out["read"]][-80:]
    assert cycles == list(range(cycles[0], cycles[0] + 80))


@pytest.mark.parametrize(("walks", "rounds"), [(8, 1), (4, 2), (2, 4)])
def test_misses_share_the_time_of_their_walks(walks, rounds):
    latency = 100
    bench = Bench(Translator(walks=walks, ahead=0), walk_latency=latency)
    bench.run(reads=[make_request(page(7 * number), id=number) for number in range(8)])
    (first, *_rest, last) = [cycle for cycle, _one in bench.out["read"]]
    assert bench.misses == 8
    assert latency * (rounds - 1) <= last - first <= (latency + 12) * (rounds - 1) + 8


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_stream_has_its_next_pages_walked_for_ahead_of_use(ahead):
    bench = Bench(Translator(ahead=ahead), walk_latency=50)
    stream = [make_request(512 * number, id=number % 16) for number in range(8 * 30)]
    one_each = [one for request in stream for one in (request, PAUSE)][:-1]
    bench.run(reads=one_each)
    # The first page is not known to be streamed before its upper half is used.
    assert bench.misses == 1
    assert [index for _table, index, _user in bench.walks] == list(range(30 + ahead))
    assert bench.prefetches == 29 + ahead


@pytest.mark.parametrize(
    ("data_width", "size", "beats"), [(128, 4, 256), (128, 4, 129), (256, 5, 128), (1024, 7, 32)]
)
def test_a_burst_of_more_than_half_a_page_is_a_stream_by_itself(data_width, size, beats):
    bench = Bench(Translator(data_width=data_width), walk_latency=50)
    stream = [make_request(page(number), size=size, beats=beats) for number in range(8)]
    one_each = [one for request in stream for one in (request, PAUSE, PAUSE)][:-1]
    bench.run(reads=one_each)
    assert bench.misses == 1
    assert [index for _table, index, _user in bench.walks] == list(range(9))


@pytest.mark.parametrize(("data_width", "beats"), [(64, 256), (128, 128)])
def test_a_burst_of_half_a_page_alone_is_no_stream(data_width, beats):
    bench = Bench(Translator(data_width=data_width), walk_latency=50)
    size = data_width // 64 + 2
    bench.run(reads=[make_request(page(5), size=size, beats=beats)])
    assert (bench.misses, bench.prefetches) == (1, 0)


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_stream_that_is_faster_than_the_walks_has_them_side_by_side(ahead):
    bench = Bench(Translator(ahead=ahead), walk_latency=200)
    bench.run(reads=[make_request(512 * number, id=number % 16) for number in range(8 * 20)])
    assert bench.misses == 1
    # A page is all that can wait at a time; those ahead of it are there at once.
    last = bench.out["read"][-1][0]
    assert last < 210 * (1 + -(-20 // (ahead + 1)))


def test_scattered_accesses_walk_for_nothing_but_what_they_use():
    rng = random.Random(0)
    bench = Bench()
    pages = rng.sample(range(ENTRIES), 30)
    reads = [make_request(page(index, 8 * rng.randrange(512))) for index in pages]
    bench.run(reads=reads)
    assert (bench.prefetches, bench.misses) == (0, 30)


def test_nothing_past_the_end_of_a_window_is_walked_for_and_nobody_is_blamed():
    bench = Bench()
    bench.tables[TABLES[0], ENTRIES - 2] = None
    reads = [make_request(page(ENTRIES - 3, 512 * number)) for number in range(8)]
    last = [make_request(page(ENTRIES - 1, 512 * number)) for number in range(8)]
    bench.run(reads=[*reads, PAUSE, *last])
    assert {index for _table, index, _user in bench.walks} == {
        ENTRIES - 3,
        ENTRIES - 2,
        ENTRIES - 1,
    }
    assert not bench.faults


@pytest.mark.parametrize(("blocked", "free"), [("reads", "writes"), ("writes", "reads")])
def test_what_nobody_takes_does_not_hold_up_the_other_kind(blocked, free):
    bench = Bench()
    requests = [make_request(page(1, 8 * number)) for number in range(30)]
    finished = []

    async def unblock(ctx):
        await ctx.tick().repeat(150)
        kind = free.removesuffix("s")
        finished.append(len(bench.out[kind]))
        stream = getattr(bench.dut, f"translated_{blocked}")
        ctx.set(stream.ready, 1)

    both: dict[str, Any] = {blocked: requests, free: requests}
    bench.run(**both, blocked=blocked, extra=[unblock])
    assert finished == [30]


def test_on_hold_nothing_enters_and_what_is_inside_ends():
    bench = Bench()
    dut = bench.dut
    requests = [make_request(page(number % 4, 8 * number)) for number in range(40)]
    seen = []

    async def hold(ctx):
        await ctx.tick().repeat(30)
        ctx.set(dut.hold, 1)
        await ctx.tick().until(dut.idle)
        before = len(bench.out["read"])
        await ctx.tick().repeat(20)
        seen.append((before, len(bench.out["read"])))
        ctx.set(dut.hold, 0)

    reads, _ = bench.run(reads=requests, extra=[hold])
    ((before, after),) = seen
    assert 0 < before == after < 40
    assert len(reads) == 40


@pytest.mark.parametrize("seed", range(6))
def test_writes_keep_their_order_and_reads_that_of_their_id_whatever_stalls(seed):
    rng = random.Random(f"order {seed}")
    walks = rng.choice([2, 8])
    bench = Bench(
        Translator(walks=walks, ahead=rng.choice([0, 1, 2]), iotlb_sets=rng.choice([2, 16])),
        walk_latency=rng.choice([1, 5, 40]),
    )
    pages = rng.choice([4, ENTRIES])
    ids = rng.choice([2, 64])
    requests = {"reads": [], "writes": []}
    for kind in requests:
        for _ in range(150):
            offset = 8 * rng.randrange(512)
            user = rng.randrange(2)
            address = page(rng.randrange(pages), offset)
            requests[kind].append(make_request(address, user=user, id=rng.randrange(ids)))
    idle, stall = rng.choice([0, 0.3]), rng.choice([0, 0.3])
    reads, writes = bench.run(**requests, rng=rng, idle=idle, stall=stall)

    def check(sent, got):
        for request, one in zip(sent, got, strict=True):
            where = f"seed {seed}, {request}"
            index, offset = request["addr"] >> 12, request["addr"] & 0xFFF
            assert not one.refused, where
            assert one.request.addr == granted(request["user"], index) << 12 | offset, where
            assert (one.request.id, one.request.user) == (request["id"], request["user"]), where

    check(requests["writes"], writes)
    for id_ in range(ids):
        sent = [request for request in requests["reads"] if request["id"] == id_]
        check(sent, [one for one in reads if one.request.id == id_])
    assert bench.misses + bench.prefetches == len(bench.walks), f"seed {seed}"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"user_width": 9}, "User width must be 1 to 8 bits, not 9"),
        ({"windows": 0}, "Windows must be 1 to 256, not 0"),
        ({"walks": 3}, "Walks must be a power of two, at least 2, not 3"),
        ({"ahead": -1}, "Pages ahead must be 0 or more, not -1"),
        ({"room": 3}, "Room must be a power of two, at least 2, not 3"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Translator(**parameters)
