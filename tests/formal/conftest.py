"""What is verified, how, how deep and in which time: printed at the end, and kept on request."""

import json
import pathlib
import re
import time
from typing import Any

import pytest
from amaranth.hdl import Elaboratable

from tests.formal.pdr import prove
from tests.formal.sby import run_sby

_KEY = "verification"
_SMT = "smtbmc yices"


class Verifier:
    """Verifies designs, and notes each verification.

    Parameters
    ----------
    folder : pathlib.Path
        Where files are written.
    note : Callable
        Takes a name and a value: pytest's ``record_property``.
    claim : str
        What is verified.
    """

    def __init__(self, folder, note, claim):
        self._folder = folder
        self._note = note
        self._claim = claim

    def reach(self, design: Elaboratable, **how: bool) -> None:
        """Prove the assertions of `design` without a bound; `how` is that of `pdr.prove`."""
        self._verify("proved", "property directed reachability", None, prove, design, **how)

    def induct(self, design: Elaboratable, *, depth: int) -> None:
        """Prove the assertions of `design` without a bound, by induction over `depth` cycles."""
        options = {"depth": depth, "flatten": True}
        self._verify(
            "proved", f"{depth}-induction", None, run_sby, design, "prove", _SMT, **options
        )

    def cover(self, design: Elaboratable, *, depth: int, flatten: bool = False) -> None:
        """Find a trace of at most `depth` cycles to each cover statement of `design`."""
        options = {"depth": depth, "flatten": flatten}
        self._verify("reached", "trace", depth, run_sby, design, "cover", _SMT, **options)

    def _verify(self, result, method, bound, how, /, *arguments, **options):
        start = time.monotonic()
        how(self._folder, *arguments, **options)
        seconds = round(time.monotonic() - start, 1)
        figures = {"result": result, "method": method, "depth": bound, "seconds": seconds}
        self._note(_KEY, {"property": self._claim, **figures})


@pytest.fixture
def verify(request, tmp_path, record_property) -> Verifier:
    part = request.module.__name__.rpartition("test_")[2]
    claim = request.node.originalname.removeprefix("test_").replace("_", " ")
    case = re.search(r"\[(.*)\]$", request.node.name)
    return Verifier(tmp_path, record_property, f"{part}: {claim}{f': {case[1]}' if case else ''}")


def pytest_addoption(parser):
    parser.addoption(
        "--proofs", type=pathlib.Path, help="print what was verified, and write it to this file"
    )


def pytest_terminal_summary(terminalreporter, config):
    """Print the table and write the file."""
    path = config.getoption("--proofs")
    if path is None:
        return
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    rows: list[Any] = [
        value for report in reports for key, value in report.user_properties if key == _KEY
    ]
    rows.sort(key=lambda row: (row["result"], row["property"]))
    for row in rows:
        depth = "no bound" if row["depth"] is None else f"{row['depth']} cycles"
        terminalreporter.write_line(
            f"{row['result']:7}  {row['seconds']:6.1f} s  {depth:9}  {row['property']}"
            f"  ({row['method']})"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")
