"""A super-frame of TCP over IPv4, as two fragments in memory."""

from collections.abc import Sequence
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from byway.sw.contract.records import ScatterGatherEntry, TransmitDescriptor
from byway.sw.hardware import PhysicalMemory

__all__ = ["OFFLOADS", "place_super_frame"]

#: What must be granted to a ring that sends one.
OFFLOADS = {"checksum_ipv4": 1, "checksum_tcp": 1, "large_send_v4": 1, "scatter_gather": 1}

_IP, _TCP = 14, 34


def place_super_frame(
    memory: PhysicalMemory,
    *,
    header: int,
    payload: int,
    data: bytes,
    mss: int,
    tcp_options: Sequence[Any] = (),
) -> tuple[bytes, bytes]:
    """Write the header and `data` to these addresses; returns the entries that send them.

    Parameters
    ----------
    mss : int
        Most payload bytes of a segment.
    tcp_options : sequence
        As scapy has them.
    """
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    packet /= IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="A", options=list(tcp_options))
    header_bytes = len(packet)
    packet[IP].len = header_bytes - _IP + len(data)
    memory.write(header, bytes(packet))
    memory.write(payload, data)
    descriptor = TransmitDescriptor(
        address=header,
        fragment_length=header_bytes,
        fragments=2,
        total_length=header_bytes + len(data),
        mss=mss,
        header_length=header_bytes,
        ip_offset=_IP,
        l4_offset=_TCP,
        large_send=1,
    )
    rest = ScatterGatherEntry(first_address=payload, first_length=len(data))
    return descriptor.pack(), rest.pack()
