"""Memory of the machine and of its partitions.

The partition manager owns every physical page. A partition sees logical addresses from 0; its
logical pages lie scattered over physical memory, so that nothing which crosses a page works by
accident. A page is zeroed before it is given to anyone.
"""

import random
from collections.abc import Iterable, Iterator, Sequence

from byway.sw.hardware import PhysicalMemory

__all__ = ["PAGE_SIZE", "PageAllocator", "PartitionFault", "PartitionMemory", "split_at_pages"]

PAGE_SIZE = 4096
"""Bytes of a page, for processors and TCEs alike."""


class PartitionFault(Exception):  # noqa: N818 - a fault, as the architecture calls it.
    """A partition touched what is not its own. Ends that partition's action, nothing else."""


def split_at_pages(address: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Cut the range of `length` bytes at `address` into (page number, offset in it, bytes)."""
    end = address + length
    while address < end:
        page, offset = divmod(address, PAGE_SIZE)
        count = min(PAGE_SIZE - offset, end - address)
        yield page, offset, count
        address += count


class PageAllocator:
    """Hands out pages of physical memory.

    Scattered pages come from the lower seven eighths of memory while any are left there, in an
    order that is random and the same on every run; contiguous runs come from the top. Page 0 is
    never handed out.

    Parameters
    ----------
    memory
        The physical memory.
    seed
        Of the order of scattered pages.
    """

    def __init__(self, memory: PhysicalMemory, *, seed: int = 0):
        self._memory = memory
        pages = memory.size // PAGE_SIZE
        boundary = pages - pages // 8
        scattered = list(range(1, boundary))
        random.Random(seed).shuffle(scattered)
        self._free = list(range(boundary, pages)) + scattered

    @property
    def free_pages(self) -> int:
        """Pages that nobody holds."""
        return len(self._free)

    def allocate(self, count: int) -> list[int]:
        """Return the numbers of `count` zeroed pages, in no order.

        Raises
        ------
        MemoryError
            When fewer pages are free.
        """
        if count > len(self._free):
            raise MemoryError(f"{count} pages asked for, {len(self._free)} are free")
        pages = [self._free.pop() for _ in range(count)]
        self._clear(pages)
        return pages

    def allocate_contiguous(self, count: int) -> int:
        """Return the number of the first of `count` zeroed pages that follow each other.

        Raises
        ------
        MemoryError
            When there is no such run.
        """
        free = set(self._free)
        run = 0
        for page in range(max(free, default=0), 0, -1):
            run = run + 1 if page in free else 0
            if run == count:
                taken = range(page, page + count)
                self._free = [page for page in self._free if page not in taken]
                self._clear(taken)
                return page
        raise MemoryError(f"no run of {count} free pages")

    def free(self, pages: Iterable[int]) -> None:
        """Take back `pages`. Nothing may translate to them any more."""
        self._free.extend(pages)

    def _clear(self, pages: Iterable[int]) -> None:
        for page in pages:
            self._memory.write(page * PAGE_SIZE, bytes(PAGE_SIZE))


class PartitionMemory:
    """The memory of one partition, by logical address from 0 to `size`.

    Parameters
    ----------
    physical
        The physical memory.
    pages
        Physical page of each logical page, in logical order.
    name
        Of the partition, for the texts of faults.
    """

    def __init__(self, physical: PhysicalMemory, pages: Sequence[int], *, name: str):
        self._physical = physical
        self._pages = list(pages)
        self._logical_by_physical = {page: index for index, page in enumerate(pages)}
        self._name = name
        # Page 0 stays out, so that no buffer has address 0.
        self._free = [(PAGE_SIZE, self.size)] if self.size > PAGE_SIZE else []
        self._allocated: dict[int, int] = {}

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._pages) * PAGE_SIZE

    def read(self, address: int, length: int) -> bytes:
        """Return `length` bytes at `address`.

        Raises
        ------
        PartitionFault
            When the range is not wholly inside the partition's memory.
        """
        self._check(address, length)
        return b"".join(
            self._physical.read(self._pages[page] * PAGE_SIZE + offset, count)
            for page, offset, count in split_at_pages(address, length)
        )

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at `address`.

        Raises
        ------
        PartitionFault
            When the range is not wholly inside the partition's memory.
        """
        self._check(address, len(data))
        done = 0
        for page, offset, count in split_at_pages(address, len(data)):
            self._physical.write(
                self._pages[page] * PAGE_SIZE + offset, bytes(data[done : done + count])
            )
            done += count

    def allocate(self, size: int, *, align: int = 16) -> int:
        """Return the logical address of `size` bytes that nobody else in the partition uses.

        Their content is whatever was there before; memory never used before is zero.

        Raises
        ------
        ValueError
            When `size` is not positive or `align` is not a power of two.
        MemoryError
            When the partition has no such room left.
        """
        if size <= 0:
            raise ValueError(f"size must be positive, not {size}")
        if align <= 0 or align & (align - 1):
            raise ValueError(f"align must be a power of two, not {align}")
        for position, (start, end) in enumerate(self._free):
            address = -(-start // align) * align
            if address + size <= end:
                remains = [(start, address), (address + size, end)]
                self._free[position : position + 1] = [(a, b) for a, b in remains if a < b]
                self._allocated[address] = size
                return address
        raise MemoryError(f"partition {self._name} has no room for {size} bytes aligned to {align}")

    def free(self, address: int) -> None:
        """Give back what `allocate` returned.

        Raises
        ------
        ValueError
            When nothing is allocated at `address`.
        """
        if address not in self._allocated:
            raise ValueError(f"nothing is allocated at {address:#x} in partition {self._name}")
        merged: list[tuple[int, int]] = []
        returned = (address, address + self._allocated.pop(address))
        for start, end in sorted([*self._free, returned]):
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((start, end))
        self._free = merged

    def physical_page(self, logical_page: int) -> int | None:
        """Physical page that holds `logical_page`; None when the partition has no such page."""
        return self._pages[logical_page] if 0 <= logical_page < len(self._pages) else None

    def logical_page(self, physical_page: int) -> int | None:
        """Logical page that lies in `physical_page`; None when it is not this partition's."""
        return self._logical_by_physical.get(physical_page)

    def clear(self) -> None:
        """Zero the memory, and take back all that was allocated of it."""
        for page in self._pages:
            self._physical.write(page * PAGE_SIZE, bytes(PAGE_SIZE))
        self._free = [(PAGE_SIZE, self.size)] if self.size > PAGE_SIZE else []
        self._allocated.clear()

    def release(self) -> list[int]:
        """End the memory: it has no bytes any more. Return the physical pages it had."""
        pages, self._pages = self._pages, []
        self._logical_by_physical.clear()
        self._free.clear()
        self._allocated.clear()
        return pages

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > self.size:
            raise PartitionFault(
                f"partition {self._name} has no {length} bytes at {address:#x}:"
                f" its memory ends at {self.size:#x}"
            )
