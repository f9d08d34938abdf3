"""The memory in its worst manners: what an arbitrary master sees of it is the same on all engines.

A master in RTL asks for whatever comes out of a shift register, even what AXI4 forbids, and folds
all it gets, with the cycle in which it gets it, into a word.
"""

import hashlib
import shutil

import pytest
from amaranth.hdl import Cat, Module, Mux, Signal

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.board.bus_beat import BeatKind, BusBeat
from byway.sim.board_bench import AdapterShell
from byway.sim.engines.open_engine import open_engine

CYCLES = 3000
MEMORY_BYTES = 1 << 14

MANNERS = [
    MemoryManner(),
    MemoryManner(latency=7, outstanding=3),
    MemoryManner(stalls=30_000, seed=1),
    MemoryManner(latency=30, reorders=True, seed=2),
    MemoryManner(errors=9_000, seed=3),
    MemoryManner(latency=4, outstanding=9, stalls=12_000, reorders=True, errors=4_000, seed=4),
    MemoryManner(latency=4, outstanding=9, stalls=12_000, reorders=True, errors=4_000, seed=5),
]


class ArbitraryMaster(AdapterShell):
    """Reads and writes at random, ready at random; register 0 is what it saw."""

    def __init__(self, data_width: int = 64):
        super().__init__(address_width=12, data_width=data_width, id_width=3)

    def elaborate(self, platform):
        m = Module()
        axi, axil = self.m_axi, self.s_axil
        noise = Signal(64, init=0x123456789ABCDEF)
        seen = Signal(32)
        shifted = noise ^ (noise << 13)[:64]
        twisted = shifted ^ (shifted >> 7)
        m.d.sync += noise.eq(twisted ^ (twisted << 17)[:64])

        # What is asked for stays until it is taken; the memory answers half of it.
        for channel, low in (("ar", 0), ("aw", 23)):
            valid = getattr(axi, f"{channel}valid")
            with m.If(~valid | getattr(axi, f"{channel}ready")):
                fields = {"id": 3, "addr": 15, "len": 4, "burst": 2, "user": 3}
                m.d.sync += valid.eq(noise[low : low + 2] == 0)
                place = low + 2
                for name, width in fields.items():
                    m.d.sync += getattr(axi, f"{channel}{name}").eq(noise[place : place + width])
                    place += width
                m.d.sync += getattr(axi, f"{channel}size").eq(
                    Mux(noise[40], noise[41:43], (len(axi.wstrb) - 1).bit_length())
                )
        with m.If(~axi.wvalid | axi.wready):
            m.d.sync += [
                axi.wvalid.eq(noise[5] | noise[50]),
                axi.wdata.eq(noise),
                axi.wstrb.eq(noise[9:]),
            ]
        m.d.sync += [
            axi.rready.eq(noise[60] | noise[61]),
            axi.bready.eq(noise[62] & noise[21] & noise[22]),
        ]

        # Most writes are short, and responses are taken late, so that they wait for one another.
        with m.If((~axi.awvalid | axi.awready) & noise[45:47].any()):
            m.d.sync += axi.awlen.eq(0)

        # What comes, and when.
        beat = Cat(axi.rdata, axi.rid, axi.rresp, axi.rlast)
        answer = Cat(axi.bid, axi.bresp)
        readies = Cat(axi.arready, axi.awready, axi.wready, axi.rvalid, axi.bvalid)
        folded = (
            Mux(axi.rvalid, beat[:32] ^ beat[32:64] ^ beat[64:], 0)
            ^ Mux(axi.bvalid, answer, 0)
            ^ readies << 20
        )
        m.d.sync += seen.eq(Cat(seen[31], seen[:31]) ^ folded)

        m.d.comb += axil.arready.eq(1)
        with m.If(axil.arvalid):
            m.d.sync += [axil.rvalid.eq(1), axil.rdata.eq(seen)]
        with m.Elif(axil.rready):
            m.d.sync += axil.rvalid.eq(0)
        return m


def see(name: str, manner: MemoryManner) -> tuple[list[int], str, list[BusBeat]]:
    """What the master saw from time to time, the memory in the end, and what passed on the bus."""
    parameters = BoardParameters(memory_bytes=MEMORY_BYTES, memory=manner, watches_bus=True)
    engine = open_engine(name, ArbitraryMaster, parameters)
    try:
        pattern = bytes(byte * 7 & 0xFF for byte in range(MEMORY_BYTES))
        engine.memory.write(0, pattern)
        seen = []
        while engine.cycle < CYCLES:
            engine.run(100)
            seen.append(engine.registers.read(0))
        memory = engine.memory.read(0, MEMORY_BYTES)
        assert memory != pattern
        beats = engine.take_beats()
        assert {beat.kind for beat in beats} == set(BeatKind)
        assert not engine.take_beats()
        return seen, hashlib.sha256(memory).hexdigest(), beats
    finally:
        engine.close()


@pytest.fixture(scope="module")
def saw():
    return [see("amaranth", manner) for manner in MANNERS]


needs_clang = pytest.mark.skipif(shutil.which("clang++") is None, reason="clang is not installed")


@pytest.mark.parametrize("name", ["native", pytest.param("cxxrtl", marks=needs_clang)])
@pytest.mark.parametrize("number", range(len(MANNERS)), ids=lambda number: str(MANNERS[number]))
def test_every_manner_is_the_same_natively(saw, number, name):
    assert see(name, MANNERS[number]) == saw[number]


def test_manners_differ(saw):
    assert len({tuple(seen) for seen, *_more in saw}) == len(MANNERS)
