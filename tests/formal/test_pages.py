"""Each page of the register space is as the contract says, whatever happens in other pages.

Beside the register bank stands what the contract says of each page. It is told of accesses to that
page alone, and of nothing else that software does: so to agree with it is to keep pages apart.
Shown, without a bound, in any order of accesses, with data before or after its address:

- what a page says to the hardware is, in every cycle, what was written in that page;
- a read is answered by what that page holds, and, for the high half of a register that the hardware
  changes, by what it held when the low half was read, whoever has read other pages since;
- an access to an offset without a register is refused, and changes nothing.
"""

import functools
import operator
from typing import Any

from amaranth.asserts import AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Cat, Const, Cover, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract.register_bank import RegisterBank
from byway.rtl.contract.tree import WORD_BITS, FieldKind

PAGE_BITS = 12
WORD_BYTES = WORD_BITS // 8
TO_REGISTER = 2
"""Cycles from the start of an access until registers are looked at, or written."""
TO_ANSWER = 4
"""Cycles from the start of a read until its answer is known."""


def later(m, value, cycles):
    """`value`, so many cycles ago; at first 0."""
    for _ in range(cycles):
        before = value
        value = Signal(len(before))
        m.d.sync += value.eq(before)
    return value


def any_of(values):
    """Whether any is set; of words, at most one of which is not 0, that one."""
    return functools.reduce(operator.or_, values, Const(0))


