"""The read path: puts permitted reads on the memory bus and answers refused ones itself.

A refused read puts nothing on the memory bus. It is answered with as many beats as it asked for,
of data 0 and DECERR. That happens when every earlier read has been answered to its end, and before
any later one is put on the bus, so that the answers of an ID keep their order [AMBA AXI4, IHI 0022,
A5.3]. DECERR comes from the bridge alone: a DECERR of the memory is passed on as SLVERR.

Reads of the table walker share the bus: their ID has the top bit set and the walk's slot below it,
and they go first.

Clock domain: ``sync``. Latency: 1 cycle for an address, 1 for a beat of data. Throughput: one
address and one beat a cycle.
"""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from byway.rtl.bus.axi4 import AXI4ReadSignature, Resp
from byway.rtl.bus.skid_buffer import SkidBuffer
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.outstanding import (
    OutstandingCounter,
    answer_of_memory,
    check_outstanding,
)
from byway.rtl.translation.request import AddressLayout, TranslatedLayout, channel_fields
from byway.rtl.translation.walker import TableBeatLayout, check_walks

__all__ = ["ReadBeatLayout", "ReadPath"]


class ReadBeatLayout(data.StructLayout):
    """The payload of an R channel; names as the standard's, without their first letter.

    Parameters
    ----------
    data_width, id_width : int
        Widths in bits of RDATA and RID.
    """

    def __init__(self, *, data_width: int, id_width: int):
        super().__init__(
            {
                "id": unsigned(id_width),
                "data": unsigned(data_width),
                "resp": unsigned(2),
                "last": unsigned(1),
            }
        )


