"""A load for measurements: the wire is full from the doorbell on, and software need do nothing.

Ring 0 sends super-frames of one memory range through an identity-mapped window; that is half a
million cycles from a ring of 16 entries. It uses the register accessors alone, so that it runs
wherever registers and memory are.
"""

from byway.sim.measure.identity_ring import IdentityRing
from byway.sim.measure.super_frame import OFFLOADS, place_super_frame
from byway.sw.contract.registers import PAGE_SIZE
from byway.sw.hardware import PhysicalMemory, RegisterBus

__all__ = ["MEMORY_BYTES", "start_load"]

#: Memory that the load needs.
MEMORY_BYTES = 1 << 20

_TABLE, _DESCRIPTORS, _COMPLETIONS, _HEADER, _PAYLOAD = 1, 2, 3, 4, 16
_SIZE_LOG2 = 4
_SUPER_FRAMES = (1 << _SIZE_LOG2) // 2
_PAYLOAD_BYTES = 65_000
_MSS = 1460


def start_load(registers: RegisterBus, memory: PhysicalMemory) -> None:
    """Set the adapter up and ring the doorbell once."""
    ring = IdentityRing(
        registers,
        memory,
        table=_TABLE,
        descriptors=_DESCRIPTORS,
        completions=_COMPLETIONS,
        size_log2=_SIZE_LOG2,
        **OFFLOADS,
    )
    entries = place_super_frame(
        memory,
        header=_HEADER * PAGE_SIZE,
        payload=_PAYLOAD * PAGE_SIZE,
        data=bytes(7 * place & 0xFF for place in range(_PAYLOAD_BYTES)),
        mss=_MSS,
    )
    for _number in range(_SUPER_FRAMES):
        ring.post(*entries)
    ring.ring()
