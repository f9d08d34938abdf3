"""Register pages and memory that keep what is written to them."""

import functools
from collections.abc import Callable

from byway.sw.contract.access import Fields
from byway.sw.contract.registers import PAGE_SIZE
from byway.sw.hardware import RegisterBus


class FakeMemory:
    """System memory in a bytearray."""

    def __init__(self, size: int):
        self.bytes = bytearray(size)

    @property
    def size(self) -> int:
        return len(self.bytes)

    def read(self, address: int, length: int) -> bytes:
        self._check(address, length)
        return bytes(self.bytes[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        self._check(address, len(data))
        self.bytes[address : address + len(data)] = data

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > self.size:
            raise IndexError(f"{length} bytes at {address:#x}")


class _OffsetFinder:
    """A bus that only notes where it is read."""

    def __init__(self):
        self.offsets = []

    def read(self, offset: int) -> int:
        self.offsets.append(offset)
        return 0

    def write(self, offset: int, value: int) -> None:
        raise AssertionError


@functools.cache
def offset_of(page: Callable[[RegisterBus], object], *path: str | int) -> int:
    """Offset of the register `path` of the accessor `page`, learnt by reading it."""
    finder = _OffsetFinder()
    node = page(finder)
    for step in path:
        node = node[step] if isinstance(step, int) else getattr(node, step)  # type: ignore[index]
    node.read()  # type: ignore[attr-defined]
    return min(finder.offsets)


class StoragePage:
    """A page of registers that keep what is written to them."""

    def __init__(self):
        self.words = [0] * (PAGE_SIZE // 4)

    def read(self, offset: int) -> int:
        return self.words[offset // 4]

    def write(self, offset: int, value: int) -> None:
        self.words[offset // 4] = value

    def fields(self, offset: int, kind: type[Fields]) -> Fields:
        words = self.words[offset // 4 : offset // 4 + kind.SIZE // 4]
        return kind.from_int(sum(word << (32 * n) for n, word in enumerate(words)))

    def put(self, offset: int, fields: Fields) -> None:
        for part in range(fields.SIZE // 4):
            self.words[offset // 4 + part] = fields.to_int() >> (32 * part) & 0xFFFF_FFFF
