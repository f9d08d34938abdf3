"""Writes the Python accessors of ``sw/contract``: registers by page, records in memory, codes.

Pure text from the model. What all accessors share stands in ``sw/contract/access.py``, so that what
is generated here is little more than a table to read.
"""

import textwrap
from collections.abc import Iterable, Iterator

from byway.rtl.bus.axi4 import PAGE_BYTES
from byway.rtl.contract.model import (
    MAXIMUM_RINGS,
    MAXIMUM_WINDOWS,
    enumerations,
    records,
    register_space,
)
from byway.rtl.contract.tree import WORD_BITS, Field, FieldKind, Group, Register

__all__ = ["NOTICE", "records_module", "registers_module"]

NOTICE = "Generated from rtl/contract/byway.rdl by make contract; do not edit."

_LINE_LENGTH = 100


def registers_module() -> str:
    """Text of ``sw/contract/registers.py``.

    Arrays are as long as there is room for; the identity page tells how long they are.
    """
    space = register_space(rings=MAXIMUM_RINGS, windows=MAXIMUM_WINDOWS)
    pages = [page for page in space.members if isinstance(page, Group)]
    groups = [group for page in pages for group in _innermost_first(page)]
    names = _codes_of(groups)

    constants = {"PAGE_SIZE": PAGE_BYTES}
    for page in pages:
        constants[f"{page.name.upper()}_PAGE"] = page.offset
        if page.count is not None:
            constants[f"{page.name.upper()}_STRIDE"] = page.stride

    return "\n".join(
        [
            f"# {NOTICE}",
            '"""The registers by page, and the offsets of the pages in the register space.',
            "",
            "A page's accessor takes the bus that the page is on and its offset there.",
            '"""',
            "",
            "import enum",
            "from dataclasses import dataclass",
            "from typing import ClassVar",
            "",
            "from byway.sw.contract.access import (",
            *_indented("Array,\nFields,\nReadOnlyRegister,\nReadWriteRegister,\nbits,"),
            ")",
            "from byway.sw.hardware import RegisterBus",
            "",
            *_all(
                [*constants, *map(_title, names), *(_title(group.type_name) for group in groups)]
            ),
            "",
            *(f"{name} = 0x{value:04X}" for name, value in constants.items()),
            *(line for name in names for line in _enumeration(name)),
            *(line for group in groups for line in _register_classes(group)),
            "",
        ]
    )


def records_module() -> str:
    """Text of ``sw/contract/records.py``."""
    groups = list(records().values())
    names = _codes_of(groups)
    return "\n".join(
        [
            f"# {NOTICE}",
            '"""The records in memory that hardware and software share."""',
            "",
            "import enum",
            "from dataclasses import dataclass",
            "from typing import ClassVar",
            "",
            "from byway.sw.contract.access import Record, bits",
            "",
            *_all([*map(_title, names), *(_title(group.name) for group in groups)]),
            *(line for name in names for line in _enumeration(name)),
            *(line for group in groups for line in _record_class(group)),
            "",
        ]
    )


def _title(name: str) -> str:
    return "".join(map(str.capitalize, name.split("_")))


def _fields_title(group: Group, register: Register) -> str:
    """``RingStatus`` of ``ring_registers.status``, ``ManagerFaults`` of ``manager_page.faults``."""
    return _title(
        f"{group.type_name.removesuffix('_registers').removesuffix('_page')}_{register.name}"
    )


def _innermost_first(group: Group) -> Iterator[Group]:
    for member in group.members:
        if isinstance(member, Group):
            yield from _innermost_first(member)
    yield group


def _registers_of(group: Group) -> Iterator[Register]:
    return (member for member in group.members if isinstance(member, Register))


def _codes_of(groups: Iterable[Group]) -> list[str]:
    used = {
        field.code
        for group in groups
        for register in _registers_of(group)
        for field in register.fields
        if field.code is not None
    }
    return sorted(used)


def _indented(text: str) -> list[str]:
    return [line and f"    {line}" for line in text.splitlines()]


def _all(names: Iterable[str]) -> list[str]:
    ordered = sorted(names, key=lambda name: (not name.isupper(), name))
    return ["__all__ = [", *(f'    "{name}",' for name in ordered), "]"]


def _docstring(text: str) -> list[str]:
    width = _LINE_LENGTH - 4
    summary, _stop, rest = text.partition(". ")
    if len(f'"""{text}"""') <= width:
        return _indented(f'"""{text}"""')
    if len(f'"""{summary}.') <= width:
        return _indented(f'"""{summary}.\n\n{textwrap.fill(rest, width)}\n"""')
    return _indented(textwrap.fill(f'"""{text}', width) + '\n"""')


def _comment(text: str) -> list[str]:
    return _indented(textwrap.fill(f"#: {text}", _LINE_LENGTH - 4, subsequent_indent="#: "))


def _enumeration(name: str) -> Iterator[str]:
    code = enumerations()[name]
    yield from ("", "", f"class {_title(name)}(enum.IntEnum):")
    yield from (f'    """Codes of {name.replace("_", " ")}."""', "")
    for member in code:
        yield from _comment(member.rdl_desc or member.name)
        yield f"    {member.name.upper()} = {member.value}"


def _field(field: Field, base: int, *, reset: bool) -> list[str]:
    kind = "int" if field.code is None else _title(field.code)
    arguments = [str(base + field.low), str(field.width)]
    is_set = field.kind is FieldKind.CONSTANT or (field.writable and not field.write_one_clears)
    if reset and is_set and field.reset:
        arguments.append(f"reset={field.reset}")
    if field.code is not None:
        arguments.append(f"code={kind}")
    return [
        *_comment(field.description),
        f"    {field.name}: {kind} = bits({', '.join(arguments)})",
    ]


def _register_classes(group: Group) -> Iterator[str]:
    """A dataclass for the fields of each register, then the accessor of the group."""
    for register in _registers_of(group):
        yield from ("", "", "@dataclass(frozen=True, kw_only=True)")
        yield f"class {_fields_title(group, register)}(Fields):"
        yield from (*_docstring(register.description), "")
        if register.width != WORD_BITS:
            yield from (f"    SIZE: ClassVar[int] = {register.width // 8}", "")
        for field in register.fields:
            yield from _field(field, 0, reset=True)

    yield from ("", "", f"class {_title(group.type_name)}:")
    yield from (*_docstring(group.description), "")
    yield "    def __init__(self, bus: RegisterBus, base: int = 0):"
    for member in group.members:
        if isinstance(member, Group):
            make, arguments = _title(member.type_name), ""
        else:
            make = "ReadWriteRegister" if member.writable else "ReadOnlyRegister"
            arguments = f", {_fields_title(group, member)}"
        if member.count is None:
            offset = f"base + 0x{member.offset:02X}"
            yield f"        self.{member.name} = {make}(bus, {offset}{arguments})"
        else:
            yield f"        self.{member.name} = Array("
            yield f"            lambda offset: {make}(bus, offset{arguments}),"
            yield f"            offset=base + 0x{member.offset:02X},"
            yield f"            stride=0x{member.stride:02X},"
            yield f"            length={member.count},"
            yield "        )"


def _record_class(record: Group) -> Iterator[str]:
    yield from ("", "", "@dataclass(frozen=True, kw_only=True)")
    yield f"class {_title(record.name)}(Record):"
    yield from (*_docstring(record.description), "")
    yield from (f"    SIZE: ClassVar[int] = {record.size}", "")
    for _path, address, register in record.registers():
        for field in register.fields:
            yield from _field(field, address * 8, reset=False)
