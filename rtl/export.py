"""Verilog with standard port names: ``s_axil_awaddr``, ``m_axi_araddr``, ``gmii_txd``.

Amaranth joins the names of nested interfaces with two underscores; other people's systems and bus
models expect one.
"""

from amaranth.back import verilog
from amaranth.hdl import Value, ValueCastable
from amaranth.lib import wiring

__all__ = ["ports", "to_verilog"]


def ports(component: wiring.Component) -> dict:
    """Ports of `component` by standard name, in the form that Amaranth's back ends take."""
    result = {}
    for path, _member, value in component.signature.flatten(component):
        if isinstance(value, ValueCastable):
            value = value.as_value()
        result["_".join(map(str, path))] = (Value.cast(value), None)  # Direction: as driven.
    return result


def to_verilog(component: wiring.Component, name: str) -> str:
    """`component` as one Verilog text with the top module `name`; ``clk`` and ``rst`` are ports."""
    return verilog.convert(component, name=name, ports=ports(component), emit_src=False)
