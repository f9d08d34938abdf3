"""Many scenarios: played on all processors, counted, and kept in a folder."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from byway.sim.engines.section import Cycles
from byway.sim.fuzz.outcome import COUNTS, Outcome
from byway.sim.fuzz.plan import plan_of
from byway.sim.fuzz.player import prepare, record
from byway.sim.fuzz.pool import play_all
from byway.sim.report.results_folder import results_folder

__all__ = ["Campaign", "Totals", "run_campaign"]

_RESULT, _LOG, _WAVEFORM = "result.json", "violation.log", "violation.vcd"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What to play.

    Attributes
    ----------
    first_seed, runs : int
        The seeds from `first_seed` on.
    jobs : int or None
        Processes; None for one a processor.
    engine : str
        A key of `byway.sim.engines.native.NATIVES`.
    wave : int or None
        Cycles before and after the first violation of which to leave a waveform.
    """

    first_seed: int
    runs: int
    jobs: int | None = None
    engine: str = "native"
    wave: int | None = None


@dataclass
class Totals:
    """What all scenarios that were played came to together.

    Attributes
    ----------
    runs, cycles : int
    violations : list of Outcome
        Those of scenarios that kept not all promises, by seed.
    actions, hcalls, faults, stops, completions, events : Counter
        As in `Outcome`.
    files : list of str
        What was left.
    """

    runs: int = 0
    cycles: int = 0
    violations: list[Outcome] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    hcalls: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    completions: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count `outcome`."""
        self.runs += 1
        self.cycles += outcome.cycles
        for name in COUNTS:
            getattr(self, name).update(getattr(outcome, name))
        if outcome.violation is not None:
            self.violations.append(outcome)
            self.violations.sort(key=lambda each: each.seed)


def run_campaign(campaign: Campaign, folder: Path, *, on_end: Callable[[Totals], None]) -> Totals:
    """Play what `campaign` says; show how it goes, and leave in `folder` what came of it.

    What was played is left, and told to `on_end`, also if the campaign is broken off. Raises
    `EngineError` if the engine cannot be had, `OSError` if the folder cannot be written to.
    """
    totals = Totals()
    with results_folder(folder, (_RESULT, _LOG, _WAVEFORM)) as results:
        _prepare(campaign.engine)
        jobs = campaign.jobs or len(os.sched_getaffinity(0))
        seeds = range(campaign.first_seed, campaign.first_seed + campaign.runs)
        interrupted = None
        try:
            with (
                contextlib.closing(
                    play_all(seeds, jobs=min(jobs, campaign.runs), engine=campaign.engine)
                ) as outcomes,
                _bar(campaign.runs) as show,
            ):
                for outcome in outcomes:
                    totals.add(outcome)
                    show(len(totals.violations))
            if totals.violations:
                _explain(campaign, totals, results)
        except KeyboardInterrupt as error:
            interrupted = error
        (results / _RESULT).write_text(json.dumps(_plain(campaign, totals), indent=2) + "\n")
        totals.files = sorted(path.name for path in results.iterdir())
    on_end(totals)
    if interrupted is not None:
        raise interrupted
    return totals


def _explain(campaign: Campaign, totals: Totals, results: Path) -> None:
    """Leave what was done before the first violation and, if that is wanted, a waveform."""
    outcome = totals.violations[0]
    assert outcome.violation is not None
    cycle, kind, text = outcome.violation
    lines = [f"{at:>8}  {who:<10} {what}" for at, who, what in outcome.log]
    head = f"seed {outcome.seed}, cycle {cycle}: {kind}: {text}"
    plan = json.dumps(plan_of(outcome.seed).as_dict())
    (results / _LOG).write_text("\n".join([head, plan, *lines]) + "\n")
    if campaign.wave is not None and outcome.cycles:
        section = Cycles(max(0, cycle - campaign.wave), cycle + campaign.wave)
        record(outcome.seed, section, results / _WAVEFORM, engine=campaign.engine)


def _plain(campaign: Campaign, totals: Totals) -> dict[str, Any]:
    """What goes into the result file."""
    violations = [
        {"seed": outcome.seed, **outcome.violation._asdict()}
        for outcome in totals.violations
        if outcome.violation is not None
    ]
    return {
        "engine": campaign.engine,
        "first_seed": campaign.first_seed,
        "runs_wanted": campaign.runs,
        "runs": totals.runs,
        "cycles": totals.cycles,
        "violations": violations,
        **{name: dict(getattr(totals, name).most_common()) for name in COUNTS},
    }


def _prepare(engine: str) -> None:
    with Console(stderr=True).status(f"starting {engine}; the first time it compiles two designs"):
        prepare(engine)


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Progress on standard error; what it yields moves it on by one, and is told the violations."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        speed_estimate_period=60,
    ) as progress:
        task = progress.add_task("scenarios", total=total)

        def show(violations: int) -> None:
            description = f"scenarios, {violations} broken" if violations else "scenarios"
            progress.update(task, advance=1, description=description)

        yield show
