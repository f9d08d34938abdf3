"""``byway bench``: runs measure what they say, and the command tells whether the goals are met."""

import json
import shutil

import pytest

from byway.sim import command
from byway.sim.board.wire import GMII
from byway.sim.commands import bench as bench_command
from byway.sim.engines.engine import EngineError
from byway.sim.measure import bench, doorbell, frame_rate
from byway.sim.measure.bench import GIGABIT, TEN_GIGABIT
from byway.sim.measure.doorbell import doorbell_to_wire
from byway.sim.measure.figures import Figure, Limit
from byway.sim.measure.frame_rate import large_send_rate, single_frame_rate

compiled = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")

RATES = ("1g_frames_of_60", "10g_frames_of_1514")


# --- What is measured


@compiled
@pytest.mark.parametrize("size", [60, 61, 512])
@pytest.mark.parametrize(("speed", "bytes_per_second"), [(GIGABIT, 125e6), (TEN_GIGABIT, 1250e6)])
def test_frames_of_one_size_leave_at_the_rate_of_the_wire(speed, bytes_per_second, size):
    rate = single_frame_rate(speed.make, size, frames=800, latency=speed.latency)
    assert rate.limit.value == pytest.approx(bytes_per_second / (size + 24))
    assert rate.limit.formula == f"{bytes_per_second / 1e6:.0f}e6 / ({size} + 24)"
    # A deficit of 3 bytes at the most may be open in the end.
    most = 1 + 4 / (599 * (size + 24))
    assert 0.99 <= rate.frames_per_second / rate.limit.value <= most


@compiled
def test_a_memory_that_is_too_far_away_shows():
    """So the goal is not reached whatever happens: each frame takes a read of its own."""
    rate = single_frame_rate(TEN_GIGABIT.make, 60, frames=400, latency=1000)
    assert rate.frames_per_second < 0.5 * rate.limit.value


@compiled
@pytest.mark.parametrize("speed", [GIGABIT, TEN_GIGABIT], ids=lambda speed: speed.name)
def test_a_large_send_fills_the_wire(speed):
    rate = large_send_rate(speed.make, 1448, super_frames=3, latency=speed.latency)
    assert rate.frame_bytes == 1514
    assert 0.99 <= rate.frames_per_second / rate.limit.value <= 1.0001


@compiled
@pytest.mark.parametrize(("size", "checksum", "most"), [(60, False, 67), (1514, True, 307)])
def test_each_cycle_of_latency_counts_twice_from_the_doorbell_to_the_wire(size, checksum, most):
    """For the descriptor, and for the data: neither is walked for."""
    near, far = (
        doorbell_to_wire(GIGABIT.make, size, latency=latency, checksum=checksum)
        for latency in (0, 50)
    )
    assert 0 < near <= most
    assert far - near == 2 * 50
    # A sum is known when all of the frame has been read, 8 bytes a cycle.
    assert not checksum or near > size // 8


@compiled
def test_frames_that_do_not_arrive_as_they_are_end_the_measurement(monkeypatch):
    monkeypatch.setattr(frame_rate, "OVERHEAD_BYTES", -1000)
    with pytest.raises(EngineError, match=r"^Of 10 frames \d came in \d+ cycles$"):
        single_frame_rate(GIGABIT.make, 1000, frames=10, latency=4096)
    monkeypatch.setattr(doorbell, "_without_checksums", lambda frame: bytes(len(frame)))
    with pytest.raises(EngineError):
        doorbell_to_wire(GIGABIT.make, 100, latency=0, checksum=True)


# --- The command


@pytest.fixture
def figures(monkeypatch):
    """The figures of a bench that takes no time."""
    limit = Limit(100.0, "125e6 / (60 + 24)")
    kept = [Figure(name, 99.5, "frames/s", ">= 0.99 of limit", limit) for name in RATES]
    monkeypatch.setattr(bench_command, "measure", lambda: iter(kept))
    return kept


@pytest.mark.usefixtures("figures")
def test_figures_stand_beside_limit_and_goal(tmp_path, capsys):
    assert command.main(["bench", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(RATES)
    for name, line in zip(RATES, lines[1:], strict=True):
        assert line.startswith(name)
        assert "100.00 = 125e6 / (60 + 24)" in line
        assert line.rstrip().endswith(">= 0.99 of limit  met")


@pytest.mark.usefixtures("figures")
def test_json_is_what_is_left_in_the_folder(tmp_path, capsys):
    assert command.main(["bench", "--json", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "bench.json").read_text()
    assert [set(row) for row in json.loads(printed)] == [
        {"name", "value", "unit", "limit", "goal", "met"}
    ] * len(RATES)


def test_a_goal_that_is_missed_is_exit_code_1(figures, tmp_path, capsys):
    figures.append(Figure("slow", 3.0, "cycles", "<= 2"))
    assert command.main(["bench", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("MISSED")


@pytest.mark.usefixtures("figures")
def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    assert command.main(["bench", "--out", str(file)]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1] == f"byway: Cannot write to {file}: File exists"


def test_every_figure_has_its_goal(monkeypatch):
    rate = frame_rate.FrameRate(GMII, 60, 1.0)
    monkeypatch.setattr(bench, "single_frame_rate", lambda *_a, **_m: rate)
    monkeypatch.setattr(bench, "large_send_rate", lambda *_a, **_m: rate)
    monkeypatch.setattr(bench, "doorbell_to_wire", lambda *_a, latency, **_m: 10 + latency)
    made = list(bench.measure())
    assert len({figure.name for figure in made}) == len(made) == 9 + 1 + 7 + 1 + 4
    assert all(figure.goal for figure in made)
    assert [figure.met for figure in made] == [False] * 18 + [True] * 4
