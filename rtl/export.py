"""Verilog with standard port names: ``s_axil_awaddr``, ``m_axi_araddr``, ``gmii_txd``.

Amaranth joins the names of nested interfaces with two underscores; other people's systems and bus
models expect one. In Verilog the output registers of block RAM have no initial value, in Amaranth
they start as 0: here they do as well, so that simulators with an unknown value agree.

``python -m byway.rtl.export bridge --requesters 4 --windows 4 -o bridge.v`` writes a component to a
file; wrong input gets one line and exit code 2.
"""

import argparse
import inspect
import pathlib
import re
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from amaranth.back import verilog
from amaranth.hdl import UnusedElaboratable, Value, ValueCastable
from amaranth.lib import wiring

from byway.rtl.shared_adapter import SharedAdapter
from byway.rtl.translation.managed_bridge import ManagedBridge

__all__ = ["COMPONENTS", "main", "ports", "to_verilog"]

#: What can be exported by name.
COMPONENTS: dict[str, type[wiring.Component]] = {
    "bridge": ManagedBridge,
    "shared_adapter": SharedAdapter,
}
_SUMMARIES = {
    "bridge": "the translation bridge with its registers, for any AXI4 master",
    "shared_adapter": "the network adapter behind the bridge: the top",
}
#: Parameter of a component -> what it is. Which values it may have, the component says.
_PARAMETERS = {
    "rings": "transmit rings, 1 to 32",
    "requesters": "requesters, 1 to 256; AxUSER names them",
    "windows": "translation windows, 1 to 256",
    "addr_width": "bits of an AXI4 address",
    "data_width": "bits of the memory bus",
    "wire": "gmii or xgmii",
    "id_width": "bits of the master's AxID; the memory's has one more",
    "user_width": "bits of AxUSER",
    "iotlb_sets": "sets of the IOTLB, a power of two",
    "iotlb_ways": "ways of the IOTLB",
    "walks": "table walks under way at a time, a power of two",
    "ahead": "pages of a stream that are walked for ahead of use",
    "outstanding": "reads, and writes, under way at a time, a power of two",
}


def ports(component: wiring.Component) -> dict:
    """Ports of `component` by standard name, in the form that Amaranth's back ends take."""
    result = {}
    for path, _member, value in component.signature.flatten(component):
        if isinstance(value, ValueCastable):
            value = value.as_value()
        result["_".join(map(str, path))] = (Value.cast(value), None)  # Direction: as driven.
    return result


#: Declaration of a memory's output register, which Yosys leaves nameless.
_READ_REGISTER = re.compile(r"^(\s*reg \[\d+:0\] _\d+_);$", re.MULTILINE)


def to_verilog(component: wiring.Component, name: str) -> str:
    """`component` as one Verilog text with the top module `name`; ``clk`` and ``rst`` are ports."""
    text = verilog.convert(component, name=name, ports=ports(component), emit_src=False)
    return _READ_REGISTER.sub(r"\1 = 0;", text)


class _InputError(Exception):
    """Wrong input; the text names it in one line."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        raise _InputError(message)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def _help(parameter: inspect.Parameter) -> str:
    usual = "what the wire needs" if parameter.default is None else parameter.default
    return f"{_PARAMETERS[parameter.name]} ({usual})"


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m byway.rtl.export", description="Writes a component as Verilog."
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMPONENT")
    for name, kind in COMPONENTS.items():
        summary = _SUMMARIES[name]
        command = commands.add_parser(name, help=summary, description=f"Writes {summary}.")
        for parameter in inspect.signature(kind).parameters.values():
            command.add_argument(
                f"--{parameter.name.replace('_', '-')}",
                type=str if isinstance(parameter.default, str) else _number,
                default=parameter.default,
                metavar="NAME" if isinstance(parameter.default, str) else "N",
                help=_help(parameter),
            )
        command.add_argument("--top", default=name, help="name of the module (%(default)s)")
        command.add_argument(
            "-o",
            "--output",
            type=pathlib.Path,
            default=pathlib.Path(f"{name}.v"),
            metavar="FILE",
            help="where the Verilog goes (%(default)s)",
        )
    return parser


def _export(arguments: Sequence[str] | None) -> None:
    chosen = vars(_parser().parse_args(arguments))
    kind = COMPONENTS[chosen.pop("name")]
    output, top = chosen.pop("output"), chosen.pop("top")
    if not re.fullmatch(r"[A-Za-z_]\w*", top, re.ASCII):
        raise _InputError(f"--top must be an identifier of Verilog, not {top!r}")
    try:
        text = to_verilog(kind(**chosen), top)
    except ValueError as error:
        raise _InputError(str(error)) from error
    try:
        output.write_text(text)
    except OSError as error:
        raise _InputError(f"Cannot write {output}: {error.strerror}") from error
    print(output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what `arguments` say, or the command line; returns the exit code."""
    # What was begun before a parameter was refused is of no use.
    warnings.simplefilter("ignore", UnusedElaboratable)
    try:
        _export(arguments)
    except _InputError as error:
        print(f"byway: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
