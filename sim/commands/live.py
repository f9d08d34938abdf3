"""``byway live``: its arguments."""

import argparse
import contextlib
import os
import shutil
import sys

from byway.sim.commands.arguments import (
    Commands,
    UserError,
    add_engine,
    add_machine,
    add_out,
    add_waveform,
    number,
    results_in,
)
from byway.sim.live.network import PARTNER, hosted_names
from byway.sim.live.status import LiveStatus
from byway.sim.report.live_summary import print_live_summary, status_text
from byway.sim.report.status_line import StatusLine
from byway.sim.report.status_page import PageReport, StatusPage
from byway.sim.report.summary import printable
from byway.sim.scenarios.live import LiveOptions, Task, live
from byway.sim.scenarios.machine import MAXIMUM_HOSTED

__all__ = ["add_live"]

_EPILOG = """\
places: hosted1, hosted2, ... (hosted is the first), and partner, behind the wire; programs find
each other under these names. Simulated time stands still while nothing is under way in the adapter.

  byway live -- ping -c 3 partner
  byway live --run hosted='python3 -m http.server' --in partner -- \\
      curl --retry 9 --retry-connrefused -O http://hosted:8000/FILE
"""


def add_live(commands: Commands) -> None:
    """Enter the command."""
    command = commands.add_parser(
        "live",
        help="run unmodified programs on real kernels with the adapter between them",
        description=(
            "Run COMMAND, or a shell, on the kernel of a hosted partition: a network namespace "
            "whose device is the simulated adapter's. Its frames are redirected, segmented and "
            "checksummed by the RTL; behind the wire is a second namespace, the link partner. The "
            "way back has no hardware yet and is bridged in software."
        ),
        epilog=_EPILOG,
        usage="byway live [options] [--] [COMMAND ...]",
    )
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("command", nargs="*", metavar="COMMAND", help="program and arguments")
    command.add_argument(
        "--in", dest="place", default="hosted", metavar="PLACE", help="where COMMAND runs (hosted)"
    )
    command.add_argument(
        "--run",
        dest="background",
        action="append",
        default=[],
        metavar="PLACE=COMMAND",
        help="start a shell command in the background before; its output goes to DIR",
    )
    command.add_argument(
        "--hosted",
        type=number("number of hosted partitions", 1, MAXIMUM_HOSTED),
        default=1,
        metavar="N",
        help=f"hosted partitions, 1 to {MAXIMUM_HOSTED} (%(default)s)",
    )
    add_engine(command)
    add_machine(command)
    add_waveform(command, last="COMMAND")
    add_out(command, "out/live", "wire.pcapng, result.json, logs and the waveform")
    command.add_argument("--quiet", action="store_true", help="show no status line")
    command.add_argument(
        "--page",
        nargs="?",
        type=number("port", 0, 65_535),
        const=0,
        metavar="PORT",
        help="show the run on a web page of this machine, on a port that is free unless given",
    )
    command.set_defaults(run=_live)


def _live(arguments: argparse.Namespace) -> int:
    places = ("hosted", *hosted_names(arguments.hosted), PARTNER)
    background = tuple(_background(text, places) for text in arguments.background)
    place = _place(arguments.place, places)
    words = tuple(arguments.command)
    if words and shutil.which(words[0]) is None:
        raise UserError(f"Cannot run {words[0]}: there is no such program")
    shell = os.environ.get("SHELL") or "/bin/sh"
    options = LiveOptions(
        main=Task(place, words or (shell,), words[0] if words else "a shell"),
        background=background,
        prompt=not words,
        engine=arguments.engine,
        hosted=arguments.hosted,
        mtu=arguments.mtu,
        wire=arguments.wire,
        data_width=arguments.width,
        memory_latency=arguments.memory_latency,
        waveform=arguments.wave,
    )

    def on_status(status: LiveStatus) -> None:
        if not arguments.quiet:
            line.show(status_text(status))
        if page:
            page.show(status)

    with results_in(arguments.out), contextlib.ExitStack() as stack:
        page = None
        if arguments.page is not None:
            page = stack.enter_context(_page(options, arguments.page))
            print(f"Page: {page.url}", file=sys.stderr, flush=True)
        with StatusLine() as line:
            result = live(options, arguments.out, on_status=on_status)
        if page:
            page.end(result.status, result.exit_code)
    print_live_summary(result, arguments.out)
    return result.exit_code


def _page(options: LiveOptions, port: int) -> StatusPage:
    report = PageReport(
        command=printable(" ".join(options.main.command)),
        place=options.main.place,
        engine=options.engine,
        hosted=hosted_names(options.hosted),
    )
    try:
        return StatusPage(report, port)
    except OSError as error:
        raise UserError(f"Cannot serve the page on port {port}: {error.strerror}") from error


def _background(text: str, places: tuple[str, ...]) -> Task:
    place, equals, command = text.partition("=")
    if not equals or not command.strip():
        raise UserError(f"--run wants PLACE=COMMAND, not {text!r}")
    return Task(_place(place, places), ("/bin/sh", "-c", command), f"{place}={command}")


def _place(name: str, places: tuple[str, ...]) -> str:
    if name not in places:
        raise UserError(f"No place is called {name!r}; there are {', '.join(places)}")
    return name
