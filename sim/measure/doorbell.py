"""How long a frame takes from the doorbell to the wire, when nothing else is to do.

The adapter is at rest, and has sent the same frame before: every page that it needs is in the
IOTLB. The time is from the cycle in which the write of the doorbell has been answered to that of
the first preamble byte.
"""

from collections.abc import Callable

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.engine import EngineError
from byway.sim.engines.native import NativeEngine
from byway.sim.measure.arrivals import receive
from byway.sim.measure.identity_ring import IdentityRing, open_identity_ring
from byway.sw.contract.records import TransmitDescriptor
from byway.sw.contract.registers import MANAGER_PAGE, PAGE_SIZE, ManagerPage

__all__ = ["doorbell_to_wire"]

_MEMORY_BYTES = 1 << 18
_RING = {"table": 1, "descriptors": 2, "completions": 3, "size_log2": 4}
_DATA = 4
_LIMIT_CYCLES = 100_000
_IP, _TCP = 14, 34
_SUMMED = ("checksum_ipv4", "checksum_tcp")


def doorbell_to_wire(
    make: Callable[[], SharedAdapter], frame_bytes: int, *, latency: int, checksum: bool
) -> int:
    """Cycles for a frame of `frame_bytes`, with a memory of `latency` cycles.

    Parameters
    ----------
    frame_bytes : int
        Of a frame of TCP over IPv4, from 54 bytes on.
    checksum : bool
        The adapter inserts the checksums of both: all of the frame must be there before it leaves.

    Raises `EngineError` if the frame does not arrive as it must, or a page was not in the IOTLB.
    """
    whole, summed = _frame(frame_bytes), dict.fromkeys(_SUMMED, int(checksum))
    with open_identity_ring(
        make,
        memory_bytes=_MEMORY_BYTES,
        memory=MemoryManner(latency=latency),
        **_RING,
        **summed,
    ) as (engine, ring):
        engine.memory.write(_DATA * PAGE_SIZE, _without_checksums(whole) if checksum else whole)
        descriptor = TransmitDescriptor(
            address=_DATA * PAGE_SIZE,
            fragment_length=frame_bytes,
            fragments=1,
            total_length=frame_bytes,
            ip_offset=_IP,
            l4_offset=_TCP,
            **summed,
        )
        _send(engine, ring, descriptor.pack(), whole)
        misses = ManagerPage(engine.registers, MANAGER_PAGE).iotlb_misses
        before = misses.read().count
        cycles = _send(engine, ring, descriptor.pack(), whole)
        if misses.read().count != before:
            raise EngineError("A page of a frame that was sent before is not in the IOTLB")
    return cycles


def _frame(size: int) -> bytes:
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    packet /= IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="A")
    return bytes(packet / bytes(7 * place & 0xFF for place in range(size - len(packet))))


def _without_checksums(frame: bytes) -> bytes:
    spoilt = bytearray(frame)
    for place in (_IP + 10, _TCP + 16):
        spoilt[place : place + 2] = bytes(2)
    return bytes(spoilt)


def _send(engine: NativeEngine, ring: IdentityRing, entry: bytes, whole: bytes) -> int:
    """Cycles from the doorbell to the first preamble byte; the adapter rests before and after."""
    engine.run(_LIMIT_CYCLES, until_rest=True)
    ring.post(entry)
    ring.ring()
    rung = engine.cycle
    (frame,) = receive(engine, 1, within=_LIMIT_CYCLES)
    if frame.data != whole:
        raise EngineError("The frame did not leave as it must")
    engine.run(_LIMIT_CYCLES, until_rest=True)
    return frame.first_cycle - rung
