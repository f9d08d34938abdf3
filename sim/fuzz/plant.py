"""Where a test may plant a fault, to see that it is found."""

from byway.sim.board.wire_frame import WireFrame
from byway.sim.fuzz.grants import Grants
from byway.sw.hardware import Hardware

__all__ = ["Plant"]


class Plant:
    """No fault at all; a test overrides what it needs.

    Attributes
    ----------
    grants : type of Grants
        The model that the judge goes by.
    """

    grants: type[Grants] = Grants

    def hardware(self, hardware: Hardware) -> Hardware:
        """What the software has instead of `hardware`."""
        return hardware

    def wire(self, frame: WireFrame) -> list[WireFrame]:
        """What comes off the wire instead of `frame`."""
        return [frame]
