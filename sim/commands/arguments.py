"""What the arguments of several commands have in common."""

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from byway.sim.board.wire import GMII, WIRES
from byway.sim.engines.engine import EngineError
from byway.sim.engines.open_engine import ENGINES
from byway.sim.engines.section import WHOLE_RUN, Around, Section, parse_section
from byway.sim.scenarios.machine import DATA_WIDTHS, MAXIMUM_MTU, MINIMUM_MTU

__all__ = [
    "Commands",
    "UserError",
    "add_engine",
    "add_machine",
    "add_out",
    "add_waveform",
    "number",
    "results_in",
    "width",
]


class UserError(Exception):
    """Something that the user gave cannot be used; the text names it in one line."""


class Commands(Protocol):
    """What ``argparse.ArgumentParser.add_subparsers`` returns."""

    def add_parser(
        self,
        name: str,
        *,
        help: str,
        description: str,
        epilog: str | None = None,
        usage: str | None = None,
    ) -> argparse.ArgumentParser:
        """Return the parser of a new command."""
        ...


def number(name: str, low: int, high: int) -> Callable[[str], int]:
    """What parses a whole number from `low` to `high` that the user calls `name`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{name} must be a whole number from {low} to {high}, not {text!r}"
            )
        return int(text)

    return parse


def width(text: str) -> int:
    """Parse the width of a memory bus."""
    if text not in map(str, DATA_WIDTHS):
        known = " or ".join(map(str, DATA_WIDTHS))
        raise argparse.ArgumentTypeError(f"width must be {known} bits, not {text!r}")
    return int(text)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Let the user choose what runs the RTL."""
    parser.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0], help="what runs the RTL (%(default)s)"
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Let the user choose the wire and its MTU, the memory bus and its latency."""
    parser.add_argument(
        "--mtu",
        type=number("MTU", MINIMUM_MTU, MAXIMUM_MTU),
        default=1500,
        metavar="N",
        help=f"longest IP packet on the wire, {MINIMUM_MTU} to {MAXIMUM_MTU} (%(default)s)",
    )
    parser.add_argument(
        "--wire", choices=WIRES, default=GMII.name, help="1 or 10 Gb/s (%(default)s)"
    )
    parser.add_argument(
        "--width",
        type=width,
        default=DATA_WIDTHS[0],
        metavar="N",
        help=f"bits of the memory bus, {' or '.join(map(str, DATA_WIDTHS))} (%(default)s)",
    )
    parser.add_argument(
        "--memory-latency",
        type=number("memory latency", 0, 10_000),
        default=0,
        metavar="N",
        help="cycles added to each access to system memory (%(default)s)",
    )


def add_out(parser: argparse.ArgumentParser, default: str, what: str) -> None:
    """Let the user choose the folder in which the command leaves `what`."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(default),
        metavar="DIR",
        help=f"where {what} go (%(default)s)",
    )


def add_waveform(parser: argparse.ArgumentParser, *, last: str) -> None:
    """Let the user ask for a waveform; `last` is what stands last on the command line."""
    parser.add_argument(
        "--wave",
        type=_section,
        nargs="?",
        const=WHOLE_RUN,
        metavar="SECTION",
        help=(
            "leave a waveform of the whole run, or with native and cxxrtl of a SECTION: the "
            "cycles FIRST:LAST, or what is around the first fault[:N], the first error[:N] on the "
            f"wire, or the frame:K[:N], N cycles before and after it ({Around.cycles}); a bare "
            f"--wave must not stand just before {last}"
        ),
    )


def _section(text: str) -> Section:
    try:
        return parse_section(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@contextlib.contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """Tells in one line what of the system stood in the way of a run that writes to `folder`."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:
            raise EngineError(str(error)) from error  # A refused register access.
        raise UserError(f"Cannot write to {error.filename or folder}: {error.strerror}") from error