class ReadPath(wiring.Component):
    """Reads, from their translation to the master's R channel.

    Parameters
    ----------
    addr_width, data_width, id_width, user_width : int
        Widths in bits of the master's fields; IDs on the memory bus have one bit more.
    outstanding : int
        Transactions that may be under way: a power of two, at least 2. Further ones wait.
    walks : int
        Walks that may be under way: a power of two, at least 2, and at most the master's IDs.

    Members
    -------
    translated : In(stream.Signature(TranslatedLayout(...)))
        Reads, judged.
    beats : Out(stream.Signature(ReadBeatLayout(...)))
        Answers to the master.
    m_axi : Out(AXI4ReadSignature(...))
        The memory bus.
    table_read : In(stream.Signature(AddressLayout(...)))
        A walker's reads; the top bit of the ID is added here.
    table_beat : Out(EventSignature(TableBeatLayout(...)))
        Their answers.
    idle : Out(1)
        The master has seen the end of every read that was taken, and none is offered to the bus.

    Raises
    ------
    ValueError
        If `outstanding` or `walks` is not as above.
    """

    translated: stream.Interface
    beats: stream.Interface
    m_axi: Any
    table_read: stream.Interface
    table_beat: Event
    idle: Signal

    def __init__(
        self,
        *,
        addr_width: int = 64,
        data_width: int = 64,
        id_width: int = 6,
        user_width: int = 8,
        outstanding: int = 128,
        walks: int = 8,
    ):
        check_walks(walks, id_width=id_width)
        request = AddressLayout(addr_width=addr_width, id_width=id_width, user_width=user_width)
        table_beat = TableBeatLayout(data_width=data_width, slots=walks)
        table = AddressLayout(
            addr_width=addr_width,
            id_width=exact_log2(walks),
            user_width=user_width,
        )
        self._bus_request = AddressLayout(
            addr_width=addr_width, id_width=id_width + 1, user_width=user_width
        )
        self._beat = ReadBeatLayout(data_width=data_width, id_width=id_width)
        memory = AXI4ReadSignature(
            addr_width=addr_width,
            data_width=data_width,
            id_width=id_width + 1,
            user_width=user_width,
        )
        check_outstanding(outstanding)
        self._limit = outstanding
        super().__init__(
            {
                "translated": In(stream.Signature(TranslatedLayout(request))),
                "beats": Out(stream.Signature(self._beat)),
                "m_axi": Out(memory),
                "table_read": In(stream.Signature(table)),
                "table_beat": Out(EventSignature(table_beat)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        """Addresses to the bus; beats from the bus, or beats of a refusal, to the master."""
        m = Module()
        m.submodules.addresses = addresses = SkidBuffer(shape=self._bus_request)
        m.submodules.answers = answers = SkidBuffer(shape=self._beat)
        m.submodules.outstanding = outstanding = OutstandingCounter(limit=self._limit)
        axi = self.m_axi
        id_width = len(self.beats.payload.id)

        # Addresses: the walker's first. A refused read is taken like any other, but goes nowhere.
        request = self.translated.payload.request
        opens = Signal()
        takes = Signal()
        m.d.comb += takes.eq(self.translated.valid & self.translated.ready)
        m.d.comb += self.translated.ready.eq(
            opens & addresses.i.ready & outstanding.room & ~self.table_read.valid
        )
        m.d.comb += self.table_read.ready.eq(addresses.i.ready)
        m.d.comb += addresses.i.valid.eq(
            self.table_read.valid | (takes & ~self.translated.payload.refused)
        )
        for name in self._bus_request.members:
            m.d.comb += addresses.i.payload[name].eq(request[name])
        with m.If(self.table_read.valid):
            for name in self._bus_request.members:
                m.d.comb += addresses.i.payload[name].eq(self.table_read.payload[name])
            m.d.comb += addresses.i.payload.id.eq(self.table_read.payload.id | 1 << id_width)

        # Refusal: alone with the master, as many beats as it asked for.
        refused_id = Signal(id_width)
        beats_left = Signal(8)
        refuses = Signal()
        with m.FSM(name="refusal"):
            with m.State("Forward"):
                m.d.comb += opens.eq(1)
                m.d.sync += refused_id.eq(request.id)
                m.d.sync += beats_left.eq(request.len)
                with m.If(takes & self.translated.payload.refused):
                    m.next = "Drain"
            with m.State("Drain"), m.If(outstanding.one):
                m.next = "Refuse"
            with m.State("Refuse"):
                m.d.comb += refuses.eq(1)
                with m.If(answers.i.ready):
                    m.d.sync += beats_left.eq(beats_left - 1)
                    with m.If(beats_left == 0):
                        m.next = "Forward"

        # Beats, by their ID: the walker always has time, the master may not.
        is_table = axi.rid[-1]
        m.d.comb += axi.rready.eq(answers.i.ready)
        m.d.comb += self.table_beat.valid.eq(axi.rvalid & axi.rready & is_table)
        m.d.comb += self.table_beat.payload.slot.eq(axi.rid)
        m.d.comb += self.table_beat.payload.data.eq(axi.rdata)
        m.d.comb += self.table_beat.payload.resp.eq(axi.rresp)
        with m.If(refuses):
            m.d.comb += answers.i.valid.eq(1)
            m.d.comb += answers.i.payload.id.eq(refused_id)
            m.d.comb += answers.i.payload.resp.eq(Resp.DECERR)
            m.d.comb += answers.i.payload.last.eq(beats_left == 0)
        with m.Else():
            m.d.comb += answers.i.valid.eq(axi.rvalid & ~is_table)
            m.d.comb += answers.i.payload.id.eq(axi.rid)
            m.d.comb += answers.i.payload.data.eq(axi.rdata)
            m.d.comb += answers.i.payload.resp.eq(answer_of_memory(axi.rresp))
            m.d.comb += answers.i.payload.last.eq(axi.rlast)

        # Borders, and the count between them.
        m.d.comb += [signal.eq(field) for signal, field in channel_fields(axi, "ar", addresses.o.p)]
        m.d.comb += axi.arvalid.eq(addresses.o.valid)
        m.d.comb += addresses.o.ready.eq(axi.arready)
        m.d.comb += self.beats.payload.eq(answers.o.payload)
        m.d.comb += self.beats.valid.eq(answers.o.valid)
        m.d.comb += answers.o.ready.eq(self.beats.ready)
        m.d.comb += outstanding.begins.eq(takes)
        m.d.comb += outstanding.ends.eq(
            self.beats.valid & self.beats.ready & self.beats.payload.last
        )
        m.d.comb += self.idle.eq(outstanding.none & ~addresses.o.valid)

        return m
