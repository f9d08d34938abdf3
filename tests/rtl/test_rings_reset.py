# amaranth: UnusedElaboratable=no
"""A ring of `TransmitRings` is reset at any moment: it falls silent, the others never notice.

What is shown of the ring that is reset: when the reset is over no access of it is under way and
none follows, and nothing that it held comes back in its next life.
"""

import random

import pytest

from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.rtl.contract.model import codes
from byway.sim.descriptor_bench import plain_requests, random_request
from byway.sim.rings_bench import AWKWARD, RingBench, RingsBench

STOP = codes("ring_stop_reason")
#: Cycles that a reset may take with the manners of this memory and path: what is under way ends.
LIMIT = 3000


class Reset:
    """Ring 0 is reset after some cycles and starts again; ring 1 goes on.

    Parameters
    ----------
    after : int
        Cycles from when it is active to the reset.
    refuse_all : bool
        The memory refuses everything of the ring from shortly before on.
    disabled : int
        Cycles before the reset in which its driver disables it; 0 if it does not.
    """

    def __init__(self, seed, *, after, refuse_all=False, disabled=0):
        self.seed = seed
        rng = random.Random(seed)
        first = [random_request(rng, rng.getrandbits(32), bad=0.2) for _ in range(80)]
        others = [random_request(rng, rng.getrandbits(32), bad=0.2) for _ in range(25)]
        self.second = plain_requests(10)
        self.ring, other = RingBench(0, first, size_log2=6), RingBench(1, others)
        self.bench = RingsBench(
            [self.ring, other], seed=seed, timing=AWKWARD, path_stall=0.2, errors=0.1, delay=20
        )
        self.after, self.refuse_all, self.disabled = after, refuse_all, disabled
        self.took = 0
        self.bench.run({0: 0, 1: len(others)}, self._reset_and_restart)
        self.bench.check_completions()

    def _accesses(self):
        bench = self.bench
        return [b for b in bench.reads.read_bursts + bench.writes.write_bursts if b.user == 0]

    async def _reset_and_restart(self, ctx):
        bench, ring = self.bench, self.ring
        config, status = bench.dut.config[0], bench.dut.status[0]
        while not ctx.get(status.active):
            await ctx.tick()
        await ctx.tick().repeat(self.after)
        if self.refuse_all:
            for page in (ring.descriptor_page, ring.completion_page):
                bench.memory.fail(page * PAGE_BYTES, 0x100 * PAGE_BYTES, Resp.DECERR)
        if self.disabled:
            ctx.set(config.enable, 0)
            await ctx.tick().repeat(self.disabled)

        # The register bank keeps the ring disabled as long as the reset lasts.
        ctx.set(config.reset, 1)
        await ctx.tick()
        ctx.set(config.enable, 0)
        self.took = 1
        while not ctx.get(status.reset_done):
            await ctx.tick()
            self.took += 1
            assert self.took < LIMIT, f"seed {self.seed!r}"
        assert not ctx.get(status.active), self.seed
        assert bench.in_flight(0) == 0, self.seed
        await ctx.tick()
        ctx.set(config.reset, 0)
        for name in ("active", "stopped", "reason", "consumer"):
            assert ctx.get(getattr(status, name)) == 0, f"{name}, seed {self.seed!r}"

        # Nothing of it follows, whatever its doorbell says.
        before = len(self._accesses())
        await bench.announce(ctx, ring, 0, 5)
        await ctx.tick().repeat(300)
        assert len(self._accesses()) == before, self.seed

        bench.memory.mend()
        ring.load(self.second)
        ring.stops = 0
        ctx.set(config.enable, 1)
        await ctx.tick().until(status.active)
        await bench.driver(ring)(ctx)
        while len(ring.completions) < len(self.second):
            await ctx.tick()
        assert ring.stops == 0, self.seed


@pytest.mark.parametrize("after", [1, 2, 17, 60, 150, 333, 700])
def test_a_ring_is_reset_alone_at_any_moment(after):
    run = Reset(f"at {after}", after=after)
    # A cycle after the doorbell nothing is under way yet.
    assert run.took > 2 or after == 1


@pytest.mark.parametrize("after", [5, 90, 410])
def test_a_ring_is_reset_while_all_that_it_asks_for_is_refused(after):
    Reset(f"refused {after}", after=after, refuse_all=True)


@pytest.mark.parametrize("disabled", [1, 2, 30, 2000])
def test_a_ring_is_reset_that_is_about_to_end(disabled):
    Reset(f"disabled {disabled}", after=250, disabled=disabled)
