# amaranth: UnusedElaboratable=no
"""`Walker` reads TCEs, several at a time, and tells of errors."""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.translation.walker import Walker
from byway.sim.bench import stream_get, stream_put


def run_walks(walks, *, seed=0, stall=0.3, slots=8, **parameters):
    """Walk each of `walks`: (place, user, word, response), as many at a time as there are slots.

    Returns the reads, as (address, length in bytes, burst, user, id), and the answers, as (rpn,
    read, write, error), each in the order of the walks.
    """
    dut = Walker(slots=slots, **parameters)
    reads, answers = [], {}
    data_width = parameters.get("data_width", 64)
    under_way = {}  # Slot -> number of the walk.
    asked = []  # Slots whose read the memory has.
    most = 0

    async def ask(ctx):
        rng = random.Random(f"ask {seed}")
        for number, (place, user, _word, _response) in enumerate(walks):
            while len(under_way) == slots:
                await ctx.tick()
            slot = rng.choice([one for one in range(slots) if one not in under_way])
            under_way[slot] = number
            payload = {"slot": slot, "place": place, "user": user}
            await stream_put(ctx, dut.walk, payload, rng=rng, idle=stall)

    async def take(ctx):
        nonlocal most
        rng = random.Random(f"take {seed}")
        for _ in walks:
            read = await stream_get(ctx, dut.address, rng=rng, stall=stall)
            length = (read.len + 1) << read.size
            reads.append((read.addr, length, read.burst, read.user, read.id))
            asked.append(read.id)
            most = max(most, len(asked))

    async def answer(ctx):
        rng = random.Random(f"answer {seed}")
        for _ in walks:
            while not asked or rng.random() < 0.7:
                ctx.set(dut.beat.valid, 0)
                await ctx.tick()
            slot = asked.pop(rng.randrange(len(asked)))
            place, _user, word, response = walks[under_way[slot]]
            beat = rng.getrandbits(data_width)
            shift = place * 8 % (data_width // 8) * 8
            beat = beat & ~((1 << 64) - 1 << shift) | word << shift
            ctx.set(dut.beat.payload, {"slot": slot, "data": beat, "resp": response})
            ctx.set(dut.beat.valid, 1)
            await ctx.tick()
        ctx.set(dut.beat.valid, 0)

    async def listen(ctx):
        for _ in walks:
            (walked,) = await ctx.tick().sample(dut.walked.payload).until(dut.walked.valid)
            entry = walked.entry
            number = under_way.pop(walked.slot)
            answers[number] = (entry.rpn, entry.read, entry.write, walked.error)

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    for testbench in (ask, take, answer, listen):
        simulator.add_testbench(testbench)
    simulator.run()
    assert most > 1, f"seed {seed}: never two at a time"
    return reads, [answers[number] for number in range(len(walks))]


@pytest.mark.parametrize(("data_width", "slots"), [(64, 8), (128, 2), (512, 4)])
def test_walks_read_the_eight_bytes_of_their_entry_and_answer_as_the_memory_does(data_width, slots):
    rng = random.Random(data_width)
    walks = []
    for _ in range(150):
        response = rng.choice([Resp.OKAY, Resp.OKAY, *Resp])
        walks.append((rng.getrandbits(61), rng.getrandbits(8), rng.getrandbits(64), response))
    reads, answers = run_walks(walks, seed=data_width, data_width=data_width, slots=slots)
    for walk, read, answer in zip(walks, reads, answers, strict=True):
        where = f"data width {data_width}, walk {walk}"
        place, user, word, response = walk
        assert read[:4] == (8 * place, 8, Burst.INCR, user), where
        error = response in (Resp.SLVERR, Resp.DECERR)
        read_bit, write_bit = word & 1, word >> 1 & 1
        expected = (word >> 12, 0, 0, 1) if error else (word >> 12, read_bit, write_bit, 0)
        assert answer == expected, where


def test_a_walk_asks_at_once_and_answers_one_cycle_after_the_memory():
    dut = Walker()

    async def testbench(ctx):
        ctx.set(dut.address.ready, 1)
        ctx.set(dut.walk.payload, {"slot": 3, "place": 5, "user": 0})
        ctx.set(dut.walk.valid, 1)
        assert ctx.get(dut.address.valid)
        assert ctx.get(dut.address.payload.id) == 3
        await ctx.tick()
        ctx.set(dut.walk.valid, 0)
        assert not ctx.get(dut.address.valid)
        ctx.set(dut.beat.payload.slot, 3)
        ctx.set(dut.beat.valid, 1)
        await ctx.tick()
        ctx.set(dut.beat.valid, 0)
        assert ctx.get(dut.walked.valid)
        assert ctx.get(dut.walked.payload.slot) == 3
        await ctx.tick()
        assert not ctx.get(dut.walked.valid)

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


def test_a_bus_narrower_than_an_entry_is_refused():
    with pytest.raises(ValueError, match=r"^Data width must be at least 64 bits, not 32$"):
        Walker(data_width=32)
