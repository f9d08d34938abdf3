"""The exported adapter between other people's models, and flows written as plain functions.

`AxiLiteMaster`, `AxiSlave` (cocotbext-axi) and a sink (cocotbext-eth) drive and judge the ports;
they are no part of Byway and share no code with it. The body of a flow is a synchronous
function that runs in a thread of its own, as driver software does, and lets time pass only by
register accesses, `run` and `wait_for`; every wait has a limit in cycles.
"""

import itertools
import logging
import os
import random
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import cocotb
from bench_channels import watch_channels
from bench_memory import SystemMemory
from bench_wire import WireJudge
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlave

from byway.sim.board.wire import GMII
from byway.sim.flows.flow import Bench, flows_of

__all__ = ["FlowBench", "Registers", "cocotb_tests", "flow"]

# The models use what cocotb has renamed since; all else that is warned of is an error.
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module=r"cocotbext\.")

#: Longest that a register access may take, with every channel stalled now and then.
_ACCESS_CYCLES = 400
_RESET_CYCLES = 4
#: How often a wait looks whether it is over.
_LOOK_CYCLES = 16
#: The last resort, for a flow that neither ends nor reaches a limit of its own.
_FLOW_CYCLES = 1_000_000


class Registers:
    """The register space through cocotbext-axi's master; `byway.sw.hardware.RegisterBus`."""

    def __init__(self, master: AxiLiteMaster):
        self._master = master
        self.read = resume(self._read)
        self.write = resume(self._write)
        self.read_and_write = resume(self._read_and_write)

    async def _finish(self, access, offset: int):
        answer = await with_timeout(access, _ACCESS_CYCLES * GMII.cycle_ps, "ps")
        if answer.resp != AxiResp.OKAY:
            raise OSError(f"{answer.resp.name} from register {offset:#x}")
        return answer

    async def _read(self, offset: int) -> int:
        answer = await self._finish(self._master.read(offset, 4), offset)
        return int.from_bytes(answer.data, "little")

    async def _write(self, offset: int, value: int, size: int = 4) -> None:
        await self._finish(self._master.write(offset, value.to_bytes(size, "little")), offset)

    async def _read_and_write(self, read_offset: int, write_offset: int, value: int) -> int:
        write = cocotb.start_soon(self._write(write_offset, value))
        data = await self._read(read_offset)
        await write
        return data


class FlowBench(Bench):
    """The device under test and what stands around it.

    Attributes
    ----------
    axil : Registers
        The `registers`, which can do more than those of other benches.
    """

    def __init__(self, dut, rng: random.Random):
        self.rng = rng
        self._memory = SystemMemory(dut.clk, rng)
        self.memory = self._memory
        self._dut = dut
        self._judge = WireJudge(dut)
        self.wire = self._judge.kind
        self._clock = Clock(dut.clk, self.wire.cycle_ps, unit="ps")
        self._clock.start()
        self._master: Any = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self._slave: Any = AxiSlave(
            AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=self._memory.region
        )
        self.axil = Registers(self._master)
        self.registers = self.axil
        self.frames = self._judge.frames
        self._resumed_run = resume(self._run)
        self.run_to_event = resume(self._run_to_event)
        self.reset = resume(self.pulse_reset)

    def run(self, cycles: int) -> None:
        """Let exactly `cycles` pass."""
        self._resumed_run(cycles)

    async def _run(self, cycles: int) -> None:
        await ClockCycles(self._dut.clk, cycles)

    async def _run_to_event(self, frames: int, cycles: int, until_rest: bool = False) -> None:
        """Until an interrupt, or more than `frames` have come off the wire, at most `cycles`.

        With `until_rest` also until nothing is under way in the adapter.
        """
        end = self.cycle + cycles
        while (left := end - self.cycle) > 0:
            await self._run(min(_LOOK_CYCLES, left))
            if self.adapter_interrupt or self.manager_interrupt or len(self.frames) > frames:
                return
            if until_rest and self.quiescent:
                return

    async def pulse_reset(self) -> None:
        """Reset the adapter and the models, in the middle of whatever they do."""
        self._dut.rst.value = 1
        await self._run(_RESET_CYCLES)
        self._dut.rst.value = 0
        await self._run(1)

    @property
    def cycle(self) -> int:
        """Cycles of simulated time."""
        return round(get_sim_time("ps")) // self.wire.cycle_ps

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return bool(self._dut.adapter_interrupt.value)

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return bool(self._dut.manager_interrupt.value)

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter."""
        return bool(self._dut.quiescent.value)

    def stall(self, probability: float, longest_latency: int) -> None:
        """From now on stall every channel with `probability` in a cycle, and beats of memory too.

        Parameters
        ----------
        probability : float
        longest_latency : int
            Most cycles by which the memory makes an access wait.
        """

        def pauses() -> Iterator[bool]:
            rng = random.Random(self.rng.getrandbits(64))
            return (rng.random() < probability for _ in itertools.count())

        master, slave = self._master, self._slave
        for side in (master.write_if, slave.write_if):
            for channel in (side.aw_channel, side.w_channel, side.b_channel):
                channel.set_pause_generator(pauses())
        for side in (master.read_if, slave.read_if):
            for channel in (side.ar_channel, side.r_channel):
                channel.set_pause_generator(pauses())
        self._memory.stall(probability, longest_latency)

    def check(self) -> None:
        """The judges' last look."""
        self._judge.check()
        self._memory.check()


def flow(
    *, stall: float = 0.0, longest_latency: int = 0
) -> Callable[[Callable[[FlowBench], None]], Any]:
    """Make a cocotb test of a body that needs this very bench.

    Parameters
    ----------
    stall, longest_latency
        As for `byway.sim.flows.flow.Flow`.
    """
    return lambda body: _test(body, body.__module__, stall, longest_latency)


def cocotb_tests(flows: ModuleType, module: str) -> dict[str, Any]:
    """Cocotb tests of all flows of `flows`, by name; they are to stand in `module`."""
    return {
        each.name: _test(each.body, module, each.stall, each.longest_latency)
        for each in flows_of(flows)
    }


def _test(body: Callable[[Any], None], module: str, stall: float, longest_latency: int) -> Any:
    """A fresh bench, a reset, the body, and the check."""

    async def test(dut) -> None:
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        bench = FlowBench(dut, random.Random(f"{os.environ['BYWAY_SEED']} {body.__name__}"))
        await bench.pulse_reset()
        watch_channels(dut)
        if stall:
            bench.stall(stall, longest_latency)
        await bridge(body)(bench)
        bench.check()

    for name in ("__name__", "__qualname__", "__doc__"):
        setattr(test, name, getattr(body, name))
    test.__module__ = module
    return cocotb.test(timeout_time=_FLOW_CYCLES * GMII.cycle_ps, timeout_unit="ps")(test)
