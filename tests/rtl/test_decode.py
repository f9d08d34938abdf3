# amaranth: UnusedElaboratable=no
"""The register bank's decoder and tree alone, at sizes with more stages than it usually needs."""

import itertools
import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.contract.decode import AddressDecoder, SelectTree


def run(component, test) -> None:
    simulator = Simulator(component)
    simulator.add_clock(8e-9)
    simulator.add_testbench(test)
    simulator.run()


def random_ranges(rng: random.Random, width: int) -> list[range]:
    """Ranges of addresses, half of them of one, with gaps and without, in any order."""
    ends = sorted(rng.sample(range(1 << width), min(1 << width, 40) // 2 + 1))
    ranges = []
    for start, stop in itertools.pairwise([*ends, 1 << width]):
        ranges.append(
            range(start, rng.choice([start + 1, start + 1, stop, rng.randint(start + 1, stop)]))
        )
    rng.shuffle(ranges)
    return ranges


@pytest.mark.parametrize("width", [1, 4, 5, 14])
def test_the_decoder_selects_the_range_two_cycles_later_and_nothing_between_ranges(width):
    rng = random.Random(width)
    ranges = random_ranges(rng, width)
    decoder = AddressDecoder(ranges, width)
    ends = [end for one in ranges for end in (one.start, one.stop - 1, one.stop)]

    async def test(ctx):
        expected = [0] * AddressDecoder.LATENCY
        for cycle in range(400):
            address = rng.choice([*ends, rng.randrange(1 << width)]) % (1 << width)
            start = rng.getrandbits(1)
            ctx.set(decoder.address, address)
            ctx.set(decoder.start, start)
            expected.append(sum(start << n for n, one in enumerate(ranges) if address in one))
            assert ctx.get(decoder.select) == expected[cycle], f"seed {width}, cycle {cycle}"
            await ctx.tick()

    run(decoder, test)


@pytest.mark.parametrize(
    ("count", "latency"), [(1, 1), (8, 1), (9, 2), (128, 2), (129, 3), (300, 3)]
)
def test_the_tree_gives_the_value_of_the_cycle_in_which_it_was_selected(count, latency):
    rng = random.Random(count)
    tree = SelectTree(count, 9)
    assert tree.latency == latency

    async def test(ctx):
        expected = [0] * latency
        for cycle in range(60):
            chosen = rng.choice([None, rng.randrange(count)])
            place, value = rng.randrange(count) if chosen is None else chosen, rng.getrandbits(9)
            ctx.set(tree.values[place], value)
            ctx.set(tree.select, 0 if chosen is None else 1 << chosen)
            expected.append(0 if chosen is None else value)
            assert ctx.get(tree.selected) == expected[cycle], f"seed {count}, cycle {cycle}"
            await ctx.tick()

    run(tree, test)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AddressDecoder([], 4), r"^Ranges must be at least one, and none empty$"),
        (
            lambda: AddressDecoder([range(1, 2), range(3, 3)], 4),
            r"^Ranges must be at least one, and none empty$",
        ),
        (
            lambda: AddressDecoder([range(3, 4), range(0, 4)], 4),
            r"^Ranges must have no address in common$",
        ),
        (lambda: AddressDecoder([range(15, 17)], 4), r"^Ranges must fit in 4 bits$"),
        (lambda: SelectTree(0, 8), r"^Count must be a positive integer, not 0$"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
