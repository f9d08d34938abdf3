"""What stands around `byway.rtl.contract.register_bank`, for test benches.

Accesses have random stalls on all channels.
"""

import random
import re
from collections.abc import Callable
from typing import Any

from amaranth.sim import Simulator
from systemrdl.node import FieldNode

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract.register_bank import RegisterBank
from byway.sim.axi_lite_bench import AXILiteBench
from byway.sim.contract_bench import Values, fields, has_value, is_input, on_bus, words

__all__ = ["assert_ports", "assert_registers", "drive_inputs", "port", "run_bank"]

_Bench = Callable[..., Any]


def port(bank: RegisterBank, field: FieldNode) -> Any:
    """The interface of a field on the bank."""
    result: Any = bank
    for step in re.findall(r"\w+", field.get_path())[1:]:
        result = result[int(step)] if step.isdigit() else getattr(result, step)
    return result


def run_bank(
    test: _Bench,
    *,
    rings: int = 2,
    windows: int = 4,
    hardware: _Bench | None = None,
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
