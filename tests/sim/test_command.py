"""The ``byway`` command: wrong input gets one line and exit code 2, and leaves nothing behind.

A failure in the middle of a run, Ctrl-C among them, leaves nothing half-written either.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from byway.sim import command
from byway.sim.commands import send as send_command
from byway.sim.engines.engine import EngineError
from byway.sim.engines.native import NATIVES
from byway.sim.engines.open_engine import ENGINES
from byway.sim.engines.section import WHOLE_RUN, Around
from byway.sim.scenarios import send as scenario
from byway.sim.scenarios.error import ScenarioError
from byway.sim.scenarios.machine import MAXIMUM_MTU, MINIMUM_MTU
from byway.sim.scenarios.send import SendOptions, SendResult
from byway.sw.stack.tcp import MAXIMUM_MSS, MINIMUM_MSS

BYWAY = [sys.executable, "-m", "byway.sim.command"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    return path


@pytest.fixture
def no_run(monkeypatch):
    """Whatever comes as far as a run has gone too far."""

    def start(*_arguments, **_more):
        raise AssertionError("a run began")

    monkeypatch.setattr(send_command, "send", start)


def tree(folder: Path) -> dict[str, bytes | None]:
    """All files and folders below `folder`, with what the files hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def refused(arguments: list, folder: Path, capsys) -> str:
    """Run the command, which must refuse its arguments; returns the line that says why."""
    before = tree(folder)
    assert command.main([str(argument) for argument in arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("byway: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    assert tree(folder) == before
    return errors[len("byway: ") : -1]


# --- What cannot be read


@pytest.mark.usefixtures("no_run")
def test_missing_file_is_refused(tmp_path, capsys):
    line = refused(["send", tmp_path / "none", "--out", tmp_path / "out"], tmp_path, capsys)
    assert line == f"Cannot read {tmp_path / 'none'}: No such file or directory"


@pytest.mark.usefixtures("no_run")
def test_folder_as_file_is_refused(tmp_path, capsys):
    line = refused(["send", tmp_path, "--out", tmp_path / "out"], tmp_path, capsys)
    assert line == f"Cannot read {tmp_path}: Is a directory"


@pytest.mark.usefixtures("no_run")
def test_device_as_file_is_refused(tmp_path, capsys):
    line = refused(["send", "/dev/zero", "--out", tmp_path / "out"], tmp_path, capsys)
    assert line == "Cannot send /dev/zero: a device has no end"


@pytest.mark.usefixtures("no_run")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused(file, tmp_path, capsys):
    file.chmod(0)
    assert command.main(["send", str(file), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"byway: Cannot read {file}: Permission denied\n"


@pytest.mark.usefixtures("no_run")
def test_file_below_a_file_is_refused(file, tmp_path, capsys):
    line = refused(["send", file / "below", "--out", tmp_path / "out"], tmp_path, capsys)
    assert line == f"Cannot read {file / 'below'}: Not a directory"


@pytest.mark.usefixtures("no_run")
def test_line_break_in_a_name_stays_within_the_line(tmp_path, capsys):
    line = refused(["send", tmp_path / "no\nne", "--out", tmp_path / "out"], tmp_path, capsys)
    assert "no\\nne" in line


# --- What is out of range


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("value", [MINIMUM_MSS - 1, MAXIMUM_MSS + 1, 0, "-1", "1.5", "", "many"])
def test_mss_out_of_range_is_refused(value, file, tmp_path, capsys):
    line = refused(["send", file, f"--mss={value}", "--mtu", MAXIMUM_MTU], tmp_path, capsys)
    limits = f"MSS must be a whole number from {MINIMUM_MSS} to {MAXIMUM_MSS}, not {str(value)!r}"
    assert limits in line


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("value", [MINIMUM_MTU - 1, MAXIMUM_MTU + 1, 0, "-1", "1e3", "", "²"])
def test_mtu_out_of_range_is_refused(value, file, tmp_path, capsys):
    line = refused(["send", file, f"--mtu={value}"], tmp_path, capsys)
    limits = f"MTU must be a whole number from {MINIMUM_MTU} to {MAXIMUM_MTU}, not {str(value)!r}"
    assert limits in line


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("value", ["-1", 10_001, "soon"])
def test_memory_latency_out_of_range_is_refused(value, file, tmp_path, capsys):
    line = refused(["send", file, f"--memory-latency={value}"], tmp_path, capsys)
    assert f"memory latency must be a whole number from 0 to 10000, not {str(value)!r}" in line


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    ("option", "value", "known"),
    [
        ("--wire", "xaui", ["gmii", "xgmii"]),
        ("--wire", "", ["gmii", "xgmii"]),
        ("--width", "32", ["64", "128"]),
        ("--width", "wide", ["64", "128"]),
        ("--width", "-64", ["64", "128"]),
    ],
)
@pytest.mark.parametrize("name", ["send", "live"])
def test_unknown_wire_or_width_is_refused_with_those_there_are(
    name, option, value, known, file, tmp_path, capsys
):
    last = [file] if name == "send" else ["--", "true"]
    line = refused([name, f"{option}={value}", *last], tmp_path, capsys)
    assert line.startswith(f"argument {option}: ")
    assert value in line
    assert all(word in line for word in known)


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(("mss", "mtu"), [(1449, 1500), (1460, 1500), (525, 576), (8949, 9000)])
def test_mss_that_does_not_fit_the_mtu_is_refused(mss, mtu, file, tmp_path, capsys):
    line = refused(["send", file, "--mss", mss, "--mtu", mtu], tmp_path, capsys)
    assert line == (
        f"MSS {mss} does not fit MTU {mtu}: at most {mtu - 52} bytes remain beside the headers"
    )


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("value", ["5:4", "fault:0", "frame", "never"])
def test_unknown_section_is_refused_with_what_there_is(value, file, tmp_path, capsys):
    line = refused(["send", file, "--wave", value], tmp_path, capsys)
    assert "FIRST:LAST, fault[:N], error[:N] or frame:K[:N]" in line
    assert line.endswith(f"not {value!r}")


@pytest.mark.parametrize("engine", sorted(set(ENGINES) - set(NATIVES)))
def test_section_is_refused_by_an_engine_that_records_whole_runs(engine, file, tmp_path, capsys):
    line = refused(["send", file, "--engine", engine, "--wave", "fault"], tmp_path, capsys)
    assert line == f"The engine {engine} leaves waveforms of whole runs only; native can both"


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["receive"], "receive"),
        (["send"], "FILE"),
        (["send", "a", "b"], "b"),
        (["send", "a", "--speed", "9"], "--speed"),
        (["send", "a", "--mss"], "--mss"),
    ],
    ids=["no command", "unknown command", "no file", "two files", "unknown option", "no value"],
)
def test_wrong_command_line_is_refused_and_the_word_is_named(arguments, says, tmp_path, capsys):
    assert says in refused(arguments, tmp_path, capsys)


# --- Engines


@pytest.mark.usefixtures("no_run")
def test_unknown_engine_is_refused_and_those_that_exist_are_named(file, tmp_path, capsys):
    line = refused(["send", file, "--engine", "vcs\n"], tmp_path, capsys)
    assert "vcs" in line
    assert all(engine in line for engine in ENGINES)


@pytest.mark.parametrize(
    ("engine", "program"),
    [
        ("native", "g++"),
        ("cxxrtl", "clang++"),
        ("verilator", "perl"),
        ("icarus", "iverilog"),
    ],
)
def test_absent_simulator_is_named_and_nothing_is_left(
    engine, program, file, tmp_path, tmp_path_factory, capsys, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    # What has been compiled needs no compiler.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    out = tmp_path / "not yet" / "out"
    line = refused(["send", file, "--engine", engine, "--out", out], tmp_path, capsys)
    assert line == f"The engine {engine} needs {program}, which is not installed"


# --- Where nothing can be written


@pytest.mark.parametrize("below", ["", "a/b"], ids=["is a file", "below a file"])
def test_out_at_or_below_a_file_is_refused(below, file, tmp_path, capsys):
    line = refused(["send", file, "--out", file / below], tmp_path, capsys)
    assert line.startswith(f"Cannot write to {file}")


@pytest.mark.parametrize("folder", ["/proc", "/proc/byway"])
def test_out_that_takes_no_file_is_refused(folder, file, tmp_path, capsys):
    """Where even root may not write."""
    line = refused(["send", file, "--out", folder], tmp_path, capsys)
    assert line.startswith(f"Cannot write to {folder}")


@pytest.mark.parametrize("name", ["result.json", "wire.pcapng"])
def test_folder_where_a_result_should_go_is_refused(name, file, tmp_path, capsys, monkeypatch):
    (tmp_path / "out" / name).mkdir(parents=True)
    monkeypatch.setattr(scenario, "open_engine", _start_nothing)
    line = refused(["send", file, "--out", tmp_path / "out"], tmp_path, capsys)
    assert line == f"Cannot write to {tmp_path / 'out' / name}: Is a directory"


# --- Runs that fail


class Broken:
    """What is left of an engine when it fails."""

    def __init__(self, error: BaseException):
        self.error = error

    def __getattr__(self, name: str):
        raise self.error

    def close(self) -> None:
        """End; nothing to do."""


def _start_nothing(*_arguments, **_more):
    raise AssertionError("an engine was started")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (EngineError("verilator ended unexpectedly: killed"), 2, "verilator ended unexpectedly"),
        (ScenarioError("Nothing has moved"), 2, "Nothing has moved"),
        (OSError("The adapter refused the access to register 0x8"), 2, "The adapter refused"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=["engine", "scenario", "register", "Ctrl-C"],
)
def test_failure_in_the_middle_leaves_no_half_written_file(
    error, code, line, file, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text("of an earlier run")
    before = tree(tmp_path)
    monkeypatch.setattr(scenario, "open_engine", lambda *_a, **_m: Broken(error))
    assert command.main(["send", str(file), "--out", str(out)]) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1].startswith(f"byway: {line}")
    assert "Traceback" not in "".join(errors)
    assert tree(tmp_path) == before


def test_failure_takes_the_folders_back_that_it_made(file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scenario, "open_engine", lambda *_a, **_m: Broken(EngineError("gone")))
    before = tree(tmp_path)
    assert command.main(["send", str(file), "--out", str(tmp_path / "a" / "b")]) == 2
    assert tree(tmp_path) == before


# --- The options reach the run; the summary says what came of it


def result_of(name: str, **more) -> SendResult:
    """The result of a small run that went well."""
    values = dict.fromkeys(SendResult.__dataclass_fields__, 1)
    values |= {"file": name, "engine": "verilator", "wire": "gmii", "bad_frames": 0}
    values |= {"files": ("result.json",)}
    values |= {"sha256_sent": "00" * 32, "sha256_received": "00" * 32, **more}
    return SendResult(**values)  # type: ignore[arg-type]


@pytest.fixture
def asked(monkeypatch):
    """What the command asks of a run, whose result is `result_of` the file."""
    kept: dict = {"more": {}}

    def send(data, options, folder, *, name):
        kept.update(data=data, options=options, folder=folder, name=name)
        return result_of(name, **kept["more"])

    monkeypatch.setattr(send_command, "send", send)
    return kept


def test_options_reach_the_run(asked, file, capsys):
    wishes = ["--engine=icarus", "--mss=64", "--mtu=576", "--memory-latency=7"]
    assert command.main(["send", str(file), *wishes, "--wave", "--out=here"]) == 0
    assert asked["data"] == b"x"
    assert (asked["folder"], asked["name"]) == (Path("here"), "file")
    assert asked["options"] == SendOptions(
        engine="icarus", mtu=576, mss=64, memory_latency=7, waveform=WHOLE_RUN
    )
    assert command.main(["send", str(file), "--wire=xgmii", "--width=128"]) == 0
    assert asked["options"] == SendOptions(wire="xgmii", data_width=128)
    assert command.main(["send", str(file), "--wave", "frame:2:50"]) == 0
    assert asked["options"] == SendOptions(waveform=Around("frame", 2, 50))
    assert command.main(["send", str(file)]) == 0
    assert asked["options"] == SendOptions()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[red]file", "[red]file"),
        ("\u00fcber\udcff", "\u00fcber\\udcff"),
        ("a\nb", "a\\nb"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
    ],
    ids=["markup", "not UTF-8", "line break", "escape"],
)
def test_summary_shows_any_file_name(name, shown, asked, tmp_path, capfd):
    path = tmp_path / name
    path.write_bytes(b"x")
    assert command.main(["send", str(path), "--out", str(tmp_path / "[/out]")]) == 0
    output, errors = capfd.readouterr()
    assert errors == ""
    assert output.startswith(f"{shown}: hosted partition")
    assert "[/out]" in output.replace("\n", "")


@pytest.mark.parametrize("more", [{"sha256_received": "11" * 32}, {"bad_frames": 1}])
def test_broken_transfer_is_exit_code_1(more, asked, file, capsys):
    asked["more"] = more
    assert command.main(["send", str(file)]) == 1
    assert "DIFFERENT" in capsys.readouterr().out or "bad_frames" in more


@pytest.mark.parametrize("arguments", [["--help"], ["send", "--help"]])
def test_help_is_exit_code_0(arguments):
    result = subprocess.run([*BYWAY, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: byway")
    assert result.stderr == ""


def test_wrong_input_as_a_process_is_one_line_and_exit_code_2(tmp_path):
    result = subprocess.run(
        [*BYWAY, "send", "none"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "byway: Cannot read none: No such file or directory\n"
    assert not list(tmp_path.iterdir())


def group_members(group: int) -> list[str]:
    """States of the processes of a process group that still run."""
    states = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, its_group = path.read_text().rsplit(")", 1)[1].split()[:3]
            if int(its_group) == group and state != "Z":
                states.append(path.parent.name)
    return states


def test_ctrl_c_during_a_run_is_exit_code_130_and_cleans_up(tmp_path):
    """As in a terminal: the signal reaches the simulator too."""
    temporary, out = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    (tmp_path / "file").write_bytes(bytes(8 << 20))
    process = subprocess.Popen(
        [*BYWAY, "send", "file", "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 200
        while not list(out.glob(".unfinished-*/wire.pcapng")):
            assert process.poll() is None
            assert time.monotonic() < until, "no run begins"
            time.sleep(0.1)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=40)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert output == ""
    assert errors.splitlines()[-1] == "byway: interrupted"
    assert "Traceback" not in errors
    assert not group_members(process.pid)
    assert not list(temporary.iterdir())
    assert not out.exists()


@pytest.mark.parametrize("seconds", [0.15, 0.3, 0.5])
def test_ctrl_c_while_it_starts_is_one_line(seconds, file, tmp_path):
    process = subprocess.Popen(
        [*BYWAY, "send", file, "--out", tmp_path / "out"], stderr=subprocess.PIPE, text=True
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _output, errors = process.communicate(timeout=60)
    # A traceback from before the command began is Python's own.
    assert "command.py" not in errors
    if "Traceback" not in errors:
        assert process.returncode in (0, 130, -signal.SIGINT)
