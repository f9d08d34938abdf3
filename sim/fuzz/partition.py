"""A partition of a fuzzed machine, with memory of its own that is marked."""

from byway.sim.fuzz.judge import Judge
from byway.sim.fuzz.markers import EPOCHS, marked_page
from byway.sw.manager.connection import VirtualConnection
from byway.sw.manager.hcalls import Hcalls
from byway.sw.manager.memory import PAGE_SIZE, PartitionMemory
from byway.sw.manager.partition import Partition

__all__ = ["FuzzedPartition"]


class FuzzedPartition:
    """A partition and what the scenario knows of it.

    Parameters
    ----------
    partition : Partition
    judge : Judge
    hostile : bool
        Nothing is expected of its software.

    Attributes
    ----------
    partition : Partition
    hostile : bool
    block : range
        Logical pages that nobody else in the partition uses; all are marked. Empty before `claim`.
    free : list of int
        Those of them that have no use yet.
    connection : VirtualConnection or None
        To its server, if it is a client.
    alive : bool
        It has not ended.
    """

    def __init__(self, partition: Partition, judge: Judge, *, hostile: bool):
        self.partition = partition
        self.hostile = hostile
        self.block = range(0)
        self.free: list[int] = []
        self.connection: VirtualConnection | None = None
        self.alive = True
        self._epoch = 0
        self._marked: dict[int, bytes] = {}
        judge.own(partition.memory)
        judge.grants.add_partition(partition.name, partition.memory)

    @property
    def name(self) -> str:
        """Its name."""
        return self.partition.name

    @property
    def memory(self) -> PartitionMemory:
        """Its memory."""
        return self.partition.memory

    @property
    def hcalls(self) -> Hcalls:
        """Its hcalls."""
        return self.partition.hcalls

    @property
    def liobn(self) -> int:
        """The client's window."""
        assert self.connection is not None
        return self.connection.client.liobn

    @property
    def window_pages(self) -> int:
        """Pages of the client's window."""
        assert self.connection is not None
        return self.connection.client.window_bytes // PAGE_SIZE

    def claim(self, pages: int) -> None:
        """Take and mark `pages` pages of its memory."""
        first = self.memory.allocate(pages * PAGE_SIZE, align=PAGE_SIZE) // PAGE_SIZE
        self.block = range(first, first + pages)
        self.free = list(self.block)
        self.mark(first, pages)

    def mark(self, page: int, count: int = 1) -> None:
        """Mark logical pages anew."""
        self._epoch = (self._epoch + 1) % EPOCHS
        for each in range(page, page + count):
            physical = self.memory.physical_page(each)
            assert physical is not None
            content = marked_page(self.partition.number, self._epoch, physical)
            self._marked[each] = content
            self.memory.write(each * PAGE_SIZE, content)

    def check(self) -> str | None:
        """Whether all of its marked pages are as they were marked; if not, which is not."""
        for page, content in self._marked.items():
            if self.memory.read(page * PAGE_SIZE, PAGE_SIZE) != content:
                return f"page {page} of {self.name} was written by somebody else"
        return None
