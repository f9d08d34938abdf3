"""What a person reads before and after a sweep."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.table import Table
from rich.text import Text

from byway.sim.report.summary import printable
from byway.sim.sweep.grid import AXES
from byway.sim.sweep.row import FAILED, OK, WRONG, Row, varying

__all__ = ["print_plan", "print_sweep"]

#: Shown also if it does not vary.
_ALWAYS = "hosted"
#: Lines of the table, and failed points that are named.
_LINES = 24
_NAMED = 3


def print_plan(points: int, missing: int) -> None:
    """Print how many points there are, and how many of them are there already."""
    there = points - missing
    print(f"{points:,} points, {there:,} of them there already", flush=True)


def print_sweep(rows: Sequence[Row], folder: Path, files: Sequence[str]) -> None:
    """Print a line for each combination of parameters over all seeds, and where `files` lie.

    Goodput is that of the wire's limit: the mean, and the least.
    """
    console = Console(highlight=False)
    shown = [axis for axis in AXES if axis in {_ALWAYS, *varying(rows)} - {"seed"}]
    groups: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[axis] for axis in shown)].append(row)
    table = Table(box=None, pad_edge=False, header_style="dim")
    titles = ("points", "goodput", "least", "fairness", "SHA-256")
    for title in (*(AXES[axis].name for axis in shown), *titles):
        table.add_column(title, justify="right", no_wrap=True)
    for values, group in list(groups.items())[:_LINES]:
        cells = ["full" if value is None else f"{value:,}" for value in values]
        table.add_row(*cells, f"{len(group):,}", *_figures(group))
    console.print(table)
    if len(groups) > _LINES:
        console.print(f"and {len(groups) - _LINES:,} more lines in {files[0]}", style="dim")
    failures = [row for row in rows if row["status"] == FAILED]
    for row in failures[:_NAMED]:
        console.print(Text(f"failed: {_named(row)}: {printable(row['error'])}", "red"))
    if len(failures) > _NAMED:
        console.print(f"and {len(failures) - _NAMED:,} more that failed", style="red")
    console.print(Text(f"Left in {printable(folder)}: {', '.join(files)}", "dim"))


def _figures(group: Sequence[Row]) -> list[str | Text]:
    done = [row for row in group if row["status"] != FAILED]
    if not done:
        return ["-", "-", "-", Text("failed", "bold red")]
    goodputs = [row["goodput_of_limit"] for row in done]
    if any(row["status"] == WRONG for row in done):
        verdict = Text("DIFFERENT", "bold red")
    elif all(row["status"] == OK for row in group):
        verdict = Text("equal", "bold green")
    else:
        verdict = Text("some failed", "bold red")
    return [
        f"{mean(goodputs):.4f}",
        f"{min(goodputs):.4f}",
        f"{min(row['fairness'] for row in done):.4f}",
        verdict,
    ]


def _named(row: Row) -> str:
    return ", ".join(f"{AXES[axis].name} {row[axis]}" for axis in AXES if row[axis] is not None)
