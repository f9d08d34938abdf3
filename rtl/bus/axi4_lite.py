"""The AXI4-Lite bundle [AMBA AXI4, IHI 0022, B1], from the side of the master."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXI4LiteSignature"]


class AXI4LiteSignature(wiring.Signature):
    """The five channels of an AXI4-Lite master with 32-bit data.

    Parameters
    ----------
    addr_width : int
        Width of the byte addresses in bits.
    """

    def __init__(self, *, addr_width: int):
        if addr_width < 2:
            raise ValueError(f"Address width must be at least 2 bits, not {addr_width!r}")
        self.addr_width = addr_width
        self.data_width = 32
        super().__init__(
            {
                "awaddr": Out(addr_width),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(addr_width),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )
