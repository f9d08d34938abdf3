# amaranth: UnusedElaboratable=no
"""The read arbiter gives each master its turn and its own beats, and no cycle away.

The memory is `byway.sim.axi_memory_bench`, which also judges what the arbiter asks of it.
"""

import dataclasses
import random
import re

import pytest
from amaranth.hdl import Cat
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Burst
from byway.rtl.bus.read_arbiter import ReadArbiter
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory

CYCLE = 8e-9
ID_RANGES = ((0, 16), (16, 3), (19, 1))

AWKWARD = AXITiming(latency=(1, 30), stall=0.3, gap=0.2, ready_after_valid=True, interleave=True)


@dataclasses.dataclass
class Master:
    """A master of the bench: bursts (address, beats, id) to ask for, and what it saw.

    Members
    -------
    idle, stall : float
        Chance, each cycle, that it offers no address, and that it does not take a beat.
    offered, taken : list of int
        Cycle from which each address was offered, and in which it was taken.
    beats : dict
        ID -> list of (word, response, last), as they came.
    beat_cycles : list of int
        When each beat came.
    """

    bursts: list[tuple[int, int, int]]
    idle: float = 0.0
    stall: float = 0.0
    offered: list[int] = dataclasses.field(default_factory=list)
    taken: list[int] = dataclasses.field(default_factory=list)
    beats: dict[int, list[tuple[int, int, int]]] = dataclasses.field(default_factory=dict)
    beat_cycles: list[int] = dataclasses.field(default_factory=list)

    async def ask(self, ctx, bus, rng):
        """Offer the addresses, one after the other."""
        cycle = 0
        for address, beats, burst_id in self.bursts:
            while rng.random() < self.idle:
                await ctx.tick()
                cycle += 1
            ctx.set(bus.arid, burst_id)
            ctx.set(bus.araddr, address)
            ctx.set(bus.arlen, beats - 1)
            ctx.set(bus.arsize, 3)
            ctx.set(bus.arburst, Burst.INCR)
            ctx.set(bus.aruser, burst_id ^ 0x55)
            ctx.set(bus.arvalid, 1)
            self.offered.append(cycle)
            ready = False
            while not ready:
                _edge, _reset, ready = await ctx.tick().sample(bus.arready)
                cycle += 1
            self.taken.append(cycle - 1)
            ctx.set(bus.arvalid, 0)

    async def take(self, ctx, bus, rng):
        """Take all beats; what is offered must stay until it is taken."""
        due = sum(beats for _address, beats, _id in self.bursts)
        payload = Cat(bus.rid, bus.rdata, bus.rresp, bus.rlast)
        held = None
        cycle = 0
        while due:
            ready = rng.random() >= self.stall
            ctx.set(bus.rready, ready)
            _edge, _reset, valid, now, rid, word, response, last = await ctx.tick().sample(
                bus.rvalid, payload, bus.rid, bus.rdata, bus.rresp, bus.rlast
            )
            if held is not None:
                assert (valid, now) == (1, held), "a beat changed before it was taken"
            held = now if valid and not ready else None
            if valid and ready:
                self.beats.setdefault(rid, []).append((word, response, last))
                self.beat_cycles.append(cycle)
                due -= 1
            cycle += 1
        ctx.set(bus.rready, 1)


def run(masters, *, memory=None, timing=None, seed=0):
    """Run `masters` to the end of their bursts; returns the memory's bench."""
    dut = ReadArbiter(id_ranges=ID_RANGES[: len(masters)], id_width=6)
    rng = random.Random(seed)
    slave = AXIMemoryBench(dut.m_axi, memory or SparseMemory(), timing=timing, rng=rng)

    async def watchdog(ctx):
        await ctx.delay(20_000 * CYCLE)
        raise AssertionError(f"seed {seed}: the arbiter hangs")

    def start(master, bus):
        async def ask(ctx):
            await master.ask(ctx, bus, rng)

        async def take(ctx):
            await master.take(ctx, bus, rng)

        sim.add_testbench(ask)
        sim.add_testbench(take)

    sim = Simulator(dut)
    sim.add_clock(CYCLE)
    sim.add_testbench(slave.reads, background=True)
    sim.add_testbench(watchdog, background=True)
    for number, master in enumerate(masters):
        start(master, dut.s_axi[number])
    sim.run()
    return slave


