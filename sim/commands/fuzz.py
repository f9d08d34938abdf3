"""``byway fuzz``: its arguments."""

import argparse
import time

from byway.sim.commands.arguments import Commands, add_out, number, results_in
from byway.sim.engines.native import NATIVES
from byway.sim.fuzz.campaign import Campaign, Totals, run_campaign
from byway.sim.report.fuzz_summary import print_fuzz_summary

__all__ = ["add_fuzz"]

_LARGEST_SEED = (1 << 31) - 1
_AROUND = 1000


def add_fuzz(commands: Commands) -> None:
    """Enter the command."""
    command = commands.add_parser(
        "fuzz",
        help="let hostile drivers attack, and judge every beat and every frame",
        description=(
            "Play seeded scenarios in which a hosting driver and hosted drivers attack the "
            "adapter, its manager and each other at once, by registers, doorbells, descriptors, "
            "translation entries, messages and hcalls, while well-behaved partitions send. Every "
            "beat on the memory bus and every frame on the wire is held against what was granted. "
            "A seed always comes to the same, to the cycle."
        ),
    )
    command.add_argument(
        "--runs",
        type=number("runs", 1, 1_000_000_000),
        default=2000,
        metavar="N",
        help="scenarios (%(default)s)",
    )
    command.add_argument(
        "--seed",
        type=number("seed", 0, _LARGEST_SEED),
        default=0,
        metavar="S",
        help="seed of the first scenario; the others follow (%(default)s)",
    )
    command.add_argument(
        "--only",
        type=number("seed", 0, _LARGEST_SEED),
        metavar="S",
        help="play the scenario of one seed: --seed S --runs 1",
    )
    command.add_argument(
        "--jobs",
        type=number("jobs", 1, 1024),
        metavar="J",
        help="processes of this machine (one a processor)",
    )
    command.add_argument(
        "--engine", choices=list(NATIVES), default="native", help="what runs the RTL (%(default)s)"
    )
    command.add_argument(
        "--wave",
        type=number("cycles of the waveform", 1, 1_000_000),
        nargs="?",
        const=_AROUND,
        metavar="N",
        help=f"leave a waveform of N cycles before and after the first violation ({_AROUND})",
    )
    add_out(command, "out/fuzz", "result.json, the log of the first violation and its waveform")
    command.set_defaults(run=_fuzz)


def _fuzz(arguments: argparse.Namespace) -> int:
    one = arguments.only is not None
    campaign = Campaign(
        first_seed=arguments.only if one else arguments.seed,
        runs=1 if one else arguments.runs,
        jobs=arguments.jobs,
        engine=arguments.engine,
        wave=arguments.wave,
    )
    begun = time.monotonic()

    def show(totals: Totals) -> None:
        print_fuzz_summary(totals, arguments.out, seconds=time.monotonic() - begun)

    with results_in(arguments.out):
        totals = run_campaign(campaign, arguments.out, on_end=show)
    return 1 if totals.violations else 0
