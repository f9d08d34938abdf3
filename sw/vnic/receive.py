"""Receive buffers and receive completions of a virtual NIC, as sub-CRQ elements.

The client adds buffers in its window; the server fills them and hands each back with a completion.

All numbers are big-endian. Source: LoPAR, "Frame Reception"; the map id and the 24-bit length of a
buffer from the Linux driver ibmvnic, and so the return code of a completion, where LoPAR has
reserved bytes: with it a buffer that cannot be used goes back to its client.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag

from byway.sw.vnic.codes import CRQ_COMMAND

__all__ = ["MAXIMUM_BUFFER", "ReceiveBuffer", "ReceiveCompletion", "ReceiveFlag"]

MAXIMUM_BUFFER = (1 << 24) - 1
"""Bytes of the longest receive buffer that an element can name."""

_BUFFER = struct.Struct(">B7xQIB3s8x")
_COMPLETION = struct.Struct(">BBHIQ2xH12x")


class ReceiveFlag(IntFlag):
    """Flags of a receive completion."""

    IP_CHECKSUM_GOOD = 0x80
    L4_CHECKSUM_GOOD = 0x40
    END_OF_FRAME = 0x20
    EXACT_MULTICAST = 0x10


@dataclass(frozen=True)
class ReceiveBuffer:
    """A buffer that the client gives to the server.

    Parameters
    ----------
    correlator : int
        Comes back in the completion.
    map_id : int
        The map that the buffer belongs to.
    ioba : int
        Where it begins, in the client's window.
    length : int
        Its bytes.
    """

    correlator: int
    map_id: int
    ioba: int
    length: int

    def pack(self) -> bytes:
        """Return the element."""
        length = self.length.to_bytes(3, "big")
        return _BUFFER.pack(CRQ_COMMAND, self.correlator, self.ioba, self.map_id, length)

    @classmethod
    def unpack(cls, element: bytes) -> "ReceiveBuffer":
        """Return the buffer in `element`."""
        _, correlator, ioba, map_id, length = _BUFFER.unpack(element)
        return cls(correlator, map_id, ioba, int.from_bytes(length, "big"))


@dataclass(frozen=True)
class ReceiveCompletion:
    """A buffer that comes back with a frame, or with a part of one.

    Parameters
    ----------
    correlator : int
        Of the buffer.
    length : int
        Bytes of the frame in it.
    flags : ReceiveFlag
        What is known of the frame.
    offset : int
        Where the frame begins in the buffer.
    rc : int
        Why the buffer comes back without a frame; 0 with one.
    """

    correlator: int
    length: int
    flags: ReceiveFlag = ReceiveFlag.END_OF_FRAME
    offset: int = 0
    rc: int = 0

    def pack(self) -> bytes:
        """Return the element."""
        return _COMPLETION.pack(
            CRQ_COMMAND, self.flags, self.offset, self.length, self.correlator, self.rc
        )

    @classmethod
    def unpack(cls, element: bytes) -> "ReceiveCompletion":
        """Return the completion in `element`."""
        _, flags, offset, length, correlator, code = _COMPLETION.unpack(element)
        return cls(correlator, length, ReceiveFlag(flags), offset, code)
