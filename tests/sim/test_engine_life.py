"""Engines start, fail and end as they promise, each with a few registers for an adapter.

What they compute is judged in ``test_engines.py``; here a small component keeps compilation short.
"""

import contextlib
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal

from byway.rtl.bus.axi4 import Resp
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.board import BoardParameters
from byway.sim.board_bench import AdapterShell
from byway.sim.engines import cocotb
from byway.sim.engines.engine import EngineError
from byway.sim.engines.open_engine import ENGINES, open_engine, waveform_suffix

PARAMETERS = BoardParameters(memory_bytes=1 << 16)
COUNTER, LINES, NOTHING = 0, 4, 8


def needs(simulator: str, program: str):
    missing = shutil.which(program) is None
    return pytest.param(
        simulator, marks=pytest.mark.skipif(missing, reason=f"{program} is not installed")
    )


COMPILED = ["verilator", needs("icarus", "iverilog")]
NATIVE = ["native", needs("cxxrtl", "clang++")]
EVERY = ["amaranth", *NATIVE, *COMPILED]


class Registers(AdapterShell):
    """The ports of a shared adapter, with three registers.

    COUNTER counts cycles; a write to LINES sets the interrupt lines, and whether the component
    calls itself quiescent, which is a lie; NOTHING is refused.
    """

    def __init__(self):
        super().__init__(address_width=4)

    def elaborate(self, platform):
        m = Module()
        axil = self.s_axil
        counter = Signal(32)
        m.d.sync += counter.eq(counter + 1)
        with m.If(axil.arvalid & ~axil.rvalid):
            m.d.comb += axil.arready.eq(1)
            m.d.sync += [axil.rvalid.eq(1), axil.rdata.eq(counter)]
            m.d.sync += axil.rresp.eq((axil.araddr == NOTHING) * Resp.SLVERR)
        with m.Elif(axil.rready):
            m.d.sync += axil.rvalid.eq(0)
        with m.If(axil.awvalid & axil.wvalid & ~axil.bvalid):
            m.d.comb += [axil.awready.eq(1), axil.wready.eq(1)]
            m.d.sync += axil.bvalid.eq(1)
            m.d.sync += axil.bresp.eq((axil.awaddr == NOTHING) * Resp.SLVERR)
            with m.If(axil.awaddr == LINES):
                m.d.sync += self.adapter_interrupt.eq(axil.wdata[0])
                m.d.sync += self.manager_interrupt.eq(axil.wdata[1])
                m.d.sync += self.quiescent.eq(axil.wdata[2])
        with m.Elif(axil.bready):
            m.d.sync += axil.bvalid.eq(0)
        return m


def start(name: str, **more: Any):
    return open_engine(name, Registers, PARAMETERS, **more)


@pytest.fixture
def engine(request):
    engine = start(request.param)
    yield engine
    engine.close()


def every_engine(function):
    return pytest.mark.parametrize("engine", EVERY, indirect=True)(function)


def children(process: int) -> list[int]:
    """Numbers of the processes below `process`, parents first."""
    parents = {}
    for state in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(state.parent.name)] = int(state.read_text().rsplit(")", 1)[1].split()[1])
    found = [process]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@every_engine
def test_time_moves_only_when_asked_to_and_as_far_as_asked(engine):
    assert (engine.cycle, engine.time_ns) == (0, 0)
    engine.run(1)
    assert engine.cycle == 1
    engine.run(1000)
    assert engine.cycle == 1001
    assert engine.time_ns == 1001 * 8
    first = engine.registers.read(COUNTER)
    at = engine.cycle
    engine.run(50)
    assert engine.registers.read(COUNTER) - first == 50 + (engine.cycle - at - 50)
    assert engine.cycle > at + 50, "a register access takes time"


