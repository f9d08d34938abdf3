"""The engines by name."""

from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring

from byway.sim.board.board import BoardParameters
from byway.sim.engines.amaranth import AmaranthEngine
from byway.sim.engines.cocotb import SIMULATORS, CocotbEngine
from byway.sim.engines.engine import EngineError, WatchingEngine
from byway.sim.engines.native import NATIVES, NativeEngine
from byway.sim.engines.section import WHOLE_RUN, Section

__all__ = ["COMPILED", "ENGINES", "open_engine", "waveform_suffix"]

#: Names that `open_engine` takes.
ENGINES = (*NATIVES, "amaranth", *SIMULATORS)

#: Those that compile a design when they are first started with it.
COMPILED = (*NATIVES, *SIMULATORS)


def waveform_suffix(name: str) -> str:
    """Kind of waveform that the engine `name` leaves, as a file suffix."""
    return ".fst" if name == "icarus" else ".vcd"


def open_engine(
    name: str,
    make: Callable[[], wiring.Component],
    parameters: BoardParameters,
    *,
    waveform: Path | None = None,
    section: Section = WHOLE_RUN,
) -> WatchingEngine:
    """Start the engine `name` with the adapter that `make` makes.

    It leaves a waveform of `section` at `waveform`, if that is given. Raises `EngineError` if it
    cannot be had, or cannot leave such a waveform.
    """
    if name in NATIVES:
        maker = NATIVES[name]
        return NativeEngine(make, parameters, maker=maker, waveform=waveform, section=section)
    if section != WHOLE_RUN:
        raise EngineError(f"The engine {name} leaves waveforms of whole runs only; native can both")
    if name == "amaranth":
        return AmaranthEngine(make(), parameters, waveform=waveform)
    if name in SIMULATORS:
        return CocotbEngine(make, parameters, simulator=name, waveform=waveform)
    raise EngineError(f"No engine is called {name}; there are {', '.join(ENGINES)}")
