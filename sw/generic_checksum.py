"""Where a checksum is that is of no protocol in particular.

It is the Internet checksum of all from a start to the end of the frame. Its field, in which the sum
of a pseudo-header may stand, is summed with the rest. So kernels leave any checksum to a device
[virtio 1.2, 5.1.6.2; Linux ``skb_partial_csum_set``], that of an inner header of a tunnel too.
"""

from typing import NamedTuple

__all__ = ["GenericChecksum"]

_ETHERNET_HEADER = 14
_BYTES = 2
#: Places are told in 8 bits.
_FARTHEST = 255


class GenericChecksum(NamedTuple):
    """A checksum for the adapter to insert.

    Parameters
    ----------
    start : int
        First byte of the frame that is summed.
    offset : int
        Bytes from there to the checksum's field.
    """

    start: int
    offset: int

    def fits(self, length: int) -> bool:
        """Whether an adapter inserts it into a frame of `length` bytes."""
        is_even = self.start % 2 == self.offset % 2 == 0
        is_near = _ETHERNET_HEADER <= self.start <= _FARTHEST and 0 <= self.offset <= _FARTHEST
        return is_even and is_near and self.start + self.offset + _BYTES <= length
