"""The table walker: reads one TCE from a window's table in system memory.

Each walk is one read of 8 bytes at the table's base plus 8 times the page index, with an ID of its
own, so that the answer is told from all others. It never writes. One walk is under way at a time.

Clock domain: ``sync``. Latency: 2 cycles from the walk to its address, 1 from the answer of the
memory to the entry. Source: LoPAR, translation control entries.
"""

from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.axi4 import Burst, Resp
from byway.rtl.contract.model import record
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.iotlb import EntryLayout
from byway.rtl.translation.request import PAGE_BITS, AddressLayout
from byway.rtl.translation.window import ENTRIES_BITS, TABLE_BASE_BITS

__all__ = ["TableBeatLayout", "WalkLayout", "WalkedLayout", "Walker", "check_data_width"]

TCE = record("translation_control_entry")


def check_data_width(data_width: int) -> None:
    """Raise `ValueError` unless an entry can be read in one beat of `data_width` bits."""
    if data_width < TCE.size:
        raise ValueError(f"Data width must be at least {TCE.size} bits, not {data_width!r}")


class WalkLayout(data.StructLayout):
    """What to read.

    Parameters
    ----------
    user_width : int
        Width of AxUSER in bits.

    Members
    -------
    table_base : unsigned(52)
        Page number of the table's system address.
    index : unsigned(32)
        Page index of the entry.
    user : unsigned(user_width)
        The requester it is read for.
    """

    def __init__(self, *, user_width: int):
        super().__init__({"table_base": TABLE_BASE_BITS, "index": ENTRIES_BITS, "user": user_width})


class TableBeatLayout(data.StructLayout):
    """A beat of a TCE table, as the memory answered it.

    Parameters
    ----------
    data_width : int
        Width of the memory bus in bits.

    Raises
    ------
    ValueError
        If `data_width` is less than an entry's.
    """

    def __init__(self, *, data_width: int):
        check_data_width(data_width)
        super().__init__({"data": unsigned(data_width), "resp": unsigned(2)})


class WalkedLayout(data.StructLayout):
    """What was read.

    Members
    -------
    entry : EntryLayout
        The entry; if it could not be read, one that permits nothing.
    error : unsigned(1)
        The memory answered with an error.
    """

    def __init__(self):
        super().__init__({"entry": EntryLayout(), "error": unsigned(1)})


class Walker(wiring.Component):
    """Reads translation control entries.

    Parameters
    ----------
    addr_width, data_width, user_width : int
        Widths in bits of the memory's ARADDR, RDATA (64 or more) and ARUSER.

    Members
    -------
    walk : In(stream.Signature(WalkLayout(user_width=user_width)))
        Entries to read.
    walked : Out(EventSignature(WalkedLayout()))
        One answer for each walk.
    address : Out(stream.Signature(AddressLayout(...)))
        The reads; ``id`` is 0, and is for the owner of the bus to complete.
    beat : In(EventSignature(TableBeatLayout(data_width=data_width)))
        The read data that belongs to these reads.

    Raises
    ------
    ValueError
        If `data_width` is less than an entry's.
    """

    walk: stream.Interface
    walked: Event
    address: stream.Interface
    beat: Event

    def __init__(self, *, addr_width: int = 64, data_width: int = 64, user_width: int = 8):
        self.data_width = data_width
        address = AddressLayout(addr_width=addr_width, id_width=1, user_width=user_width)
        super().__init__(
            {
                "walk": In(stream.Signature(WalkLayout(user_width=user_width))),
                "walked": Out(EventSignature(WalkedLayout())),
                "address": Out(stream.Signature(address)),
                "beat": In(EventSignature(TableBeatLayout(data_width=data_width))),
            }
        )

    def elaborate(self, platform):
        """Take a walk, add, ask, wait, answer."""
        m = Module()
        entry_bytes = TCE.size // 8
        in_page = PAGE_BITS - (entry_bytes.bit_length() - 1)  # Index bits within a table's page.
        walk = Signal.like(self.walk.payload)
        address = Signal(64)
        m.d.comb += address.eq(
            Cat(
                Const(0, PAGE_BITS - in_page),
                walk.index[:in_page],
                walk.table_base + walk.index[in_page:],
            )
        )

        m.d.comb += self.address.payload.size.eq(entry_bytes.bit_length() - 1)
        m.d.comb += self.address.payload.burst.eq(Burst.INCR)

        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.walk.ready.eq(1)
                m.d.sync += walk.eq(self.walk.payload)
                with m.If(self.walk.valid):
                    m.next = "Add"
            with m.State("Add"):
                m.d.sync += self.address.payload.addr.eq(address)
                m.d.sync += self.address.payload.user.eq(walk.user)
                m.d.sync += self.address.valid.eq(1)
                m.next = "Ask"
            with m.State("Ask"), m.If(self.address.ready):
                m.d.sync += self.address.valid.eq(0)
                m.next = "Wait"
            with m.State("Wait"), m.If(self.beat.valid):
                m.d.sync += self.walked.valid.eq(1)
                m.next = "Answer"
            with m.State("Answer"):
                m.d.sync += self.walked.valid.eq(0)
                m.next = "Idle"

        # The address names a word of the beat; an error hides it.
        word_bits = (self.data_width // TCE.size).bit_length() - 1
        word = self.address.payload.addr[PAGE_BITS - in_page :][:word_bits]
        read = self.beat.payload
        tce = Signal(TCE)
        error = Signal()
        m.d.comb += tce.eq(read.data.word_select(word, TCE.size))
        m.d.comb += error.eq(read.resp.matches(Resp.SLVERR, Resp.DECERR))
        m.d.sync += self.walked.payload.error.eq(error)
        m.d.sync += self.walked.payload.entry.rpn.eq(tce.rpn)
        m.d.sync += self.walked.payload.entry.read.eq(tce.read & ~error)
        m.d.sync += self.walked.payload.entry.write.eq(tce.write & ~error)

        return m
