# amaranth: UnusedElaboratable=no
"""The register bank against its contract: each register of ``byway.rdl``, found by walking it.

What a field should do is read from its SystemRDL properties here, not from the model that the bank
is built from. Accesses have random stalls on all channels. AXI4-Lite: IHI 0022, A3.2.1 and B1.
External arrays are left to `test_external.py`.
"""

import functools
import random
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from amaranth.sim import Simulator
from systemrdl.node import FieldNode, RegNode
from systemrdl.rdltypes.builtin_enums import OnWriteType

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract.model import elaborate
from byway.rtl.contract.register_bank import RegisterBank
from byway.sim.axi_lite_bench import AXILiteBench

SIZES = [(2, 4), (3, 8)]


class Word(NamedTuple):
    """One 32-bit access: its address, its register, the register's bit that is its bit 0."""

    address: int
    register: RegNode
    base: int

    def fields(self) -> Iterator[tuple[FieldNode, int]]:
        """Fields with bits here, and the place of their bit 0 here, which may be negative."""
        for field in self.register.fields():
            if field.low < self.base + 32 and field.high >= self.base:
                yield field, field.low - self.base


@functools.cache
def words(rings: int, windows: int, *, external: bool = False) -> list[Word]:
    """Every word of the bank, or else of external arrays, from the SystemRDL source."""
    return [
        Word(node.absolute_address + base // 8, node, base)
        for node in elaborate("byway", rings, windows).top.descendants(unroll=True)
        if isinstance(node, RegNode) and node.external == external
        for base in range(0, node.get_property("regwidth"), 32)
    ]


def fields(rings: int, windows: int) -> list[FieldNode]:
    """Every field of the register space."""
    return [
        field
        for word in words(rings, windows)
        if word.base == 0
        for field in word.register.fields()
    ]


def port(bank: RegisterBank, field: FieldNode) -> Any:
    """The interface of a field on the bank."""
    result: Any = bank
    for step in re.findall(r"\w+", field.get_path())[1:]:
        result = result[int(step)] if step.isdigit() else getattr(result, step)
    return result


def clears(field: FieldNode) -> bool:
    return field.get_property("onwrite") is OnWriteType.woclr


def sets(field: FieldNode) -> bool:
    return field.get_property("onwrite") is OnWriteType.woset


def is_input(field: FieldNode) -> bool:
    """The hardware holds the field itself."""
    return field.is_hw_writable and not field.get_property("hwset")


def has_value(field: FieldNode) -> bool:
    """The field has a value that the bank holds and shows to the hardware."""
    return field.is_hw_readable and not field.get_property("singlepulse")


def strobed(strobe: int) -> int:
    """The mask of the bits whose bytes have a strobe."""
    return sum(0xFF << (8 * lane) for lane in range(4) if strobe >> lane & 1)


Bench = Callable[..., Any]


def run(
    test: Bench,
    *,
    rings: int = 2,
    windows: int = 4,
    hardware: Bench | None = None,
    longest_stall: int = 3,
    seed: int = 1,
) -> None:
    """Run ``test(ctx, bank, software, rng)``, and beside it ``hardware(ctx, bank)``."""
    bank = RegisterBank(rings=rings, windows=windows)
    rng = random.Random(seed)

    async def bench(ctx):
        await test(ctx, bank, AXILiteBench(bank.s_axil, rng, longest_stall), rng)

    async def drive(ctx):
        if hardware is not None:
            await hardware(ctx, bank)

    simulator = Simulator(bank)
    simulator.add_clock(8e-9)
    simulator.add_testbench(bench)
    simulator.add_testbench(AXILiteBench(bank.s_axil, rng).watch, background=True)
    simulator.add_testbench(drive, background=True)
    try:
        simulator.run()
    except AssertionError as error:
        error.add_note(f"seed {seed}, {rings} rings, {windows} windows")
        raise


Values = dict[str, int]


def reset_values(rings: int, windows: int) -> Values:
    """What every field should hold after reset, by path; inputs are taken as 0."""
    values = {}
    for field in fields(rings, windows):
        reset = field.get_property("reset")
        assert isinstance(reset, int), field.get_path()
        values[field.get_path()] = 0 if is_input(field) else reset
    return values


def write_storage(values: Values, word: Word, data: int, strobe: int) -> None:
    """What a write should do to the fields that hold what software writes."""
    mask = strobed(strobe) << word.base
    for field, _place in word.fields():
        pulse = field.get_property("singlepulse")
        if field.is_sw_writable and not clears(field) and not pulse:
            path = field.get_path()
            ones = (mask >> field.low) & ((1 << field.width) - 1)
            written = ((data << word.base) >> field.low) & ones
            values[path] = written | (values[path] if sets(field) else values[path] & ~ones)


def on_bus(values: Values, word: Word) -> int:
    """What reading a word should give."""
    register = sum(
        values[field.get_path()] << field.low
        for field in word.register.fields()
        if field.is_sw_readable
    )
    return register >> word.base & 0xFFFF_FFFF


def assert_ports(ctx, bank: RegisterBank, values: Values, sizes: tuple[int, int]) -> None:
    """Every value that the bank shows to the hardware is as expected."""
    for field in fields(*sizes):
        if has_value(field):
            shown = ctx.get(port(bank, field).value)
            assert shown == values[field.get_path()], field.get_path()


async def assert_registers(
    ctx, software: AXILiteBench, values: Values, sizes: tuple[int, int]
) -> None:
    """Every register reads as expected."""
    for word in words(*sizes):
        answer = await software.read(ctx, word.address)
        assert answer == (Resp.OKAY, on_bus(values, word)), word.register.get_path()


def drive_inputs(ctx, bank: RegisterBank, values: Values, rng: random.Random, sizes) -> None:
    """Give every input a random value, and note it."""
    for field in fields(*sizes):
        if is_input(field):
            values[field.get_path()] = rng.getrandbits(field.width)
            ctx.set(port(bank, field).value, values[field.get_path()])


@pytest.mark.parametrize("sizes", SIZES)
def test_every_register_reads_its_reset_value(sizes):
    async def test(ctx, bank, software, rng):
        values = reset_values(*sizes)
        assert_ports(ctx, bank, values, sizes)
        await assert_registers(ctx, software, values, sizes)
        assert values["byway.identity.geometry.rings"] == sizes[0]
        assert values["byway.identity.geometry.windows"] == sizes[1]
        size = elaborate("byway", *sizes).top.size
        assert 1 << len(bank.s_axil.awaddr) - 1 < size <= 1 << len(bank.s_axil.araddr)

    run(test, rings=sizes[0], windows=sizes[1])


@pytest.mark.parametrize("sizes", SIZES)
def test_writes_change_the_strobed_bytes_of_their_register_and_nothing_else(sizes):
    async def test(ctx, bank, software, rng):
        values = reset_values(*sizes)
        drive_inputs(ctx, bank, values, rng, sizes)
        order = [(word, 0xFFFF_FFFF, 0xF) for word in words(*sizes)]
        order += [(word, rng.getrandbits(32), rng.getrandbits(4)) for word in words(*sizes)]
        rng.shuffle(order)
        for word, data, strobe in order:
            writable = any(field.is_sw_writable for field in word.register.fields())
            byte = word.address + rng.randrange(4)  # Bits 1:0 of an address are ignored.
            answer = await software.write(ctx, byte, data, strobe)
            assert answer == (Resp.OKAY if writable else Resp.SLVERR), word.register.get_path()
            write_storage(values, word, data, strobe)
            assert_ports(ctx, bank, values, sizes)
        await assert_registers(ctx, software, values, sizes)

    run(test, rings=sizes[0], windows=sizes[1])


def test_offsets_without_a_register_answer_with_an_error_and_change_nothing():
    async def test(ctx, bank, software, rng):
        values = reset_values(2, 4)
        mapped = {word.address for word in words(2, 4) + words(2, 4, external=True)}
        size = elaborate("byway", 2, 4).top.size
        borders = {address + step for address in mapped for step in (-4, 4)}
        anywhere = {rng.randrange(size // 4) * 4 for _ in range(60)}
        holes = sorted((borders | anywhere | {size - 4}) - mapped)
        for address in (address for address in holes if 0 <= address < size):
            assert await software.write(ctx, address, 0xFFFF_FFFF) is Resp.SLVERR, hex(address)
            assert_ports(ctx, bank, values, (2, 4))
            assert await software.read(ctx, address) == (Resp.SLVERR, 0), hex(address)
        await assert_registers(ctx, software, values, (2, 4))

    run(test)


def test_reading_the_low_half_keeps_the_high_half_of_the_same_cycle():
    """The hardware shows values whose halves are equal, other ones in every cycle."""
    wide = [field for field in fields(2, 4) if is_input(field) and field.width == 64]

    async def hardware(ctx, bank):
        rng = random.Random(2)
        while True:
            for field in wide:
                ctx.set(port(bank, field).value, rng.getrandbits(32) * 0x1_0000_0001)
            await ctx.tick()

    async def test(ctx, bank, software, rng):
        seen = set()
        for field in wide * 3:
            address = field.parent.absolute_address
            _resp, low = await software.read(ctx, address)
            other = rng.choice([word for word in words(2, 4) if word.address < 0x1000])
            await software.read(ctx, other.address)
            _resp, high = await software.read(ctx, address + 4)
            assert high == low, field.get_path()
            _resp, again = await software.read(ctx, address + 4)
            assert again == low, field.get_path()
            seen.add(low)
        assert len(seen) == 3 * len(wide)

    run(test, hardware=hardware)


def test_a_pulse_lasts_one_cycle_for_a_one_that_is_written():
    pulses = [field for field in fields(2, 4) if field.get_property("singlepulse")]
    assert pulses
    high = 0

    async def hardware(ctx, bank):
        nonlocal high
        signals = [port(bank, field).value for field in pulses]
        async for _clk, _rst, *values in ctx.tick().sample(*signals):
            high += sum(values)

    async def test(ctx, bank, software, rng):
        expected = 0
        for word in words(2, 4) * 2:
            data, strobe = rng.getrandbits(32), rng.choice([0x0, 0xF, rng.getrandbits(4)])
            await software.write(ctx, word.address, data, strobe)
            for field, place in word.fields():
                if field in pulses:
                    for one, mask in ((1, 0xF), (0, 0xF), (1, 0xF ^ 1 << place // 8), (1, 0)):
                        await software.write(ctx, word.address, one << place, mask)
                    expected += 1 + ((data & strobed(strobe)) >> place & 1)
        await ctx.tick().repeat(4)
        assert high == expected

    run(test, hardware=hardware)


def test_modify_tells_of_each_write_of_the_field_when_its_value_is_new():
    told = [field for field in fields(2, 4) if field.get_property("swmod")]
    events: list[tuple[str, int]] = []

    async def hardware(ctx, bank):
        interfaces = [port(bank, field) for field in told]
        signals = [signal for port in interfaces for signal in (port.modify, port.value)]
        async for _clk, _rst, *values in ctx.tick().sample(*signals):
            for number, field in enumerate(told):
                if values[2 * number]:
                    events.append((field.get_path(), values[2 * number + 1]))

    async def test(ctx, bank, software, rng):
        values = reset_values(2, 4)
        drive_inputs(ctx, bank, values, rng, (2, 4))
        expected = []
        order = [word for word in words(2, 4) if any(f in told for f, _ in word.fields())] * 40
        order += words(2, 4)
        rng.shuffle(order)
        for word in order:
            data = rng.getrandbits(32) & rng.choice([0xFFFF_FFFF, 0xFFFF, 0x1_0000, 0])
            strobe = rng.getrandbits(4)
            await software.write(ctx, word.address, data, strobe)
            write_storage(values, word, data, strobe)
            for field, place in word.fields():
                if field in told:
                    touched = strobed(strobe) >> place & ((1 << field.width) - 1)
                    if data >> place & touched if clears(field) else touched:
                        expected.append((field.get_path(), values[field.get_path()]))
        await ctx.tick().repeat(4)
        assert events == expected
        assert {path for path, _value in expected} == {field.get_path() for field in told}

    run(test, hardware=hardware)


def test_no_event_is_lost_when_software_clears_in_the_cycle_in_which_hardware_sets():
    """A clear, and a set in each of the cycles around it, for every sticky field."""
    sticky = [field for field in fields(2, 4) if field.get_property("hwset")]
    assert all(clears(field) for field in sticky)
    delay = 0
    target = sticky[0]

    async def hardware(ctx, bank):
        """Set the target `delay` cycles after a write is taken; check that each set is shown."""
        interfaces = [port(bank, field) for field in sticky]
        signals = [
            signal for interface in interfaces for signal in (interface.set, interface.value)
        ]
        was_set = [0] * len(sticky)
        since, was_ready = 0, 1
        async for _clk, _rst, ready, *values in ctx.tick().sample(bank.s_axil.wready, *signals):
            for number, field in enumerate(sticky):
                assert values[2 * number + 1] or not was_set[number], field.get_path()
                was_set[number] = values[2 * number]
            since, was_ready = 0 if was_ready and not ready else since + 1, ready
            ctx.set(port(bank, target).set, since == delay)

    async def test(ctx, bank, software, rng):
        nonlocal delay, target
        values = reset_values(2, 4)
        for target in sticky:
            path = target.get_path()
            (word,) = [word for word in words(2, 4) if word.register == target.parent]
            remains = []
            for cycles in range(9):
                delay = cycles
                assert await software.write(ctx, word.address, 0) is Resp.OKAY  # Only sets it.
                await ctx.tick().repeat(9)
                values[path] = 1
                assert_ports(ctx, bank, values, (2, 4))
                answer = await software.read(ctx, word.address)
                assert answer == (Resp.OKAY, 1 << target.low), path

                ones = 1 << target.low
                assert await software.write(ctx, word.address, ones) is Resp.OKAY
                await ctx.tick().repeat(9)
                values[path] = ctx.get(port(bank, target).value)
                assert_ports(ctx, bank, values, (2, 4))
                remains.append(values[path])
            # A set before the clear went with it, one in its cycle or later did not.
            assert remains == sorted(remains), path
            assert set(remains) == {0, 1}, path
            values[path] = 0
            delay = 99
            await software.write(ctx, word.address, 1 << target.low)
            assert_ports(ctx, bank, values, (2, 4))

    run(test, hardware=hardware, longest_stall=0)


def test_a_one_clears_only_its_own_sticky_bit_and_only_with_its_strobe():
    sticky = [field for field in fields(2, 4) if field.get_property("hwset")]

    async def test(ctx, bank, software, rng):
        values = reset_values(2, 4)
        for _round in range(60):
            field = rng.choice(sticky)
            ctx.set(port(bank, field).set, 1)
            await ctx.tick()
            ctx.set(port(bank, field).set, 0)
            values[field.get_path()] = 1
            word = rng.choice([word for word in words(2, 4) if word.register == field.parent])
            data, strobe = rng.getrandbits(32), rng.choice([0xF, 0xF, rng.getrandbits(4)])
            await software.write(ctx, word.address, data, strobe)
            for other, place in word.fields():
                values[other.get_path()] &= ~((data & strobed(strobe)) >> place)
            assert_ports(ctx, bank, values, (2, 4))
        await assert_registers(ctx, software, values, (2, 4))

    run(test)


def test_the_hardware_clears_whatever_software_writes_but_a_new_request():
    """Its clear comes in each of the cycles around a write, for every field that has one."""
    cleared = [field for field in fields(2, 4) if field.get_property("hwclr")]
    assert any(sets(field) for field in cleared)
    delay = 99
    target = cleared[0]

    async def hardware(ctx, bank):
        since, was_ready = 0, 1
        async for _clk, _rst, ready in ctx.tick().sample(bank.s_axil.wready):
            since, was_ready = 0 if was_ready and not ready else since + 1, ready
            ctx.set(port(bank, target).clear, since == delay)

    async def test(ctx, bank, software, rng):
        nonlocal delay, target
        values = reset_values(2, 4)
        for target in cleared:
            path = target.get_path()
            (word,) = [word for word in words(2, 4) if word.register == target.parent]
            remains = []
            for cycles in range(9):
                delay = 99
                if target.get_property("hwset"):
                    ctx.set(port(bank, target).set, 1)
                    await ctx.tick()
                    ctx.set(port(bank, target).set, 0)
                delay = cycles
                await software.write(ctx, word.address, 0)  # Only clears it, if it is set.
                await ctx.tick().repeat(9)
                values[path] = 0
                assert_ports(ctx, bank, values, (2, 4))
                if target.get_property("hwset"):
                    continue
                await software.write(ctx, word.address, 1 << target.low)
                await ctx.tick().repeat(9)
                remains.append(ctx.get(port(bank, target).value))
                delay = 0
                await software.write(ctx, word.address, 0)
                await ctx.tick().repeat(9)
            # What was written after the clear remains; of what is written with it, a request.
            if remains:
                assert remains == sorted(remains, reverse=True), path
                assert sum(remains) == (2 if sets(target) else 1), path

    run(test, hardware=hardware, longest_stall=0)


def test_reads_and_writes_go_on_at_the_same_time():
    """A second coroutine reads constants while the first writes: each way has its own answers."""
    reading = True
    wrote = 0

    async def hardware(ctx, bank):
        nonlocal reading
        software = AXILiteBench(bank.s_axil, random.Random(3))
        values = reset_values(2, 4)
        for word in [word for word in words(2, 4) if word.address < 0x1000] * 5:
            answer = await software.read(ctx, word.address)
            assert answer == (Resp.OKAY, on_bus(values, word)), word.register.get_path()
        reading = False

    async def test(ctx, bank, software, rng):
        nonlocal wrote
        values = reset_values(2, 4)
        while reading:
            word = rng.choice(words(2, 4))
            data = rng.getrandbits(32)
            await software.write(ctx, word.address, data)
            write_storage(values, word, data, 0xF)
            assert_ports(ctx, bank, values, (2, 4))
            wrote += 1
        assert wrote > 20

    run(test, hardware=hardware)


def test_a_read_takes_five_cycles_and_a_write_six():
    async def test(ctx, bank, software, rng):
        axil = bank.s_axil
        register = "byway.adapter.mac_control"
        (address,) = [w.address for w in words(2, 4) if w.register.get_path() == register]
        enable = bank.adapter.mac_control.transmit_enable.value
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
        for _cycle in range(8):
            seen.append((ctx.get(axil.rvalid), ctx.get(enable), ctx.get(axil.bvalid)))
            await ctx.tick()
        assert [column.index(1) for column in zip(*seen, strict=True)] == [5, 4, 6]

    run(test, longest_stall=0)


def test_more_rings_or_windows_than_there_is_room_for_are_refused():
    with pytest.raises(ValueError, match=r"^Rings must be 1 to 32, not 33$"):
        RegisterBank(rings=33)
    with pytest.raises(ValueError, match=r"^Windows must be 1 to 256, not 0$"):
        RegisterBank(windows=0)
