"""How fast the engines are, side by side in one run: ``python -m byway.sim.measure.engines``.

All carry the same load (`byway.sim.measure.load`), waveforms off, in CPU time of the process that
simulates. Writes ``out/bench/engines.json``, a list of figures, and prints them; exit code 1 if a
goal is missed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from byway.rtl.export import to_verilog
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.board import BoardParameters
from byway.sim.engines.amaranth import AmaranthEngine
from byway.sim.engines.cocotb import build_simulator, runner_command, simulator_environment
from byway.sim.engines.engine import Engine, EngineError
from byway.sim.engines.native import NATIVES, NativeEngine
from byway.sim.measure.figures import Figure, report
from byway.sim.measure.load import MEMORY_BYTES, start_load

__all__ = ["measure"]

_PARAMETERS = BoardParameters(memory_bytes=MEMORY_BYTES)
_TOP = "shared_adapter"
_NATIVE_CYCLES = 400_000
_COCOTBEXT_CYCLES = 15_000
_AMARANTH_CYCLES = 2_000
_REPETITIONS = 3
_RATE = "cycles per CPU second"


def _under_load(engine: Engine, cycles: int) -> float:
    """Cycles a CPU second, with all that Python does to take the frames."""
    try:
        start_load(engine.registers, engine.memory)
        engine.run(1)
        end = engine.cycle + cycles
        frames = 0
        begun = time.process_time()
        while engine.cycle < end:
            engine.run(end - engine.cycle)
            frames += len(engine.frames)
            engine.frames.clear()
        seconds = time.process_time() - begun
        if frames < cycles // 1538 - 2:
            raise EngineError(f"{engine.name} carried {frames} frames in {cycles} cycles")
        return cycles / seconds
    finally:
        engine.close()


def _cxxrtl(cycles: int, native: float) -> list[Figure]:
    """The second opinion beside `native`; without its compiler nothing, and a line says so."""
    maker = NATIVES["cxxrtl"]
    if shutil.which(maker.compiler) is None:
        print(f"byway: cxxrtl is left out: {maker.compiler} is not installed", file=sys.stderr)
        return []
    engines = (NativeEngine(SharedAdapter, _PARAMETERS, maker=maker) for _ in range(_REPETITIONS))
    cxxrtl = max(_under_load(engine, cycles) for engine in engines)
    return [
        Figure("cxxrtl", cxxrtl, _RATE),
        Figure("native_over_cxxrtl", native / cxxrtl, "times"),
    ]


def _bare(cycles: int) -> float:
    engine = NativeEngine(SharedAdapter, _PARAMETERS)
    begun = time.process_time()
    engine.clock_alone(cycles)
    seconds = time.process_time() - begun
    engine.close()
    return cycles / seconds


def _cocotbext(cycles: int) -> float:
    build = build_simulator(to_verilog(SharedAdapter(), _TOP), _TOP, "verilator")
    with tempfile.TemporaryDirectory(prefix="byway-") as folder:
        result = Path(folder) / "result.json"
        environment = simulator_environment("verilator")
        environment["BYWAY_MEASURE"] = json.dumps({"cycles": cycles, "result": str(result)})
        order = {
            "do": "run",
            "simulator": "verilator",
            "folder": str(build),
            "run_folder": folder,
            "top": _TOP,
            "test_module": "byway.sim.measure.cocotbext_load",
            "waves": False,
        }
        done = subprocess.run(
            runner_command(order), env=environment, capture_output=True, text=True, check=False
        )
        if not result.exists():
            raise EngineError(f"cocotb with cocotbext did not run the load: {done.stdout[-500:]}")
        return json.loads(result.read_text())["cycles_per_second"]


def measure() -> list[Figure]:
    """Measure every engine in turn; of the fast ones, the best of several turns counts."""
    natives, bares = [], []
    for _ in range(_REPETITIONS):
        natives.append(_under_load(NativeEngine(SharedAdapter, _PARAMETERS), _NATIVE_CYCLES))
        bares.append(_bare(_NATIVE_CYCLES))
    native, bare = max(natives), max(bares)
    amaranth = _under_load(AmaranthEngine(SharedAdapter(), _PARAMETERS), _AMARANTH_CYCLES)
    cocotbext = _cocotbext(_COCOTBEXT_CYCLES)
    return [
        Figure("native", native, _RATE, ">= 1000000"),
        Figure("bare_model", bare, _RATE),
        *_cxxrtl(_NATIVE_CYCLES, native),
        Figure("cocotb_verilator_cocotbext", cocotbext, _RATE),
        Figure("amaranth", amaranth, _RATE),
        Figure("native_over_cocotbext", native / cocotbext, "times", ">= 100"),
        Figure("native_over_amaranth", native / amaranth, "times", ">= 300"),
        Figure("bare_over_native", bare / native, "times", "<= 1.3"),
    ]


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m byway.sim.measure.engines")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    folder = parser.parse_args().out
    try:
        figures = measure()
    except EngineError as error:
        print(f"byway: {error}", file=sys.stderr)
        return 2
    return report(figures, folder / "engines.json")


if __name__ == "__main__":
    sys.exit(main())
