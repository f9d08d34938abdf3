"""The contract as Python objects: registers, records, codes and constants of ``byway.rdl``.

`register_space` and `records` are trees of `Group`, `Register` and `Field`, from which the register
bank and everything generated are made. For the RTL there are three short ways in: `record` gives
the layout of a record in memory, `codes` an enumeration, `constant` a number of the identity page;
`external` is for what keeps an external array. The source is compiled once for each set of
parameters. What the register bank could not build is refused here, so that it can build any tree it
is given.
"""

import enum
import functools
import pathlib
from typing import Any

from amaranth import unsigned
from amaranth.lib import data
from systemrdl.compiler import RDLCompiler
from systemrdl.node import AddressableNode, AddrmapNode, FieldNode, RegNode, RootNode
from systemrdl.rdltypes.builtin_enums import OnWriteType
from systemrdl.rdltypes.user_enum import UserEnum

from byway.rtl.bus.axi4 import PAGE_BYTES
from byway.rtl.contract.tree import WORD_BITS, Field, FieldKind, Group, Register

__all__ = [
    "MAXIMUM_REQUESTERS",
    "MAXIMUM_RINGS",
    "MAXIMUM_WINDOWS",
    "SOURCE",
    "bridge_space",
    "codes",
    "constant",
    "elaborate",
    "enumerations",
    "external",
    "record",
    "records",
    "register_space",
]

SOURCE = pathlib.Path(__file__).with_name("byway.rdl")

#: The adapter page's interrupt summary has a bit for each ring, 32 in all.
MAXIMUM_RINGS = 32
#: A fault record can name this many; the manager page has room for as many bindings.
MAXIMUM_REQUESTERS = 256
#: The window page has room for this many windows.
MAXIMUM_WINDOWS = 256


@functools.cache
def elaborate(top: str, rings: int | None = None, windows: int | None = None) -> RootNode:
    """Compile the source with the addrmap `top`; parameters are those of `register_space`."""
    compiler = RDLCompiler()
    compiler.compile_file(str(SOURCE))
    parameters: dict[str, Any] = {}
    if rings is not None:
        parameters["RINGS"] = rings
    if windows is not None:
        parameters["WINDOWS"] = windows
    return compiler.elaborate(top, parameters=parameters)


@functools.cache
def register_space(*, rings: int | None = None, windows: int | None = None) -> Group:
    """The register space: its pages, and in them registers.

    Parameters
    ----------
    rings, windows : int or None
        Transmit rings and translation windows; None stands for the source's default.

    Raises
    ------
    ValueError
        If there is no room for so many.
    """
    _check_number("Rings", rings, MAXIMUM_RINGS)
    _check_number("Windows", windows, MAXIMUM_WINDOWS)
    return _space("byway", rings, windows)


@functools.cache
def bridge_space(*, requesters: int, windows: int) -> Group:
    """The register space of a bridge alone: the manager page and the window page, in their places.

    Parameters
    ----------
    requesters, windows : int

    Raises
    ------
    ValueError
        If there is no room for so many.
    """
    _check_number("Requesters", requesters, MAXIMUM_REQUESTERS)
    _check_number("Windows", windows, MAXIMUM_WINDOWS)
    return _space("byway_bridge", requesters, windows)


def _check_number(what: str, number: int | None, maximum: int) -> None:
    if number is not None and number not in range(1, maximum + 1):
        raise ValueError(f"{what} must be 1 to {maximum}, not {number!r}")


def _space(top: str, rings: int | None, windows: int | None) -> Group:
    """A register space whose pages and registers are such as the register bank can build."""
    space = _group(elaborate(top, rings, windows).top)
    for page in space.members:
        if page.offset % PAGE_BYTES or (page.count is not None and page.stride != PAGE_BYTES):
            raise ValueError(f"{page.name} must have pages of {PAGE_BYTES} bytes for itself")
    for path, _address, register in space.registers():
        for field in register.fields:
            _check(_dotted((*path, field.name)), field, external=register.external)
    for path, address, array in space.externals():
        _check_external(_dotted(path), address, array)
    return space


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))


