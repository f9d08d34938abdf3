# Generated from rtl/contract/byway.rdl by make contract; do not edit.
"""The records in memory that hardware and software share."""

import enum
from dataclasses import dataclass
from typing import ClassVar

from byway.sw.contract.access import Record, bits

__all__ = [
    "Completion",
    "ScatterGatherEntry",
    "TranslationControlEntry",
    "TransmitDescriptor",
    "TransmitStatus",
]


class TransmitStatus(enum.IntEnum):
    """Codes of transmit status."""

    #: The frame, or every segment of it, waits for the MAC in the frame buffer or has left.
    SUCCESS = 0
    #: A fragment of length 0, or a frame shorter than an Ethernet header (14 bytes).
    LENGTH_SHORT = 1
    #: A single frame longer than maximum_frame, or a super-frame whose IP packet is longer than
    #: maximum_packet.
    LENGTH_LONG = 2
    #: The fragment lengths do not add up to total_length.
    LENGTH_MISMATCH = 3
    #: No fragment, or more than maximum_fragments.
    FRAGMENT_COUNT = 4
    #: Segmentation with a header longer than the frame, longer than maximum_header, or too short
    #: for the offsets it gives.
    HEADER_LENGTH = 5
    #: Segmentation with an MSS of 0, below the minimum, or above the maximum.
    MSS_RANGE = 6
    #: A checksum or segmentation asked for with an odd offset, offsets out of order, or an offset
    #: outside the frame.
    OFFSET_RANGE = 7
    #: TCP and UDP both asked for, the IPv4 header checksum of an IPv6 packet, or the generic
    #: checksum together with segmentation.
    FLAGS_CONFLICT = 8
    #: An offload that is not granted to this ring.
    NOT_GRANTED = 9
    #: The translation bridge refused a read of the data (AXI DECERR); the bridge recorded the
    #: fault, and the ring stops.
    MEMORY_REFUSED = 10
    #: The memory answered a read of the data with an error (AXI SLVERR).
    MEMORY_ERROR = 11


@dataclass(frozen=True, kw_only=True)
class TransmitDescriptor(Record):
    """Opens a frame: 32 bytes, one ring entry.

    Carries the first fragment; further ones follow in scatter_gather_entry records, two to an
    entry.
    """

    SIZE: ClassVar[int] = 32

    #: I/O bus address, any byte alignment.
    address: int = bits(0, 64)
    #: Bytes of the first fragment.
    fragment_length: int = bits(64, 20)
    #: Fragments of the frame, this one included.
    fragments: int = bits(88, 8)
    #: Bytes of the whole frame, Ethernet header included, padding and FCS not.
    total_length: int = bits(96, 20)
    #: Segmentation: payload bytes of each segment but the last.
    mss: int = bits(128, 16)
    #: Segmentation: bytes of Ethernet, VLAN, IP and TCP or UDP headers together.
    header_length: int = bits(144, 8)
    #: Offset of the IP header in the frame; even.
    ip_offset: int = bits(152, 8)
    #: Offset of the TCP or UDP header in the frame; even.
    l4_offset: int = bits(160, 8)
    #: Insert the IPv4 header checksum.
    checksum_ipv4: int = bits(168, 1)
    #: Insert the TCP checksum.
    checksum_tcp: int = bits(169, 1)
    #: Insert the UDP checksum.
    checksum_udp: int = bits(170, 1)
    #: Large send. Implies checksum_tcp and, over IPv4, checksum_ipv4.
    large_send: int = bits(171, 1)
    #: The IP header is one of IPv6. What lies between it and l4_offset are extension headers.
    ipv6: int = bits(172, 1)
    #: UDP segmentation. Implies checksum_udp and, over IPv4, checksum_ipv4.
    udp_segmentation: int = bits(173, 1)
    #: Insert the generic checksum: of all from checksum_start to the end of the frame, its own
    #: field included, which holds what is to be added. It is never sent as 0. Inserted first: the
    #: TCP or UDP checksum counts it as it is sent.
    checksum_generic: int = bits(174, 1)
    #: Insert a VLAN tag (IEEE 802.1Q) behind the addresses, into every segment. All lengths and
    #: offsets here are those of the frame as it lies in memory, limits those of the frame with its
    #: tag.
    insert_vlan: int = bits(175, 1)
    #: Where the sum begins, in the frame; even.
    checksum_start: int = bits(176, 8)
    #: Where its field is, from checksum_start on; even.
    checksum_offset: int = bits(184, 8)
    #: Comes back in the completion.
    correlator: int = bits(192, 32)
    #: Tag control information of the VLAN tag: priority, drop eligible indicator, VLAN identifier.
    vlan_tag: int = bits(224, 16)


@dataclass(frozen=True, kw_only=True)
class ScatterGatherEntry(Record):
    """Two further fragments of the frame that the descriptor before it opened: 32 bytes, one ring
    entry. The second is ignored when the frame ends with the first.
    """

    SIZE: ClassVar[int] = 32

    #: I/O bus address.
    first_address: int = bits(0, 64)
    #: Bytes.
    first_length: int = bits(64, 20)
    #: I/O bus address.
    second_address: int = bits(128, 64)
    #: Bytes.
    second_length: int = bits(192, 20)


@dataclass(frozen=True, kw_only=True)
class Completion(Record):
    """Ends a frame: 16 bytes, written by the adapter in the order of the descriptors, after which
    the frame's memory is no longer read. One for each frame, whatever became of it.
    """

    SIZE: ClassVar[int] = 16

    #: Of the descriptor.
    correlator: int = bits(0, 32)
    #: Outcome.
    status: TransmitStatus = bits(32, 8, code=TransmitStatus)
    #: Frames that wait for the MAC or have left: 1, or the segments of a super-frame.
    segments: int = bits(48, 16)
    #: Descriptors consumed up to and including this frame, modulo 2^16.
    consumer: int = bits(64, 16)
    #: Number of the ring.
    ring: int = bits(80, 8)
    #: 1 in the first pass over the ring, 0 in the second, and so on. In the word that is written
    #: last: who sees it flip sees the whole record.
    generation: int = bits(127, 1)


@dataclass(frozen=True, kw_only=True)
class TranslationControlEntry(Record):
    """Maps one 4 KiB page of a window (LoPAR).

    Written by the partition manager, never by the hardware.
    """

    SIZE: ClassVar[int] = 8

    #: The device may read the page (LoPAR bit 63).
    read: int = bits(0, 1)
    #: The device may write the page (LoPAR bit 62).
    write: int = bits(1, 1)
    #: Real page number (LoPAR bits 0-51).
    rpn: int = bits(12, 52)
