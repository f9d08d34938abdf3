# amaranth: UnusedElaboratable=no
"""`WritePath` writes what its translation permits, and answers in the order that AXI4 asks.

A refused write changes no byte of memory; nothing overtakes it. Data may come before or after the
addresses that it belongs to.
"""

import random

import pytest

from byway.rtl.translation.write_path import WritePath
from byway.sim.axi_memory_bench import AXITiming, SparseMemory
from byway.sim.bench import stream_put
from byway.sim.bridge_bench import AWKWARD
from byway.sim.path_bench import PathBench, answer_of, random_requests, single_beats


def path_bench(requests, *, outstanding=128, data_width=64, id_width=6, **parameters):
    dut = WritePath(data_width=data_width, id_width=id_width, outstanding=outstanding)

    def judge(request, answer):
        expected = answer_of(request, bench.memory)
        assert answer.resp == expected, f"{request}, seed {bench.seed}"
        return True

    bench = PathBench(
        dut, requests, answers=dut.answers, judge=judge, outstanding=outstanding, **parameters
    )
    return bench


def random_data(rng, requests, bus_bytes):
    """Beats for each of `requests`, strobed within the bytes that a beat has."""
    bursts = []
    for request in requests:
        burst = request.burst
        beats = []
        for number in range(burst.beats):
            start, length = burst.beat(number)
            lanes = (1 << length) - 1 << start % bus_bytes
            strobe = rng.choice([lanes, lanes & rng.getrandbits(bus_bytes)])
            last = number == burst.beats - 1
            beats.append({"data": rng.getrandbits(8 * bus_bytes), "strb": strobe, "last": last})
        bursts.append(beats)
    return bursts


def run(bench, bursts, *, idle=0.0):
    """Run with the master's data; none may pass before its address has been judged."""

    async def data(ctx):
        rng = random.Random(f"data {bench.seed}")
        for number, beats in enumerate(bursts):
            for beat in beats:
                await stream_put(ctx, bench.dut.beats, beat, rng=rng, idle=idle)
                assert len(bench.taken) > number, bench.seed

    bench.run(bench.memory_bench.writes, data)


@pytest.mark.parametrize("timing", [AXITiming(), AWKWARD], ids=["ideal", "awkward"])
@pytest.mark.parametrize(
    ("idle", "data_idle", "stall"), [(0, 0, 0), (0.8, 0, 0), (0, 0.5, 0.5), (0.5, 0.2, 0.8)]
)
@pytest.mark.parametrize(
    ("data_width", "id_width", "outstanding"), [(64, 6, 128), (128, 1, 4), (32, 2, 2)]
)
def test_memory_holds_what_was_permitted_and_every_write_is_answered(
    data_width, id_width, outstanding, idle, data_idle, stall, timing
):
    seed = f"{data_width} {idle} {data_idle} {stall} {timing.stall}"
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
    bus_bytes = data_width // 8
    bursts = random_data(rng, requests, bus_bytes)
    run(bench, bursts, idle=data_idle)
    bench.check_bus(bench.memory_bench.write_bursts)

    reference = SparseMemory()
    for request, beats in zip(requests, bursts, strict=True):
        address = request.fields["addr"]
        if request.refused or bench.memory.response(address, 1):
            continue
        for number, beat in enumerate(beats):
            start, _length = request.burst.beat(number)
            word = beat["data"].to_bytes(bus_bytes, "little")
            reference.write(start & -bus_bytes, word, beat["strb"])
    for page in {request.fields["addr"] & -4096 for request in requests}:
        assert bench.memory.read(page, 4096) == reference.read(page, 4096), seed


def test_an_address_a_beat_and_an_answer_pass_each_cycle_and_one_cycle_late():
    requests = single_beats(40)
    bench = path_bench(requests)
    run(bench, random_data(random.Random(0), requests, 8))
    assert bench.taken == list(range(40))
    assert [burst.cycle for burst in bench.memory_bench.write_bursts] == [n + 1 for n in range(40)]
    # A beat enters one cycle after its address and leaves in the next; so does an answer.
    assert bench.ended == [n + 4 for n in range(40)]


@pytest.mark.parametrize("outstanding", [2, 8])
def test_as_many_writes_are_under_way_as_the_limit_lets(outstanding):
    requests = single_beats(20)
    bench = path_bench(requests, outstanding=outstanding, timing=AXITiming(latency=(60, 60)))
    run(bench, random_data(random.Random(0), requests, 8))
    assert bench.most_under_way == outstanding


@pytest.mark.parametrize("outstanding", [0, 1, 12])
def test_a_limit_that_is_no_power_of_two_is_refused(outstanding):
    message = f"^Outstanding transactions must be a power of two, at least 2, not {outstanding}$"
    with pytest.raises(ValueError, match=message):
        WritePath(outstanding=outstanding)
