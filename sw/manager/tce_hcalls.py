"""Hcalls that change a partition's own windows (LoPAR, "TCE Access").

They serve both kinds of window alike: that of a virtual adapter, and those of the rings of an
adapter that the partition owns. A partition maps its own pages and no others.
"""

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.manager.hcall_boundary import (
    HcallFamily,
    HcallRefusedError,
    code_alone,
    code_and_value,
    hcall,
)
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.tables import Window, is_mapped

__all__ = ["MAXIMUM_TCES", "TceHcalls"]

MAXIMUM_TCES = 512
"""TCEs that one call changes at most: a page of them."""

_FOREIGN_PAGE = ~(PAGE_SIZE - 1) & (1 << 64) - 1


class TceHcalls(HcallFamily):
    """H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT."""

    @hcall(code_alone)
    def h_put_tce(self, liobn: int, ioba: int, tce: int) -> ReturnCode:
        """Store `tce` for the page `ioba`; control bits 00 unmap it.

        H_PARAMETER: no such window, page or memory. H_RESOURCE: a live clone holds the entry.
        """
        window = self._own_window(liobn)
        index = self._index(window, ioba, 1)
        self._replace(window, index, [self._to_physical(tce)])
        return ReturnCode.H_SUCCESS

    @hcall(code_and_value)
    def h_get_tce(self, liobn: int, ioba: int) -> tuple[ReturnCode, int]:
        """Return the TCE of the page `ioba`.

        H_PARAMETER: no such window or page. H_PARTIAL: it maps a page that is not the caller's;
        the page number is then all ones.
        """
        window = self._own_window(liobn)
        entry = window.entry(self._index(window, ioba, 1))
        if not is_mapped(entry):
            return ReturnCode.H_SUCCESS, entry.to_int()
        logical = self._caller.memory.logical_page(entry.rpn)
        if logical is None:
            return ReturnCode.H_PARTIAL, entry.to_int() | _FOREIGN_PAGE
        own = TranslationControlEntry(read=entry.read, write=entry.write, rpn=logical)
        return ReturnCode.H_SUCCESS, own.to_int()

    @hcall(code_alone)
    def h_stuff_tce(self, liobn: int, ioba: int, tce: int, count: int) -> ReturnCode:
        """Store `tce` for `count` pages from `ioba` on.

        H_PARAMETER: no such window or page. H_P4: `count` over 512. H_PARAMETER: the range leaves
        the window, or no such memory. H_RESOURCE: a live clone holds one of the entries.
        """
        window = self._own_window(liobn)
        self._index(window, ioba, 1)
        if count > MAXIMUM_TCES:
            raise HcallRefusedError(ReturnCode.H_P4)
        index = self._index(window, ioba, count)
        self._replace(window, index, [self._to_physical(tce)] * count)
        return ReturnCode.H_SUCCESS

    @hcall(code_alone)
    def h_put_tce_indirect(self, liobn: int, ioba: int, page: int, count: int) -> ReturnCode:
        """Store the first `count` TCEs of the list in the caller's page at `page`, from `ioba` on.

        The list is big-endian, 8 bytes an entry. It is copied before it is looked at, and looked
        at wholly before anything is stored. H_PARAMETER: `count` over 512, no such window, range,
        list or memory. H_RESOURCE: a live clone holds one of the entries.
        """
        if count > MAXIMUM_TCES:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        window = self._own_window(liobn)
        index = self._index(window, ioba, count)
        if page % PAGE_SIZE or page >= self._caller.memory.size:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        size = TranslationControlEntry.SIZE
        listed = self._caller.memory.read(page, count * size)
        entries = [
            self._to_physical(int.from_bytes(listed[at : at + size], "big"))
            for at in range(0, len(listed), size)
        ]
        self._replace(window, index, entries)
        return ReturnCode.H_SUCCESS

    def _own_window(self, liobn: int) -> Window:
        window = self._services.directory.window(self._caller, liobn, Window)
        if window is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return window

    @staticmethod
    def _index(window: Window, ioba: int, count: int) -> int:
        index = window.index(ioba, count)
        if index is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return index

    def _to_physical(self, tce: int) -> TranslationControlEntry:
        """Return `tce` with its physical page; as it is, if it maps nothing."""
        entry = TranslationControlEntry.from_int(tce)
        if not is_mapped(entry):
            return entry
        rpn = self._caller.memory.physical_page(entry.rpn)
        if rpn is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return TranslationControlEntry(read=entry.read, write=entry.write, rpn=rpn)

    @staticmethod
    def _replace(window: Window, index: int, entries: list[TranslationControlEntry]) -> None:
        if not window.may_replace(range(index, index + len(entries))):
            raise HcallRefusedError(ReturnCode.H_RESOURCE)
        window.replace(index, entries)
