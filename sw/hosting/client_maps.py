"""What a client lets the adapter reach: map ids, and the clones behind them.

REQUEST_MAP names a range of the client's window. Its pages are cloned by H_PUT_RTCE into the window
of the client's ring, so that the adapter finds there what the client granted, for as long as the
client grants it; the hosting partition never sees the memory itself.

Source: LoPAR, H_PUT_RTCE and H_REMOVE_RTCE; patent, step 760.
"""

from dataclasses import dataclass

from byway.sw.manager.connection import ServerEnd
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.window import DmaWindow, pages_of

__all__ = ["ClientMaps"]

_ANSWERS = {
    ReturnCode.H_SUCCESS: VnicReturnCode.SUCCESS,
    ReturnCode.H_PARAMETER: VnicReturnCode.INVALID_IOBA,
    ReturnCode.H_REMOTE_PARM: VnicReturnCode.INVALID_IOBA,
    ReturnCode.H_IN_USE: VnicReturnCode.NO_MEMORY,
    ReturnCode.H_RESOURCE: VnicReturnCode.NO_MEMORY,
}


@dataclass(frozen=True)
class _Map:
    ioba: int
    length: int
    base: int
    """I/O bus address of its first page in the window of the ring."""

    @property
    def client_page(self) -> int:
        return self.ioba - self.ioba % PAGE_SIZE

    @property
    def pages(self) -> int:
        return pages_of(self.ioba, self.length)

    def covers(self, ioba: int, length: int) -> bool:
        return self.ioba <= ioba and ioba + length <= self.ioba + self.length


class ClientMaps:
    """The maps of one client.

    Parameters
    ----------
    end : ServerEnd
        The server's end of the connection with the client.
    window : DmaWindow
        The window of the client's ring.
    """

    def __init__(self, end: ServerEnd, window: DmaWindow):
        self._end = end
        self._window = window
        self._maps: dict[int, _Map] = {}

    def add(self, map_id: int, ioba: int, length: int) -> VnicReturnCode:
        """Map `length` bytes at `ioba` of the client's window under `map_id`."""
        if map_id in self._maps:
            return VnicReturnCode.PARAMETER
        if not length:
            return VnicReturnCode.INVALID_LENGTH
        try:
            base = self._window.reserve(pages_of(ioba, length))
        except MemoryError:
            return VnicReturnCode.NO_MEMORY
        new = _Map(ioba, length, base)
        code, done = self._end.owner.hcalls.h_put_rtce(
            self._end.r_liobn, new.client_page, self._window.liobn, base, new.pages
        )
        if code is ReturnCode.H_SUCCESS:
            self._maps[map_id] = new
        else:
            self._remove(new, done)
        return _ANSWERS[code]

    def remove(self, map_id: int) -> VnicReturnCode:
        """Take the map back: when this returns the adapter reaches its memory no more."""
        old = self._maps.pop(map_id, None)
        if old is None:
            return VnicReturnCode.PARAMETER
        self._remove(old, old.pages)
        return VnicReturnCode.SUCCESS

    def clear(self) -> None:
        """Take every map back; works after the client has gone, too."""
        for map_id in list(self._maps):
            self.remove(map_id)

    def covers(self, map_id: int, ioba: int, length: int) -> bool:
        """Whether `length` bytes at `ioba` lie inside the map `map_id`."""
        known = self._maps.get(map_id)
        return known is not None and known.covers(ioba, length)

    def locate(self, map_id: int, ioba: int, length: int) -> int | None:
        """Return where the adapter finds these bytes; None if they are not inside the map."""
        known = self._maps.get(map_id)
        if known is None or not known.covers(ioba, length):
            return None
        return known.base + ioba - known.client_page

    def origin(self, ioba: int) -> tuple[int, int] | None:
        """Return map id and address in the client's window of what the adapter finds at `ioba`."""
        for map_id, known in self._maps.items():
            offset = ioba - known.base
            if 0 <= offset < known.pages * PAGE_SIZE:
                return map_id, known.client_page + offset
        return None

    def _remove(self, old: _Map, pages: int) -> None:
        if pages:
            self._end.owner.hcalls.h_remove_rtce(
                self._end.r_liobn, old.client_page, self._window.liobn, old.base, pages, 0
            )
        self._window.release(old.base, old.pages)