class PageOfContract:
    """What the contract says of a page: asserts it of the bank's ports, and gives its answers.

    Parameters
    ----------
    m : Module
    group : Group
        The page in the model.
    ports
        Its members on the bank, whose inputs are driven.
    reads, writes : Callable
        Give, for an offset in the page, whether an access to this word starts.
    write : tuple of Signal
        Data and strobe.

    Attributes
    ----------
    known : list of tuple
        Of each word that may be read, whether it is being read now, and what it holds.
    taken : list of Value
        Of each word that may be written, whether a write to it starts.
    """

    def __init__(self, m, group, ports, *, reads, writes, write):
        self._m = m
        self._ports = ports
        self._reads = reads
        self._writes = writes
        self._data, self._strobe = write
        self._lows = []
        self._copy = Signal(WORD_BITS)
        self.known = []
        self.taken = []
        for path, offset, register in group.registers(external=False):
            self._register(path, offset, register)
        for path, offset, array in group.externals():
            self._array(path, offset, array)
        keeps = later(m, any_of(low for low, _high in self._lows), 1)
        kept = later(m, any_of(Mux(low, high, 0) for low, high in self._lows), 1)
        with m.If(keeps):
            m.d.sync += self._copy.eq(kept)

    def _port(self, path):
        port = self._ports
        for step in path:
            port = port[step] if isinstance(step, int) else getattr(port, step)
        return port

    def _looks(self, offset):
        return later(self._m, self._reads(offset), TO_REGISTER)

    def _register(self, path, offset, register):
        m = self._m
        whole = Signal(register.width)
        for field in register.fields:
            value = self._field(path, offset, field)
            if field.readable and field.kind is not FieldKind.PULSE:
                m.d.comb += whole[field.low : field.low + field.width].eq(value)
        changes = {FieldKind.HARDWARE, FieldKind.STICKY} & {f.kind for f in register.fields}
        for base in range(0, register.width, WORD_BITS):
            place = offset + base // 8
            word = whole[base : base + WORD_BITS]
            if base and changes and register.readable:
                self._lows.append((self._looks(offset), word))
                word = self._copy
            if register.readable:
                self.known.append((self._looks(place), word))
            if register.writable:
                self.taken.append(self._writes(place))

    def _field(self, path, offset, field):
        """Follow a field; returns what it holds."""
        m = self._m
        if field.kind is FieldKind.CONSTANT:
            return Const(field.reset, field.width)
        port = self._port((*path, field.name))
        if field.kind is FieldKind.HARDWARE:
            held = port.value
        else:
            held = Signal(field.width, init=field.reset or 0)
            m.d.comb += Assert(port.value == held, f"{path} {field.name}")
        touches = []
        for bit in range(field.width):
            word, place = divmod(field.low + bit, WORD_BITS)
            lane = self._strobe[place // 8]
            written = later(m, self._writes(offset + word * WORD_BYTES), TO_REGISTER) & lane
            one = written & self._data[place]
            touches.append(one if field.write_one_clears else written)
            if field.write_one_sets:
                m.d.sync += held[bit].eq((held[bit] & ~port.clear) | one)
            elif field.kind is FieldKind.STORAGE:
                with m.If(written):
                    m.d.sync += held[bit].eq(self._data[place])
            elif field.kind is FieldKind.PULSE:
                m.d.sync += held[bit].eq(one)
            elif field.kind is FieldKind.STICKY:
                m.d.sync += held[bit].eq((held[bit] & ~one) | port.set)
        if field.clear and not field.write_one_sets:
            with m.If(port.clear):
                m.d.sync += held.eq(0)
        if field.modify:
            m.d.comb += Assert(port.modify == later(m, any_of(touches), 1), f"{path} modify")
        return held

    def _array(self, path, offset, array):
        """Follow an array that others keep: it is asked for, and told, what software says."""
        m = self._m
        port = self._port(path)
        strobes = []
        for index in range(array.count):
            for _path, start, register in array.registers((), index * array.stride):
                for place in range(start, start + register.width // 8, WORD_BYTES):
                    word = (place % array.stride) // WORD_BYTES
                    if register.readable:
                        self.known.append((self._looks(offset + place), port.read_data))
                        asks = later(m, self._reads(offset + place), 1)
                        right = (port.read_index == index) & (port.read_word == word)
                        m.d.comb += Assert(~asks | right, f"{path} is asked for the word")
                    if register.writable:
                        self.taken.append(self._writes(offset + place))
                        tells = later(m, self._writes(offset + place), TO_REGISTER + 1)
                        strobes.append(Mux(tells, self._strobe, 0))
                        right = (port.write_index == index) & (port.write_word == word)
                        right &= port.write_data == self._data
                        m.d.comb += Assert(~tells | right, f"{path} is told of the word")
        m.d.comb += Assert(port.write_strobe == any_of(strobes), f"{path} is written")


class PagesOfContract(Elaboratable):
    """The bank, in the hands of any software and any hardware, beside all of its pages."""

    def elaborate(self, platform):
        """Tell each page of what starts in it; compare answers."""
        m = Module()
        m.submodules.dut = dut = RegisterBank(rings=2, windows=2)
        for _path, member, signal in dut.signature.flatten(dut):
            if member.flow == In:
                m.d.comb += Value.cast(signal).eq(AnySeq(len(Value.cast(signal))))
        axil = dut.s_axil

        # A read starts with its address. A write starts a cycle after it has both.
        read_starts = axil.arvalid & axil.arready
        kept = {}
        for name, parts in {"aw": ("awaddr",), "w": ("wdata", "wstrb")}.items():
            taken = getattr(axil, f"{name}valid") & getattr(axil, f"{name}ready")
            kept[name] = Signal()
            with m.If(taken):
                m.d.sync += kept[name].eq(1)
            with m.Elif(axil.bvalid & axil.bready):
                m.d.sync += kept[name].eq(0)
            for part in parts:
                kept[part] = Signal.like(getattr(axil, part))
                with m.If(taken):
                    m.d.sync += kept[part].eq(getattr(axil, part))
        started = Signal()
        write_starts = kept["aw"] & kept["w"] & ~started
        with m.If(write_starts):
            m.d.sync += started.eq(1)
        with m.Elif(axil.bvalid & axil.bready):
            m.d.sync += started.eq(0)

        def at(starts, address, page):
            """Tells of each offset whether an access to it starts."""
            here = starts & (address[PAGE_BITS:] == page >> PAGE_BITS)
            places = {
                offset: here & (address[2:PAGE_BITS] == offset // WORD_BYTES)
                for offset in range(0, 1 << PAGE_BITS, WORD_BYTES)
            }
            return places.__getitem__

        known, written = [], []
        for group in dut.space.members:
            for index in [None] if group.count is None else range(group.count):
                ports: Any = getattr(dut, group.name, None)
                address = group.offset + (index or 0) * group.stride
                page = PageOfContract(
                    m,
                    group,
                    ports if index is None else ports[index],
                    reads=at(read_starts, axil.araddr, address),
                    writes=at(write_starts, kept["awaddr"], address),
                    write=(kept["wdata"], kept["wstrb"]),
                )
                known += page.known
                written += page.taken

        # The answers.
        answer = any_of(Mux(looks, Cat(word, Const(1, 1)), 0) for looks, word in known)
        answer = later(m, answer, TO_ANSWER - TO_REGISTER)
        expected = Signal.like(answer)
        with m.If(later(m, read_starts, TO_ANSWER)):
            m.d.sync += expected.eq(answer)
        found = Signal()
        with m.If(write_starts):
            m.d.sync += found.eq(any_of(written))
        with m.If(axil.rvalid):
            m.d.comb += Assert(axil.rdata == expected[:-1], "what is read")
            m.d.comb += Assert(axil.rresp == Mux(expected[-1], Resp.OKAY, Resp.SLVERR), "whether")
        with m.If(axil.bvalid):
            m.d.comb += Assert(axil.bresp == Mux(found, Resp.OKAY, Resp.SLVERR), "written")
        m.d.comb += Cover(axil.rvalid & (expected == 1 << WORD_BITS | 0xFFFF_FFFF), "a read")
        m.d.comb += Cover(axil.rvalid & ~expected[-1], "a read of nothing")
        m.d.comb += Cover(axil.bvalid & found, "a write")
        m.d.comb += Cover(axil.bvalid & ~found, "a write of nothing")
        return m


def test_pages_are_what_the_contract_says(verify):
    verify.reach(PagesOfContract())


def test_it_happens(verify):
    verify.cover(PagesOfContract(), depth=16)
