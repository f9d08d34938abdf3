"""Temporary folders go with who made them; what a killed process left goes with the next one."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from byway.sim.report.results_folder import results_folder
from byway.sim.temporary_folder import temporary_folder

#: Makes a folder, writes a file there, says where it is, and stays.
HOLDS = """
import signal, sys
from pathlib import Path
from byway.sim.report.results_folder import results_folder
from byway.sim.temporary_folder import temporary_folder
make = {"temporary": lambda path: temporary_folder("some-", path),
        "results": lambda path: results_folder(path / "out", ["file"])}[sys.argv[1]]
with make(Path(sys.argv[2])) as folder:
    (folder / "file").write_text("half")
    print(folder, flush=True)
    signal.pause()
"""


@contextlib.contextmanager
def held(kind: str, parent: Path) -> Iterator[Path]:
    """A folder in `parent` that another process has made, which is then killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, kind, str(parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        try:
            yield Path(output.readline().strip())
        finally:
            process.kill()
            assert process.wait() == -signal.SIGKILL


def test_folder_is_empty_and_goes_with_all_in_it(tmp_path):
    with temporary_folder("some-", tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith("some-")
        assert not list(folder.iterdir())
        (folder / "below").mkdir()
        (folder / "below" / "file").write_text("x")
    with pytest.raises(ZeroDivisionError), temporary_folder("some-", tmp_path):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(tmp_path):
    with held("temporary", tmp_path) as used:
        with held("temporary", tmp_path) as left:
            pass
        assert (left / "file").read_text() == "half"
        with temporary_folder("other-", tmp_path):
            assert left.exists()
        with temporary_folder("some-", tmp_path) as own, temporary_folder("some-", tmp_path):
            assert own.exists()
            assert (used / "file").read_text() == "half"
            assert not left.exists()


def test_unfinished_results_of_a_killed_run_go_with_the_next(tmp_path):
    out = tmp_path / "out"
    with held("results", tmp_path):
        pass
    (left,) = out.iterdir()
    assert (left / "file").read_text() == "half"
    with results_folder(out, ["file"]) as folder:
        (folder / "file").write_text("whole")
    assert [path.name for path in out.iterdir()] == ["file"]
    assert (out / "file").read_text() == "whole"


def test_what_others_made_stays(tmp_path):
    made = [tmp_path / name for name in ("some-abcdefgh", "some-", "some-of-mine")]
    for path in made:
        path.mkdir()
    made[2].chmod(0o700)
    (tmp_path / "some-linkto__").symlink_to(made[2])
    (tmp_path / "some-afile___").write_text("")
    (tmp_path / "some-afile___").chmod(0o700)
    before = set(tmp_path.iterdir())
    with temporary_folder("some-", tmp_path):
        pass
    assert set(tmp_path.iterdir()) == before
