# amaranth: UnusedElaboratable=no
"""The DMA reader delivers exactly the bytes of its fragments, in order, from any legal memory.

The memory is `byway.sim.axi_memory_bench`, which also judges the AXI manners of the reader. Shown
besides: bursts stay in their block, no ID is used twice at a time, errors stay with their beat,
latency and throughput are as `byway.rtl.transmit.reader` says.
"""

import dataclasses
import random
from itertools import islice
from typing import Any

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Resp
from byway.rtl.transmit.reader import DmaReader
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory

CYCLE = 8e-9

AWKWARD = AXITiming(
    latency=(1, 60),
    stall=0.3,
    gap=0.1,
    ready_after_valid=True,
    interleave=True,
    exclusive_okay=True,
)


@dataclasses.dataclass
class Run:
    """What came out of a simulation, and when.

    Members
    -------
    pieces : list of tuple
        (bytes, start lane, last, error) of each piece.
    piece_cycles, fragment_cycles : list of int
        When each piece, and each fragment, was taken.
    slave : AXIMemoryBench
        What the memory saw.
    """

    pieces: list[tuple[bytes, int, int, int]]
    piece_cycles: list[int]
    fragment_cycles: list[int]
    slave: AXIMemoryBench


def read(
    fragments, *, memory=None, timing=None, seed=0, idle=0.0, stall=0.0, drop=None, **parameters
) -> Run:
    """Let a reader fetch `fragments`, tuples of (address, length, requester, last).

    `drop` is a function that makes, of the reader, a coroutine that drives its ``drop``.
    """
    dut = DmaReader(**parameters)
    rng = random.Random(seed)
    lanes = dut.data_width // 8
    slave = AXIMemoryBench(dut.m_axi, memory or SparseMemory(), timing=timing, rng=rng)
    run = Run([], [], [], slave)
    expected = sum(length // lanes + 2 for _address, length, _requester, _last in fragments)

    async def offer(ctx):
        cycle = 0
        for address, length, requester, last in fragments:
            while rng.random() < idle:
                await ctx.tick()
                cycle += 1
            ctx.set(
                dut.fragments.payload,
                {"address": address, "length": length, "requester": requester, "last": last},
            )
            ctx.set(dut.fragments.valid, 1)
            ready = False
            while not ready:
                _edge, _reset, ready = await ctx.tick().sample(dut.fragments.ready)
                cycle += 1
            run.fragment_cycles.append(cycle - 1)
            ctx.set(dut.fragments.valid, 0)

    async def collect(ctx):
        # The pieces of each burst that are still to come.
        wanted = [beats for _, beats, _ in reference_bursts(fragments, dut.burst_bytes, lanes)]
        begins = True
        cycle = 0
        held: Any = None
        while wanted:
            ready = rng.random() >= stall
            ctx.set(dut.pieces.ready, ready)
            _edge, _reset, valid, piece, rready = await ctx.tick().sample(
                dut.pieces.valid, dut.pieces.payload, dut.m_axi.rready
            )
            assert rready, f"seed {seed}: rready fell in cycle {cycle}"
            if held is not None:
                assert (valid, piece) == (1, held), (
                    f"seed {seed}: a piece changed before it was taken"
                )
            held = piece if valid and not ready else None
            if valid and ready:
                word = int(piece.data).to_bytes(lanes, "little")
                start, count = int(piece.start), int(piece.count)
                content = word[start : start + count]
                run.pieces.append((content, start, int(piece.last), int(piece.error)))
                run.piece_cycles.append(cycle)
                assert 1 <= count <= lanes - start, f"seed {seed}: {count} bytes from lane {start}"
                alone = drop is not None and begins and piece.error == Resp.DECERR
                wanted[0] -= wanted[0] if alone else 1
                begins = not wanted[0]
                if begins:
                    del wanted[0]
            cycle += 1
            limit = 2000 + 100 * expected
            assert cycle < limit, f"seed {seed}: {len(wanted)} bursts missing after {limit} cycles"
        ctx.set(dut.pieces.ready, 1)
        for _quiet in range(100):
            _edge, _reset, valid = await ctx.tick().sample(dut.pieces.valid)
            assert not valid, f"seed {seed}: a piece too many"

    sim = Simulator(dut)
    sim.add_clock(CYCLE)
    sim.add_testbench(slave.reads, background=True)
    if drop is not None:
        sim.add_testbench(drop(dut), background=True)
    sim.add_testbench(offer)
    sim.add_testbench(collect)
    sim.run()
    return run


def reference(fragments, memory, lanes=8):
    """Pieces of `fragments`, word by word."""
    pieces = []
    for address, length, _requester, last in fragments:
        end = address + length
        while address < end:
            start = address % lanes
            count = min(lanes - start, end - address)
            error = memory.response(address - start, lanes)
            final = int(last and address + count == end)
            pieces.append((memory.read(address, count), start, final, error))
            address += count
    return pieces


def reference_bursts(fragments, block=256, lanes=8):
    """(address, beats, requester) of each burst: a block, or the part of it that is wanted."""
    bursts = []
    for address, length, requester, _last in fragments:
        end = address + length
        while address < end:
            stop = min(end, address // block * block + block)
            first = address // lanes * lanes
            bursts.append((first, -(-(stop - first) // lanes), requester))
            address = stop
    return bursts


def check(run, fragments, memory, *, seed=0, block=256, lanes=8):
    expected = reference(fragments, memory, lanes)
    for number, (got, wanted) in enumerate(zip(run.pieces, expected, strict=True)):
        assert got == wanted, f"seed {seed}: piece {number} of {len(expected)}"
    bursts = [(burst.address, burst.beats, burst.user) for burst in run.slave.read_bursts]
    assert bursts == reference_bursts(fragments, block, lanes), f"seed {seed}"
    assert run.slave.most_reads_of_an_id == 1, f"seed {seed}: an ID in flight twice"


def random_fragments(rng, count, most):
    fragments = []
    for _number in range(count):
        page = rng.randrange(1 << 52) << 12
        # Near the end of a page or a block more often than chance has it.
        offset = rng.choice([rng.randrange(4096), 4096 - rng.randrange(1, 40), rng.randrange(256)])
        length = rng.choice([rng.randint(1, 16), rng.randint(1, most), 256])
        fragments.append((page + offset, length, rng.randrange(256), int(rng.random() < 0.5)))
    return fragments


@pytest.mark.parametrize("seed", range(4))
def test_random_fragments_from_awkward_memory_arrive_in_order(seed):
    rng = random.Random(seed)
    fragments = random_fragments(rng, 40, 1600)
    memory = SparseMemory()
    stall = rng.choice([0.0, 0.3, 0.6])
    run = read(fragments, memory=memory, timing=AWKWARD, seed=seed, idle=0.2, stall=stall)
    check(run, fragments, memory, seed=seed)


def test_every_alignment_with_every_short_length():
    fragments = [
        (0x1000 + 64 * length + start, length, 0, 1)
        for start in range(8)
        for length in range(1, 18)
    ]
    memory = SparseMemory()
    check(read(fragments, memory=memory), fragments, memory)


@pytest.mark.parametrize("length", [255, 256, 257, 4095, 4096, 4097])
@pytest.mark.parametrize("address", [0x1FFF, 0x2000, 0x2001])
def test_lengths_about_a_block_and_a_page(address, length):
    fragments = [(address, length, 7, 1)]
    memory = SparseMemory()
    check(read(fragments, memory=memory), fragments, memory)


@pytest.mark.parametrize("seed", range(4))
def test_of_a_requester_that_is_dropped_nothing_more_is_asked_for(seed):
    """Each of its bursts comes as from memory, or as a piece alone; others' come as ever."""
    rng = random.Random(seed)
    fragments = [
        (address, length, rng.randrange(3), last)
        for address, length, _requester, last in random_fragments(rng, 40, 1600)
    ]
    memory = SparseMemory()
    dropped: list[int] = []  # In each cycle.

    def drop(dut):
        async def change(ctx):
            while True:
                ctx.set(dut.drop, rng.choice([0, 0b010, 0b110]))
                for _cycle in range(rng.choice([1, 30, 300])):
                    dropped.append(ctx.get(dut.drop))
                    await ctx.tick()

        return change

    run = read(
        fragments,
        memory=memory,
        timing=AWKWARD,
        seed=seed,
        stall=rng.choice([0.0, 0.4]),
        drop=drop,
        requesters=3,
    )
    arrived, expected = iter(run.pieces), iter(reference(fragments, memory))
    missing = 0
    for _address, beats, requester in reference_bursts(fragments):
        of_burst = list(islice(expected, beats))
        got = next(arrived)
        if got[3] == Resp.DECERR:
            content, start, last, _error = got
            assert requester, f"seed {seed}"
            assert (start, last) == (0, of_burst[-1][2]), f"seed {seed}"
            assert len(content) == of_burst[-1][1] + len(of_burst[-1][0]), f"seed {seed}"
            missing += 1
        else:
            assert [got, *islice(arrived, beats - 1)] == of_burst, f"seed {seed}"
    assert missing, f"seed {seed}"
    assert not list(arrived), f"seed {seed}"

    # What was asked for is as ever, but for the bursts left out; an address may wait on the bus
    # from a time when it was wanted.
    asked = [(burst.address, burst.beats, burst.user) for burst in run.slave.read_bursts]
    remaining = iter(reference_bursts(fragments))
    assert all(burst in remaining for burst in asked), f"seed {seed}"
    for burst in run.slave.read_bursts:
        recent = dropped[max(0, burst.cycle - 60) : burst.cycle]
        assert not all(mask >> burst.user & 1 for mask in recent), f"seed {seed}"


def test_a_burst_that_is_dropped_takes_three_cycles():
    def drop(dut):
        async def always(ctx):
            ctx.set(dut.drop, 1)

        return always

    run = read([(0x10000, 64 << 10, 0, 1)], drop=drop)
    assert not run.slave.read_bursts
    assert {error for _bytes, _start, _last, error in run.pieces} == {Resp.DECERR}
    assert len(run.pieces) == 256
    assert run.piece_cycles[-1] - run.piece_cycles[0] <= 255 * 3


def test_super_frame_in_one_fragment():
    fragments = [(0x1234_5678_9ABC_DEF1, 70_000, 3, 1)]
    memory = SparseMemory()
    run = read(fragments, memory=memory, timing=AXITiming(latency=(20, 90), reorder=True))
    check(run, fragments, memory)


@pytest.mark.parametrize("seed", range(3))
def test_failed_beats_carry_their_response_and_nothing_is_lost(seed):
    rng = random.Random(seed)
    fragments = random_fragments(rng, 25, 900)
    memory = SparseMemory()
    memory.fail_at_random(seed, 0.2)
    run = read(fragments, memory=memory, timing=AWKWARD, seed=seed)
    check(run, fragments, memory, seed=seed)
    assert {error for _bytes, _start, _last, error in run.pieces} == {0, Resp.SLVERR, Resp.DECERR}


@pytest.mark.parametrize(
    "parameters",
    [
        {"slots": 8, "burst_bytes": 64},
        {"data_width": 128, "id_width": 6},
        {"data_width": 32, "slots": 2, "burst_bytes": 8},
        {"burst_bytes": 2048},
    ],
)
def test_other_sizes_work_alike(parameters):
    fragments = random_fragments(random.Random(1), 15, 500)
    memory = SparseMemory()
    run = read(fragments, memory=memory, timing=AWKWARD, stall=0.2, **parameters)
    lanes = parameters.get("data_width", 64) // 8
    check(run, fragments, memory, block=parameters.get("burst_bytes", 256), lanes=lanes)


def test_addresses_wrap_at_their_width():
    memory = SparseMemory()
    run = read([((1 << 40) - 16, 32, 0, 1)], memory=memory, addr_width=40)
    assert [burst.address for burst in run.slave.read_bursts] == [(1 << 40) - 16, 0]


def test_as_many_bursts_as_slots_are_in_flight_and_no_more():
    fragments = [(0x10000, 16384, 0, 1)]
    memory = SparseMemory()
    run = read(fragments, memory=memory, timing=AXITiming(latency=(1200, 1200)))
    check(run, fragments, memory)
    assert run.slave.most_reads_in_flight == 16


def test_bursts_wait_while_the_pieces_are_not_taken():
    # Every beat of the slots has come before the consumer takes much; nothing may be overwritten.
    fragments = [(0x10003, 6000, 0, 1)]
    memory = SparseMemory()
    run = read(fragments, memory=memory, stall=0.8)
    check(run, fragments, memory)
    assert run.slave.most_reads_in_flight <= 16


def test_address_follows_its_fragment_by_two_cycles_and_a_piece_its_beat_by_three():
    run = read([(0x1000, 64, 0, 1)], timing=AXITiming(latency=(10, 10)))
    asked = run.slave.read_bursts[0].cycle
    assert asked - run.fragment_cycles[0] == 2
    assert run.piece_cycles == [asked + 10 + 3 + beat for beat in range(8)]


@pytest.mark.parametrize("latency", [1, 60])
def test_a_piece_each_cycle_within_a_long_fragment(latency):
    run = read([(0x1000, 4096, 0, 1)], timing=AXITiming(latency=(latency, latency)))
    assert run.piece_cycles[-1] - run.piece_cycles[0] == 511


@pytest.mark.parametrize("latency", [1, 60])
def test_short_frames_back_to_back_leave_no_bubble(latency):
    fragments = [(0x1000 * number, 64, 0, 1) for number in range(40)]
    run = read(fragments, timing=AXITiming(latency=(latency, latency)))
    assert run.piece_cycles[-1] - run.piece_cycles[0] == 8 * 40 - 1


def test_fragments_of_one_beat_take_two_cycles_each():
    fragments = [(0x1000 * number + 3, 4, 0, 1) for number in range(40)]
    run = read(fragments)
    assert run.piece_cycles[-1] - run.piece_cycles[0] == 2 * 39


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"slots": 12}, "Slots must be a power of two from 2, not 12"),
        ({"slots": 1}, "Slots must be a power of two from 2, not 1"),
        ({"burst_bytes": 8}, "Burst bytes must be a power of two from 16 to 2048, not 8"),
        ({"burst_bytes": 4096}, "Burst bytes must be a power of two from 16 to 2048, not 4096"),
        ({"id_width": 3}, "ID width must be at least 4 bits for 16 slots, not 3"),
        (
            {"data_width": 48},
            "Data width must be a power of two from 32 to 1024 bits, not 48",
        ),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        DmaReader(**parameters)
