"""What passes on the memory bus, as a board that watches it tells."""

from enum import IntEnum
from typing import NamedTuple

__all__ = ["DATA_BYTES", "BeatKind", "BusBeat"]

#: Bytes of the widest bus.
DATA_BYTES = 64


class BeatKind(IntEnum):
    """What passed; the numbers are those of ``sim/native/axi_memory.h``."""

    READ_ADDRESS = 0
    WRITE_ADDRESS = 1
    READ_DATA = 2
    WRITE_DATA = 3


class BusBeat(NamedTuple):
    """An address that the memory took, or a beat of data that it gave or stored.

    Attributes
    ----------
    cycle : int
        When.
    address : int
        System address; of a beat of data, its own.
    identifier, requester : int
        ARID or AWID, and AxUSER, of the burst.
    kind : BeatKind
    size : int
        Bytes of a beat, from `address` to the next multiple of it.
    data : bytes
        All lanes of the bus, as they were read or offered to be written; padded with zeros to
        `DATA_BYTES`, as are addresses.
    """

    cycle: int
    address: int
    identifier: int
    requester: int
    kind: int
    size: int
    data: bytes
