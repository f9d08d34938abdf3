"""A translation bridge without RTL, with the pages of the manager and of the windows.

It caches what it has translated until an invalidation is complete, so that an invalidation
forgotten, or not waited for, shows as an access through a mapping that is gone.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from byway.sw.contract.access import Fields
from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import (
    PAGE_SIZE,
    FaultReason,
    InvalidateScope,
    ManagerBinding,
    ManagerFaultAddress,
    ManagerFaultRecord,
    ManagerFaultStatus,
    ManagerInvalidate,
    ManagerInvalidatePage,
    ManagerInvalidateStatus,
    ManagerPage,
    ManagerRingReset,
    WindowControl,
    WindowPage,
    WindowSize,
    WindowTableBase,
)
from tests.sw.fake_pages import FakeMemory, StoragePage, offset_of

#: Records kept besides one of each requester.
FAULT_QUEUE = 4
#: How often a status is read as busy.
BUSY_READS = 3


@dataclass
class Fault:
    requester: int
    window: int
    reason: FaultReason
    write: bool
    address: int


class FakeBridge(StoragePage):
    """The manager page, the window page and the translation bridge behind them."""

    def __init__(self, memory: FakeMemory):
        super().__init__()
        self.memory = memory
        self.iotlb: dict[tuple[int, int], TranslationControlEntry] = {}
        self.fault_queue: deque[Fault] = deque()
        self.lost = 0
        self.stuck = False
        self.invalidations: list[ManagerInvalidate] = []
        self._busy = 0
        self._invalidate = offset_of(ManagerPage, "invalidate")
        self._invalidate_page = offset_of(ManagerPage, "invalidate_page")
        self._invalidate_status = offset_of(ManagerPage, "invalidate_status")
        self._fault_status = offset_of(ManagerPage, "fault_status")
        self._fault_record = offset_of(ManagerPage, "fault_record")
        self._fault_address = offset_of(ManagerPage, "fault_address")
        self._interrupt_enable = offset_of(ManagerPage, "interrupt_enable")
        self._resets = {offset_of(ManagerPage, "ring_reset", ring): ring for ring in range(32)}
        self._resetting = 0
        self.resets: list[int] = []
        self.on_reset: Callable[[int], None] = lambda ring: None
        self.windows = StoragePage()

    @property
    def interrupt(self) -> bool:
        return bool(self.words[self._interrupt_enable // 4] and self.fault_queue)

    def read(self, offset: int) -> int:
        if offset == self._invalidate_status:
            busy = self._busy > 0
            if busy and not self.stuck:
                self._busy -= 1
                if not self._busy:
                    self._forget()
            return ManagerInvalidateStatus(busy=busy).to_int()
        if offset in self._resets:
            busy = self._resetting > 0
            self._resetting -= busy and not self.stuck
            return ManagerRingReset(reset=busy).to_int()
        if offset == self._invalidate:
            return super().read(offset) & ~ManagerInvalidate(start=1).to_int()
        if offset == self._fault_status:
            valid = bool(self.fault_queue)
            return ManagerFaultStatus(valid=valid, lost=min(self.lost, 0xFFFF)).to_int()
        if offset in {self._fault_record, self._fault_address, self._fault_address + 4}:
            return self._shown(offset)
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        if offset == self._invalidate:
            if not self._busy:
                super().write(offset, value)
                command = ManagerInvalidate.from_int(value)
                if command.start:
                    self.invalidations.append(command)
                    self._busy = BUSY_READS
        elif offset in self._resets:
            if ManagerRingReset.from_int(value).reset:
                self.resets.append(self._resets[offset])
                self.on_reset(self._resets[offset])
                self._resetting = BUSY_READS
        elif offset == self._fault_status:
            status = ManagerFaultStatus.from_int(value)
            if status.valid and self.fault_queue:
                self.fault_queue.popleft()
            if status.lost:
                self.lost = 0
        else:
            super().write(offset, value)

    def translate(self, requester: int, ioba: int, *, write: bool = False) -> int | None:
        """Physical address of an access of the adapter; None if it is refused."""
        binding = self.fields(offset_of(ManagerPage, "binding", requester), ManagerBinding)
        assert isinstance(binding, ManagerBinding)
        page, within = divmod(ioba, PAGE_SIZE)
        reason, entry = None, TranslationControlEntry()
        if not binding.valid:
            reason = FaultReason.UNBOUND
        else:
            reason, entry = self._look_up(binding.window, page)
        if reason is None and not (entry.write if write else entry.read):
            reason = FaultReason.WRITE_DENIED if write else FaultReason.READ_DENIED
            if not entry.write and not entry.read:
                reason = FaultReason.NOT_MAPPED
        if reason is None:
            return entry.rpn * PAGE_SIZE + within
        window = binding.window if binding.valid else 0
        others = len({fault.requester for fault in self.fault_queue})
        is_first = all(fault.requester != requester for fault in self.fault_queue)
        if is_first or len(self.fault_queue) - others < FAULT_QUEUE:
            self.fault_queue.append(Fault(requester, window, reason, write, ioba))
        else:
            self.lost += 1
        return None

    def _look_up(
        self, window: int, page: int
    ) -> tuple[FaultReason | None, TranslationControlEntry]:
        nothing = TranslationControlEntry()

        def fields(name: str, kind: type[Fields]) -> Fields:
            return self.windows.fields(offset_of(WindowPage, "window", window, name), kind)

        control = fields("control", WindowControl)
        size = fields("size", WindowSize)
        base = fields("table_base", WindowTableBase)
        assert isinstance(control, WindowControl)
        assert isinstance(size, WindowSize)
        assert isinstance(base, WindowTableBase)
        if not control.enable:
            return FaultReason.WINDOW_DISABLED, nothing
        if page >= size.entries:
            return FaultReason.EXTENT, nothing
        if (window, page) not in self.iotlb:
            at = base.page * PAGE_SIZE + page * TranslationControlEntry.SIZE
            entry = TranslationControlEntry.unpack(
                self.memory.read(at, TranslationControlEntry.SIZE)
            )
            if not entry.read and not entry.write:
                return None, entry
            self.iotlb[window, page] = entry
        return None, self.iotlb[window, page]

    def _forget(self) -> None:
        command = self.fields(self._invalidate, ManagerInvalidate)
        index = self.fields(self._invalidate_page, ManagerInvalidatePage)
        assert isinstance(command, ManagerInvalidate)
        assert isinstance(index, ManagerInvalidatePage)
        if command.scope is InvalidateScope.EVERYTHING:
            self.iotlb.clear()
        elif command.scope is InvalidateScope.WINDOW:
            self.iotlb = {k: v for k, v in self.iotlb.items() if k[0] != command.window}
        else:
            self.iotlb.pop((command.window, index.index), None)

    def _shown(self, offset: int) -> int:
        if not self.fault_queue:
            return 0
        fault = self.fault_queue[0]
        if offset == self._fault_record:
            return ManagerFaultRecord(
                requester=fault.requester,
                window=fault.window,
                reason=fault.reason,
                write=fault.write,
            ).to_int()
        address = ManagerFaultAddress(address=fault.address).to_int()
        return address >> 8 * (offset - self._fault_address) & 0xFFFF_FFFF
