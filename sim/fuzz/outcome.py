"""What a scenario came to."""

from collections import Counter
from dataclasses import dataclass, field

from byway.sim.fuzz.judge import Violation

__all__ = ["COUNTS", "Outcome"]

#: What is counted, by kind: attributes of `Outcome`.
COUNTS = ("actions", "hcalls", "faults", "stops", "completions", "events")


@dataclass
class Outcome:
    """What a scenario came to.

    Attributes
    ----------
    seed : int
    cycles : int
        When it ended.
    violation : Violation or None
        The first that was; None if all promises were kept.
    actions, hcalls, faults, stops, completions, events : Counter
        Actions by who and what; hcalls by name and answer; refused accesses by reason; stops of
        rings by reason, as far as they were seen; completions by status; and what else shows that
        much happened.
    log : list of (int, str, str)
        Cycle, who, and what was done.
    """

    seed: int
    cycles: int = 0
    violation: Violation | None = None
    actions: Counter[str] = field(default_factory=Counter)
    hcalls: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    completions: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    log: list[tuple[int, str, str]] = field(default_factory=list)