def _check_external(path: str, address: int, array: Group | Register) -> None:
    """Refuse an external array that could not be reached by bits of an address."""
    if array.count is None:
        raise ValueError(f"{path} must be an array to be external")
    room = array.stride << (array.count - 1).bit_length()
    if array.stride & (array.stride - 1) or address % room:
        raise ValueError(
            f"{path}, external, must have a stride that is a power of two, "
            "and lie at a multiple of its size rounded up to one"
        )
    for place, _address, register in array.registers():
        for field in register.fields:
            is_plain = field.readable and not field.modify and not field.clear
            if field.kind is not FieldKind.STORAGE or not is_plain:
                name = _dotted((path, *place, field.name))
                raise ValueError(f"{name} must be what software wrote, as it is external")


def _check(path: str, field: Field, *, external: bool) -> None:
    """Refuse what the register bank could not build."""
    if field.reset is None and not external:
        raise ValueError(f"{path} must have a reset value, as it is not external")
    if field.kind is FieldKind.HARDWARE and field.writable:
        if not (field.write_one_clears and field.modify):
            raise ValueError(f"{path}, hardware's, must be written through woclr and swmod only")
    elif field.write_one_clears and field.kind is not FieldKind.STICKY:
        raise ValueError(f"{path} must be hardware's, or have hwset, to have woclr")
    if field.kind is FieldKind.STICKY and not field.write_one_clears:
        raise ValueError(f"{path} must have woclr, as it has hwset")
    if field.write_one_sets and not (field.kind is FieldKind.STORAGE and field.clear):
        raise ValueError(f"{path} must be software's and have hwclr to have woset")
    if field.clear and field.kind not in (FieldKind.STORAGE, FieldKind.STICKY):
        raise ValueError(f"{path} must be held by the bank to have hwclr")
    if field.clear and field.reset:
        raise ValueError(f"{path} must be 0 after reset to have hwclr")
    if field.modify and field.low // WORD_BITS != field.high // WORD_BITS:
        raise ValueError(f"{path} must lie in one {WORD_BITS}-bit access to have swmod")


@functools.cache
def external(path: str) -> Group | Register:
    """An external array, as ``external("window.window")``, of the source's default parameters.

    Raises
    ------
    KeyError
        If there is no such array.
    """
    arrays = {_dotted(place): array for place, _address, array in register_space().externals()}
    return _find(arrays, path, "external array")


@functools.cache
def records() -> dict[str, Group]:
    """The records in memory by name."""
    space = _group(elaborate("byway_records").top)
    return {member.name: member for member in space.members if isinstance(member, Group)}


@functools.cache
def record(name: str) -> data.FlexibleLayout:
    """The layout of a record in memory: bit 0 is bit 0 of its first byte.

    Its members are the fields of the record, as unsigned values.

    Raises
    ------
    KeyError
        If there is no such record.
    """
    group = _find(records(), name, "record")
    members = {}
    for _path, address, register in group.registers():
        for field in register.fields:
            if field.name in members:
                raise ValueError(f"Record {name} must have one field {field.name}, not more")
            members[field.name] = data.Field(unsigned(field.width), address * 8 + field.low)
    return data.FlexibleLayout(group.size * 8, members)


@functools.cache
def enumerations() -> dict[str, type[UserEnum]]:
    """The enumerations of the source by name, with descriptions, in order of name."""
    found = {}
    for top in ("byway", "byway_records"):
        for node in elaborate(top).top.descendants():
            if isinstance(node, FieldNode) and (code := node.get_property("encode")) is not None:
                found[code.type_name] = code
    return dict(sorted(found.items()))


