"""Which partition runs, and the interrupts that make partitions run.

An interrupt source is a number that belongs to one partition. A pulse sets the source's memory
element; presenting the interrupt clears it before the handler runs (H_XIRR and H_EOI in one), so a
pulse during the handler presents the interrupt again, and pulses before it coalesce.

There are two switches between a pulse and its handler, as in LoPAR. A source without a handler is
masked: its pulse waits. A source whose interrupt mode is Disabled does not pulse at all: what
happens meanwhile is lost, and who enables it polls once.

Crossings are counted here: control passes from one partition to a different one. Whatever a
partition does through the manager (an hcall, a register of its pages, a handler) says that it runs.

Source: LoPAR, "CRQ Facility Interrupt Notification"; patent, step 740: designed to minimize
context switching between partitions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from byway.sw.manager.counters import Counters
from byway.sw.manager.memory import PartitionFault

if TYPE_CHECKING:
    from byway.sw.manager.partition import Partition

__all__ = ["Dispatcher"]

_FIRST_SOURCE = 0x1000

_IN_A_ROW = 64
"""Interrupts that the running partition gets before another that waits."""


@dataclass
class _Source:
    owner: "Partition"
    enabled: bool
    handler: Callable[[], None] | None = None


class Dispatcher:
    """Presents interrupts and knows the running partition.

    Parameters
    ----------
    counters
        Where crossings and interrupts are counted.
    on_crossing
        Told of each crossing: from whom, to whom.
    """

    def __init__(
        self,
        counters: Counters,
        on_crossing: Callable[["Partition", "Partition"], None] | None = None,
    ):
        self._counters = counters
        self._on_crossing = on_crossing
        self._running: Partition | None = None
        self._sources: dict[int, _Source] = {}
        self._next_source = _FIRST_SOURCE
        self._pending: dict[int, None] = {}  # In order of the first pulse.
        self._in_a_row = 0

    @property
    def running(self) -> "Partition | None":
        """The partition that ran last; None before any has."""
        return self._running

    def switch_to(self, partition: "Partition") -> None:
        """Let `partition` run: a crossing, if another one ran before."""
        previous, self._running = self._running, partition
        if previous is not None and previous is not partition:
            self._counters.crossings += 1
            if self._on_crossing:
                self._on_crossing(previous, partition)

    def add_source(self, owner: "Partition", *, enabled: bool = True) -> int:
        """Return the number of a new interrupt source of `owner`, in the mode given."""
        source = self._next_source
        self._next_source += 1
        self._sources[source] = _Source(owner, enabled)
        return source

    def set_mode(self, source: int, *, enabled: bool) -> None:
        """Set the interrupt mode of `source`. A pulse that waits already is not taken back."""
        self._sources[source].enabled = enabled

    def remove_source(self, source: int) -> None:
        """End the source; a pulse that waits is dropped."""
        del self._sources[source]
        self._pending.pop(source, None)

    def remove_sources_of(self, owner: "Partition") -> None:
        """End every source of `owner`."""
        for number in [n for n, source in self._sources.items() if source.owner is owner]:
            self.remove_source(number)

    def mask_sources_of(self, owner: "Partition") -> None:
        """Take the handlers of every source of `owner`; pulses that wait are dropped."""
        for number, source in self._sources.items():
            if source.owner is owner:
                source.handler = None
                self._pending.pop(number, None)

    def handle(self, owner: "Partition", source: int, handler: Callable[[], None] | None) -> None:
        """Let `handler` run at each interrupt of `source`; None masks the source.

        Raises
        ------
        PartitionFault
            When `owner` has no such source.
        """
        entry = self._sources.get(source)
        if entry is None or entry.owner is not owner:
            raise PartitionFault(f"partition {owner.name} has no interrupt source {source:#x}")
        entry.handler = handler

    def pulse(self, source: int) -> None:
        """Make the interrupt of `source` pending, if it is enabled."""
        if source in self._sources and self._sources[source].enabled:
            self._pending[source] = None

    def present(self) -> bool:
        """Present one pending interrupt, if any has a handler; return whether one was.

        Those of the running partition come first, a fair number of them: a switch between
        partitions is the dearest thing here. What the handler raises passes through.
        """
        ready = {
            number: (source.owner, source.handler)
            for number in self._pending
            if (source := self._sources[number]).handler
        }
        if not ready:
            return False
        own = [number for number, (owner, _) in ready.items() if owner is self._running]
        others = [number for number in ready if number not in own]
        number = own[0] if own and (self._in_a_row < _IN_A_ROW or not others) else others[0]
        owner, handler = ready[number]
        del self._pending[number]
        self._in_a_row = self._in_a_row + 1 if owner is self._running else 1
        self.switch_to(owner)
        self._counters.interrupts += 1
        handler()
        return True
