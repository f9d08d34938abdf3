"""Hcalls by which a server reaches its client's memory (LoPAR, "Logical Remote DMA Option").

Redirected RDMA gives the adapter a clone of the client's TCE, and the data never passes a
processor; Copy RDMA lets the partition manager copy. Both reach only what the client has mapped in
its own window, with the access it has mapped it for, while the connection is open.
"""

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
    """H_PUT_RTCE, H_REMOVE_RTCE, H_COPY_RDMA."""

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
        end, r_index, window, index = self._redirection(r_liobn, r_ioba, liobn, ioba, count)
        table = end.rtce_table
        for done in range(count):
            target = Clone(window, index + done)
            state = table.state(r_index + done)
            if not end.is_open or state is RtceState.UNUSED:
                raise HcallRefusedError(ReturnCode.H_REMOTE_PARM, done)
            if state is RtceState.LIVE_CLONE:
                same = table.live_clone(r_index + done) == target
                raise HcallRefusedError(
                    ReturnCode.H_IN_USE if same else ReturnCode.H_RESOURCE, done
                )
            table.clone(r_index + done, target)
        return ReturnCode.H_SUCCESS, count

    @hcall(code_and_value)
    def h_remove_rtce(
        self, r_liobn: int, r_ioba: int, liobn: int, ioba: int, count: int, tce_value: int
    ) -> tuple[ReturnCode, int]:
        """Undo H_PUT_RTCE: the adapter's entries become `tce_value` with control bits 00.

        Returns how many are done. H_PARAMETER: no such second pane, adapter window or range.
        Works after the connection has closed too, so that a server can clean up.
        """
        end, r_index, window, index = self._redirection(r_liobn, r_ioba, liobn, ioba, count)
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

    def _redirection(
        self, r_liobn: int, r_ioba: int, liobn: int, ioba: int, count: int
    ) -> tuple[ServerEnd, int, AdapterWindow, int]:
        """Return the server's end, the index there, the adapter's window, the index there."""
        end = self._services.directory.second_pane(self._caller, r_liobn)
        r_index = end.rtce_table.index(r_ioba, count) if end else None
        if end is None or r_index is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        window = self._services.directory.window(self._caller, liobn, AdapterWindow)
        index = window.index(ioba, count) if window else None
        if window is None or index is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return end, r_index, window, index

    def _pane(self, liobn: int, refusal: ReturnCode) -> VirtualWindow:
        """Return the caller's own window `liobn`, or its partner's behind an open second pane."""
        window = self._services.directory.window(self._caller, liobn, VirtualWindow)
        if window is not None:
            return window
        end = self._services.directory.second_pane(self._caller, liobn)
        if end is None or not end.is_open:
            raise HcallRefusedError(refusal)
        return end.rtce_table
