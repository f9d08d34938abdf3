"""What a flow stands on, and what makes a function a flow."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from byway.rtl.bus.axi4 import PAGE_BYTES
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.wire import Wire
from byway.sim.board.wire_frame import WireFrame
from byway.sw.hardware import PhysicalMemory, RegisterBus

__all__ = ["PAGE", "Bench", "Flow", "Pages", "flow", "flows_of"]

PAGE = PAGE_BYTES
#: How often a wait looks whether it is over.
_LOOK_CYCLES = 16


class Pages:
    """The pages of system memory, and what of them is granted.

    Parameters
    ----------
    software : PhysicalMemory
        The memory as software sees it.
    rng : random.Random
        Draws the pages that are taken.

    Attributes
    ----------
    software : PhysicalMemory
    readable, writable : set of int
        Pages that the bridge may touch now.
    broken : int
        Number of a page past the end: every access to it is answered with an error.
    """

    def __init__(self, software: PhysicalMemory, rng: random.Random):
        self.software = software
        self.readable: set[int] = set()
        self.writable: set[int] = set()
        self.broken = software.size // PAGE
        self._free = list(range(self.broken))
        rng.shuffle(self._free)

    def take_page(self) -> int:
        """Number of a page that nobody uses, anywhere in memory."""
        return self._free.pop()


class Bench(ABC):
    """An adapter after reset, and all around it; time passes by register accesses and `run` alone.

    Attributes
    ----------
    rng : random.Random
        All that a flow leaves to chance comes from here.
    registers : RegisterBus
    memory : Pages
    wire : Wire
    frames : list of WireFrame
        All that have come off the wire so far.
    """

    rng: random.Random
    registers: RegisterBus
    memory: Pages
    wire: Wire
    frames: list[WireFrame]

    @property
    @abstractmethod
    def cycle(self) -> int:
        """Cycles of simulated time."""

    @property
    @abstractmethod
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""

    @property
    @abstractmethod
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""

    @abstractmethod
    def run(self, cycles: int) -> None:
        """Let exactly `cycles` pass."""

    def wait_for(self, condition: Callable[[], bool], what: str, cycles: int = 20_000) -> None:
        """Let time pass until `condition`; fails after `cycles`, for want of `what`."""
        end = self.cycle + cycles
        while not condition():
            assert self.cycle < end, f"no {what} in {cycles} cycles"
            self.run(_LOOK_CYCLES)


@dataclass(frozen=True)
class Flow:
    """A flow, and how difficult its bench shall be.

    Attributes
    ----------
    body : callable
        Plays the software; fails by `AssertionError`.
    stall : float
        Chance that a channel stalls in a cycle.
    longest_latency : int
        Most cycles by which the memory makes an access wait.
    """

    body: Callable[[Bench], None]
    stall: float = 0.0
    longest_latency: int = 0

    @property
    def name(self) -> str:
        """Name of the body."""
        return self.body.__name__

    def manner(self, seed: int) -> MemoryManner:
        """A memory as difficult as the flow wants it."""
        return MemoryManner(
            latency=self.longest_latency // 2,
            stalls=int(self.stall * 0x1_0000),
            reorders=self.stall > 0,
            seed=seed,
        )


def flow(*, stall: float = 0.0, longest_latency: int = 0) -> Callable[[Callable], Flow]:
    """Make a flow of a function; see `Flow`."""
    return lambda body: Flow(body, stall, longest_latency)


def flows_of(module: ModuleType) -> list[Flow]:
    """The flows that `module` holds."""
    return [value for value in vars(module).values() if isinstance(value, Flow)]
