"""All that the software knows of the hardware: registers, system memory, interrupt lines, a clock.

Every engine of `byway.sim` implements `Hardware`, and a board behind a serial port can: the drivers
above never know which they run on.
"""

from typing import Protocol

__all__ = ["Hardware", "PhysicalMemory", "RegisterBus"]


class PhysicalMemory(Protocol):
    """System memory by physical byte address.

    Both calls raise `IndexError` for a range that is not wholly inside the memory.
    """

    @property
    def size(self) -> int:
        """Bytes of memory; addresses run from 0."""
        ...

    def read(self, address: int, length: int) -> bytes:
        """Return `length` bytes at `address`."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at `address`."""
        ...


class RegisterBus(Protocol):
    """32-bit registers by byte offset, a multiple of 4."""

    def read(self, offset: int) -> int:
        """Return the register at `offset`."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Write `value`, an unsigned 32-bit integer, to the register at `offset`."""
        ...


class Hardware(Protocol):
    """The adapter and the memory it shares with the processors.

    Register accesses take simulated time; everything else takes none.
    """

    @property
    def registers(self) -> RegisterBus:
        """The whole register space; an access answered with an error raises `OSError`."""
        ...

    @property
    def memory(self) -> PhysicalMemory:
        """System memory."""
        ...

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the interrupt line to the adapter driver."""
        ...

    @property
    def manager_interrupt(self) -> bool:
        """Level of the interrupt line to the partition manager."""
        ...

    @property
    def time_ns(self) -> int:
        """Time since reset in nanoseconds."""
        ...
