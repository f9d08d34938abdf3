"""Capabilities of a virtual NIC: their numbers, and the rules by which the two ends agree.

A capability is queried, then requested; what was not granted does not work. LoPAR leaves open what
a request for a query-only capability is answered with: here PARAMETER and the value unchanged.

Source: LoPAR, "VNIC Capabilities"; 24 and 28 to 33 from the Linux driver ibmvnic. Those from 0x8000
on are extensions of this project, for functions that neither knows: who does not know them answers
that they are unsupported, or never asks.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum

from byway.sw.vnic.codes import VnicReturnCode

__all__ = [
    "EXTENSIONS",
    "QUERY_ONLY",
    "SETTABLE",
    "Capability",
    "HeaderDescriptorRequest",
    "Negotiation",
]


class Capability(IntEnum):
    """What a capability command names."""

    MIN_TX_QUEUES = 1
    MIN_RX_QUEUES = 2
    MIN_RX_ADD_QUEUES = 3
    MAX_TX_QUEUES = 4
    MAX_RX_QUEUES = 5
    MAX_RX_ADD_QUEUES = 6
    REQ_TX_QUEUES = 7
    REQ_RX_QUEUES = 8
    REQ_RX_ADD_QUEUES = 9
    MIN_TX_ENTRIES_PER_SUBCRQ = 10
    MIN_RX_ADD_ENTRIES_PER_SUBCRQ = 11
    MAX_TX_ENTRIES_PER_SUBCRQ = 12
    MAX_RX_ADD_ENTRIES_PER_SUBCRQ = 13
    REQ_TX_ENTRIES_PER_SUBCRQ = 14
    REQ_RX_ADD_ENTRIES_PER_SUBCRQ = 15
    TCP_IP_OFFLOAD = 16
    PROMISC_REQUESTED = 17
    PROMISC_SUPPORTED = 18
    MIN_MTU = 19
    MAX_MTU = 20
    REQ_MTU = 21
    MAX_MULTICAST_FILTERS = 22
    VLAN_HEADER_INSERTION = 23
    RX_VLAN_HEADER_INSERTION = 24
    MAX_TX_SG_ENTRIES = 25
    RX_SG_SUPPORTED = 26
    RX_SG_REQUESTED = 27
    OPT_TX_COMP_SUB_QUEUES = 28
    OPT_RX_COMP_QUEUES = 29
    OPT_RX_BUFADD_Q_PER_RX_COMP_Q = 30
    OPT_TX_ENTRIES_PER_SUBCRQ = 31
    OPT_RXBA_ENTRIES_PER_SUBCRQ = 32
    TX_RX_DESC_REQ = 33
    # Extensions: bytes of the longest IP packet of a super-frame of UDP, 0 to have none; the least
    # MSS of any super-frame, in bytes.
    MAX_UDP_SEGMENTATION = 0x8000
    REQ_UDP_SEGMENTATION = 0x8001
    MIN_MSS = 0x8002
    # Generic checksums: whether there are, and whether they are asked for.
    CHECKSUM_GENERIC_SUPPORTED = 0x8003
    CHECKSUM_GENERIC_REQUESTED = 0x8004
    # Bytes of the longest IPv6 packet of a super-frame of TCP, which the offload buffers, with one
    # limit for both versions of IP, cannot tell; 0 to have that one.
    MAX_LARGE_SEND_V6 = 0x8005
    REQ_LARGE_SEND_V6 = 0x8006


SETTABLE: Mapping[Capability, tuple[Capability | None, Capability]] = {
    Capability.REQ_TX_QUEUES: (Capability.MIN_TX_QUEUES, Capability.MAX_TX_QUEUES),
    Capability.REQ_RX_QUEUES: (Capability.MIN_RX_QUEUES, Capability.MAX_RX_QUEUES),
    Capability.REQ_RX_ADD_QUEUES: (Capability.MIN_RX_ADD_QUEUES, Capability.MAX_RX_ADD_QUEUES),
    Capability.REQ_TX_ENTRIES_PER_SUBCRQ: (
        Capability.MIN_TX_ENTRIES_PER_SUBCRQ,
        Capability.MAX_TX_ENTRIES_PER_SUBCRQ,
    ),
    Capability.REQ_RX_ADD_ENTRIES_PER_SUBCRQ: (
        Capability.MIN_RX_ADD_ENTRIES_PER_SUBCRQ,
        Capability.MAX_RX_ADD_ENTRIES_PER_SUBCRQ,
    ),
    Capability.PROMISC_REQUESTED: (None, Capability.PROMISC_SUPPORTED),
    Capability.REQ_MTU: (Capability.MIN_MTU, Capability.MAX_MTU),
    Capability.RX_SG_REQUESTED: (None, Capability.RX_SG_SUPPORTED),
    Capability.REQ_UDP_SEGMENTATION: (None, Capability.MAX_UDP_SEGMENTATION),
    Capability.CHECKSUM_GENERIC_REQUESTED: (None, Capability.CHECKSUM_GENERIC_SUPPORTED),
    Capability.REQ_LARGE_SEND_V6: (None, Capability.MAX_LARGE_SEND_V6),
}
"""What can be requested, with the capabilities that bound it; the lower bound defaults to 0."""

QUERY_ONLY = frozenset(Capability) - frozenset(SETTABLE)
"""What can only be queried."""


EXTENSIONS: Mapping[str, Capability] = {
    "udp_segmentation": Capability.REQ_UDP_SEGMENTATION,
    "checksum_generic": Capability.CHECKSUM_GENERIC_REQUESTED,
}
"""The functions that have no flag in the offload buffers, and the capability that requests each."""


class HeaderDescriptorRequest:
    """The number of `TX_RX_DESC_REQ`: which headers the client shall describe beside a frame.

    Linux reads it byte by byte, the most significant first: byte 0 for plain frames, byte 2 for
    checksum offload, byte 4 for large send.
    """

    WANTED = 0x80
    ETHERNET = 0x40
    _PLAIN, _CHECKSUM, _LARGE_SEND = 56, 40, 24

    @classmethod
    def every_frame(cls, headers: int) -> int:
        """Return the number that asks for `headers` with every kind of frame."""
        return sum(headers << shift for shift in (cls._PLAIN, cls._CHECKSUM, cls._LARGE_SEND))


class Negotiation:
    """The server's side of the negotiation with one client.

    Parameters
    ----------
    offered : callable
        Returns the value of each query-only capability as it is now; one that is left out is 0.
        Read again at each query, because another client may have taken what was offered.
    """

    def __init__(self, offered: Callable[[], Mapping[Capability, int]]):
        self._offered = offered
        self._granted: dict[Capability, int] = {}

    def query(self, number: int) -> tuple[VnicReturnCode, int]:
        """Return the present value of capability `number`."""
        try:
            capability = Capability(number)
        except ValueError:
            return VnicReturnCode.UNSUPPORTED_OPTION, 0
        return VnicReturnCode.SUCCESS, self._value(capability)

    def request(self, number: int, wanted: int) -> tuple[VnicReturnCode, int]:
        """Grant capability `number` with the value `wanted`, or answer with what could be."""
        try:
            capability = Capability(number)
        except ValueError:
            return VnicReturnCode.UNSUPPORTED_OPTION, 0
        if capability not in SETTABLE:
            return VnicReturnCode.PARAMETER, self._value(capability)
        offered = self._offered()
        lower, upper = SETTABLE[capability]
        least = 0 if lower is None else offered.get(lower, 0)
        capped = min(max(wanted, least), offered.get(upper, 0))
        if capped != wanted:
            return VnicReturnCode.PARTIAL_SUCCESS, capped
        self._granted[capability] = wanted
        return VnicReturnCode.SUCCESS, wanted

    def granted(self, capability: Capability) -> int:
        """Return what was granted of a settable capability; 0 before it was requested."""
        return self._granted.get(capability, 0)

    def _value(self, capability: Capability) -> int:
        if capability in SETTABLE:
            return self.granted(capability)
        return self._offered().get(capability, 0)
