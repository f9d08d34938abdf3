"""Who may reach which page when: a plain model of grants that follows the hcalls from outside.

It is no part of the partition manager and looks at none of its tables. It trusts what a caller
sees: the arguments and the answer of each hcall, the physical pages that a partition has, and the
names (LIOBNs, units) that the configuration gave. From these alone it says which page a ring of the
adapter may read or write in which cycle. Where the manager grants what it must not, the model
accuses it and grants nothing.

A grant begins when the hcall that makes it begins, and ends when the hcall that takes it back
returns: in between the bridge may go by either.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from byway.sw.manager.adapter_sharing import AdapterAssignment
from byway.sw.manager.connection import VirtualConnection
from byway.sw.manager.memory import PAGE_SIZE, PartitionMemory
from byway.sw.manager.return_codes import ReturnCode

__all__ = ["BUCKET", "READ", "WRITE", "Call", "Entry", "Grant", "Grants"]

#: Permissions, as the two low bits of a TCE.
READ, WRITE = 1, 2
#: In place of a physical page: the bit bucket, wherever the manager keeps it.
BUCKET = -1


class Call(NamedTuple):
    """An hcall as its caller saw it.

    Attributes
    ----------
    caller, name : str
    arguments : tuple of int
    code : ReturnCode
    value : int
        The first value behind the code; 0 if there is none.
    listed : sequence of int
        What stood in the list that the call named, when it was made.
    begun, ended : int
        Cycles.
    """

    caller: str
    name: str
    arguments: tuple[int, ...]
    code: ReturnCode
    value: int
    listed: Sequence[int]
    begun: int
    ended: int


class Entry(NamedTuple):
    """A mapped entry of a window; of a clone, `source` names the client's window and its index."""

    page: int
    access: int
    source: tuple[int, int] | None = None


@dataclass(slots=True)
class Grant:
    """A ring may reach `page` with `access` from cycle `begin` on, up to `end`."""

    page: int
    access: int
    begin: int
    end: float = math.inf


@dataclass
class _Window:
    owner: str
    pages: int
    ring: int | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    grants: dict[int, Grant] = field(default_factory=dict)


@dataclass
class _Link:
    """A connection: LIOBNs of the client's window and of the second pane, and who is registered."""

    client: str
    server: str
    units: tuple[int, int]
    table: int
    r_liobn: int
    registered: set[int] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        return len(self.registered) == 2


