"""Who has what: windows by LIOBN, virtual adapters by unit address, and the numbers for new ones.

A look-up names the caller. What is not the caller's does not exist for it, so that a number guessed
is as good as a number made up.
"""

import itertools
from typing import TYPE_CHECKING, TypeVar

from byway.sw.manager.connection import ServerEnd, VirtualEnd
from byway.sw.manager.tables import Window

if TYPE_CHECKING:
    from byway.sw.manager.partition import Partition

__all__ = ["Directory"]

W = TypeVar("W", bound=Window)

_FIRST_LIOBN = 0x1000_0000
_FIRST_UNIT = 0x3000_0000
_FIRST_HANDLE = 0x5000_0000


class Directory:
    """Windows and virtual adapters of all partitions."""

    def __init__(self):
        self._windows: dict[int, Window] = {}
        self._second_panes: dict[int, ServerEnd] = {}
        self._ends: dict[int, VirtualEnd] = {}
        self._liobns = itertools.count(_FIRST_LIOBN)
        self._units = itertools.count(_FIRST_UNIT)
        self._handles = itertools.count(_FIRST_HANDLE)

    def new_liobn(self) -> int:
        """Return an LIOBN that names nothing yet."""
        return next(self._liobns)

    def new_unit(self) -> int:
        """Return a unit address that names nothing yet."""
        return next(self._units)

    def new_handle(self) -> int:
        """Return a sub-CRQ handle that names nothing yet."""
        return next(self._handles)

    def add_window(self, window: Window) -> None:
        """Let its owner name `window` by its LIOBN."""
        self._windows[window.liobn] = window

    def remove_window(self, window: Window) -> None:
        """Forget `window`."""
        del self._windows[window.liobn]

    def add_end(self, end: VirtualEnd) -> None:
        """Let its owner name `end`, its window, and its second pane if it has one."""
        self._ends[end.unit] = end
        self.add_window(end.window)
        if isinstance(end, ServerEnd):
            self._second_panes[end.r_liobn] = end

    def window(self, caller: "Partition", liobn: int, kind: type[W]) -> W | None:
        """Window `liobn` of `caller`, if it is of `kind`."""
        window = self._windows.get(liobn)
        return window if isinstance(window, kind) and window.owner is caller else None

    def second_pane(self, caller: "Partition", r_liobn: int) -> ServerEnd | None:
        """Return the end of `caller` whose second pane is `r_liobn`."""
        end = self._second_panes.get(r_liobn)
        return end if end is not None and end.owner is caller else None

    def end(self, caller: "Partition", unit: int) -> VirtualEnd | None:
        """Virtual adapter `unit` of `caller`."""
        end = self._ends.get(unit)
        return end if end is not None and end.owner is caller else None

    def ends_of(self, owner: "Partition") -> list[VirtualEnd]:
        """Every virtual adapter of `owner`."""
        return [end for end in self._ends.values() if end.owner is owner]

    def remove_all_of(self, owner: "Partition") -> None:
        """Forget every window and virtual adapter of `owner`."""
        self._windows = {n: w for n, w in self._windows.items() if w.owner is not owner}
        self._second_panes = {n: e for n, e in self._second_panes.items() if e.owner is not owner}
        self._ends = {n: e for n, e in self._ends.items() if e.owner is not owner}
