"""``byway send``: its arguments."""

import argparse
import stat
from pathlib import Path

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
from byway.sim.report.summary import print_summary
from byway.sim.scenarios.send import SendOptions, send
from byway.sim.scenarios.transfer import HEADER_BYTES
from byway.sw.stack.tcp import MAXIMUM_MSS, MINIMUM_MSS

__all__ = ["add_send"]


def add_send(commands: Commands) -> None:
    """Enter the command."""
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
    add_engine(command)
    command.add_argument(
        "--mss",
        type=number("MSS", MINIMUM_MSS, MAXIMUM_MSS),
        metavar="N",
        help=f"most payload bytes of a segment, {MINIMUM_MSS} to {MAXIMUM_MSS} (MTU less headers)",
    )
    add_out(command, "out/send", "wire.pcapng, result.json and the waveform")
    add_waveform(command, last="FILE")
    add_machine(command)
    command.set_defaults(run=_send)


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
        wire=arguments.wire,
        data_width=arguments.width,
        memory_latency=arguments.memory_latency,
        waveform=arguments.wave,
    )
    with results_in(arguments.out):
        result = send(data, options, arguments.out, name=arguments.file.name)
    print_summary(result, arguments.out)
    return 0 if result.intact else 1
