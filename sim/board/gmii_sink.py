"""The far end of the wire: collects frames from GMII [IEEE 802.3, clause 35], a cycle at a time."""

from collections import deque

from byway.sim.board.pins import Pins
from byway.sim.board.wire_frame import WireFrame, judge

__all__ = ["GmiiSink"]


class GmiiSink:
    """Collects frames from the pins that begin with `prefix`, which must lie lowest.

    Parameters
    ----------
    pins : Pins
        Where the port's pins are.
    frames : deque
        Finished frames are appended here.
    """

    def __init__(self, pins: Pins, frames: deque[WireFrame], *, prefix: str = "gmii_"):
        self._txd = pins.outputs[prefix + "txd"]
        self._tx_en = pins.outputs[prefix + "tx_en"].mask
        self._tx_er = pins.outputs[prefix + "tx_er"].mask
        self.mask = self._txd.mask | self._tx_en | self._tx_er
        self._frames = frames
        self._received = bytearray()
        self._error = False
        self._first_cycle = 0

    def tick(self, cycle: int, outputs: int) -> None:
        """Look at the adapter's outputs in this cycle."""
        if outputs & self._tx_en:
            if not self._received:
                self._first_cycle = cycle
            self._received.append(self._txd.of(outputs))
            if outputs & self._tx_er:
                self._error = True
        elif self._received:
            whole = bytes(self._received)
            self._frames.append(judge(whole, self._first_cycle, cycle - 1, error=self._error))
            self._received.clear()
            self._error = False
