"""The AXI memory bench answers legal masters in full, and fails illegal ones by name.

Rules: AMBA AXI4, IHI 0022, A3.2.1, A3.4.1, A3.4.3, A5.3.
"""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, Out, PureInterface
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import AXI4Signature, Burst, Resp
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory

CYCLE = 8e-9
AWKWARD = AXITiming(
    latency=(1, 20), stall=0.4, gap=0.3, ready_after_valid=True, interleave=True, reorder=True
)


class Pins(Component):
    """A master that is nothing but pins, which a testbench drives."""

    m_axi: PureInterface

    def __init__(self):
        signature = AXI4Signature(addr_width=64, data_width=64, id_width=4, user_width=8)
        super().__init__({"m_axi": Out(signature)})

    def elaborate(self, platform):
        m = Module()
        running = Signal()
        m.d.sync += running.eq(1)  # Gives the simulator its clock domain.
        return m


def run(testbench, *, memory=None, timing=None, seed=0):
    """Run `testbench(ctx, bus, memory, slave)` against a bench."""
    pins = Pins()
    bus = pins.m_axi
    memory = memory or SparseMemory()
    slave = AXIMemoryBench(bus, memory, timing=timing, rng=random.Random(seed))

    async def wrapped(ctx):
        await testbench(ctx, bus, memory, slave)

    async def watchdog(ctx):
        await ctx.delay(2000 * CYCLE)
        raise AssertionError("the bench hangs")

    sim = Simulator(pins)
    sim.add_clock(CYCLE)
    sim.add_testbench(slave.reads, background=True)
    sim.add_testbench(slave.writes, background=True)
    sim.add_testbench(wrapped)
    sim.add_testbench(watchdog, background=True)
    sim.run()
    return slave


def show_address(ctx, bus, channel, address, beats, *, id=0, size=3, burst=Burst.INCR):
    values = {"addr": address, "len": beats - 1, "id": id, "size": size, "burst": burst, "valid": 1}
    for name, value in values.items():
        ctx.set(getattr(bus, channel + name), value)


async def until(ctx, condition, *values):
    """As `ctx.tick().until`, which complains of its own if another testbench fails."""
    while True:
        _edge, _reset, met, *sampled = await ctx.tick().sample(condition, *values)
        if met:
            return sampled


async def ask(ctx, bus, channel, address, beats, **options):
    show_address(ctx, bus, channel, address, beats, **options)
    await until(ctx, getattr(bus, f"{channel}ready"))
    ctx.set(getattr(bus, f"{channel}valid"), 0)


async def send_beats(ctx, bus, words, *, strobe=0xFF):
    for number, word in enumerate(words):
        ctx.set(bus.wdata, word)
        ctx.set(bus.wstrb, strobe)
        ctx.set(bus.wlast, number == len(words) - 1)
        ctx.set(bus.wvalid, 1)
        await until(ctx, bus.wready)
    ctx.set(bus.wvalid, 0)


async def read_answers(ctx, bus, bursts):
    """Beats of so many bursts, by ID, in the order they came; checks nothing but `rlast`."""
    beats = {}
    order = []
    ctx.set(bus.rready, 1)
    while bursts:
        sample = (bus.rid, bus.rdata, bus.rresp, bus.rlast)
        rid, word, response, last = await until(ctx, bus.rvalid, *sample)
        beats.setdefault(rid, []).append((word, response))
        order.append(rid)
        bursts -= last
    return beats, order


def words_of(memory, address, beats):
    content = memory.read(address & -8, 8 * beats)
    return [int.from_bytes(content[at : at + 8], "little") for at in range(0, len(content), 8)]


def test_ideal_memory_answers_a_cycle_after_the_address_and_each_cycle_then():
    async def testbench(ctx, bus, memory, slave):
        ctx.set(bus.rready, 1)
        await ask(ctx, bus, "ar", 0x1003, 4)
        for word in words_of(memory, 0x1000, 4):
            _edge, _reset, valid, data = await ctx.tick().sample(bus.rvalid, bus.rdata)
            assert (valid, data) == (1, word)

    run(testbench)


@pytest.mark.parametrize("seed", range(4))
def test_awkward_memory_reorders_between_ids_and_never_within_one(seed):
    async def testbench(ctx, bus, memory, slave):
        asked = {}

        for number in range(16):
            await ask(ctx, bus, "ar", number * 0x100, 5, id=number % 4)
            asked.setdefault(number % 4, []).extend(words_of(memory, number * 0x100, 5))
        beats, order = await read_answers(ctx, bus, 16)
        assert {rid: [word for word, _response in got] for rid, got in beats.items()} == asked
        assert order != sorted(order), f"seed {seed}: no reordering seen"

    run(testbench, timing=AWKWARD, seed=seed)


