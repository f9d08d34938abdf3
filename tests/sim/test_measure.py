"""The measurements measure what they say: the load fills the wire, goals are judged right."""

import itertools
import json

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import checksum

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.board import BoardParameters
from byway.sim.engines.native import NativeEngine
from byway.sim.measure.figures import Figure, Limit, report
from byway.sim.measure.load import MEMORY_BYTES, start_load


@pytest.fixture
def engine():
    engine = NativeEngine(SharedAdapter, BoardParameters(memory_bytes=MEMORY_BYTES))
    yield engine
    engine.close()


def test_load_fills_the_wire_until_its_ring_is_empty(engine):
    start_load(engine.registers, engine.memory)
    frames = []
    silence = 0
    while silence < 5000:
        engine.run(1000)
        silence = 0 if engine.frames else silence + 1000
        frames += engine.frames
        engine.frames.clear()
    assert len(frames) == 8 * 45
    assert all(frame.good for frame in frames)
    gaps = {later.first_cycle - frame.last_cycle - 1 for frame, later in itertools.pairwise(frames)}
    assert gaps == {12}
    packet = Ether(frames[0].data)
    assert len(packet[TCP].payload) == 1460
    assert checksum(bytes(packet[IP])[:20]) == 0


def test_model_can_be_clocked_alone(engine):
    engine.clock_alone(1000)
    assert (engine.cycle, len(engine.frames)) == (0, 0)


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [
        (100.0, ">= 100", True),
        (99.9, ">= 100", False),
        (1.3, "<= 1.3", True),
        (1.31, "<= 1.3", False),
        (5.0, None, None),
    ],
)
def test_goal_is_judged(value, goal, met):
    assert Figure("name", value, "unit", goal).met is met


@pytest.mark.parametrize(("value", "met"), [(99.0, True), (98.9, False), (101.0, True)])
def test_goal_of_a_limit_is_judged_by_it(value, met):
    figure = Figure("name", value, "unit", ">= 0.99 of limit", Limit(100.0, "10 * 10"))
    assert figure.of_limit == value / 100
    assert figure.met is met


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(("value", "code"), [(99.5, 0), (10.0, 1)])
def test_figures_are_written_for_machines_and_printed(value, code, quiet, tmp_path, capsys):
    figures = [
        Figure("rate", value, "frames/s", ">= 0.99 of limit", Limit(100.0, "10 * 10")),
        Figure("time", 7.0, "cycles"),
    ]
    path = tmp_path / "deep" / "bench.json"
    assert report(figures, path, quiet=quiet) == code
    assert json.loads(path.read_text()) == [
        {
            "name": "rate",
            "value": value,
            "unit": "frames/s",
            "limit": 100.0,
            "goal": ">= 0.99 of limit",
            "met": not code,
        },
        {
            "name": "time",
            "value": 7.0,
            "unit": "cycles",
            "limit": None,
            "goal": None,
            "met": None,
        },
    ]
    printed = capsys.readouterr().out
    assert (printed == "") is quiet
    if not quiet:
        rate, time = printed.splitlines()[1:]
        assert rate.split()[:7] == ["rate", f"{value:.2f}", "frames/s", "100.00", "=", "10", "*"]
        assert rate.endswith("MISSED" if code else "met")
        assert time.split() == ["time", "7.00", "cycles"]
