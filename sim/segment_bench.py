"""The rule of large send for test benches: what a segment's header is, in plain bytes.

It is the reference for `byway.rtl.transmit.header`, whose head states the rule in prose.
"""

import struct

__all__ = ["ACK", "CWR", "FIN", "PSH", "SYN", "segment_header"]

#: Flags of TCP [RFC 9293, 3.1; RFC 3168, 6.1].
FIN, SYN, PSH, ACK, CWR = 0x01, 0x02, 0x08, 0x10, 0x80


def segment_header(
    header: bytes,
    *,
    ip_offset: int,
    l4_offset: int,
    ip_length: int,
    l4_length: int,
    number: int,
    payload_before: int,
    last: bool,
    ipv6: bool = False,
    udp: bool = False,
) -> bytes:
    """The header of segment `number` of the super-frame with this `header`.

    Parameters
    ----------
    ip_offset, l4_offset : int
        Where its IP header, and its TCP or UDP header, begin.
    ip_length, l4_length : int
        What the segment's IP header, and its UDP header, tell as length.
    payload_before : int
        Payload bytes in the segments before it.
    last : bool
        It is the last.
    ipv6, udp : bool
        The IP header is one of IPv6; the segments are of UDP.
    """
    own = bytearray(header)
    if ipv6:
        struct.pack_into("!H", own, ip_offset + 4, ip_length)
    else:
        (identification,) = struct.unpack_from("!H", own, ip_offset + 4)
        struct.pack_into("!HH", own, ip_offset + 2, ip_length, (identification + number) % 2**16)
    if udp:
        struct.pack_into("!H", own, l4_offset + 4, l4_length)
        return bytes(own)
    (sequence,) = struct.unpack_from("!I", own, l4_offset + 4)
    struct.pack_into("!I", own, l4_offset + 4, (sequence + payload_before) % 2**32)
    if not last:
        own[l4_offset + 13] &= ~(FIN | PSH)
    if number:
        own[l4_offset + 13] &= ~CWR
    return bytes(own)
