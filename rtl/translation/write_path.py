"""The write path: puts permitted writes on the memory bus; absorbs and answers refused ones itself.

Write data has no ID and follows the order of the addresses [AMBA AXI4, IHI 0022, A5.4], so a beat
passes only once the address it belongs to has been judged. A refused write puts neither address
nor data on the memory bus: its beats are taken and dropped, and B answers DECERR. That happens
when every earlier write has been answered, and before any later one is put on the bus, so that the
answers of an ID keep their order. DECERR comes from the bridge alone: a DECERR of the memory is
passed on as SLVERR.

Clock domain: ``sync``. Latency: 1 cycle for an address, 1 for a beat of data after its address, 1
for an answer. Throughput: one address, one beat and one answer a cycle.
"""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.axi4 import AXI4WriteSignature, Resp
from byway.rtl.bus.skid_buffer import SkidBuffer
from byway.rtl.translation.outstanding import (
    OutstandingCounter,
    answer_of_memory,
    check_outstanding,
)
from byway.rtl.translation.request import AddressLayout, TranslatedLayout, channel_fields

__all__ = ["WriteAnswerLayout", "WriteBeatLayout", "WritePath"]


class WriteBeatLayout(data.StructLayout):
    """The payload of a W channel; names as the standard's, without their first letter.

    Parameters
    ----------
    data_width : int
        Width of WDATA in bits.
    """

    def __init__(self, *, data_width: int):
        super().__init__(
            {
                "data": unsigned(data_width),
                "strb": unsigned(data_width // 8),
                "last": unsigned(1),
            }
        )


class WriteAnswerLayout(data.StructLayout):
    """The payload of a B channel; names as the standard's, without their first letter.

    Parameters
    ----------
    id_width : int
        Width of BID in bits.
    """

    def __init__(self, *, id_width: int):
        super().__init__({"id": unsigned(id_width), "resp": unsigned(2)})


class WritePath(wiring.Component):
    """Writes, from their translation to the master's B channel.

    Parameters
    ----------
    addr_width, data_width, id_width, user_width : int
        Widths in bits of the master's fields; IDs on the memory bus have one bit more.
    outstanding : int
        Transactions that may be under way: a power of two, at least 2. Further ones wait.

    Members
    -------
    translated : In(stream.Signature(TranslatedLayout(...)))
        Writes, judged.
    beats : In(stream.Signature(WriteBeatLayout(...)))
        Data of the master.
    answers : Out(stream.Signature(WriteAnswerLayout(...)))
        Answers to the master.
    m_axi : Out(AXI4WriteSignature(...))
        The memory bus.
    idle : Out(1)
        The master has seen the answer to every write that was taken, and none is offered to the
        bus.
    """

    translated: stream.Interface
    beats: stream.Interface
    answers: stream.Interface
    m_axi: Any
    idle: Signal

    def __init__(
        self,
        *,
        addr_width: int = 64,
        data_width: int = 64,
        id_width: int = 6,
        user_width: int = 8,
        outstanding: int = 128,
    ):
        request = AddressLayout(addr_width=addr_width, id_width=id_width, user_width=user_width)
        self._bus_request = AddressLayout(
            addr_width=addr_width, id_width=id_width + 1, user_width=user_width
        )
        self._beat = WriteBeatLayout(data_width=data_width)
        self._answer = WriteAnswerLayout(id_width=id_width)
        memory = AXI4WriteSignature(
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
                "beats": In(stream.Signature(self._beat)),
                "answers": Out(stream.Signature(self._answer)),
                "m_axi": Out(memory),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        """Addresses to the bus; beats after them, or nowhere; answers to the master."""
        m = Module()
        m.submodules.addresses = addresses = SkidBuffer(shape=self._bus_request)
        m.submodules.data = beats = SkidBuffer(shape=self._beat)
        m.submodules.answers = answers = SkidBuffer(shape=self._answer)
        m.submodules.outstanding = outstanding = OutstandingCounter(limit=self._limit)
        # What is owed is the data of addresses that went to the bus.
        m.submodules.owed = owed = OutstandingCounter(limit=self._limit)
        axi = self.m_axi

        # Addresses: a refused write is taken like any other, but goes nowhere.
        request = self.translated.payload.request
        refused = self.translated.payload.refused
        opens = Signal()
        takes = Signal()
        m.d.comb += takes.eq(self.translated.valid & self.translated.ready)
        m.d.comb += self.translated.ready.eq(opens & addresses.i.ready & outstanding.room)
        m.d.comb += addresses.i.valid.eq(takes & ~refused)
        for name in self._bus_request.members:
            m.d.comb += addresses.i.payload[name].eq(request[name])

        # Refusal: alone with the master, take its data and answer.
        refused_id = Signal.like(request.id)
        absorbs = Signal()
        refuses = Signal()
        ends = Signal()
        m.d.comb += ends.eq(self.beats.valid & self.beats.ready & self.beats.payload.last)
        with m.FSM(name="refusal"):
            with m.State("Forward"):
                m.d.comb += opens.eq(1)
                m.d.sync += refused_id.eq(request.id)
                with m.If(takes & refused):
                    m.next = "Drain"
            with m.State("Drain"), m.If(outstanding.one):
                m.next = "Absorb"
            with m.State("Absorb"):
                m.d.comb += absorbs.eq(1)
                with m.If(ends):
                    m.next = "Refuse"
            with m.State("Refuse"):
                m.d.comb += refuses.eq(1)
                with m.If(answers.i.ready):
                    m.next = "Forward"

        # Data: as far as addresses have gone before it.
        passes = Signal()
        m.d.comb += passes.eq(~owed.none)
        m.d.comb += beats.i.payload.eq(self.beats.payload)
        m.d.comb += beats.i.valid.eq(self.beats.valid & passes)
        m.d.comb += self.beats.ready.eq((passes & beats.i.ready) | absorbs)
        m.d.comb += owed.begins.eq(takes & ~refused)
        m.d.comb += owed.ends.eq(ends & passes)

        # Answers.
        m.d.comb += axi.bready.eq(answers.i.ready)
        with m.If(refuses):
            m.d.comb += answers.i.valid.eq(1)
            m.d.comb += answers.i.payload.id.eq(refused_id)
            m.d.comb += answers.i.payload.resp.eq(Resp.DECERR)
        with m.Else():
            m.d.comb += answers.i.valid.eq(axi.bvalid)
            m.d.comb += answers.i.payload.id.eq(axi.bid)
            m.d.comb += answers.i.payload.resp.eq(answer_of_memory(axi.bresp))

        # Borders, and the count between them.
        m.d.comb += [signal.eq(field) for signal, field in channel_fields(axi, "aw", addresses.o.p)]
        m.d.comb += axi.awvalid.eq(addresses.o.valid)
        m.d.comb += addresses.o.ready.eq(axi.awready)
        m.d.comb += [signal.eq(field) for signal, field in channel_fields(axi, "w", beats.o.p)]
        m.d.comb += axi.wvalid.eq(beats.o.valid)
        m.d.comb += beats.o.ready.eq(axi.wready)
        m.d.comb += self.answers.payload.eq(answers.o.payload)
        m.d.comb += self.answers.valid.eq(answers.o.valid)
        m.d.comb += answers.o.ready.eq(self.answers.ready)
        m.d.comb += outstanding.begins.eq(takes)
        m.d.comb += outstanding.ends.eq(self.answers.valid & self.answers.ready)
        m.d.comb += self.idle.eq(outstanding.none & ~addresses.o.valid & ~beats.o.valid)

        return m
