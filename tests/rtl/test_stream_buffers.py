# amaranth: UnusedElaboratable=no
"""`SkidBuffer`, `BypassBuffer` and `BypassQueue` obey one law, each with its capacity and latency.

The reference is a list. It takes a payload while it holds fewer than its capacity, and shows its
oldest one, with latency 0 also the one that just comes. The component agrees in every cycle on
``i.ready``, ``o.valid`` and ``o.payload``; so ``i.ready`` depends on flip-flops alone, and behind a
latency of 1 the others do too.
"""

import random

import pytest
from amaranth.hdl import unsigned
from amaranth.sim import Simulator

from byway.rtl.bus.bypass import BypassBuffer, BypassQueue
from byway.rtl.bus.skid_buffer import SkidBuffer

CYCLES = 400

# Name -> (component for a shape, capacity, latency).
BUFFERS = {
    "SkidBuffer": (lambda shape: SkidBuffer(shape=shape), 2, 1),
    "BypassBuffer": (BypassBuffer, 1, 0),
    "BypassQueue, 2": (lambda shape: BypassQueue(shape, depth=2), 2, 0),
    "BypassQueue, 4": (lambda shape: BypassQueue(shape, depth=4), 4, 0),
    "BypassQueue, 16": (lambda shape: BypassQueue(shape, depth=16), 16, 0),
}


def run(name, *, width=16, idle=0.0, stall=0.0):
    """Compare buffer `name` with the list for `CYCLES`; returns the cycles of entries and exits."""
    component, capacity, latency = BUFFERS[name]
    dut = component(unsigned(width))
    seed = f"{name} {width} {idle} {stall}"
    entries, exits = [], []

    async def bench(ctx):
        rng = random.Random(seed)
        held = []
        offers = False
        payload = 0
        for cycle in range(CYCLES):
            # An offer stays until it is taken; a payload without offer may be anything.
            if not offers:
                offers = rng.random() >= idle
                payload = rng.getrandbits(width)
            takes = rng.random() >= stall
            ctx.set(dut.i.valid, offers)
            ctx.set(dut.i.payload, payload)
            ctx.set(dut.o.ready, takes)
            _clk, _rst, ready, valid, shown = await ctx.tick().sample(
                dut.i.ready, dut.o.valid, dut.o.payload
            )
            where = f"seed {seed}, cycle {cycle}"

            assert ready == (len(held) < capacity), where
            come = [payload] if offers and ready else []
            visible = held if latency else held + come
            assert valid == bool(visible), where
            if valid:
                assert shown == visible[0], where

            held += come
            offers = offers and not come
            entries.extend([cycle] * len(come))
            if valid and takes:
                del held[0]
                exits.append(cycle)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return entries, exits


@pytest.mark.parametrize(
    ("idle", "stall"), [(0.5, 0), (0, 0.5), (0.5, 0.5), (0.8, 0.9), (0.1, 0.9)]
)
@pytest.mark.parametrize("width", [1, 64])
@pytest.mark.parametrize("name", BUFFERS)
def test_payloads_pass_in_order_under_stalls(name, width, idle, stall):
    _entries, exits = run(name, width=width, idle=idle, stall=stall)
    assert len(exits) > 20


@pytest.mark.parametrize("name", BUFFERS)
def test_a_payload_passes_each_cycle_after_the_latency(name):
    _component, _capacity, latency = BUFFERS[name]
    entries, exits = run(name)
    assert entries == list(range(CYCLES))
    assert exits == list(range(latency, CYCLES))


@pytest.mark.parametrize("name", BUFFERS)
def test_while_nobody_takes_it_fills_to_its_capacity(name):
    _component, capacity, _latency = BUFFERS[name]
    entries, exits = run(name, stall=1.0)
    assert entries == list(range(capacity))
    assert exits == []


@pytest.mark.parametrize("depth", [-2, 0, 1, 3, 12])
def test_other_depths_are_refused(depth):
    with pytest.raises(
        ValueError, match=rf"^Depth must be a power of two, at least 2, not {depth}$"
    ):
        BypassQueue(unsigned(8), depth=depth)
