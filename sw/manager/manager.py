"""The partition manager (patent, FIG. 1: 121): partitions, connections, the adapter, interrupts.

It is trusted by everyone and trusts no partition. Those who configure the machine call the methods
here; partitions reach it through their hcalls alone.
"""

from collections import deque
from collections.abc import Callable, Collection

from byway.sw.hardware import Hardware
from byway.sw.manager.adapter_sharing import (
    FAULTS_KEPT,
    AdapterAssignment,
    AdapterSharing,
    FaultRecord,
)
from byway.sw.manager.connection import ServerEnd, Transport, VirtualConnection, VirtualEnd
from byway.sw.manager.counters import Counters
from byway.sw.manager.crq import TransportEvent
from byway.sw.manager.directory import Directory
from byway.sw.manager.dispatch import Dispatcher
from byway.sw.manager.hcall_boundary import HcallObserver, HcallServices
from byway.sw.manager.hcalls import Hcalls
from byway.sw.manager.memory import PAGE_SIZE, PageAllocator, PartitionMemory
from byway.sw.manager.partition import Partition
from byway.sw.manager.rtce import RtceTable
from byway.sw.manager.tables import UNMAPPED, VirtualWindow

__all__ = ["DEFAULT_WINDOW_BYTES", "PartitionManager"]

DEFAULT_WINDOW_BYTES = 16 << 20
"""Bytes of a window: room for 4,096 pages."""

_INTERRUPTS_PER_DISPATCH = 10_000


