"""The statistics block of a virtual NIC, version 1.

Source: LoPAR, "VNIC Statistics Version 1". Counters that belong to the physical port, or to causes
that Byway does not have, stay 0.
"""

import struct
from dataclasses import astuple, dataclass

__all__ = ["Statistics"]

_VERSION = 1
_STATISTICS = struct.Struct(">II10Q112xQ48x")


@dataclass
class Statistics:
    """Counters of one virtual NIC, seen from its client, in the order of the block."""

    received: int = 0
    bytes_received: int = 0
    sent: int = 0
    bytes_sent: int = 0
    unicast_sent: int = 0
    unicast_received: int = 0
    multicast_sent: int = 0
    multicast_received: int = 0
    broadcast_sent: int = 0
    broadcast_received: int = 0
    no_receive_buffer: int = 0

    SIZE = _STATISTICS.size

    def pack(self) -> bytes:
        """Return the block."""
        not_promiscuous = 0
        return _STATISTICS.pack(_VERSION, not_promiscuous, *astuple(self))

    @classmethod
    def unpack(cls, block: bytes) -> "Statistics":
        """Return the counters in `block`."""
        return cls(*_STATISTICS.unpack(block)[2:])
