"""The partition manager of a bridge, and the reference: what each burst must come to.

Requesters 0, 1 and 2 have windows with pages, two of them the same one; requester 3 has one that is
off; requester 4 has one whose table cannot be read; requester 5 has none, and neither has any
from the number of requesters on.
"""

import random
from collections import Counter
from dataclasses import dataclass

from bench_bridge import BridgeBench
from bench_bursts import Burst, illegal_burst, legal_burst

from byway.sim.flows.flow import PAGE
from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import (
    MANAGER_PAGE,
    WINDOW_PAGE,
    FaultReason,
    InvalidateScope,
    ManagerPage,
    WindowPage,
)

__all__ = ["REQUESTERS", "WINDOWS", "BridgeWorld", "Mapping"]

REQUESTERS, WINDOWS = 6, 4
_ENTRIES = 12
_WINDOW_OF = {0: 0, 1: 1, 2: 1, 3: 2, 4: 3}
_DISABLED, _NO_TABLE = 2, 3
_OKAY, _SLVERR, _DECERR = 0, 2, 3
#: All that is under way ends first.
_INVALIDATION_CYCLES = 50_000


@dataclass(eq=False)
class Mapping:
    """A TCE of a window: the page that it grants, and for what.

    Attributes
    ----------
    page : int
    read, write : bool
    writes_now : bool
        For now it is written and not read, so that what is read is known.
    revoked : int or None
        The cycle in which software was told that it is over.
    is_going : bool
        It is to be taken back while it is in use.
    """

    page: int
    read: bool
    write: bool
    writes_now: bool = False
    revoked: int | None = None
    is_going: bool = False


