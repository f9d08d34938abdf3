"""A plugin of the pytest that runs beside a mutant: writes what became of the test, and of what.

A failure counts only if it is one of an assertion of the test, or a counterexample that a tool
found. A hardware that cannot be built, a tool that breaks and a test that hangs are errors.
"""

import json
import pathlib
import re

import pytest

__all__ = ["OPTION"]

OPTION = "--verdict"
#: Where the tools are called; an assertion there may also mean that a tool broke.
_TOOLS = {"pdr.py", "sby.py"}
_COUNTEREXAMPLE = re.compile(
    r"was asserted in frame|^SATISFIABLE|Assert failed in|Unreached cover statement", re.M
)


def pytest_addoption(parser):
    parser.addoption(OPTION, type=pathlib.Path, help="write what became of the tests to this file")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.excinfo is not None and not report.skipped:
        error = call.excinfo.value
        places = [pathlib.Path(entry.path) for entry in call.excinfo.traceback]
        found = str(error)
        by_tool = any(place.name in _TOOLS for place in places)
        is_counterexample = bool(_COUNTEREXAMPLE.search(found))
        holds = (
            call.when == "call"
            and isinstance(error, AssertionError)
            and not places[-1].resolve().is_relative_to(item.config.rootpath.resolve() / "rtl")
            and (is_counterexample or not by_tool)
        )
        how = "counterexample" if by_tool else "assertion"
        report.user_properties.append(("how", how if holds else f"error: {error!r:.2000}"))
    return report


def pytest_terminal_summary(terminalreporter, config):
    """Write the number of tests that passed, the failures, and which hardware was tested."""
    import byway.rtl

    stats = terminalreporter.stats
    failed = [*stats.get("failed", []), *stats.get("error", [])]
    result = {
        "rtl": str(pathlib.Path(byway.rtl.__path__[0]).resolve()),
        "passed": len(stats.get("passed", [])),
        "skipped": len(stats.get("skipped", [])),
        "failed": [
            {"test": report.nodeid, **dict(getattr(report, "user_properties", []))}
            for report in failed
        ],
    }
    config.getoption(OPTION).write_text(json.dumps(result))
