"""The header that virtio-net and TAP devices put before a frame [virtio 1.2, 5.1.6; Linux tun].

It carries what a kernel leaves to the device: the checksum from an offset on, and large send.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

__all__ = ["Gso", "VirtioNetHeader"]


class Gso(IntEnum):
    """What kind of super-frame a frame is."""

    NONE = 0
    TCPV4 = 1
    UDP = 3
    TCPV6 = 4
    UDP_L4 = 5


@dataclass(frozen=True)
class VirtioNetHeader:
    """The header, without the number of buffers; by default it asks for nothing.

    Parameters
    ----------
    needs_checksum : bool
        The bytes from `checksum_start` on are to be summed, over the pseudo-header that stands in
        the checksum's field, `checksum_offset` bytes further on.
    gso : Gso
        How to cut it, TCP with ECN or without; unknown kinds raise `ValueError`.
    header_length : int
        A hint at the bytes of all headers.
    mss : int
        Payload bytes of each segment.
    checksum_start, checksum_offset : int
        From the start of the frame; from `checksum_start`.
    """

    SIZE: ClassVar[int] = 10

    needs_checksum: bool = False
    gso: Gso = Gso.NONE
    header_length: int = 0
    mss: int = 0
    checksum_start: int = 0
    checksum_offset: int = 0

    @classmethod
    def unpack(cls, content: bytes) -> "VirtioNetHeader":
        """The header at the start of `content`, in the byte order that Linux calls vnet_le."""
        flags, gso, *numbers = _LAYOUT.unpack_from(content)
        return cls(bool(flags & _NEEDS_CHECKSUM), Gso(gso & ~_ECN), *numbers)

    def pack(self) -> bytes:
        """The header as bytes."""
        flags = _NEEDS_CHECKSUM if self.needs_checksum else 0
        return _LAYOUT.pack(
            flags,
            self.gso,
            self.header_length,
            self.mss,
            self.checksum_start,
            self.checksum_offset,
        )


_LAYOUT = struct.Struct("<BBHHHH")
_NEEDS_CHECKSUM = 1
_ECN = 0x80