class BridgeWorld:
    """See the module.

    Attributes
    ----------
    mappings : dict
        By (window, index); what is not in it is not mapped.
    refused : list
        Bursts refused so far, and for which of what reasons.
    """

    def __init__(self, bench: BridgeBench):
        self._bench = bench
        self._rng = bench.rng
        self._memory = bench.memory
        self._manager = ManagerPage(bench.registers, MANAGER_PAGE)
        self._windows = WindowPage(bench.registers, WINDOW_PAGE)
        self.mappings: dict[tuple[int, int], Mapping] = {}
        self.refused: list[tuple[Burst, set[FaultReason]]] = []
        self._records: list[tuple[int, bool, int, FaultReason]] = []
        self._lost = 0
        self._tables: dict[int, int] = {}
        self._contents: dict[int, bytearray] = {}  # What the pages ought to hold.

    # ------------------------------------------------------------------ the manager

    def set_up(self) -> None:
        """Write tables, windows and bindings; in the order of a careful manager."""
        memory = self._memory
        memory.readable.add(memory.broken)
        for window in range(WINDOWS):
            table = memory.broken if window == _NO_TABLE else memory.take_page()
            self._tables[window] = table
            memory.readable.add(table)
            registers = self._windows.window[window]
            registers.table_base.write(page=table)
            registers.size.write(entries=_ENTRIES)
            registers.control.write(enable=int(window != _DISABLED))
        for window in (0, 1):
            for index in range(_ENTRIES - 1):
                self._map(window, index)
        for requester, window in _WINDOW_OF.items():
            self._manager.binding[requester].write(valid=1, window=window)

    def map_all(self) -> None:
        """Make every page of both windows readable and writable."""
        for window in (0, 1):
            for index in range(_ENTRIES):
                self._unmap(window, index)
                self._map(window, index, permissions=(True, True))
        self._invalidate(InvalidateScope.EVERYTHING, 0, 0)

    def change(self) -> None:
        """Change a few entries while nothing is under way; see to it that the bridge forgets."""
        for window in (0, 1):
            for index in self._rng.sample(range(_ENTRIES - 1), 3):
                self._unmap(window, index)
                if self._rng.random() < 0.8:
                    self._map(window, index)
            scope = self._rng.choice((InvalidateScope.WINDOW, InvalidateScope.EVERYTHING))
            self._invalidate(scope, window, 0)
        for mapping in self.mappings.values():
            both = mapping.read and mapping.write
            mapping.writes_now = self._rng.random() < 0.5 if both else mapping.write

    def choose_victims(self) -> list[tuple[int, int]]:
        """Mappings that `revoke` is to take back while they are used."""
        window = self._rng.choice((0, 1))
        mapped = sorted(place for place in self.mappings if place[0] == window)
        victims = self._rng.sample(mapped, min(3, len(mapped)))
        for place in victims:
            self.mappings[place].is_going = True
        return victims

    def revoke(self, victims: list[tuple[int, int]]) -> None:
        """Take them back: from then on nothing may touch their pages."""
        for window, index in victims:
            self._store(window, index, TranslationControlEntry())
        page_by_page = self._rng.random() < 0.5
        for number, (window, index) in enumerate(victims):
            if page_by_page:
                self._invalidate(InvalidateScope.PAGE, window, index)
            elif number == 0:
                self._invalidate(InvalidateScope.WINDOW, window, 0)
            mapping = self.mappings[window, index]
            mapping.revoked = self._bench.cycle
            self._ungrant(mapping)

    def take_records(self) -> None:
        """Read fault records until there is none."""
        page = self._manager
        while (status := page.fault_status.read()).valid:
            record = page.fault_record.read()
            address = page.fault_address.read().address
            self._records.append((record.requester, bool(record.write), address, record.reason))
            page.fault_status.write(valid=1)
        self._lost += status.lost
        if status.lost:
            page.fault_status.write(lost=0xFFFF)

    def _map(self, window: int, index: int, permissions: tuple[bool, bool] | None = None) -> None:
        rng, memory = self._rng, self._memory
        is_broken = permissions is None and rng.random() < 0.05
        page = memory.broken if is_broken else memory.take_page()
        read, write = permissions or rng.choice(((1, 0), (0, 1), *[(1, 1)] * 5, (0, 0)))
        mapping = Mapping(page, bool(read), bool(write))
        if page != memory.broken:
            contents = rng.randbytes(PAGE)
            memory.software.write(page * PAGE, contents)
            self._contents[page] = bytearray(contents)
        if read:
            memory.readable.add(page)
        if write:
            memory.writable.add(page)
        self.mappings[window, index] = mapping
        entry = TranslationControlEntry(read=int(read), write=int(write), rpn=page)
        self._store(window, index, entry)

    def _unmap(self, window: int, index: int) -> None:
        """While nothing is under way; the bridge may know the entry until it is invalidated."""
        mapping = self.mappings.pop((window, index), None)
        self._store(window, index, TranslationControlEntry())
        if mapping is not None:
            self._ungrant(mapping)

    def _ungrant(self, mapping: Mapping) -> None:
        if mapping.page != self._memory.broken:  # Other entries, and a table, lie there.
            self._memory.readable.discard(mapping.page)
            self._memory.writable.discard(mapping.page)

    def _store(self, window: int, index: int, entry: TranslationControlEntry) -> None:
        place = self._tables[window] * PAGE + TranslationControlEntry.SIZE * index
        self._memory.software.write(place, entry.pack())

    def _invalidate(self, scope: InvalidateScope, window: int, index: int) -> None:
        page = self._manager
        page.invalidate_page.write(index=index)
        page.invalidate.write(start=1, scope=scope, window=window)
        end = self._bench.cycle + _INVALIDATION_CYCLES
        while page.invalidate_status.read().busy:
            assert self._bench.cycle < end, "the invalidation does not end"

    # ------------------------------------------------------------------ the reference

    def random_burst(self, rng: random.Random) -> Burst:
        """A burst, mostly a good one, that reads and writes as the mappings have it for now."""
        user = rng.choice((0, 0, 0, 1, 1, 2, 2))
        if rng.random() < 0.12:
            user = rng.choice((3, 4, 5, rng.randrange(256)))
        index = rng.randrange(_ENTRIES) if rng.random() < 0.97 else rng.getrandbits(52)
        mapping = self.mappings.get((_WINDOW_OF.get(user, -1), index))
        write = mapping.writes_now if mapping else rng.random() < 0.5
        if mapping and mapping.read != mapping.write and rng.random() < 0.15:
            write = not write  # Which is denied.
        make = illegal_burst if rng.random() < 0.08 else legal_burst
        identifier = rng.randrange(rng.choice((2, self._bench.identifiers)))
        return make(
            rng, self._bench.bus_bytes, page=index, user=user, identifier=identifier, write=write
        )

    def judge(self, burst: Burst) -> tuple[FaultReason | None, Mapping | None]:
        """The reason for which it is refused, or None, and the mapping that decides it.

        As if nothing were ever taken back.
        """
        window = _WINDOW_OF.get(burst.user)
        if window is None:
            return FaultReason.UNBOUND, None
        if window == _DISABLED:
            return FaultReason.WINDOW_DISABLED, None
        if not burst.has_legal_type or 1 << burst.size > self._bench.bus_bytes:
            return FaultReason.BURST_TYPE, None
        if burst.leaves_page:
            return FaultReason.PAGE_CROSSING, None
        if burst.page >= _ENTRIES:
            return FaultReason.EXTENT, None
        if window == _NO_TABLE:
            return FaultReason.TABLE_ERROR, None
        mapping = self.mappings.get((window, burst.page))
        if mapping is None or not (mapping.read or mapping.write):
            return FaultReason.NOT_MAPPED, None
        if burst.write and not mapping.write:
            return FaultReason.WRITE_DENIED, mapping
        if not burst.write and not mapping.read:
            return FaultReason.READ_DENIED, mapping
        return None, mapping

    def check(self, bursts: list[Burst]) -> None:
        """What became of `bursts`, sent in this order, is what had to become of them."""
        for burst in bursts:
            reason, mapping = self.judge(burst)
            responses = {burst.response} if burst.write else {one for _, one in burst.beats_seen}
            assert len(responses) == 1, f"{burst}: answered with {sorted(map(str, responses))}"
            (response,) = responses
            reasons = {reason} if reason is not None else set()
            if mapping is not None and mapping.is_going and response == _DECERR:
                reasons.add(FaultReason.NOT_MAPPED)
            if reasons:
                assert response == _DECERR, f"{burst}: {response} although {reasons}"
                assert not any(word for word, _ in burst.beats_seen), f"{burst}: data in a refusal"
                self.refused.append((burst, reasons))
                continue
            assert mapping is not None
            if mapping.revoked is not None:
                assert burst.sent < mapping.revoked, f"{burst}: granted by what was taken back"
            is_broken = mapping.page == self._memory.broken
            # Where no strobe is set the memory finds nothing to do, and nothing wrong.
            fails = is_broken and (not burst.write or any(strobe for _, strobe in burst.data))
            assert response == (_SLVERR if fails else _OKAY), f"{burst}: {response}"
            if not is_broken:
                self._check_data(burst, self._contents[mapping.page])
        for page, contents in self._contents.items():
            assert self._memory.software.read(page * PAGE, PAGE) == contents, f"page {page:#x}"

    def _check_data(self, burst: Burst, contents: bytearray) -> None:
        """Compare what a read found; do what a write did."""
        beats = burst.data if burst.write else burst.beats_seen
        for number, (offset, lanes) in enumerate(burst.lanes(self._bench.bus_bytes)):
            word, strobe = beats[number]
            data = word.to_bytes(self._bench.bus_bytes, "little")
            for lane in lanes:
                if not burst.write:
                    assert data[lane] == contents[offset + lane], f"{burst}: beat {number}"
                elif strobe >> lane & 1:
                    contents[offset + lane] = data[lane]

    def forget_revoked(self) -> None:
        """What was taken back is not mapped from now on."""
        going = [place for place, mapping in self.mappings.items() if mapping.is_going]
        for place in going:
            del self.mappings[place]

    def check_records(self) -> None:
        """Every refusal was counted, and recorded unless there was no room; and nothing else."""
        self.take_records()
        assert self._manager.faults.read().count == len(self.refused)
        assert len(self._records) + self._lost == len(self.refused)
        owed = Counter((burst.user, burst.write, burst.address) for burst, _reasons in self.refused)
        for user, write, address, reason in self._records:
            access = (user, write, address)
            where = f"a record of {access}, {reason.name}"
            owed[access] -= 1
            assert owed[access] >= 0, f"{where}: that was not refused"
            assert any(
                (burst.user, burst.write, burst.address) == access and reason in reasons
                for burst, reasons in self.refused
            ), f"{where}: it was for another reason"
