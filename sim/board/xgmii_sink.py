"""The far end of the wire: collects frames from a 64-bit XGMII [IEEE 802.3, clause 46]."""

from collections import deque

from byway.sim.board.pins import Pins
from byway.sim.board.wire_frame import WireFrame, judge
from byway.sim.wire.medium import GAP_BYTES, PREAMBLE

__all__ = ["ERROR", "IDLE", "LANES", "MOST_DEFICIT", "START", "TERMINATE", "XgmiiSink"]

# Control characters [table 46-3].
IDLE = 0x07
START = 0xFB
TERMINATE = 0xFD
ERROR = 0xFE

#: Bytes that it carries in a cycle.
LANES = 8
#: Lanes of 32 bits, in the first of which a frame starts [46.2.2].
_START_LANES = 4
#: By how many bytes gaps may have been shorter than they should [46.3.1.4].
MOST_DEFICIT = 3


class XgmiiSink:
    """Collects frames from the pins that begin with `prefix`.

    Whatever is not Idle begins a frame, if only a bad one, which ends with Terminate, with Idle, or
    where another starts.

    Parameters
    ----------
    pins : Pins
        Where the port's pins are.
    frames : deque
        Finished frames are appended here.
    """

    def __init__(self, pins: Pins, frames: deque[WireFrame], *, prefix: str = "xgmii_"):
        self._txd = pins.outputs[prefix + "txd"]
        self._txc = pins.outputs[prefix + "txc"]
        self.mask = self._txd.mask | self._txc.mask
        self._idle = (int.from_bytes([IDLE] * LANES, "little"), (1 << LANES) - 1)
        self._frames = frames
        self._received: bytearray | None = None
        self._error = False
        self._first = 0
        self._end: int | None = None
        self._deficit = 0

    def tick(self, cycle: int, outputs: int) -> None:
        """Look at the adapter's outputs in this cycle."""
        txd, txc = self._txd.of(outputs), self._txc.of(outputs)
        if self._received is None and (txd, txc) == self._idle:
            return
        if self._received and not txc:
            self._received += txd.to_bytes(LANES, "little")
            return
        for lane, character in enumerate(txd.to_bytes(LANES, "little")):
            self._take(cycle * LANES + lane, character, control=bool(txc >> lane & 1))

    def _take(self, place: int, character: int, *, control: bool) -> None:
        """Take a character; places are counted in bytes."""
        if control and character in (IDLE, START) and self._received is not None:
            self._finish(place, whole=False)
        if control and character == IDLE:
            return
        if self._received is None:
            self._received = bytearray()
            self._first = place
            started = control and character == START and place % _START_LANES == 0
            self._error = not started
            if started:
                # Start takes the place of the first byte of preamble [46.2.2].
                self._received.append(PREAMBLE[0])
                return
        if control and character == TERMINATE:
            self._finish(place, whole=True)
            return
        self._received.append(character)
        self._error |= control

    def _finish(self, place: int, *, whole: bool) -> None:
        """A frame ended before `place`, from which on there is a gap."""
        assert self._received is not None
        gap = None if self._end is None else self._first - self._end
        # Idle that is inserted makes up for what was left out, but not in advance.
        self._deficit = 0 if gap is None else max(0, self._deficit + GAP_BYTES - gap)
        error = self._error or not whole or self._deficit > MOST_DEFICIT
        received = bytes(self._received)
        self._frames.append(judge(received, self._first, place - 1, error=error, lanes=LANES))
        self._deficit = min(self._deficit, MOST_DEFICIT)
        self._end = place
        self._received = None
