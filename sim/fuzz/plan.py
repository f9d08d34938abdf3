"""What a seed stands for: a machine, who is hostile in it, and for how long."""

import random
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from byway.sim.board.axi_memory import MemoryManner

__all__ = ["DESIGNS", "Design", "Host", "Plan", "plan_of"]


class Host(Enum):
    """How the hosting partition behaves."""

    HONEST = "honest"
    """As its drivers are."""
    OWN_RING = "own ring"
    """It serves its clients, and drives ring 0, which is its own, with garbage."""
    HOSTILE = "hostile"
    """It does with the adapter and its clients whatever it can."""


@dataclass(frozen=True)
class Design:
    """An adapter: rings for the owner and `hosted` partitions, and the width of its memory bus."""

    hosted: int
    data_width: int


#: What is compiled; both are used elsewhere too.
DESIGNS = (Design(2, 64), Design(3, 128))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A scenario, as its seed draws it.

    Attributes
    ----------
    seed : int
    design : Design
    host : Host
    hostile : tuple of bool
        Of each hosted partition, whether it is.
    manner : MemoryManner
    bucket : tuple of bool
        Of each hosted partition, whether its window begins with the bit bucket allowed.
    ring_log2 : int
        Entries of rings, as a power of two.
    turns : int
        How often software acts while attacks go on.
    pace : int
        Most cycles between two turns.
    """

    seed: int
    design: Design
    host: Host
    hostile: tuple[bool, ...]
    manner: MemoryManner
    bucket: tuple[bool, ...]
    ring_log2: int
    turns: int
    pace: int

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {**asdict(self), "host": self.host.value}


def plan_of(seed: int) -> Plan:
    """The plan that `seed` draws."""
    rng = random.Random(f"plan {seed}")
    host = rng.choices(list(Host), (4, 3, 4))[0]
    # An adapter with a ring that nobody is served on is another machine, too.
    design = rng.choice(DESIGNS)
    count = rng.randint(2, design.hosted)
    hostile = [rng.random() < 0.5 for _ in range(count)]
    if host is Host.HONEST and not any(hostile):
        hostile[rng.randrange(count)] = True
    if all(hostile):
        hostile[rng.randrange(count)] = False
    manner = MemoryManner(
        latency=rng.choice((0, 3, 20, 60, 150)),
        outstanding=rng.choice((1, 4, 16, 32)),
        stalls=rng.choice((0, 0, 3_000, 20_000)),
        reorders=rng.random() < 0.5,
        errors=rng.choice((0, 0, 1_500)) if host is Host.HOSTILE else 0,
        seed=rng.getrandbits(32),
    )
    return Plan(
        seed=seed,
        design=design,
        host=host,
        hostile=tuple(hostile),
        manner=manner,
        bucket=tuple(rng.random() < 0.85 for _ in hostile),
        ring_log2=rng.randint(4, 6),
        turns=rng.randint(25, 45),
        pace=rng.choice((60, 150, 350)),
    )
