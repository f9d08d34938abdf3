"""The retransmission timer of a connection [RFC 6298], in nanoseconds."""

__all__ = ["RetransmissionTimer"]

_INITIAL_RTO_NS = 100_000_000
_MAXIMUM_RTO_NS = 60_000_000_000


class RetransmissionTimer:
    """Measures round trips and says when to send again.

    Only bytes that were sent once are measured (Karn's algorithm).

    Parameters
    ----------
    minimum_ns : int
        Lower bound. RFC 6298 says a second; links as short as a simulated one want less.

    Attributes
    ----------
    running : bool
    deadline_ns : int
        Meaningful while running.
    retries : int
        Expirations since the last progress.
    """

    def __init__(self, minimum_ns: int):
        self.running = False
        self.deadline_ns = 0
        self.retries = 0
        self._minimum = minimum_ns
        self._rto = max(_INITIAL_RTO_NS, minimum_ns)
        self._smoothed: int | None = None
        self._variation = 0
        self._sample: tuple[int, int] | None = None

    def start(self, now: int) -> None:
        """Start unless it runs."""
        if not self.running:
            self.restart(now)

    def restart(self, now: int) -> None:
        """Start anew."""
        self.running = True
        self.deadline_ns = now + self._rto

    def stop(self) -> None:
        """Stop: nothing is in flight."""
        self.running = False
        self.retries = 0

    def back_off(self, now: int) -> None:
        """Double the time-out after an expiration, and start anew."""
        self.retries += 1
        self._sample = None
        self._rto = min(2 * self._rto, _MAXIMUM_RTO_NS)
        self.restart(now)

    def sample_begins(self, offset: int, now: int) -> None:
        """Begin to measure, unless a measurement is under way, until `offset` is acknowledged."""
        if self._sample is None:
            self._sample = (offset, now)

    def sample_ends(self, offset: int, now: int) -> None:
        """Take note that everything before `offset` is acknowledged."""
        self.retries = 0
        if self._sample is None or offset < self._sample[0]:
            return
        measured = now - self._sample[1]
        self._sample = None
        if self._smoothed is None:
            self._smoothed = measured
            self._variation = measured // 2
        else:
            difference = abs(self._smoothed - measured)
            self._variation = (3 * self._variation + difference) // 4
            self._smoothed = (7 * self._smoothed + measured) // 8
        self._rto = min(max(self._minimum, self._smoothed + 4 * self._variation), _MAXIMUM_RTO_NS)
