"""Partitions and drivers die at any cycle, with their DMA under way, on the real adapter.

What happens is in `byway.sim.scenarios.death`. Seeds are drawn anew, are shown where a test fails,
and can be given again as BYWAY_SEED; ``--deaths`` says how many there are of each kind.
"""

import os
import random

import pytest

from byway.sim.scenarios.death import Victim, die
from byway.sim.scenarios.flood import MOST_IDLE

#: Deaths of each kind.
DEATHS = 9
#: Of the wire's rate, what is left to the survivor's own frames without payload, which are not
#: counted, and to the end of its transfer, where acknowledgements are waited for.
TOLERANCE = 0.02


@pytest.fixture
def seed() -> int:
    """Shown by pytest if the test fails."""
    return int(os.environ.get("BYWAY_SEED") or random.SystemRandom().getrandbits(32))


@pytest.mark.parametrize("victim", Victim, ids=lambda victim: victim.name.lower())
def test_whoever_dies_is_silent_and_all_others_go_on(victim, seed, request):
    measured = 0
    for number in range(request.config.getoption("--deaths", default=None) or DEATHS):
        where = f"BYWAY_SEED={seed + number}"
        print(where)
        result = die(victim, seed + number)
        assert result.poison_on_wire == 0, f"{where}: {result}"
        assert result.pages_written == 0, f"{where}: {result}"
        assert result.intact, f"{where}: {result}"
        assert result.survivor_retransmissions == 0, f"{where}: {result}"
        if result.survivor_rate is not None and result.idle_cycles is not None:
            assert result.survivor_rate > 1 - TOLERANCE, f"{where}: {result}"
            assert result.idle_cycles <= MOST_IDLE, f"{where}: {result}"
            measured += 1
    assert victim.owns_adapter or measured


def test_the_same_seed_gives_the_same_death(seed):
    print(f"BYWAY_SEED={seed}")
    assert die(Victim.HOSTED, seed) == die(Victim.HOSTED, seed)
