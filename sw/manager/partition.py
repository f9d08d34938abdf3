"""A logical partition (patent, FIG. 1: 125A, 125B, ...): memory, hcalls, interrupts, and a name."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from byway.sw.manager.dispatch import Dispatcher
from byway.sw.manager.memory import PartitionMemory

if TYPE_CHECKING:
    from byway.sw.manager.hcalls import Hcalls

__all__ = ["Partition"]


class Partition:
    """What the partition manager gives to the software of one partition; made by the manager.

    Attributes
    ----------
    name, number
        Name for people; number from 1.
    memory
        Its memory, by logical address.
    hcalls
        The services of the partition manager, bound to this partition as the caller.
    """

    hcalls: "Hcalls"

    def __init__(self, *, name: str, number: int, memory: PartitionMemory, dispatcher: Dispatcher):
        self.name = name
        self.number = number
        self.memory = memory
        self._dispatcher = dispatcher

    def __repr__(self) -> str:
        return f"<Partition {self.number} {self.name}>"

    def on_interrupt(self, source: int, handler: Callable[[], None] | None) -> None:
        """Let `handler` run at each interrupt of `source`, and if one is pending already.

        A handler is called without arguments; it polls whatever the source announces until there
        is nothing left. None masks the source.

        Raises
        ------
        PartitionFault
            When the source is not this partition's.
        """
        self._dispatcher.handle(self, source, handler)
