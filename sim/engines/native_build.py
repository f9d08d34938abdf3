"""Compiles RTL and a board to a shared library: a maker's model, our bus models.

Yosys flattens and simplifies the netlist first, which makes Verilator's model a quarter faster and
its C++ a quarter shorter. A compiler alone is needed: not make, not Python's headers.
"""

import functools
import inspect
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
from byway.sim.engines.native_model import TOP, ModelMaker

__all__ = ["LIBRARY", "build_native"]

#: Name of the shared library in the folder that `build_native` returns.
LIBRARY = "libbyway.so"

_SOURCES = Path(__file__).parents[1] / "native"
_ROOT = Path(byway.__path__[0]).parent
_COMPILER_FLAGS = ["-std=gnu++20", "-O2", "-fPIC", "-fvisibility=hidden", "-w"]
#: Compiled with the first, the model learns while it runs; with the second, from that.
_LEARN = ["-fprofile-generate", "-fprofile-update=single"]
_KNOW = ["-fprofile-use", "-fprofile-partial-training"]
#: The board never resets: the model starts as reset leaves it.
_PASSES = (
    f"read_rtlil {TOP}.il; proc; opt_clean -purge; flatten; "
    "delete -input w:rst; connect -set rst 1'0; opt -full; memory_collect; opt_clean -purge; "
)
#: Yosys in a process of its own, which may end it.
_YOSYS = "import sys; from pyosys.libyosys import Design, run_pass; run_pass(sys.argv[1], Design())"


def build_native(
    make: Callable[[], wiring.Component],
    maker: ModelMaker,
    *,
    waves: bool = False,
    board: str = "engine.cpp",
) -> Path:
    """Compile a component and its board, unless that was done before.

    Returns the folder of the `LIBRARY`.

    Parameters
    ----------
    make : callable
        Makes what has the ports that the board wants: a shared adapter, unless `board` is another.
    maker : ModelMaker
    waves : bool
        The engine shall be able to leave a waveform, which makes it slower.
    board : str
        The source file of the board, in ``sim/native``.

    Raises `EngineError` if the compiler is not there or refuses the model.
    """
    trained = maker.trainable and not waves and _is_shared_adapter(make)
    ingredients = [
        *(path.read_text() for path in sorted(_sources(maker))),
        inspect.getsource(sys.modules[type(maker).__module__]),
        *_COMPILER_FLAGS,
        _PASSES,
        *_LEARN,
        *_KNOW,
        str(waves),
        str(trained),
        board,
        *(f"{name} {metadata.version(name)}" for name in maker.packages),
    ]
    # To elaborate takes longer than all the rest of a start.
    known = fingerprint(make)
    netlist = _netlist(make()) if known is None else None

    def build(folder: Path) -> None:
        if shutil.which(maker.compiler) is None:
            raise EngineError(
                f"The engine {maker.engine} needs {maker.compiler}, which is not installed"
            )
        whole = netlist or _netlist(make())
        _build(folder, whole, maker, _SOURCES / board, waves=waves, trained=trained)

    return build_once(maker.engine, "\n".join([known or str(netlist), *ingredients]), build)


def _sources(maker: ModelMaker) -> list[Path]:
    folders = (_SOURCES, _SOURCES / maker.name)
    return [path for folder in folders for path in folder.iterdir() if path.is_file()]


def _is_shared_adapter(make: Callable[[], wiring.Component]) -> bool:
    """Whether it is known without elaborating that training has something to train."""
    return (make.func if isinstance(make, functools.partial) else make) is SharedAdapter


def _netlist(component: wiring.Component) -> str:
    return rtlil.convert(component, name=TOP, ports=ports(component), emit_src=False)


def _build(
    folder: Path, netlist: str, maker: ModelMaker, board: Path, *, waves: bool, trained: bool
) -> None:
    """From netlist to library, in `folder`."""
    # The training imports the byway that runs here, wherever it came from.
    search = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search}
    failure = f"{maker.engine} could not compile the adapter"
    commands = BuildCommands(folder, environment, failure=failure)
    run = commands.run

    (folder / f"{TOP}.il").write_text(netlist)
    run(sys.executable, "-c", _YOSYS, _PASSES + maker.last_passes(waves=waves))
    model = maker.make(folder, run, waves=waves)
    flags = [*_COMPILER_FLAGS, *model.flags, f"-DBYWAY_WAVES={waves:d}"]
    flags += [f"-I{_SOURCES}", f"-I{_SOURCES / maker.name}"]
    each_cycle = [*model.each_cycle, board]

    def compile_all(files: Sequence[Path], *more: str) -> None:
        # So that no long one is left for the end.
        largest_first = sorted(files, key=lambda file: -file.stat().st_size)
        commands.run_all(
            [
                (maker.compiler, *flags, *more, "-c", file, "-o", f"{file.stem}.o")
                for file in largest_first
            ]
        )

    def link(*more: str) -> None:
        objects = [f"{file.stem}.o" for file in [*model.once, *each_cycle]]
        linked = [*_COMPILER_FLAGS, *more, *objects, "-o", LIBRARY, *model.libraries]
        run(maker.compiler, "-shared", *linked)

    compile_all(model.once)
    if trained:
        compile_all(each_cycle, *_LEARN)
        link(*_LEARN)
        run(sys.executable, "-m", "byway.sim.engines.native_training", folder / LIBRARY)
        compile_all(each_cycle, *_KNOW)
    else:
        compile_all(each_cycle)
    link()
    for path in [*folder.glob("*.o"), *folder.glob("*.gcda"), folder / f"{TOP}.il"]:
        path.unlink()