class PartitionManager:
    """Partitions on one machine with one adapter.

    Parameters
    ----------
    hardware
        The machine.
    on_crossing
        Told of each crossing: from whom, to whom.
    on_hcall
        Told of each hcall: caller, name, arguments, answer.

    Attributes
    ----------
    counters
        What has happened so far.
    faults
        Accesses that the translation bridge refused, oldest first.
    partitions
        Those that run, in the order they were made.
    """

    def __init__(
        self,
        hardware: Hardware,
        *,
        on_crossing: Callable[[Partition, Partition], None] | None = None,
        on_hcall: HcallObserver | None = None,
    ):
        self.counters = Counters()
        self.faults: deque[FaultRecord] = deque(maxlen=FAULTS_KEPT)
        self.partitions: list[Partition] = []
        self._hardware = hardware
        self._allocator = PageAllocator(hardware.memory)
        self._directory = Directory()
        self._dispatcher = Dispatcher(self.counters, on_crossing)
        self._transport = Transport(self.counters, self._dispatcher, self._reset_rings)
        self._sharing = AdapterSharing(hardware, self._allocator)
        self._services = HcallServices(
            memory=hardware.memory,
            directory=self._directory,
            transport=self._transport,
            dispatcher=self._dispatcher,
            counters=self.counters,
            on_hcall=on_hcall,
        )
        self._made = 0

    @property
    def running(self) -> Partition | None:
        """The partition that ran last; None before any has."""
        return self._dispatcher.running

    def switch_to(self, partition: Partition) -> None:
        """Let `partition` run from here on: a crossing, if another one ran before.

        For code of a partition that is called from outside and not by an interrupt. Its first
        hcall says the same.
        """
        self._dispatcher.switch_to(partition)

    def create_partition(self, name: str, memory_bytes: int) -> Partition:
        """Return a new partition with `memory_bytes` bytes of zeroed memory.

        Raises
        ------
        ValueError
            When the size is not a positive multiple of a page, or the name is taken.
        MemoryError
            When the machine has not so much memory left.
        """
        if memory_bytes <= 0 or memory_bytes % PAGE_SIZE:
            raise ValueError(f"memory must be a positive multiple of 4096, not {memory_bytes}")
        if any(partition.name == name for partition in self.partitions):
            raise ValueError(f"there is a partition {name} already")
        pages = self._allocator.allocate(memory_bytes // PAGE_SIZE)
        self._made += 1
        partition = Partition(
            name=name,
            number=self._made,
            memory=PartitionMemory(self._hardware.memory, pages, name=name),
            dispatcher=self._dispatcher,
        )
        partition.hcalls = Hcalls(partition, self._services)
        self.partitions.append(partition)
        return partition

    def assign_adapter(
        self, partition: Partition, *, window_bytes: int = DEFAULT_WINDOW_BYTES
    ) -> AdapterAssignment:
        """Make `partition` the hosting partition: the adapter is its own (method 600, step 210).

        Raises
        ------
        ValueError
            When the adapter has an owner already, `window_bytes` is not whole pages, or the
            partition has ended.
        """
        self._require_running(partition)
        assignment = self._sharing.assign(
            partition,
            window_pages=_pages(window_bytes),
            new_liobn=self._directory.new_liobn,
            new_source=self._dispatcher.add_source,
            on_access=self._dispatcher.switch_to,
        )
        for window in self._sharing.windows:
            self._directory.add_window(window)
        return assignment

    def connect_vnic(
        self,
        client: Partition,
        server: Partition,
        *,
        window_bytes: int = DEFAULT_WINDOW_BYTES,
        bit_bucket_allowed: bool = True,
    ) -> VirtualConnection:
        """Give `client` and `server` a virtual adapter each, connected to the other's.

        Parameters
        ----------
        window_bytes
            Of the first pane at either end.
        bit_bucket_allowed
            Whether the client can take back memory that the adapter still has a clone for.

        Raises
        ------
        ValueError
            When client and server are one, `window_bytes` is not whole pages, or one of the
            partitions has ended.
        """
        self._require_running(client)
        self._require_running(server)
        if client is server:
            raise ValueError(f"partition {client.name} cannot be its own server")
        pages = _pages(window_bytes)
        table = RtceTable(
            liobn=self._directory.new_liobn(),
            owner=client,
            pages=pages,
            bit_bucket_allowed=bit_bucket_allowed,
            bit_bucket=self._sharing.bit_bucket,
        )
        own = VirtualWindow(liobn=self._directory.new_liobn(), owner=server, pages=pages)
        client_end = VirtualEnd(
            owner=client,
            unit=self._directory.new_unit(),
            window=table,
            irq=self._dispatcher.add_source(client, enabled=False),
            rtce_table=table,
        )
        server_end = ServerEnd(
            owner=server,
            unit=self._directory.new_unit(),
            window=own,
            irq=self._dispatcher.add_source(server, enabled=False),
            rtce_table=table,
            r_liobn=self._directory.new_liobn(),
        )
        client_end.partner, server_end.partner = server_end, client_end
        self._directory.add_end(client_end)
        self._directory.add_end(server_end)
        return VirtualConnection(client_end, server_end)

    def terminate(self, partition: Partition) -> None:
        """End `partition`, whatever it was doing; its partners are told that it failed.

        When this returns nothing reaches its memory any more: not its partners, and not the
        adapter, neither by its own windows nor by clones. Rings that did are reset.

        Raises
        ------
        ValueError
            When the partition has ended already.
        """
        self._take_everything_from(partition)
        for end in self._directory.ends_of(partition):
            if end.partner is not None:
                end.partner.partner = None
        self._directory.remove_all_of(partition)
        self._dispatcher.remove_sources_of(partition)
        self.partitions.remove(partition)
        self._allocator.free(partition.memory.release())

    def restart(self, partition: Partition) -> None:
        """Let `partition` begin anew after its software has vanished, whatever it was doing.

        Everything that the software had registered is taken back, as `terminate` does: queues,
        translations, handlers, the adapter if it was the owner. Its virtual adapters stay; their
        partners are told that it failed. Its memory is zeroed, and nothing of it is allocated.

        Raises
        ------
        ValueError
            When the partition has ended.
        """
        self._take_everything_from(partition)
        self._dispatcher.mask_sources_of(partition)
        partition.memory.clear()

    def dispatch(self) -> bool:
        """Present interrupts to partitions until all is quiet; return whether anything ran.

        An adapter line that its owner does not clear, or partners that never stop answering each
        other, end the call after many interrupts; the next call goes on.
        """
        ran = False
        for _ in range(_INTERRUPTS_PER_DISPATCH):
            if self._hardware.manager_interrupt:
                self._reset_rings()
                ran = True
            assignment = self._sharing.assignment
            if assignment and self._hardware.adapter_interrupt:
                self._dispatcher.pulse(assignment.interrupt)
            if not self._dispatcher.present():
                break
            ran = True
        return ran

    def _require_running(self, partition: Partition) -> None:
        if partition not in self.partitions:
            raise ValueError(f"partition {partition.name} has ended")

    def _take_everything_from(self, partition: Partition) -> None:
        """End what `partition` has to do with others; nothing reaches its memory afterwards."""
        self._require_running(partition)
        for end in self._directory.ends_of(partition):
            self._transport.free_crq(end, TransportEvent.PARTNER_FAILED)
            # The partner still knows the window, and its pages will be another's.
            end.window.replace(0, [UNMAPPED] * end.window.pages)
        assignment = self._sharing.assignment
        if assignment and assignment.owner is partition:
            for window in self._sharing.windows:
                self._directory.remove_window(window)
            self._sharing.release()
            for source in (assignment.interrupt, assignment.fault_interrupt):
                self._dispatcher.remove_source(source)
            self._reset_rings()

    def _reset_rings(self, ended: Collection[int] = ()) -> None:
        """Reset rings that have `ended`, and those that are refused something, and tell the owner.

        A ring that is reset stays so until its owner enables it. So each is reset once, and every
        record of it that comes meanwhile is of the time before.
        """
        assignment = self._sharing.assignment
        found: dict[int, list[FaultRecord]] = {ring: [] for ring in ended}
        done: set[int] = set()
        lost = self._collect_faults(found)
        if not assignment:
            return
        while due := sorted(found.keys() - done):
            for ring in due:
                self._sharing.reset_ring(ring)
                done.add(ring)
            lost += self._collect_faults(found)
        self.counters.ring_resets += len(done)
        for ring, records in found.items():
            further = max(0, len(records) - 1) + lost
            assignment.note_reset(ring, records[-1] if records else None, further)
        if found:
            self._dispatcher.pulse(assignment.fault_interrupt)

    def _collect_faults(self, found: dict[int, list[FaultRecord]]) -> int:
        """Add every fault record to those `found` of its ring; return how many were lost."""
        lost = 0
        while True:
            records, lost_now = self._sharing.collect_faults()
            lost += lost_now
            if not records:
                break
            for record in records:
                found.setdefault(record.requester, []).append(record)
            self.faults += records
            self.counters.faults += len(records)
        self.counters.faults_lost += lost
        return lost


def _pages(window_bytes: int) -> int:
    if window_bytes <= 0 or window_bytes % PAGE_SIZE:
        raise ValueError(f"a window must be a positive multiple of 4096, not {window_bytes}")
    return window_bytes // PAGE_SIZE
