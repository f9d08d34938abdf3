"""The board: memory, register master and wire around one shared adapter, a cycle at a time.

Every engine calls `Board.tick` once a cycle; all that happens follows from the cycle and the
adapter's outputs, which makes the engines agree cycle for cycle.
"""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from byway.sim.board.axi_memory import AxiMemory, MemoryManner
from byway.sim.board.bus_beat import BusBeat
from byway.sim.board.pins import Pins
from byway.sim.board.register_master import RegisterMaster
from byway.sim.board.wire import WIRES, wire_of
from byway.sim.board.wire_frame import WireFrame

__all__ = ["Board", "BoardParameters"]


@dataclass(frozen=True)
class BoardParameters:
    """What can be chosen of a board.

    Attributes
    ----------
    memory_bytes : int
        Size of system memory.
    memory : MemoryManner
        How it behaves.
    watches_bus : bool
        What passes on the memory bus is kept, for `Engine.take_beats`.
    """

    memory_bytes: int = 16 << 20
    memory: MemoryManner = field(default_factory=MemoryManner)
    watches_bus: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The parameters as plain data."""
        return asdict(self)

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> "BoardParameters":
        """The parameters of which `as_dict` made `plain`."""
        manner = MemoryManner(**plain["memory"])
        return BoardParameters(**{**plain, "memory": manner})


class Board:
    """See the module. `pins` must have those of the wire lowest, as `Board.pin_order` asks."""

    pin_order = tuple(f"{name}_" for name in WIRES)

    def __init__(self, pins: Pins, storage: bytearray | memoryview, parameters: BoardParameters):
        self.cycle = 0
        self.frames: deque[WireFrame] = deque()
        self.passed: deque[BusBeat] = deque()
        self.master = RegisterMaster(pins)
        passed = self.passed if parameters.watches_bus else None
        self._memory = AxiMemory(pins, storage, parameters.memory, passed=passed)
        self.wire = wire_of(pins.outputs)
        self._sink = self.wire.sink(pins, self.frames)
        self._lines = tuple(
            pins.outputs[name].mask
            for name in ("adapter_interrupt", "manager_interrupt", "quiescent")
        )
        self._not_wire = ~self._sink.mask
        self._quiet_outputs = -1
        self._quiet_inputs = 0
        self.outputs = 0

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return bool(self.outputs & self._lines[0])

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return bool(self.outputs & self._lines[1])

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter."""
        return bool(self.outputs & self._lines[2])

    @property
    def attention(self) -> bool:
        """Software has something to do: an interrupt, or a frame from the wire."""
        return bool(self.frames) or self.adapter_interrupt or self.manager_interrupt

    def take_beats(self) -> list[BusBeat]:
        """What has passed on the memory bus since the last call, if the board watches it."""
        beats = list(self.passed)
        self.passed.clear()
        return beats

    @property
    def at_rest(self) -> bool:
        """Nothing is under way, neither in the adapter nor on the board."""
        return self.quiescent and self._memory.idle and not self.master.busy

    def tick(self, outputs: int) -> int:
        """Given the adapter's outputs in this cycle, return what its inputs are to be."""
        cycle = self.cycle
        self.cycle = cycle + 1
        self.outputs = outputs
        self._sink.tick(cycle, outputs)
        # Most cycles move nothing but the wire: then the inputs stay as they are.
        steady = outputs & self._not_wire
        if steady == self._quiet_outputs and not self.master.busy:
            return self._quiet_inputs
        idle = self._memory.idle and not self.master.busy
        inputs = self._memory.tick(cycle, outputs) | self.master.tick(outputs)
        # Idle before and after: the inputs hold no beat or response that must not come again.
        self._quiet_outputs = steady if idle and self._memory.idle else -1
        self._quiet_inputs = inputs
        return inputs
