# amaranth: UnusedElaboratable=no
"""`TranslationBridge` takes mappings back: after an invalidation nothing of the old one is left.

Pages are given and taken while traffic runs, and none is given twice, so that a late access shows.
"""

import itertools
import random

import pytest

from byway.rtl.contract.model import codes
from byway.sim.axi_memory_bench import AXITiming
from byway.sim.bridge_bench import AWKWARD, WALK_ID, BridgeBench
from byway.sim.request_bench import make_request
from byway.sim.tables_bench import READ_PAGE

Scope = codes("invalidate_scope")


class Revoker:
    """Takes pages back and gives others, while traffic runs; never gives a page twice.

    Attributes
    ----------
    revoked : dict
        System page -> cycle in which `busy` fell.
    durations : list of int
        Cycles of each invalidation.
    """

    def __init__(self, bench, rng):
        self.bench = bench
        self.rng = rng
        self.revoked = {}
        self.fresh = itertools.count(0x50_0000)
        self.durations = []

    async def invalidate(self, ctx, scope, window, index):
        """Start an invalidation, try to start another during the first, wait for the end."""
        dut, bench = self.bench.dut, self.bench
        ctx.set(dut.invalidate.scope, scope)
        ctx.set(dut.invalidate.window, window)
        ctx.set(dut.invalidate.index, index)
        ctx.set(dut.invalidate.start, 1)
        begin = bench.cycle
        await ctx.tick()
        assert ctx.get(dut.invalidate.busy), "busy does not follow start"
        ctx.set(dut.invalidate.scope, Scope.PAGE)
        ctx.set(dut.invalidate.index, index + 1)
        await ctx.tick()
        ctx.set(dut.invalidate.start, 0)
        while ctx.get(dut.invalidate.busy):
            await ctx.tick()
            assert bench.cycle - begin < 3000, f"seed {bench.seed}: no end"
        self.durations.append(bench.cycle - begin)

    async def revoke(self, ctx):
        """One change: a few entries of a window, and their invalidation."""
        rng, bench = self.rng, self.bench
        scope = rng.choice(list(Scope))
        window = rng.choice([1, 2])
        indexes = [rng.randrange(8)] if scope == Scope.PAGE else rng.sample(range(8), 3)
        old = []
        for index in indexes:
            place = bench.tables.entry_address(window, index)
            old.append(int.from_bytes(bench.memory.read(place, 8), "little") >> 12)
            access = rng.choice([0, 1, 2, 3, 3])
            bench.tables.map(window, index, next(self.fresh), access & 1, access >> 1)
        await self.invalidate(ctx, scope, window, indexes[0])
        for page in old:
            self.revoked[page] = bench.cycle
        assert bench.memory_bench.reads_in_flight == 0, f"seed {bench.seed}: a read is under way"
        writes = (len(bench.events["m_aw"]), len(bench.events["m_b"]))
        assert writes[0] == writes[1], f"seed {bench.seed}: a write is under way"


@pytest.mark.parametrize("seed", range(2))
def test_nothing_of_a_page_is_touched_once_its_revocation_has_ended(seed):
    rng = random.Random(f"revocation {seed}")
    timing = AWKWARD if seed else AXITiming(latency=(1, 15))
    bench = BridgeBench(timing=timing, seed=seed, iotlb_sets=(16, 2)[seed])
    for index, window in itertools.product(range(8), (1, 2)):
        bench.tables.map(window, index, (READ_PAGE + window * 0x100 + index), 1, 1)
    for _ in range(120):
        bench.reads.append(bench.random_request(rng, indexes=range(8), users=range(3)))
        request = bench.random_request(rng, indexes=range(8), users=range(3))
        bench.add_write(request, rng)
    revoker = Revoker(bench, rng)

    async def revoke(ctx):
        while bench.answered["r"] < 105 or bench.answered["b"] < 105:
            await ctx.tick().repeat(rng.randint(1, 40))
            await revoker.revoke(ctx)

    bench.run(idle=0.2, stall=0.2 * seed, extra=[revoke])
    assert len(revoker.revoked) > 20, f"seed {seed}"
    touched = 0
    for bursts, kind in ((bench.memory_bench.read_bursts, 0), (bench.memory_bench.write_bursts, 1)):
        for burst in bursts:
            if not burst.id & WALK_ID:
                page = burst.address >> 12
                end = revoker.revoked.get(page)
                assert bench.tables.grants[page][kind], f"seed {seed}: {burst}"
                assert end is None or burst.cycle <= end, f"seed {seed}: {burst} after cycle {end}"
                touched += end is not None
    assert touched > 20, f"seed {seed}"


def test_an_invalidation_of_an_idle_bridge_takes_six_cycles_or_five_and_one_for_each_set():
    bench = BridgeBench()
    revoker = Revoker(bench, random.Random(0))

    async def invalidate(ctx):
        await ctx.tick()
        for scope in Scope:
            await revoker.invalidate(ctx, scope, 1, 0)

    bench.run(extra=[invalidate])
    assert revoker.durations == [6, 5 + 16, 5 + 16]


def test_a_walk_under_way_at_the_start_leaves_nothing_of_the_old_entry():
    latency = 10
    bench = BridgeBench(timing=AXITiming(latency=(latency, latency)))
    revoker = Revoker(bench, random.Random(0))
    delays = range(1, 3 * latency)
    old, new = 0xAAAA00, 0xBBBB00
    for number in range(len(delays)):
        request = make_request(number << 12)
        bench.reads += [request, None, request, None]
        bench.tables.map(1, number, old + number, 1, 1)

    async def invalidate(ctx):
        for number, delay in enumerate(delays):
            while len(bench.events["ar"]) <= 2 * number:
                await ctx.tick()
            await ctx.tick().repeat(delay)
            bench.tables.map(1, number, new + number, 1, 1)
            await revoker.invalidate(ctx, Scope.PAGE, 1, number)

    bench.run(extra=[invalidate])
    pages = [
        burst.address >> 12 for burst in bench.memory_bench.read_bursts if not burst.id & WALK_ID
    ]
    assert pages[1::2] == [new + number for number in range(len(delays))]
    assert {page & -256 for page in pages[::2]} == {old, new}
