"""Plays seeds, each on an engine of its own; a design is compiled once."""

import functools
from pathlib import Path

from byway.sim.engines.native import NATIVES, NativeEngine
from byway.sim.engines.native_build import LIBRARY, build_native
from byway.sim.engines.open_engine import open_engine
from byway.sim.engines.section import Section
from byway.sim.fuzz.outcome import Outcome
from byway.sim.fuzz.plan import DESIGNS, Design, plan_of
from byway.sim.fuzz.plant import Plant
from byway.sim.fuzz.scenario import Scenario
from byway.sim.fuzz.world import board_of
from byway.sim.scenarios.machine import adapter_for

__all__ = ["play", "prepare", "record"]


@functools.cache
def _library(design: Design, engine: str) -> Path:
    make = adapter_for(design.hosted, data_width=design.data_width)
    return build_native(make, NATIVES[engine]) / LIBRARY


def prepare(engine: str = "native") -> None:
    """Compile whatever design a seed may want, unless that was done before.

    Raises `EngineError` if it cannot be.
    """
    for design in DESIGNS:
        _library(design, engine)


def play(seed: int, *, engine: str = "native", plant: Plant | None = None) -> Outcome:
    """Play the scenario of `seed`; the same seed always comes to the same.

    Parameters
    ----------
    engine : str
        A key of `byway.sim.engines.native.NATIVES`.
    plant : Plant or None
        A fault to be found, for tests.

    Raises `EngineError` if the engine cannot be had.
    """
    plan = plan_of(seed)
    library = _library(plan.design, engine)
    running = NativeEngine(library, board_of(plan), maker=NATIVES[engine])
    try:
        return Scenario(running, plan, plant).play()
    finally:
        running.close()


def record(seed: int, section: Section, waveform: Path, *, engine: str = "native") -> Outcome:
    """Play `seed` again and leave a waveform of `section`; raises as `open_engine`."""
    plan = plan_of(seed)
    make = adapter_for(plan.design.hosted, data_width=plan.design.data_width)
    running = open_engine(engine, make, board_of(plan), waveform=waveform, section=section)
    try:
        return Scenario(running, plan).play()
    finally:
        running.close()
