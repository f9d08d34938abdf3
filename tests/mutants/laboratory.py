"""Runs a test beside a mutant: in a copy of all that the test needs, never in the tree itself."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from tests.mutants.mutant import Mutant
from tests.mutants.verdict import OPTION

__all__ = ["Outcome", "examine"]

ROOT = pathlib.Path(__file__).parents[2]
#: What a test of the hardware needs.
_COPIED = ("byway", "rtl", "sim", "sw", "tests", "pyproject.toml")


class Outcome(NamedTuple):
    """What became of a test.

    Members
    -------
    result : str
        "passed", "caught", or what kept it from telling: "timeout" or "error".
    test : str
        Which case of it failed, if any did.
    how : str
        "assertion", of a simulation, or "counterexample", of a proof; else what was seen.
    seconds : float
        How long it took.
    """

    result: str
    test: str
    how: str
    seconds: float


def examine(folder: pathlib.Path, test: str, mutant: Mutant | None, *, limit: float) -> Outcome:
    """Run `test` in a copy, made in `folder`, of the hardware with `mutant`, or as it is.

    It ends after `limit` seconds at the latest, which is no catch.
    """
    place = folder / "copy"
    _copy(place)
    if mutant is not None:
        mutant.apply(place / "rtl")
    verdict = folder / "verdict.json"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "--assert=plain"]
    command += ["-p", "no:cacheprovider", "-p", "tests.mutants.verdict", OPTION, str(verdict), test]
    start = time.monotonic()
    log, in_time = _run(command, place, limit)
    seconds = round(time.monotonic() - start, 1)
    shutil.rmtree(place)
    if not in_time:
        return Outcome("timeout", test, log[-2000:], seconds)
    if not verdict.exists():
        return Outcome("error", test, log[-2000:], seconds)
    seen = json.loads(verdict.read_text())
    if seen["rtl"] != str(place.resolve() / "rtl"):
        raise RuntimeError(f"the test saw the hardware of {seen['rtl']}")
    if seen["failed"]:
        (failure,) = seen["failed"]
        how = failure.get("how", "error: not in the test")
        return Outcome("error" if "error" in how else "caught", failure["test"], how, seconds)
    result = "passed" if seen["passed"] and not seen["skipped"] else "error"
    return Outcome(result, test, log[-2000:], seconds)


def _copy(place: pathlib.Path) -> None:
    """Bytecode goes with it: it stays valid, but for that of the file that is broken."""
    place.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, symlinks=True)
        else:
            shutil.copy2(source, place / name)


def _run(command: list[str], place: pathlib.Path, limit: float) -> tuple[str, bool]:
    """Output of `command`, and whether it ended in time; nothing that it started is left."""
    process = subprocess.Popen(
        command,
        cwd=place,
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=limit)[0], True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0], False
