"""Where bytes of frames are kept until the adapter has read them: a device's headers, for one.

A ring of bytes: they are placed one behind the other and never wrap around its end; their room is
taken back in the order in which they were placed.
"""

from collections import deque

from byway.sw.manager.memory import PartitionMemory

__all__ = ["BufferRing"]

_ALIGNMENT = 64


class BufferRing:
    """A ring of bytes in the partition's memory.

    Parameters
    ----------
    memory : PartitionMemory
        The partition's memory.
    address, length : int
        Logical real address and bytes of the ring, multiples of 64.
    """

    def __init__(self, memory: PartitionMemory, address: int, length: int):
        self._memory = memory
        self._address = address
        self._length = length
        self._begin = 0
        self._end = 0
        self._placed: deque[tuple[int, int]] = deque()
        self._done: set[int] = set()

    def room(self, length: int) -> int:
        """Return how many runs of `length` bytes find room, whatever happens at the end."""
        size = _rounded(length)
        return max(0, (self._length - (self._end - self._begin)) // size - 1)

    def place(self, content: bytes) -> int | None:
        """Write `content` into the ring; return its address, None if there is no room."""
        size = _rounded(len(content))
        start = self._end
        if start % self._length + size > self._length:
            start += self._length - start % self._length
        if start + size - self._begin > self._length:
            return None
        self._end = start + size
        address = self._address + start % self._length
        self._placed.append((address, self._end))
        self._memory.write(address, content)
        return address

    def remove(self, address: int) -> None:
        """Give back the room of what lies at `address`."""
        self._done.add(address)
        while self._placed and self._placed[0][0] in self._done:
            first, self._begin = self._placed.popleft()
            self._done.remove(first)


def _rounded(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT
