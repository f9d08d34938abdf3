"""Proves assertions without a bound, by property directed reachability of ABC.

Beside SymbiYosys' own use of it, the design is made smaller first: registers that are equal, or
constant, in every reachable state are merged. And counterexamples to generalization are themselves
blocked: that is what makes the larger proofs end in minutes.
"""

import pathlib
import re
import subprocess
import sys

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Elaboratable

__all__ = ["prove"]

_TO_AIGER = """
read_rtlil top.il
prep -top top
memory_nordff
async2sync
chformal -assume -early
formalff -setundef -clk2ff -ff2anyinit -hierarchy
chformal -live -fair -cover -remove
flatten
setundef -undriven -anyseq
setattr -unset keep
delete -output
opt -full
techmap
memory_map -formal
formalff -clk2ff -ff2anyinit
simplemap
dffunmap
aigmap
opt_clean
write_aiger -I -B -zinit -no-startoffset -map top.aim top.aig
"""
_YOSYS = "import sys; from pyosys.libyosys import Design, run_pass; run_pass(sys.argv[1], Design())"
_SMALLER = "fold; strash; scleanup; ssweep; scorr; dc2; scorr; dc2"


def prove(
    folder: pathlib.Path, design: Elaboratable, *, by_cost: bool = False, as_it_is: bool = False
) -> None:
    """Prove the assertions of `design`; fails the test, with the end of ABC's log, unless it can.

    Files are written to `folder`. Registers are tried in the order of their cost if `by_cost`, and
    nothing is merged if `as_it_is`: what ends sooner is found by trying, and stays so while the
    design does.
    """
    abc = _prepare(folder, design)
    smaller = "fold; strash; scleanup" if as_it_is else _SMALLER
    log = _run(folder, [abc, "-c", f"read_aiger top.aig; {smaller}; ps; write_aiger small.aig"])
    reach = "pdr -n -c -s -f -v" if by_cost else "pdr -n -c -s -v"
    # What no state is left of needs no more than to be looked at.
    last = "iprove" if "lat =    0 " in log else f"strash; {reach}"
    log = _run(folder, [abc, "-c", f"read_aiger small.aig; {last}; write_cex -n top.cex"])
    assert re.search(r"^(Property proved|UNSATISFIABLE)", log, re.M), _end(log)


def _prepare(folder: pathlib.Path, design: Elaboratable) -> str:
    """Write `design` as AIGER; returns where ABC is."""
    pyosys = pytest.importorskip("pyosys")
    (folder / "top.il").write_text(rtlil.convert(design, name="top", ports=[]))
    (folder / "to_aiger.ys").write_text(_TO_AIGER)
    _run(folder, [sys.executable, "-c", _YOSYS, "script to_aiger.ys"])
    return str(pathlib.Path(pyosys.__file__).with_name("yosys-abc"))


def _run(folder: pathlib.Path, command: list[str]) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    return log


def _end(log: str) -> str:
    return "\n".join(log.splitlines()[-30:])
