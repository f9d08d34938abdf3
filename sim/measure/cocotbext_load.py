"""The load on cocotb with cocotbext's models, as a verification engineer would set it up.

Runs inside the simulator; ``BYWAY_MEASURE`` names the file for the cycles a second, and how many
cycles to run. It is what the native engine is measured against.
"""

import json
import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiSlave, MemoryRegion
from cocotbext.eth import GmiiSink

from byway.sim.board.wire import GMII
from byway.sim.engines.local_hardware import BufferMemory, CallbackBus
from byway.sim.measure.load import MEMORY_BYTES, start_load

__all__ = ["load"]

# The models use what cocotb has renamed since.
warnings.filterwarnings("ignore", module=r"cocotbext\.")


@cocotb.test()
async def load(dut) -> None:
    """Start the load, then take the time."""
    order = json.loads(os.environ["BYWAY_MEASURE"])
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    Clock(dut.clk, GMII.cycle_ps, unit="ps").start()
    storage = bytearray(MEMORY_BYTES)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    AxiSlave(
        AxiBus.from_prefix(dut, "m_axi"),
        dut.clk,
        dut.rst,
        target=MemoryRegion(MEMORY_BYTES, mem=storage),
    )
    sink = GmiiSink(dut.gmii_txd, dut.gmii_tx_er, dut.gmii_tx_en, dut.clk, dut.rst)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0

    async def read(offset: int) -> int:
        answer: Any = await master.read(offset, 4)
        return int.from_bytes(answer.data, "little")

    async def write(offset: int, value: int) -> None:
        await master.write(offset, value.to_bytes(4, "little"))

    registers = CallbackBus(resume(read), resume(write))
    await bridge(start_load)(registers, BufferMemory(storage))
    begun = time.process_time()
    await ClockCycles(dut.clk, order["cycles"])
    seconds = time.process_time() - begun
    assert not sink.empty(), "no frame came"
    Path(order["result"]).write_text(json.dumps({"cycles_per_second": order["cycles"] / seconds}))
