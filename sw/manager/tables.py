"""Translation windows: what a partition's I/O bus addresses (IOBAs) mean.

A window is a range of I/O bus addresses from 0, named by its logical I/O bus number (LIOBN) and
owned by one partition; a translation control entry (TCE) maps each 4 KiB page of it. The window of
a virtual adapter exists in software only; the window of a ring of the real adapter is a table in
system memory that the translation bridge walks. Entries hold physical page numbers: what a caller
names by its logical pages is translated before it comes here.

Source: LoPAR, "Translation Control Entries" and "LIOBN Attributes".
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import IntFlag
from typing import TYPE_CHECKING

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.hardware import PhysicalMemory
from byway.sw.manager.memory import PAGE_SIZE, split_at_pages

if TYPE_CHECKING:
    from byway.sw.manager.partition import Partition
    from byway.sw.manager.rtce import RtceTable

__all__ = ["UNMAPPED", "AdapterWindow", "LiobnAttribute", "VirtualWindow", "Window", "is_mapped"]

UNMAPPED = TranslationControlEntry()
"""Control bits 00: every access is a page fault."""


def is_mapped(entry: TranslationControlEntry) -> bool:
    """Whether `entry` permits any access."""
    return bool(entry.read or entry.write)


class LiobnAttribute(IntFlag):
    """What the owner of a window chooses for it."""

    BIT_BUCKET_ALLOWED = 1
    """An entry can be changed while a clone of it lives; the clone then leads to the bit bucket."""


class Window(ABC):
    """A range of I/O bus addresses that TCEs translate, page by page.

    Parameters
    ----------
    liobn
        Logical I/O bus number.
    owner
        The partition that may change its TCEs.
    pages
        Number of TCEs.

    Attributes
    ----------
    attributes
        As the owner has set them.
    """

    implemented = LiobnAttribute(0)
    """Attributes that a window of this kind has."""

    def __init__(self, *, liobn: int, owner: "Partition", pages: int):
        self.liobn = liobn
        self.owner = owner
        self.pages = pages
        self.attributes = LiobnAttribute(0)

    def change_attributes(self, reset_mask: int, set_mask: int) -> None:
        """Reset, then set the attributes in the masks; others than the implemented ones stay 0."""
        changed = int(self.attributes) & ~reset_mask | set_mask
        self.attributes = LiobnAttribute(changed & self.implemented)

    def index(self, ioba: int, count: int = 1) -> int | None:
        """Index of the TCE of `ioba`; None unless it is page aligned and has `count` TCEs."""
        index, offset = divmod(ioba, PAGE_SIZE)
        return index if not offset and 0 <= index <= self.pages - count else None

    @abstractmethod
    def entry(self, index: int) -> TranslationControlEntry:
        """Return the TCE at `index`."""

    @abstractmethod
    def may_replace(self, indexes: range) -> bool:
        """Whether the owner may change the TCEs at `indexes` now."""

    @abstractmethod
    def replace(self, index: int, entries: Sequence[TranslationControlEntry]) -> None:
        """Store `entries` from `index` on. No access through an old mapping outlives the call."""


class VirtualWindow(Window):
    """The window of a virtual adapter: only the partition manager looks at its TCEs."""

    def __init__(self, *, liobn: int, owner: "Partition", pages: int):
        super().__init__(liobn=liobn, owner=owner, pages=pages)
        self._entries = [UNMAPPED] * pages

    def entry(self, index: int) -> TranslationControlEntry:
        """Return the TCE at `index`."""
        return self._entries[index]

    def may_replace(self, indexes: range) -> bool:
        """Whether the owner may change the TCEs at `indexes` now: always."""
        return True

    def replace(self, index: int, entries: Sequence[TranslationControlEntry]) -> None:
        """Store `entries` from `index` on."""
        self._entries[index : index + len(entries)] = entries

    def covers(self, ioba: int, length: int) -> bool:
        """Whether the `length` bytes at `ioba` lie inside the window."""
        return ioba >= 0 and length >= 0 and ioba + length <= self.pages * PAGE_SIZE

    def extents(
        self, ioba: int, length: int, *, read: bool = False, write: bool = False
    ) -> list[tuple[int, int]] | None:
        """Where the `length` bytes at `ioba` are: (physical address, bytes), in order.

        None when a page of them is outside the window or its TCE does not permit the access.
        """
        if not self.covers(ioba, length):
            return None
        found = []
        for page, offset, count in split_at_pages(ioba, length):
            entry = self.entry(page)
            if (read and not entry.read) or (write and not entry.write):
                return None
            found.append((entry.rpn * PAGE_SIZE + offset, count))
        return found


class AdapterWindow(Window):
    """The window of a requester of the real adapter: a table in system memory.

    An entry may be a clone of an entry of a client's window (Redirected RDMA); `origins` tells of
    which. The table is written by the partition manager only, so entry and origin always agree.

    Parameters
    ----------
    liobn, owner, pages
        As for `Window`.
    number
        Number of the window in the translation bridge.
    memory
        System memory.
    table_page
        Physical page at which the table starts.
    invalidate
        Makes the bridge forget the TCEs of this window at the indexes given, and returns when no
        beat that they allowed can still be issued or land.
    """

    def __init__(
        self,
        *,
        liobn: int,
        owner: "Partition",
        pages: int,
        number: int,
        memory: PhysicalMemory,
        table_page: int,
        invalidate: Callable[["AdapterWindow", Collection[int]], None],
    ):
        super().__init__(liobn=liobn, owner=owner, pages=pages)
        self.number = number
        self.table_page = table_page
        self.origins: dict[int, tuple[RtceTable, int]] = {}
        self._memory = memory
        self._invalidate = invalidate

    def entry(self, index: int) -> TranslationControlEntry:
        """Return the TCE at `index`."""
        size = TranslationControlEntry.SIZE
        return TranslationControlEntry.unpack(self._memory.read(self._address(index), size))

    def may_replace(self, indexes: range) -> bool:
        """Whether the owner may change the TCEs at `indexes` now: always, clones included."""
        return True

    def replace(self, index: int, entries: Sequence[TranslationControlEntry]) -> None:
        """Store `entries` from `index` on; clones among the old ones are forgotten."""
        self.store(dict(enumerate(entries, start=index)))

    def store(self, entries: Mapping[int, TranslationControlEntry]) -> None:
        """Store `entries` by index; clones among the old ones are forgotten.

        An entry that was not mapped needs no invalidation: the bridge never caches one.
        """
        live = []
        for index, entry in entries.items():
            old = self.entry(index)
            if is_mapped(old) and old != entry:
                live.append(index)
            self.origins.pop(index, None)
            self._memory.write(self._address(index), entry.pack())
        if live:
            self._invalidate(self, live)

    def _address(self, index: int) -> int:
        return self.table_page * PAGE_SIZE + index * TranslationControlEntry.SIZE
