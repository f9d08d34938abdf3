"""``byway bench``: its arguments."""

import argparse

from rich.console import Console

from byway.sim.commands.arguments import Commands, add_out, results_in
from byway.sim.measure.bench import measure
from byway.sim.measure.figures import as_json, report

__all__ = ["add_bench"]


def add_bench(commands: Commands) -> None:
    """Enter the command."""
    command = commands.add_parser(
        "bench",
        help="measure the adapter against what its wire and its goals allow",
        description=(
            "Measure frame rates at 1 and 10 Gb/s and the time from doorbell to wire, in simulated "
            "cycles: exact, and the same each time. Prints each figure beside the theoretical "
            "limit, with its formula, and the goal; exit code 1 if a goal is missed."
        ),
    )
    command.add_argument(
        "--json", action="store_true", help="print the list of figures as JSON, not as a table"
    )
    add_out(command, "out/bench", "bench.json")
    command.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    figures = []
    with Console(stderr=True).status("starting native; the first time it compiles") as status:
        for figure in measure():
            figures.append(figure)
            status.update(f"measured: {figure.name}")
    with results_in(arguments.out):
        code = report(figures, arguments.out / "bench.json", quiet=arguments.json)
    if arguments.json:
        print(as_json(figures), end="")
    return code
