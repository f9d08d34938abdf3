"""An engine between software that may vanish and the adapter, which keeps what is on the wire.

It tells when time is about to pass and when the adapter's owner has touched a register: the moments
at which software can be gone. Frames of one sender are kept apart.
"""

from collections import deque
from collections.abc import Callable

from byway.sim.board.wire import Wire
from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.engine import Engine
from byway.sim.scenarios.doorbell_watch import DoorbellWatch
from byway.sw.contract.registers import ADAPTER_PAGE, DOORBELL_PAGE, AdapterPage
from byway.sw.hardware import PhysicalMemory
from byway.sw.manager.memory import PAGE_SIZE

__all__ = ["POISON", "WatchedHardware"]

#: What no frame may carry, and so many bytes of it in a row that it is no chance.
POISON = b"\xbd"
_ENOUGH = 8


class WatchedHardware:
    """See the module. It is hardware to software, and an engine to scenarios.

    Parameters
    ----------
    engine : Engine

    Attributes
    ----------
    doorbells : DoorbellWatch
    frames : deque of WireFrame
        Those that are not kept apart, and not taken yet.
    apart : list of WireFrame
        Those of the station address `apart_mac`.
    poisoned : list of WireFrame
        Those with poison; they are nowhere else.
    on_time : callable
        Called before time moves on; returns the cycle before which it must be called again, if any.
    on_access : callable
        Called after each access of the owner to its pages.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self.name = engine.name
        self.doorbells = DoorbellWatch(engine)
        self.registers = self
        self.memory: PhysicalMemory = engine.memory
        self.frames: deque[WireFrame] = deque()
        self.apart_mac = b""
        self.apart: list[WireFrame] = []
        self.poisoned: list[WireFrame] = []
        self.on_time: Callable[[], int | None] = lambda: None
        self.on_access: Callable[[], None] = lambda: None
        probe = _Probe()
        AdapterPage(probe, ADAPTER_PAGE).mac_control.read()
        self._shared = probe.offset

    @property
    def wire(self) -> Wire:
        """That of the adapter."""
        return self._engine.wire

    @property
    def cycle(self) -> int:
        """Cycles since reset."""
        return self._engine.cycle

    @property
    def time_ns(self) -> int:
        """Time since reset."""
        return self._engine.time_ns

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return self._engine.adapter_interrupt

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return self._engine.manager_interrupt

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter."""
        return self._engine.quiescent

    def read(self, offset: int) -> int:
        """Read a register; the software that does so may vanish afterwards."""
        value = self.doorbells.read(offset)
        self._accessed(offset)
        return value

    def write(self, offset: int, value: int) -> None:
        """Write a register; the software that does so may vanish afterwards."""
        self.doorbells.write(offset, value)
        self._accessed(offset)

    def _accessed(self, offset: int) -> None:
        # The MAC's switch is the partition manager's, too.
        is_owners = offset >= DOORBELL_PAGE or offset // PAGE_SIZE == ADAPTER_PAGE // PAGE_SIZE
        if is_owners and offset != self._shared:
            self.on_access()

    def run(self, cycles: int, *, until_rest: bool = False) -> None:
        """Advance as an engine does, but no further than to the next moment of interest."""
        stop = self.on_time()
        if stop is not None:
            cycles = max(1, min(cycles, stop - self.cycle))
        self._engine.run(cycles, until_rest=until_rest)
        while self._engine.frames:
            frame = self._engine.frames.popleft()
            if POISON * _ENOUGH in frame.data:
                self.poisoned.append(frame)
            elif frame.data[6:12] == self.apart_mac:
                self.apart.append(frame)
            else:
                self.frames.append(frame)

    def close(self) -> None:
        """End the simulation."""
        self._engine.close()


class _Probe:
    """A register bus that knows where it was read last."""

    offset = 0

    def read(self, offset: int) -> int:
        self.offset = offset
        return 0

    def write(self, offset: int, value: int) -> None:
        """Nothing is behind it."""
