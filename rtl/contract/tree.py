"""The contract as a tree: groups of registers, registers, and their fields."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["WORD_BITS", "Field", "FieldKind", "Group", "Register"]

#: Width of one register access; wider registers are accessed in as many parts.
WORD_BITS = 32


class FieldKind(enum.Enum):
    """Who holds a field, and which ports it has on the register bank."""

    #: Neither side changes it: no port.
    CONSTANT = enum.auto()
    #: Software writes it, hardware reads it: ``value`` is an output.
    STORAGE = enum.auto()
    #: Hardware drives it: ``value`` is an input.
    HARDWARE = enum.auto()
    #: Hardware sets it through the input ``set``; ``value`` is an output.
    STICKY = enum.auto()
    #: ``value`` is an output, high for one cycle when software writes 1; reads as 0.
    PULSE = enum.auto()


@dataclass(frozen=True)
class Field:
    """Some bits of a register.

    Attributes
    ----------
    low, width : int
        Position of the least bit in the register; number of bits.
    reset : int or None
        Value after reset; None if the contract promises none.
    modify : bool
        The bank tells of software's writes through the one-cycle output ``modify``.
    write_one_clears : bool
        A 1 written clears the bit (or, of a `FieldKind.HARDWARE` field, asks the hardware to).
    write_one_sets : bool
        Of a `FieldKind.STORAGE` field: a 1 written sets the bit, a 0 does nothing.
    clear : bool
        The hardware clears the field through the input ``clear``.
    code : str or None
        Name of the enumeration that its values come from.
    """

    name: str
    description: str
    low: int
    width: int
    reset: int | None
    kind: FieldKind
    readable: bool
    writable: bool
    modify: bool
    write_one_clears: bool
    write_one_sets: bool
    clear: bool
    code: str | None

    @property
    def high(self) -> int:
        """Position of the greatest bit in the register."""
        return self.low + self.width - 1


@dataclass(frozen=True)
class Register:
    """A register, or an array of them.

    Attributes
    ----------
    offset : int
        Bytes from the start of the group it stands in, of the first element of an array.
    count : int or None
        Elements; None if it is no array.
    stride : int
        Bytes from one element of an array to the next.
    external : bool
        It lies outside of the register bank, as all that is in it. The outermost is an array.
    width : int
        Bits.
    """

    name: str
    description: str
    offset: int
    count: int | None
    stride: int
    external: bool
    width: int
    fields: tuple[Field, ...]

    @property
    def readable(self) -> bool:
        """Software may read it."""
        return any(field.readable for field in self.fields)

    @property
    def writable(self) -> bool:
        """Software may write it."""
        return any(field.writable for field in self.fields)

    def registers(
        self, path: tuple[str | int, ...] = (), address: int = 0
    ) -> Iterator[tuple[tuple[str | int, ...], int, "Register"]]:
        """Itself, as `Group.registers` gives what is in a group."""
        yield path, address, self


@dataclass(frozen=True)
class Group:
    """A page, a register file, a record or a whole space; or an array of them.

    Attributes are those of `Register`, and `type_name`, its name in the source as a type, and
    `size`, the bytes of one element from the first register to the end of the last.
    """

    name: str
    type_name: str
    description: str
    offset: int
    count: int | None
    stride: int
    external: bool
    size: int
    members: tuple["Group | Register", ...]

    def registers(
        self, path: tuple[str | int, ...] = (), address: int = 0, *, external: bool = True
    ) -> Iterator[tuple[tuple[str | int, ...], int, Register]]:
        """Every single register below: path from here, byte address from here, register.

        A path holds names and, after the name of an array, an index: ``("ring", 1, "size")``.
        Those of external arrays are left out unless `external`.
        """
        for place, start, member in self._elements(path, address):
            if member.external and not external:
                continue
            if isinstance(member, Group):
                yield from member.registers(place, start, external=external)
            else:
                yield from member.registers(place, start)

    def externals(
        self, path: tuple[str | int, ...] = (), address: int = 0
    ) -> Iterator[tuple[tuple[str | int, ...], int, "Group | Register"]]:
        """Every external array below: path from here, byte address of its first element, array."""
        for member in self.members:
            if member.external:
                yield (*path, member.name), address + member.offset, member
        for place, start, member in self._elements(path, address):
            if isinstance(member, Group) and not member.external:
                yield from member.externals(place, start)

    def _elements(
        self, path: tuple[str | int, ...], address: int
    ) -> Iterator[tuple[tuple[str | int, ...], int, "Group | Register"]]:
        for member in self.members:
            for index in [None] if member.count is None else range(member.count):
                place = (*path, member.name) if index is None else (*path, member.name, index)
                yield place, address + member.offset + (index or 0) * member.stride, member
