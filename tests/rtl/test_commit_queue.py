# amaranth: UnusedElaboratable=no
"""`CommitQueue` shows what is committed, in order, and nothing that is rolled back."""

import random
from collections import deque

import pytest
from amaranth.hdl import unsigned
from amaranth.sim import Simulator

from byway.rtl.transmit.commit_queue import CommitQueue


@pytest.mark.parametrize("depth", [2, 16])
@pytest.mark.parametrize("stall", [0.0, 0.5, 0.9])
def test_only_what_is_committed_leaves(depth, stall):
    """Pushes, commits and rollbacks in every combination, also in one cycle."""
    seed = f"{depth} {stall}"
    dut = CommitQueue(unsigned(16), depth=depth)
    open_items: list[int] = []
    committed: deque[int] = deque()
    left = 0

    async def put(ctx):
        rng = random.Random(f"put {seed}")
        for _ in range(600):
            push = ctx.get(dut.level) < depth and rng.random() < 0.7
            # A queue full of what is not committed has to let go of it.
            is_full = len(open_items) == depth
            commit = rng.random() < 0.2 or is_full
            rollback = rng.random() < 0.1
            item = rng.getrandbits(16)
            ctx.set(dut.push, push)
            ctx.set(dut.item, item)
            ctx.set(dut.commit, commit)
            ctx.set(dut.rollback, rollback)
            if commit:
                committed.extend(open_items)
            if commit or rollback:
                open_items.clear()
            if push:
                open_items.append(item)
            await ctx.tick()
        for signal, value in ((dut.push, 0), (dut.rollback, 0), (dut.commit, 1)):
            ctx.set(signal, value)
        committed.extend(open_items)
        await ctx.tick().repeat(200)

    async def get(ctx):
        nonlocal left
        rng = random.Random(f"get {seed}")
        ready, shown = 0, None
        while True:
            _clk, _rst, valid, payload = await ctx.tick().sample(dut.items.valid, dut.items.payload)
            if shown is not None:
                assert (valid, payload) == (1, shown), seed
            shown = payload if valid and not ready else None
            if valid and ready:
                assert payload == committed.popleft(), seed
                left += 1
            ready = int(rng.random() >= stall)
            ctx.set(dut.items.ready, ready)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(get, background=True)
    sim.add_testbench(put)
    sim.run()
    assert not committed, seed
    assert left > 50, seed


def test_item_leaves_two_cycles_after_its_push():
    dut = CommitQueue(unsigned(8), depth=4)

    async def bench(ctx):
        ctx.set(dut.commit, 1)
        ctx.set(dut.push, 1)
        ctx.set(dut.item, 99)
        await ctx.tick()
        ctx.set(dut.push, 0)
        assert not ctx.get(dut.items.valid)
        await ctx.tick()
        assert ctx.get(dut.items.valid)
        assert ctx.get(dut.items.payload) == 99

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


@pytest.mark.parametrize("depth", [0, 1, 12])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match=f"Depth must be a power of two, at least 2, not {depth}"):
        CommitQueue(unsigned(8), depth=depth)
