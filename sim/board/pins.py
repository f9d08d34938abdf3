"""A component with its ports packed into two vectors.

An engine moves one vector in and one out each cycle, whatever the number of ports, so that the
models around the adapter cost little on every simulator.
"""

from dataclasses import dataclass
from typing import Any

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.export import ports

__all__ = ["Pin", "PinBench", "Pins"]


@dataclass(frozen=True)
class Pin:
    """Where a port lies in its vector."""

    offset: int
    width: int

    @property
    def mask(self) -> int:
        """The port's bits, in place."""
        return ((1 << self.width) - 1) << self.offset

    def of(self, vector: int) -> int:
        """Value of the port in `vector`."""
        return (vector >> self.offset) & ((1 << self.width) - 1)


@dataclass(frozen=True)
class Pins:
    """The two vectors of a `PinBench`: pins by standard port name, and widths in bits."""

    inputs: dict[str, Pin]
    outputs: dict[str, Pin]

    @staticmethod
    def of(component: wiring.Component, *, first: tuple[str, ...] = ()) -> "Pins":
        """Lay out the ports of `component`; those named by the prefixes in `first` come lowest."""
        widths = {name: len(value) for name, (value, _direction) in ports(component).items()}
        flows = {
            "_".join(map(str, path)): member.flow
            for path, member, _value in component.signature.flatten(component)
        }
        order = sorted(widths, key=lambda name: not name.startswith(first)) if first else widths
        inputs: dict[str, Pin] = {}
        outputs: dict[str, Pin] = {}
        for name in order:
            side = inputs if flows[name] == In else outputs
            offset = sum(pin.width for pin in side.values())
            side[name] = Pin(offset, widths[name])
        return Pins(inputs, outputs)

    @staticmethod
    def from_dict(plain: dict[str, dict[str, dict[str, int]]]) -> "Pins":
        """The pins of which `dataclasses.asdict` made `plain`."""
        sides = (
            {name: Pin(**pin) for name, pin in plain[side].items()}
            for side in ("inputs", "outputs")
        )
        return Pins(*sides)

    @property
    def input_width(self) -> int:
        """Width of the vector of inputs."""
        return sum(pin.width for pin in self.inputs.values())

    @property
    def output_width(self) -> int:
        """Width of the vector of outputs."""
        return sum(pin.width for pin in self.outputs.values())


class PinBench(wiring.Component):
    """`component` behind two vectors laid out by `pins`.

    Members
    -------
    inputs : In(pins.input_width)
    outputs : Out(pins.output_width)
    """

    inputs: Signal
    outputs: Signal

    def __init__(self, component: wiring.Component, pins: Pins):
        self.component: Any = component  # Amaranth's types do not say that it elaborates.
        self.pins = pins
        super().__init__({"inputs": In(pins.input_width), "outputs": Out(pins.output_width)})

    def elaborate(self, platform):
        """Join the vectors to the ports."""
        m = Module()
        m.submodules.adapter = self.component
        inner = ports(self.component)
        for name, pin in self.pins.inputs.items():
            m.d.comb += inner[name][0].eq(self.inputs[pin.offset : pin.offset + pin.width])
        for name, pin in self.pins.outputs.items():
            m.d.comb += self.outputs[pin.offset : pin.offset + pin.width].eq(inner[name][0])
        return m
