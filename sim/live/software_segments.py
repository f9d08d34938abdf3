"""Cuts a super-frame whose segments are shorter than the adapter makes them.

A driver of Linux tells its kernel so frame by frame (``ndo_features_check``), and the kernel cuts;
a TAP cannot tell, so that it is done here.
"""

from byway.sim.live.kernel_offload import Described
from byway.sim.wire.internet_checksum import checksum_of

__all__ = ["software_segments"]

_FIN_PSH, _CWR = 0x09, 0x80


def software_segments(whole: Described, checksum_field: int) -> list[bytes]:
    """The frames that a super-frame stands for, each with its TCP or UDP checksum yet to be made.

    Parameters
    ----------
    whole : Described
        A super-frame, of TCP or of UDP.
    checksum_field : int
        Where its checksum is. The sum of a pseudo-header stands there, and in each segment its own.
    """
    offload = whole.offload
    l3, l4 = offload.l2_length, offload.l2_length + offload.l3_length
    header, payload = whole.frame[: whole.header_length], whole.frame[whole.header_length :]
    starts = range(0, max(1, len(payload)), offload.mss)
    # The length is a part of the pseudo-header, and the only one that differs.
    pseudo = _number(header, checksum_field) - (len(whole.frame) - l4)
    segments = []
    for number, start in enumerate(starts):
        segment = bytearray(header + payload[start : start + offload.mss])
        length = len(segment) - l4
        _put(segment, checksum_field, (pseudo + length) % 0xFFFF)
        if offload.ipv6:
            _put(segment, l3 + 4, len(segment) - l3 - 40)
        else:
            _put(segment, l3 + 2, len(segment) - l3)
            _put(segment, l3 + 4, _number(header, l3 + 4) + number)
            _put(segment, l3 + 10, 0)
            _put(segment, l3 + 10, checksum_of(segment[l3:l4]) % 0xFFFF)
        if offload.udp_segmentation:
            _put(segment, l4 + 4, length)
        else:
            _put(segment, l4 + 4, _number(header, l4 + 4, 4) + start, 4)
            segment[l4 + 13] &= ~(0 if start == starts[-1] else _FIN_PSH)
            segment[l4 + 13] &= ~(_CWR if number else 0)
        segments.append(bytes(segment))
    return segments


def _number(content: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(content[at : at + size], "big")


def _put(content: bytearray, at: int, number: int, size: int = 2) -> None:
    content[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "big")
