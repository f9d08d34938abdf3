"""A machine without RTL: memory, and registers whose manager page behaves as the contract says.

`FakeHardware` is what the partition manager can be tested against alone. Its translation bridge
caches what it has translated until an invalidation is complete, so that an invalidation forgotten,
or not waited for, shows as an access through a mapping that is gone.
"""

import functools
import importlib.util
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from byway.sw.contract.access import Fields
from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    IDENTITY_PAGE,
    MANAGER_PAGE,
    PAGE_SIZE,
    WINDOW_PAGE,
    AdapterPage,
    FaultReason,
    IdentityGeometry,
    IdentityPage,
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
from byway.sw.hardware import RegisterBus
from byway.sw.manager.adapter_sharing import AdapterAssignment
from byway.sw.manager.connection import VirtualConnection, VirtualEnd
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.partition import Partition
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.vioctl import VioSubfunction

FAULT_QUEUE = 4
"""Records kept besides one of each requester."""
BUSY_READS = 3


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


class FakeRegisters:
    """The register space: a page model for each page, storage where nothing else is."""

    def __init__(self, pages: dict[int, StoragePage], count: int):
        self.pages = [pages.get(number) or StoragePage() for number in range(count)]

    def read(self, offset: int) -> int:
        return self._page(offset).read(offset % PAGE_SIZE)

    def write(self, offset: int, value: int) -> None:
        assert 0 <= value < 1 << 32
        self._page(offset).write(offset % PAGE_SIZE, value)

    def _page(self, offset: int) -> StoragePage:
        if offset % 4 or not 0 <= offset // PAGE_SIZE < len(self.pages):
            raise OSError(f"SLVERR at {offset:#x}")
        return self.pages[offset // PAGE_SIZE]


class FakeHardware:
    """A machine with an adapter whose rings do nothing.

    Tests set `adapter_interrupt` and `time_ns`, and let the adapter reach memory by `dma_read` and
    `dma_write`. Other models of a page can be put into `registers.pages`.
    """

    def __init__(self, *, memory_bytes: int = 4 << 20, rings: int = 2, windows: int = 4):
        self.memory = FakeMemory(memory_bytes)
        self.bridge = FakeBridge(self.memory)
        identity = StoragePage()
        identity.put(
            offset_of(IdentityPage, "geometry"), IdentityGeometry(rings=rings, windows=windows)
        )
        known = {
            IDENTITY_PAGE // PAGE_SIZE: identity,
            MANAGER_PAGE // PAGE_SIZE: self.bridge,
            WINDOW_PAGE // PAGE_SIZE: self.bridge.windows,
        }
        self.registers = FakeRegisters(known, ADAPTER_PAGE // PAGE_SIZE + 2 + rings)
        self.adapter_interrupt = False
        self.time_ns = 0
        adapter = AdapterPage(self.registers, ADAPTER_PAGE)
        self.bridge.on_reset = lambda ring: adapter.ring[ring].control.write(enable=0)

    @property
    def manager_interrupt(self) -> bool:
        return self.bridge.interrupt

    def dma_read(self, requester: int, ioba: int, length: int) -> bytes | None:
        """Bytes that the adapter reads within a page; None if the bridge refuses."""
        address = self.bridge.translate(requester, ioba)
        return None if address is None else self.memory.read(address, length)

    def dma_write(self, requester: int, ioba: int, data: bytes) -> bool:
        """Let the adapter write `data` within a page; return whether the bridge let it."""
        address = self.bridge.translate(requester, ioba, write=True)
        if address is None:
            return False
        self.memory.write(address, data)
        return True


WINDOW_BYTES = 16 * PAGE_SIZE


@dataclass
class Machine:
    """A manager with a hosting partition and two hosted ones."""

    hardware: FakeHardware
    manager: PartitionManager
    hosting: Partition
    hosted: Partition
    other: Partition

    def connect(self, client: Partition, *, bit_bucket_allowed: bool = True) -> VirtualConnection:
        """Connect `client` to the hosting partition."""
        return self.manager.connect_vnic(
            client,
            self.hosting,
            window_bytes=WINDOW_BYTES,
            bit_bucket_allowed=bit_bucket_allowed,
        )

    def map_new_page(self, end: VirtualEnd, ioba: int, *, access: int = 3) -> int:
        """Map a new page of the owner of `end` at `ioba` of its window; return its address."""
        address = end.owner.memory.allocate(PAGE_SIZE, align=PAGE_SIZE)
        code = end.owner.hcalls.h_put_tce(end.liobn, ioba, address | access)
        assert code is ReturnCode.H_SUCCESS
        return address

    @staticmethod
    def enable_interrupt(end: VirtualEnd, irq: int) -> None:
        """Let the queue of `end` with the source `irq` interrupt."""
        wanted = (end.unit, VioSubfunction.ENABLE_VIO_INTERRUPT, irq, 0, 0)
        assert end.owner.hcalls.h_vioctl(*wanted) == (ReturnCode.H_SUCCESS, 0, 0)

    def open(self, connection: VirtualConnection, *, ioba: int = 0) -> tuple[int, int]:
        """Register a CRQ of one page at both ends; return the addresses of client's, server's."""
        addresses = []
        expected = {ReturnCode.H_CLOSED, ReturnCode.H_SUCCESS}
        for end in connection:
            addresses.append(self.map_new_page(end, ioba))
            assert end.owner.hcalls.h_reg_crq(end.unit, ioba, PAGE_SIZE) in expected
            self.enable_interrupt(end, end.irq)
        assert connection.client.is_open
        return addresses[0], addresses[1]


@dataclass
class SharedMachine(Machine):
    """The same, with the adapter assigned, and both hosted partitions connected and open."""

    adapter: AdapterAssignment
    vnic: VirtualConnection
    other_vnic: VirtualConnection


@pytest.fixture
def make_hardware() -> type[FakeHardware]:
    return FakeHardware


@pytest.fixture
def hardware() -> FakeHardware:
    return FakeHardware()


@pytest.fixture
def machine(hardware: FakeHardware) -> Machine:
    manager = PartitionManager(hardware)
    return Machine(
        hardware=hardware,
        manager=manager,
        hosting=manager.create_partition("hosting", 256 * 1024),
        hosted=manager.create_partition("hosted", 256 * 1024),
        other=manager.create_partition("other", 256 * 1024),
    )


@pytest.fixture
def shared(machine: Machine) -> SharedMachine:
    connections = [machine.connect(client) for client in (machine.hosted, machine.other)]
    for connection in connections:
        machine.open(connection)
    return SharedMachine(
        **vars(machine),
        adapter=machine.manager.assign_adapter(machine.hosting, window_bytes=WINDOW_BYTES),
        vnic=connections[0],
        other_vnic=connections[1],
    )


def _neighbour(name: str) -> ModuleType:
    """Module of the helpers in the file `name` beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses look their module up there.
    spec.loader.exec_module(module)
    return module


class Share:
    """The helpers of `shared_machine`, and machines that run the model of the adapter."""

    def __init__(self):
        self._model = _neighbour("adapter_model")
        self._machine = _neighbour("shared_machine")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def machine(
        self, *, clients: int = 1, rings: int = 2, without: tuple[str, ...] = (), **options: int
    ) -> Any:
        """A shared machine, with an adapter that is `without` some of its capabilities."""
        hardware = FakeHardware(memory_bytes=16 << 20, rings=rings, windows=rings + 2)
        model = self._model.AdapterModel(hardware, rings=rings, **dict.fromkeys(without, 0))
        return self._machine.SharedMachine(hardware, model, clients, **options)


@pytest.fixture(scope="session")
def share() -> Share:
    return Share()


@pytest.fixture
def world(shared: SharedMachine) -> Any:
    """A machine with something of every kind that an hcall can name wrongly."""
    return _neighbour("hcall_world").World(shared)


@pytest.fixture(scope="session")
def hcall_model() -> Any:
    """The plain model of the partition manager's tables."""
    return _neighbour("hcall_model")
