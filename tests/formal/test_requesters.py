"""Every request of the adapter carries the requester of the ring that it works for.

The top bit of an address is its colour. What software says of ring 0 has one colour, and of ring 1
the other: where its rings lie, and, in the entries that the memory answers ring's reads with, where
its frames lie. Shown, without a bound, of each part that asks the memory for something: the colour
of an address on the bus is that of its requester, so nothing of one ring is ever asked for in the
name of the other. Fragments do not reach over the middle of the address space, which would turn
their colour.
"""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Signal

from byway.rtl.bus.read_arbiter import ReadArbiter
from byway.rtl.transmit.completion import CompletionWriter
from byway.rtl.transmit.parser import FrameParser
from byway.rtl.transmit.reader import BurstSplitter, DmaReader
from byway.rtl.transmit.rings import TransmitRings
from byway.rtl.transmit.scheduler import Scheduler
from tests.formal.surroundings import anything

RINGS = 2
READS = {"addr_width": 12, "data_width": 32, "burst_bytes": 8}


def has_its_colour(m, valid, address, requester):
    """Claim it of a request."""
    m.d.comb += Assert(~valid | (address[-1] == requester), "the requester is that of the ring")
    m.d.comb += Cover(valid & (requester == 1), "a request of ring 1")


def lie_in_their_half(m, fragment):
    """Assume it of a fragment, which has at least a byte."""
    address, length = fragment.address[: READS["addr_width"]], fragment.length
    m.d.comb += Assume(address[-1] == fragment.requester, "it has its colour")
    m.d.comb += Assume(address[:-1] + length <= 1 << len(address) - 1, "and so has its end")
    m.d.comb += Assume(length != 0, "a fragment has at least a byte")


class EntriesAreFetched(Elaboratable):
    """Reads of entries, by the rings."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = TransmitRings(rings=RINGS, addr_width=32, data_width=128)
        anything(m, dut)
        for ring, config in enumerate(dut.config):
            upper = config.descriptor_base[18:20]
            m.d.comb += Assume(upper == ring << 1, "a ring lies in one half of the addresses")
        axi = dut.m_axi_read
        has_its_colour(m, axi.arvalid, axi.araddr, axi.aruser)
        m.d.comb += Assert(
            ~axi.arvalid | (axi.arid == dut.first_read_id + axi.aruser), "and its ID"
        )
        return m


class RowsAreHandedOn(Elaboratable):
    """Rows of entries, as the scheduler hands them from the store, or the bus, to the parser."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = Scheduler(rings=RINGS, data_width=128)
        anything(m, dut)
        beat, rows = dut.beat, dut.rows
        # Of the store, the rows of one ring lie below those of the other: see `TransmitRings`.
        read_ring = Signal()
        m.d.sync += read_ring.eq(dut.store_address[-1])
        m.d.comb += Assume(dut.store_data[63] == read_ring, "the store keeps what came")
        m.d.comb += Assume(beat.data[63] == beat.ring, "the memory answers")
        m.d.comb += Assert(~rows.valid | (rows.data[63] == rows.ring), "a row is of its ring")
        m.d.comb += Cover(rows.valid & (rows.ring == 1), "a row of ring 1")
        return m


class FragmentsAreNamed(Elaboratable):
    """Fragments of frames, as the parser takes them from entries."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = FrameParser(rings=RINGS, data_width=128, maximum_fragments=3)
        anything(m, dut)
        rows, fragments = dut.rows, dut.fragments
        begins = rows.valid & rows.descriptor & (rows.row == 0)
        m.d.comb += Assume(~begins | dut.room, "the scheduler begins a frame while there is room")
        # Rows of 128 bits begin with an address, but for the second of a descriptor.
        names_page = ~rows.descriptor | (rows.row == 0)
        colour = rows.data[63]
        m.d.comb += Assume(~names_page | (colour == rows.ring), "entries name pages of their half")
        has_its_colour(m, fragments.valid, fragments.payload.address, fragments.payload.requester)
        return m


class FragmentsAreCut(Elaboratable):
    """Bursts, as fragments of any length are cut."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = BurstSplitter(**READS)
        anything(m, dut)
        lie_in_their_half(m, dut.fragments.payload)
        burst = dut.bursts.payload
        has_its_colour(m, dut.bursts.valid, burst.address, burst.requester)
        return m


class FragmentsAreRead(Elaboratable):
    """Bursts, as the reader puts those of short fragments on the bus."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = DmaReader(slots=2, **READS)
        anything(m, dut)
        lie_in_their_half(m, dut.fragments.payload)
        m.d.comb += Assume(dut.fragments.payload.length < 32, "it is short")
        axi = dut.m_axi
        has_its_colour(m, axi.arvalid, axi.araddr, axi.aruser)
        return m


class CompletionsAreWritten(Elaboratable):
    """Writes of completions."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = CompletionWriter(rings=RINGS, addr_width=32, id_width=1)
        anything(m, dut)
        for ring, config in enumerate(dut.configs):
            upper = config.completion_base[18:20]
            m.d.comb += Assume(upper == ring << 1, "a ring lies in one half of the addresses")
        axi = dut.m_axi
        has_its_colour(m, axi.awvalid, axi.awaddr, axi.awuser)
        return m


class ReadsAreMerged(Elaboratable):
    """Reads of fragments and of entries, on one bus."""

    def elaborate(self, platform):
        m = Module()
        widths = {"addr_width": 12, "data_width": 32, "id_width": 1, "user_width": 1}
        m.submodules.dut = dut = ReadArbiter(id_ranges=[(0, 1), (1, 1)], **widths)
        anything(m, dut)
        for number, source in enumerate(dut.s_axi):
            m.d.comb += Assume(source.arid == number, "a master uses its IDs")
            m.d.comb += Assume(source.araddr[-1] == source.aruser, "it has its colour")
        axi = dut.m_axi
        has_its_colour(m, axi.arvalid, axi.araddr, axi.aruser)
        return m


PARTS = [
    EntriesAreFetched,
    RowsAreHandedOn,
    FragmentsAreNamed,
    FragmentsAreCut,
    FragmentsAreRead,
    CompletionsAreWritten,
    ReadsAreMerged,
]


@pytest.mark.parametrize("part", PARTS)
def test_requests_carry_the_requester_of_their_ring(verify, part):
    as_it_is, by_cost = part in (EntriesAreFetched, FragmentsAreNamed), part is FragmentsAreCut
    verify.reach(part(), as_it_is=as_it_is, by_cost=by_cost)


@pytest.mark.parametrize("part", PARTS)
def test_it_happens(verify, part):
    verify.cover(part(), depth=24)
