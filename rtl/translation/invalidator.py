"""The invalidator: takes a mapping back, and says so only when nothing of it is left.

From `start` on, no further request is let in. Those inside end as they would have: translated by
old entries or new ones, they and every earlier transaction are seen through to the last beat or
answer that the master takes. Then nothing is under way, no walk either, and the IOTLB forgets.
Only then does `busy` fall, so that software that changed a TCE, or a window, before `start` may
reuse the page after `busy`.

It ends under any traffic, as it lets none in, provided that what is under way can end: the memory
must answer, and the master must take answers and give write data without waiting for the bridge to
accept another address.

Clock domain: ``sync``. Latency: 2 cycles from `start` to the fall of `busy` and those of the IOTLB,
if nothing is under way.

Source: LoPAR, invalidation of TCEs; patent, taking back of address translation entries.
"""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.translation.window import InvalidateSignature, InvalidationLayout

__all__ = ["Invalidator"]


class Invalidator(wiring.Component):
    """Sequences an invalidation.

    Parameters
    ----------
    windows : int
        How many windows there are.

    Members
    -------
    invalidate : In(InvalidateSignature())
        The registers.
    hold : Out(1)
        Let no further request in.
    idle : In(1)
        Nothing is under way anywhere in the bridge. While on hold it stays so.
    invalidation : Out(stream.Signature(InvalidationLayout(windows=windows)))
        For the IOTLB.
    """

    invalidate: Any
    hold: Signal
    idle: Signal
    invalidation: stream.Interface

    def __init__(self, *, windows: int = 4):
        super().__init__(
            {
                "invalidate": In(InvalidateSignature()),
                "hold": Out(1),
                "idle": In(1),
                "invalidation": Out(stream.Signature(InvalidationLayout(windows=windows))),
            }
        )

    def elaborate(self, platform):
        """Wait for a start, for silence, for the IOTLB."""
        m = Module()
        invalidation = self.invalidation.payload
        m.d.comb += self.invalidate.busy.eq(self.hold)

        with m.FSM():
            with m.State("Ready"):
                m.d.sync += invalidation.scope.eq(self.invalidate.scope)
                m.d.sync += invalidation.page.window.eq(self.invalidate.window)
                m.d.sync += invalidation.page.index.eq(self.invalidate.index)
                with m.If(self.invalidate.start):
                    m.d.sync += self.hold.eq(1)
                    m.next = "Drain"
            with m.State("Drain"), m.If(self.idle):
                m.d.sync += self.invalidation.valid.eq(1)
                m.next = "Forget"
            with m.State("Forget"), m.If(self.invalidation.ready):
                m.d.sync += self.invalidation.valid.eq(0)
                m.d.sync += self.hold.eq(0)
                m.next = "Ready"

        return m
