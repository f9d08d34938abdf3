"""What an AXI4 master asks for, for test benches: fields of an address channel, and their burst."""

from byway.rtl.bus.axi4 import Burst
from byway.sim.axi_memory_bench import AXIBurst

__all__ = ["as_burst", "make_request"]


def make_request(address, *, user=0, beats=1, size=3, burst: int = Burst.INCR, id=0):
    """Fields of an AR or AW channel, for a request at an I/O bus address."""
    return {
        "id": id,
        "addr": address,
        "len": beats - 1,
        "size": size,
        "burst": burst,
        "user": user,
    }


def as_burst(request, address):
    """A request as the memory is to see it, at a system address."""
    return AXIBurst(
        id=request["id"],
        address=address,
        beats=request["len"] + 1,
        size=request["size"],
        user=request["user"],
        cycle=0,
    )
