# amaranth: UnusedElaboratable=no
"""External arrays behind the register bank: software finds in them what they hold, and no more.

The test keeps what is in them, as `ExternalSignature` asks of it. Where registers are is read from
the SystemRDL source. Accesses have random stalls on all channels, and reads go on beside writes.
"""

import functools
import random
from collections import defaultdict
from typing import Any

import pytest
from amaranth.sim import Simulator
from systemrdl.node import RegNode

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract import model, register_bank
from byway.rtl.contract.register_bank import RegisterBank
from byway.sim.axi_lite_bench import AXILiteBench

Place = tuple[str, int, int]
"""Path of an array, index of an element, number of a word in it."""


@functools.cache
def external_words(rings: int, windows: int) -> dict[int, Place]:
    """Every word of an external array, by its address."""
    found = {}
    for node in model.elaborate("byway", rings, windows).top.descendants(unroll=True):
        if isinstance(node, RegNode) and node.external:
            element = node if node.is_array else node.parent
            assert element.current_idx is not None
            path = element.get_path(empty_array_suffix="", array_suffix="").removeprefix("byway.")
            for byte in range(0, node.get_property("regwidth") // 8, 4):
                address = node.absolute_address + byte
                word = (address - element.absolute_address) // 4
                found[address] = (path, element.current_idx[0], word)
    return found


def mask(strobe: int) -> int:
    """The bits whose bytes have a strobe."""
    return sum(0xFF << 8 * lane for lane in range(4) if strobe >> lane & 1)


class Bench:
    """A register bank whose external arrays are dictionaries."""

    def __init__(self, *, rings: int, windows: int, seed: int = 0):
        self.bank = RegisterBank(rings=rings, windows=windows)
        self.seed = seed
        self.rng = random.Random(seed)
        self.arrays = {
            "manager.binding": self.bank.manager.binding,
            "window.window": self.bank.window.window,
        }
        self.held: dict[Place, int] = defaultdict(int)
        self.writes: list[tuple[Place, int]] = []

    async def keep(self, ctx):
        """Answer with what was named in the cycle before, and take what is written."""
        interfaces = list(self.arrays.items())
        names = ("read_index", "read_word", "write_index", "write_word", "write_data")
        signals = [
            getattr(ports, name) for _path, ports in interfaces for name in (*names, "write_strobe")
        ]
        async for _clk, _rst, *values in ctx.tick().sample(*signals):
            for number, (path, ports) in enumerate(interfaces):
                index, word, write_index, write_word, data, strobe = values[6 * number :][:6]
                ctx.set(ports.read_data, self.held[path, index, word])
                if strobe:
                    place = (path, write_index, write_word)
                    kept = self.held[place] & ~mask(strobe)
                    self.held[place] = kept | data & mask(strobe)
                    self.writes.append((place, self.held[place]))

    def run(self, *tests: Any, longest_stall: int = 3) -> None:
        """Run every ``test(ctx, software)``, side by side."""
        simulator = Simulator(self.bank)
        simulator.add_clock(8e-9)
        for number, test in enumerate(tests):
            rng = random.Random(f"{self.seed} {number}")
            software = AXILiteBench(self.bank.s_axil, rng, longest_stall)
            simulator.add_testbench(functools.partial(test, software=software))
        watch = AXILiteBench(self.bank.s_axil, random.Random(0)).watch
        simulator.add_testbench(watch, background=True)
        simulator.add_process(self.keep)
        try:
            simulator.run()
        except AssertionError as error:
            error.add_note(f"seed {self.seed}")
            raise


@pytest.mark.parametrize(("rings", "windows"), [(1, 1), (3, 5), (2, 16), (5, 256)])
def test_reads_and_writes_reach_the_words_of_the_arrays_and_no_others(rings, windows):
    bench = Bench(rings=rings, windows=windows, seed=rings)
    words = external_words(rings, windows)
    assert len(words) == rings + 4 * windows
    size = model.elaborate("byway", rings, windows).top.size
    there = {
        node.absolute_address + byte
        for node in model.elaborate("byway", rings, windows).top.descendants(unroll=True)
        if isinstance(node, RegNode)
        for byte in range(0, node.get_property("regwidth") // 8, 4)
    }
    borders = {address + step for address in words for step in (-4, 4)}
    holes = sorted(address for address in borders - there if address < size)
    assert holes, "nothing past the arrays to try"
    by_page = [[at for at in words if at >> 12 == page] for page in (1, 3)]
    writing = True

    async def write(ctx, software):
        nonlocal writing
        for _ in range(300):
            address = bench.rng.choice([*map(bench.rng.choice, by_page), bench.rng.choice(holes)])
            data, strobe = (
                bench.rng.getrandbits(32),
                bench.rng.choice([0xF, bench.rng.getrandbits(4)]),
            )
            before, writes = dict(bench.held), len(bench.writes)
            answer = await software.write(ctx, address + bench.rng.randrange(4), data, strobe)
            if address not in words:
                assert answer is Resp.SLVERR, hex(address)
                assert len(bench.writes) == writes, hex(address)
                continue
            assert answer is Resp.OKAY, hex(address)
            expected = before.get(words[address], 0) & ~mask(strobe) | data & mask(strobe)
            assert bench.held[words[address]] == expected, hex(address)
            assert len(bench.writes) - writes == bool(strobe), hex(address)
            others = {place: value for place, value in bench.held.items() if value}
            before[words[address]] = expected
            assert others == {place: value for place, value in before.items() if value}
        writing = False

    async def read(ctx, software):
        while writing:
            address = bench.rng.choice([*map(bench.rng.choice, by_page), bench.rng.choice(holes)])
            place = words.get(address)
            begin, writes = bench.held[place] if place else 0, len(bench.writes)
            answer = await software.read(ctx, address)
            if place:
                meanwhile = {value for other, value in bench.writes[writes:] if other == place}
                assert answer[0] is Resp.OKAY, hex(address)
                assert answer[1] in {begin, *meanwhile}, hex(address)
            else:
                assert answer == (Resp.SLVERR, 0), hex(address)

    bench.run(write, read)


def test_everything_written_reads_back():
    bench = Bench(rings=3, windows=5, seed=1)
    words = external_words(3, 5)

    async def test(ctx, software):
        values = {address: bench.rng.getrandbits(32) for address in words}
        for address, value in bench.rng.sample(sorted(values.items()), len(values)):
            assert await software.write(ctx, address, value) is Resp.OKAY
        for address, value in bench.rng.sample(sorted(values.items()), len(values)):
            assert await software.read(ctx, address) == (Resp.OKAY, value), hex(address)
            assert bench.held[words[address]] == value, hex(address)

    bench.run(test)


def test_a_read_takes_five_cycles_and_a_write_six_as_in_the_bank():
    bench = Bench(rings=2, windows=4)
    axil = bench.bank.s_axil
    address, place = max(external_words(2, 4).items())
    bench.held[place] = 0xABCD

    async def test(ctx, software):
        await ctx.tick()
        for signal, value in (
            (axil.awaddr, address),
            (axil.awvalid, 1),
            (axil.wdata, 1),
            (axil.wstrb, 0xF),
            (axil.wvalid, 1),
            (axil.araddr, address),
            (axil.arvalid, 1),
        ):
            ctx.set(signal, value)
        seen = []
        ports = bench.bank.window.window
        for _cycle in range(8):
            seen.append(
                (ctx.get(axil.rvalid), ctx.get(ports.write_strobe) == 0xF, ctx.get(axil.bvalid))
            )
            if seen[-1][0]:
                assert ctx.get(axil.rdata) == 0xABCD
            await ctx.tick()
        assert [column.index(1) for column in zip(*seen, strict=True)] == [5, 4, 6]
        assert sum(strobe for _r, strobe, _b in seen) == 1

    bench.run(test, longest_stall=0)


def test_a_hole_within_the_elements_answers_with_an_error(tmp_path, monkeypatch):
    """The contract with a register less in each window."""
    text = model.SOURCE.read_text()
    start = text.index('    reg {\n        desc = "The extent of the window.";')
    stop = text.index("size @ 0x08;") + len("size @ 0x08;")
    source = tmp_path / "changed.rdl"
    source.write_text(text[:start] + text[stop:])
    monkeypatch.setattr(model, "SOURCE", source)
    monkeypatch.setattr(model, "elaborate", model.elaborate.__wrapped__)
    monkeypatch.setattr(register_bank, "register_space", model.register_space.__wrapped__)
    bench = Bench(rings=2, windows=5)

    async def test(ctx, software):
        for index in range(5):
            for word in range(4):
                address = 0x3000 + 16 * index + 4 * word
                expected = Resp.SLVERR if word == 2 else Resp.OKAY
                assert await software.write(ctx, address, index + word) is expected, hex(address)
                answer = (expected, 0 if word == 2 else index + word)
                assert await software.read(ctx, address) == answer, hex(address)
        expected = [(index, word) for index in range(5) for word in (0, 1, 3)]
        assert [place[1:] for place, _value in bench.writes] == expected

    bench.run(test)
