"""A load for measurements: the wire is full from the doorbell on, and software need do nothing.

Ring 0 sends super-frames of one memory range through an identity-mapped window; that is half a
million cycles from a ring of 16 entries. It uses the register accessors alone, so that it runs
wherever registers and memory are.
"""

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from byway.sw.contract.records import (
    ScatterGatherEntry,
    TranslationControlEntry,
    TransmitDescriptor,
)
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

__all__ = ["MEMORY_BYTES", "start_load"]

#: Memory that the load needs.
MEMORY_BYTES = 1 << 20

_TABLE, _DESCRIPTORS, _COMPLETIONS, _HEADER, _PAYLOAD = (
    PAGE_SIZE * page for page in (1, 2, 3, 4, 16)
)
_SIZE_LOG2 = 4
_SUPER_FRAMES = (1 << _SIZE_LOG2) // 2
_HEADER_BYTES = 54
_PAYLOAD_BYTES = 65_000
_MSS = 1460


def start_load(registers: RegisterBus, memory: PhysicalMemory) -> None:
    """Set the adapter up and ring the doorbell once."""
    for page in range(MEMORY_BYTES // PAGE_SIZE):
        entry = TranslationControlEntry(read=1, write=1, rpn=page)
        memory.write(_TABLE + TranslationControlEntry.SIZE * page, entry.pack())
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(
        src="10.0.0.1", dst="10.0.0.2", len=_HEADER_BYTES - 14 + _PAYLOAD_BYTES
    )
    memory.write(_HEADER, bytes(packet / TCP(flags="A")))
    memory.write(_PAYLOAD, bytes(7 * place & 0xFF for place in range(_PAYLOAD_BYTES)))
    for number in range(_SUPER_FRAMES):
        descriptor = TransmitDescriptor(
            address=_HEADER,
            fragment_length=_HEADER_BYTES,
            fragments=2,
            total_length=_HEADER_BYTES + _PAYLOAD_BYTES,
            mss=_MSS,
            header_length=_HEADER_BYTES,
            ip_offset=14,
            l4_offset=34,
            large_send=1,
            correlator=number,
        )
        payload = ScatterGatherEntry(first_address=_PAYLOAD, first_length=_PAYLOAD_BYTES)
        memory.write(
            _DESCRIPTORS + 2 * TransmitDescriptor.SIZE * number,
            descriptor.pack() + payload.pack(),
        )

    adapter = AdapterPage(registers, ADAPTER_PAGE)
    window = WindowPage(registers, WINDOW_PAGE).window[0]
    window.table_base.write(page=_TABLE // PAGE_SIZE)
    window.size.write(entries=MEMORY_BYTES // PAGE_SIZE)
    window.control.write(enable=1)
    ManagerPage(registers, MANAGER_PAGE).binding[0].write(valid=1, window=0)
    ring = adapter.ring[0]
    ring.descriptor_base.write(page=_DESCRIPTORS // PAGE_SIZE)
    ring.completion_base.write(page=_COMPLETIONS // PAGE_SIZE)
    ring.size.write(size_log2=_SIZE_LOG2)
    ring.offloads.write(checksum_ipv4=1, checksum_tcp=1, large_send_v4=1, scatter_gather=1)
    ring.control.write(enable=1)
    adapter.mac_control.write(transmit_enable=1)
    DoorbellPage(registers, DOORBELL_PAGE).transmit.write(producer=2 * _SUPER_FRAMES)
