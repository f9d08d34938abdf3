"""What a person reads after a campaign of hostile scenarios."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from byway.sim.fuzz.campaign import Totals
from byway.sim.report.summary import printable

__all__ = ["print_fuzz_summary"]

_NAMED = 5


def print_fuzz_summary(totals: Totals, folder: Path, *, seconds: float) -> None:
    """Print what `totals` say, and where the files lie."""
    console = Console(highlight=False)
    table = Table(
        title="hostile drivers -> shared adapter -> wire",
        show_header=False,
        box=None,
        title_justify="left",
        pad_edge=False,
    )
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in _rows(totals, seconds):
        table.add_row(name, value)
    console.print(table)
    for outcome in totals.violations[:_NAMED]:
        assert outcome.violation is not None
        cycle, kind, text = outcome.violation
        line = f"seed {outcome.seed}, cycle {cycle:,}: {kind}: {printable(text)}"
        console.print(Text(line, "red"), soft_wrap=True)
    if len(totals.violations) > _NAMED:
        console.print(Text(f"and {len(totals.violations) - _NAMED:,} more seeds", "red"))
    if totals.violations:
        seed = totals.violations[0].seed
        console.print(f"play it again: byway fuzz --only {seed} --wave", style="red")
    console.print(Text(f"Left in {printable(folder)}: {', '.join(totals.files)}", "dim"))


def _rows(totals: Totals, seconds: float) -> list[tuple[str, str | Text]]:
    events = totals.events
    kinds = Counter(o.violation.kind for o in totals.violations if o.violation is not None)
    hostile = sum(n for what, n in totals.actions.items() if what.startswith("hostile"))
    refused = sum(n for what, n in totals.hcalls.items() if not what.endswith(" H_SUCCESS"))
    beats = ", ".join(f"{events[f'beats: {kind}']:,} {kind}s" for kind in ("read", "write", "walk"))
    verdict = Text("0 hangs, 0 foreign beats or bytes, 0 promised frames lost", "bold green")
    if kinds:
        broken = ", ".join(f"{n:,} times {kind}" for kind, n in kinds.most_common())
        verdict = Text(f"BROKEN: {broken}", "bold red")
    return [
        (
            "scenarios",
            f"{totals.runs:,}, {totals.cycles:,} cycles of 8 ns, "
            f"{totals.runs / max(seconds, 1e-9):.1f} a second",
        ),
        ("hostile actions", f"{hostile:,}"),
        ("hcalls", f"{totals.hcalls.total():,}, {refused:,} of them refused"),
        ("accesses refused", f"{events['faults']:,}: {_most(totals.faults)}"),
        ("completions", _most(totals.completions)),
        (
            "grants taken back",
            f"{events['grants taken back']:,}; {events['beats just before their grant ended']:,} "
            "beats just before",
        ),
        ("beats judged", beats),
        (
            "frames on the wire",
            f"{events['frames on the wire']:,}, {events['promised frames']:,} of them promised to "
            "the well-behaved",
        ),
        ("verdict", verdict),
    ]


def _most(counter: Counter[str]) -> str:
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counter.most_common())
