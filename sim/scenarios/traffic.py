"""Moves time on for transfers over one adapter: one alone, or several hosts at once.

The software runs in zero time between two cycles; the hardware runs from event to event: an
interrupt, a frame on the wire, a timer.
"""

from collections.abc import Callable, Sequence

from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.engine import Engine
from byway.sim.scenarios.error import ScenarioError
from byway.sim.scenarios.transfer import Transfer
from byway.sim.wire.capture import Capture

__all__ = ["Traffic"]

#: Cycles between two looks at the timers when nothing else happens.
_CHUNK = 50_000
#: Simulated time without any event after which a run is given up.
_SILENCE_NS = 1_000_000_000


class Traffic:
    """Carries out `transfers`, which begin together, each from a host of its own.

    Parameters
    ----------
    engine : Engine
    transfers : sequence of Transfer
    software : callable
        Lets the software act until it has nothing more to do; returns whether it did anything.
    deliver : callable
        Takes a frame on the way back: the software that bridges the missing receive path.
    capture : Capture or None
        Keeps what passes on the wire.
    progress : callable
        Told now and then how many bytes have been acknowledged, of all transfers.
    """

    def __init__(
        self,
        engine: Engine,
        transfers: Sequence[Transfer],
        *,
        software: Callable[[], bool],
        deliver: Callable[[bytes], None],
        capture: Capture | None = None,
        progress: Callable[[int], None] = lambda _done: None,
    ):
        self._engine = engine
        self._transfers = {transfer.mac: transfer for transfer in transfers}
        self._software = software
        self._deliver = deliver
        self._capture = capture
        self._progress = progress

    def run(self) -> None:
        """Send everything and close every connection; raises `ScenarioError` if one fails."""
        transfers = self._transfers.values()
        for transfer in transfers:
            transfer.begin()
        last_event = self._engine.time_ns
        while not all([transfer.done for transfer in transfers]):
            busy = self._software()
            for transfer in transfers:
                for frame in transfer.tick():
                    self._deliver(frame)
            if any([transfer.feed() for transfer in transfers]):
                self._software()  # Messages that this caused are answered before time moves on.
            self._progress(sum(transfer.acknowledged for transfer in transfers))
            if self._advance() or busy:
                last_event = self._engine.time_ns
            elif self._engine.time_ns - last_event > _SILENCE_NS:
                states = ", ".join(t.state.value for t in transfers if not t.done)
                raise ScenarioError(f"Nothing has moved for a simulated second in state {states}")
        self._software()
        for transfer in transfers:
            transfer.finish()
        self._software()

    def _advance(self) -> bool:
        """Move the hardware to the next event; returns whether there was a frame or interrupt."""
        deadlines = [t.deadline_ns for t in self._transfers.values()]
        soonest = min((d for d in deadlines if d is not None), default=None)
        cycles = _CHUNK
        if soonest is not None:
            wait = (soonest - self._engine.time_ns) * 1000 // self._engine.wire.cycle_ps + 1
            cycles = min(_CHUNK, max(1, wait))
        self._engine.run(cycles)
        event = self._engine.adapter_interrupt or self._engine.manager_interrupt
        while self._engine.frames:
            self._receive(self._engine.frames.popleft())
            event = True
        return event

    def _receive(self, frame: WireFrame) -> None:
        if self._capture is not None:
            self._capture.write(frame.data, self._engine.wire.ns(frame.first_cycle))
        sender = self._transfers.get(frame.data[6:12])
        if sender is None:
            raise ScenarioError(f"A frame from {frame.data[6:12].hex(':')}, who does not send")
        for reply in sender.receive(frame):
            if self._capture is not None:
                self._capture.write(reply, self._engine.time_ns)
            self._deliver(reply)
