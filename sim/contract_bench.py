"""What ``byway.rdl`` says of every register and field, for test benches.

It is read from SystemRDL properties here, not from the model that the hardware is built from.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

from systemrdl.node import FieldNode, RegNode
from systemrdl.rdltypes.builtin_enums import OnWriteType

from byway.rtl.contract.model import elaborate

__all__ = [
    "Values",
    "Word",
    "clears",
    "fields",
    "has_value",
    "is_input",
    "on_bus",
    "reset_values",
    "sets",
    "strobed",
    "words",
    "write_storage",
]

#: Of fields, by path.
Values = dict[str, int]


class Word(NamedTuple):
    """One 32-bit access: its address, its register, the register's bit that is its bit 0."""

    address: int
    register: RegNode
    base: int

    def fields(self) -> Iterator[tuple[FieldNode, int]]:
        """Fields with bits here, and the place of their bit 0 here, which may be negative."""
        for field in self.register.fields():
            if field.low < self.base + 32 and field.high >= self.base:
                yield field, field.low - self.base


@functools.cache
def words(rings: int, windows: int, *, external: bool = False) -> list[Word]:
    """Every word of the bank, or else of external arrays, from the SystemRDL source."""
    return [
        Word(node.absolute_address + base // 8, node, base)
        for node in elaborate("byway", rings, windows).top.descendants(unroll=True)
        if isinstance(node, RegNode) and node.external == external
        for base in range(0, node.get_property("regwidth"), 32)
    ]


def fields(rings: int, windows: int) -> list[FieldNode]:
    """Every field of the register space."""
    return [
        field
        for word in words(rings, windows)
        if word.base == 0
        for field in word.register.fields()
    ]


def clears(field: FieldNode) -> bool:
    """Software clears its bits by writing ones."""
    return field.get_property("onwrite") is OnWriteType.woclr


def sets(field: FieldNode) -> bool:
    """Software sets its bits by writing ones."""
    return field.get_property("onwrite") is OnWriteType.woset


def is_input(field: FieldNode) -> bool:
    """The hardware holds the field itself."""
    return field.is_hw_writable and not field.get_property("hwset")


def has_value(field: FieldNode) -> bool:
    """The field has a value that the bank holds and shows to the hardware."""
    return field.is_hw_readable and not field.get_property("singlepulse")


def strobed(strobe: int) -> int:
    """The mask of the bits whose bytes have a strobe."""
    return sum(0xFF << (8 * lane) for lane in range(4) if strobe >> lane & 1)


def reset_values(rings: int, windows: int) -> Values:
    """What every field should hold after reset, by path; inputs are taken as 0."""
    values = {}
    for field in fields(rings, windows):
        reset = field.get_property("reset")
        assert isinstance(reset, int), field.get_path()
        values[field.get_path()] = 0 if is_input(field) else reset
    return values


def write_storage(values: Values, word: Word, data: int, strobe: int) -> None:
    """What a write should do to the fields that hold what software writes."""
    mask = strobed(strobe) << word.base
    for field, _place in word.fields():
        pulse = field.get_property("singlepulse")
        if field.is_sw_writable and not clears(field) and not pulse:
            path = field.get_path()
            ones = (mask >> field.low) & ((1 << field.width) - 1)
            written = ((data << word.base) >> field.low) & ones
            values[path] = written | (values[path] if sets(field) else values[path] & ~ones)


def on_bus(values: Values, word: Word) -> int:
    """What reading a word should give."""
    register = sum(
        values[field.get_path()] << field.low
        for field in word.register.fields()
        if field.is_sw_readable
    )
    return register >> word.base & 0xFFFF_FFFF
