"""``byway fuzz``: what it shows and leaves, what it does with wrong input, and how it ends."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from byway.sim import command
from byway.sim.engines.engine import EngineError
from byway.sim.engines.section import Cycles
from byway.sim.fuzz import campaign as campaign_module
from byway.sim.fuzz import pool as pool_module
from byway.sim.fuzz.judge import Violation
from byway.sim.fuzz.outcome import Outcome
from byway.sim.fuzz.player import play, prepare
from byway.sim.fuzz.pool import play_all

BYWAY = [sys.executable, "-m", "byway.sim.command"]
ENVIRONMENT = os.environ | {
    "COLUMNS": "120",
    "PYTHONPATH": str(Path(command.__file__).parents[2]),
}


#: The first to play a design compiles it.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    prepare()


def fuzz(folder: Path, *more: str) -> int:
    return command.main(["fuzz", "--out", str(folder), *more])


@pytest.fixture
def outcomes(monkeypatch):
    """What is played: in this process, seeds from a table before those that are really played."""
    table: dict[int, Outcome | Exception] = {}

    def play_here(seeds, *, jobs, engine):
        for seed in seeds:
            outcome = table.get(seed) or play(seed, engine=engine)
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome

    monkeypatch.setattr(campaign_module, "play_all", play_here)
    return table


def broken(seed, cycle=1234):
    log = [(10, "hosted1", "send"), (1200, "hosting", "any_register")]
    violation = Violation(cycle, "foreign beat", "ring 1, read data at 0x5000")
    return Outcome(seed, cycles=9000, violation=violation, log=log)


def test_as_a_process_it_leaves_results_and_shows_them(tmp_path):
    done = subprocess.run(
        [*BYWAY, "fuzz", "--runs", "8", "--seed", "30", "--jobs", "2", "--out", "out"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("hostile drivers -> shared adapter -> wire")
    assert any(re.match(r"scenarios +8, [\d,]+ cycles of 8 ns, [\d.]+ a second", x) for x in lines)
    assert any(re.match(r"verdict +0 hangs, 0 foreign beats or bytes, 0 ", line) for line in lines)
    assert lines[-1] == "Left in out: result.json"
    assert "8/8" in done.stderr
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert result["runs"] == result["runs_wanted"] == 8
    assert result["violations"] == []
    cycles, actions = 0, Counter()
    for seed in range(30, 38):
        outcome = play(seed)
        cycles += outcome.cycles
        actions += outcome.actions
    assert result["cycles"] == cycles
    assert result["actions"] == actions
    assert result["hcalls"]["h_put_tce H_SUCCESS"] > 0
    assert result["faults"]


def test_a_violation_is_one_line_with_seed_and_cycle(outcomes, tmp_path, capsys):
    outcomes |= {7: broken(7), 5: broken(5)}
    assert fuzz(tmp_path, "--seed", "4", "--runs", "4") == 1
    shown = capsys.readouterr().out
    assert "seed 5, cycle 1,234: foreign beat: ring 1, read data at 0x5000\n" in shown
    assert "seed 7, cycle 1,234: " in shown
    assert "BROKEN: 2 times foreign beat" in shown
    assert "play it again: byway fuzz --only 5 --wave\n" in shown
    result = json.loads((tmp_path / "result.json").read_text())
    assert [each["seed"] for each in result["violations"]] == [5, 7]
    assert result["violations"][0]["cycle"] == 1234
    log = (tmp_path / "violation.log").read_text().splitlines()
    assert log[0] == "seed 5, cycle 1234: foreign beat: ring 1, read data at 0x5000"
    assert json.loads(log[1])["seed"] == 5
    assert log[-1].split() == ["1200", "hosting", "any_register"]
    # What is left of a violation goes with the next run.
    assert fuzz(tmp_path, "--only", "4") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_waveform_is_around_the_violation(outcomes, tmp_path, monkeypatch):
    recorded = []

    def record(seed, section, waveform, *, engine):
        recorded.append((seed, section, engine))
        waveform.write_text("$end")

    monkeypatch.setattr(campaign_module, "record", record)
    outcomes |= {9: broken(9)}
    assert fuzz(tmp_path, "--only", "9", "--wave") == 1
    assert fuzz(tmp_path, "--only", "9", "--wave", "3000", "--engine", "native") == 1
    assert recorded == [(9, Cycles(234, 2234), "native"), (9, Cycles(0, 4234), "native")]
    assert (tmp_path / "violation.vcd").exists()
    recorded.clear()
    assert fuzz(tmp_path, "--only", "1", "--wave") == 0
    assert not recorded


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--runs", "0"], "runs must be a whole number from 1 to 1000000000, not '0'"),
        (["--runs", "many"], "runs must be a whole number from 1 to 1000000000, not 'many'"),
        (["--seed", "-1"], "seed must be a whole number from 0 to 2147483647, not '-1'"),
        (["--only", "1.5"], "seed must be a whole number from 0 to 2147483647, not '1.5'"),
        (["--jobs", "0"], "jobs must be a whole number from 1 to 1024, not '0'"),
        (["--wave", "0"], "cycles of the waveform must be a whole number from 1 to 1000000"),
        (["--engine", "amaranth"], "invalid choice: 'amaranth'"),
        (["more"], "unrecognized arguments: more"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_leaves_nothing(arguments, says, tmp_path, capsys):
    assert fuzz(tmp_path / "out", *arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("byway: ")
    assert says in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_to_or_started_is_named(outcomes, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("x")
    assert fuzz(file, "--runs", "1") == 2
    assert capsys.readouterr().err.startswith(f"byway: Cannot write to {file}")
    outcomes |= {0: EngineError("native did not start: no")}
    assert fuzz(tmp_path / "out", "--runs", "1") == 2
    assert "byway: native did not start: no\n" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_what_was_played(tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*BYWAY, "fuzz", "--runs", "100000", "--jobs", "2", "--out", str(out)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        # Its processes have worked for long enough to have played something.
        until = time.monotonic() + 200
        while max(map(worked, children(process.pid)), default=0) < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, "no process works"
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "byway: interrupted"
    assert not re.search("Traceback|Warning", errors), errors
    assert "Left in" in output
    assert [path.name for path in out.iterdir()] == ["result.json"]
    result = json.loads((out / "result.json").read_text())
    assert 0 < result["runs"] < result["runs_wanted"]


def children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in text.split()]


def worked(pid: int) -> float:
    """Seconds of a processor that a process has had."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def test_a_process_that_dies_is_the_finding_of_its_seed():
    played = []
    outcomes = play_all(range(50, 56), jobs=2, engine="native")
    for outcome in outcomes:
        if not played:
            for process in multiprocessing.active_children()[:1]:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGSEGV)
        played.append(outcome)
    assert sorted(outcome.seed for outcome in played) == list(range(50, 56))
    (lost,) = [outcome.violation for outcome in played if outcome.violation]
    assert lost == Violation(0, "crash", "its process ended by signal 11")
    assert not multiprocessing.active_children()


def test_what_nobody_thought_of_is_the_finding_of_its_seed():
    (outcome,) = play_all([1], jobs=1, engine="none")
    assert outcome == Outcome(1, violation=Violation(0, "broken off", "KeyError: 'none'"))


def test_a_hang_ends_with_its_process(monkeypatch):
    class Connection:
        """Orders one seed, and hears nothing."""

        def recv(self):
            return 3

        def send(self, _outcome):
            raise AssertionError

    def hang(_seed, **_options):
        time.sleep(60)

    monkeypatch.setattr(pool_module, "SECONDS", 1)
    monkeypatch.setattr(pool_module, "play", hang)
    process = multiprocessing.get_context("fork").Process(
        target=pool_module.serve, args=(Connection(), "native")
    )
    process.start()
    process.join(timeout=30)
    assert process.exitcode == -signal.SIGALRM
