"""I/O bus addresses of a DMA window, and the memory that its owner maps there.

A window is a table of TCEs, one for each 4 KiB page. Its owner asks the partition manager to set
them, as many in one hcall as it can. Page 0 is left out, so that no buffer has address 0.
"""

from typing import NamedTuple

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.manager.hcall_boundary import MAXIMUM_ENTRIES
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.partition import Partition
from byway.sw.manager.return_codes import ReturnCode

__all__ = ["DmaBuffer", "DmaWindow", "pages_of"]


class DmaBuffer(NamedTuple):
    """Whole pages of the partition's memory that a device reaches.

    Parameters
    ----------
    address : int
        Logical real address.
    ioba : int
        I/O bus address.
    length : int
        Bytes.
    """

    address: int
    ioba: int
    length: int


def pages_of(address: int, length: int) -> int:
    """Return how many pages the `length` bytes at `address` touch."""
    return (address % PAGE_SIZE + length + PAGE_SIZE - 1) // PAGE_SIZE


class DmaWindow:
    """The part of a window that its owner gives out.

    Parameters
    ----------
    partition : Partition
        The owner.
    liobn : int
        Names the window.
    size : int
        Bytes of the window.
    """

    def __init__(self, partition: Partition, liobn: int, size: int):
        self.liobn = liobn
        self.total_pages = size // PAGE_SIZE
        self._hcalls = partition.hcalls
        self._memory = partition.memory
        self._free = [(1, self.total_pages)]
        self._list = partition.memory.allocate(PAGE_SIZE, align=PAGE_SIZE)

    @property
    def free_pages(self) -> int:
        """Pages that are not given out."""
        return sum(end - start for start, end in self._free)

    def reserve(self, pages: int) -> int:
        """Return the I/O bus address of so many pages that nobody else has.

        Raises
        ------
        MemoryError
            There is no run of so many free pages.
        """
        for place, (start, end) in enumerate(self._free):
            if end - start >= pages:
                rest = (start + pages, end)
                self._free[place : place + 1] = [rest] if rest[0] < rest[1] else []
                return start * PAGE_SIZE
        raise MemoryError(f"window {self.liobn:#x} has no run of {pages} free pages")

    def release(self, ioba: int, pages: int) -> None:
        """Take back what `reserve` gave."""
        start = ioba // PAGE_SIZE
        merged: list[tuple[int, int]] = []
        for first, last in sorted([*self._free, (start, start + pages)]):
            if merged and merged[-1][1] == first:
                merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
        self._free = merged

    def map(self, address: int, length: int, *, read: bool = False, write: bool = False) -> int:
        """Map memory of the partition; return the I/O bus address of the byte at `address`.

        Parameters
        ----------
        address, length : int
            Logical real address and bytes of the memory, any alignment.
        read, write : bool
            What the device may do with it.

        Raises
        ------
        MemoryError
            The window has no room.
        ValueError
            The memory is not the partition's.
        """
        count = pages_of(address, length)
        first = address // PAGE_SIZE
        ioba = self.reserve(count)
        for done in range(0, count, MAXIMUM_ENTRIES):
            tces = [
                TranslationControlEntry(read=read, write=write, rpn=page).to_int()
                for page in range(first + done, first + min(done + MAXIMUM_ENTRIES, count))
            ]
            code = self._put(ioba + done * PAGE_SIZE, tces)
            if code is not ReturnCode.H_SUCCESS:
                self.unmap(ioba, count * PAGE_SIZE)
                raise ValueError(f"{length} bytes at {address:#x} cannot be mapped: {code.name}")
        return ioba + address % PAGE_SIZE

    def unmap(self, ioba: int, length: int) -> ReturnCode:
        """Undo `map`, unless the partition manager refuses: then everything stays as it was.

        Returns
        -------
        ReturnCode
            H_RESOURCE while another partition's adapter still reaches the memory.
        """
        count = pages_of(ioba, length)
        base = ioba - ioba % PAGE_SIZE
        for done in range(0, count, MAXIMUM_ENTRIES):
            part = min(MAXIMUM_ENTRIES, count - done)
            code = self._hcalls.h_stuff_tce(self.liobn, base + done * PAGE_SIZE, 0, part)
            if code is not ReturnCode.H_SUCCESS:
                return code
        self.release(base, count)
        return ReturnCode.H_SUCCESS

    def allocate(self, length: int, *, read: bool = False, write: bool = False) -> DmaBuffer:
        """Allocate memory in whole pages, zero it, and map it.

        Raises
        ------
        MemoryError
            The partition or the window has no room.
        """
        length = pages_of(0, length) * PAGE_SIZE
        address = self._memory.allocate(length, align=PAGE_SIZE)
        self._memory.write(address, bytes(length))
        try:
            ioba = self.map(address, length, read=read, write=write)
        except MemoryError:
            self._memory.free(address)
            raise
        return DmaBuffer(address, ioba, length)

    def free(self, buffer: DmaBuffer) -> ReturnCode:
        """Undo `allocate`, unless the partition manager refuses to unmap the memory."""
        code = self.unmap(buffer.ioba, buffer.length)
        if code is ReturnCode.H_SUCCESS:
            self._memory.free(buffer.address)
        return code

    def _put(self, ioba: int, tces: list[int]) -> ReturnCode:
        if len(tces) == 1:
            return self._hcalls.h_put_tce(self.liobn, ioba, tces[0])
        content = b"".join(tce.to_bytes(TranslationControlEntry.SIZE, "big") for tce in tces)
        self._memory.write(self._list, content)
        return self._hcalls.h_put_tce_indirect(self.liobn, ioba, self._list, len(tces))
