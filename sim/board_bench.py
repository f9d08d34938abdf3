"""For tests of engines and of the board's parts: components with the ports of a shared adapter, and
packed vectors by pin name.
"""

from typing import Any

from amaranth.hdl import Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.axi4 import AXI4Signature
from byway.rtl.bus.axi4_lite import AXI4LiteSignature
from byway.rtl.mac.gmii import GmiiTransmitSignature
from byway.sim.board.board import Board
from byway.sim.board.pins import Pin, Pins

__all__ = ["AdapterShell", "adapter_pins", "lay_out", "pack", "unpack"]


def _adapter_ports(address_width: int, **memory: int) -> wiring.Signature:
    axi = {"addr_width": 64, "data_width": 64, "id_width": 6, "user_width": 8, **memory}
    return wiring.Signature(
        {
            "s_axil": In(AXI4LiteSignature(addr_width=address_width)),
            "m_axi": Out(AXI4Signature(**axi)),
            "gmii": Out(GmiiTransmitSignature()),
            "adapter_interrupt": Out(1),
            "manager_interrupt": Out(1),
            "quiescent": Out(1),
        }
    )


class AdapterShell(wiring.Component):
    """The ports of a shared adapter; what is behind them is for those who inherit.

    Parameters
    ----------
    address_width : int
        Bits of a register's address.
    memory : dict
        Parameters of the port to memory, where they are not those of an adapter of two rings.
    """

    s_axil: Any
    m_axi: Any
    gmii: Any
    adapter_interrupt: Signal
    manager_interrupt: Signal
    quiescent: Signal

    def __init__(self, *, address_width: int, **memory: int):
        super().__init__(_adapter_ports(address_width, **memory))


def lay_out(signature: wiring.Signature, *, first: tuple[str, ...] = ()) -> Pins:
    """Pins of ports with nothing behind them, as `Pins.of` lays them out."""
    component: Any = signature.create()
    return Pins.of(component, first=first)


def adapter_pins() -> Pins:
    """Pins like those of a shared adapter."""
    return lay_out(_adapter_ports(16), first=Board.pin_order)


def pack(side: dict[str, Pin], prefix: str = "", /, **values: int) -> int:
    """A vector with the pins named after `prefix` at `values`, all others low.

    Raises `ValueError` if a value does not fit its pin.
    """
    vector = 0
    for name, value in values.items():
        pin = side[prefix + name]
        if value >> pin.width:
            raise ValueError(f"{prefix}{name} has {pin.width} bits, too few for {value:#x}")
        vector |= value << pin.offset
    return vector


def unpack(side: dict[str, Pin], vector: int, prefix: str = "") -> dict[str, int]:
    """Values of the pins that begin with `prefix`, by the rest of their names.

    Raises `ValueError` if a bit beyond the pins is high.
    """
    if vector >> sum(pin.width for pin in side.values()):
        raise ValueError("The vector has bits beyond its pins")
    return {
        name[len(prefix) :]: pin.of(vector) for name, pin in side.items() if name.startswith(prefix)
    }
