# amaranth: UnusedElaboratable=no
"""Register tables, and those of bindings and windows, against lists of integers.

Every cycle may write, read and look up, anywhere; resets fall between. A field with a reset value
has it after a reset, the others stay.
"""

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from byway.rtl.contract.model import external
from byway.rtl.contract.register_table import RegisterTable
from byway.rtl.contract.tree import Field, FieldKind, Group, Register
from byway.rtl.translation.tables import BindingTable, WindowTable

CYCLES = 1500


def field(name: str, low: int, width: int, reset: int | None) -> Field:
    return Field(
        name=name,
        description="",
        low=low,
        width=width,
        reset=reset,
        kind=FieldKind.STORAGE,
        readable=True,
        writable=True,
        modify=False,
        write_one_clears=False,
        write_one_sets=False,
        clear=False,
        code=None,
    )


#: 64 bits in which fields of both kinds share bytes, and reach over words.
MIXED = dataclasses.replace(
    external("manager.binding"),
    stride=8,
    width=64,
    fields=(
        field("wide", 5, 12, 0xABC),
        field("kept", 17, 3, None),
        field("low", 0, 2, 1),
        field("across", 20, 30, None),
        field("last", 60, 4, 9),
    ),
)


class Reference:
    """What a table holds: an integer for each element; and what may be seen of it."""

    def __init__(self, array: Group | Register, count: int):
        self.fields = {
            "_".join(map(str, (*path, field.name))): (address * 8 + field.low, field)
            for path, address, register in array.registers()
            for field in register.fields
        }
        self.mask = sum(self.ones(name) for name in self.fields)
        self.elements = [0] * count
        self.reset()

    def ones(self, name: str) -> int:
        low, field = self.fields[name]
        return (1 << field.width) - 1 << low

    def reset(self) -> None:
        for name, (low, field) in self.fields.items():
            if field.reset is not None:
                self.elements = [
                    value & ~self.ones(name) | field.reset << low for value in self.elements
                ]

    def write(self, index: int, word: int, data: int, strobe: int) -> None:
        ones = sum(0xFF << 8 * lane for lane in range(4) if strobe >> lane & 1)
        ones = ones << 32 * word & self.mask
        self.elements[index] = self.elements[index] & ~ones | data << 32 * word & ones

    def read(self, index: int, word: int) -> int:
        return self.elements[index] >> 32 * word & 0xFFFF_FFFF

    def found(self, number: int) -> dict[str, int]:
        """The fields of an element; of one that is not there, those of which 0 is promised."""
        if number < len(self.elements):
            value = self.elements[number]
            return {
                name: (value & self.ones(name)) >> low
                for name, (low, _field) in self.fields.items()
            }
        return {name: 0 for name, (_low, field) in self.fields.items() if field.reset is not None}


def check(
    dut: Any,
    array: Group | Register,
    count: int,
    look_up: Callable[[Any, int], Callable[[str], int]],
    seed: int,
) -> None:
    """Drive `dut` at random; ``look_up(ctx, number)(name)`` is a field of what it finds."""
    rng = random.Random(seed)
    reference = Reference(array, count)
    registers, words = dut.registers, array.stride // 4
    m = Module()
    m.domains.sync = domain = ClockDomain()
    reset: Any = domain.rst  # pyright: ignore[reportAttributeAccessIssue]
    m.submodules.dut = dut

    async def test(ctx):
        for cycle in range(CYCLES):
            where = f"seed {seed}, cycle {cycle}"
            # Reads and lookups follow the writes around, so that they meet.
            near = rng.randrange(count)
            strobe = rng.choice([0, 0xF, 0xF, rng.getrandbits(4)])
            write = (rng.choice([near, rng.randrange(count)]), rng.randrange(words))
            data = rng.getrandbits(32)
            read = (rng.choice([near, rng.randrange(count)]), rng.randrange(words))
            resets = rng.random() < 0.01
            for name, value in (("write_index", write[0]), ("write_word", write[1])):
                ctx.set(getattr(registers, name), value)
            for name, value in (("read_index", read[0]), ("read_word", read[1])):
                ctx.set(getattr(registers, name), value)
            ctx.set(registers.write_data, data)
            ctx.set(registers.write_strobe, 0 if resets else strobe)
            ctx.set(reset, resets)
            for number in (near, write[0], rng.randrange(256), count % 256):
                found = look_up(ctx, number)
                for name, value in reference.found(number).items():
                    assert found(name) == value, f"{where}: {name} of {number}"
            expected = 0 if resets else reference.read(*read)
            await ctx.tick()
            assert ctx.get(registers.read_data) == expected, f"{where}: read of {read}"
            if resets:
                reference.reset()
            else:
                reference.write(*write, data, strobe)

    simulator = Simulator(m)
    simulator.add_clock(8e-9)
    simulator.add_testbench(test)
    simulator.run()


@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("array", [MIXED, external("window.window")])
def test_a_table_reads_and_finds_what_was_written(array, count):
    dut = RegisterTable(array, count=count, number_width=8)

    def look_up(ctx, number):
        ctx.set(dut.number, number)
        return lambda name: ctx.get(dut.found[name])

    check(dut, array, count, look_up, seed=count)


@pytest.mark.parametrize("windows", [1, 5, 16, 256])
def test_windows_are_found_by_their_number_and_others_are_disabled(windows):
    dut = WindowTable(windows=windows)
    names = {
        "table_base_page": "table_base",
        "size_entries": "entries",
        "control_enable": "enable",
    }

    def look_up(ctx, number):
        ctx.set(dut.lookup.number, number)
        return lambda name: ctx.get(dut.lookup.window[names[name]])

    check(dut, external("window.window"), windows, look_up, seed=windows)


@pytest.mark.parametrize("requesters", [1, 2, 31, 256])
def test_bindings_are_found_by_their_requester_and_others_are_not_valid(requesters):
    dut = BindingTable(requesters=requesters)
    lookup = dut.lookup

    def look_up(ctx, number):
        ctx.set(lookup.requester, number)
        return lambda name: ctx.get(lookup.binding[name])

    check(dut, external("manager.binding"), requesters, look_up, seed=requesters)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WindowTable(windows=0), "Windows must be 1 to 256, not 0"),
        (lambda: WindowTable(windows=257), "Windows must be 1 to 256, not 257"),
        (lambda: BindingTable(requesters=0), "Requesters must be 1 to 256, not 0"),
        (lambda: BindingTable(requesters=257), "Requesters must be 1 to 256, not 257"),
        (
            lambda: RegisterTable(MIXED, count=0, number_width=8),
            "Count must be a positive integer, not 0",
        ),
    ],
)
def test_impossible_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
