"""Congestion control of a connection: how much may be in flight, and when to send again at once.

Slow start from ten segments [RFC 6928], congestion avoidance and fast retransmit [RFC 5681],
NewReno's recovery [RFC 6582]. Offsets are those of the stream.
"""

__all__ = ["CongestionControl"]

_INITIAL_SEGMENTS = 10
_DUPLICATE_ACKS = 3


class CongestionControl:
    """See the module.

    Parameters
    ----------
    mss : int
        Payload bytes of a full segment.

    Attributes
    ----------
    window : int
        Bytes that may be in flight.
    """

    def __init__(self, mss: int):
        self.window = _INITIAL_SEGMENTS * mss
        self._mss = mss
        self._threshold = 1 << 62
        self._duplicates = 0
        self._recovery_end: int | None = None

    def acknowledged(self, offset: int, advanced: int) -> bool:
        """Take note that `advanced` bytes up to `offset` are acknowledged anew.

        Returns whether a loss is being repaired and another segment, now the first, is missing.
        """
        self._duplicates = 0
        if self._recovery_end is not None:
            if offset < self._recovery_end:
                return True
            self._recovery_end = None
            self.window = self._threshold
        elif self.window < self._threshold:
            self.window += min(advanced, 2 * self._mss)
        else:
            self.window += max(1, self._mss * advanced // self.window)
        return False

    def duplicate(self, in_flight: int, end: int) -> bool:
        """Take note of a duplicate acknowledgement while data up to `end` is in flight.

        Returns whether the first segment is to be sent again at once.
        """
        self._duplicates += 1
        if self._duplicates != _DUPLICATE_ACKS or self._recovery_end is not None:
            return False
        self._reduce(in_flight)
        self.window = self._threshold
        self._recovery_end = end
        return True

    def timed_out(self, in_flight: int) -> None:
        """Begin anew from one segment."""
        self._reduce(in_flight)
        self.window = self._mss
        self._recovery_end = None
        self._duplicates = 0

    def _reduce(self, in_flight: int) -> None:
        self._threshold = max(in_flight // 2, 2 * self._mss)
