"""Arguments for hcalls: every name on the machine, plausible numbers, and anything at all."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from byway.sim.fuzz.watch import HCALLS
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.partition import Partition

__all__ = ["Names", "random_hcall"]

#: How often each is chosen; the others once.
_WEIGHTS = {
    **dict.fromkeys(("h_put_tce", "h_stuff_tce", "h_put_rtce", "h_put_rtce_indirect"), 3),
    **dict.fromkeys(("h_free_crq", "h_free_sub_crq", "h_liobn_attributes"), 0.3),
}
_CHOICES = list(HCALLS)
_CHANCES = [_WEIGHTS.get(name, 1) for name in _CHOICES]
_EDGES = (0, 1, 31, 64, 65, 127, 128, 129, 511, 512, 513, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


@dataclass
class Names:
    """Names of everybody's things by owner; a partition can guess them all.

    Attributes
    ----------
    units, liobns, panes, handles : list of (str, int)
        Virtual adapters, windows, second panes and sub-CRQs.
    pages : int
        Of the smallest window.
    """

    units: list[tuple[str, int]] = field(default_factory=list)
    liobns: list[tuple[str, int]] = field(default_factory=list)
    panes: list[tuple[str, int]] = field(default_factory=list)
    handles: list[tuple[str, int]] = field(default_factory=list)
    pages: int = 64


def _one(rng: random.Random, names: Sequence[tuple[str, int]], caller: str) -> int:
    """A name: more often than not one of the caller's own."""
    own = [name for owner, name in names if owner == caller]
    if own and rng.random() < 0.75:
        return rng.choice(own)
    return rng.choice(names)[1] if names else rng.getrandbits(32)


def random_hcall(rng: random.Random, caller: Partition, names: Names) -> str:
    """Let `caller` make an hcall with arguments that are mostly plausible; returns its name."""
    name = rng.choices(_CHOICES, _CHANCES)[0]
    arguments = [
        _plausible(rng, parameter, caller.name, names)
        if rng.random() < 0.9
        else _anything(rng, names)
        for parameter in HCALLS[name]
    ]
    if "page" in HCALLS[name] and rng.random() < 0.7:
        # A list in the caller's memory; what it overwrites is the caller's own affair.
        page = 1 + rng.randrange(3)
        control = 4 if "tce" in name.split("_") else 1
        entries = [rng.randrange(64) * PAGE_SIZE | rng.randrange(control) for _ in range(8)]
        content = b"".join(entry.to_bytes(8, "big") for entry in entries)
        caller.memory.write(page * PAGE_SIZE, content)
        arguments[HCALLS[name].index("page")] = page * PAGE_SIZE
    getattr(caller.hcalls, name)(*arguments)
    return name


def _plausible(rng: random.Random, parameter: str, caller: str, names: Names) -> int:
    if parameter == "unit":
        return _one(rng, names.units, caller)
    if parameter == "handle":
        return _one(rng, names.handles, caller)
    if parameter == "r_liobn":
        return _one(rng, names.panes, caller)
    if parameter.endswith("liobn"):
        return _one(rng, names.liobns + names.panes, caller)
    if parameter.endswith("ioba"):
        return rng.randrange(names.pages) * PAGE_SIZE
    if parameter == "subfunction":
        return rng.choice((0x0A, 0x0B, 0x0C, 0x14))
    if parameter == "length":
        return rng.choice((1, 100, PAGE_SIZE, 2 * PAGE_SIZE))
    if parameter == "count":
        return rng.choice((0, 1, 1, 2, 3, 8))
    if parameter in ("high", "w0"):
        return 0x80 << 56 | rng.getrandbits(56)
    return rng.randrange(128) * PAGE_SIZE | rng.randrange(4)


def _anything(rng: random.Random, names: Names) -> int:
    every = names.units + names.liobns + names.panes + names.handles
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(every)[1] + rng.choice((-1, 0, 1))
    if kind == 1:
        return rng.choice(_EDGES)
    if kind == 2:
        return -(1 << rng.randrange(70))
    if kind == 3:
        return 1 << rng.randrange(70)
    return rng.getrandbits(64)
