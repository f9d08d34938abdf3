"""The far side of the cocotb engine: runs inside the simulator and serves the near side.

It is a cocotb test that clocks the packed bench, ticks the same `Board` as every engine, and takes
orders over a socket: advance, read a register, write a register, stop. Between orders the
simulation stands still. System memory is a file that both sides map, so that no order carries data.
"""

import json
import mmap
import os
from multiprocessing.connection import Client

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from byway.sim.board.board import Board, BoardParameters
from byway.sim.board.pins import Pins

__all__ = ["serve"]


class _Bench:
    """The device under test with a board around it, a cycle at a time."""

    def __init__(self, dut, board: Board):
        self._outputs = dut.outputs
        self._inputs = dut.inputs
        self._clk = dut.clk
        self._falling = FallingEdge(dut.clk)
        self._driven = 0
        self._clock: Clock | None = None
        self.board = board

    async def step(self) -> None:
        """Let the board see the outputs of one cycle and set the inputs for its clock edge."""
        if self._clock is not None:
            await self._falling
        wanted = self.board.tick(int(self._outputs.value))
        if wanted != self._driven:
            self._driven = wanted
            self._inputs.value = wanted
        if self._clock is None:
            # The first cycle is seen before the first edge, as on Amaranth's simulator.
            await Timer(1, unit="ns")
            self._clock = Clock(self._clk, self.board.wire.cycle_ps, unit="ps")
            self._clock.start(start_high=True)

    async def run(self, cycles: int, *, until_rest: bool) -> None:
        """Advance until software has something to do, at most `cycles`; see `Engine`."""
        for _ in range(cycles):
            await self.step()
            if self.board.attention or (until_rest and self.board.at_rest):
                return

    async def access(self) -> None:
        """Advance until the register master's access has ended."""
        while self.board.master.busy:
            await self.step()


@cocotb.test()
async def serve(dut) -> None:
    """Serve orders until told to stop, or until the near side is gone."""
    order = json.loads(os.environ["BYWAY_ENGINE"])
    parameters = BoardParameters.from_dict(order["parameters"])
    with (
        open(order["memory"], "r+b") as file,
        mmap.mmap(file.fileno(), 0) as memory,
        memoryview(memory) as storage,
    ):
        board = Board(Pins.from_dict(order["pins"]), storage, parameters)
        dut.clk.value = 0
        dut.rst.value = 0
        dut.inputs.value = 0
        await Timer(1, unit="ns")
        bench = _Bench(dut, board)
        with Client(order["socket"], "AF_UNIX") as near:
            while True:
                try:
                    kind, first, second = near.recv()
                except EOFError:
                    return
                if kind == "stop":
                    return
                if kind == "run":
                    await bench.run(first, until_rest=bool(second))
                elif kind == "read":
                    board.master.begin_read(first)
                    await bench.access()
                else:
                    board.master.begin_write(first, second)
                    await bench.access()
                near.send(
                    (
                        board.cycle,
                        (board.adapter_interrupt, board.manager_interrupt, board.quiescent),
                        list(board.frames),
                        board.take_beats(),
                        int(board.master.response),
                        board.master.data,
                    )
                )
                board.frames.clear()
