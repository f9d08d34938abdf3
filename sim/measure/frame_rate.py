"""How many frames a second leave the shared adapter, of one size, and of one large send.

Ring 0 is told of all of them by one doorbell. What counts begins when a quarter has left, so that
neither the first walks nor full buffers do.
"""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.wire import Wire
from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.engine import EngineError
from byway.sim.engines.native import NativeEngine
from byway.sim.measure.arrivals import receive
from byway.sim.measure.figures import Limit
from byway.sim.measure.identity_ring import IdentityRing, open_identity_ring
from byway.sim.measure.super_frame import OFFLOADS, place_super_frame
from byway.sim.wire.medium import OVERHEAD_BYTES
from byway.sw.contract.records import TransmitDescriptor
from byway.sw.contract.registers import PAGE_SIZE

__all__ = ["FrameRate", "large_send_rate", "single_frame_rate"]

_MEMORY_BYTES = 4 << 20
#: Pages; the ring has 1024 entries.
_RING = {"table": 1, "descriptors": 16, "completions": 32, "size_log2": 10}
_HEADER, _DATA = 48, 256
#: Frames lie in so many bytes, again and again, each from such a boundary on.
_SPAN, _BOUNDARY = 128 * PAGE_SIZE, 64
#: Reads and writes that the memory has under way.
_OUTSTANDING = 64
#: By how much slower than the wire a run may be before it is given up.
_PATIENCE = 10

#: With its option of 12 bytes, the header of a segment of 1448 bytes in a frame of 1514.
_TCP_OPTIONS = (("NOP", None), ("NOP", None), ("Timestamp", (1, 2)))
_HEADER_BYTES = 66
_SEGMENTS = 44


@dataclass(frozen=True)
class FrameRate:
    """What a run came to.

    Attributes
    ----------
    wire : Wire
    frame_bytes : int
    frames_per_second : float
    """

    wire: Wire
    frame_bytes: int
    frames_per_second: float

    @property
    def limit(self) -> Limit:
        """The rate of the same frames back to back."""
        bytes_per_second = self.wire.bits_per_second / 8
        return Limit(
            bytes_per_second / (self.frame_bytes + OVERHEAD_BYTES),
            f"{bytes_per_second / 1e6:.0f}e6 / ({self.frame_bytes} + {OVERHEAD_BYTES})",
        )


def single_frame_rate(
    make: Callable[[], SharedAdapter], frame_bytes: int, *, frames: int, latency: int
) -> FrameRate:
    """Send so many frames of `frame_bytes`, a descriptor each, with a memory of `latency` cycles.

    There may be at most 1023, of 60 bytes at least. Raises `EngineError` if one does not arrive as
    it is.
    """
    data = random.Random(frame_bytes).randbytes(_SPAN)
    step = -(-frame_bytes // _BOUNDARY) * _BOUNDARY
    places = [number % (_SPAN // step) * step for number in range(frames)]
    with _open(make, latency) as (engine, ring):
        engine.memory.write(_DATA * PAGE_SIZE, data)
        for place in places:
            descriptor = TransmitDescriptor(
                address=_DATA * PAGE_SIZE + place,
                fragment_length=frame_bytes,
                fragments=1,
                total_length=frame_bytes,
            )
            ring.post(descriptor.pack())
        arrived = _send(engine, ring, frames, frame_bytes)
    for place, frame in zip(places, arrived, strict=True):
        if frame.data != data[place : place + frame_bytes]:
            raise EngineError(f"A frame of {frame_bytes} bytes did not arrive as it is")
    return FrameRate(engine.wire, frame_bytes, _rate(arrived, engine.wire))


def large_send_rate(
    make: Callable[[], SharedAdapter], mss: int, *, super_frames: int, latency: int
) -> FrameRate:
    """Have super-frames cut into segments of `mss`, with a memory of `latency` cycles.

    There may be at most 511. Raises `EngineError` if a segment does not arrive.
    """
    data = random.Random(mss).randbytes(_SEGMENTS * mss)
    with _open(make, latency, **OFFLOADS) as (engine, ring):
        entries = place_super_frame(
            engine.memory,
            header=_HEADER * PAGE_SIZE,
            payload=_DATA * PAGE_SIZE,
            data=data,
            mss=mss,
            tcp_options=_TCP_OPTIONS,
        )
        for _number in range(super_frames):
            ring.post(*entries)
        arrived = _send(engine, ring, super_frames * _SEGMENTS, mss + _HEADER_BYTES)
    if b"".join(frame.data[_HEADER_BYTES:] for frame in arrived) != data * super_frames:
        raise EngineError(f"A segment of {mss} bytes did not arrive as it is")
    return FrameRate(engine.wire, mss + _HEADER_BYTES, _rate(arrived, engine.wire))


def _open(
    make: Callable[[], SharedAdapter], latency: int, **offloads: int
) -> AbstractContextManager[tuple[NativeEngine, IdentityRing]]:
    return open_identity_ring(
        make,
        memory_bytes=_MEMORY_BYTES,
        memory=MemoryManner(latency=latency, outstanding=_OUTSTANDING),
        **_RING,
        **offloads,
    )


def _send(
    engine: NativeEngine, ring: IdentityRing, frames: int, frame_bytes: int
) -> list[WireFrame]:
    back_to_back = frames * (frame_bytes + OVERHEAD_BYTES) // engine.wire.lanes
    ring.ring()
    return receive(engine, frames, within=_PATIENCE * back_to_back + PAGE_SIZE)


def _rate(frames: list[WireFrame], wire: Wire) -> float:
    """Frames a second behind the first quarter, from end to end of a frame."""
    behind = frames[len(frames) // 4 :]
    first, last = (
        frame.last_cycle * wire.lanes + frame.last_lane for frame in (behind[0], behind[-1])
    )
    return (len(behind) - 1) * wire.bits_per_second / 8 / (last - first)