@functools.cache
def codes(name: str) -> Any:
    """The enumeration `name`, an `enum.IntEnum`: ``codes("transmit_status").SUCCESS``.

    Its type is `Any` because a type checker cannot know the members, which have capital names.

    Raises
    ------
    KeyError
        If there is no such enumeration.
    """
    members = _find(enumerations(), name, "enumeration").members
    title = "".join(map(str.capitalize, name.split("_")))
    values = {key.upper(): member.value for key, member in members.items()}
    return enum.IntEnum(title, values)


@functools.cache
def constant(path: str) -> int:
    """A number of the identity page, as ``constant("frame_limits.maximum_frame")``.

    The geometry is that of the source's default parameters.

    Raises
    ------
    KeyError
        If the identity page has no such register and field.
    """
    (identity,) = (page for page in register_space().members if page.name == "identity")
    assert isinstance(identity, Group)
    constants = {
        f"{place[-1]}.{field.name}": field.reset
        for place, _address, register in identity.registers()
        for field in register.fields
        if field.kind is FieldKind.CONSTANT
    }
    return _find(constants, path, "constant")


def _find(table: dict[str, Any], name: str, what: str) -> Any:
    try:
        return table[name]
    except KeyError:
        raise KeyError(f"The contract has no {what} {name!r}; it has {', '.join(table)}") from None


def _place(node: AddressableNode) -> dict[str, Any]:
    dimensions = node.array_dimensions or []
    if len(dimensions) > 1:
        raise ValueError(f"{node.get_path()} must be an array of one dimension")
    return {
        "name": node.inst_name,
        "description": _text(node.get_property("desc")),
        "offset": node.raw_address_offset,
        "count": dimensions[0] if dimensions else None,
        "stride": node.array_stride or 0,
        # To the compiler every addrmap is external, and what is in one is not.
        "external": node.external and not isinstance(node, AddrmapNode),
    }


def _group(node: AddressableNode) -> Group:
    members = []
    for child in node.children():
        if isinstance(child, RegNode):
            members.append(_register(child))
        elif isinstance(child, AddressableNode):
            members.append(_group(child))
    type_name = node.orig_type_name or node.inst_name
    return Group(**_place(node), type_name=type_name, size=node.size, members=tuple(members))


def _register(node: RegNode) -> Register:
    width = node.get_property("regwidth")
    if width not in (WORD_BITS, 2 * WORD_BITS):
        raise ValueError(f"{node.get_path()} must be 32 or 64 bits wide, not {width}")
    return Register(**_place(node), width=width, fields=tuple(map(_field, node.fields())))


def _text(description: str | None) -> str:
    return " ".join((description or "").split())


def _field(node: FieldNode) -> Field:
    on_write = node.get_property("onwrite")
    modify = node.get_property("swmod")
    clears = on_write is OnWriteType.woclr
    sets = on_write is OnWriteType.woset
    writable = node.is_sw_writable
    if node.get_property("hwset"):
        kind = FieldKind.STICKY
    elif node.get_property("singlepulse"):
        kind = FieldKind.PULSE
    elif node.is_hw_writable:
        kind = FieldKind.HARDWARE
    elif writable:
        kind = FieldKind.STORAGE
    else:
        kind = FieldKind.CONSTANT

    path = node.get_path()
    if node.get_property("onread") is not None:
        raise ValueError(f"{path} must not change when it is read")
    if on_write is not None and not (clears or sets):
        raise ValueError(f"{path} must have no onwrite but woclr or woset, not {on_write.name}")

    encode = node.get_property("encode")
    reset = node.get_property("reset")
    return Field(
        name=node.inst_name,
        description=_text(node.get_property("desc")),
        low=node.low,
        width=node.width,
        reset=reset if isinstance(reset, int) else None,
        kind=kind,
        readable=node.is_sw_readable,
        writable=writable,
        modify=modify,
        write_one_clears=clears,
        write_one_sets=sets,
        clear=bool(node.get_property("hwclr")),
        code=encode.type_name if encode is not None else None,
    )
