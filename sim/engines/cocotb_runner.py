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


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    runner = get_runner(order["simulator"])
    folder = Path(order["folder"])
    top = order["top"]
    waves = order["waves"]
    tops = [top]
    if waves and order["simulator"] == "icarus":
        # cocotb's own way asks for SystemVerilog; see the flags.
        waves = False
        tops.append(_DUMP)
        order["flags"] = [*order.get("flags", ()), "-s", _DUMP]
        (folder / f"{_DUMP}.v").write_text(
            f"module {_DUMP}; initial begin "
            f'$dumpfile("wave.vcd"); $dumpvars(0, {top}); end endmodule\n'
        )
    if order["do"] == "build":
        runner.build(
            sources=[folder / f"{name}.v" for name in tops],
            hdl_toplevel=top,
            build_args=order["flags"],
            build_dir=folder,
            timescale=_TIMESCALE,
            waves=waves,
            always=True,
        )
        return
    # The runner remembers what was built only within one process.
    runner.hdl_library = "top"
    runner.test(
        test_module=order["test_module"],
        hdl_toplevel=top,
        hdl_toplevel_lang="verilog",
        build_dir=folder,
        test_dir=order["run_folder"],
        waves=waves,
        timescale=_TIMESCALE,
        results_xml=str(Path(order["run_folder"]) / "results.xml"),
    )


if __name__ == "__main__":
    main()
