"""Runs flows inside a simulator, and brings home what they said."""

import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from byway.sim.engines.cocotb import build_simulator, runner_command, simulator_environment
from byway.sim.engines.engine import EngineError

HERE = Path(__file__).parent
MOST_SECONDS = 300


def words_of_failures(results: Path) -> list[str]:
    """What each failed flow said; fails if there was none to run."""
    failures = []
    cases = list(ElementTree.parse(results).iter("testcase"))
    assert cases, "no flow ran"
    for case in cases:
        for kind in ("failure", "error"):
            for element in case.findall(kind):
                words = element.text or element.get("message") or ""
                failures.append(f"{case.get('classname')}.{case.get('name')}\n{words}")
    return failures


def run_module(
    verilog: str,
    top: str,
    simulator: str,
    module: str,
    folder: Path,
    *,
    only: str | None = None,
    effort: float = 1.0,
) -> None:
    """Run the flows of `module` on `simulator`, or `only` one; fails with its words and the seed.

    The seed is of the module: each flow makes its own from it. With less `effort`, flows that can
    do less.
    """
    try:
        environment = simulator_environment(simulator)
    except EngineError as error:
        pytest.skip(str(error))
    build = build_simulator(verilog, top, simulator)
    seed = os.environ.get("BYWAY_SEED") or str(random.SystemRandom().getrandbits(32))
    environment["BYWAY_SEED"] = seed
    environment["BYWAY_EFFORT"] = str(effort)
    if only is not None:
        environment["COCOTB_TEST_FILTER"] = rf"{module}\.{only}$"
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(HERE), *filter(None, [environment.get("PYTHONPATH")])]
    )
    order = {
        "do": "run",
        "simulator": simulator,
        "folder": str(build),
        "run_folder": str(folder),
        "top": top,
        "test_module": module,
        "waves": False,
    }
    log = folder / "simulator.log"
    repeat = f"repeat with BYWAY_SEED={seed}; the simulator's words are in {log}"
    with log.open("w") as output:
        # A session of its own, so that the simulator below the runner ends with it.
        runner = subprocess.Popen(
            runner_command(order),
            env=environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = runner.wait(timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{simulator} has not ended in {MOST_SECONDS} s; {repeat}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(runner.pid, signal.SIGKILL)
            runner.wait()
    results = folder / "results.xml"
    assert results.exists(), f"{simulator} ended without results; {repeat}"
    failures = words_of_failures(results)
    assert not failures, "\n".join([*failures, repeat])
    assert code == 0, f"{simulator} ended with {code}; {repeat}"


@pytest.fixture(scope="session")
def run_flows() -> Callable[..., None]:
    """See `run_module`."""
    return run_module
