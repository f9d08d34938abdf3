"""What the cache of compiled simulators returns is whole, whatever became of earlier attempts."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from byway.sim.engines.build_cache import build_once
from byway.sim.engines.engine import EngineError

BUILT_BY_ANOTHER = """
import sys, time
from byway.sim.engines.build_cache import build_once

def build(folder):
    (folder / "model").write_text("half")
    print("half", flush=True)
    time.sleep(float(sys.argv[1]))
    (folder / "model").write_text("whole")

build_once("simulator", "text", build)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "byway"


def build_by_another(seconds: float) -> subprocess.Popen:
    """Another process, that is in the midst of the build."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUILT_BY_ANOTHER, str(seconds)], stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"half\n"
    process.stdout.close()
    return process


def write_whole(folder):
    assert not list(folder.iterdir())
    (folder / "model").write_text("whole")


def refuse(_folder):
    raise AssertionError("It has been built")


def folders(cache):
    return [path.name for path in cache.iterdir() if path.is_dir()]


def test_same_ingredients_are_built_once():
    folder = build_once("simulator", "text", write_whole)
    assert build_once("simulator", "text", refuse) == folder
    assert (folder / "model").read_text() == "whole"
    others = {
        build_once("simulator", "another text", write_whole),
        build_once("another", "text", write_whole),
    }
    assert len(others | {folder}) == 3


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_broken_off_build_is_not_taken_for_a_finished_one(cache, ending):
    """As by Ctrl-C in the first run of all, which takes longest."""
    process = build_by_another(60)
    process.send_signal(ending)
    assert process.wait(10) != 0
    folder = build_once("simulator", "text", write_whole)
    assert (folder / "model").read_text() == "whole"
    assert folders(cache) == [folder.name]


def test_failed_build_raises_and_is_tried_again(cache):
    def fail(folder):
        (folder / "model").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for _ in range(2):
        with pytest.raises(EngineError, match=r"in the cache /.*: No space left on device$"):
            build_once("simulator", "text", fail)
        assert len(folders(cache)) == 1
    folder = build_once("simulator", "text", write_whole)
    assert folders(cache) == [folder.name]


def test_build_of_another_process_is_waited_for():
    process = build_by_another(0.5)
    begun = time.monotonic()
    folder = build_once("simulator", "text", refuse)
    assert time.monotonic() - begun > 0.1
    assert process.wait(10) == 0
    assert os.listdir(folder) == ["model"]
    assert (folder / "model").read_text() == "whole"
