"""The buffers of QUERY_IP_OFFLOAD and CONTROL_IP_OFFLOAD: which advanced functions there are.

There is no bit for IPsec or TOE in them, nor for what `Capability` has as an extension. All numbers
are big-endian. LoPAR gives the buffers no total length; theirs is that of the structures of Linux,
padded to 8 bytes.

Source: LoPAR, "TCP, UDP, and IP Offload Support"; patent, steps 630 and 640.
"""

import struct
from dataclasses import dataclass

from byway.sw.functions import IpOffloads

__all__ = ["IpOffloadControl", "IpOffloadQuery"]

_VERSION = 1
_QUERY = struct.Struct(">II10B14x4HII16xBB30xHH156x")
_CONTROL = struct.Struct(">II11B117x")
_NO_LIMIT = 0xFFFF
_NO_LARGE_LIMIT = 0xFFFF_FFFF

#: The functions in the order of their flags; None for one that is never offered.
_FLAGS = (
    *("checksum_ipv4", None),
    *("checksum_tcp", "checksum_tcp_v6"),
    *("checksum_udp", "checksum_udp_v6"),
    *("large_send_v4", "large_send_v6"),
    *(None, None),
)


def _flags_of(functions: IpOffloads) -> list[bool]:
    return [name is not None and functions.functions[name] for name in _FLAGS]


def _by_flags(flags: tuple[int, ...]) -> dict[str, bool]:
    return {name: bool(flag) for name, flag in zip(_FLAGS, flags, strict=False) if name is not None}


@dataclass(frozen=True, kw_only=True)
class IpOffloadQuery(IpOffloads):
    """What the server offers; the functions that are not named here are never offered.

    Parameters
    ----------
    maximum_large_send : int
        Bytes of the longest pseudo-frame for large send: of its IP packet, of either version.
    """

    maximum_large_send: int = 0

    SIZE = _QUERY.size

    def pack(self) -> bytes:
        """Return the buffer."""
        return _QUERY.pack(
            _QUERY.size,
            _VERSION,
            *_flags_of(self),
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
        return cls(maximum_large_send=fields[16], **_by_flags(fields[2:]))


@dataclass(frozen=True, kw_only=True)
class IpOffloadControl(IpOffloads):
    """What the client enables.

    Parameters
    ----------
    other : bool
        Any function that `IpOffloadQuery` never offers.
    """

    other: bool = False

    SIZE = _CONTROL.size

    def pack(self) -> bytes:
        """Return the buffer; `other` stands as large receive."""
        return _CONTROL.pack(
            _CONTROL.size,
            _VERSION,
            *_flags_of(self)[:-1],
            *(self.other, False),
        )

    @classmethod
    def unpack(cls, buffer: bytes) -> "IpOffloadControl":
        """Return what `buffer` asks for."""
        flags = _CONTROL.unpack(buffer)[2:]
        known = [place for place, name in enumerate(_FLAGS) if name is not None]
        other = any(flag for place, flag in enumerate(flags) if place not in known)
        return cls(other=other, **_by_flags(flags))
