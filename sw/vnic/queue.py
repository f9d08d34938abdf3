"""Sub-CRQs, on the side that receives and on the side that sends.

A queue is a ring of elements in its owner's memory that the partition manager fills: an element is
there when its first byte is not zero, and the owner frees it by zeroing that byte.

Source: LoPAR, "Subordinate CRQ Transport Option".
"""

from collections.abc import Callable, Iterator, Sequence

from byway.sw.manager.connection import VirtualEnd
from byway.sw.manager.crq_hcalls import MAXIMUM_INDIRECT
from byway.sw.manager.memory import PartitionMemory
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.vioctl import VioSubfunction
from byway.sw.vnic.window import DmaBuffer, DmaWindow

__all__ = ["ElementRing", "SubQueue", "SubQueueSender", "enable_interrupt"]

_SUB_ELEMENT = 32


class ElementRing:
    """A queue in its owner's memory, CRQ or sub-CRQ, as its owner reads it.

    Parameters
    ----------
    memory : PartitionMemory
        The owner's memory.
    buffer : DmaBuffer
        The queue.
    element : int
        Bytes of an element.
    """

    def __init__(self, memory: PartitionMemory, buffer: DmaBuffer, element: int):
        self._memory = memory
        self._address = buffer.address
        self._entries = buffer.length // element
        self._element = element
        self._next = 0

    def take(self) -> Iterator[bytes]:
        """Take one element after the other until the queue is empty."""
        while True:
            at = self._address + self._next * self._element
            content = self._memory.read(at, self._element)
            if not content[0]:
                return
            self._memory.write(at, b"\0")
            self._next = (self._next + 1) % self._entries
            yield content


def enable_interrupt(end: VirtualEnd, irq: int) -> None:
    """Let elements that come from now on interrupt: registering their queue has disabled that."""
    end.owner.hcalls.h_vioctl(end.unit, VioSubfunction.ENABLE_VIO_INTERRUPT, irq, 0, 0)


class SubQueue:
    """A registered sub-CRQ, from its making to `close`.

    Parameters
    ----------
    end : VirtualEnd
        The virtual adapter that receives.
    window : DmaWindow
        First pane of its window.
    entries : int
        Elements that must fit.
    on_interrupt : callable or None
        Called when elements have come; None for a queue that is only polled.

    Attributes
    ----------
    handle : int
        What the partner names the queue by.

    Raises
    ------
    MemoryError
        No room for the queue.
    RuntimeError
        The partition manager refuses it.
    """

    def __init__(
        self,
        end: VirtualEnd,
        window: DmaWindow,
        entries: int,
        on_interrupt: Callable[[], None] | None,
    ):
        self._end = end
        self._window = window
        self._buffer = window.allocate(entries * _SUB_ELEMENT, write=True)
        code, self.handle, irq = end.owner.hcalls.h_reg_sub_crq(
            end.unit, self._buffer.ioba, self._buffer.length
        )
        if code not in (ReturnCode.H_SUCCESS, ReturnCode.H_CLOSED):
            window.free(self._buffer)
            raise RuntimeError(f"H_REG_SUB_CRQ: {code.name}")
        end.owner.on_interrupt(irq, on_interrupt)
        if on_interrupt is not None:
            enable_interrupt(end, irq)
        self._ring = ElementRing(end.owner.memory, self._buffer, _SUB_ELEMENT)

    def take(self) -> Iterator[bytes]:
        """Take one element after the other until the queue is empty."""
        return self._ring.take()

    def close(self) -> None:
        """Deregister the queue, unless H_FREE_CRQ did so already, and free its memory."""
        self._end.owner.hcalls.h_free_sub_crq(self._end.unit, self.handle)
        self._window.free(self._buffer)


class SubQueueSender:
    """Sends elements to the partner's sub-CRQs with as few hcalls as possible.

    Parameters
    ----------
    end : VirtualEnd
        The virtual adapter that sends.
    window : DmaWindow
        First pane of its window.
    """

    def __init__(self, end: VirtualEnd, window: DmaWindow):
        self._hcalls = end.owner.hcalls
        self._memory = end.owner.memory
        self._unit = end.unit
        self._staging = window.allocate(MAXIMUM_INDIRECT * _SUB_ELEMENT, read=True)

    def send(self, handle: int, groups: Sequence[Sequence[bytes]]) -> tuple[ReturnCode, int]:
        """Send groups of elements; the elements of a group arrive together or not at all.

        Parameters
        ----------
        handle : int
            Of the partner's sub-CRQ.
        groups : sequence of sequence of bytes
            At most `MAXIMUM_INDIRECT` elements each.

        Returns
        -------
        tuple of ReturnCode and int
            H_SUCCESS, or why sending ended early; and how many groups were sent.
        """
        sent = 0
        while sent < len(groups):
            batch: list[bytes] = []
            end = sent
            while end < len(groups) and len(batch) + len(groups[end]) <= MAXIMUM_INDIRECT:
                batch += groups[end]
                end += 1
            code = self._send_batch(handle, batch)
            if code is not ReturnCode.H_SUCCESS:
                return code, sent
            sent = end
        return ReturnCode.H_SUCCESS, sent

    def _send_batch(self, handle: int, batch: Sequence[bytes]) -> ReturnCode:
        if len(batch) == 1:
            w0, w1, w2, w3 = (int.from_bytes(batch[0][at : at + 8], "big") for at in (0, 8, 16, 24))
            return self._hcalls.h_send_sub_crq(self._unit, handle, w0, w1, w2, w3)
        self._memory.write(self._staging.address, b"".join(batch))
        return self._hcalls.h_send_sub_crq_indirect(
            self._unit, handle, self._staging.ioba, len(batch)
        )
