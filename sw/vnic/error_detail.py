"""What a server tells of an error beyond its indication: the answer to REQUEST_ERROR_INFO.

LoPAR leaves the detail to the server, and gives it by a command of its own, because an indication
has no room. The layout is Byway's.
"""

import struct
from dataclasses import astuple, dataclass

from byway.sw.contract.registers import FaultReason, RingStopReason

__all__ = ["ErrorDetail"]

_DETAIL = struct.Struct(">BBBxIQ")


@dataclass(frozen=True, kw_only=True)
class ErrorDetail:
    """Why frames of a client were lost.

    Parameters
    ----------
    stop : int
        Why the adapter stopped the client's ring: a `RingStopReason`; NONE if it was reset for a
        refused access.
    reason : int
        Why the access was refused: a `FaultReason`.
    write : int
        1 for a write, 0 for a read.
    map_id : int
        The client's map in which the address lies; 0 for none.
    ioba : int
        The address in the client's own window, or the I/O bus address of the adapter's access if
        that was in no map.
    """

    stop: int = RingStopReason.NONE
    reason: int = FaultReason.UNBOUND
    write: int = 0
    map_id: int = 0
    ioba: int = 0

    SIZE = _DETAIL.size

    def pack(self) -> bytes:
        """Return the detail as it lies in the client's buffer."""
        return _DETAIL.pack(*astuple(self))

    @classmethod
    def unpack(cls, block: bytes) -> "ErrorDetail":
        """Return the detail in `block`."""
        stop, reason, write, map_id, ioba = _DETAIL.unpack(block)
        return cls(stop=stop, reason=reason, write=write, map_id=map_id, ioba=ioba)
