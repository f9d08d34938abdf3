"""Hcalls by which a server reaches its client's memory (LoPAR, "Logical Remote DMA Option").

Redirected RDMA gives the adapter a clone of the client's TCE, and the data never passes a
processor; Copy RDMA lets the partition manager copy. Both reach only what the client has mapped in
its own window, with the access it has mapped it for, while the connection is open.

Where LoPAR is silent: an I/O bus address inside a page is refused as one outside the window; only
windows of an adapter take clones, since nothing but the adapter does DMA; and a clone stored over
another one ends that other one, as any entry that the server stores there.
"""

from collections.abc import Sequence

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.manager.connection import ServerEnd
from byway.sw.manager.counters import CopyCause
from byway.sw.manager.hcall_boundary import (
    HcallFamily,
    HcallRefusedError,
    code_alone,
    code_and_value,
    hcall,
)
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.rtce import Clone, RtceState
from byway.sw.manager.tables import AdapterWindow, VirtualWindow

__all__ = ["MAXIMUM_COPY", "RtceHcalls"]

MAXIMUM_COPY = 128 * 1024
"""Bytes that one H_COPY_RDMA copies at most (ibm,max-virtual-dma-size)."""


class RtceHcalls(HcallFamily):
    """H_PUT_RTCE, H_PUT_RTCE_INDIRECT, H_REMOVE_RTCE, H_COPY_RDMA."""

    @hcall(code_and_value)
    def h_put_rtce(
        self, r_liobn: int, r_ioba: int, liobn: int, ioba: int, count: int
    ) -> tuple[ReturnCode, int]:
        """Clone `count` entries of the client from `r_ioba` on into the adapter's, from `ioba` on.

        Entry by entry; returns how many are done. H_PARAMETER: no such second pane, adapter
        window or range. H_REMOTE_PARM: the connection is not open, or the client has not mapped
        the page. H_IN_USE: this very clone exists. H_RESOURCE: another clone of the entry lives;
        there is one at a time.
        """
        end = self._second_pane(r_liobn)
        r_index = self._index(end.rtce_table, r_ioba, count)
        window, index = self._adapter_range(liobn, ioba, count)
        self._redirect(end, range(r_index, r_index + count), window, index)
        return ReturnCode.H_SUCCESS, count

    @hcall(code_and_value)
    def h_put_rtce_indirect(
        self, page: int, r_liobn: int, liobn: int, ioba: int, count: int
    ) -> tuple[ReturnCode, int]:
        """Clone the client's entries listed in the caller's page at `page`, from `ioba` on.

        The list holds `count` I/O bus addresses; it is copied before it is looked at. As
        H_PUT_RTCE, and H_PARAMETER: no such page, or `count` over 512. H_REMOTE_PARM with nothing
        done: the value is the number, from 0, of the first listed address that is outside the
        client's window.
        """
        end = self._second_pane(r_liobn)
        window, index = self._adapter_range(liobn, ioba, count)
        r_indexes = []
        for number, r_ioba in enumerate(self._listed(page, count)):
            r_index = end.rtce_table.index(r_ioba)
            if r_index is None:
                raise HcallRefusedError(ReturnCode.H_REMOTE_PARM, number)
            r_indexes.append(r_index)
        self._redirect(end, r_indexes, window, index)
        return ReturnCode.H_SUCCESS, count

    @hcall(code_and_value)
    def h_remove_rtce(
        self, r_liobn: int, r_ioba: int, liobn: int, ioba: int, count: int, tce_value: int
    ) -> tuple[ReturnCode, int]:
        """Undo H_PUT_RTCE: the adapter's entries become `tce_value` with control bits 00.

        Returns how many are done. H_PARAMETER: no such second pane, adapter window or range.
        Works after the connection has closed too, so that a server can clean up. If a clone of the
        client's entry lives elsewhere than at `ioba`, it stays, and so does its back pointer.
        """
        end = self._second_pane(r_liobn)
        r_index = self._index(end.rtce_table, r_ioba, count)
        window, index = self._adapter_range(liobn, ioba, count)
        page = TranslationControlEntry.from_int(tce_value).rpn
        unmapped = TranslationControlEntry(rpn=page)
        for number in range(count):
            end.rtce_table.forget(r_index + number, Clone(window, index + number))
        window.replace(index, [unmapped] * count)
        return ReturnCode.H_SUCCESS, count

    @hcall(code_alone)
    def h_copy_rdma(
        self,
        length: int,
        s_liobn: int,
        s_ioba: int,
        d_liobn: int,
        d_ioba: int,
        *,
        cause: CopyCause = "control",
    ) -> ReturnCode:
        """Copy `length` bytes between windows: the caller's own, or the second pane.

        `cause` says under what the bytes are counted. H_PARAMETER: over `MAXIMUM_COPY`.
        H_SOURCE_PARM, H_DEST_PARM: no such window or range. H_PERMISSION: a page is not mapped
        for reading at the source or for writing at the destination.
        """
        if length > MAXIMUM_COPY:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        source = self._pane(s_liobn, ReturnCode.H_SOURCE_PARM)
        destination = self._pane(d_liobn, ReturnCode.H_DEST_PARM)
        if not source.covers(s_ioba, length):
            raise HcallRefusedError(ReturnCode.H_SOURCE_PARM)
        if not destination.covers(d_ioba, length):
            raise HcallRefusedError(ReturnCode.H_DEST_PARM)
        read_from = source.extents(s_ioba, length, read=True)
        write_to = destination.extents(d_ioba, length, write=True)
        if read_from is None or write_to is None:
            raise HcallRefusedError(ReturnCode.H_PERMISSION)
        memory = self._services.memory
        data = b"".join(memory.read(address, count) for address, count in read_from)
        done = 0
        for address, count in write_to:
            memory.write(address, data[done : done + count])
            done += count
        self._services.counters.bytes_copied[cause] += length
        return ReturnCode.H_SUCCESS

    def _second_pane(self, r_liobn: int) -> ServerEnd:
        end = self._services.directory.second_pane(self._caller, r_liobn)
        if end is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return end

    def _adapter_range(self, liobn: int, ioba: int, count: int) -> tuple[AdapterWindow, int]:
        """Return the caller's window of the adapter, and the index of `count` entries in it."""
        window = self._services.directory.window(self._caller, liobn, AdapterWindow)
        if window is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return window, self._index(window, ioba, count)

    @staticmethod
    def _redirect(
        end: ServerEnd, r_indexes: Sequence[int], window: AdapterWindow, index: int
    ) -> None:
        """Clone the client's entries at `r_indexes`, one after the other, from `index` on."""
        table = end.rtce_table
        for done, r_index in enumerate(r_indexes):
            target = Clone(window, index + done)
            state = table.state(r_index)
            if not end.is_open or state is RtceState.UNUSED:
                raise HcallRefusedError(ReturnCode.H_REMOTE_PARM, done)
            if state is RtceState.LIVE_CLONE:
                same = table.live_clone(r_index) == target
                raise HcallRefusedError(
                    ReturnCode.H_IN_USE if same else ReturnCode.H_RESOURCE, done
                )
            table.clone(r_index, target)

    def _pane(self, liobn: int, refusal: ReturnCode) -> VirtualWindow:
        """Return the caller's own window `liobn`, or its partner's behind an open second pane."""
        window = self._services.directory.window(self._caller, liobn, VirtualWindow)
        if window is not None:
            return window
        end = self._services.directory.second_pane(self._caller, liobn)
        if end is None or not end.is_open:
            raise HcallRefusedError(refusal)
        return end.rtce_table
