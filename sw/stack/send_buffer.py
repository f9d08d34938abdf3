"""The bytes of a stream that are not acknowledged yet, by reference."""

from bisect import bisect_right
from dataclasses import dataclass

from byway.sw.stack.network_device import Fragment

__all__ = ["SendBuffer"]


@dataclass(frozen=True)
class _Run:
    """`length` bytes of the stream from `offset` on, at `address` inside `mapping`."""

    offset: int
    mapping: int
    address: int
    length: int


class SendBuffer:
    """Runs of application memory that make up a stream; offsets count from its first byte.

    Attributes
    ----------
    end : int
        Offset past the last byte.
    """

    def __init__(self) -> None:
        self.end = 0
        self._runs: list[_Run] = []

    def append(self, mapping: int, address: int, length: int) -> None:
        """Add `length` bytes (0 adds nothing) at `address` to the end."""
        if length < 0:
            raise ValueError(f"Length must not be negative, not {length}")
        if length:
            self._runs.append(_Run(self.end, mapping, address, length))
            self.end += length

    def _index(self, offset: int) -> int:
        return bisect_right(self._runs, offset, key=lambda run: run.offset) - 1

    def reach(self, offset: int, length: int, runs: int) -> int:
        """How many of the `length` bytes from `offset` on lie in the first `runs` runs there."""
        after = self._index(offset) + runs
        if length <= 0 or after >= len(self._runs):
            return length
        return min(length, self._runs[after].offset - offset)

    def release(self, offset: int) -> None:
        """Forget the runs that end at or before `offset`."""
        while self._runs and self._runs[0].offset + self._runs[0].length <= offset:
            del self._runs[0]

    def fragments(self, offset: int, length: int) -> tuple[Fragment, ...]:
        """Where the `length` bytes from `offset` on lie; `ValueError` if they are not held."""
        found: list[Fragment] = []
        end = offset + length
        index = self._index(offset)
        position = offset
        while position < end and 0 <= index < len(self._runs):
            run = self._runs[index]
            skip = position - run.offset
            part = min(run.length - skip, end - position)
            if part <= 0:
                break
            found.append(Fragment(run.mapping, run.address + skip, part))
            position += part
            index += 1
        if position < end:
            raise ValueError(f"Bytes {offset} to {end} of the stream are not held")
        return tuple(found)
