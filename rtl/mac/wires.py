"""The wires that an adapter can have, and who sends frames over them."""

from typing import Any, NamedTuple

from byway.rtl.mac.gmii import GmiiTransmitSignature, GmiiTransmitter
from byway.rtl.mac.xgmii import XgmiiTransmitSignature, XgmiiTransmitter

__all__ = ["WIRES", "Wire", "wire_called"]


class Wire(NamedTuple):
    """A wire.

    Attributes
    ----------
    signature, transmitter : callable
        Make its port, and who sends over it. Transmitters have the same members, but for the port.
    outstanding, completions : int
        Data reads, and completion writes, that must be under way so that frames of the least size,
        which take one of each, fill it from a memory 200 cycles away.
    """

    signature: Any
    transmitter: Any
    outstanding: int
    completions: int


#: By name, which an adapter's port has, too.
WIRES = {
    "gmii": Wire(GmiiTransmitSignature, GmiiTransmitter, outstanding=16, completions=8),
    "xgmii": Wire(XgmiiTransmitSignature, XgmiiTransmitter, outstanding=32, completions=32),
}


def wire_called(name: str) -> Wire:
    """The wire of that name; raises `ValueError` if there is none."""
    if name not in WIRES:
        raise ValueError(f"Wire must be one of {', '.join(WIRES)}, not {name!r}")
    return WIRES[name]
