"""An engine as the bench of a flow, with a record of all that can be seen of it.

The record is what engines are compared by: every access with its value, every change of an
interrupt line, every frame and all that passes on the memory bus, each with its cycle, what
software reads from memory, and the whole memory in the end.
"""

import contextlib
import hashlib
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from amaranth.lib import wiring

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.board.bus_beat import BusBeat
from byway.sim.board.wire_frame import WireFrame, gap_bytes
from byway.sim.engines.engine import Engine, WatchingEngine
from byway.sim.engines.open_engine import open_engine
from byway.sim.flows.flow import Bench, Flow, Pages

__all__ = ["EngineBench", "Event", "Outcome", "run_flow"]

_MEMORY_BYTES = 4 << 20
#: Within which an adapter that nobody disturbs comes to rest, if it does.
_REST_CYCLES = 5_000


class Event(NamedTuple):
    """What was done or seen, the cycle after it, and addresses and values."""

    what: str
    cycle: int
    values: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """All that a run showed.

    Attributes
    ----------
    events : list of Event
        In order: register reads and writes, loads from memory, changes of the interrupt lines and
        of the one that tells that nothing is under way.
    frames : list of WireFrame
    beats : list of BusBeat
    cycle : int
        The last.
    memory : str
        SHA-256 of the whole of system memory in the end.
    """

    events: list[Event]
    frames: list[WireFrame]
    beats: list[BusBeat]
    cycle: int
    memory: str

    def difference(self, other: "Outcome") -> str | None:
        """Where `other` departs from this one first, in words; None if it does not."""
        for name in ("events", "frames", "beats"):
            ours, theirs = getattr(self, name), getattr(other, name)
            pairs = itertools.zip_longest(ours, theirs)
            for number, (one, another) in enumerate(pairs):
                if one != another:
                    before = ours[max(0, number - 3) : number]
                    return f"{name}[{number}]: {one} and {another}, after {before}"
        if self != other:
            return f"cycle {self.cycle} and {other.cycle}, memory {self.memory} and {other.memory}"
        return None


class _OutOfTimeError(Exception):
    """The flow has come to the cycle at which it is to be broken off."""


class _Registers:
    """The engine's registers; `record` is told of every access."""

    def __init__(self, engine: Engine, record: Callable[..., None]):
        self._engine = engine
        self._record = record

    def read(self, offset: int) -> int:
        try:
            value = self._engine.registers.read(offset)
        except OSError:
            self._record("read refused", offset)
            raise
        self._record("read", offset, value)
        return value

    def write(self, offset: int, value: int) -> None:
        try:
            self._engine.registers.write(offset, value)
        except OSError:
            self._record("write refused", offset, value)
            raise
        self._record("write", offset, value)


class _Memory:
    """The engine's memory; `record` is told of what is read."""

    def __init__(self, engine: Engine, record: Callable[..., None]):
        self._memory = engine.memory
        self._record = record

    @property
    def size(self) -> int:
        return self._memory.size

    def read(self, address: int, length: int) -> bytes:
        data = self._memory.read(address, length)
        self._record("load", address, int.from_bytes(data, "little"))
        return data

    def write(self, address: int, data: bytes) -> None:
        self._memory.write(address, data)


class EngineBench(Bench):
    """`engine`, just opened, as a bench.

    Parameters
    ----------
    engine : WatchingEngine
    rng : random.Random
    limit : int or None
        Cycle after which the flow is broken off, if it has not ended by itself.

    Attributes
    ----------
    events : list
        See `Outcome`.
    """

    def __init__(self, engine: WatchingEngine, rng: random.Random, limit: int | None = None):
        self.rng = rng
        self.events: list[Event] = []
        self.frames = []
        self.wire = engine.wire
        self.registers = _Registers(engine, self._record)
        self.memory = Pages(_Memory(engine, self._record), rng)
        self._engine = engine
        self._limit = limit
        self._lines = (False, False, False)

    @property
    def cycle(self) -> int:
        """Cycles since reset."""
        return self._engine.cycle

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return self._engine.adapter_interrupt

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return self._engine.manager_interrupt

    def _record(self, name: str, *values: int) -> None:
        self.events.append(Event(name, self.cycle, values))
        self._look()

    def _look(self) -> None:
        """See what there is to see without moving time."""
        engine = self._engine
        self.frames += engine.frames
        engine.frames.clear()
        lines = (engine.adapter_interrupt, engine.manager_interrupt, engine.quiescent)
        if lines != self._lines:
            self._lines = lines
            self.events.append(Event("lines", self.cycle, lines))
        if self._limit is not None and self.cycle >= self._limit:
            raise _OutOfTimeError

    def run(self, cycles: int) -> None:
        """Let exactly `cycles` pass."""
        end = self.cycle + cycles
        while self.cycle < end:
            self._engine.run(end - self.cycle)
            self._look()

    def carry_out(self, flow: Flow) -> Outcome:
        """Play `flow` and judge the wire; fails as the flow does."""
        with contextlib.suppress(_OutOfTimeError):
            flow.body(self)
            self._engine.run(_REST_CYCLES, until_rest=True)
            self._record("rest")
        assert all(frame.good for frame in self.frames), "a frame that is not good"
        for before, after in itertools.pairwise(self.frames):
            gap = gap_bytes(before, after, lanes=self.wire.lanes)
            assert gap >= self.wire.least_gap, f"gap of {gap} before cycle {after.first_cycle}"
        memory = self._engine.memory
        digest = hashlib.sha256(memory.read(0, memory.size)).hexdigest()
        return Outcome(self.events, self.frames, self._engine.take_beats(), self.cycle, digest)


def run_flow(
    flow: Flow,
    engine: str,
    make: Callable[[], wiring.Component],
    *,
    seed: str,
    manner: MemoryManner | None = None,
    limit: int | None = None,
) -> Outcome:
    """Play `flow` on a fresh engine.

    Parameters
    ----------
    engine : str
        As for `open_engine`.
    make : callable
        Makes the adapter.
    seed : str
        Of all that is left to chance, but for a `manner` that is given.
    manner : MemoryManner or None
        Of the memory; if None, as the flow wants it.
    limit : int or None
        Cycle after which it is broken off.
    """
    rng = random.Random(f"{seed} {flow.name}")
    manner = flow.manner(rng.getrandbits(64)) if manner is None else manner
    parameters = BoardParameters(memory_bytes=_MEMORY_BYTES, memory=manner, watches_bus=True)
    running = open_engine(engine, make, parameters)
    try:
        return EngineBench(running, rng, limit).carry_out(flow)
    finally:
        running.close()
