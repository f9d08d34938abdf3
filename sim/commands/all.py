"""All commands, and what becomes of wrong input: one clear line and exit code 2."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from byway.sim.commands.arguments import UserError
from byway.sim.commands.bench import add_bench
from byway.sim.commands.fuzz import add_fuzz
from byway.sim.commands.live import add_live
from byway.sim.commands.send import add_send
from byway.sim.commands.sweep import add_sweep
from byway.sim.engines.engine import EngineError
from byway.sim.report.summary import printable
from byway.sim.scenarios.error import ScenarioError

__all__ = ["carry_out"]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="byway",
        description="A network adapter that logical partitions share at the speed of owning it.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_send(commands)
    add_live(commands)
    add_sweep(commands)
    add_fuzz(commands)
    add_bench(commands)
    return parser


def carry_out(arguments: Sequence[str] | None) -> int:
    """Do what `arguments` say, or the command line; returns the exit code."""
    try:
        parsed = _parser().parse_args(arguments)
        return parsed.run(parsed)
    except (UserError, EngineError, ScenarioError) as error:
        print(f"byway: {printable(error)}", file=sys.stderr)
        return 2
