"""What a build runs ends with it, however it ends: by an error, or by Ctrl-C in the middle."""

import functools
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from byway.sim.engines.build_commands import BuildCommands
from byway.sim.engines.engine import EngineError

#: Says which process it is and runs on, with one below it, as a compiler's driver.
SLOW = ("/bin/sh", "-c", 'sleep 600 & echo $! > "$0.new"; mv "$0.new" "$0"; wait')


@pytest.fixture
def commands(tmp_path):
    return BuildCommands(tmp_path, os.environ, failure="it failed")


def process_in(path: Path) -> int:
    """The process that `path` names, once it does."""
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, f"no {path.name}"
        time.sleep(0.01)
    return int(path.read_text())


@pytest.fixture
def has_ended(runs):
    """Whether a process has ended, or does so soon."""

    def ended(pid: int) -> bool:
        until = time.monotonic() + 10
        while runs(pid) and time.monotonic() < until:
            time.sleep(0.01)
        return not runs(pid)

    return ended


def test_words_of_all_are_kept(commands, tmp_path):
    commands.run("/bin/sh", "-c", "echo one; echo two >&2")
    commands.run_all([("/bin/sh", "-c", f"touch {number}") for number in range(9)])
    assert (tmp_path / "build.log").read_text() == "one\ntwo\n"
    assert len(list(tmp_path.iterdir())) == 10


def test_failure_ends_the_others_and_starts_no_more(commands, has_ended, tmp_path):
    fails = ("/bin/sh", "-c", "until [ -e slow ]; do sleep 0.01; done; exit 1")
    later = [("/bin/sh", "-c", "touch later")] * 9
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"^it failed; its words are in /.*/build\.log$"):
        commands.run_all([(*SLOW, "slow"), fails, *([fails] * (os.cpu_count() or 1)), *later])
    assert time.monotonic() - begun < 60
    assert has_ended(process_in(tmp_path / "slow"))
    assert not (tmp_path / "later").exists()
    with pytest.raises(EngineError):
        commands.run("true")


@pytest.mark.parametrize("at_once", [False, True], ids=["one", "several"])
def test_ctrl_c_ends_all_that_runs(at_once, commands, has_ended, tmp_path):
    """The signal reaches this process alone, as from `kill`."""

    def interrupt() -> None:
        process_in(tmp_path / "slow")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    begun = time.monotonic()
    names = ["slow", *"abcdefgh"]
    run = functools.partial(commands.run, *SLOW, "slow")
    run_all = functools.partial(commands.run_all, [(*SLOW, name) for name in names])
    with pytest.raises(KeyboardInterrupt):
        (run_all if at_once else run)()
    thread.join()
    assert time.monotonic() - begun < 60
    told = [path for path in tmp_path.iterdir() if path.name in names]
    assert all(has_ended(process_in(path)) for path in told)


def test_ctrl_c_at_the_start_of_a_program_ends_it(commands, has_ended, tmp_path, monkeypatch):
    """It comes as soon as the program runs, before anything is known of it."""

    class Interrupted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            process_in(tmp_path / "slow")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        commands.run(*SLOW, "slow")
    assert has_ended(process_in(tmp_path / "slow"))
