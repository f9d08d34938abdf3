"""The wires that an adapter can have, and who sends frames over them."""

from typing import Any

from byway.rtl.mac.gmii import GmiiTransmitSignature, GmiiTransmitter
from byway.rtl.mac.xgmii import XgmiiTransmitSignature, XgmiiTransmitter

__all__ = ["WIRES", "check_wire"]

#: Name of a wire, which its port has, too -> signature of the port, transmitter. Transmitters have
#: the same members, but for that port.
WIRES: dict[str, tuple[Any, Any]] = {
    "gmii": (GmiiTransmitSignature, GmiiTransmitter),
    "xgmii": (XgmiiTransmitSignature, XgmiiTransmitter),
}


def check_wire(wire: str) -> str:
    """`wire`; raises `ValueError` if there is none of that name."""
    if wire not in WIRES:
        raise ValueError(f"Wire must be one of {', '.join(WIRES)}, not {wire!r}")
    return wire