class Grants:
    """The model.

    Parameters
    ----------
    accuse : callable
        Told, with the cycle, of what the manager granted and must not.

    Attributes
    ----------
    revoked : int
        Grants of the adapter that have ended.
    """

    def __init__(self, accuse: Callable[[int, str], None]):
        self.revoked = 0
        self._accuse = accuse
        self._memories: dict[str, PartitionMemory] = {}
        self._windows: dict[int, _Window] = {}
        self._links: list[_Link] = []
        self._clones: dict[tuple[int, int], tuple[int, int]] = {}
        self._grants: dict[tuple[int, int], list[Grant]] = defaultdict(list)
        self._handlers: dict[str, Callable[[Call], None]] = {
            "h_put_tce": self._put_tce,
            "h_stuff_tce": self._stuff_tce,
            "h_put_tce_indirect": self._put_tce_indirect,
            "h_put_rtce": self._put_rtce,
            "h_put_rtce_indirect": self._put_rtce_indirect,
            "h_remove_rtce": self._remove_rtce,
            "h_reg_crq": self._register,
            "h_free_crq": self._free,
        }

    # The configuration

    def add_partition(self, name: str, memory: PartitionMemory) -> None:
        """Know a partition and its memory."""
        self._memories[name] = memory

    def add_adapter(self, assignment: AdapterAssignment) -> None:
        """Know the owner of the adapter, and the LIOBN of each ring's window."""
        for ring, liobn in enumerate(assignment.liobn):
            pages = assignment.window_bytes // PAGE_SIZE
            self._windows[liobn] = _Window(assignment.owner.name, pages, ring)

    def add_connection(self, connection: VirtualConnection) -> None:
        """Know both ends of a connection, which nobody has registered yet."""
        client, server = connection
        for end in connection:
            pages = end.window_bytes // PAGE_SIZE
            self._windows[end.liobn] = _Window(end.owner.name, pages)
        units = (client.unit, server.unit)
        link = _Link(client.owner.name, server.owner.name, units, client.liobn, server.r_liobn)
        self._links.append(link)

    # What happens

    def called(self, call: Call) -> None:
        """Follow an hcall."""
        handler = self._handlers.get(call.name)
        if handler is not None:
            handler(call)

    def terminated(self, name: str, begun: int, ended: int) -> None:
        """Follow the end of a partition, and of all that it had."""
        for link in [link for link in self._links if name in (link.client, link.server)]:
            self._revoke_all(link, begun, ended)
            self._links.remove(link)
        for liobn in [liobn for liobn, window in self._windows.items() if window.owner == name]:
            for index in list(self._windows[liobn].entries):
                self._store(liobn, index, None, begun, ended)
            del self._windows[liobn]
        del self._memories[name]

    # What holds

    def find(self, ring: int, page: int, access: int, cycle: int) -> Grant | None:
        """The grant by which `ring` may reach `page` in `cycle`; None if it may not."""
        for grant in self._grants.get((ring, page), ()):
            if grant.access & access and grant.begin <= cycle < grant.end:
                return grant
        return None

    def entries(self, liobn: int) -> dict[int, Entry]:
        """What is mapped in a window now, by index; empty if it is gone."""
        return self._windows[liobn].entries if liobn in self._windows else {}

    # Hcalls

    def _put_tce(self, call: Call) -> None:
        liobn, ioba, tce = call.arguments
        self._put(call, liobn, ioba, [tce])

    def _stuff_tce(self, call: Call) -> None:
        liobn, ioba, tce, count = call.arguments
        self._put(call, liobn, ioba, [tce], count)

    def _put_tce_indirect(self, call: Call) -> None:
        liobn, ioba, _page, _count = call.arguments
        self._put(call, liobn, ioba, call.listed)

    def _put(
        self, call: Call, liobn: int, ioba: int, tces: Sequence[int], repeated: int = 1
    ) -> None:
        if call.code is not ReturnCode.H_SUCCESS:
            return
        window = self._window_of(call, liobn, ioba, len(tces) * repeated)
        if window is None:
            return
        memory = self._memories[call.caller]
        for index, tce in enumerate([*tces] * repeated, start=ioba // PAGE_SIZE):
            clone = self._clones.get((liobn, index))
            if clone is not None:
                self._store(*clone, Entry(BUCKET, WRITE), call.begun, call.ended)
            access = tce & (READ | WRITE)
            page = memory.physical_page(tce >> 12) if access else 0
            if page is None:
                self._accuse(call.ended, f"{call.name} of {call.caller} maps {tce:#x}, not its own")
                access = 0
            entry = Entry(page or 0, access) if access else None
            self._store(liobn, index, entry, call.begun, call.ended)

    def _put_rtce(self, call: Call) -> None:
        r_liobn, r_ioba, liobn, ioba, _count = call.arguments
        if call.value:
            first = r_ioba // PAGE_SIZE
            indexes = range(first, first + call.value)
            self._clone(call, r_liobn, indexes, liobn, ioba)

    def _put_rtce_indirect(self, call: Call) -> None:
        _page, r_liobn, liobn, ioba, _count = call.arguments
        link = self._link_of(call.caller, r_liobn)
        pages = self._windows[link.table].pages if link else 0
        if any(r_ioba % PAGE_SIZE or r_ioba // PAGE_SIZE >= pages for r_ioba in call.listed):
            if call.code is ReturnCode.H_SUCCESS and link:
                self._accuse(call.ended, f"{call.name} clones what is in no window")
            return  # Nothing is done then; the value names the address.
        if call.value:
            indexes = [r_ioba // PAGE_SIZE for r_ioba in call.listed[: call.value]]
            self._clone(call, r_liobn, indexes, liobn, ioba)

    def _clone(
        self, call: Call, r_liobn: int, indexes: Sequence[int], liobn: int, ioba: int
    ) -> None:
        link = self._link_of(call.caller, r_liobn)
        window = self._window_of(call, liobn, ioba, len(indexes))
        if link is None or window is None or window.ring is None or not link.is_open:
            self._accuse(call.ended, f"{call.name} of {call.caller} clones where it must not")
            return
        table = self._windows[link.table].entries
        for index, r_index in enumerate(indexes, start=ioba // PAGE_SIZE):
            entry = table.get(r_index)
            if entry is None or (link.table, r_index) in self._clones:
                self._accuse(call.ended, f"{call.name} clones entry {r_index}, which it must not")
                continue
            clone = Entry(entry.page, entry.access, (link.table, r_index))
            self._store(liobn, index, clone, call.begun, call.ended)

    def _remove_rtce(self, call: Call) -> None:
        _r_liobn, _r_ioba, liobn, ioba, count, _tce = call.arguments
        if call.code is not ReturnCode.H_SUCCESS:
            return
        if self._window_of(call, liobn, ioba, count) is not None:
            for index in range(ioba // PAGE_SIZE, ioba // PAGE_SIZE + count):
                self._store(liobn, index, None, call.begun, call.ended)

    def _register(self, call: Call) -> None:
        link = self._link_by_unit(call.arguments[0])
        if link and call.code in (ReturnCode.H_SUCCESS, ReturnCode.H_CLOSED):
            link.registered.add(call.arguments[0])

    def _free(self, call: Call) -> None:
        link = self._link_by_unit(call.arguments[0])
        if link and call.code is ReturnCode.H_SUCCESS:
            link.registered.discard(call.arguments[0])
            self._revoke_all(link, call.begun, call.ended)

    # Parts of them

    def _window_of(self, call: Call, liobn: int, ioba: int, count: int) -> _Window | None:
        window = self._windows.get(liobn)
        inside = window and ioba % PAGE_SIZE == 0 and ioba // PAGE_SIZE + count <= window.pages
        if window is None or not inside or window.owner != call.caller:
            self._accuse(call.ended, f"{call.name} of {call.caller} changes window {liobn:#x}")
            return None
        return window

    def _link_of(self, caller: str, r_liobn: int) -> _Link | None:
        found = (x for x in self._links if x.r_liobn == r_liobn and x.server == caller)
        return next(found, None)

    def _link_by_unit(self, unit: int) -> _Link | None:
        return next((link for link in self._links if unit in link.units), None)

    def _revoke_all(self, link: _Link, begun: int, ended: int) -> None:
        for source, clone in list(self._clones.items()):
            if source[0] == link.table:
                self._store(*clone, Entry(BUCKET, WRITE), begun, ended)

    def _store(self, liobn: int, index: int, entry: Entry | None, begun: int, ended: int) -> None:
        window = self._windows[liobn]
        old = window.entries.pop(index, None)
        if entry is not None:
            window.entries[index] = entry
        if window.ring is None:
            return
        if old is not None and old.source is not None:
            del self._clones[old.source]
        ended_grant = window.grants.pop(index, None)
        if ended_grant is not None:
            ended_grant.end = ended
            self.revoked += 1
        if entry is not None:
            if entry.source is not None:
                self._clones[entry.source] = (liobn, index)
            grant = window.grants[index] = Grant(entry.page, entry.access, begun)
            self._grants[window.ring, entry.page].append(grant)
