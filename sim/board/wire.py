"""The wires that an adapter may have: how fast they are, and who collects their frames."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from byway.sim.board.gmii_sink import GmiiSink
from byway.sim.board.pins import Pins
from byway.sim.board.wire_frame import WireFrame
from byway.sim.board.xgmii_sink import LANES, MOST_DEFICIT, XgmiiSink
from byway.sim.wire.medium import GAP_BYTES

__all__ = ["GMII", "WIRES", "XGMII", "Sink", "Wire", "wire_of"]


class Sink(Protocol):
    """Collects the frames of a wire, whose pins are those of `mask`."""

    mask: int

    def tick(self, cycle: int, outputs: int) -> None:
        """Look at the adapter's outputs in this cycle."""
        ...


class _MakeSink(Protocol):
    def __call__(self, pins: Pins, frames: deque[WireFrame]) -> Sink: ...


@dataclass(frozen=True)
class Wire:
    """A wire that carries `lanes` bytes in each cycle.

    Attributes
    ----------
    name : str
        Of the adapter's port.
    cycle_ps : int
        A cycle in picoseconds; the adapter has no other clock.
    lanes : int
    least_gap : int
        Bytes from the end of a frame to the next.
    sink : callable
        Makes what collects frames from the port's pins.
    """

    name: str
    cycle_ps: int
    lanes: int
    least_gap: int
    sink: _MakeSink

    @property
    def cycle_ns(self) -> float:
        """A cycle in nanoseconds."""
        return self.cycle_ps / 1000

    def ns(self, cycles: int) -> int:
        """So many cycles in nanoseconds, rounded down."""
        return cycles * self.cycle_ps // 1000

    def seconds(self, cycles: int) -> float:
        """So many cycles in seconds."""
        return cycles * self.cycle_ps * 1e-12

    @property
    def bits_per_second(self) -> float:
        """What the wire carries, gaps included."""
        return 8 * self.lanes / self.seconds(1)


#: A gigabit a second [IEEE 802.3, clause 35].
GMII = Wire("gmii", 8000, 1, GAP_BYTES, GmiiSink)
#: 10 Gb/s on 64 bits, where clause 46 has 32 at both edges.
XGMII = Wire("xgmii", 6400, LANES, GAP_BYTES - MOST_DEFICIT, XgmiiSink)

#: Name -> wire.
WIRES = {wire.name: wire for wire in (GMII, XGMII)}


def wire_of(pins: Iterable[str]) -> Wire:
    """The wire of an adapter whose pins have these names."""
    names = {name.partition("_")[0] for name in pins}
    (wire,) = (wire for wire in WIRES.values() if wire.name in names)
    return wire
