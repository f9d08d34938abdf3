"""A stream of frames through the shared adapter, its IOTLB cold and then warm.

The frames lie one after the other in memory, over as many pages as they need; ring 0 sends all of
them by one doorbell, and then the same once more.
"""

import random
from dataclasses import dataclass

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.engine import EngineError
from byway.sim.engines.native import NativeEngine
from byway.sim.measure.arrivals import receive
from byway.sim.measure.identity_ring import IdentityRing, open_identity_ring
from byway.sw.contract.records import TransmitDescriptor
from byway.sw.contract.registers import MANAGER_PAGE, PAGE_SIZE, ManagerPage

__all__ = ["AdapterStream", "stream_frames"]

_MEMORY_BYTES = 1 << 20
#: Pages: so that none of these shares a set of the IOTLB with more than one of the data.
_RING = {"table": 1, "descriptors": 8, "completions": 9, "size_log2": 7}
_DATA = 32
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
    data = random.Random(frame_bytes).randbytes(frame_bytes * frames)
    with open_identity_ring(
        SharedAdapter,
        memory_bytes=_MEMORY_BYTES,
        memory=MemoryManner(latency=latency),
        **_RING,
    ) as (engine, ring):
        engine.memory.write(_DATA * PAGE_SIZE, data)
        cold, cold_misses = _send(engine, ring, data, frame_bytes)
        warm, warm_misses = _send(engine, ring, data, frame_bytes)
    return AdapterStream(-(-len(data) // PAGE_SIZE), cold, warm, cold_misses, warm_misses)


def _send(
    engine: NativeEngine, ring: IdentityRing, data: bytes, frame_bytes: int
) -> tuple[int, int]:
    """Post all frames and ring the doorbell; returns cycles, and misses."""
    misses = ManagerPage(engine.registers, MANAGER_PAGE).iotlb_misses
    before = misses.read().count
    for place in range(0, len(data), frame_bytes):
        descriptor = TransmitDescriptor(
            address=_DATA * PAGE_SIZE + place,
            fragment_length=frame_bytes,
            fragments=1,
            total_length=frame_bytes,
        )
        ring.post(descriptor.pack())
    begun = engine.cycle
    ring.ring()
    frames = receive(engine, len(data) // frame_bytes, within=_LIMIT_CYCLES)
    if b"".join(frame.data for frame in frames) != data:
        raise EngineError("What came off the wire is not what the stream holds")
    engine.run(_LIMIT_CYCLES, until_rest=True)
    return frames[-1].last_cycle - begun + 1, misses.read().count - before
