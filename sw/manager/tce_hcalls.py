"""Hcalls that change a partition's own windows (LoPAR, "TCE Access" and "LIOBN Attributes").

They serve both kinds of window alike: that of a virtual adapter, and those of the rings of an
adapter that the partition owns. A partition maps its own pages and no others; what it was granted
comes into its adapter's windows by H_PUT_RTCE alone.

Where LoPAR is silent: an I/O bus address inside a page is refused as one outside the window, and a
call that cannot change every entry of its range changes none.
"""

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.manager.hcall_boundary import (
    MAXIMUM_ENTRIES,
    HcallFamily,
    HcallRefusedError,
    code_alone,
    code_and_value,
    hcall,
)
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.tables import Window, is_mapped

__all__ = ["TceHcalls"]

_FOREIGN_PAGE = ~(PAGE_SIZE - 1) & (1 << 64) - 1
_NEGATIVE = 1 << 63


class TceHcalls(HcallFamily):
    """H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT, H_LIOBN_ATTRIBUTES."""

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
        if count > MAXIMUM_ENTRIES:
            raise HcallRefusedError(ReturnCode.H_P4)
        index = self._index(window, ioba, count)
        self._replace(window, index, [self._to_physical(tce)] * count)
        return ReturnCode.H_SUCCESS

    @hcall(code_alone)
    def h_put_tce_indirect(self, liobn: int, ioba: int, page: int, count: int) -> ReturnCode:
        """Store the first `count` TCEs of the list in the caller's page at `page`, from `ioba` on.

        The list is copied before it is looked at, and looked at wholly before anything is stored.
        H_FUNCTION: `liobn` is negative, which would name several windows (the Multi-TCE-Table
        option). H_PARAMETER: `count` over 512, no such window, range, list or memory. H_RESOURCE: a
        live clone holds one of the entries.
        """
        if liobn & _NEGATIVE:
            raise HcallRefusedError(ReturnCode.H_FUNCTION)
        window = self._own_window(liobn)
        index = self._index(window, ioba, count)
        entries = [self._to_physical(tce) for tce in self._listed(page, count)]
        self._replace(window, index, entries)
        return ReturnCode.H_SUCCESS

    @hcall(code_and_value)
    def h_liobn_attributes(
        self, liobn: int, reset_mask: int, set_mask: int
    ) -> tuple[ReturnCode, int]:
        """Reset, then set bits of the `LiobnAttribute` of a window; return what they are then.

        Bits that the window does not have are ignored and returned as 0. A client may change the
        bit bucket's while clones live: the next change of an entry goes by the new value.
        H_PARAMETER: no such window. A second pane is none of the server's: its attributes are the
        client's.
        """
        window = self._own_window(liobn)
        window.change_attributes(reset_mask, set_mask)
        return ReturnCode.H_SUCCESS, int(window.attributes)

    def _own_window(self, liobn: int) -> Window:
        window = self._services.directory.window(self._caller, liobn, Window)
        if window is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return window

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
