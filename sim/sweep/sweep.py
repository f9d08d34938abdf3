"""A sweep from beginning to end: what is missing is run, and each result kept at once."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from distributed import Client
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from byway.sim.engines.open_engine import COMPILED
from byway.sim.report.sweep_plot import plot_sweep
from byway.sim.report.sweep_table import print_plan, print_sweep
from byway.sim.scenarios.share import ShareOptions, open_shared_engine
from byway.sim.sweep.cluster import local_client, remote_client, run_points
from byway.sim.sweep.row import Row, key_of, version_of
from byway.sim.sweep.store import Store, write_whole

__all__ = ["Sweep", "run_sweep"]

_PLOT = "goodput.svg"


@dataclass(frozen=True)
class Sweep:
    """What to run, on whom, and what to show.

    Attributes
    ----------
    points : sequence of ShareOptions
        Each once.
    workers : int or None
        Processes of this machine; None for one a processor.
    scheduler : str or None
        Address of an existing cluster's scheduler, which then runs the points.
    x : str or None
        Attribute of the points along the plot's horizontal axis; None for one that varies.
    """

    points: Sequence[ShareOptions]
    workers: int | None = None
    scheduler: str | None = None
    x: str | None = None


def run_sweep(sweep: Sweep, folder: Path) -> list[Row]:
    """Run what `folder` does not hold yet; show and leave there what it then holds of the sweep.

    The same is shown and left if the sweep is broken off. Returns a row for each point.

    Raises
    ------
    StoreError, ClusterError, EngineError
        The folder, the cluster or the engine cannot be had.
    OSError
        The folder cannot be written to.
    """
    keys = [key_of(point, version_of(point)) for point in sweep.points]
    points = dict(zip(keys, sweep.points, strict=True))
    with Store.open(folder) as store:
        missing = [point for key, point in points.items() if store.find(key) is None]
        print_plan(len(points), len(missing))
        try:
            if missing:
                _run(sweep, missing, store)
        finally:
            rows = store.merge(keys)
            if rows:
                write_whole(folder / _PLOT, plot_sweep(rows, sweep.x))
                print_sweep(rows, folder, (store.table.name, _PLOT))
    return rows


def _run(sweep: Sweep, points: Sequence[ShareOptions], store: Store) -> None:
    with _client(sweep, points) as client, _bar(len(points)) as advance:
        for row in run_points(client, points):
            store.add(row)
            advance()


@contextlib.contextmanager
def _client(sweep: Sweep, points: Sequence[ShareOptions]) -> Iterator[Client]:
    if sweep.scheduler is not None:
        with remote_client(sweep.scheduler) as client:
            if not client.nthreads():
                Console(stderr=True).print("The cluster has no worker yet; waiting for one")
            yield client
        return
    _prepare(points)
    workers = sweep.workers or len(os.sched_getaffinity(0))
    with local_client(min(workers, len(points))) as client:
        yield client


def _prepare(points: Sequence[ShareOptions]) -> None:
    """Start the engine once for each design, so that the workers find it compiled."""
    compiled = (point for point in points if point.engine in COMPILED)
    designs = {(point.data_width, point.hosted): point for point in compiled}
    with Console(stderr=True).status("") as status:
        for number, point in enumerate(designs.values(), 1):
            status.update(
                f"starting {point.engine}; the first time it compiles: design {number} of "
                f"{len(designs)}"
            )
            open_shared_engine(point).close()


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    """Progress on standard error; what it yields moves it on by one."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        speed_estimate_period=600,
    ) as progress:
        task = progress.add_task("points", total=total)
        yield lambda: progress.advance(task)
