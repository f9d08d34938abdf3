"""Figures with goals: measured, printed, and kept for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

__all__ = ["Figure", "Limit", "as_json", "report"]

#: Of a table, in columns.
_LEAST_WIDTH = 132


@dataclass(frozen=True)
class Limit:
    """What a figure cannot exceed in theory, and the formula that says so."""

    value: float
    formula: str


@dataclass(frozen=True)
class Figure:
    """A figure, and the least or greatest that it should be.

    Attributes
    ----------
    goal : str or None
        For example ``>= 100``, or, of a figure with a limit, ``>= 0.99 of limit``; None of a
        figure that has no goal of its own.
    limit : Limit or None
    """

    name: str
    value: float
    unit: str
    goal: str | None = None
    limit: Limit | None = None

    @property
    def of_limit(self) -> float | None:
        """The value as a part of the limit; None without one."""
        return None if self.limit is None else self.value / self.limit.value

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached."""
        if self.goal is None:
            return None
        relation, bound, *of_the_limit = self.goal.split(" ")
        value = self.of_limit if of_the_limit else self.value
        assert value is not None, f"{self.name} has no limit"
        return value >= float(bound) if relation == ">=" else value <= float(bound)


def as_json(figures: Sequence[Figure]) -> str:
    """A list of ``{name, value, unit, limit, goal, met}``."""
    rows = [
        {
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "limit": figure.limit and figure.limit.value,
            "goal": figure.goal,
            "met": figure.met,
        }
        for figure in figures
    ]
    return json.dumps(rows, indent=2) + "\n"


def report(figures: Sequence[Figure], path: Path, *, quiet: bool = False) -> int:
    """Write `figures` to `path`, a list in JSON, and unless `quiet` print them.

    Returns 1 if a goal is missed, else 0.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(figures))
    if not quiet:
        _print(figures)
    return int(any(figure.met is False for figure in figures))


def _print(figures: Sequence[Figure]) -> None:
    limited = any(figure.limit for figure in figures)
    right = ["value", "of limit"]
    table = Table(box=None, pad_edge=False)
    for heading in ("figure", "value", "unit", *(["limit", "of limit"] * limited), "goal", ""):
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=True)
    for figure in figures:
        limit = [""] * 2
        if figure.limit:
            limit = [f"{_number(figure.limit.value)} = {figure.limit.formula}"]
            limit.append(f"{figure.of_limit:.4f}")
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        cells = (*(limit if limited else ()), figure.goal or "", verdict)
        table.add_row(figure.name, _number(figure.value), figure.unit, *cells)
    console = Console(highlight=False)
    console.width = max(console.width, _LEAST_WIDTH)
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"
