"""A stream of frames through the shared adapter, its IOTLB cold and then warm.

The frames lie one after the other in memory, over as many pages as they need; ring 0 sends all of
them by one doorbell, and then the same once more.
"""

import random
from dataclasses import dataclass

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.engines.engine import EngineError
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

__all__ = ["AdapterStream", "stream_frames"]

_MEMORY_BYTES = 1 << 20
#: Pages: so that none of these shares a set of the IOTLB with more than one of the data.
_TABLE, _DESCRIPTORS, _COMPLETIONS, _DATA = 1, 8, 9, 32
_SIZE_LOG2 = 7
_LIMIT_CYCLES = 2_000_000


@dataclass(frozen=True)
class AdapterStream:
    """How the two streams went.

    Attributes
    ----------
    pages : int
        That the frames lie in.
    cold_cycles, warm_cycles : int
        From the doorbell to the last byte on the wire.
    cold_misses, warm_misses : int
        Walks that a request had to wait for.
    """

    pages: int
    cold_cycles: int
    warm_cycles: int
    cold_misses: int
    warm_misses: int


def stream_frames(*, frame_bytes: int, frames: int, latency: int) -> AdapterStream:
    """Send `frames` of `frame_bytes` twice, with a memory of `latency` cycles.

    There may be at most 64 frames, in at most 24 pages: so all of them stay in the IOTLB. Raises
    `EngineError` if a frame does not arrive as it is.
    """
    manner = MemoryManner(latency=latency)
    engine = NativeEngine(SharedAdapter, BoardParameters(memory_bytes=_MEMORY_BYTES, memory=manner))
    try:
        data = random.Random(frame_bytes).randbytes(frame_bytes * frames)
        _set_up(engine, data, frame_bytes)
        cold, cold_misses = _send(engine, data, frame_bytes, produced=frames)
        warm, warm_misses = _send(engine, data, frame_bytes, produced=2 * frames)
    finally:
        engine.close()
    return AdapterStream(-(-len(data) // PAGE_SIZE), cold, warm, cold_misses, warm_misses)


def _set_up(engine: NativeEngine, data: bytes, frame_bytes: int) -> None:
    memory, registers = engine.memory, engine.registers
    pages = _MEMORY_BYTES // PAGE_SIZE
    for page in range(pages):
        entry = TranslationControlEntry(read=1, write=1, rpn=page)
        memory.write(_TABLE * PAGE_SIZE + TranslationControlEntry.SIZE * page, entry.pack())
    memory.write(_DATA * PAGE_SIZE, data)
    frames = len(data) // frame_bytes
    for number in range(2 * frames):
        descriptor = TransmitDescriptor(
            address=_DATA * PAGE_SIZE + number % frames * frame_bytes,
            fragment_length=frame_bytes,
            fragments=1,
            total_length=frame_bytes,
            correlator=number,
        )
        place = _DESCRIPTORS * PAGE_SIZE + TransmitDescriptor.SIZE * number
        memory.write(place, descriptor.pack())
    window = WindowPage(registers, WINDOW_PAGE).window[0]
    window.table_base.write(page=_TABLE)
    window.size.write(entries=pages)
    window.control.write(enable=1)
    ManagerPage(registers, MANAGER_PAGE).binding[0].write(valid=1, window=0)
    adapter = AdapterPage(registers, ADAPTER_PAGE)
    ring = adapter.ring[0]
    ring.descriptor_base.write(page=_DESCRIPTORS)
    ring.completion_base.write(page=_COMPLETIONS)
    ring.size.write(size_log2=_SIZE_LOG2)
    ring.control.write(enable=1)
    adapter.mac_control.write(transmit_enable=1)


def _send(engine: NativeEngine, data: bytes, frame_bytes: int, *, produced: int) -> tuple[int, int]:
    """Ring the doorbell; returns cycles, and misses."""
    misses = ManagerPage(engine.registers, MANAGER_PAGE).iotlb_misses
    before = misses.read().count
    begun = engine.cycle
    DoorbellPage(engine.registers, DOORBELL_PAGE).transmit.write(producer=produced)
    limit = begun + _LIMIT_CYCLES
    last = begun
    for place in range(0, len(data), frame_bytes):
        while not engine.frames and engine.cycle < limit:
            engine.run(limit - engine.cycle)
        frame = engine.frames.popleft() if engine.frames else None
        if frame is None or frame.data != data[place : place + frame_bytes]:
            raise EngineError(f"The frame at byte {place} of the stream did not arrive")
        last = frame.last_cycle
    engine.run(_LIMIT_CYCLES, until_rest=True)
    return last - begun + 1, misses.read().count - before
