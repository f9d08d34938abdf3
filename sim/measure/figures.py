"""Figures with goals: measured, printed, and kept for machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

__all__ = ["Figure", "report"]


@dataclass(frozen=True)
class Figure:
    """A figure, and the least or greatest that it should be.

    Attributes
    ----------
    goal : str or None
        For example ``>= 100``; None of a figure that has no goal of its own.
    """

    name: str
    value: float
    unit: str
    goal: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached."""
        if self.goal is None:
            return None
        relation, _space, bound = self.goal.partition(" ")
        return self.value >= float(bound) if relation == ">=" else self.value <= float(bound)


def report(figures: Sequence[Figure], path: Path) -> int:
    """Print `figures` and write them to `path`, a list in JSON; 1 if a goal is missed, else 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [asdict(figure) | {"met": figure.met} for figure in figures]
    path.write_text(json.dumps(written, indent=2) + "\n")
    table = Table(box=None, pad_edge=False)
    for heading in ("figure", "value", "unit", "goal", ""):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:,.2f}"
        table.add_row(figure.name, value, figure.unit, figure.goal or "", verdict)
    Console(highlight=False).print(table)
    return int(any(figure.met is False for figure in figures))
