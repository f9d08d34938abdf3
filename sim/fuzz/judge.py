"""The judge: every beat on the memory bus and every frame on the wire, held against the grants.

What it takes from the adapter's word is the requester in AxUSER and the bit of ARID that marks
reads of the walker; that these are right is proved elsewhere, and shows here as well: a ring that
speaks for another reaches pages that are not granted to that one.

- A beat of a ring, and its address, lies in a page that is granted to that ring in that cycle with
  that permission. A read of the walker is an entry of the table of that ring's window, and is read
  as one. The bit bucket is one page that nobody has.
- Every marker in a frame was read over the bus, wherever it stood, by one and the same ring. As
  what was read was granted, the bytes are no secret to that ring. (Bytes that are no marker, as
  headers and what is left of a marker at the edges of a fragment, prove nothing.)
- Where no software mixes what belongs to several, all markers of a frame are of one owner. This one
  takes nobody's word.
- A frame has the right FCS and length; a completion names the ring that writes it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from byway.sim.board.bus_beat import BeatKind, BusBeat
from byway.sim.board.wire_frame import WireFrame
from byway.sim.fuzz.grants import BUCKET, READ, WRITE, Grant, Grants
from byway.sim.fuzz.markers import markers_in
from byway.sim.fuzz.watch import Table
from byway.sw.contract.records import Completion, TranslationControlEntry
from byway.sw.manager.memory import PAGE_SIZE, PartitionMemory

__all__ = ["LATE", "Judge", "Violation"]

#: Cycles before the end of a grant that count as its last.
LATE = 200

_WORD = 8
_READS = frozenset(map(int, (BeatKind.READ_ADDRESS, BeatKind.READ_DATA)))
_UNMAPPED = bytes(TranslationControlEntry.SIZE)


class Violation(NamedTuple):
    """What must not be, and the cycle in which it was.

    Attributes
    ----------
    cycle : int
    kind : str
        One word or two, for counting.
    text : str
    """

    cycle: int
    kind: str
    text: str


class Judge:
    """Collects violations.

    Parameters
    ----------
    walker_id : int
        IDs from here on are the walker's.
    bus_bytes : int
        Width of the memory bus.
    one_owner : bool
        No frame holds what belongs to several partitions.

    Attributes
    ----------
    violations : list of Violation
    grants : Grants
        Has to be told of everything that happens.
    tables : list of (int, Table)
        Rings and the tables that their windows have or have had.
    beats : Counter
        Beats judged, by kind.
    statuses : Counter
        Completions written, by status.
    late : int
        Beats in the last `LATE` cycles of their grant.
    markers : int
        Markers found on the wire and judged.
    """

    def __init__(
        self, grants: type[Grants], *, walker_id: int, bus_bytes: int, one_owner: bool = False
    ):
        self.violations: list[Violation] = []
        self.grants = grants(lambda cycle, text: self.accuse(cycle, "wrong grant", text))
        self.tables: list[tuple[int, Table]] = []
        self.beats: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.late = 0
        self.markers = 0
        self._walker_id = walker_id
        self._bus_bytes = bus_bytes
        self._one_owner = one_owner
        self._owned: set[int] = set()
        self._bucket: int | None = None
        self._last: dict[tuple[int, int, int], Grant] = {}
        #: Eight bytes that were read, first byte lowest -> first cycle of each ring that has.
        self._read: dict[bytes, dict[int, int]] = defaultdict(dict)

    def accuse(self, cycle: int, kind: str, text: str) -> None:
        """Take note of a violation."""
        self.violations.append(Violation(cycle, kind, text))

    def own(self, memory: PartitionMemory) -> None:
        """Know the pages of a partition, none of which may be the bit bucket."""
        pages = (memory.physical_page(n) for n in range(memory.size // PAGE_SIZE))
        self._owned.update(page for page in pages if page is not None)

    # The bus

    def judge_beats(self, beats: Iterable[BusBeat]) -> None:
        """Judge what has passed on the bus, in order."""
        count = self.beats
        for cycle, address, identifier, requester, kind, size, data in beats:
            if identifier >= self._walker_id and kind in _READS:
                count["walk"] += 1
                if size != _WORD or not any(
                    ring == requester and table.holds(address) for ring, table in self.tables
                ):
                    self._accuse_bus(cycle, "walk", requester, kind, address)
                continue
            access = READ if kind in _READS else WRITE
            count["read" if access == READ else "write"] += 1
            page = address // PAGE_SIZE
            grant = self._last.get((requester, page, access))
            if grant is None or not grant.begin <= cycle < grant.end:
                grant = self.grants.find(requester, page, access, cycle)
                if grant is None:
                    if not self._is_bucket(requester, page, access, cycle):
                        self._accuse_bus(cycle, "foreign beat", requester, kind, address)
                    continue
                self._last[requester, page, access] = grant
            self.late += grant.end - cycle <= LATE
            if kind == BeatKind.READ_DATA:
                # Lanes that were not asked for are of the same page, and as much granted.
                for at in range(0, self._bus_bytes, _WORD):
                    self._read[data[at : at + _WORD]].setdefault(requester, cycle)
            elif kind == BeatKind.WRITE_DATA:
                self._judge_completion(cycle, requester, address % Completion.SIZE, data)

    def _judge_completion(self, cycle: int, ring: int, offset: int, data: bytes) -> None:
        """Judge a beat of a completion, `offset` bytes behind its beginning."""
        record = (bytes(offset) + data)[: Completion.SIZE]
        completion = Completion.unpack(record)
        if offset == 0:
            self.statuses[completion.status.name.lower()] += 1
        if offset + self._bus_bytes == Completion.SIZE and completion.ring != ring:
            text = f"ring {ring} writes a completion of ring {completion.ring}"
            self.accuse(cycle, "foreign completion", text)

    def _accuse_bus(self, cycle: int, what: str, ring: int, kind: int, address: int) -> None:
        name = BeatKind(kind).name.lower().replace("_", " ")
        text = f"ring {ring}, {name} at {address:#x}, which is not granted to it"
        self.accuse(cycle, what, text)

    def _is_bucket(self, ring: int, page: int, access: int, cycle: int) -> bool:
        if self.grants.find(ring, BUCKET, access, cycle) is None:
            return False
        tables = (table for _ring, table in self.tables)
        if page in self._owned or any(table.has_page(page) for table in tables):
            return False
        if self._bucket is None:
            self._bucket = page
        return page == self._bucket

    # The wire

    def judge_frame(self, frame: WireFrame) -> None:
        """Judge a frame, after all beats that were before it."""
        if not frame.good:
            self.accuse(frame.last_cycle, "broken frame", f"{len(frame.data)} bytes, or wrong FCS")
        rings: set[int] | None = None
        owners: set[int] = set()
        for marker in markers_in(frame.data):
            self.markers += 1
            readers = {
                ring
                for ring, cycle in self._read.get(marker.word, {}).items()
                if cycle <= frame.last_cycle
            }
            rings = readers if rings is None else rings & readers
            owners.add(marker.owner)
            if not rings or (self._one_owner and len(owners) > 1):
                text = (
                    f"in a frame of {len(frame.data)} bytes: those of owner {marker.owner}, epoch "
                    f"{marker.epoch}, address {marker.address:#x}"
                )
                self.accuse(frame.first_cycle, "foreign bytes", text)
                return

    # In the end

    def judge_table(self, cycle: int, liobn: int, content: bytes) -> None:
        """Judge the TCE table of a ring's window: it maps what is granted, and nothing else."""
        size = TranslationControlEntry.SIZE
        granted = self.grants.entries(liobn)
        for index in range(len(content) // size):
            packed = content[index * size : index * size + size]
            if packed == _UNMAPPED and index not in granted:
                continue
            entry = TranslationControlEntry.unpack(packed)
            access = entry.read | entry.write << 1
            wanted = granted.get(index)
            right = access == 0 if wanted is None else access == wanted.access
            if right and wanted is not None and wanted.page != BUCKET:
                right = entry.rpn == wanted.page
            elif right and wanted is not None:
                right = entry.rpn not in self._owned
            if not right:
                text = f"entry {index} of window {liobn:#x} is {entry}, granted is {wanted}"
                self.accuse(cycle, "wrong table", text)
                return
