"""The advanced functions of an adapter, by names that are the same from its registers to the stack.

An adapter that is asked tells which it has (patent, step 630); the hosting interface offers them,
the hosted driver asks for those that it wants (step 640), and the stack uses what was granted.
"""

from dataclasses import dataclass, fields
from typing import Any

__all__ = ["AdvancedFunctions", "IpOffloads", "SuperFrameLimits", "named_by"]


@dataclass(frozen=True, kw_only=True)
class IpOffloads:
    """The functions that LoPAR's offload buffers have flags for.

    Parameters
    ----------
    checksum_ipv4 : bool
        Inserts the header checksum of IPv4.
    checksum_tcp, checksum_udp, checksum_tcp_v6, checksum_udp_v6 : bool
        Inserts the checksum of TCP or UDP, over IPv4 and over IPv6.
    large_send_v4, large_send_v6 : bool
        Cuts TCP super-frames into segments. Implies the checksums of their headers.
    """

    checksum_ipv4: bool = False
    checksum_tcp: bool = False
    checksum_udp: bool = False
    checksum_tcp_v6: bool = False
    checksum_udp_v6: bool = False
    large_send_v4: bool = False
    large_send_v6: bool = False

    @property
    def functions(self) -> dict[str, bool]:
        """Each function by its name."""
        return named_by(self, IpOffloads)

    def missing(self, wanted: "IpOffloads") -> list[str]:
        """Names of the functions that are `wanted` and not here."""
        have = self.functions
        return [
            name for name, is_wanted in wanted.functions.items() if is_wanted and not have.get(name)
        ]

    def common(self, other: "IpOffloads") -> dict[str, bool]:
        """The functions that are here, and whether they are in `other` too."""
        have = other.functions
        return {name: is_here and have.get(name, False) for name, is_here in self.functions.items()}

    @property
    def large_send_unchecked(self) -> bool:
        """Large send without a checksum that it implies."""
        v4 = self.checksum_ipv4 and self.checksum_tcp
        return (self.large_send_v4 and not v4) or (self.large_send_v6 and not self.checksum_tcp_v6)


@dataclass(frozen=True, kw_only=True)
class AdvancedFunctions(IpOffloads):
    """What an adapter has, what is offered, wanted or granted: the base of all that tells of it.

    Parameters
    ----------
    udp_segmentation : bool
        Cuts UDP super-frames into datagrams, over IPv4 and IPv6. Implies the checksums of their
        headers.
    checksum_generic : bool
        Inserts a `GenericChecksum`.
    """

    udp_segmentation: bool = False
    checksum_generic: bool = False

    @property
    def functions(self) -> dict[str, bool]:
        """Each function by its name."""
        return named_by(self)


def named_by(source: Any, kind: type[IpOffloads] = AdvancedFunctions) -> dict[str, bool]:
    """The functions of `kind` as attributes of `source` tell them: of a register, for one."""
    return {field.name: bool(getattr(source, field.name)) for field in fields(kind)}


@dataclass(frozen=True, kw_only=True)
class SuperFrameLimits:
    """Bytes of the longest IP packet that a super-frame may be.

    Parameters
    ----------
    large_send_v4, large_send_v6, udp_segmentation : int
        For each function that cuts them; 0 for one that there is not.
    """

    large_send_v4: int = 0
    large_send_v6: int = 0
    udp_segmentation: int = 0

    def of(self, *, ipv6: bool, udp: bool) -> int:
        """The limit of a super-frame of UDP or else of TCP, of either version of IP."""
        if udp:
            return self.udp_segmentation
        return self.large_send_v6 if ipv6 else self.large_send_v4
