"""The I/O adapter sharing mechanism (patent, FIG. 1: 122): who may use which part of the adapter.

It alone touches the manager page and the window page: it gives each requester of the adapter (each
ring) a window with a table of TCEs in memory that no partition has, binds the two, makes the
translation bridge forget what has changed, collects the accesses that the bridge refused, and
resets rings. The owner gets the pages of the register space that are its own, and nothing else of
it.

Source: patent, method 600, step 210, and method 700, step 760.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    IDENTITY_PAGE,
    MANAGER_PAGE,
    WINDOW_PAGE,
    AdapterPage,
    FaultReason,
    IdentityPage,
    InvalidateScope,
    ManagerPage,
    WindowPage,
)
from byway.sw.hardware import Hardware
from byway.sw.manager.memory import PAGE_SIZE, PageAllocator
from byway.sw.manager.partition import Partition
from byway.sw.manager.register_page import RegisterPage
from byway.sw.manager.tables import AdapterWindow

__all__ = [
    "FAULTS_KEPT",
    "AdapterAssignment",
    "AdapterSharing",
    "FaultRecord",
    "HardwareError",
    "RingReset",
]

FAULTS_KEPT = 1024
"""Newest fault records that are kept; all are counted."""

_INVALIDATION_POLLS = 10_000
_RESET_POLLS = 100_000


class HardwareError(Exception):
    """The adapter does not do what the contract promises; no partition is to blame."""


@dataclass(frozen=True)
class FaultRecord:
    """An access of the adapter that the translation bridge refused."""

    requester: int
    """Ring that the access was for."""
    window: int
    """Window bound to it, 0 when none is."""
    reason: FaultReason
    write: bool
    address: int
    """I/O bus address."""


@dataclass(frozen=True)
class RingReset:
    """Why the partition manager has reset a ring: its frames are lost, and it is disabled."""

    fault: FaultRecord | None
    """The latest access of it that was refused; None if none was, but a partition whose memory it
    reached has ended."""
    more: int
    """Further refused accesses since the owner took note; those without a record, whoever's they
    were, among them."""


@dataclass
class AdapterAssignment:
    """What the owner of the adapter has of it."""

    owner: Partition
    identity_page: RegisterPage
    adapter_page: RegisterPage
    doorbell: list[RegisterPage]
    """Doorbell page of each ring."""
    liobn: list[int]
    """Window of each ring, by LIOBN."""
    window_bytes: int
    """Bytes of each of these windows; its I/O bus addresses start at 0."""
    interrupt: int
    """Interrupt source of the adapter's line."""
    fault_interrupt: int
    """Interrupt source that announces rings that were reset."""
    resets: dict[int, RingReset] = field(default_factory=dict)
    """Rings that were reset, by number, for the owner to take away."""

    def note_reset(self, ring: int, fault: FaultRecord | None, more: int) -> None:
        """Note a reset for the owner, with what it has not taken note of yet."""
        before = self.resets.get(ring)
        if before is not None:
            more += before.more + (fault is not None and before.fault is not None)
            fault = fault or before.fault
        self.resets[ring] = RingReset(fault, more)


