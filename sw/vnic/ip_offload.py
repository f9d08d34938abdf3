"""The buffers of QUERY_IP_OFFLOAD and CONTROL_IP_OFFLOAD: which advanced functions there are.

There is no bit for IPsec or TOE in them. All numbers are big-endian. LoPAR gives the buffers no
total length; theirs is that of the structures of Linux, padded to 8 bytes.

Source: LoPAR, "TCP, UDP, and IP Offload Support"; patent, steps 630 and 640.
"""

import struct
from dataclasses import dataclass

__all__ = ["IpOffloadControl", "IpOffloadQuery"]

_VERSION = 1
_QUERY = struct.Struct(">II10B14x4HII16xBB30xHH156x")
_CONTROL = struct.Struct(">II11B117x")
_NO_LIMIT = 0xFFFF
_NO_LARGE_LIMIT = 0xFFFF_FFFF


@dataclass(frozen=True, kw_only=True)
class IpOffloadQuery:
    """What the server offers; the functions that are not named here are never offered.

    Parameters
    ----------
    checksum_ipv4, checksum_tcp, checksum_udp, large_send_v4 : bool
        Over IPv4.
    maximum_large_send : int
        Bytes of the longest pseudo-frame for large send: of its IP packet.
    """

    checksum_ipv4: bool = False
    checksum_tcp: bool = False
    checksum_udp: bool = False
    large_send_v4: bool = False
    maximum_large_send: int = 0

    SIZE = _QUERY.size

    def pack(self) -> bytes:
        """Return the buffer."""
        return _QUERY.pack(
            _QUERY.size,
            _VERSION,
            *(self.checksum_ipv4, False),
            *(self.checksum_tcp, False),
            *(self.checksum_udp, False),
            *(self.large_send_v4, False),
            *(False, False),
            *(_NO_LIMIT, _NO_LIMIT, _NO_LIMIT, _NO_LIMIT),
            self.maximum_large_send,
            0,
            *(0, 0),
            *(0, 0),
        )

    @classmethod
    def unpack(cls, buffer: bytes) -> "IpOffloadQuery":
        """Return what `buffer` says."""
        fields = _QUERY.unpack(buffer)
        return cls(
            checksum_ipv4=bool(fields[2]),
            checksum_tcp=bool(fields[4]),
            checksum_udp=bool(fields[6]),
            large_send_v4=bool(fields[8]),
            maximum_large_send=fields[16],
        )


@dataclass(frozen=True, kw_only=True)
class IpOffloadControl:
    """What the client enables.

    Parameters
    ----------
    checksum_ipv4, checksum_tcp, checksum_udp, large_send_v4 : bool
        Over IPv4.
    other : bool
        Any function that `IpOffloadQuery` never offers.
    """

    checksum_ipv4: bool = False
    checksum_tcp: bool = False
    checksum_udp: bool = False
    large_send_v4: bool = False
    other: bool = False

    SIZE = _CONTROL.size

    def pack(self) -> bytes:
        """Return the buffer; `other` stands as large receive."""
        return _CONTROL.pack(
            _CONTROL.size,
            _VERSION,
            *(self.checksum_ipv4, False),
            *(self.checksum_tcp, False),
            *(self.checksum_udp, False),
            *(self.large_send_v4, False),
            *(False, self.other, False),
        )

    @classmethod
    def unpack(cls, buffer: bytes) -> "IpOffloadControl":
        """Return what `buffer` asks for."""
        flags = _CONTROL.unpack(buffer)[2:]
        known = (0, 2, 4, 6)
        return cls(
            checksum_ipv4=bool(flags[0]),
            checksum_tcp=bool(flags[2]),
            checksum_udp=bool(flags[4]),
            large_send_v4=bool(flags[6]),
            other=any(flag for place, flag in enumerate(flags) if place not in known),
        )
