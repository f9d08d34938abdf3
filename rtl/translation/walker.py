"""The table walker: reads TCEs from the windows' tables in system memory.

Each walk is one read of 8 bytes, with an ID of its own. Several are under way at a time, and are
answered in the order in which the memory answers. It never writes.

Clock domain: ``sync``. Latency: 0 cycles from the walk to its address, 1 from the answer of the
memory to the entry. Throughput: one walk a cycle.

Source: LoPAR, translation control entries.
"""

from amaranth.hdl import Array, Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.contract.model import record
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.iotlb import EntryLayout
from byway.rtl.translation.request import AddressLayout

__all__ = [
    "TableBeatLayout",
    "WalkLayout",
    "WalkedLayout",
    "Walker",
    "check_data_width",
    "check_slots",
    "check_walks",
]

TCE = record("translation_control_entry")
#: Address bits within an entry.
_ENTRY_BITS = exact_log2(TCE.size // 8)


def check_data_width(data_width: int) -> None:
    """Raise `ValueError` unless an entry can be read in one beat of `data_width` bits."""
    if data_width < TCE.size:
        raise ValueError(f"Data width must be at least {TCE.size} bits, not {data_width!r}")


def check_slots(slots: int, what: str = "Slots") -> None:
    """Raise `ValueError` unless so many walks can be under way; `what` is what they are called."""
    if slots < 2 or slots & (slots - 1):
        raise ValueError(f"{what} must be a power of two, at least 2, not {slots!r}")


def check_walks(walks: int, *, id_width: int) -> None:
    """Raise `ValueError` unless so many walks can be told apart by IDs of the master's width."""
    check_slots(walks, "Walks")
    if walks > 1 << id_width:
        raise ValueError(f"Walks must be at most {1 << id_width}, not {walks!r}")


class WalkLayout(data.StructLayout):
    """What to read.

    Parameters
    ----------
    slots, user_width : int
        Walks that may be under way; width of AxUSER in bits.

    Members
    -------
    slot : unsigned
        What the walk is known by until it is answered.
    place : unsigned(61)
        System address of the entry, in entries.
    user : unsigned(user_width)
        The requester it is read for.
    """

    def __init__(self, *, slots: int, user_width: int):
        check_slots(slots)
        super().__init__(
            {
                "slot": unsigned(bits_for(slots - 1)),
                "place": unsigned(64 - _ENTRY_BITS),
                "user": unsigned(user_width),
            }
        )


class TableBeatLayout(data.StructLayout):
    """A beat of a TCE table, as the memory answered it.

    Parameters
    ----------
    data_width, slots : int
        Width of the memory bus in bits; walks that may be under way.

    Members
    -------
    slot : unsigned
        Of the walk: the ID of the read.
    data, resp : unsigned(data_width), unsigned(2)
        RDATA and RRESP.

    Raises
    ------
    ValueError
        If `data_width` is less than an entry's.
    """

    def __init__(self, *, data_width: int, slots: int):
        check_data_width(data_width)
        super().__init__(
            {
                "slot": unsigned(bits_for(slots - 1)),
                "data": unsigned(data_width),
                "resp": unsigned(2),
            }
        )


class WalkedLayout(data.StructLayout):
    """What was read.

    Parameters
    ----------
    slots : int
        Walks that may be under way.

    Members
    -------
    slot : unsigned
        Of the walk.
    entry : EntryLayout
        The entry; if it could not be read, one that permits nothing.
    error : unsigned(1)
        The memory answered with an error.
    """

    def __init__(self, *, slots: int):
        check_slots(slots)
        super().__init__(
            {
                "slot": unsigned(bits_for(slots - 1)),
                "entry": EntryLayout(),
                "error": unsigned(1),
            }
        )


class Walker(wiring.Component):
    """Reads translation control entries.

    Parameters
    ----------
    addr_width, data_width, user_width : int
        Widths in bits of the memory's ARADDR, RDATA (64 or more) and ARUSER.
    slots : int
        Walks that may be under way: a power of two, at least 2.

    Members
    -------
    walk : In(stream.Signature(WalkLayout(...)))
        Entries to read, one at a time for each slot.
    walked : Out(EventSignature(WalkedLayout(slots=slots)))
        One answer for each walk.
    address : Out(stream.Signature(AddressLayout(...)))
        The reads; ``id`` is the slot, and is for the owner of the bus to complete.
    beat : In(EventSignature(TableBeatLayout(data_width=data_width, slots=slots)))
        The read data that belongs to these reads.

    Raises
    ------
    ValueError
        If `data_width` is less than an entry's, or `slots` is not as above.
    """

    walk: stream.Interface
    walked: Event
    address: stream.Interface
    beat: Event

    def __init__(
        self, *, addr_width: int = 64, data_width: int = 64, user_width: int = 8, slots: int = 8
    ):
        self.data_width = data_width
        self.slots = slots
        self._slot = unsigned(bits_for(slots - 1))
        address = AddressLayout(
            addr_width=addr_width, id_width=self._slot.width, user_width=user_width
        )
        super().__init__(
            {
                "walk": In(stream.Signature(WalkLayout(slots=slots, user_width=user_width))),
                "walked": Out(EventSignature(WalkedLayout(slots=slots))),
                "address": Out(stream.Signature(address)),
                "beat": In(EventSignature(TableBeatLayout(data_width=data_width, slots=slots))),
            }
        )

    def elaborate(self, platform):
        """Ask, and pick the entry from the beat that answers."""
        m = Module()
        word_bits = exact_log2(self.data_width // TCE.size)
        words = Array(Signal(word_bits, name=f"word_{slot}") for slot in range(self.slots))
        walk = self.walk.payload
        address = self.address.payload
        m.d.comb += self.walk.ready.eq(self.address.ready)
        m.d.comb += self.address.valid.eq(self.walk.valid)
        m.d.comb += address.id.eq(walk.slot)
        m.d.comb += address.addr.eq(Cat(Const(0, _ENTRY_BITS), walk.place))
        m.d.comb += address.size.eq(_ENTRY_BITS)
        m.d.comb += address.burst.eq(Burst.INCR)
        m.d.comb += address.user.eq(walk.user)
        with m.If(self.walk.valid & self.walk.ready):
            m.d.sync += words[walk.slot].eq(walk.place[:word_bits])

        # An error hides the entry.
        beat = self.beat.payload
        tce = Signal(TCE)
        error = Signal()
        m.d.comb += tce.eq(beat.data.word_select(words[beat.slot], TCE.size))
        m.d.comb += error.eq(beat.resp.matches(Resp.SLVERR, Resp.DECERR))
        m.d.sync += self.walked.valid.eq(self.beat.valid)
        m.d.sync += self.walked.payload.slot.eq(beat.slot)
        m.d.sync += self.walked.payload.error.eq(error)
        m.d.sync += self.walked.payload.entry.rpn.eq(tce.rpn)
        m.d.sync += self.walked.payload.entry.read.eq(tce.read & ~error)
        m.d.sync += self.walked.payload.entry.write.eq(tce.write & ~error)

        return m
