"""What travels beside a packet: the command of a frame, and its end.

A `FrameCommand` precedes the packet it describes; there is one for each packet, in the same order.
The parser has checked it, so that the blocks behind need not: offsets are even, in order and inside
the frame or header; large send has an MSS and a header length within the limits, and implies the
IPv4 and TCP checksums; TCP and UDP checksums exclude each other.
"""

from amaranth import unsigned
from amaranth.lib import data

__all__ = ["FrameCommand", "FrameEnd"]


class FrameCommand(data.StructLayout):
    """A frame, or super-frame, about to stream through the transmit path.

    Members
    -------
    total_length : unsigned(20)
        Bytes of the packet; for a super-frame with all its headers and payload.
    mss, header_length : unsigned(16), unsigned(8)
        Large send: payload bytes of each segment but the last; bytes of all headers together.
    ip_offset, l4_offset : unsigned(8)
        Where the IP header and the TCP or UDP header begin; even.
    checksum_ipv4, checksum_tcp, checksum_udp, large_send : unsigned(1)
        What to do.
    """

    def __init__(self):
        super().__init__(
            {
                "total_length": unsigned(20),
                "mss": unsigned(16),
                "header_length": unsigned(8),
                "ip_offset": unsigned(8),
                "l4_offset": unsigned(8),
                "checksum_ipv4": unsigned(1),
                "checksum_tcp": unsigned(1),
                "checksum_udp": unsigned(1),
                "large_send": unsigned(1),
            }
        )


class FrameEnd(data.StructLayout):
    """What became of a packet: one for each, in order, once its last byte is in the frame buffer.

    Members
    -------
    segments : unsigned(16)
        Frames committed for the wire.
    error : unsigned(1)
        The packet ended with an error; its last segment was discarded.
    """

    def __init__(self):
        super().__init__({"segments": unsigned(16), "error": unsigned(1)})
