"""The bench as an engine: the drivers and scenarios of Byway run on other people's models."""

import struct
from collections import deque

from bench_adapter import FlowBench

from byway.rtl.contract.model import constant, register_space
from byway.sim.board.wire import Wire
from byway.sim.board.wire_frame import WireFrame
from byway.sim.flows.flow import PAGE, Pages
from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import WINDOW_PAGE, WindowPage

__all__ = ["FlowEngine"]

_BUSY = next(
    address
    for path, address, _register in register_space().registers()
    if path == ("manager", "invalidate_status")
)


class _Written:
    """What software wrote to each register last; `byway.sw.hardware.RegisterBus`."""

    def __init__(self):
        self._values: dict[int, int] = {}

    def read(self, offset: int) -> int:
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self._values[offset] = value


class _Grants:
    """Keeps what `memory` knows of grants equal to the TCE tables of the windows.

    A new entry counts at once. One that was taken back counts until software has been told that
    the invalidation is complete: until then beats may be under way.
    """

    def __init__(self, memory: Pages):
        self.written = _Written()
        self._memory = memory
        self._page = WindowPage(self.written, WINDOW_PAGE)
        self._tables: dict[int, bytes] = {}

    def extend(self) -> None:
        """Look for new entries."""
        for number in range(constant("geometry.windows")):
            window = self._page.window[number]
            if not window.control.read().enable:
                continue
            base = window.table_base.read().page
            size = window.size.read().entries * TranslationControlEntry.SIZE
            table = self._memory.software.read(base * PAGE, size)
            if table == self._tables.get(base):
                continue
            self._tables[base] = table
            self._memory.readable.update(range(base, base + -(-size // PAGE)))
            for (word,) in struct.iter_unpack("<Q", table):
                entry = TranslationControlEntry.from_int(word) if word else None
                if entry and entry.read:
                    self._memory.readable.add(entry.rpn)
                if entry and entry.write:
                    self._memory.writable.add(entry.rpn)

    def renew(self) -> None:
        """Forget what was taken back."""
        self._memory.readable.clear()
        self._memory.writable.clear()
        self._tables.clear()
        self.extend()


class _JudgedRegisters:
    """The bench's registers; tells `grants` of what matters to it."""

    def __init__(self, bench: FlowBench, grants: _Grants):
        self._bench = bench
        self._grants = grants

    def read(self, offset: int) -> int:
        self._grants.extend()
        value = self._bench.registers.read(offset)
        if offset == _BUSY and not value:
            self._grants.renew()
        return value

    def write(self, offset: int, value: int) -> None:
        self._grants.written.write(offset, value)
        self._grants.extend()
        self._bench.registers.write(offset, value)


class FlowEngine:
    """`byway.sim.engines.engine.Engine` over `bench`; grants are judged by the TCE tables."""

    name = "cocotbext"

    def __init__(self, bench: FlowBench):
        self.memory = bench.memory.software
        self.frames: deque[WireFrame] = deque()
        self._bench = bench
        self._grants = _Grants(bench.memory)
        self.registers = _JudgedRegisters(bench, self._grants)
        self._seen = 0

    @property
    def wire(self) -> Wire:
        """That of the adapter."""
        return self._bench.wire

    @property
    def cycle(self) -> int:
        """Cycles of simulated time."""
        return self._bench.cycle

    @property
    def time_ns(self) -> int:
        """Simulated time in nanoseconds."""
        return self.wire.ns(self._bench.cycle)

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return self._bench.adapter_interrupt

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return self._bench.manager_interrupt

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter."""
        return self._bench.quiescent

    def run(self, cycles: int, *, until_rest: bool = False) -> None:
        """Advance until software has something to do, at most `cycles`; see `Engine`."""
        self._grants.extend()
        self._bench.run_to_event(self._seen, cycles, until_rest)
        self.frames.extend(self._bench.frames[self._seen :])
        self._seen = len(self._bench.frames)

    def close(self) -> None:
        """Nothing to end: the flow ends the simulation."""
