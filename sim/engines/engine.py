"""The engine protocol: what every way of running the RTL offers to scenarios and drivers."""

from collections import deque
from typing import Protocol

from byway.sim.board.bus_beat import BusBeat
from byway.sim.board.wire import Wire
from byway.sim.board.wire_frame import WireFrame
from byway.sw.hardware import Hardware

__all__ = ["Engine", "EngineError", "WatchingEngine"]


class EngineError(Exception):
    """An engine cannot be had or has failed; the text says why in one line."""


class Engine(Hardware, Protocol):
    """Hardware whose time the caller moves on."""

    name: str

    @property
    def wire(self) -> Wire:
        """That of the adapter, from whose cycles its time follows."""
        ...

    @property
    def cycle(self) -> int:
        """Cycles since reset."""
        ...

    @property
    def frames(self) -> deque[WireFrame]:
        """Frames that came off the wire and that nobody has taken yet."""
        ...

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter: it stays as it is until software or memory acts.

        As the interrupt lines, the level in the last cycle that was run.
        """
        ...

    def run(self, cycles: int, *, until_rest: bool = False) -> None:
        """Advance until software has something to do, at most `cycles`, at least one.

        Software has something to do when an interrupt line is high or a frame has arrived. With
        `until_rest` it acts also once nothing is under way, neither in the adapter nor in memory.
        """
        ...

    def close(self) -> None:
        """End the simulation; waveforms are whole afterwards. May be called again."""
        ...


class WatchingEngine(Engine, Protocol):
    """An engine whose board can watch the memory bus."""

    def take_beats(self) -> list[BusBeat]:
        """What has passed on the memory bus since the last call, in the order of time.

        Nothing, unless the board was made with `watches_bus`.
        """
        ...
