# amaranth: UnusedElaboratable=no
"""`BurstSplitter` asks for every byte of a fragment once, in bursts that stay in their block.

The reference cuts the fragment's run of addresses at the multiples of the block.
"""

import itertools
import random

import pytest
from amaranth.hdl import Module

from byway.rtl.transmit.reader import BurstSplitter
from byway.sim.stream_bench import exchange

#: Address width, data width, bytes of a block: the default, two beats, the most, 256 beats.
SIZES = [(64, 64, 256), (40, 512, 128), (32, 128, 4096), (64, 32, 1024)]


def fragment(address, length, *, requester=0, last=1):
    return {"address": address, "length": length, "requester": requester, "last": last}


def cut(fragment, addr_width, data_width, burst_bytes, *, drop=0):
    """The reference: the bursts of `fragment`, while the requesters in `drop` are dropped."""
    lanes = data_width // 8
    bursts = []
    start, end = fragment["address"], fragment["address"] + fragment["length"]
    while start < end:
        stop = min(end, start - start % burst_bytes + burst_bytes)
        bursts.append(
            {
                "address": start // lanes * lanes % 2**addr_width,
                "length": (stop - 1) // lanes - start // lanes,
                "requester": fragment["requester"],
                "first_lane": start % lanes,
                "last_lane": (stop - 1) % lanes,
                "last": int(fragment["last"] and stop == end),
                "dropped": drop >> fragment["requester"] & 1,
            }
        )
        start = stop
    return bursts


def run(fragments, size, *, seed="", idle=0.0, stall=0.0, requesters=1, drop=0):
    """Cut `fragments`; returns the cycles in which they went in and their bursts came out."""
    addr_width, data_width, burst_bytes = size
    dut = BurstSplitter(
        addr_width=addr_width,
        data_width=data_width,
        burst_bytes=burst_bytes,
        requesters=requesters,
    )
    m = Module()
    m.submodules.dut = dut
    m.d.comb += dut.drop.eq(drop)
    result = exchange(m, dut.fragments, dut.bursts, fragments, seed=seed, idle=idle, stall=stall)
    bursts = [{name: burst[name] for name in burst.shape().members} for burst in result.payloads]
    expected = [burst for each in fragments for burst in cut(each, *size, drop=drop)]
    assert bursts == expected, f"seed {seed!r}"
    return result.taken, result.given


def random_fragment(rng, size):
    """Of a few blocks at most; often begins or ends at the edge of a beat, a block, the memory."""
    addr_width, data_width, burst_bytes = size
    lanes = data_width // 8
    near = rng.choice([-1, 0, 1, lanes - 1, lanes])
    address = rng.choice([rng.getrandbits(64), rng.getrandbits(64) * burst_bytes + near, near])
    length = rng.choice([1, lanes, rng.randint(1, lanes), rng.randint(1, 4 * burst_bytes)])
    if rng.random() < 0.4:
        length = max(1, length - (address + length) % burst_bytes + near)
    return fragment(
        address % 2 ** rng.choice([64, addr_width]),
        length,
        requester=rng.getrandbits(8),
        last=rng.getrandbits(1),
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.7), (0.3, 0.3)])
def test_every_byte_is_asked_for_once_and_in_order(size, idle, stall):
    seed = f"{size} {idle} {stall}"
    rng = random.Random(seed)
    run([random_fragment(rng, size) for _ in range(150)], size, seed=seed, idle=idle, stall=stall)


def test_bursts_of_requesters_that_are_dropped_say_so():
    rng = random.Random(0)
    size = SIZES[0]
    fragments = [{**random_fragment(rng, size), "requester": rng.randrange(6)} for _ in range(60)]
    run(fragments, size, requesters=4, drop=0b1010)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_alignment_around_a_block_is_cut(size):
    """Both ends of a fragment in every lane of the beats next to the edge of a block."""
    lanes, edge = size[1] // 8, 8 * size[2]
    rng = random.Random(1)
    starts = rng.sample(range(edge - lanes, edge + lanes), min(16, 2 * lanes))
    run(
        [
            fragment(start, end - start)
            for start in starts
            for end in range(start + 1, edge + lanes + 1, max(1, lanes // 8))
        ],
        size,
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_longest_fragment_is_cut_to_its_end(size):
    run([fragment(size[2] - 1, 2**20 - 1)], size)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_first_burst_comes_two_cycles_later_and_the_others_one_a_cycle(size):
    burst_bytes = size[2]
    fragments = [fragment(0x1000, count * burst_bytes) for count in (1, 2, 1, 5, 3, 1)]
    taken, given = run(fragments, size)
    expected = [
        cycle + 2 + number
        for cycle, each in zip(taken, fragments, strict=True)
        for number in range(each["length"] // burst_bytes)
    ]
    assert given == expected
    # Each fragment costs its bursts and a cycle.
    assert [later - cycle for cycle, later in itertools.pairwise(taken)] == [
        each["length"] // burst_bytes + 1 for each in fragments[:-1]
    ]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((65, 64, 256), "Address width must be 12 to 64 bits, not 65"),
        ((64, 24, 256), "Data width must be a power of two from 32 to 1024 bits, not 24"),
        ((64, 64, 100), "Burst bytes must be a power of two from 16 to 2048, not 100"),
        ((64, 64, 8), "Burst bytes must be a power of two from 16 to 2048, not 8"),
        ((64, 256, 8192), "Burst bytes must be a power of two from 64 to 4096, not 8192"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    addr_width, data_width, burst_bytes = parameters
    with pytest.raises(ValueError, match=f"^{message}$"):
        BurstSplitter(addr_width=addr_width, data_width=data_width, burst_bytes=burst_bytes)
