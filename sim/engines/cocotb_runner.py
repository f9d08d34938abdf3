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


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    runner = get_runner(order["simulator"])
    folder = Path(order["folder"])
    top = order["top"]
    if order["do"] == "build":
        flags = list(order["flags"])
        if order["waves"] and order["simulator"] == "verilator":
            flags += ["--trace-fst", "--trace-structs"]
        runner.build(
            sources=[folder / f"{top}.v"],
            hdl_toplevel=top,
            build_args=flags,
            build_dir=folder,
            timescale=_TIMESCALE,
            waves=order["waves"] and order["simulator"] != "verilator",
            always=True,
        )
        return
    waves = order["waves"]
    # The runner remembers what was built only within one process.
    runner.hdl_library = "top"
    runner.test(
        test_module=order["test_module"],
        hdl_toplevel=top,
        hdl_toplevel_lang="verilog",
        build_dir=folder,
        test_dir=order["run_folder"],
        test_args=["--trace"] if waves and order["simulator"] == "verilator" else [],
        waves=waves and order["simulator"] != "verilator",
        timescale=_TIMESCALE,
        results_xml=str(Path(order["run_folder"]) / "results.xml"),
    )


if __name__ == "__main__":
    main()
