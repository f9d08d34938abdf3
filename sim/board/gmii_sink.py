"""The far end of the wire: collects frames from GMII [IEEE 802.3, clause 35], a cycle at a time."""

import zlib
from collections import deque
from dataclasses import dataclass

from byway.sim.board.pins import Pins
from byway.sim.wire.medium import FCS_BYTES, MINIMUM_BYTES, PREAMBLE

__all__ = ["GmiiSink", "WireFrame", "judge"]


@dataclass(frozen=True)
class WireFrame:
    """A frame as it came off the wire.

    Attributes
    ----------
    data : bytes
        From destination address to the end of the padding, without FCS.
    first_cycle, last_cycle : int
        Cycles of the first preamble byte and of the last FCS byte.
    good : bool
        The preamble was whole, no error was signalled, the FCS is right, and the frame is no
        shorter than it must be [IEEE 802.3, 4.2.4.2.2].
    """

    data: bytes
    first_cycle: int
    last_cycle: int
    good: bool


def judge(whole: bytes, first_cycle: int, last_cycle: int, *, error: bool) -> WireFrame:
    """The frame of which `whole` came, from the first preamble byte to the last of the FCS."""
    preamble, rest = whole[: len(PREAMBLE)], whole[len(PREAMBLE) :]
    data, fcs = rest[:-FCS_BYTES], rest[-FCS_BYTES:]
    good = (
        not error
        and preamble == PREAMBLE
        and len(data) >= MINIMUM_BYTES
        and zlib.crc32(data) == int.from_bytes(fcs, "little")
    )
    return WireFrame(data, first_cycle, last_cycle, good)


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
