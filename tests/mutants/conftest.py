"""Which mutants are run; what became of each is printed at the end, and kept on request."""

import json
import pathlib
import random
from typing import Any

import pytest

from tests.mutants import caching, contract, judging, paths, taking_back, transmit
from tests.mutants.mutant import Mutant, check_mutants

_KEY = "mutant"
_MUTANTS = check_mutants(
    [
        mutant
        for part in (judging, caching, paths, taking_back, transmit, contract)
        for mutant in part.MUTANTS
    ]
)


def pytest_addoption(parser):
    parser.addoption("--mutants", type=int, default=4, help="how many mutants to draw; 0 for all")
    parser.addoption("--mutants-seed", type=int, default=1, help="what they are drawn by")
    parser.addoption(
        "--mutants-table", type=pathlib.Path, help="print what caught them, and write it there"
    )


def _drawn(config: pytest.Config) -> list[Mutant]:
    """The mutants to run, in the order in which they are listed."""
    count: Any = config.getoption("--mutants")
    seed: Any = config.getoption("--mutants-seed")
    if not 0 < count < len(_MUTANTS):
        return _MUTANTS
    drawn = random.Random(seed).sample(range(len(_MUTANTS)), count)
    return [_MUTANTS[number] for number in sorted(drawn)]


def pytest_generate_tests(metafunc):
    """Each mutant once, and each test that is to catch any of them."""
    drawn = _drawn(metafunc.config)
    if "mutant" in metafunc.fixturenames:
        metafunc.parametrize("mutant", drawn, ids=[mutant.name for mutant in drawn])
    if "catcher" in metafunc.fixturenames:
        metafunc.parametrize("catcher", sorted({mutant.caught_by for mutant in drawn}))


@pytest.fixture
def note(record_property):
    """Keeps a row of the table."""
    return lambda row: record_property(_KEY, row)


def pytest_terminal_summary(terminalreporter, config):
    """Print the table and write the file."""
    path = config.getoption("--mutants-table")
    if path is None:
        return
    rows: list[Any] = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for key, value in report.user_properties
        if key == _KEY
    ]
    order = {mutant.name: number for number, mutant in enumerate(_MUTANTS)}
    rows.sort(key=lambda row: order[row["mutant"]])
    for row in rows:
        terminalreporter.write_line(
            f"{row['result']:7}  {row['seconds']:5.1f} s  {row['mutant']}  ({row['test']})"
        )
    caught = sum(row["result"] == "caught" for row in rows)
    terminalreporter.write_line(f"{caught} of {len(rows)} mutants are caught")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")