@every_engine
def test_running_ends_when_software_has_something_to_do(engine):
    engine.registers.write(LINES, 1)
    assert (engine.adapter_interrupt, engine.manager_interrupt) == (True, False)
    before = engine.cycle
    engine.run(1000)
    assert engine.cycle == before + 1
    engine.registers.write(LINES, 2)
    assert (engine.adapter_interrupt, engine.manager_interrupt) == (False, True)
    engine.registers.write(LINES, 0)
    before = engine.cycle
    engine.run(1000)
    assert engine.cycle == before + 1000


@every_engine
def test_quiescence_is_shown_as_the_adapter_declares_it(engine):
    engine.run(1)
    assert not engine.quiescent
    engine.registers.write(LINES, 4)
    assert engine.quiescent
    engine.registers.write(LINES, 0)
    assert not engine.quiescent


@pytest.mark.parametrize("name", NATIVE)
def test_quiescence_that_is_a_lie_fails_the_run_on_the_native_engines(name):
    engine = start(name)
    engine.registers.write(LINES, 4)
    engine.run(1)
    before = engine.cycle
    with pytest.raises(EngineError) as error:
        engine.run(1000)
    assert str(error.value) == (
        f"{name}: the adapter declared itself quiescent, but its state changed in cycle "
        f"{before + 1}"
    )
    engine.close()


@every_engine
def test_refused_register_access_raises(engine):
    with pytest.raises(OSError, match="register 0x8"):
        engine.registers.read(NOTHING)
    with pytest.raises(OSError, match="register 0x8"):
        engine.registers.write(NOTHING, 1)
    engine.registers.read(COUNTER)


@every_engine
def test_memory_keeps_what_is_written_and_ends_where_it_ends(engine):
    memory = engine.memory
    engine.run(1)
    assert memory.size == PARAMETERS.memory_bytes
    assert memory.read(0, memory.size) == bytes(memory.size)
    memory.write(memory.size - 3, b"abc")
    assert memory.read(memory.size - 4, 4) == b"\0abc"
    for address, length in ((memory.size - 2, 3), (memory.size, 1), (-1, 1), (0, -1)):
        with pytest.raises(IndexError, match="not inside"):
            memory.read(address, length)
    with pytest.raises(IndexError, match="not inside"):
        memory.write(memory.size - 2, b"abc")
    assert memory.read(memory.size - 3, 3) == b"abc"


