"""``byway sweep``: what is done is kept whatever happens, and only what is missing is run."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from distributed import LocalCluster
from pyarrow import parquet

from byway.sim import command
from byway.sim.engines.engine import EngineError
from byway.sim.scenarios.share import ShareOptions
from byway.sim.sweep import row as row_module
from byway.sim.sweep import sweep as sweep_module
from byway.sim.sweep.cluster import ClusterError, local_client, remote_client, run_points
from byway.sim.sweep.row import FAILED, OK, WRONG, Row, failed, measure, version_of

BYWAY = [sys.executable, "-m", "byway.sim.command"]
#: Points of one partition, which need the default design only.
SMALL = ["--hosted", "1", "--bytes", "2Ki", "--latency", "0,100"]


def sweep(folder: Path, *more: str) -> int:
    return command.main(["sweep", *SMALL, "--out", str(folder), *more])


def rows_in(folder: Path) -> list[Row]:
    return parquet.read_table(folder / "sweep.parquet").to_pylist()


@pytest.fixture
def here(monkeypatch):
    """Points are run in this process, without Dask; counts them."""
    kept: list[ShareOptions] = []

    @contextlib.contextmanager
    def client(_workers: int) -> Iterator[None]:
        yield None

    def run(_client: None, points: list[ShareOptions]) -> Iterator[Row]:
        for point in points:
            kept.append(point)
            yield measure(point, version_of(point))

    monkeypatch.setattr(sweep_module, "local_client", client)
    monkeypatch.setattr(sweep_module, "run_points", run)
    return kept


# --- Results


def test_sweep_as_a_process_leaves_table_and_plot_and_shows_them(tmp_path):
    done = subprocess.run(
        [*BYWAY, "sweep", *SMALL, "--seed", "0:2", "--workers", "2", "--out", "out"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "100", "PYTHONPATH": str(Path(command.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "4 points, 0 of them there already"
    assert lines[1].split()[:3] == ["hosted", "latency", "points"]
    assert [line.split()[:3] for line in lines[2:4]] == [["1", "0", "2"], ["1", "100", "2"]]
    assert lines[-1] == "Left in out: sweep.parquet, goodput.svg"
    assert "4/4" in done.stderr
    assert not re.search("distributed|Traceback|Warning|nanny", done.stderr)
    rows = rows_in(tmp_path / "out")
    assert [(row["memory_latency"], row["seed"]) for row in rows] == [
        (0, 0),
        (0, 1),
        (100, 0),
        (100, 1),
    ]
    assert all(row["status"] == OK and row["sha256_equal"] for row in rows)
    assert all(row["goodput_of_limit"] > 0.99 and row["wall_seconds"] > 0 for row in rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_repeated_sweep_runs_nothing_and_a_larger_one_what_is_missing(here, tmp_path, capsys):
    assert sweep(tmp_path / "out") == 0
    first = rows_in(tmp_path / "out")
    assert len(here) == 2
    assert sweep(tmp_path / "out") == 0
    assert len(here) == 2
    assert "2 points, 2 of them there already" in capsys.readouterr().out
    assert rows_in(tmp_path / "out") == first
    assert sweep(tmp_path / "out", "--seed", "0:2") == 0
    assert [point.seed for point in here[2:]] == [1, 1]
    assert [row for row in rows_in(tmp_path / "out") if not row["seed"]] == first


def test_changed_sources_are_run_again(here, tmp_path, monkeypatch):
    assert sweep(tmp_path) == 0
    monkeypatch.setattr(row_module, "fingerprint", lambda _make: "another design")
    assert sweep(tmp_path) == 0
    assert len(here) == 4
    assert len(list((tmp_path / "points").iterdir())) == 4
    assert len(rows_in(tmp_path)) == 2


def test_sample_runs_as_many_points_as_asked_for(here, tmp_path):
    more = ["--seed", "0:1000", "--sample", "3", "--sample-seed", "5"]
    assert sweep(tmp_path, *more) == 0
    assert len(here) == 3
    assert sweep(tmp_path, *more) == 0
    assert len(here) == 3


def test_failed_point_is_a_row_and_is_tried_again(here, tmp_path, monkeypatch, capsys):
    real = row_module.open_shared_engine

    def fails(point: ShareOptions):
        if point.memory_latency:
            raise EngineError("no\nengine")
        return real(point)

    monkeypatch.setattr(row_module, "open_shared_engine", fails)
    assert sweep(tmp_path) == 1
    assert "failed: " in capsys.readouterr().out
    good, bad = rows_in(tmp_path)
    assert (good["status"], bad["status"], bad["error"]) == (OK, FAILED, "no engine")
    assert bad["cycles"] is None
    monkeypatch.setattr(row_module, "open_shared_engine", real)
    assert sweep(tmp_path) == 0
    assert len(here) == 3


def test_defect_of_a_point_does_not_stop_the_sweep(here, tmp_path, monkeypatch):
    monkeypatch.setattr(row_module, "share", lambda *_arguments: 1 // 0)
    assert sweep(tmp_path) == 1
    errors = {row["error"] for row in rows_in(tmp_path)}
    assert errors == {"ZeroDivisionError: integer division or modulo by zero"}
    assert len(here) == 2
    assert (tmp_path / "goodput.svg").is_file()


def test_wrong_bytes_are_exit_code_1_and_shown(here, tmp_path, monkeypatch, capsys):
    real = row_module.share

    def wrong(*arguments):
        result = real(*arguments)
        return type(result)(**vars(result) | {"sha256_equal": False})

    monkeypatch.setattr(row_module, "share", wrong)
    assert sweep(tmp_path) == 1
    assert "DIFFERENT" in capsys.readouterr().out
    assert {row["status"] for row in rows_in(tmp_path)} == {WRONG}
    assert sweep(tmp_path) == 1, "it is a result, and stays wrong"
    assert len(here) == 2


@pytest.mark.parametrize("x", [None, "latency", "mss", "seed", "hosted"])
@pytest.mark.usefixtures("here")
def test_plot_names_its_axes_and_its_lines(x, tmp_path):
    more = ["--mss", "500,1000", "--seed", "0:2", *(["--x", x] if x else [])]
    assert sweep(tmp_path, *more) == 0
    texts = ElementTree.parse(tmp_path / "goodput.svg").getroot().itertext()
    words = {text.strip() for text in texts} - {""}
    labels = {
        "mss": "payload of a segment at most [bytes]",
        "seed": "seed of the bytes sent and of the stalls",
        "hosted": "hosted partitions that send at once",
    }
    assert labels.get(x or "", "memory latency [cycles]") in words
    assert "goodput of the wire's limit" in words
    lines = {None: "mss 1,000", "latency": "mss 500", "mss": "latency 100"}
    assert lines.get(x, "latency 100, mss 500") in words


# --- What may happen in the midst


def points(count: int, size: int = 2000) -> list[ShareOptions]:
    return [ShareOptions(bytes=size, seed=seed) for seed in range(count)]


def test_killed_worker_loses_no_result():
    asked = points(12, 100_000)
    with local_client(2) as client:
        running = run_points(client, asked)
        rows = [next(running)]
        for _ in range(3):
            alive: Any = client.run(os.getpid, on_error="ignore")
            os.kill(next(iter(alive.values())), signal.SIGKILL)
            rows.append(next(running))
        rows += running
    assert sorted(row["seed"] for row in rows) == list(range(12))
    assert {row["status"] for row in rows} == {OK}, [row["error"] for row in rows]


@pytest.fixture
def scheduler():
    """A Dask cluster that is there already."""
    with LocalCluster(
        n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as running:
        yield running


def test_existing_cluster_runs_the_points_and_stays(scheduler, tmp_path):
    assert sweep(tmp_path, "--scheduler", scheduler.scheduler_address) == 0
    assert {row["status"] for row in rows_in(tmp_path)} == {OK}
    assert len(scheduler.scheduler.workers) == 1


def test_worker_with_other_sources_is_told(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(row_module, "fingerprint", lambda _make: "another design")
    assert sweep(tmp_path, "--scheduler", scheduler.scheduler_address) == 1
    assert "other sources" in rows_in(tmp_path)[0]["error"]


@pytest.fixture
def short_folder():
    """A folder for temporary files whose name leaves room for that of a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_folder_for_temporary_files_with_too_long_a_name_is_named(tmp_path):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    done = subprocess.run(
        [*BYWAY, "sweep", *SMALL, "--out", str(tmp_path / "out")],
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"byway: Cannot start processes from {folder}/")
    assert line.endswith(": AF_UNIX path too long")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_what_is_done_and_the_next_sweep_goes_on(short_folder, tmp_path):
    """As in a terminal: the signal reaches the workers too."""
    temporary, out = short_folder, tmp_path / "out"
    wide = ["sweep", "--hosted", "1", "--latency", "0", "--bytes", "200Ki", "--out", str(out)]
    process = subprocess.Popen(
        [*BYWAY, *wide, "--seed", "0:200", "--workers", "2"],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 200
        while len(list(out.glob("points/*.parquet"))) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, "no point is finished"
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "byway: interrupted"
    assert not re.search("distributed|Traceback|Warning", errors), errors
    assert "Left in" in output
    assert not list(temporary.iterdir())
    done = rows_in(out)
    assert 2 <= len(done) < 200
    assert len(done) == len(list(out.glob("points/*")))
    assert {row["status"] for row in done} == {OK}
    seeds = [row["seed"] for row in done]
    assert command.main([*wide, "--seed", ",".join(map(str, seeds))]) == 0
    assert rows_in(out) == done


def test_lost_scheduler_is_told(scheduler):
    with remote_client(scheduler.scheduler_address) as client:
        running = run_points(client, points(100, 50_000))
        assert next(running)["status"] == OK
        scheduler.close()
        with pytest.raises(ClusterError, match=r"^The Dask scheduler at tcp://.* is lost$"):
            list(running)


def test_lost_scheduler_is_one_line_and_what_is_done_is_kept(here, tmp_path, monkeypatch, capsys):
    def lost(_client, asked):
        yield measure(asked[0], version_of(asked[0]))
        raise ClusterError("The Dask scheduler at tcp://a:1 is lost")

    monkeypatch.setattr(sweep_module, "run_points", lost)
    assert sweep(tmp_path) == 2
    assert capsys.readouterr().err.endswith("byway: The Dask scheduler at tcp://a:1 is lost\n")
    assert len(rows_in(tmp_path)) == 1


@pytest.mark.usefixtures("here")
def test_full_disk_is_one_line(tmp_path, monkeypatch, capsys):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert sweep(tmp_path / "out") == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1] == f"byway: Cannot write to {tmp_path / 'out'}: No space left on device"
    assert not (tmp_path / "out").exists()


def test_sweep_outside_of_the_main_thread_has_its_cluster():
    """Where no signal can be handled, none is."""
    rows: list[Row] = []

    def run() -> None:
        with local_client(1) as client:
            rows.extend(run_points(client, points(1)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(120)
    assert [row["status"] for row in rows] == [OK]


def test_row_of_a_failure_says_which_point():
    row = failed(ShareOptions(seed=5), "version", "why")
    assert (row["seed"], row["error"], row["status"]) == (5, "why", FAILED)