class AdapterSharing:
    """Assigns the adapter to its owner and keeps its windows.

    Parameters
    ----------
    hardware
        The adapter and its memory.
    allocator
        Source of pages for TCE tables.
    """

    def __init__(self, hardware: Hardware, allocator: PageAllocator):
        self.assignment: AdapterAssignment | None = None
        self.windows: list[AdapterWindow] = []
        self._hardware = hardware
        self._allocator = allocator
        self._manager_page = ManagerPage(hardware.registers, MANAGER_PAGE)
        self._adapter_page = AdapterPage(hardware.registers, ADAPTER_PAGE)
        self._window_page = WindowPage(hardware.registers, WINDOW_PAGE)
        self._bit_bucket: TranslationControlEntry | None = None

    @property
    def bit_bucket(self) -> TranslationControlEntry:
        """A TCE for clones that are no longer valid: writing lands in a page that nobody reads."""
        if self._bit_bucket is None:
            page = self._allocator.allocate_contiguous(1)
            self._bit_bucket = TranslationControlEntry(write=1, rpn=page)
        return self._bit_bucket

    def assign(
        self,
        owner: Partition,
        *,
        window_pages: int,
        new_liobn: Callable[[], int],
        new_source: Callable[[Partition], int],
        on_access: Callable[[Partition], None],
    ) -> AdapterAssignment:
        """Give the adapter to `owner`, with a window of `window_pages` pages for each ring.

        Raises
        ------
        ValueError
            When the adapter has an owner, or fewer windows than rings.
        """
        if self.assignment is not None:
            raise ValueError(f"the adapter is assigned to {self.assignment.owner.name} already")
        registers = self._hardware.registers

        def page(base: int, *, read_only: bool = False) -> RegisterPage:
            return RegisterPage(
                registers, base, owner=owner, on_access=on_access, read_only=read_only
            )

        rings = self._rings()
        for ring in range(rings):
            self._open_window(ring, owner, window_pages, new_liobn())
        self._manager_page.interrupt_enable.write(fault=1)
        self.assignment = AdapterAssignment(
            owner=owner,
            identity_page=page(IDENTITY_PAGE, read_only=True),
            adapter_page=page(ADAPTER_PAGE),
            doorbell=[page(DOORBELL_PAGE + ring * DOORBELL_STRIDE) for ring in range(rings)],
            liobn=[window.liobn for window in self.windows],
            window_bytes=window_pages * PAGE_SIZE,
            interrupt=new_source(owner),
            fault_interrupt=new_source(owner),
        )
        return self.assignment

    def release(self) -> None:
        """Take the adapter from its owner: no access of it reaches memory any more."""
        if self.assignment is None:
            return
        assignment = self.assignment
        for page in (assignment.identity_page, assignment.adapter_page, *assignment.doorbell):
            page.revoke()
        for window in self.windows:
            self.reset_ring(window.number)
            self._close_window(window)
        self.windows.clear()
        self.assignment = None

    def reset_ring(self, number: int) -> None:
        """Reset a ring; when this returns nothing of it is under way, and it is disabled.

        Frames that were to leave before it do so: the transmitter runs meanwhile, whether or not
        the owner lets it.

        Raises
        ------
        HardwareError
            The reset does not end.
        """
        register = self._manager_page.ring_reset[number]
        transmitter = self._adapter_page.mac_control
        register.write(reset=1)
        enabled = transmitter.read().transmit_enable
        if not enabled:
            transmitter.write(transmit_enable=1)
        for _ in range(_RESET_POLLS):
            if not register.read().reset:
                break
        else:
            raise HardwareError(f"ring {number} is being reset after {_RESET_POLLS} reads")
        if not enabled:
            transmitter.write(transmit_enable=0)

    def collect_faults(self) -> tuple[list[FaultRecord], int]:
        """Take fault records from the bridge, as many as are kept at most.

        Returns
        -------
        records, lost
            The records, oldest first; how many refused accesses the bridge had no room for.
        """
        records = []
        lost = 0
        while len(records) < FAULTS_KEPT:
            status = self._manager_page.fault_status.read()
            if status.lost:
                lost += status.lost
                self._manager_page.fault_status.write(lost=1)
            if not status.valid:
                break
            record = self._manager_page.fault_record.read()
            records.append(
                FaultRecord(
                    requester=record.requester,
                    window=record.window,
                    reason=record.reason,
                    write=bool(record.write),
                    address=self._manager_page.fault_address.read().address,
                )
            )
            self._manager_page.fault_status.write(valid=1)
        return records, lost

    def _rings(self) -> int:
        geometry = IdentityPage(self._hardware.registers, IDENTITY_PAGE).geometry.read()
        if not 1 <= geometry.rings <= geometry.windows:
            raise ValueError(
                f"each ring needs a window, and the adapter has {geometry.rings} rings"
                f" and {geometry.windows} windows"
            )
        return geometry.rings

    def _open_window(self, ring: int, owner: Partition, pages: int, liobn: int) -> None:
        window = AdapterWindow(
            liobn=liobn,
            owner=owner,
            pages=pages,
            number=ring,
            memory=self._hardware.memory,
            table_page=self._allocator.allocate_contiguous(_table_pages(pages)),
            invalidate=self._invalidate,
        )
        registers = self._window_page.window[window.number]
        registers.control.write(enable=0)
        registers.table_base.write(page=window.table_page)
        registers.size.write(entries=pages)
        self._invalidate_and_wait(InvalidateScope.WINDOW, window)
        registers.control.write(enable=1)
        self._manager_page.binding[ring].write(valid=1, window=window.number)
        self.windows.append(window)

    def _close_window(self, window: AdapterWindow) -> None:
        self._manager_page.binding[window.number].write(valid=0)
        self._window_page.window[window.number].control.write(enable=0)
        self._invalidate_and_wait(InvalidateScope.WINDOW, window)
        end = window.table_page + _table_pages(window.pages)
        self._allocator.free(range(window.table_page, end))

    def _invalidate(self, window: AdapterWindow, indexes: Collection[int]) -> None:
        """Invalidate one page, or the window at once if there are several: cheaper for both."""
        if len(indexes) == 1:
            self._manager_page.invalidate_page.write(index=next(iter(indexes)))
            self._invalidate_and_wait(InvalidateScope.PAGE, window)
        else:
            self._invalidate_and_wait(InvalidateScope.WINDOW, window)

    def _invalidate_and_wait(self, scope: InvalidateScope, window: AdapterWindow) -> None:
        self._manager_page.invalidate.write(start=1, scope=scope, window=window.number)
        for _ in range(_INVALIDATION_POLLS):
            if not self._manager_page.invalidate_status.read().busy:
                return
        raise HardwareError(
            f"invalidation of window {window.number} is busy after {_INVALIDATION_POLLS} reads"
        )


def _table_pages(entries: int) -> int:
    return -(-entries * TranslationControlEntry.SIZE // PAGE_SIZE)
