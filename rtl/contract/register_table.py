"""A register table: keeps what is in an external array, mostly in memory, and finds an element.

Fields with a reset value are flip-flops, so that reset gives it to all elements at once. The others
lie in memory, of which reset changes nothing. Software reads back what it wrote; a lookup shows
what was written up to the cycle before.

Clock domain: ``sync``. Latency: 1 cycle for writing and for reading, 0 for a lookup. Throughput: a
write, a read and a lookup in each cycle.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from byway.rtl.contract.external import ExternalSignature
from byway.rtl.contract.tree import Field, Group, Register

__all__ = ["RegisterTable"]


class _Placed(NamedTuple):
    """A field, the name it has in a lookup, and its bits in an element."""

    name: str
    field: Field
    bits: range


class RegisterTable(wiring.Component):
    """Keeps an external array of the contract.

    Parameters
    ----------
    array : Group or Register
        The array; its count does not matter.
    count : int
        Elements.
    number_width : int
        Bits of the number that is looked up.

    Members
    -------
    registers : In(ExternalSignature(array, count=count))
        The register bank.
    number : In(number_width)
        An element to look up.
    found : Out(data.StructLayout)
        Its fields, as ``control_enable`` of a group or ``valid`` of a single register. For a number
        that no element has, those with a reset value are 0, and the others undefined.

    Raises
    ------
    ValueError
        If `count` is less than 1.
    """

    registers: Any
    number: Signal
    found: Any

    def __init__(self, array: Group | Register, *, count: int, number_width: int):
        registers = ExternalSignature(array, count=count)
        self.count = count
        self._element_bits = array.stride * 8
        self._fields = list(_placed(array))
        found = {one.name: one.field.width for one in self._fields}
        super().__init__(
            {
                "registers": In(registers),
                "number": In(number_width),
                "found": Out(data.StructLayout(found)),
            }
        )

    def elaborate(self, platform):
        """Describe the memory, the flip-flops, and the two ways to read both."""
        m = Module()
        registers = self.registers
        read_element = Signal(self._element_bits)
        found_element = Signal(self._element_bits)
        readers = ((registers.read_index, read_element), (self.number, found_element))

        # Every byte of an element has a strobe; bits of the memory that no field has stay 0.
        in_memory = [one for one in self._fields if one.field.reset is None]
        in_flip_flops = [one for one in self._fields if one.field.reset is not None]
        stored = sum(1 << bit for one in in_memory for bit in one.bits)
        words = self._element_bits // len(registers.write_data)
        strobe = Signal(self._element_bits // 8)
        written = Signal(self._element_bits)
        lanes = len(registers.write_strobe)
        m.d.comb += strobe.word_select(registers.write_word, lanes).eq(registers.write_strobe)
        m.d.comb += written.eq(registers.write_data.replicate(words))

        if in_memory:
            depth = 1 << len(registers.write_index)  # There is a place for every index.
            m.submodules.memory = memory = Memory(shape=self._element_bits, depth=depth, init=[])
            writer = memory.write_port(granularity=8)
            m.d.comb += writer.addr.eq(registers.write_index)
            m.d.comb += writer.data.eq(written & stored)
            m.d.comb += writer.en.eq(strobe)
            for index, element in readers:
                reader = memory.read_port(domain="comb")
                m.d.comb += [reader.addr.eq(index), element.eq(reader.data)]

        for one in in_flip_flops:
            first, stop = one.bits.start, one.bits.stop
            layout = data.ArrayLayout(one.field.width, self.count)
            values = Signal(layout, name=one.name, init=[one.field.reset] * self.count)
            for lane in range(first // 8, (stop - 1) // 8 + 1):
                low, high = max(first, lane * 8), min(stop, lane * 8 + 8)
                target = values[registers.write_index][low - first : high - first]
                with m.If(strobe[lane]):
                    m.d.sync += target.eq(written[low:high])
            for index, element in readers:
                m.d.comb += element[first:stop].eq(values[index])

        m.d.sync += registers.read_data.eq(
            read_element.word_select(registers.read_word, len(registers.read_data))
        )
        for one in self._fields:
            m.d.comb += self.found[one.name].eq(found_element[one.bits.start : one.bits.stop])
        return m


def _placed(array: Group | Register) -> Iterator[_Placed]:
    for path, address, register in array.registers():
        for field in register.fields:
            start = address * 8 + field.low
            name = "_".join(map(str, (*path, field.name)))
            yield _Placed(name, field, range(start, start + field.width))
