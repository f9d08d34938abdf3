"""Events: payloads that pass in the cycle in which they are shown, as nobody may refuse them."""

from typing import Any

from amaranth.hdl import ShapeLike, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

__all__ = ["Event", "EventSignature"]


class Event(wiring.PureInterface):
    """The interface that `EventSignature` describes."""

    valid: Signal
    payload: Any


class EventSignature(wiring.Signature):
    """A stream without ``ready``, described from the side of its source.

    Parameters
    ----------
    shape : ShapeLike
        Shape of the payload.

    Members
    -------
    valid : Out(1)
        The event happens in this cycle.
    payload : Out(shape)
        What it carries.
    """

    def __init__(self, shape: ShapeLike):
        super().__init__({"valid": Out(1), "payload": Out(shape)})

    def create(self, *, path=None, src_loc_at=0) -> Event:
        """An interface with these members."""
        return Event(self, path=path or (), src_loc_at=1 + src_loc_at)