def reference(bursts, memory):
    """Beats by ID: what each master must see, in the order of its addresses."""
    beats = {}
    for address, count, burst_id in bursts:
        for number in range(count):
            at = address + 8 * number
            word = int.from_bytes(memory.read(at, 8), "little")
            beat = (word, memory.response(at, 8), int(number == count - 1))
            beats.setdefault(burst_id, []).append(beat)
    return beats


def random_bursts(rng, number, count):
    first, ids = ID_RANGES[number]
    return [
        (rng.randrange(1 << 52) << 12, rng.randint(1, 8), first + rng.randrange(ids))
        for _burst in range(count)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_each_master_gets_its_own_beats_from_awkward_memory(seed):
    rng = random.Random(seed)
    masters = [
        Master(random_bursts(rng, number, 40), idle=0.3, stall=rng.choice([0, 0.4]))
        for number in range(3)
    ]
    memory = SparseMemory()
    memory.fail_at_random(seed, 0.1)
    slave = run(masters, memory=memory, timing=AWKWARD, seed=seed)
    for number, master in enumerate(masters):
        assert master.beats == reference(master.bursts, memory), f"seed {seed}: master {number}"
    asked = [(burst.address, burst.beats, burst.id) for burst in slave.read_bursts]
    assert sorted(asked) == sorted(burst for master in masters for burst in master.bursts)
    assert all(burst.user == burst.id ^ 0x55 for burst in slave.read_bursts), f"seed {seed}"


def test_busy_masters_take_turns_and_leave_no_cycle():
    masters = [
        Master([(0x1000 * number, 1, first)] * 30) for number, (first, _) in enumerate(ID_RANGES)
    ]
    slave = run(masters)
    assert [burst.id for burst in slave.read_bursts] == [0, 16, 19] * 30
    cycles = [burst.cycle for burst in slave.read_bursts]
    assert cycles == list(range(cycles[0], cycles[0] + 90))


@pytest.mark.parametrize("alone", range(3))
def test_a_master_alone_has_every_cycle(alone):
    masters = [Master([]), Master([]), Master([])]
    masters[alone] = Master([(0, 1, ID_RANGES[alone][0])] * 30)
    slave = run(masters)
    # The turn starts at the first; it takes a cycle to come to another.
    wait = int(alone != 0)
    assert masters[alone].taken == list(range(wait, wait + 30))
    assert [burst.cycle for burst in slave.read_bursts] == list(range(wait + 1, wait + 31))
    assert masters[alone].beat_cycles == list(range(wait + 3, wait + 33))


def test_a_quiet_master_waits_for_one_address_of_each_other_at_most():
    busy = [Master([(0, 1, 0)] * 60), Master([(0, 1, 16)] * 60)]
    quiet = Master([(0, 1, 19)] * 8, idle=0.8)
    run([*busy, quiet], seed=3)
    waits = [taken - offered for offered, taken in zip(quiet.offered, quiet.taken, strict=True)]
    assert max(waits) == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"id_ranges": [(0, 16)]}, "ID ranges must be at least 2, not 1"),
        (
            {"id_ranges": [(0, 16), (16, 0)]},
            "ID range must hold one ID or more from 0 on, not 0 from 16",
        ),
        (
            {"id_ranges": [(-1, 2), (3, 3)]},
            "ID range must hold one ID or more from 0 on, not 2 from -1",
        ),
        (
            {"id_ranges": [(16, 1), (0, 17)]},
            "ID range must not overlap another, as that from 16 does",
        ),
        ({"id_ranges": [(0, 16), (30, 3)]}, "IDs must be below 32, not 32"),
    ],
)
def test_wrong_id_ranges_are_named(parameters, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ReadArbiter(id_width=5, **parameters)
