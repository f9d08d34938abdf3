"""``byway sweep`` given what it cannot use: one line, exit code 2, and nothing changed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from byway.sim import command
from byway.sim.sweep import cluster as cluster_module

MAIN = "import sys; from byway.sim.command import main; sys.exit(main(sys.argv[1:]))"


def sweep(folder: Path, *more: str) -> int:
    return command.main(["sweep", "--out", str(folder), *more])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--width", "32"], "width must be 64 or 128 bits, not '32'"),
        (["--width", ""], "width must be 64 or 128 bits, not ''"),
        (["--hosted", "32"], "hosted partitions must be a whole number from 1 to 31, not '32'"),
        (["--hosted", "0:3"], "hosted partitions must be a whole number from 1 to 31, not '0'"),
        (["--latency", "1,,2"], "memory latency must be a whole number from 0 to 10000, not ''"),
        (["--latency", "5:5"], "the range '5:5' is empty"),
        (["--bytes", "0"], "bytes must be a whole number from 1 to 268435456, not '0'"),
        (["--bytes", "1Gi"], "bytes must be a whole number from 1 to 268435456, not '1Gi'"),
        (["--mss", "1460"], "MSS 1460 does not fit MTU 1500: at most 1448 bytes remain"),
        (["--sample", "0"], "sample must be a whole number from 1 to 10000, not '0'"),
        (["--seed", "0:5001"], "The grid has 30,006 points, more than 10,000: draw a sample"),
        (["--workers", "0"], "workers must be a whole number from 1 to 1024, not '0'"),
        (["--workers", "1", "--scheduler", "a:1"], "not allowed with"),
        (["--x", "colour"], "invalid choice: 'colour'"),
        (["--engine", "vcs"], "invalid choice: 'vcs'"),
        (["--scheduler", "nothing"], "No Dask scheduler at nothing: missing port number"),
        (["--scheduler", "x://a:1"], "No Dask scheduler at x://a:1: unknown address scheme"),
        (["more"], "unrecognized arguments: more"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_leaves_nothing(arguments, says, tmp_path, capsys):
    assert command.main(["sweep", "--out", str(tmp_path / "out"), *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("byway: ")
    assert says in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster_module, "_PATIENCE", 0.5)
    assert sweep(tmp_path / "out", "--scheduler", "127.0.0.1:1") == 2
    assert capsys.readouterr().err.startswith("byway: No Dask scheduler at 127.0.0.1:1: Timed out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "a/b"], ids=["is a file", "below a file"])
def test_out_at_or_below_a_file_is_refused(below, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("x")
    assert sweep(file / below) == 2
    assert capsys.readouterr().err.startswith(f"byway: Cannot write to {file}")
    assert file.read_text() == "x"


def test_file_of_others_is_refused(tmp_path, capsys):
    (tmp_path / "sweep.parquet").write_text("precious")
    assert sweep(tmp_path) == 2
    assert capsys.readouterr().err == (
        f"byway: {tmp_path / 'sweep.parquet'} is not a Parquet file, or a broken one\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.parquet"]


def test_missing_extra_is_named_and_other_commands_do_without(tmp_path):
    """And do not wait for it to be imported."""
    for package in ("distributed", "dask", "pyarrow", "matplotlib"):
        (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert run("--help").returncode == 0
    assert run("sweep", "--help").returncode == 0
    done = run("sweep", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert re.fullmatch(
        r"byway: byway sweep needs \w+: pip install 'byway\[sweep\]'\n", done.stderr
    )
