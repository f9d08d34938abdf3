"""``byway sweep``: its arguments."""

import argparse
from collections.abc import Callable

from byway.sim.commands.arguments import (
    Commands,
    UserError,
    add_engine,
    add_out,
    number,
    results_in,
    width,
)
from byway.sim.commands.lists import numbers, size
from byway.sim.scenarios.machine import MAXIMUM_HOSTED, MAXIMUM_MTU, MINIMUM_MTU
from byway.sim.scenarios.transfer import HEADER_BYTES
from byway.sim.sweep.grid import AXES, Grid
from byway.sim.sweep.row import OK
from byway.sw.stack.tcp import MAXIMUM_MSS, MINIMUM_MSS

__all__ = ["MAXIMUM_POINTS", "add_sweep"]

#: Most points of a sweep.
MAXIMUM_POINTS = 10_000

#: What the packages of the extra ``sweep`` are imported as.
_EXTRA = ("dask", "distributed", "matplotlib", "psutil", "pyarrow")


#: Attribute of `AXES` -> what parses one value, and the values of a sweep that names none.
_VALUES: dict[str, tuple[Callable[[str], int], str]] = {
    "data_width": (width, "64"),
    "hosted": (number("hosted partitions", 1, MAXIMUM_HOSTED), "1,2"),
    "mtu": (number("MTU", MINIMUM_MTU, MAXIMUM_MTU), "1500"),
    "mss": (number("MSS", MINIMUM_MSS, MAXIMUM_MSS), ""),
    "bytes": (size(number("bytes", 1, 256 << 20)), "256Ki"),
    "memory_outstanding": (number("outstanding bursts", 1, 1024), "32"),
    "memory_stalls": (number("stalls", 0, 60_000), "0"),
    "memory_latency": (number("memory latency", 0, 10_000), "0,50,200"),
    "seed": (number("seed", 0, (1 << 31) - 1), "0"),
}


def add_sweep(commands: Commands) -> None:
    """Enter the command."""
    command = commands.add_parser(
        "sweep",
        help="run a grid of scenarios on many processes; results as Parquet and as a plot",
        description=(
            "Run every combination of the values given, or a random sample of them: that many "
            "hosted partitions send at once, each to a link partner of its own. Results are kept "
            "in DIR one by one: a sweep that was broken off, or has grown, runs only what is "
            "missing there. LIST is values and ranges with commas between: 1,2,4 or 0:4 (0 to 3) "
            "or 0:200:50."
        ),
    )
    for attribute, axis in AXES.items():
        parse, default = _VALUES[attribute]
        values = numbers(parse)
        command.add_argument(
            f"--{axis.name}",
            dest=attribute,
            type=values,
            default=values(default) if default else (None,),
            metavar="LIST",
            help=f"{axis.label} ({default or 'what the MTU leaves'})",
        )
    add_engine(command)
    command.add_argument(
        "--sample",
        type=number("sample", 1, MAXIMUM_POINTS),
        metavar="N",
        help="run N combinations drawn at random, not all",
    )
    command.add_argument(
        "--sample-seed",
        type=number("sample seed", 0, (1 << 31) - 1),
        default=0,
        metavar="N",
        help="another seed draws another sample (%(default)s)",
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=number("workers", 1, 1024),
        metavar="N",
        help="processes of this machine (one a processor)",
    )
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="an existing Dask cluster, whose workers have the same Byway installed",
    )
    command.add_argument(
        "--x",
        choices=[axis.name for axis in AXES.values()],
        help="what the plot has along its horizontal axis (latency, or what varies)",
    )
    add_out(command, "out/sweep", "sweep.parquet, goodput.svg and the points")
    command.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace) -> int:
    grid = Grid(arguments.engine, {attribute: getattr(arguments, attribute) for attribute in AXES})
    largest = max((mss for mss in arguments.mss if mss is not None), default=0)
    if largest + HEADER_BYTES > min(arguments.mtu):
        raise UserError(
            f"MSS {largest} does not fit MTU {min(arguments.mtu)}: at most "
            f"{min(arguments.mtu) - HEADER_BYTES} bytes remain beside the headers"
        )
    if arguments.sample is None and grid.size > MAXIMUM_POINTS:
        raise UserError(
            f"The grid has {grid.size:,} points, more than {MAXIMUM_POINTS:,}: draw a sample of it "
            "with --sample"
        )
    # What Dask, Parquet and plots need is slow to import, and not installed with all of Byway.
    try:
        from byway.sim.sweep.cluster import ClusterError
        from byway.sim.sweep.store import StoreError
        from byway.sim.sweep.sweep import Sweep, run_sweep
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise UserError(f"byway sweep needs {error.name}: pip install 'byway[sweep]'") from error

    sweep = Sweep(
        grid.points()
        if arguments.sample is None
        else grid.sample(arguments.sample, arguments.sample_seed),
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        x=next((a for a, axis in AXES.items() if axis.name == arguments.x), None),
    )
    try:
        with results_in(arguments.out):
            rows = run_sweep(sweep, arguments.out)
    except (StoreError, ClusterError) as error:
        raise UserError(str(error)) from error
    return 0 if all(row["status"] == OK for row in rows) else 1
