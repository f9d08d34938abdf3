"""Verilog with standard port names: ``s_axil_awaddr``, ``m_axi_araddr``, ``gmii_txd``.

Amaranth joins the names of nested interfaces with two underscores; other people's systems and bus
models expect one. In Verilog the output registers of block RAM have no initial value, in Amaranth
they start as 0: here they do as well, so that simulators with an unknown value agree.
"""

import re

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


#: Declaration of a memory's output register, which Yosys leaves nameless.
_READ_REGISTER = re.compile(r"^(\s*reg \[\d+:0\] _\d+_);$", re.MULTILINE)


def to_verilog(component: wiring.Component, name: str) -> str:
    """`component` as one Verilog text with the top module `name`; ``clk`` and ``rst`` are ports."""
    text = verilog.convert(component, name=name, ports=ports(component), emit_src=False)
    return _READ_REGISTER.sub(r"\1 = 0;", text)
