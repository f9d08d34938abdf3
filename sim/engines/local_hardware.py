"""System memory over a buffer, and the register bus over any engine's accesses."""

from collections.abc import Callable

__all__ = ["BufferMemory", "CallbackBus"]


class BufferMemory:
    """`byway.sw.hardware.PhysicalMemory` over a buffer that the board's memory shares."""

    def __init__(self, storage: bytearray | memoryview):
        self._storage = storage

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self._storage)

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > len(self._storage):
            raise IndexError(
                f"{length} bytes at {address:#x} are not inside the {len(self._storage):#x} "
                "bytes of system memory"
            )

    def read(self, address: int, length: int) -> bytes:
        """Return `length` bytes at `address`; raises `IndexError` outside the memory."""
        self._check(address, length)
        return bytes(self._storage[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at `address`; raises `IndexError` outside the memory."""
        self._check(address, len(data))
        self._storage[address : address + len(data)] = data


class CallbackBus:
    """`byway.sw.hardware.RegisterBus` made of two functions."""

    def __init__(self, read: Callable[[int], int], write: Callable[[int, int], None]):
        self._read = read
        self._write = write

    def read(self, offset: int) -> int:
        """Return the register at `offset`."""
        return self._read(offset)

    def write(self, offset: int, value: int) -> None:
        """Write `value` to the register at `offset`."""
        self._write(offset, value)
