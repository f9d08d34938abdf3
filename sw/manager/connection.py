"""Virtual connections: what joins a client partition and its server.

Each end of a connection is a virtual adapter with a CRQ and any number of sub-CRQs. While both CRQs
are registered the connection is open: then, and only then, the server's second window pane reaches
the client's window.

Source: LoPAR, "Reliable Command/Response Transport Option" and "Subordinate CRQ Transport Option".
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from byway.sw.manager.counters import Counters
from byway.sw.manager.crq import CRQ_ELEMENT_BYTES, Header, Queue, TransportEvent
from byway.sw.manager.dispatch import Dispatcher
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.rtce import RtceTable
from byway.sw.manager.tables import VirtualWindow

if TYPE_CHECKING:
    from byway.sw.manager.partition import Partition

__all__ = ["ServerEnd", "SubCrq", "Transport", "VirtualConnection", "VirtualEnd"]


class SubCrq(NamedTuple):
    """A registered sub-CRQ."""

    queue: Queue
    irq: int
    """Its interrupt source."""


class VirtualEnd:
    """One end of a connection: a virtual adapter in a partition's device tree.

    Attributes
    ----------
    owner
        The partition that has it.
    unit
        Unit address, the name of this end in hcalls.
    window
        First pane of its DMA window.
    irq
        Interrupt source of its CRQ.
    rtce_table
        The client's window, at either end.
    crq
        Its receive queue, while registered.
    sub_crqs
        Its registered sub-CRQs by handle; the partner sends to them by these handles.
    partner
        The other end; None when that is gone for good.
    """

    def __init__(
        self,
        *,
        owner: "Partition",
        unit: int,
        window: VirtualWindow,
        irq: int,
        rtce_table: RtceTable,
    ):
        self.owner = owner
        self.unit = unit
        self.window = window
        self.irq = irq
        self.rtce_table = rtce_table
        self.crq: Queue | None = None
        self.sub_crqs: dict[int, SubCrq] = {}
        self.partner: VirtualEnd | None = None

    @property
    def liobn(self) -> int:
        """LIOBN of the first pane, which maps this end's own memory."""
        return self.window.liobn

    @property
    def window_bytes(self) -> int:
        """Bytes of the first pane; its I/O bus addresses start at 0."""
        return self.window.pages * PAGE_SIZE

    @property
    def is_open(self) -> bool:
        """Whether both ends have their CRQ registered."""
        return self.crq is not None and self.partner is not None and self.partner.crq is not None


class ServerEnd(VirtualEnd):
    """The server's end, with a second pane that reaches the client's window while open.

    Attributes
    ----------
    r_liobn
        LIOBN of the second pane.
    """

    def __init__(
        self,
        *,
        owner: "Partition",
        unit: int,
        window: VirtualWindow,
        irq: int,
        rtce_table: RtceTable,
        r_liobn: int,
    ):
        super().__init__(owner=owner, unit=unit, window=window, irq=irq, rtce_table=rtce_table)
        self.r_liobn = r_liobn


class VirtualConnection(NamedTuple):
    """A VNIC: the client's virtual adapter and the server's."""

    client: VirtualEnd
    server: ServerEnd


class Transport:
    """Delivers elements, and takes connections down.

    Parameters
    ----------
    counters
        Where messages are counted.
    dispatcher
        Where receivers are interrupted, and sub-CRQs have their sources.
    reset_rings
        Ends whatever the rings of the adapter with these numbers are doing.
    """

    def __init__(
        self,
        counters: Counters,
        dispatcher: Dispatcher,
        reset_rings: Callable[[Collection[int]], None],
    ):
        self._counters = counters
        self._dispatcher = dispatcher
        self._reset_rings = reset_rings

    def deliver(self, queue: Queue, irq: int, elements: Sequence[bytes]) -> bool:
        """Put all of `elements` into `queue` and interrupt its owner, or do nothing."""
        if not queue.put(elements):
            return False
        self._delivered(irq, len(elements))
        return True

    def free_sub_crq(self, end: VirtualEnd, handle: int) -> None:
        """Deregister the sub-CRQ `handle` of `end`."""
        self._dispatcher.remove_source(end.sub_crqs.pop(handle).irq)

    def free_crq(self, end: VirtualEnd, event: TransportEvent) -> None:
        """Deregister the CRQ of `end` with its sub-CRQs, and revoke the clones of the connection.

        Rings that reach a page through one are reset before, so that they end without a fault. The
        partner is told by `event`, over the newest element if its queue is full.
        """
        registered = end.crq is not None
        end.crq = None
        for handle in list(end.sub_crqs):
            self.free_sub_crq(end, handle)
        rings = end.rtce_table.rings
        if rings:
            self._reset_rings(rings)
        end.rtce_table.revoke_all()
        partner = end.partner
        if registered and partner is not None and partner.crq is not None:
            element = bytes([Header.TRANSPORT_EVENT, event]).ljust(CRQ_ELEMENT_BYTES, b"\0")
            if partner.crq.put([element]) or partner.crq.put_over_last(element):
                self._delivered(partner.irq, 1)

    def _delivered(self, irq: int, elements: int) -> None:
        self._counters.messages += elements
        self._dispatcher.pulse(irq)
