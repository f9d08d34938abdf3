"""The native engine's build: what is compiled, when, and what is said if it cannot be."""

import functools
import os
import stat
from pathlib import Path

import pytest

from byway.rtl.counter import Counter
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.board import BoardParameters
from byway.sim.engines import fingerprint as fingerprint_module
from byway.sim.engines import native_build
from byway.sim.engines.engine import EngineError
from byway.sim.engines.fingerprint import fingerprint
from byway.sim.engines.native import NativeEngine
from byway.sim.engines.native_build import LIBRARY, build_native

PARAMETERS = BoardParameters(memory_bytes=1 << 20)


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


def test_second_start_neither_elaborates_nor_compiles(monkeypatch):
    folder = build_native(SharedAdapter)
    assert (folder / LIBRARY).is_file()

    def refuse(*_arguments, **_more):
        raise AssertionError("It has been compiled")

    monkeypatch.setattr(native_build, "_netlist", refuse)
    monkeypatch.setattr(native_build, "_build", refuse)
    engine = NativeEngine(SharedAdapter, PARAMETERS)
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
        fingerprint(Counter),
    }
    (tmp_path / "changed.py").write_text("")
    monkeypatch.setattr(fingerprint_module, "_RTL", tmp_path)
    fingerprint_module._sources.cache_clear()
    others.add(fingerprint(SharedAdapter))
    fingerprint_module._sources.cache_clear()
    assert len(others | {first, None}) == 6


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


def test_missing_compiler_is_named(compilers, monkeypatch):
    monkeypatch.setattr(native_build, "_netlist", lambda _adapter: COUNTER)
    monkeypatch.setattr(native_build, "fingerprint", lambda _make: COUNTER)
    monkeypatch.setenv("PATH", str(compilers))
    with pytest.raises(EngineError) as error:
        build_native(lambda: None)  # type: ignore[arg-type]
    assert str(error.value) == "The engine native needs g++, which is not installed"


def test_compiler_is_not_missed_by_what_was_compiled_before(tmp_path, monkeypatch):
    NativeEngine(SharedAdapter, PARAMETERS).close()
    monkeypatch.setenv("PATH", str(tmp_path))
    NativeEngine(SharedAdapter, PARAMETERS).close()


def test_compiler_that_fails_leaves_its_words_and_no_library(compilers, tmp_path, monkeypatch):
    write_program(compilers / "g++", "echo no room left >&2; exit 1")
    monkeypatch.setattr(native_build, "_netlist", lambda _adapter: COUNTER)
    monkeypatch.setattr(native_build, "fingerprint", lambda _make: COUNTER)
    for _ in range(2):
        with pytest.raises(EngineError, match=r"^native could not compile the adapter; ") as error:
            build_native(lambda: None)  # type: ignore[arg-type]
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