@pytest.mark.parametrize("name", EVERY)
def test_engine_may_be_closed_twice_and_leaves_nothing(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running = set(children(os.getpid()))
    engine = start(name)
    engine.run(10)
    started = set(children(os.getpid())) - running
    assert bool(started) == (name in cocotb.SIMULATORS)
    engine.close()
    engine.close()
    assert not any(is_running(process) for process in started)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", EVERY)
def test_waveform_is_whole_after_the_end(name, tmp_path):
    wave = tmp_path / f"wave{waveform_suffix(name)}"
    engine = start(name, waveform=wave)
    engine.registers.write(LINES, 1)
    engine.registers.write(LINES, 0)
    engine.run(100)
    engine.close()
    assert list(tmp_path.iterdir()) == [wave]
    if wave.suffix == ".fst":
        # Header block first: type 0, 329 bytes; a file that was not finished has type 255.
        content = wave.read_bytes()
        assert content[:9] == bytes([0]) + (329).to_bytes(8, "big")
        assert len(content) > 500
    else:
        header, changes = wave.read_text().split("$enddefinitions", 1)
        assert " adapter_interrupt " in header
        assert len(re.findall("^#[0-9]+$", changes, re.MULTILINE)) > 100


@pytest.mark.parametrize("name", COMPILED)
def test_second_start_does_not_compile_again(name, monkeypatch):
    orders = []
    original = cocotb.runner_command

    def command(order):
        orders.append(order["do"])
        return original(order)

    start(name).close()
    monkeypatch.setattr(cocotb, "runner_command", command)
    start(name).close()
    assert orders == ["run"]


@pytest.mark.parametrize("name", [needs("icarus", "iverilog")])
def test_first_start_compiles_and_the_next_finds_it(name, tmp_path, monkeypatch):
    """On Icarus only, which compiles in a second; the rest is the same for all."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    start(name).close()
    (build,) = (path for path in (tmp_path / "byway").iterdir() if path.is_dir())
    made = {path: path.stat().st_mtime_ns for path in build.rglob("*.vvp")}
    assert made
    start(name).close()
    assert {path: path.stat().st_mtime_ns for path in build.rglob("*.vvp")} == made


@pytest.mark.parametrize("name", COMPILED)
def test_refused_verilog_is_an_engine_error_that_names_the_log(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        EngineError, match=rf"^{name} could not compile top; .*build\.log$"
    ) as error:
        cocotb.build_simulator("module top; this is not Verilog; endmodule", "top", name)
    log = Path(str(error.value).rsplit(" ", 1)[1])
    assert log.read_text().strip()
    with pytest.raises(EngineError, match="could not compile"):
        cocotb.build_simulator("module top; this is not Verilog; endmodule", "top", name)


@pytest.mark.parametrize("name", COMPILED)
def test_death_of_the_simulator_is_an_engine_error(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running = set(children(os.getpid()))
    engine = start(name)
    engine.run(10)
    started = [process for process in children(os.getpid()) if process not in running]
    os.kill(started[-1], signal.SIGKILL)
    with pytest.raises(EngineError, match=f"^{name} ended unexpectedly: [^\n]*$"):
        engine.run(1000)
    with pytest.raises(EngineError, match=f"^{name} ended unexpectedly: [^\n]*$"):
        engine.registers.read(COUNTER)
    engine.close()
    engine.close()
    assert not any(is_running(process) for process in started)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", COMPILED)
def test_simulator_that_does_not_start_is_an_engine_error(name, tmp_path, monkeypatch):
    """As when the compiled simulator is broken, here gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(cocotb, "build_simulator", lambda *_args, **_more: tmp_path / "gone")
    with pytest.raises(EngineError, match=f"^{name} did not start: [^\n]+$"):
        start(name)
    assert not list((tmp_path / "run").iterdir())


def test_unknown_engine_is_an_engine_error():
    with pytest.raises(EngineError) as error:
        start_unused("vcs")
    assert str(error.value) == (
        "No engine is called vcs; there are native, cxxrtl, amaranth, verilator, icarus"
    )
    assert ENGINES == ("native", "cxxrtl", "amaranth", "verilator", "icarus")


def start_unused(name: str):
    """Start an engine that is not there: the component must not be missed by anyone."""

    def make():
        component = Registers()
        component._MustUse__silence = True  # type: ignore[attr-defined]
        return component

    return open_engine(name, make, PARAMETERS)


@pytest.mark.parametrize(
    ("name", "program"),
    [("verilator", "perl"), ("icarus", "iverilog")],
    ids=["verilator", "icarus"],
)
@pytest.mark.parametrize("path", ["", None], ids=["empty", "unset"])
def test_absent_simulator_is_an_engine_error(name, program, path, monkeypatch, tmp_path):
    if path is None:
        monkeypatch.delenv("PATH")
        monkeypatch.setattr(os, "defpath", str(tmp_path))
        monkeypatch.setattr(os, "confstr", lambda _name: str(tmp_path), raising=False)
    else:
        monkeypatch.setenv("PATH", path)
    with pytest.raises(EngineError) as error:
        start_unused(name)
    assert str(error.value) == f"The engine {name} needs {program}, which is not installed"


def test_second_start_of_cocotb_does_not_elaborate(monkeypatch):
    open_engine("verilator", SharedAdapter, PARAMETERS).close()

    def refuse(_component, _top):
        raise AssertionError("It has been exported")

    monkeypatch.setattr(cocotb, "to_verilog", refuse)
    engine = open_engine("verilator", SharedAdapter, PARAMETERS)
    engine.run(3)
    assert engine.cycle == 3
    engine.close()
