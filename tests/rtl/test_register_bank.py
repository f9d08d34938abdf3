# amaranth: UnusedElaboratable=no
"""The register bank against its contract: each register of ``byway.rdl``, found by walking it.

What a field should do, `byway.sim.contract_bench` reads from the SystemRDL source. AXI4-Lite: IHI
0022, A3.2.1 and B1. External arrays are left to `test_external.py`.
"""

import random

import pytest

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract.model import elaborate
from byway.rtl.contract.register_bank import RegisterBank
from byway.sim.axi_lite_bench import AXILiteBench
from byway.sim.contract_bench import (
    clears,
    fields,
    is_input,
    on_bus,
    reset_values,
    sets,
    strobed,
    words,
    write_storage,
)
from byway.sim.register_bank_bench import (
    assert_ports,
    assert_registers,
    drive_inputs,
    port,
    run_bank,
)

SIZES = [(2, 4), (3, 8)]


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

    run_bank(test, rings=sizes[0], windows=sizes[1])


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

    run_bank(test, rings=sizes[0], windows=sizes[1])


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

    run_bank(test)


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

    run_bank(test, hardware=hardware)


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

    run_bank(test, hardware=hardware)


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

    run_bank(test, hardware=hardware)


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

    run_bank(test, hardware=hardware, longest_stall=0)


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

    run_bank(test)


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

    run_bank(test, hardware=hardware, longest_stall=0)


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

    run_bank(test, hardware=hardware)


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

    run_bank(test, longest_stall=0)


def test_more_rings_or_windows_than_there_is_room_for_are_refused():
    with pytest.raises(ValueError, match=r"^Rings must be 1 to 32, not 33$"):
        RegisterBank(rings=33)
    with pytest.raises(ValueError, match=r"^Windows must be 1 to 256, not 0$"):
        RegisterBank(windows=0)
