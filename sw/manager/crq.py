"""Command/response queues: how messages reach the partner's memory.

A queue is a ring of elements in its receiver's memory, mapped by TCEs of the receiver's own window,
and kept by I/O bus address, so that remapping takes effect at the next element. The first byte of
an element is its header; 0 frees it. The part with the header is stored last, so that a receiver
which polls never sees half a message.

Source: LoPAR, "Command/Response Queue (CRQ)" and "Subordinate Command/Response Queue (Sub-CRQ)".
"""

from collections.abc import Sequence
from enum import IntEnum

from byway.sw.hardware import PhysicalMemory
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.tables import VirtualWindow

__all__ = [
    "CRQ_ELEMENT_BYTES",
    "SUB_CRQ_ELEMENT_BYTES",
    "Header",
    "Queue",
    "TransportEvent",
]

CRQ_ELEMENT_BYTES = 16
SUB_CRQ_ELEMENT_BYTES = 32
_HEADER_PART_BYTES = 8


class Header(IntEnum):
    """First byte of an element."""

    FREE = 0x00
    COMMAND = 0x80
    """Command or response between the partners."""
    INITIALIZATION = 0xC0
    """The second byte is 1 for INIT, 2 for INIT_COMPLETE; the partners' own affair."""
    TRANSPORT_EVENT = 0xFF
    """From the partition manager alone; the second byte is a `TransportEvent`."""


class TransportEvent(IntEnum):
    """Second byte of a transport event."""

    PARTNER_FAILED = 1
    PARTNER_DEREGISTERED = 2


class Queue:
    """A ring of elements in the receiver's memory.

    Parameters
    ----------
    memory
        Physical memory.
    window
        The receiver's own window.
    ioba
        Where the queue starts in it, page aligned.
    length
        Bytes, a positive multiple of a page.
    element_bytes
        Bytes of an element; divides a page.
    """

    def __init__(
        self,
        *,
        memory: PhysicalMemory,
        window: VirtualWindow,
        ioba: int,
        length: int,
        element_bytes: int,
    ):
        self.capacity = length // element_bytes
        self._memory = memory
        self._window = window
        self._ioba = ioba
        self._element_bytes = element_bytes
        self._next = 0

    @staticmethod
    def is_valid(window: VirtualWindow, ioba: int, length: int) -> bool:
        """Whether a queue may lie there: page aligned, whole pages, all of them writable."""
        aligned = length > 0 and not ioba % PAGE_SIZE and not length % PAGE_SIZE
        return aligned and window.extents(ioba, length, write=True) is not None

    def clear(self) -> None:
        """Free every element."""
        for slot in range(self.capacity):
            address = self._address(slot)
            if address is not None:
                self._memory.write(address, bytes([Header.FREE]))

    def put(self, elements: Sequence[bytes]) -> bool:
        """Store all of `elements`, or none: then there is no room, or no page, for them."""
        if len(elements) > self.capacity:
            return False
        addresses = []
        for number in range(len(elements)):
            address = self._address(self._next + number)
            if address is None or self._memory.read(address, 1)[0] != Header.FREE:
                return False
            addresses.append(address)
        for address, element in zip(addresses, elements, strict=True):
            self._store(address, element)
        self._next = (self._next + len(elements)) % self.capacity
        return True

    def put_over_last(self, element: bytes) -> bool:
        """Store `element` over the newest one; False when its page is not there."""
        address = self._address(self._next - 1)
        if address is None:
            return False
        self._store(address, element)
        return True

    def _address(self, slot: int) -> int | None:
        offset = slot % self.capacity * self._element_bytes
        found = self._window.extents(self._ioba + offset, self._element_bytes, write=True)
        return found[0][0] if found else None

    def _store(self, address: int, element: bytes) -> None:
        self._memory.write(address + _HEADER_PART_BYTES, element[_HEADER_PART_BYTES:])
        self._memory.write(address, element[:_HEADER_PART_BYTES])
