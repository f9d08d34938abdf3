"""The registers of the contract behind AXI4-Lite, built from the model at elaboration.

Each field that hardware and software share becomes an interface of its own on the bank, under the
path it has in ``byway.rdl``: ``bank.adapter.ring[1].control.enable.value``. What it consists of
depends on who holds the field (`byway.rtl.contract.tree.FieldKind`):

- storage: ``value`` out; what software writes, or, with woset, the ones it has written;
- hardware: ``value`` in;
- sticky (hwset): ``set`` in, ``value`` out; a set wins over a clear in the same cycle, so that no
  event is lost;
- pulse (singlepulse): ``value`` out, high for one cycle;
- with hwclr ``clear`` in as well, which wins over a write and a set in the same cycle, but not over
  ones written with woset: a new request is not taken for the one that has been served;
- with swmod ``modify`` out as well: high for one cycle when software writes the field, in the first
  cycle in which ``value`` is what was written; where writing 1 clears, only if a 1 is written.

Constants have no port. An external array is one interface, under the path of the array, to whoever
keeps its contents: `byway.rtl.contract.external.ExternalSignature`. All outputs are flip-flops.

Towards software [AMBA AXI4, B1]: AW and W may come in any order; only bytes whose strobe is set are
written, and a field counts as written if any of its bytes is. An access to an offset without a
register, a write to a register without a writable field and a read of one without a readable field
get SLVERR and change nothing. Bits 1:0 of an address are ignored. Reading the low half of a 64-bit
register that the hardware changes keeps the high half of the same cycle, and reading the high half
gives what was kept; each page has one such copy, of the last. Halves that only software changes are
read as they are. No access to one page tells anything of another, or changes it.

Clock domain: ``sync``. One access at a time each way. A read answers 5 cycles after its address; a
write takes effect 4 cycles after the later of its address and data, on an external array the cycle
after, and answers after 6. These figures hold for up to 128 words of registers, external arrays
counting as one each; with more, answers take one cycle longer.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.rtl.bus.axi4_lite import AXI4LiteSignature
from byway.rtl.contract.decode import AddressDecoder, SelectTree
from byway.rtl.contract.external import ExternalSignature
from byway.rtl.contract.model import register_space
from byway.rtl.contract.tree import WORD_BITS, Field, FieldKind, Group, Register

__all__ = ["RegisterBank"]

_WORD_BYTES = WORD_BITS // 8
#: Least bit of a byte address that counts.
_WORD_SHIFT = 2


class RegisterBank(wiring.Component):
    """The register space; its laws stand at the head of this file.

    Parameters
    ----------
    rings, windows : int or None
        Transmit rings and translation windows; None stands for the contract's default.
    space : Group or None
        Another register space than the adapter's, which `rings` and `windows` are for.

    Attributes
    ----------
    space : Group
        The model that it is built from.

    Members
    -------
    s_axil : In(AXI4LiteSignature)
        Software. The address has as many bits as the register space needs.
    busy : Out(1)
        An access has begun, if only with its address or its data, and has not been answered.
    manager, adapter, window, doorbell
        Pages, as far as the space has them, and in them arrays, registers and fields as in
        ``byway.rdl``.

    Raises
    ------
    ValueError
        If the register space has no room for so many.
    """

    s_axil: Any
    busy: Signal
    manager: Any
    adapter: Any
    window: Any
    doorbell: Any

    def __init__(
        self, *, rings: int | None = None, windows: int | None = None, space: Group | None = None
    ):
        self.space = register_space(rings=rings, windows=windows) if space is None else space
        self._addr_width = (self.space.size - 1).bit_length()
        bus = AXI4LiteSignature(addr_width=self._addr_width)
        super().__init__({"s_axil": In(bus), "busy": Out(1), **_group_members(self.space)})

    def elaborate(self, platform):
        """Describe the two ways to the registers."""
        m = Module()
        writing = self._elaborate_write(m, list(self._accesses(lambda register: register.writable)))
        reading = self._elaborate_read(m, list(self._accesses(lambda register: register.readable)))
        m.d.comb += self.busy.eq(writing | reading)
        return m

    def _ports(self, path: tuple[str | int, ...]) -> Any:
        ports: Any = self
        for step in path:
            ports = ports[step] if isinstance(step, int) else getattr(ports, step)
        return ports

    def _accesses(self, permitted: Callable[[Register], bool]) -> Iterator["_Word | _Span"]:
        """What accesses select: each word of registers, then runs of words of external arrays."""
        for path, address, register in self.space.registers(external=False):
            if permitted(register):
                # Without a field that has ports there is no interface, and need not be one.
                ports = self._ports(path) if any(map(_field_members, register.fields)) else None
                for base in range(0, register.width, WORD_BITS):
                    yield _Word(address + base // 8, register, base, ports)
        for path, start, array in self.space.externals():
            words = {
                word >> _WORD_SHIFT
                for index in range(array.count or 0)
                for _path, address, register in array.registers((), start + index * array.stride)
                if permitted(register)
                for word in range(address, address + register.width // 8, _WORD_BYTES)
            }
            for run in _runs(words):
                yield _Span(run, self._ports(path))

    def _decoder(self, words: list["_Word | _Span"]) -> AddressDecoder:
        return AddressDecoder([word.addresses for word in words], self._addr_width - _WORD_SHIFT)

    def _elaborate_write(self, m: Module, words: list["_Word | _Span"]) -> Value:
        """Describe AW, W and B, and the fields that software writes.

        Returns whether a write is under way.
        """
        axil = self.s_axil
        m.submodules.write_decoder = decoder = self._decoder(words)
        m.submodules.write_answer = answer = SelectTree(len(words), 1)

        # Address and data are kept until the answer is taken.
        address = Signal(self._addr_width, name="write_address")
        write = _Write(Signal(WORD_BITS), Signal(_WORD_BYTES), Signal(WORD_BITS))
        address_ready = Signal(init=1)
        data_ready = Signal(init=1)
        m.d.comb += [axil.awready.eq(address_ready), axil.wready.eq(data_ready)]
        with m.If(axil.awvalid & address_ready):
            m.d.sync += [address.eq(axil.awaddr), address_ready.eq(0)]
        with m.If(axil.wvalid & data_ready):
            m.d.sync += [write.data.eq(axil.wdata), write.strobe.eq(axil.wstrb), data_ready.eq(0)]
        strobed = Cat(bit.replicate(8) for bit in write.strobe)
        m.d.sync += write.ones.eq(write.data & strobed)

        # Whether any word is selected decides the answer.
        m.d.comb += [
            decoder.address.eq(address[_WORD_SHIFT:]),
            answer.select.eq(decoder.select),
            answer.values.eq(Const(~0, len(words))),
        ]
        answered = _delayed(m, decoder.start, decoder.LATENCY + answer.latency, "write")
        with m.FSM(name="write"):
            with m.State("COLLECT"), m.If(~address_ready & ~data_ready):
                m.d.comb += decoder.start.eq(1)
                m.next = "DECODE"
            with m.State("DECODE"), m.If(answered):
                m.d.sync += axil.bresp.eq(Mux(answer.selected, Resp.OKAY, Resp.SLVERR))
                m.d.sync += axil.bvalid.eq(1)
                m.next = "ANSWER"
            with m.State("ANSWER"), m.If(axil.bready):
                m.d.sync += [axil.bvalid.eq(0), address_ready.eq(1), data_ready.eq(1)]
                m.next = "COLLECT"

        # The selected word takes the data.
        for path, _start, array in self.space.externals():
            ports = self._ports(path)
            index, word = _place(array, address)
            m.d.comb += [ports.write_index.eq(index), ports.write_word.eq(word)]
            m.d.comb += ports.write_data.eq(write.data)
            m.d.sync += ports.write_strobe.eq(0)
        for number, word in enumerate(words):
            word.elaborate_write(m, decoder.select[number], write)
        return ~(address_ready & data_ready)

    def _elaborate_read(self, m: Module, words: list["_Word | _Span"]) -> Value:
        """Describe AR and R, and the copy of a high half. Returns whether a read is under way."""
        axil = self.s_axil
        m.submodules.read_decoder = decoder = self._decoder(words)

        # External arrays get the address a cycle earlier than they are selected.
        address = Signal(self._addr_width, name="read_address")
        for path, _start, array in self.space.externals():
            ports = self._ports(path)
            index, word = _place(array, address)
            m.d.comb += [ports.read_index.eq(index), ports.read_word.eq(word)]

        # Beside each value goes a bit that is set, to tell whether any word was selected.
        m.submodules.read_values = values = SelectTree(len(words), WORD_BITS + 1)
        m.d.comb += values.select.eq(decoder.select)
        for number, word in enumerate(words):
            if isinstance(word, _Span) or not word.is_kept:
                m.d.comb += values.values[number].eq(Cat(word.value(), Const(1, 1)))

        # Each page keeps a high half of its own, or pages would learn of each other by it.
        halves = [
            (number, word)
            for number, word in enumerate(words)
            if isinstance(word, _Word) and word.is_kept
        ]
        for page, of_page in itertools.groupby(halves, lambda half: half[1].address // PAGE_BYTES):
            copy = Signal(WORD_BITS, name=f"read_copy_{page}")
            high_halves = list(of_page)
            kept = SelectTree(len(high_halves), WORD_BITS + 1)
            m.submodules[f"read_halves_{page}"] = kept
            for place, (number, word) in enumerate(high_halves):
                low = number - 1
                m.d.comb += values.values[number].eq(Cat(copy, Const(1, 1)))
                m.d.comb += kept.select[place].eq(decoder.select[low])
                m.d.comb += kept.values[place].eq(Cat(word.value(), Const(1, 1)))
            with m.If(kept.selected[-1]):
                m.d.sync += copy.eq(kept.selected)

        # One access after the other.
        ready = Signal(init=1, name="read_ready")
        m.d.comb += [axil.arready.eq(ready), decoder.address.eq(axil.araddr[_WORD_SHIFT:])]
        answered = _delayed(m, decoder.start, decoder.LATENCY + values.latency, "read")
        with m.FSM(name="read"):
            with m.State("ADDRESS"), m.If(axil.arvalid):
                m.d.comb += decoder.start.eq(1)
                m.d.sync += [address.eq(axil.araddr), ready.eq(0)]
                m.next = "DECODE"
            with m.State("DECODE"), m.If(answered):
                m.d.sync += axil.rdata.eq(values.selected)
                m.d.sync += axil.rresp.eq(Mux(values.selected[-1], Resp.OKAY, Resp.SLVERR))
                m.d.sync += axil.rvalid.eq(1)
                m.next = "ANSWER"
            with m.State("ANSWER"), m.If(axil.rready):
                m.d.sync += [axil.rvalid.eq(0), ready.eq(1)]
                m.next = "ADDRESS"
        return ~ready


def _field_members(field: Field) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if field.kind is FieldKind.HARDWARE:
        members["value"] = In(field.width)
    elif field.kind is not FieldKind.CONSTANT:
        # The published stubs lack `init`.
        members["value"] = Out(field.width, init=field.reset)  # pyright: ignore[reportCallIssue]
    if field.kind is FieldKind.STICKY:
        members["set"] = In(1)
    if field.clear:
        members["clear"] = In(1)
    if field.modify:
        members["modify"] = Out(1)
    return members


def _group_members(group: Group) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for member in group.members:
        if member.external:
            members[member.name] = Out(ExternalSignature(member))
            continue
        if isinstance(member, Group):
            inner = _group_members(member)
        else:
            ports = {field.name: _field_members(field) for field in member.fields}
            inner = {name: Out(wiring.Signature(port)) for name, port in ports.items() if port}
        if inner:
            single = Out(wiring.Signature(inner))
            members[member.name] = single if member.count is None else single.array(member.count)
    return members


def _place(array: Group | Register, address: Value) -> tuple[Value, Value]:
    """Index of the element at `address` in an external array, and of the word in it."""
    assert array.count is not None
    low = array.stride.bit_length() - 1
    high = low + (array.count - 1).bit_length()
    return address[low:high], address[_WORD_SHIFT:low]


def _runs(numbers: Iterable[int]) -> Iterator[range]:
    """Ranges of `numbers` that follow each other."""
    for _start, run in itertools.groupby(
        enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]
    ):
        (_place, first), *rest = run
        yield range(first, first + len(rest) + 1)


def _delayed(m: Module, start: Value, cycles: int, name: str) -> Value:
    """`start`, `cycles` (at least 2) later."""
    line = Signal(cycles, name=f"{name}_delay")
    m.d.sync += line.eq(Cat(start, line[:-1]))
    return line[-1]


class _Write(NamedTuple):
    """What is written: data, the strobe of each byte, and the ones in the bytes to be written."""

    data: Signal
    strobe: Signal
    ones: Signal


class _Part(NamedTuple):
    """As much of a field as stands in one word: bits `here` of the word are bits `there` of it."""

    field: Field
    port: Any
    here: range
    there: range

    def value(self) -> Value:
        """What software reads here."""
        if self.field.kind is FieldKind.PULSE or not self.field.readable:
            return Const(0, len(self.here))
        if self.field.kind is FieldKind.CONSTANT:
            assert self.field.reset is not None
            source = Const(self.field.reset, self.field.width)
        else:
            source = self.port.value
        return source[self.there.start : self.there.stop]

    def elaborate_write(self, m: Module, select: Value, write: _Write) -> None:
        """Describe what a write does when the word is selected."""
        field, port = self.field, self.port
        ones = write.ones[self.here.start : self.here.stop] & select.replicate(len(self.here))
        lanes = range(self.here.start // 8, (self.here.stop - 1) // 8 + 1)
        if field.write_one_sets:
            value = port.value[self.there.start : self.there.stop]
            m.d.sync += value.eq(Mux(port.clear, 0, value) | ones)
        elif field.kind is FieldKind.STORAGE:
            shift = self.there.start - self.here.start
            for lane in lanes:
                start, stop = max(self.here.start, lane * 8), min(self.here.stop, lane * 8 + 8)
                with m.If(select & write.strobe[lane]):
                    m.d.sync += port.value[start + shift : stop + shift].eq(write.data[start:stop])
        elif field.kind is FieldKind.PULSE:
            m.d.sync += port.value.eq(ones)
        elif field.kind is FieldKind.STICKY:
            value = port.value[self.there.start : self.there.stop]
            m.d.sync += value.eq((value & ~ones) | port.set.replicate(len(value)))
        if field.clear and not field.write_one_sets:
            with m.If(port.clear):
                m.d.sync += port.value[self.there.start : self.there.stop].eq(0)
        if field.modify:
            touched = write.strobe[lanes.start : lanes.stop].any() & select
            m.d.sync += port.modify.eq(ones.any() if field.write_one_clears else touched)


class _Word(NamedTuple):
    """As much of a register as one access reads or writes.

    ``base`` is the bit of the register that is bit 0 here; ``ports`` is the register's interface.
    """

    address: int
    register: Register
    base: int
    ports: Any

    @property
    def addresses(self) -> range:
        """Its address in words."""
        return range(self.address >> _WORD_SHIFT, (self.address >> _WORD_SHIFT) + 1)

    @property
    def is_kept(self) -> bool:
        """A high half that is kept when the low half is read."""
        changing = (FieldKind.HARDWARE, FieldKind.STICKY)
        return self.base > 0 and any(field.kind in changing for field in self.register.fields)

    def parts(self) -> Iterator[_Part]:
        """The fields with bits here, from the least bit on."""
        for field in sorted(self.register.fields, key=lambda field: field.low):
            start = max(field.low, self.base)
            stop = min(field.high + 1, self.base + WORD_BITS)
            if start < stop:
                yield _Part(
                    field,
                    getattr(self.ports, field.name, None),
                    range(start - self.base, stop - self.base),
                    range(start - field.low, stop - field.low),
                )

    def value(self) -> Value:
        """What software reads here; 0 between the fields."""
        pieces: list[Value] = []
        filled = 0
        for part in self.parts():
            pieces += [Const(0, part.here.start - filled), part.value()]
            filled = part.here.stop
        return Cat(*pieces, Const(0, WORD_BITS - filled))

    def elaborate_write(self, m: Module, select: Value, write: _Write) -> None:
        """Describe what a write does when the word is selected."""
        for part in self.parts():
            if part.field.writable:
                part.elaborate_write(m, select, write)


class _Span(NamedTuple):
    """Words of an external array that follow each other; ``ports`` is the array's interface."""

    addresses: range
    ports: Any

    def value(self) -> Value:
        """What software reads here."""
        return self.ports.read_data

    def elaborate_write(self, m: Module, select: Value, write: _Write) -> None:
        """Describe what a write does when one of the words is selected."""
        with m.If(select):
            m.d.sync += self.ports.write_strobe.eq(write.strobe)
