"""Runs a library of the native engine for a while: ``python -m byway.sim.engines.native_training``.

Its argument is a library compiled to take note of what is executed how often. Compiled again with
that, the model is a tenth faster: of a wide netlist most branches are nearly always taken alike.
"""

import sys
from pathlib import Path

from byway.sim.board.board import BoardParameters
from byway.sim.engines.native import NativeEngine
from byway.sim.measure.load import MEMORY_BYTES, start_load

__all__ = ["train"]

_CYCLES = 30_000


def train(library: Path) -> None:
    """Carry super-frames through the shared adapter that `library` is, and let it rest."""
    engine = NativeEngine(library, BoardParameters(memory_bytes=MEMORY_BYTES))
    engine.run(100)
    start_load(engine.registers, engine.memory)
    while engine.cycle < _CYCLES:
        engine.run(_CYCLES - engine.cycle)
        engine.frames.clear()
    engine.close()


if __name__ == "__main__":
    train(Path(sys.argv[1]))
