# amaranth: UnusedElaboratable=no
"""`IOTLB` answers with what was refilled, and forgets what it is told to.

The reference is a dictionary of everything ever refilled and not invalidated: the IOTLB may forget
any of it, for want of room, but may never answer anything else.
"""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.contract.model import codes
from byway.rtl.translation.iotlb import IOTLB

Scope = codes("invalidate_scope")


class Bench:
    """Drives an IOTLB as a translator does, one search at a time."""

    def __init__(self, ctx, dut):
        self.ctx = ctx
        self.dut = dut

    async def search(self, window, index, *, write=False, upper=False):
        """Answer to a search: None, or (entry, permits); leaves in `streams` what else it tells."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.page, {"window": window, "index": index})
        ctx.set(dut.is_write, int(write))
        ctx.set(dut.is_upper, int(upper))
        ctx.set(dut.advance, 1)
        await ctx.tick().repeat(2)
        ctx.set(dut.advance, 0)
        if not ctx.get(dut.found):
            return None
        entry = ctx.get(dut.entry)
        self.streams = ctx.get(dut.streams)
        ctx.set(dut.used, 1)
        await ctx.tick()
        permits = ctx.get(dut.permits)
        ctx.set(dut.used, 0)
        await ctx.tick()
        return (entry.rpn, entry.read, entry.write), permits

    async def refill(self, window, index, rpn, read, write, **use):
        """Store an entry."""
        ctx, dut = self.ctx, self.dut
        page = {"window": window, "index": index}
        entry = {"rpn": rpn, "read": read, "write": write}
        ctx.set(dut.refill.payload, {"page": page, "entry": entry, "use": use})
        ctx.set(dut.refill.valid, 1)
        await ctx.tick()
        ctx.set(dut.refill.valid, 0)
        await ctx.tick()

    async def fill(self, window, index, rpn, read=1, write=1):
        """Search, and refill if nothing is found."""
        if await self.search(window, index) is None:
            await self.refill(window, index, rpn, read, write)

    async def invalidate(self, scope, window=0, index=0):
        """Invalidate; returns how many cycles it took."""
        ctx, dut = self.ctx, self.dut
        page = {"window": window, "index": index}
        ctx.set(dut.advance, 1)
        ctx.set(dut.invalidate.payload, {"scope": scope, "page": page})
        ctx.set(dut.invalidate.valid, 1)
        cycles = 1
        async for _edge, _reset, ready in ctx.tick().sample(dut.invalidate.ready):
            if ready:
                break
            cycles += 1
        ctx.set(dut.invalidate.valid, 0)
        return cycles


def run(test, **parameters):
    dut = IOTLB(**parameters)

    async def testbench(ctx):
        await test(Bench(ctx, dut))

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize(
    ("sets", "ways", "windows"), [(16, 2, 4), (4, 1, 1), (2, 3, 5), (8, 4, 64)]
)
def test_answers_are_those_refilled_and_not_invalidated(sets, ways, windows):
    seed = f"{sets}/{ways}/{windows}"
    rng = random.Random(seed)

    async def test(bench):
        known = {}
        found = 0
        for step in range(400):
            where = f"seed {seed}, step {step}"
            window = rng.randrange(windows)
            index = rng.randrange(3 * sets) | rng.choice([0, 0, 0, 1 << 31])
            if rng.random() < 0.03:
                scope = rng.choice(list(Scope))
                await bench.invalidate(scope, window, index)
                known = {
                    page: entry
                    for page, entry in known.items()
                    if scope != Scope.EVERYTHING
                    and (page[0] != window or (scope == Scope.PAGE and page[1] != index))
                }
            write = rng.random() < 0.5
            answer = await bench.search(window, index, write=write)
            if answer is None:
                entry = rng.getrandbits(52), rng.randrange(2), rng.randrange(2)
                await bench.refill(window, index, *entry)
                if entry[1] or entry[2]:
                    known[window, index] = entry
            else:
                entry, permits = answer
                assert known.get((window, index)) == entry, where
                assert permits == entry[2 if write else 1], where
                found += 1
        assert found, f"seed {seed}: nothing was ever found"

    run(test, sets=sets, ways=ways, windows=windows)


def test_entries_without_any_permission_are_not_kept():
    async def test(bench):
        await bench.fill(0, 7, 0x1234, 0, 0)
        assert await bench.search(0, 7) is None
        await bench.refill(0, 7, 0x1234, 0, 1)
        assert await bench.search(0, 7) == ((0x1234, 0, 1), 0)
        assert await bench.search(0, 7, write=True) == ((0x1234, 0, 1), 1)

    run(test)


def test_the_first_pages_of_all_windows_and_as_many_pages_of_one_as_fit_are_kept():
    async def test(bench):
        pages = [(window, index) for window in range(4) for index in range(4)]
        pages += [(0, index) for index in range(4, 20)]
        for page in pages:
            await bench.fill(*page, rpn=hash(page) & 0xFFFF)
        for page in pages:
            assert await bench.search(*page) == ((hash(page) & 0xFFFF, 1, 1), 1), page

    run(test)


def test_the_way_used_last_is_replaced_last():
    async def test(bench):
        await bench.fill(0, 0, 1)
        await bench.fill(0, 16, 2)
        await bench.search(0, 0)
        await bench.fill(0, 32, 3)
        assert await bench.search(0, 0) is not None
        assert await bench.search(0, 16) is None
        assert await bench.search(0, 32) is not None

    run(test)


@pytest.mark.parametrize("scope", list(Scope))
def test_an_invalidation_reaches_no_further_than_its_scope(scope):
    async def test(bench):
        pages = [(window, index) for window in range(4) for index in (0, 5)]
        for page in pages:
            await bench.fill(*page, rpn=sum(page))
        assert await bench.invalidate(scope, 2, 5) == (4 if scope == Scope.PAGE else 3 + 16)
        kept = [page for page in pages if await bench.search(*page) is not None]
        dropped = {
            Scope.PAGE: [(2, 5)],
            Scope.WINDOW: [(2, 0), (2, 5)],
            Scope.EVERYTHING: pages,
        }[scope]
        assert kept == [page for page in pages if page not in dropped]

    run(test)


def test_a_search_taken_two_cycles_after_a_refill_finds_it_and_one_before_does_not():
    async def test(bench):
        ctx, dut = bench.ctx, bench.dut
        ctx.set(dut.page, {"window": 1, "index": 9})
        ctx.set(dut.advance, 1)
        await bench.refill(1, 9, 0x55, 1, 0)  # Searches are taken in this very cycle and the next.
        found = []
        for _ in range(3):
            await ctx.tick()
            found.append(ctx.get(dut.found))
        assert found == [0, 1, 1]
        assert ctx.get(dut.entry.rpn) == 0x55

    run(test)


def test_an_answer_stays_until_the_next_is_asked_for():
    async def test(bench):
        await bench.fill(0, 1, 0x11)
        await bench.fill(0, 2, 0x22)
        ctx, dut = bench.ctx, bench.dut
        for index in (1, 2):
            ctx.set(dut.page, {"window": 0, "index": index})
            ctx.set(dut.advance, 1)
            await ctx.tick()
        ctx.set(dut.advance, 0)
        await bench.refill(0, 16, 0x33, 1, 1)
        await bench.refill(0, 32, 0x44, 1, 1)
        assert ctx.get(dut.entry.rpn) == 0x11
        ctx.set(dut.advance, 1)
        await ctx.tick()
        assert ctx.get(dut.entry.rpn) == 0x22

    run(test)


def test_a_page_streams_once_when_its_upper_half_follows_its_lower_or_it_was_fetched_ahead():
    async def test(bench):
        async def told(*halves):
            streams = []
            for upper in halves:
                await bench.search(0, 3, upper=upper)
                streams.append(bench.streams)
            return streams

        use = {"ahead": 0, "low": 0, "followed": 0}
        for already, halves, expected in (
            ({}, (1, 1, 0, 0, 1, 1, 0, 1), [0, 0, 0, 0, 1, 0, 0, 0]),
            ({"low": 1}, (0, 1, 0, 1), [0, 1, 0, 0]),
            ({"ahead": 1}, (0, 0, 1), [1, 0, 0]),
            ({"ahead": 1, "low": 1, "followed": 1}, (0, 1, 0, 1), [0, 0, 0, 0]),
        ):
            await bench.invalidate(Scope.PAGE, 0, 3)
            await bench.refill(0, 3, 0x77, 1, 1, **(use | already))
            assert await told(*halves) == expected, already

    run(test)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sets": 12}, "Sets must be a power of two, at least 2, not 12"),
        ({"sets": 1}, "Sets must be a power of two, at least 2, not 1"),
        ({"ways": 0}, "Ways must be a positive integer, not 0"),
        ({"windows": 257}, "Windows must be 1 to 256, not 257"),
    ],
)
def test_impossible_geometries_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        IOTLB(**parameters)
