# amaranth: UnusedElaboratable=no
"""`ReadPath` answers each read as its translation and the memory say, in the order that AXI4 asks.

A refused read never reaches the bus; nothing overtakes it. The walker's reads go before all others.
"""

import random

import pytest

from byway.rtl.bus.axi4 import Resp
from byway.rtl.translation.read_path import ReadPath
from byway.sim.axi_memory_bench import AXITiming
from byway.sim.bench import stream_put
from byway.sim.bridge_bench import AWKWARD
from byway.sim.path_bench import PathBench, answer_of, random_requests, single_beats
from byway.sim.request_bench import make_request

TABLE = 0x2000_0000


def walks_for(id_width):
    return 1 << min(id_width, 3)


def path_bench(requests, *, outstanding=128, data_width=64, id_width=6, **parameters):
    walks = walks_for(id_width)
    widths = {"data_width": data_width, "id_width": id_width}
    dut = ReadPath(**widths, outstanding=outstanding, walks=walks)
    bus_bytes = data_width // 8

    def judge(request, beat):
        number, burst = request.answered, request.burst
        start, _length = burst.beat(number)
        word = bench.memory.read(start & -bus_bytes, bus_bytes)
        data = 0 if request.refused else int.from_bytes(word, "little")
        is_last = number == burst.beats - 1
        expected = (data, answer_of(request, bench.memory), is_last)
        assert (beat.data, beat.resp, beat.last) == expected, f"{request}, seed {bench.seed}"
        return is_last

    bench = PathBench(
        dut, requests, answers=dut.beats, judge=judge, outstanding=outstanding, **parameters
    )
    return bench


@pytest.mark.parametrize("timing", [AXITiming(), AWKWARD], ids=["ideal", "awkward"])
@pytest.mark.parametrize(("idle", "stall"), [(0, 0), (0.5, 0), (0, 0.5), (0.8, 0.2)])
@pytest.mark.parametrize(
    ("data_width", "id_width", "outstanding"), [(64, 6, 128), (128, 1, 4), (64, 2, 2)]
)
def test_every_read_is_answered_among_walks(data_width, id_width, outstanding, idle, stall, timing):
    seed = f"{data_width} {idle} {stall} {timing.stall}"
    rng = random.Random(seed)
    requests = random_requests(rng, 60, data_width=data_width, id_width=id_width, refused=0.3)
    bench = path_bench(
        requests,
        outstanding=outstanding,
        data_width=data_width,
        id_width=id_width,
        seed=seed,
        idle=idle,
        stall=stall,
        timing=timing,
    )
    dut, memory = bench.dut, bench.memory
    size = (data_width // 8).bit_length() - 1
    memory.fail(TABLE, 128, Resp.SLVERR)
    memory.fail(TABLE + 128, 128, Resp.DECERR)
    slots = walks_for(id_width)
    walks = []
    under_way = {}
    most = 0

    async def walk(ctx):
        """As many walks at a time as there are slots."""
        for number in range(20):
            slot = number % slots
            while slot in under_way:
                await ctx.tick()
            address = TABLE + (rng.randrange(64) << size)
            walks.append((slot, address))
            under_way[slot] = address
            payload = make_request(address, size=size, user=len(walks), id=slot)
            await stream_put(ctx, dut.table_read, payload, rng=rng, idle=0.5)
        while under_way:
            await ctx.tick()

    async def answered(ctx):
        """The responses of the memory come as they are."""
        nonlocal most
        event = dut.table_beat
        while True:
            _edge, _reset, valid, beat = await ctx.tick().sample(event.valid, event.payload)
            if not valid:
                continue
            most = max(most, len(under_way))
            address = under_way.pop(beat.slot)
            word = memory.read(address, data_width // 8)
            expected = (int.from_bytes(word, "little"), memory.response(address, 1))
            assert (beat.data, beat.resp) == expected, seed

    async def precedence(ctx):
        pair = dut.table_read.valid, dut.translated.ready
        async for _edge, _reset, walks, takes in ctx.tick().sample(*pair):
            assert not (walks and takes), seed

    bench.run(bench.memory_bench.reads, walk, background=[precedence, answered])
    assert most > 1, seed
    walk_id = 1 << id_width
    bursts = bench.memory_bench.read_bursts
    bench.check_bus([burst for burst in bursts if burst.id < walk_id])
    seen = [(b.id, b.address, b.beats, b.user) for b in bursts if b.id >= walk_id]
    expected = [(walk_id | slot, place, 1, n) for n, (slot, place) in enumerate(walks, start=1)]
    assert seen == expected, seed


def test_an_address_and_a_beat_pass_each_cycle_and_one_cycle_late():
    bench = path_bench(single_beats(40))
    bench.run(bench.memory_bench.reads)
    assert bench.taken == list(range(40))
    assert [burst.cycle for burst in bench.memory_bench.read_bursts] == [n + 1 for n in range(40)]
    # The memory answers in the next cycle.
    assert bench.ended == [n + 3 for n in range(40)]


@pytest.mark.parametrize("outstanding", [2, 8])
def test_as_many_reads_are_under_way_as_the_limit_lets(outstanding):
    bench = path_bench(
        single_beats(20), outstanding=outstanding, timing=AXITiming(latency=(60, 60))
    )
    bench.run(bench.memory_bench.reads)
    assert bench.most_under_way == outstanding


@pytest.mark.parametrize("outstanding", [0, 1, 12])
def test_a_limit_that_is_no_power_of_two_is_refused(outstanding):
    message = f"^Outstanding transactions must be a power of two, at least 2, not {outstanding}$"
    with pytest.raises(ValueError, match=message):
        ReadPath(outstanding=outstanding)


def test_more_walks_than_the_master_has_ids_are_refused():
    with pytest.raises(ValueError, match=r"^Walks must be at most 4, not 8$"):
        ReadPath(id_width=2)


def test_a_bus_too_narrow_for_the_walker_is_refused():
    with pytest.raises(ValueError, match=r"^Data width must be at least 64 bits, not 32$"):
        ReadPath(data_width=32)
