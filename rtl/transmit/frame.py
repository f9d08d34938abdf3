"""What travels beside a packet: its fragments, its command, its segments, its end.

The parser makes `FrameCommand` and `Fragment` from checked descriptors, so that the blocks behind
it need not check again: offsets are even, in order and inside the frame or header; a super-frame
has an MSS and a header length within the limits, and implies the checksums of its headers, which
tell whether it is of TCP or UDP; TCP and UDP checksums exclude each other, as do the IPv4 checksum
and IPv6; the fragments add up to the total length. Commands come in the order of their packets, one
for each.
"""

from amaranth import unsigned
from amaranth.lib import data

__all__ = ["Fragment", "FrameCommand", "FrameEnd", "SegmentCommand"]


class Fragment(data.StructLayout):
    """A run of bytes in memory that the reader is to fetch.

    Members
    -------
    address : unsigned(64)
        I/O bus address of the first byte, any alignment.
    length : unsigned(20)
        Bytes, at least 1.
    requester : unsigned(8)
        The ring it is fetched for; becomes ARUSER.
    last : unsigned(1)
        The packet ends with this fragment.
    """

    def __init__(self):
        super().__init__(
            {
                "address": unsigned(64),
                "length": unsigned(20),
                "requester": unsigned(8),
                "last": unsigned(1),
            }
        )


class FrameCommand(data.StructLayout):
    """A frame, or super-frame, about to stream through the transmit path.

    Members
    -------
    total_length : unsigned(20)
        Bytes of the packet; for a super-frame with all its headers and payload.
    mss, header_length : unsigned(16), unsigned(8)
        Large send: payload bytes of each segment but the last; bytes of all headers together.
        A super-frame may be no longer than its header (one segment without payload).
    ip_offset, l4_offset : unsigned(8)
        Where the IP header and the TCP or UDP header begin; even.
    ipv6 : unsigned(1)
        The IP header is one of IPv6.
    checksum_start, checksum_offset : unsigned(8)
        Generic checksum: where its sum begins, and its field from there on; even.
    insert_vlan, vlan_tag : unsigned(1), unsigned(16)
        A tag is inserted, with this control information: all lengths and offsets are those of the
        frame with it.
    checksum_ipv4, checksum_tcp, checksum_udp, checksum_generic, large_send : unsigned(1)
        What to do. With `large_send` the packet is a super-frame, of TCP or UDP.
    """

    def __init__(self):
        super().__init__(
            {
                "total_length": unsigned(20),
                "mss": unsigned(16),
                "header_length": unsigned(8),
                "ip_offset": unsigned(8),
                "l4_offset": unsigned(8),
                "checksum_start": unsigned(8),
                "checksum_offset": unsigned(8),
                "ipv6": unsigned(1),
                "checksum_ipv4": unsigned(1),
                "checksum_tcp": unsigned(1),
                "checksum_udp": unsigned(1),
                "checksum_generic": unsigned(1),
                "large_send": unsigned(1),
                "insert_vlan": unsigned(1),
                "vlan_tag": unsigned(16),
            }
        )


class SegmentCommand(data.StructLayout):
    """A frame for the wire: the only one of its `FrameCommand`, or one of its segments.

    Members
    -------
    ip_offset, l4_offset, ipv6, checksum_start, checksum_offset, checksum_ipv4, ...
        As in `FrameCommand`.
    last : unsigned(1)
        The last segment of its frame, or the frame itself.
    """

    def __init__(self):
        super().__init__(
            {
                "ip_offset": unsigned(8),
                "l4_offset": unsigned(8),
                "checksum_start": unsigned(8),
                "checksum_offset": unsigned(8),
                "ipv6": unsigned(1),
                "checksum_ipv4": unsigned(1),
                "checksum_tcp": unsigned(1),
                "checksum_udp": unsigned(1),
                "checksum_generic": unsigned(1),
                "last": unsigned(1),
            }
        )


class FrameEnd(data.StructLayout):
    """What became of a frame: one for each, in order, once its last byte is in the frame buffer.

    Members
    -------
    segments : unsigned(16)
        Frames committed for the wire.
    error : unsigned(2)
        OKAY, or the AXI response that spoilt it; from there on its segments were discarded.
    """

    def __init__(self):
        super().__init__({"segments": unsigned(16), "error": unsigned(2)})
