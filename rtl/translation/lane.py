"""A lane of the translator: the way in and out of one kind of request, reads or writes.

A lane lets a request in only if it has room for it at the way out. So whoever takes requests from
it can always give them back, and lanes that share a pipeline never wait for each other.

Clock domain: ``sync``. Latency: 0 cycles in, 0 cycles out. Throughput: one request a cycle.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from byway.rtl.bus.bypass import BypassBuffer, BypassQueue
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.request import AddressLayout, TranslatedLayout

__all__ = ["Lane", "check_room"]


def check_room(room: int) -> None:
    """Raise `ValueError` unless a lane can have `room`."""
    if room < 2 or room & (room - 1):
        raise ValueError(f"Room must be a power of two, at least 2, not {room!r}")


class Lane(wiring.Component):
    """Hands requests to a pipeline and takes them back.

    Parameters
    ----------
    request : AddressLayout
        Shape of the requests.
    room : int
        Requests that may be inside at a time: a power of two, at least 2.

    Members
    -------
    requests : In(stream.Signature(request))
        What comes.
    translated : Out(stream.Signature(TranslatedLayout(request)))
        What goes.
    hold : In(1)
        Offer nothing; an offer that waits is taken back.
    offer : Out(stream.Signature(request))
        A request that may enter the pipeline.
    judged : In(EventSignature(TranslatedLayout(request)))
        A request that leaves it: as many as entered.

    Raises
    ------
    ValueError
        If `room` is not as above.
    """

    requests: stream.Interface
    translated: stream.Interface
    hold: Signal
    offer: stream.Interface
    judged: Event

    def __init__(self, request: AddressLayout, *, room: int = 8):
        check_room(room)
        self.request = request
        self.room = room
        translated = TranslatedLayout(request)
        super().__init__(
            {
                "requests": In(stream.Signature(request)),
                "translated": Out(stream.Signature(translated)),
                "hold": In(1),
                "offer": Out(stream.Signature(request)),
                "judged": In(EventSignature(translated)),
            }
        )

    def elaborate(self, platform):
        """A buffer at the way in, a queue at the way out, and a count of what is between."""
        m = Module()
        m.submodules.entry = entry = BypassBuffer(self.request)
        m.submodules.exit = exit_ = BypassQueue(TranslatedLayout(self.request), depth=self.room)
        connect(m, flipped(self.requests), entry.i)
        connect(m, exit_.o, flipped(self.translated))

        inside = Signal(range(self.room + 1))
        is_open = Signal()
        enters = Signal()
        leaves = Signal()
        m.d.comb += is_open.eq(~inside[-1] & ~self.hold)
        m.d.comb += self.offer.valid.eq(entry.o.valid & is_open)
        m.d.comb += self.offer.payload.eq(entry.o.payload)
        m.d.comb += entry.o.ready.eq(self.offer.ready & is_open)
        m.d.comb += exit_.i.valid.eq(self.judged.valid)
        m.d.comb += exit_.i.payload.eq(self.judged.payload)
        m.d.comb += enters.eq(self.offer.valid & self.offer.ready)
        m.d.comb += leaves.eq(self.translated.valid & self.translated.ready)
        m.d.sync += inside.eq(inside + enters - leaves)

        return m
