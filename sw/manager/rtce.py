"""Redirected RDMA: TCEs of a client cloned into the window of the server's adapter.

The client's window is its RTCE table. Each entry of it remembers by a back pointer the one entry of
an adapter window that was cloned from it, so that a mapping in the adapter lives only as long as
the grant it was cloned from. A clone that the server itself has overwritten leaves a stale pointer
behind, which harms nobody.

Source: LoPAR, "Redirected RDMA (Using H_PUT_RTCE, and H_PUT_RTCE_INDIRECT)"; patent, step 760, the
"additional address translation entries and authentication capability".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from byway.sw.contract.records import TranslationControlEntry
from byway.sw.manager.tables import AdapterWindow, LiobnAttribute, VirtualWindow, is_mapped

if TYPE_CHECKING:
    from byway.sw.manager.partition import Partition

__all__ = ["Clone", "RtceState", "RtceTable"]


class RtceState(Enum):
    """What the owner of an RTCE finds when it stores another value over it."""

    UNUSED = auto()
    """Not mapped."""
    VALID_WITHOUT_CLONE = auto()
    """Mapped, and never used for Redirected RDMA."""
    STALE_CLONE = auto()
    """Mapped; the entry that the back pointer names holds something else by now."""
    LIVE_CLONE = auto()
    """Mapped, and the adapter can reach the page through the clone."""


@dataclass(frozen=True)
class Clone:
    """The entry of an adapter window that a back pointer names."""

    window: AdapterWindow
    index: int


class RtceTable(VirtualWindow):
    """The window of a client's virtual adapter, whose entries a server may clone.

    Parameters
    ----------
    liobn, owner, pages
        As for `VirtualWindow`.
    bit_bucket_allowed
        The attribute as the owner finds it. While it is set, the owner can change an entry that
        has a live clone, and the clone is pointed at the bit bucket: reads are refused, writes land
        in a page that nobody reads. While it is clear, the change is refused until the server has
        removed the clone.
    bit_bucket
        That page, as a TCE that permits writing only.
    """

    implemented = LiobnAttribute.BIT_BUCKET_ALLOWED

    def __init__(
        self,
        *,
        liobn: int,
        owner: "Partition",
        pages: int,
        bit_bucket_allowed: bool,
        bit_bucket: TranslationControlEntry,
    ):
        super().__init__(liobn=liobn, owner=owner, pages=pages)
        if bit_bucket_allowed:
            self.attributes = LiobnAttribute.BIT_BUCKET_ALLOWED
        self._bit_bucket = bit_bucket
        self._clones: dict[int, Clone] = {}

    @property
    def bit_bucket_allowed(self) -> bool:
        """Whether entries can be changed while clones of them live."""
        return LiobnAttribute.BIT_BUCKET_ALLOWED in self.attributes

    def state(self, index: int) -> RtceState:
        """State of the entry at `index`."""
        if not is_mapped(self.entry(index)):
            return RtceState.UNUSED
        clone = self._clones.get(index)
        if clone is None:
            return RtceState.VALID_WITHOUT_CLONE
        if clone.window.origins.get(clone.index) == (self, index):
            return RtceState.LIVE_CLONE
        return RtceState.STALE_CLONE

    def live_clone(self, index: int) -> Clone | None:
        """Return the live clone of the entry at `index`, if it has one."""
        return self._clones[index] if self.state(index) is RtceState.LIVE_CLONE else None

    @property
    def has_live_clones(self) -> bool:
        """Whether the adapter can reach any page through a clone."""
        return any(self.live_clone(index) for index in self._clones)

    @property
    def rings(self) -> frozenset[int]:
        """Rings of the adapter that can reach a page through a clone."""
        clones = map(self.live_clone, self._clones)
        return frozenset(clone.window.number for clone in clones if clone)

    def clone(self, index: int, target: Clone) -> None:
        """Clone the entry at `index`, which is mapped and has no live clone, into `target`."""
        target.window.store({target.index: self.entry(index)})
        target.window.origins[target.index] = (self, index)
        self._clones[index] = target

    def forget(self, index: int, target: Clone) -> None:
        """Drop the back pointer of the entry at `index` if it names `target`.

        A pointer to another entry stays: without it the client could not revoke that clone.
        """
        if self._clones.get(index) == target:
            del self._clones[index]

    def revoke(self, indexes: Iterable[int]) -> None:
        """Point the live clones of the entries at `indexes` at the bit bucket.

        Returns when no beat through them can still be issued or land.
        """
        by_window: dict[AdapterWindow, dict[int, TranslationControlEntry]] = {}
        for index in indexes:
            clone = self.live_clone(index)
            if clone:
                by_window.setdefault(clone.window, {})[clone.index] = self._bit_bucket
            self._clones.pop(index, None)
        for window, entries in by_window.items():
            window.store(entries)

    def revoke_all(self) -> None:
        """Point every live clone at the bit bucket, as `revoke` does."""
        self.revoke(list(self._clones))

    def may_replace(self, indexes: range) -> bool:
        """Whether the owner may change the TCEs at `indexes` now."""
        return self.bit_bucket_allowed or not any(self.live_clone(index) for index in indexes)

    def replace(self, index: int, entries: Sequence[TranslationControlEntry]) -> None:
        """Store `entries` from `index` on, after their live clones are revoked."""
        self.revoke(range(index, index + len(entries)))
        super().replace(index, entries)
