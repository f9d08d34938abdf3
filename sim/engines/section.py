"""Sections: the part of a run that a waveform shows."""

import re
from dataclasses import dataclass

__all__ = ["EVENTS", "MAXIMUM_AROUND", "WHOLE_RUN", "Around", "Cycles", "Section", "parse_section"]

#: Events that a section can be around, in the order of their numbers in ``waveform.h``, from 1 on.
EVENTS = ("fault", "frame", "error")
#: Most cycles that a waveform can show before an event, and after it.
MAXIMUM_AROUND = 1_000_000


@dataclass(frozen=True)
class Cycles:
    """The cycles from `first` to `last`, both included; to the end of the run if `last` is None."""

    first: int = 0
    last: int | None = None


@dataclass(frozen=True)
class Around:
    """An event with what was before and after it; nothing if it does not happen.

    Attributes
    ----------
    event : str
        ``fault``: the manager's interrupt rises. ``frame``: a frame is on the wire, from its first
        preamble byte to the last of its FCS. ``error``: a frame ends that is not good.
    number : int
        Of the frame, counted from 1 at the start of the recording; other events are the first of
        their kind.
    cycles : int
        How many before it, and how many after: 1 to `MAXIMUM_AROUND`.
    """

    event: str
    number: int = 1
    cycles: int = 1000


Section = Cycles | Around

WHOLE_RUN = Cycles()


def parse_section(text: str) -> Section:
    """The section that a user calls `text`; raises `ValueError`, which says what there is.

    ``FIRST:LAST`` are cycles; ``fault``, ``error`` and ``frame:K`` are events, behind which may
    stand ``:N``, the cycles around it.
    """
    if match := re.fullmatch(r"([0-9]{1,15}):([0-9]{1,15})", text):
        first, last = map(int, match.groups())
        if first <= last:
            return Cycles(first, last)
    elif match := re.fullmatch(r"(?:(fault|error)|(frame):([0-9]{1,15}))(?::([0-9]{1,7}))?", text):
        event, frame, number, cycles = match.groups()
        around = Around(event or frame, int(number or 1), int(cycles or Around.cycles))
        if around.number and 1 <= around.cycles <= MAXIMUM_AROUND:
            return around
    raise ValueError(
        "section must be FIRST:LAST, fault[:N], error[:N] or frame:K[:N], with cycles "
        f"FIRST <= LAST, a frame K from 1, and N from 1 to {MAXIMUM_AROUND}, not {text!r}"
    )
