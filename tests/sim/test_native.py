"""The native engines' builds: what is compiled, when, and what is said if it cannot be."""

import functools
import os
import shutil
import stat
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal

from byway.rtl.counter import Counter
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.board import BoardParameters
from byway.sim.board_bench import AdapterShell
from byway.sim.engines import fingerprint as fingerprint_module
from byway.sim.engines import native_build
from byway.sim.engines.engine import EngineError
from byway.sim.engines.fingerprint import fingerprint
from byway.sim.engines.native import NATIVES, NativeEngine
from byway.sim.engines.native_build import LIBRARY, build_native

PARAMETERS = BoardParameters(memory_bytes=1 << 20)
needs_clang = pytest.mark.skipif(shutil.which("clang++") is None, reason="clang is not installed")
every_maker = pytest.mark.parametrize("maker", NATIVES.values(), ids=NATIVES)


@pytest.fixture
def compilers(tmp_path, monkeypatch):
    """An empty cache, and a folder of programs that are found before all others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(stat.S_IRWXU)


@pytest.mark.parametrize("name", ["native", pytest.param("cxxrtl", marks=needs_clang)])
def test_second_start_neither_elaborates_nor_compiles(name, monkeypatch):
    folder = build_native(SharedAdapter, NATIVES[name])
    assert (folder / LIBRARY).is_file()

    def refuse(*_arguments, **_more):
        raise AssertionError("It has been compiled")

    monkeypatch.setattr(native_build, "_netlist", refuse)
    monkeypatch.setattr(native_build, "_build", refuse)
    engine = NativeEngine(SharedAdapter, PARAMETERS, maker=NATIVES[name])
    engine.run(3)
    assert engine.cycle == 3
    engine.close()


def test_fingerprint_tells_parameters_and_sources_apart(tmp_path, monkeypatch):
    first = fingerprint(SharedAdapter)
    assert first == fingerprint(functools.partial(SharedAdapter))
    assert first == fingerprint(functools.partial(SharedAdapter, data_width=64, rings=2))
    others = {
        fingerprint(functools.partial(SharedAdapter, rings=3)),
        fingerprint(functools.partial(SharedAdapter, windows=3)),
        fingerprint(functools.partial(SharedAdapter, wire="xgmii")),
        fingerprint(functools.partial(SharedAdapter, outstanding=8)),
        fingerprint(Counter),
    }
    (tmp_path / "changed.py").write_text("")
    monkeypatch.setattr(fingerprint_module, "_RTL", tmp_path)
    fingerprint_module._sources.cache_clear()
    others.add(fingerprint(SharedAdapter))
    fingerprint_module._sources.cache_clear()
    assert len(others | {first, None}) == 8


class Elsewhere(Counter):
    """Its source is not among those of `byway.rtl`."""


@pytest.mark.parametrize(
    "make",
    [
        Elsewhere,
        lambda: Counter(),
        functools.partial(Elsewhere, amount_width=2),
        functools.partial(Counter, amount_width=[2]),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_may_make_anything_has_no_fingerprint(make):
    assert fingerprint(make) is None


@every_maker
def test_missing_compiler_is_named(maker, compilers, monkeypatch):
    monkeypatch.setattr(native_build, "_netlist", lambda _adapter: COUNTER)
    monkeypatch.setattr(native_build, "fingerprint", lambda _make: COUNTER)
    monkeypatch.setenv("PATH", str(compilers))
    with pytest.raises(EngineError) as error:
        build_native(lambda: None, maker)  # type: ignore[arg-type]
    assert str(error.value) == (
        f"The engine {maker.engine} needs {maker.compiler}, which is not installed"
    )


def test_compiler_is_not_missed_by_what_was_compiled_before(tmp_path, monkeypatch):
    NativeEngine(SharedAdapter, PARAMETERS).close()
    monkeypatch.setenv("PATH", str(tmp_path))
    NativeEngine(SharedAdapter, PARAMETERS).close()


@every_maker
def test_compiler_that_fails_leaves_its_words_and_no_library(
    maker, compilers, tmp_path, monkeypatch
):
    write_program(compilers / maker.compiler, "echo no room left >&2; exit 1")
    monkeypatch.setattr(native_build, "_netlist", lambda _adapter: COUNTER)
    monkeypatch.setattr(native_build, "fingerprint", lambda _make: COUNTER)
    for _ in range(2):
        with pytest.raises(
            EngineError, match=f"^{maker.engine} could not compile the adapter; "
        ) as error:
            build_native(lambda: None, maker)  # type: ignore[arg-type]
        log = Path(str(error.value).rsplit(" ", 1)[1])
        assert "no room left" in log.read_text()
    assert not list((tmp_path / "cache").rglob(LIBRARY))


#: A netlist that is built faster than that of an adapter.
COUNTER = """
module \\byway
  wire input 1 \\clk
  wire output 2 \\value
  wire input 3 \\rst
  process $group
    sync posedge \\clk
      update \\value \\clk
  end
end
"""


class Chain(AdapterShell):
    """A register's value is the parity of each beginning of its address, which goes in late."""

    def __init__(self):
        super().__init__(address_width=16)

    def elaborate(self, platform):
        m = Module()
        axil = self.s_axil
        chain = Signal(17)
        for place in range(16):
            m.d.comb += chain[place + 1].eq(chain[place] ^ axil.araddr[place])
        m.d.comb += axil.arready.eq(1)
        with m.If(axil.arvalid):
            m.d.sync += [axil.rvalid.eq(1), axil.rdata.eq(chain[1:])]
        with m.Elif(axil.rready):
            m.d.sync += axil.rvalid.eq(0)
        return m


@needs_clang
@pytest.mark.parametrize("can_record", [False, True])
def test_a_net_that_depends_on_itself_bit_by_bit_settles_before_the_edge(can_record):
    """CXXRTL evaluates it several times, if Yosys does not take it apart."""
    engine = NativeEngine(Chain, PARAMETERS, maker=NATIVES["cxxrtl"], can_record=can_record)
    for address in (0, 1, 0x8000, 0x5555, 0xFFFC, 0x1234):
        parities = [(address & (2 << place) - 1).bit_count() & 1 for place in range(16)]
        value = sum(parity << place for place, parity in enumerate(parities))
        assert engine.registers.read(address) == value
    engine.close()


def test_broken_library_is_an_engine_error(tmp_path, monkeypatch):
    (tmp_path / LIBRARY).write_bytes(b"not a library")
    monkeypatch.setattr("byway.sim.engines.native.build_native", lambda *_a, **_m: tmp_path)
    with pytest.raises(EngineError, match=r"^native did not start: .*libbyway"):
        NativeEngine(SharedAdapter, PARAMETERS)


def test_closed_engine_says_so():
    engine = NativeEngine(SharedAdapter, PARAMETERS)
    engine.close()
    engine.close()
    assert engine.cycle == 0
    for use in (lambda: engine.run(1), lambda: engine.registers.read(0)):
        with pytest.raises(EngineError, match=r"^native has been closed$"):
            use()
