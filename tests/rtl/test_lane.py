# amaranth: UnusedElaboratable=no
"""`Lane` lets a request in only if it has room for it at the way out.

The reference counts what is in the pipeline and lists what waits at either end; the lane agrees
with it in every cycle on all of its outputs. The pipeline is the test's: it gives requests back
after any time, and never waits to do so.
"""

import random
from dataclasses import dataclass

import pytest
from amaranth.sim import Simulator

from byway.rtl.translation.lane import Lane
from byway.rtl.translation.request import AddressLayout

REQUEST = AddressLayout(addr_width=16, id_width=3, user_width=2)
CYCLES = 600


@dataclass
class Chances:
    """Of each party, in each cycle: that it does not come, enter, judge, take; and of a hold."""

    idle: float = 0.0
    busy: float = 0.0
    think: float = 0.0
    stall: float = 0.0
    hold: float = 0.0


def run(chances, *, room=8):
    """Compare a lane with the reference for `CYCLES`.

    Returns the cycles in which requests came, entered the pipeline, were judged, and left.
    """
    dut = Lane(REQUEST, room=room)
    seed = f"{chances} {room}"
    came, entered, given_back, left = [], [], [], []
    # As plain numbers, the payloads are easy to make up and to compare.
    request = dut.requests.payload.as_value()
    offered = dut.offer.payload.as_value()
    judgement = dut.judged.payload.as_value()
    translated = dut.translated.payload.as_value()

    async def bench(ctx):
        rng = random.Random(seed)
        waiting, judged = [], []
        in_pipeline = 0
        comes = False
        number = 0
        for cycle in range(CYCLES):
            # A request stays until it is taken; the payloads of what is not valid are anything.
            if not comes:
                comes = rng.random() >= chances.idle
                number = rng.getrandbits(len(request))
            judges = in_pipeline > 0 and rng.random() >= chances.think
            result = rng.getrandbits(len(judgement))
            enters = rng.random() >= chances.busy
            takes = rng.random() >= chances.stall
            holds = rng.random() < chances.hold
            ctx.set(dut.requests.valid, comes)
            ctx.set(request, number)
            ctx.set(dut.judged.valid, judges)
            ctx.set(judgement, result)
            ctx.set(dut.offer.ready, enters)
            ctx.set(dut.translated.ready, takes)
            ctx.set(dut.hold, holds)
            _clk, _rst, ready, offers, offer, gives, given = await ctx.tick().sample(
                dut.requests.ready,
                dut.offer.valid,
                offered,
                dut.translated.valid,
                translated,
            )
            where = f"seed {seed}, cycle {cycle}"
            inside = in_pipeline + len(judged)

            # The way in: one request may wait.
            assert ready == (not waiting), where
            if comes and ready:
                waiting.append(number)
                comes = False
                came.append(cycle)
            assert offers == (bool(waiting) and inside < room and not holds), where
            if offers:
                assert offer == waiting[0], where
            if offers and enters:
                del waiting[0]
                in_pipeline += 1
                entered.append(cycle)

            # The way out.
            if judges:
                in_pipeline -= 1
                judged.append(result)
                given_back.append(cycle)
            assert gives == bool(judged), where
            if gives:
                assert given == judged[0], where
            if gives and takes:
                del judged[0]
                left.append(cycle)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return came, entered, given_back, left


@pytest.mark.parametrize("room", [2, 8])
@pytest.mark.parametrize(
    "chances",
    [
        Chances(idle=0.5, think=0.5),
        Chances(stall=0.5),
        Chances(think=0.8),
        Chances(busy=0.5, think=0.2, hold=0.3),
        Chances(idle=0.2, busy=0.2, think=0.5, stall=0.7, hold=0.1),
        Chances(idle=0.8, busy=0.1, think=0.3, stall=0.3, hold=0.5),
    ],
    ids=str,
)
def test_requests_pass_in_order_under_stalls(chances, room):
    _came, _entered, _given_back, left = run(chances, room=room)
    assert len(left) > 50


@pytest.mark.parametrize("room", [2, 8])
def test_a_request_enters_each_cycle_and_neither_end_costs_one(room):
    """The pipeline here takes 1 cycle."""
    came, entered, given_back, left = run(Chances(), room=room)
    assert came == entered == list(range(CYCLES))
    assert given_back == left == list(range(1, CYCLES))


@pytest.mark.parametrize("room", [2, 8])
def test_all_that_entered_is_given_back_though_nobody_takes_it(room):
    came, entered, given_back, left = run(Chances(stall=1.0), room=room)
    assert len(came) == room + 1
    assert len(entered) == len(given_back) == room
    assert left == []


def test_a_hold_takes_back_an_offer_that_waits():
    dut = Lane(REQUEST)

    async def bench(ctx):
        ctx.set(dut.requests.payload.addr, 7)
        ctx.set(dut.requests.valid, 1)
        await ctx.tick()
        ctx.set(dut.requests.valid, 0)
        ctx.set(dut.requests.payload.addr, 8)
        for holds in (0, 1, 1, 0):
            ctx.set(dut.hold, holds)
            assert ctx.get(dut.offer.valid) == (not holds)
            assert ctx.get(dut.offer.payload.addr) == 7
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


@pytest.mark.parametrize("room", [0, 1, 3])
def test_impossible_room_is_refused(room):
    message = f"^Room must be a power of two, at least 2, not {room}$"
    with pytest.raises(ValueError, match=message):
        Lane(REQUEST, room=room)
