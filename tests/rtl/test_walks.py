# amaranth: UnusedElaboratable=no
"""`Walks` walks once for a page at a time, and keeps what came of it while it is needed."""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.translation.walks import Walks

PAGES = 12


def key_of(page):
    """Window and index of one of the pages: each index is there in two windows."""
    return {"window": 1 + page % 2, "index": page // 2}


class Bench:
    """Does as the translator does: searches, then starts or joins, waits, and leaves when done."""

    def __init__(self, dut, seed):
        self.dut = dut
        self.rng = random.Random(f"walks {seed}")
        self.where = f"seed {seed}"
        self.under_way = []  # (cycle due, slot, page), as the walker has them.
        self.begun = {}  # Slot -> page, as the walker has them not yet.
        self.waiting = []  # (slot, page)
        self.tables = [self.rng.getrandbits(52) for _ in range(PAGES)]
        self.refills = []
        self.starts = 0
        self.joins = 0
        self.matched = None  # (page, slots), as registered by who searched.

    async def cycle(self, ctx, now, searches):
        """Drive one cycle; returns when its clock edge has passed."""
        dut, rng = self.dut, self.rng
        page = rng.randrange(PAGES) if searches and rng.random() < 0.6 else None
        ctx.set(dut.search.valid, page is not None)
        ctx.set(dut.search.payload, key_of(page or 0))
        ctx.set(dut.walk.ready, rng.random() < 0.7)
        self.under_way.sort()
        answers = self.under_way and self.under_way[0][0] <= now
        ctx.set(dut.walked.valid, bool(answers))
        if answers:
            _due, slot, walked = self.under_way.pop(0)
            entry = {"rpn": self.tables[walked], "read": 1, "write": walked % 2}
            ctx.set(dut.walked.payload, {"slot": slot, "entry": entry, "error": walked == 5})

        # Who waits leaves, when done; until then, the slot must be kept.
        keep = 0
        for slot, _page in self.waiting:
            keep |= 1 << slot
        if self.waiting:
            slot, waited = self.waiting[0]
            ctx.set(dut.seek, 1 << slot)
            await ctx.delay(1e-10)
            if ctx.get(dut.done) and rng.random() < 0.5:
                result = ctx.get(dut.result)
                assert result.entry.rpn == self.tables[waited], self.where
                assert (result.entry.write, result.error) == (waited % 2, waited == 5), self.where
                self.waiting.pop(0)

        # Who has searched starts a walk, or joins one.
        ctx.set(dut.start.valid, 0)
        ctx.set(dut.keep, keep)
        stays = False
        began = None
        if self.matched is not None:
            sought, slots = self.matched
            ctx.set(dut.keep, keep | slots)
            slot = slots.bit_length() - 1
            if not slots:
                ctx.set(dut.start.payload, {"page": key_of(sought), "place": sought, "user": 7})
                ctx.set(dut.start.valid, 1)
                await ctx.delay(1e-10)
                stays = not ctx.get(dut.start.ready)
                slot = ctx.get(dut.slot)
            if stays or len(self.waiting) >= 10 or rng.random() < 0.2:
                stays = True
                ctx.set(dut.start.valid, 0)
            else:
                if not slots:
                    assert slot not in [one for _due, one, _page in self.under_way], self.where
                    assert slot not in self.begun, self.where
                    assert sought not in self.begun.values(), self.where
                    assert slot not in [one for one, _page in self.waiting], self.where
                    assert sought not in [one for _due, _slot, one in self.under_way], self.where
                    began = slot, sought
                    self.starts += 1
                else:
                    self.joins += 1
                self.waiting.append((slot, sought))

        await ctx.delay(1e-10)
        if ctx.get(dut.walk.valid) and ctx.get(dut.walk.ready):
            walk = ctx.get(dut.walk.payload)
            assert (walk.place, walk.user) == (self.begun[walk.slot], 7), self.where
            self.under_way.append(
                (now + rng.randrange(1, 20), walk.slot, self.begun.pop(walk.slot))
            )
        if began is not None:
            self.begun[began[0]] = began[1]
        match = ctx.get(dut.match)
        begun = not stays and self.matched is not None and not self.matched[1]
        if page is not None and begun and self.matched is not None and self.matched[0] == page:
            match |= 1 << self.waiting[-1][0]
        assert match.bit_count() <= 1, f"{self.where}: two walks for one page"
        if ctx.get(dut.refill.valid):
            refill = ctx.get(dut.refill.payload)
            key = {"window": refill.page.window, "index": refill.page.index}
            page_refilled = next(one for one in range(PAGES) if key_of(one) == key)
            self.refills.append((page_refilled, refill.entry.rpn))
        if not stays:
            self.matched = None if page is None else (page, match)
        await ctx.tick()


@pytest.mark.parametrize(("seed", "slots"), [(0, 2), (1, 4), (2, 8), (3, 2), (4, 8)])
def test_a_page_is_walked_for_once_at_a_time_and_its_result_is_kept_while_needed(seed, slots):
    dut = Walks(slots=slots, windows=4)
    bench = Bench(dut, seed)

    async def testbench(ctx):
        for now in range(1500):
            await bench.cycle(ctx, now, searches=True)
        for now in range(1500, 1700):
            await bench.cycle(ctx, now, searches=False)
        assert ctx.get(dut.idle), f"seed {seed}: walks are left"

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()
    assert not bench.waiting, f"seed {seed}"
    assert bench.starts > 50, f"seed {seed}"
    assert bench.joins > 10, f"seed {seed}"
    assert len(bench.refills) == bench.starts, f"seed {seed}"
    assert all(rpn == bench.tables[page] for page, rpn in bench.refills), f"seed {seed}"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"slots": 1}, "Slots must be a power of two, at least 2, not 1"),
        ({"slots": 6}, "Slots must be a power of two, at least 2, not 6"),
        ({"windows": 0}, "Windows must be 1 to 256, not 0"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Walks(**parameters)
