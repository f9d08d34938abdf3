"""What the generated accessors share: bit fields in dataclasses, registers, records as bytes.

Nothing here knows a register or a record; `byway.sw.contract.registers` and
`byway.sw.contract.records` say where each field stands, and get its reading, writing, packing and
range checks from here. Registers and records are little-endian.
"""

import dataclasses
import enum
import functools
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, ParamSpec, Self, TypeVar, cast

from byway.sw.hardware import RegisterBus

__all__ = ["Array", "Fields", "ReadOnlyRegister", "ReadWriteRegister", "Record", "bits"]

#: Bytes that one access of the bus reads or writes.
_WORD_BYTES = 4
_WORD_MASK = 0xFFFF_FFFF

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound="Fields")


class _Place(NamedTuple):
    name: str
    low: int
    mask: int
    code: type[enum.IntEnum] | None


def bits(low: int, width: int, reset: int = 0, code: type[enum.IntEnum] | None = None) -> Any:
    """Define a field of a `Fields` dataclass.

    Parameters
    ----------
    low, width : int
        Position of its least bit, number of bits.
    reset : int
        Value when none is given.
    code : type of enum.IntEnum or None
        What its values are read as.
    """
    return dataclasses.field(
        default=reset if code is None else code(reset),
        metadata={"low": low, "mask": (1 << width) - 1, "code": code},
    )


@functools.cache
def _places(kind: type["Fields"]) -> tuple[_Place, ...]:
    return tuple(
        _Place(field.name, field.metadata["low"], field.metadata["mask"], field.metadata["code"])
        for field in dataclasses.fields(kind)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fields:
    """Values of the fields of a register or record; the bits between them are 0."""

    #: Bytes of the whole.
    SIZE: ClassVar[int] = _WORD_BYTES

    def to_int(self) -> int:
        """Return all bits as one integer.

        Raises
        ------
        ValueError
            If a value does not fit its field.
        """
        result = 0
        for name, low, mask, _code in _places(type(self)):
            value = getattr(self, name)
            if not 0 <= value <= mask:
                raise ValueError(f"{type(self).__name__}.{name} must be 0 to {mask}, not {value}")
            result |= int(value) << low
        return result

    @classmethod
    def from_int(cls, value: int) -> Self:
        """Return the values of the fields in `value`.

        Raises
        ------
        ValueError
            If a field holds a code that its enumeration does not have.
        """
        values = {}
        for name, low, mask, code in _places(cls):
            field = (value >> low) & mask
            values[name] = field if code is None else code(field)
        return cls(**values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(Fields):
    """A record in memory."""

    def pack(self) -> bytes:
        """Return its `SIZE` bytes; raises as `to_int`."""
        return self.to_int().to_bytes(self.SIZE, "little")

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the record in `data`; raises as `from_int`, and for a wrong number of bytes."""
        if len(data) != cls.SIZE:
            raise ValueError(f"{cls.__name__} must have {cls.SIZE} bytes, not {len(data)}")
        return cls.from_int(int.from_bytes(data, "little"))


class ReadOnlyRegister(Generic[F]):
    """A register that software only reads.

    Wider registers than the bus are read low part first: the hardware then keeps the high part that
    belongs to it.

    Parameters
    ----------
    bus : RegisterBus
        Where the register is.
    offset : int
        Its byte offset on the bus.
    fields : type of Fields
        What it holds.
    """

    def __init__(self, bus: RegisterBus, offset: int, fields: type[F]):
        self._bus = bus
        self._offset = offset
        self._fields = fields

    def read(self) -> F:
        """Read the register."""
        value = 0
        for part in range(0, self._fields.SIZE, _WORD_BYTES):
            value |= self._bus.read(self._offset + part) << (8 * part)
        return self._fields.from_int(value)


class ReadWriteRegister(ReadOnlyRegister[F], Generic[P, F]):
    """A register that software reads and writes; parameters are those of `ReadOnlyRegister`."""

    def __init__(self, bus: RegisterBus, offset: int, fields: Callable[P, F]):
        super().__init__(bus, offset, cast(type[F], fields))
        self._make = fields

    def write(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Write the register; fields that are not given get their reset value.

        Fields that are cleared by writing 1 stay as they are unless given.
        """
        value = self._make(*args, **kwargs).to_int()
        for part in range(0, self._fields.SIZE, _WORD_BYTES):
            self._bus.write(self._offset + part, (value >> (8 * part)) & _WORD_MASK)


class Array(Generic[T]):
    """Equal registers, or groups of them, at equal distances.

    Parameters
    ----------
    make : callable
        Returns the accessor of the element at the byte offset it is given.
    offset, stride : int
        Byte offset of element 0; bytes from one element to the next.
    length : int
        Elements that there is room for. How many there are, the identity page tells.
    """

    def __init__(self, make: Callable[[int], T], offset: int, stride: int, length: int):
        self._make = make
        self._offset = offset
        self._stride = stride
        self._length = length
        self._elements: dict[int, T] = {}

    def __getitem__(self, index: int) -> T:
        if not 0 <= index < self._length:
            raise IndexError(f"Index must be 0 to {self._length - 1}, not {index}")
        if index not in self._elements:
            self._elements[index] = self._make(self._offset + index * self._stride)
        return self._elements[index]
