"""The points of a sweep: a grid of parameters, or a random sample of it."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from byway.sim.scenarios.share import ShareOptions

__all__ = ["AXES", "Axis", "Grid"]


@dataclass(frozen=True)
class Axis:
    """A parameter that a grid varies.

    Attributes
    ----------
    name : str
        What the user calls it.
    meaning, unit : str
    """

    name: str
    meaning: str
    unit: str = ""

    @property
    def label(self) -> str:
        """Meaning and unit."""
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


#: Attribute of `ShareOptions` -> axis, the slowest first. A design changes with the first two.
AXES = {
    "data_width": Axis("width", "width of the memory bus", "bits"),
    "hosted": Axis("hosted", "hosted partitions that send at once"),
    "mtu": Axis("mtu", "longest IP packet", "bytes"),
    "mss": Axis("mss", "payload of a segment at most", "bytes"),
    "bytes": Axis("bytes", "sent by each partition", "bytes"),
    "memory_outstanding": Axis("outstanding", "bursts that memory accepts ahead"),
    "memory_stalls": Axis("stalls", "cycles that memory stalls for", "of 65,536"),
    "memory_latency": Axis("latency", "memory latency", "cycles"),
    "seed": Axis("seed", "seed of the bytes sent and of the stalls"),
}


@dataclass(frozen=True)
class Grid:
    """All combinations of some values.

    Attributes
    ----------
    engine : str
        Runs every point.
    values : mapping of str to tuple
        The values of each of `AXES`, at least one, each once.
    """

    engine: str
    values: Mapping[str, tuple[int | None, ...]]

    @property
    def size(self) -> int:
        """How many points."""
        return math.prod(len(self.values[axis]) for axis in AXES)

    def points(self) -> list[ShareOptions]:
        """All of them, the last axis fastest."""
        return [self._point(number) for number in range(self.size)]

    def sample(self, count: int, seed: int) -> list[ShareOptions]:
        """`count` of them drawn at random, or all if there are fewer; the same for a `seed`."""
        chosen = random.Random(seed).sample(range(self.size), min(count, self.size))
        return [self._point(number) for number in sorted(chosen)]

    def _point(self, number: int) -> ShareOptions:
        chosen = {}
        for axis in reversed(AXES):
            number, place = divmod(number, len(self.values[axis]))
            chosen[axis] = self.values[axis][place]
        return ShareOptions(engine=self.engine, **chosen)
