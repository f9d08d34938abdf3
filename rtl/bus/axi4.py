"""AXI4 bundles [AMBA AXI4, IHI 0022, A2].

The signals have the standard's own names, so that a port called ``m_axi`` exports as
``m_axi_awaddr`` and so on. Bundles are described from the side of the master. AxUSER carries the
requester, which the translation bridge turns into a window. Signals that no part of Byway looks
at (lock, cache, prot, qos, region) are left to the system that instantiates the exported Verilog.
"""

import enum

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = [
    "PAGE_BYTES",
    "AXI4ReadSignature",
    "AXI4Signature",
    "AXI4WriteSignature",
    "Burst",
    "Resp",
    "check_widths",
]

#: No burst crosses an address that is a multiple of this [A3.4.1]; also the page of translation.
PAGE_BYTES = 4096


class Burst(enum.IntEnum):
    """AxBURST [A3.4.1]."""

    FIXED = 0
    INCR = 1
    WRAP = 2


class Resp(enum.IntEnum):
    """RRESP and BRESP [A3.4.4]."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def check_widths(addr_width: int, data_width: int) -> None:
    """Raise `ValueError` unless a bus may have addresses and data of so many bits."""
    if addr_width not in range(12, 65):
        raise ValueError(f"Address width must be 12 to 64 bits, not {addr_width!r}")
    if data_width not in (32, 64, 128, 256, 512, 1024):
        raise ValueError(
            f"Data width must be a power of two from 32 to 1024 bits, not {data_width!r}"
        )


def _address_channel(prefix: str, addr_width: int, id_width: int, user_width: int):
    return {
        f"{prefix}id": Out(id_width),
        f"{prefix}addr": Out(addr_width),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(2),
        f"{prefix}user": Out(user_width),
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
    }


def _read_channels(addr_width: int, data_width: int, id_width: int, user_width: int):
    return {
        **_address_channel("ar", addr_width, id_width, user_width),
        "rid": In(id_width),
        "rdata": In(data_width),
        "rresp": In(2),
        "rlast": In(1),
        "rvalid": In(1),
        "rready": Out(1),
    }


def _write_channels(addr_width: int, data_width: int, id_width: int, user_width: int):
    return {
        **_address_channel("aw", addr_width, id_width, user_width),
        "wdata": Out(data_width),
        "wstrb": Out(data_width // 8),
        "wlast": Out(1),
        "wvalid": Out(1),
        "wready": In(1),
        "bid": In(id_width),
        "bresp": In(2),
        "bvalid": In(1),
        "bready": Out(1),
    }


class _AXI4Bundle(wiring.Signature):
    """What the three bundles share: their parameters, checked, and their channels."""

    def __init__(
        self, channels, *, addr_width: int, data_width: int, id_width: int, user_width: int
    ):
        check_widths(addr_width, data_width)
        if id_width < 1:
            raise ValueError(f"ID width must be a positive integer, not {id_width!r}")
        if user_width < 1:
            raise ValueError(f"User width must be a positive integer, not {user_width!r}")
        self.addr_width = addr_width
        self.data_width = data_width
        self.id_width = id_width
        self.user_width = user_width
        members = {}
        for channel in channels:
            members |= channel(addr_width, data_width, id_width, user_width)
        super().__init__(members)

    @property
    def parameters(self) -> dict[str, int]:
        """The widths, as keyword arguments for another bundle."""
        return {
            "addr_width": self.addr_width,
            "data_width": self.data_width,
            "id_width": self.id_width,
            "user_width": self.user_width,
        }


class AXI4ReadSignature(_AXI4Bundle):
    """The AR and R channels of an AXI4 master.

    Parameters
    ----------
    addr_width, data_width, id_width, user_width : int
        Widths in bits of AxADDR, xDATA, xID and AxUSER.
    """

    def __init__(self, *, addr_width: int, data_width: int, id_width: int, user_width: int):
        super().__init__(
            [_read_channels],
            addr_width=addr_width,
            data_width=data_width,
            id_width=id_width,
            user_width=user_width,
        )


class AXI4WriteSignature(_AXI4Bundle):
    """The AW, W and B channels of an AXI4 master; parameters as `AXI4ReadSignature`."""

    def __init__(self, *, addr_width: int, data_width: int, id_width: int, user_width: int):
        super().__init__(
            [_write_channels],
            addr_width=addr_width,
            data_width=data_width,
            id_width=id_width,
            user_width=user_width,
        )


class AXI4Signature(_AXI4Bundle):
    """All five channels of an AXI4 master; parameters as `AXI4ReadSignature`."""

    def __init__(self, *, addr_width: int, data_width: int, id_width: int, user_width: int):
        super().__init__(
            [_write_channels, _read_channels],
            addr_width=addr_width,
            data_width=data_width,
            id_width=id_width,
            user_width=user_width,
        )
