"""Ring 0 of an adapter, for measurements: all of memory is granted to it, each page as itself.

The ring uses the register accessors alone, so that it runs wherever registers and memory are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.engines.native import NativeEngine
from byway.sw.contract.records import TranslationControlEntry, TransmitDescriptor
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    MANAGER_PAGE,
    PAGE_SIZE,
    WINDOW_PAGE,
    AdapterPage,
    DoorbellPage,
    ManagerPage,
    WindowPage,
)
from byway.sw.hardware import PhysicalMemory, RegisterBus

__all__ = ["IdentityRing", "open_identity_ring"]


class IdentityRing:
    """Ring 0, which runs, and the wire, which is enabled.

    Parameters
    ----------
    registers : RegisterBus
        Of an adapter after reset.
    memory : PhysicalMemory
    table, descriptors, completions : int
        Pages at which the TCE table of all of `memory`, and both parts of the ring, begin.
    size_log2 : int
        Entries of the ring, as a power of two.
    offloads : int
        Those that are granted, by their names in the register.
    """

    def __init__(
        self,
        registers: RegisterBus,
        memory: PhysicalMemory,
        *,
        table: int,
        descriptors: int,
        completions: int,
        size_log2: int,
        **offloads: int,
    ):
        self._memory = memory
        self._descriptors = descriptors * PAGE_SIZE
        self._size = 1 << size_log2
        self._produced = 0
        self._doorbell = DoorbellPage(registers, DOORBELL_PAGE)
        pages = memory.size // PAGE_SIZE
        entries = (TranslationControlEntry(read=1, write=1, rpn=page) for page in range(pages))
        memory.write(table * PAGE_SIZE, b"".join(entry.pack() for entry in entries))
        window = WindowPage(registers, WINDOW_PAGE).window[0]
        window.table_base.write(page=table)
        window.size.write(entries=pages)
        window.control.write(enable=1)
        ManagerPage(registers, MANAGER_PAGE).binding[0].write(valid=1, window=0)
        adapter = AdapterPage(registers, ADAPTER_PAGE)
        ring = adapter.ring[0]
        ring.descriptor_base.write(page=descriptors)
        ring.completion_base.write(page=completions)
        ring.size.write(size_log2=size_log2)
        if offloads:
            ring.offloads.write(**offloads)
        ring.control.write(enable=1)
        adapter.mac_control.write(transmit_enable=1)

    def post(self, *entries: bytes) -> None:
        """Write `entries` behind those that are there; whether there is room is not looked at."""
        for entry in entries:
            place = self._produced % self._size * TransmitDescriptor.SIZE
            self._memory.write(self._descriptors + place, entry)
            self._produced += 1

    def ring(self) -> None:
        """Ring the doorbell for all that has been posted."""
        self._doorbell.transmit.write(producer=self._produced % (1 << 16))


@contextmanager
def open_identity_ring(
    make: Callable[[], SharedAdapter], *, memory_bytes: int, memory: MemoryManner, **ring: int
) -> Iterator[tuple[NativeEngine, IdentityRing]]:
    """An adapter on the native engine, and its `IdentityRing`; closed in the end.

    `memory` tells how the memory of `memory_bytes` answers; `ring` are parameters of the ring.
    """
    engine = NativeEngine(make, BoardParameters(memory_bytes=memory_bytes, memory=memory))
    try:
        yield engine, IdentityRing(engine.registers, engine.memory, **ring)
    finally:
        engine.close()
