"""Watches the channels that the adapter drives for the one law that cocotbext-axi does not judge.

A valid once raised stays until it is taken, and what it offers stays as it is [AMBA AXI4, IHI 0022,
A3.2.1].
"""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

__all__ = ["watch_channels"]

#: Channels by the name of their valid without its end, and the signals they offer.
_CHANNELS = {
    "m_axi_ar": ("id", "addr", "len", "size", "burst", "user"),
    "m_axi_aw": ("id", "addr", "len", "size", "burst", "user"),
    "m_axi_w": ("data", "strb", "last"),
    "s_axil_r": ("data", "resp"),
    "s_axil_b": ("resp",),
}


def watch_channels(dut: Any) -> None:
    """Fail the flow from now on if a channel breaks the law."""
    for channel, names in _CHANNELS.items():
        cocotb.start_soon(_watch(dut, channel, names))


async def _watch(dut: Any, channel: str, names: tuple[str, ...]) -> None:
    valid, ready = (getattr(dut, f"{channel}{name}") for name in ("valid", "ready"))
    offered = [getattr(dut, f"{channel}{name}") for name in names]
    waiting = None
    while True:
        if waiting is None and not valid.value:
            await RisingEdge(valid)
        await RisingEdge(dut.clk)
        now = [int(signal.value) for signal in (valid, *offered)]
        if dut.rst.value:
            waiting = None
            continue
        assert waiting is None or now == waiting, f"{channel}: {now} instead of {waiting}"
        waiting = now if now[0] and not ready.value else None