def test_written_bytes_read_back_and_unstrobed_bytes_stay():
    async def testbench(ctx, bus, memory, slave):
        before = memory.read(0x2000, 24)
        ctx.set(bus.bready, 1)
        await send_beats(ctx, bus, [0x1111111111111111, 0x2222222222222222], strobe=0xF0)
        await ask(ctx, bus, "aw", 0x2000, 2, id=3)
        rid, response = await until(ctx, bus.bvalid, bus.bid, bus.bresp)
        assert (rid, response) == (3, Resp.OKAY)
        after = before[:4] + b"\x11" * 4 + before[8:12] + b"\x22" * 4 + before[16:]
        assert memory.read(0x2000, 24) == after

    run(testbench, timing=AWKWARD)


def test_failing_bytes_spoil_only_their_beat_and_are_not_written():
    async def testbench(ctx, bus, memory, slave):
        memory.fail(0x300C, 1, Resp.DECERR)
        before = memory.read(0x3000, 24)
        await ask(ctx, bus, "ar", 0x3000, 3)
        beats, _order = await read_answers(ctx, bus, 1)
        assert [response for _word, response in beats[0]] == [Resp.OKAY, Resp.DECERR, Resp.OKAY]
        ctx.set(bus.bready, 1)
        await ask(ctx, bus, "aw", 0x3008, 1)
        await send_beats(ctx, bus, [0])
        (response,) = await until(ctx, bus.bvalid, bus.bresp)
        assert response == Resp.DECERR
        assert memory.read(0x3000, 24) == before
        memory.mend()
        assert memory.response(0x3008, 8) == Resp.OKAY

    run(testbench)


def test_random_faults_depend_on_seed_and_address_alone():
    one = SparseMemory()
    two = SparseMemory()
    one.fail_at_random(1, 0.5)
    two.fail_at_random(1, 0.5)
    responses = [one.response(8 * word, 8) for word in range(64)]
    assert [two.response(8 * word, 8) for word in reversed(range(64))] == responses[::-1]
    assert set(responses) == {Resp.OKAY, Resp.SLVERR, Resp.DECERR}


def test_most_reads_in_flight_are_counted():
    async def testbench(ctx, bus, memory, slave):
        for number in range(7):
            await ask(ctx, bus, "ar", 0, 1, id=number)
        await read_answers(ctx, bus, 7)

    slave = run(testbench, timing=AXITiming(latency=(50, 60)))
    assert slave.most_reads_in_flight == 7
    assert slave.reads_in_flight == 0


@pytest.mark.parametrize(
    ("address", "beats", "options", "message"),
    [
        (0xFF8, 2, {}, "crosses 4 KiB"),
        (0x1000, 1, {"burst": Burst.FIXED}, "is not INCR"),
        (0x1000, 1, {"size": 4}, "too wide"),
    ],
)
@pytest.mark.parametrize("channel", ["ar", "aw"])
def test_illegal_bursts_fail(channel, address, beats, options, message):
    async def testbench(ctx, bus, memory, slave):
        await ask(ctx, bus, channel, address, beats, **options)
        await ctx.tick()

    with pytest.raises(AssertionError, match=message):
        run(testbench)


def test_address_that_changes_before_it_is_taken_fails():
    async def testbench(ctx, bus, memory, slave):
        for address in range(0, 800, 8):
            show_address(ctx, bus, "ar", address, 1)
            await ctx.tick()

    with pytest.raises(AssertionError, match="ar changed while it was not taken"):
        run(testbench, timing=AWKWARD)


def test_valid_that_falls_before_it_is_taken_fails():
    async def testbench(ctx, bus, memory, slave):
        for _attempt in range(50):
            show_address(ctx, bus, "aw", 0, 1)
            await ctx.tick()
            ctx.set(bus.awvalid, 0)
            await ctx.tick()

    with pytest.raises(AssertionError, match="awvalid fell before awready rose"):
        run(testbench, timing=AWKWARD)


@pytest.mark.parametrize("sent", [1, 3])
def test_write_burst_of_the_wrong_length_fails(sent):
    async def testbench(ctx, bus, memory, slave):
        await ask(ctx, bus, "aw", 0, 2)
        await send_beats(ctx, bus, [0] * sent)
        await ctx.tick()

    with pytest.raises(AssertionError, match=f"{sent} beats came for a burst of 2"):
        run(testbench)


def test_strobe_below_an_unaligned_start_fails():
    async def testbench(ctx, bus, memory, slave):
        await ask(ctx, bus, "aw", 4, 1)
        await send_beats(ctx, bus, [0])
        await ctx.tick()

    with pytest.raises(AssertionError, match="outside lanes 0xf0"):
        run(testbench)
