"""Builds or runs one simulator through cocotb's runner, in a process of its own.

cocotb's runner prints, changes the environment and may exit; here it disturbs nobody. The only
argument is a JSON object; see `byway.sim.engines.cocotb` for its keys.
"""

import json
import sys
from pathlib import Path

from cocotb_tools.runner import get_runner

__all__ = ["main"]

_TIMESCALE = ("1ns", "1ps")
#: Module that writes the waveform on Icarus.
_DUMP = "byway_dump"


def _build(order: dict) -> None:
    folder = Path(order["folder"])
    top = order["top"]
    sources = [folder / f"{top}.v"]
    flags = list(order["flags"])
    waves = order["waves"]
    if waves and order["simulator"] == "icarus":
        # cocotb's own way of writing it asks for SystemVerilog, which the flags rule out.
        waves = False
        dump = folder / f"{_DUMP}.v"
        dump.write_text(
            f"module {_DUMP}; initial begin "
            f'$dumpfile("wave.fst"); $dumpvars(0, {top}); end endmodule\n'
        )
        sources.append(dump)
        flags += ["-s", _DUMP]
    get_runner(order["simulator"]).build(
        sources=sources,
        hdl_toplevel=top,
        build_args=flags,
        build_dir=folder,
        timescale=_TIMESCALE,
        waves=waves,
        always=True,
    )


def _run(order: dict) -> None:
    runner = get_runner(order["simulator"])
    # The runner remembers what was built only within one process.
    runner.hdl_library = "top"
    runner.test(
        test_module=order["test_module"],
        hdl_toplevel=order["top"],
        hdl_toplevel_lang="verilog",
        build_dir=order["folder"],
        test_dir=order["run_folder"],
        waves=order["waves"],
        timescale=_TIMESCALE,
        results_xml=str(Path(order["run_folder"]) / "results.xml"),
    )


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    if order["do"] == "build":
        _build(order)
    else:
        _run(order)


if __name__ == "__main__":
    main()
