# amaranth: UnusedElaboratable=no
"""`Walker` reads the TCE that a table's base and a page index name, and tells of errors."""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.translation.walker import Walker
from byway.sim.bench import stream_get, stream_put


def run_walks(walks, *, seed=0, stall=0.3, **parameters):
    """Walk each of `walks`: (table page, index, user, word, response).

    Returns the reads, as (address, length in bytes, burst, user), and the answers, as (rpn, read,
    write, error).
    """
    dut = Walker(**parameters)
    reads, answers = [], []
    data_width = parameters.get("data_width", 64)

    async def ask(ctx):
        rng = random.Random(f"ask {seed}")
        for table_base, index, user, _word, _response in walks:
            payload = {"table_base": table_base, "index": index, "user": user}
            await stream_put(ctx, dut.walk, payload, rng=rng, idle=stall)

    async def memory(ctx):
        rng = random.Random(f"memory {seed}")
        for _table_base, _index, _user, word, response in walks:
            read = await stream_get(ctx, dut.address, rng=rng, stall=stall)
            length = (read.len + 1) << read.size
            reads.append((read.addr, length, read.burst, read.user))
            await ctx.tick().repeat(rng.randint(1, 5))
            beat = rng.getrandbits(data_width)
            shift = read.addr % (data_width // 8) * 8
            beat = beat & ~((1 << 64) - 1 << shift) | word << shift
            ctx.set(dut.beat.payload, {"data": beat, "resp": response})
            ctx.set(dut.beat.valid, 1)
            await ctx.tick()
            ctx.set(dut.beat.valid, 0)

    async def listen(ctx):
        for _ in walks:
            (walked,) = await ctx.tick().sample(dut.walked.payload).until(dut.walked.valid)
            entry = walked.entry
            answers.append((entry.rpn, entry.read, entry.write, walked.error))

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    for testbench in (ask, memory, listen):
        simulator.add_testbench(testbench)
    simulator.run()
    return reads, answers


@pytest.mark.parametrize("data_width", [64, 128, 512])
def test_walks_read_eight_bytes_at_the_base_plus_eight_times_the_index(data_width):
    rng = random.Random(data_width)
    walks = []
    for _ in range(100):
        index = rng.choice([rng.getrandbits(32), rng.getrandbits(9), 0, 2**32 - 1])
        response = rng.choice([Resp.OKAY, Resp.OKAY, *Resp])
        walks.append(
            (rng.getrandbits(51), index, rng.getrandbits(8), rng.getrandbits(64), response)
        )
    reads, answers = run_walks(walks, seed=data_width, data_width=data_width)
    for walk, read, answer in zip(walks, reads, answers, strict=True):
        where = f"data width {data_width}, walk {walk}"
        table_base, index, user, word, response = walk
        assert read == ((table_base << 12) + 8 * index, 8, Burst.INCR, user), where
        error = response in (Resp.SLVERR, Resp.DECERR)
        read_bit, write_bit = word & 1, word >> 1 & 1
        expected = (word >> 12, 0, 0, 1) if error else (word >> 12, read_bit, write_bit, 0)
        assert answer == expected, where


def test_a_walk_asks_two_cycles_later_and_answers_one_cycle_after_the_memory():
    dut = Walker()

    async def testbench(ctx):
        ctx.set(dut.address.ready, 1)
        await stream_put(ctx, dut.walk, {"table_base": 5, "index": 1, "user": 0})
        assert not ctx.get(dut.address.valid)
        await ctx.tick()
        assert ctx.get(dut.address.valid), "the address did not come in the second cycle"
        await ctx.tick()
        ctx.set(dut.beat.valid, 1)
        await ctx.tick()
        ctx.set(dut.beat.valid, 0)
        assert ctx.get(dut.walked.valid)
        await ctx.tick()
        assert not ctx.get(dut.walked.valid)

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


def test_a_bus_narrower_than_an_entry_is_refused():
    with pytest.raises(ValueError, match=r"^Data width must be at least 64 bits, not 32$"):
        Walker(data_width=32)
