"""Amaranth's own simulator as an engine: needs nothing but pip, and sees every signal by name."""

import contextlib
from collections import deque
from pathlib import Path

from amaranth.lib import wiring
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Resp
from byway.sim.board.board import Board, BoardParameters
from byway.sim.board.bus_beat import BusBeat
from byway.sim.board.pins import PinBench, Pins
from byway.sim.board.wire import Wire
from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.local_hardware import BufferMemory, CallbackBus

__all__ = ["AmaranthEngine"]


class AmaranthEngine:
    """Runs `adapter`, a shared adapter, on Amaranth's simulator; an `Engine`.

    Parameters
    ----------
    adapter : wiring.Component
        The component; elaborated once.
    parameters : BoardParameters
    waveform : Path or None
        Where to write a VCD of the whole run.
    """

    name = "amaranth"

    def __init__(
        self,
        adapter: wiring.Component,
        parameters: BoardParameters,
        *,
        waveform: Path | None = None,
    ):
        storage = bytearray(parameters.memory_bytes)
        pins = Pins.of(adapter, first=Board.pin_order)
        bench = PinBench(adapter, pins)
        self._board = Board(pins, storage, parameters)
        self.memory = BufferMemory(storage)
        self.registers = CallbackBus(self._read_register, self._write_register)
        self._simulator = Simulator(bench)
        self._simulator.add_clock(self.wire.seconds(1))

        async def board(ctx):
            inputs = 0
            while True:
                wanted = self._board.tick(ctx.get(bench.outputs))
                if wanted != inputs:
                    inputs = wanted
                    ctx.set(bench.inputs, inputs)
                await ctx.tick()

        self._simulator.add_testbench(board, background=True)
        self._waveform = contextlib.ExitStack()
        if waveform is not None:
            self._waveform.enter_context(self._simulator.write_vcd(str(waveform)))

    @property
    def wire(self) -> Wire:
        """That of the adapter."""
        return self._board.wire

    @property
    def cycle(self) -> int:
        """Cycles since reset."""
        return self._board.cycle

    @property
    def time_ns(self) -> int:
        """Time since reset in nanoseconds."""
        return self.wire.ns(self._board.cycle)

    @property
    def frames(self) -> deque[WireFrame]:
        """Frames from the wire that nobody has taken yet."""
        return self._board.frames

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return self._board.adapter_interrupt

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return self._board.manager_interrupt

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter."""
        return self._board.quiescent

    def take_beats(self) -> list[BusBeat]:
        """What has passed on the memory bus since the last call, if the board watches it."""
        return self._board.take_beats()

    def _step(self) -> None:
        before = self._board.cycle
        while self._board.cycle == before:
            self._simulator.advance()

    def run(self, cycles: int, *, until_rest: bool = False) -> None:
        """Advance until software has something to do, at most `cycles`; see `Engine`."""
        for _ in range(cycles):
            self._step()
            if self._board.attention or (until_rest and self._board.at_rest):
                return

    def _access(self, address: int) -> None:
        while self._board.master.busy:
            self._step()
        if self._board.master.response != Resp.OKAY:
            raise OSError(f"The adapter refused the access to register {address:#x}")

    def _read_register(self, address: int) -> int:
        self._board.master.begin_read(address)
        self._access(address)
        return self._board.master.data

    def _write_register(self, address: int, value: int) -> None:
        self._board.master.begin_write(address, value)
        self._access(address)

    def close(self) -> None:
        """Finish the waveform."""
        self._waveform.close()
