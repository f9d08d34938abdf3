"""A ring and the frames in it: which entries are free, and what becomes of each frame.

The adapter completes frames in the order in which they were posted. When it stops a ring, because
something could not be transferred or a doorbell made no sense, or when the partition manager resets
one, because it was refused something, the frames that had not been completed are lost, and the ring
is started anew: other rings never notice.

A ring that does little but stop is not started again, so that it does not keep others from being
served: it is left down until it is closed and opened. It has credit for some stops; each costs one,
and frames that are sent earn it back.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from byway.sw.contract.records import Completion, TransmitStatus
from byway.sw.contract.registers import RingStopReason
from byway.sw.hosting.hardware_interface import HardwareRing
from byway.sw.hosting.transmit_request import RingOffloads, TransmitRequest
from byway.sw.manager.adapter_sharing import FaultRecord, HardwareError
from byway.sw.vnic.window import DmaWindow

__all__ = ["CREDIT", "FRAMES_PER_CREDIT", "OnComplete", "OnStopped", "StopCause", "TransmitRing"]

CREDIT = 8
"""Stops in a row after which a ring is started again."""

FRAMES_PER_CREDIT = 4
"""Frames sent that make up for a stop."""

_CORRELATOR_MASK = 0xFFFF_FFFF

OnComplete = Callable[[Completion | None], None]
"""Told what became of a frame; None when it was lost with the ring."""

StopCause = RingStopReason | FaultRecord
"""Why the adapter stopped a ring, or what was refused to it, for which it was reset."""

OnStopped = Callable[[StopCause], None]
"""Told why the frames of a ring were lost."""


class _Posted(NamedTuple):
    correlator: int
    entries: int
    on_complete: OnComplete


class TransmitRing:
    """A ring that one user has, from `AdapterDriver.open_ring` to `AdapterDriver.close_ring`.

    Parameters
    ----------
    number : int
        Of the ring; the requester of its DMA.
    window : DmaWindow
        Where the addresses of its frames are.
    hardware : HardwareRing
        Its registers and memory.
    offloads : RingOffloads
        Granted to it.
    on_serviced : callable
        Called after everything known at an interrupt has been delivered: the moment to post more.
    on_stopped : OnStopped
        Told of each stop, once the ring runs again or is left down.

    Attributes
    ----------
    free_entries : int
        Entries that `post` takes now.
    down : bool
        It has stopped too often, and sends nothing more.
    """

    def __init__(
        self,
        *,
        number: int,
        window: DmaWindow,
        hardware: HardwareRing,
        offloads: RingOffloads,
        on_serviced: Callable[[], None],
        on_stopped: OnStopped,
    ):
        self.number = number
        self.window = window
        self.offloads = offloads
        self.free_entries = hardware.size
        self.down = False
        self._hardware = hardware
        self._on_serviced = on_serviced
        self._on_stopped = on_stopped
        self._posted: deque[_Posted] = deque()
        self._next_correlator = 0
        self._announced = True
        self._credit = CREDIT * FRAMES_PER_CREDIT
        hardware.enable(offloads)

    def post(self, request: TransmitRequest, on_complete: OnComplete) -> None:
        """Put a frame into the ring; the adapter sees it after `kick`.

        Of a ring that is down the frame is lost at once.

        Raises
        ------
        ValueError
            A value of `request` does not fit its descriptor, or fewer than `request.entries`
            entries are free. The ring has not changed.
        """
        if request.entries > self.free_entries:
            raise ValueError(f"{request.entries} entries wanted, {self.free_entries} are free")
        if self.down:
            on_complete(None)
            return
        self._hardware.write(request.pack(self._next_correlator))
        self._posted.append(_Posted(self._next_correlator, request.entries, on_complete))
        self._next_correlator = (self._next_correlator + 1) & _CORRELATOR_MASK
        self.free_entries -= request.entries
        self._announced = False

    def kick(self) -> None:
        """Announce the frames posted since the last time, if any."""
        if not self._announced:
            self._hardware.ring_doorbell()
            self._announced = True

    def service(self) -> None:
        """Serve an interrupt of the ring."""
        causes = self._hardware.acknowledge()
        self._collect()
        if causes.stopped:
            reason = self._hardware.stop_reason()
            # For refused data the partition manager resets the ring, and tells.
            if reason not in (RingStopReason.NONE, RingStopReason.DATA_REFUSED):
                self._begin_anew(reason)
        self._on_serviced()

    def was_reset(self, fault: FaultRecord | None) -> None:
        """Begin anew after a reset for `fault`, or for none, if it has not begun anew since."""
        if not self.down and not self._hardware.enabled:
            self._begin_anew(fault)
            self._on_serviced()

    def close(self) -> None:
        """End the ring; frames that the adapter has not sent are lost."""
        self._empty()
        self._hardware.free()

    def _begin_anew(self, cause: StopCause | None) -> None:
        self._empty()
        if cause is not None:
            self._credit -= FRAMES_PER_CREDIT
            self.down = self._credit < 0
        if not self.down:
            self._hardware.enable(self.offloads)
        if cause is not None:
            self._on_stopped(cause)

    def _empty(self) -> None:
        self._hardware.disable()
        self._collect()
        lost = list(self._posted)
        self._posted.clear()
        self._announced = True
        for frame in lost:
            self.free_entries += frame.entries
            frame.on_complete(None)

    def _collect(self) -> None:
        for completion in self._hardware.completions():
            if not self._posted or self._posted[0].correlator != completion.correlator:
                raise HardwareError(
                    f"ring {self.number} completed frame {completion.correlator} out of order"
                )
            frame = self._posted.popleft()
            self.free_entries += frame.entries
            if completion.status is TransmitStatus.SUCCESS:
                self._credit = min(self._credit + 1, CREDIT * FRAMES_PER_CREDIT)
            frame.on_complete(completion)
