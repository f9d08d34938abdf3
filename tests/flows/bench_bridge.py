"""The exported bridge between other people's master and other people's memory.

The channels of the master, the slave and the register master are cocotbext-axi's; they are no part
of Byway and share no code with it. `BridgeBench` sends bursts, and keeps what came of them;
`BridgeWorld` is the partition manager, and the reference: it knows what each burst must come to.
"""

import itertools
import os
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cocotb
from bench_adapter import Registers
from bench_bursts import Burst
from bench_memory import SystemMemory
from bench_rules import BusRules
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiMaster, AxiSlave
from cocotbext.axi.axi_channels import (
    AxiARSource,
    AxiAWSource,
    AxiBSink,
    AxiRSink,
    AxiWSource,
)

from byway.sim.board.wire import GMII

__all__ = ["BridgeBench"]

_RESET_CYCLES = 4
#: Of a beat, now and then.
_LONGEST_LATENCY = 30
#: The longest that a burst may take, with all others before it and every channel stalling.
_BURST_CYCLES = 100_000


class BridgeBench:
    """The device under test and what stands around it.

    Parameters
    ----------
    dut : cocotb's handle
    rng : random.Random
    transfers : bool
        The master is `AxiMaster`, which makes bursts of transfers; otherwise bursts are sent as
        they are, by its channels alone.

    Attributes
    ----------
    memory : SystemMemory
    registers : Registers
    master : AxiMaster or None
    """

    def __init__(self, dut: Any, rng: random.Random, *, transfers: bool = False):
        self.rng = rng
        self.dut = dut
        self.bus_bytes = len(dut.s_axi_wstrb)
        self.identifiers = 1 << len(dut.s_axi_arid)
        self.memory = SystemMemory(dut.clk, rng)
        Clock(dut.clk, GMII.cycle_ps, unit="ps").start()
        self._software: Any = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self._slave: Any = AxiSlave(
            AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=self.memory.region
        )
        self.registers = Registers(self._software)
        bus: Any = AxiBus.from_prefix(dut, "s_axi")
        self.master: Any = None
        if transfers:
            self.master = AxiMaster(bus, dut.clk, dut.rst)
            write, read = self.master.write_if, self.master.read_if
            self._channels = [write.aw_channel, write.w_channel, write.b_channel]
            self._channels += [read.ar_channel, read.r_channel]
        else:
            self._aw: Any = AxiAWSource(bus.write.aw, dut.clk, dut.rst)
            self._w: Any = AxiWSource(bus.write.w, dut.clk, dut.rst)
            self._b: Any = AxiBSink(bus.write.b, dut.clk, dut.rst)
            self._ar: Any = AxiARSource(bus.read.ar, dut.clk, dut.rst)
            self._r: Any = AxiRSink(bus.read.r, dut.clk, dut.rst)
            for source in (self._aw, self._w, self._ar):
                source.queue_occupancy_limit = 2
            self._channels = [self._aw, self._w, self._b, self._ar, self._r]
        for side in (self._software.write_if, self._slave.write_if):
            self._channels += [side.aw_channel, side.w_channel, side.b_channel]
        for side in (self._software.read_if, self._slave.read_if):
            self._channels += [side.ar_channel, side.r_channel]
        self.rules = {
            "s_axi": BusRules(dut, "s_axi", legal=transfers),
            "m_axi": BusRules(dut, "m_axi"),
        }

    async def reset(self) -> None:
        """Reset the bridge and the models."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, _RESET_CYCLES)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 1)

    @property
    def cycle(self) -> int:
        """Cycles of simulated time."""
        return round(get_sim_time("ps")) // GMII.cycle_ps

    def stall(self, probabilities: Sequence[float]) -> None:
        """From now on stall each channel with one of `probabilities` in a cycle, and memory."""

        def pauses(probability: float) -> Iterator[bool]:
            rng = random.Random(self.rng.getrandbits(64))
            return (rng.random() < probability for _ in itertools.count())

        for channel in self._channels:
            channel.set_pause_generator(pauses(self.rng.choice(probabilities)))
        self.memory.stall(self.rng.choice(probabilities) / 10, _LONGEST_LATENCY)

    async def play(self, bursts: Sequence[Burst]) -> None:
        """Send `bursts`, reads and writes side by side, and take what is answered to all."""
        reads = [burst for burst in bursts if not burst.write]
        writes = [burst for burst in bursts if burst.write]
        tasks = [
            cocotb.start_soon(task)
            for task in (
                self._send_reads(reads),
                self._send_writes(writes),
                self._send_data(writes),
                self._take_beats(reads),
                self._take_answers(writes),
            )
        ]
        for task in tasks:
            await with_timeout(task, _BURST_CYCLES * GMII.cycle_ps, "ps")

    async def _send_reads(self, reads: Iterable[Burst]) -> None:
        for burst in reads:
            await self._ar.send(self._address("ar", burst))
            burst.sent = self.cycle

    async def _send_writes(self, writes: Iterable[Burst]) -> None:
        for burst in writes:
            await self._aw.send(self._address("aw", burst))
            burst.sent = self.cycle

    async def _send_data(self, writes: Iterable[Burst]) -> None:
        for burst in writes:
            for number, (word, strobe) in enumerate(burst.data, 1):
                last = int(number == burst.beats)
                beat = self._w._transaction_obj(wdata=word, wstrb=strobe, wlast=last)
                await self._w.send(beat)

    def _address(self, prefix: str, burst: Burst) -> Any:
        fields = {
            "id": burst.identifier,
            "addr": burst.address,
            "len": burst.beats - 1,
            "size": burst.size,
            "burst": burst.kind,
            "user": burst.user,
        }
        channel = self._ar if prefix == "ar" else self._aw
        return channel._transaction_obj(**{prefix + name: value for name, value in fields.items()})

    async def _take_beats(self, reads: Sequence[Burst]) -> None:
        """The order of an ID is the order in which its bursts were sent [A5.3]."""
        waiting: defaultdict[int, deque[Burst]] = defaultdict(deque)
        for burst in reads:
            waiting[burst.identifier].append(burst)
        for _beat in range(sum(burst.beats for burst in reads)):
            beat = await self._r.recv()
            burst = waiting[int(beat.rid)][0]
            assert burst.sent >= 0, f"answered before it was sent: {burst}"
            burst.beats_seen.append((int(beat.rdata), int(beat.rresp)))
            if beat.rlast:
                waiting[burst.identifier].popleft()

    async def _take_answers(self, writes: Sequence[Burst]) -> None:
        waiting: defaultdict[int, deque[Burst]] = defaultdict(deque)
        for burst in writes:
            waiting[burst.identifier].append(burst)
        for _write in writes:
            answer = await self._b.recv()
            waiting[int(answer.bid)].popleft().response = int(answer.bresp)

    async def settle(self) -> None:
        """Until the bridge is idle; then nothing may be left on either side."""
        for _ in range(_BURST_CYCLES):
            if self.dut.idle.value:
                break
            await ClockCycles(self.dut.clk, 1)
        else:
            raise AssertionError("the bridge is never idle")
        await ClockCycles(self.dut.clk, 1)
        for rules in self.rules.values():
            rules.check_idle()
        self.memory.check()

    @staticmethod
    def seeded(name: str) -> random.Random:
        """The generator of the flow `name`."""
        return random.Random(f"{os.environ['BYWAY_SEED']} {name}")
