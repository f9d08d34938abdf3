"""The ``byway`` command. Wrong input gets one clear line and exit code 2, never a traceback."""

import argparse
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from byway.sim.engines.engine import EngineError
from byway.sim.engines.open_engine import ENGINES
from byway.sim.report.summary import print_summary, printable
from byway.sim.scenarios.machine import MAXIMUM_MTU, MINIMUM_MTU
from byway.sim.scenarios.send import SendOptions, send
from byway.sim.scenarios.transfer import HEADER_BYTES, ScenarioError
from byway.sw.stack.tcp import MAXIMUM_MSS, MINIMUM_MSS

__all__ = ["main"]


class UserError(Exception):
    """Something that the user gave cannot be used; the text names it."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def _number(name: str, low: int, high: int):
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{name} must be a whole number from {low} to {high}, not {text!r}"
            )
        return int(text)

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="byway",
        description="A network adapter that logical partitions share at the speed of owning it.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "send",
        help="send a file from a hosted partition to the wire and measure it",
        description=(
            "Send FILE from a hosted partition, over the redirected path, through the simulated "
            "adapter, to a link partner behind the wire; then send it again from the owner of the "
            "adapter, to compare."
        ),
    )
    command.add_argument("file", type=Path, metavar="FILE", help="what to send")
    command.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0], help="what runs the RTL (%(default)s)"
    )
    command.add_argument(
        "--mss",
        type=_number("MSS", MINIMUM_MSS, MAXIMUM_MSS),
        metavar="N",
        help=f"most payload bytes of a segment, {MINIMUM_MSS} to {MAXIMUM_MSS} (MTU less headers)",
    )
    command.add_argument(
        "--mtu",
        type=_number("MTU", MINIMUM_MTU, MAXIMUM_MTU),
        default=1500,
        metavar="N",
        help=f"longest IP packet on the wire, {MINIMUM_MTU} to {MAXIMUM_MTU} (%(default)s)",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("out/send"),
        metavar="DIR",
        help="where wire.pcapng, result.json and the waveform go (%(default)s)",
    )
    command.add_argument("--wave", action="store_true", help="leave a waveform of the whole run")
    command.add_argument(
        "--memory-latency",
        type=_number("memory latency", 0, 10_000),
        default=0,
        metavar="N",
        help="cycles added to each access to system memory (%(default)s)",
    )
    command.set_defaults(run=_send)
    return parser


def _send(arguments: argparse.Namespace) -> int:
    if arguments.mss is not None and arguments.mss + HEADER_BYTES > arguments.mtu:
        raise UserError(
            f"MSS {arguments.mss} does not fit MTU {arguments.mtu}: at most "
            f"{arguments.mtu - HEADER_BYTES} bytes remain beside the headers"
        )
    try:
        if stat.S_ISCHR(arguments.file.stat().st_mode):
            raise UserError(f"Cannot send {arguments.file}: a device has no end")
        data = arguments.file.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read {arguments.file}: {error.strerror}") from error
    options = SendOptions(
        engine=arguments.engine,
        mtu=arguments.mtu,
        mss=arguments.mss,
        memory_latency=arguments.memory_latency,
        waveform=arguments.wave,
    )
    try:
        result = send(data, options, arguments.out, name=arguments.file.name)
    except OSError as error:
        if error.strerror is None:
            raise EngineError(str(error)) from error  # A refused register access.
        where = error.filename or arguments.out
        raise UserError(f"Cannot write to {where}: {error.strerror}") from error
    print_summary(result, arguments.out)
    return 0 if result.intact else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        parsed = _parser().parse_args(arguments)
        return parsed.run(parsed)
    except (UserError, EngineError, ScenarioError) as error:
        print(f"byway: {printable(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("byway: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
