"""Hcalls of the command/response queues (LoPAR, "Reliable Command/Response Transport Option",
"Subordinate CRQ Transport Option").

Registering a queue disables its interrupt; H_VIOCTL enables it. A queue that its receiver has
unmapped since it registered it counts as full.
"""

from byway.sw.manager.connection import SubCrq, VirtualEnd
from byway.sw.manager.crq import (
    CRQ_ELEMENT_BYTES,
    SUB_CRQ_ELEMENT_BYTES,
    Header,
    Queue,
    TransportEvent,
)
from byway.sw.manager.hcall_boundary import (
    HcallFamily,
    HcallRefusedError,
    code_alone,
    code_and_two_values,
    hcall,
)
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode

__all__ = ["MAXIMUM_INDIRECT", "MAXIMUM_SUB_CRQS", "CrqHcalls"]

MAXIMUM_INDIRECT = PAGE_SIZE // SUB_CRQ_ELEMENT_BYTES
"""Elements that one H_SEND_SUB_CRQ_INDIRECT sends at most: a page of them."""

MAXIMUM_SUB_CRQS = 64
"""Sub-CRQs that one virtual adapter registers at most."""

_DWORD_BYTES = 8


class CrqHcalls(HcallFamily):
    """H_REG_CRQ, H_FREE_CRQ, H_SEND_CRQ, H_ENABLE_CRQ and their like for sub-CRQs."""

    @hcall(code_alone)
    def h_reg_crq(self, unit: int, queue_ioba: int, length: int) -> ReturnCode:
        """Register the CRQ of the virtual adapter `unit`; its headers must be 0 already.

        H_PARAMETER: no such adapter, or a queue that is not whole pages mapped for writing.
        H_NOT_FOUND: the partner is gone for good. H_RESOURCE: registered already. H_CLOSED: the
        partner has not registered yet, and this side is registered all the same.
        """
        end = self._end_of(unit)
        queue = self._queue(end, queue_ioba, length, CRQ_ELEMENT_BYTES)
        if end.partner is None:
            raise HcallRefusedError(ReturnCode.H_NOT_FOUND)
        if end.crq is not None:
            raise HcallRefusedError(ReturnCode.H_RESOURCE)
        end.crq = queue
        self._services.dispatcher.set_mode(end.irq, enabled=False)
        return ReturnCode.H_SUCCESS if end.is_open else ReturnCode.H_CLOSED

    @hcall(code_alone)
    def h_free_crq(self, unit: int) -> ReturnCode:
        """Deregister the CRQ of `unit` and its sub-CRQs; tell the partner; revoke the clones.

        H_PARAMETER: no such adapter. H_RESOURCE: clones live, and the client's window does not
        allow the bit bucket; nothing has changed then. What is not registered is free already: that
        is H_SUCCESS, and the partner is not told a second time.
        """
        end = self._end_of(unit)
        if end.rtce_table.has_live_clones and not end.rtce_table.bit_bucket_allowed:
            raise HcallRefusedError(ReturnCode.H_RESOURCE)
        self._services.transport.free_crq(end, TransportEvent.PARTNER_DEREGISTERED)
        return ReturnCode.H_SUCCESS

    @hcall(code_alone)
    def h_send_crq(self, unit: int, high: int, low: int) -> ReturnCode:
        """Send the 16-byte element `high`, `low` to the partner of `unit`.

        H_PARAMETER: no such adapter, or a header without its top bit, or the manager's own.
        H_CLOSED: the connection is not open. H_DROPPED: the partner's queue is full.
        """
        end = self._end_of(unit)
        header = high >> 56
        if not header & 0x80 or header == Header.TRANSPORT_EVENT:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        partner = end.partner
        if end.crq is None or partner is None or partner.crq is None:
            raise HcallRefusedError(ReturnCode.H_CLOSED)
        element = high.to_bytes(_DWORD_BYTES, "big") + low.to_bytes(_DWORD_BYTES, "big")
        if not self._services.transport.deliver(partner.crq, partner.irq, [element]):
            raise HcallRefusedError(ReturnCode.H_DROPPED)
        return ReturnCode.H_SUCCESS

    @hcall(code_alone)
    def h_enable_crq(self, unit: int) -> ReturnCode:
        """Enable the CRQ of `unit` after its partner was suspended. H_PARAMETER: no such adapter.

        No partition is suspended here, and every page stays where it is: there is nothing to wait
        for and nothing to restore.
        """
        self._end_of(unit)
        return ReturnCode.H_SUCCESS

    @hcall(code_and_two_values)
    def h_reg_sub_crq(self, unit: int, ioba: int, length: int) -> tuple[ReturnCode, int, int]:
        """Register a sub-CRQ of `unit` and free its elements; return its handle and interrupt.

        H_PARAMETER: no such adapter, or a queue that is not whole pages mapped for writing.
        H_RESOURCE: too many. H_CLOSED: the connection is not open, and the queue is registered
        all the same.
        """
        end = self._end_of(unit)
        queue = self._queue(end, ioba, length, SUB_CRQ_ELEMENT_BYTES)
        if len(end.sub_crqs) >= MAXIMUM_SUB_CRQS:
            raise HcallRefusedError(ReturnCode.H_RESOURCE)
        queue.clear()
        handle = self._services.directory.new_handle()
        irq = self._services.dispatcher.add_source(self._caller, enabled=False)
        end.sub_crqs[handle] = SubCrq(queue, irq)
        return ReturnCode.H_SUCCESS if end.is_open else ReturnCode.H_CLOSED, handle, irq

    @hcall(code_alone)
    def h_free_sub_crq(self, unit: int, handle: int) -> ReturnCode:
        """Deregister the sub-CRQ `handle` of `unit`. H_PARAMETER: there is none."""
        end = self._end_of(unit)
        if handle not in end.sub_crqs:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        self._services.transport.free_sub_crq(end, handle)
        return ReturnCode.H_SUCCESS

    @hcall(code_alone)
    def h_send_sub_crq(
        self, unit: int, handle: int, w0: int, w1: int, w2: int, w3: int
    ) -> ReturnCode:
        """Send the 32-byte element `w0` to `w3` to the partner's sub-CRQ `handle`.

        H_PARAMETER: no such adapter, queue, or a header other than 0x80. H_CLOSED: the connection
        is not open. H_DROPPED: the queue is full.
        """
        end = self._end_of(unit)
        target = self._partners_sub_crq(end, handle)
        element = b"".join(word.to_bytes(_DWORD_BYTES, "big") for word in (w0, w1, w2, w3))
        if element[0] != Header.COMMAND:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        self._send(end, target, [element])
        return ReturnCode.H_SUCCESS

    @hcall(code_alone)
    def h_send_sub_crq_indirect(self, unit: int, handle: int, ioba: int, count: int) -> ReturnCode:
        """Send `count` elements, 1 to 128, that lie at `ioba` in one page of the caller's window.

        All or none. H_PARAMETER: no such adapter, queue, page or number. H_CLOSED: the connection
        is not open. H_PARAMETER: a header other than 0x80. H_DROPPED: not room for all of them.
        The elements are copied before they are looked at.
        """
        end = self._end_of(unit)
        target = self._partners_sub_crq(end, handle)
        length = count * SUB_CRQ_ELEMENT_BYTES
        extents = end.window.extents(ioba, length, read=True) if count <= MAXIMUM_INDIRECT else None
        if extents is None or len(extents) != 1:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        if not end.is_open:
            raise HcallRefusedError(ReturnCode.H_CLOSED)
        listed = self._services.memory.read(*extents[0])
        elements = [
            listed[at : at + SUB_CRQ_ELEMENT_BYTES]
            for at in range(0, length, SUB_CRQ_ELEMENT_BYTES)
        ]
        if any(element[0] != Header.COMMAND for element in elements):
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        self._send(end, target, elements)
        return ReturnCode.H_SUCCESS

    def _queue(self, end: VirtualEnd, ioba: int, length: int, element_bytes: int) -> Queue:
        if not Queue.is_valid(end.window, ioba, length):
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return Queue(
            memory=self._services.memory,
            window=end.window,
            ioba=ioba,
            length=length,
            element_bytes=element_bytes,
        )

    @staticmethod
    def _partners_sub_crq(end: VirtualEnd, handle: int) -> SubCrq:
        if end.partner is None or handle not in end.partner.sub_crqs:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return end.partner.sub_crqs[handle]

    def _send(self, end: VirtualEnd, target: SubCrq, elements: list[bytes]) -> None:
        if not end.is_open:
            raise HcallRefusedError(ReturnCode.H_CLOSED)
        if not self._services.transport.deliver(target.queue, target.irq, elements):
            raise HcallRefusedError(ReturnCode.H_DROPPED)
