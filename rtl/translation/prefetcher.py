"""The prefetcher: proposes the pages that follow one that is being streamed.

A proposal is a request like any other, but for nobody: it is looked up, judged, and at most begins
a walk. A newer stream takes the place of what an older one still had to propose.

Clock domain: ``sync``. Latency: 1 cycle. Throughput: one proposal a cycle.
"""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.request import PAGE_BITS

__all__ = ["Prefetcher", "ProposalLayout"]


class ProposalLayout(data.StructLayout):
    """A page of a requester's window.

    Parameters
    ----------
    user_width : int
        Width of AxUSER in bits.

    Members
    -------
    index : unsigned(52)
        Page index in the I/O bus address.
    user : unsigned(user_width)
        The requester.
    """

    def __init__(self, *, user_width: int):
        super().__init__({"index": unsigned(64 - PAGE_BITS), "user": unsigned(user_width)})


class Prefetcher(wiring.Component):
    """Proposes pages.

    Parameters
    ----------
    user_width : int
        Width of AxUSER in bits.
    distance : int
        Pages ahead of the one in use: 1 or more.

    Members
    -------
    streamed : In(EventSignature(ProposalLayout(user_width=user_width)))
        A page that shows that its next ones will be used.
    proposal, taken : Out(EventSignature(ProposalLayout(user_width=user_width))), In(1)
        Its next ones, each shown until it is taken, or a newer stream is told of.
    hold : In(1)
        Propose nothing, and forget.

    Raises
    ------
    ValueError
        If `distance` is less than 1.
    """

    streamed: Event
    proposal: Event
    taken: Signal
    hold: Signal

    def __init__(self, *, user_width: int = 8, distance: int = 1):
        if distance < 1:
            raise ValueError(f"Distance must be at least 1, not {distance!r}")
        self.distance = distance
        layout = ProposalLayout(user_width=user_width)
        super().__init__(
            {
                "streamed": In(EventSignature(layout)),
                "proposal": Out(EventSignature(layout)),
                "taken": In(1),
                "hold": In(1),
            }
        )

    def elaborate(self, platform):
        """Count up from the page."""
        m = Module()
        left = Signal(range(self.distance + 1))
        proposal = self.proposal.payload
        m.d.comb += self.proposal.valid.eq((left != 0) & ~self.hold)
        with m.If(self.taken & (left != 0)):
            m.d.sync += proposal.index.eq(proposal.index + 1)
            m.d.sync += left.eq(left - 1)
        with m.If(self.streamed.valid):
            m.d.sync += proposal.user.eq(self.streamed.payload.user)
            m.d.sync += proposal.index.eq(self.streamed.payload.index + 1)
            m.d.sync += left.eq(self.distance)
        with m.If(self.hold):
            m.d.sync += left.eq(0)
        return m
