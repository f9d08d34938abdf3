"""The far end of an XGMII takes whole frames in their place for good and nothing else.

[IEEE 802.3, clauses 3 and 46]
"""

import random
from collections import deque
from itertools import pairwise

import pytest

from byway.sim.board.pins import Pin, Pins
from byway.sim.board.wire_frame import WireFrame, gap_bytes
from byway.sim.board.xgmii_sink import ERROR, IDLE, START, TERMINATE, XgmiiSink
from byway.sim.mac_bench import on_the_wire
from byway.sim.wire.medium import PREAMBLE

LANES = 8
DATA = random.Random(46).randbytes(60)
#: Other pins, around those of the wire, must not matter.
PINS = Pins({}, {"xgmii_txc": Pin(3, 8), "other": Pin(11, 20), "xgmii_txd": Pin(31, 64)})


class Line:
    """Characters on their way into an `XgmiiSink`."""

    def __init__(self):
        self.characters: list[tuple[int, bool]] = []

    def control(self, *values: int):
        self.characters += [(value, True) for value in values]

    def data(self, values: bytes):
        self.characters += [(value, False) for value in values]

    def idle(self, count: int):
        self.control(*[IDLE] * count)

    def frame(self, data: bytes = DATA, *, flip: int = 0):
        self.control(START)
        self.data(on_the_wire(data, flip=flip)[1:])
        self.control(TERMINATE)

    def frames(self) -> list[WireFrame]:
        """What the sink made of it, with Idle behind it."""
        frames: deque[WireFrame] = deque()
        sink = XgmiiSink(PINS, frames)
        self.idle(LANES + -len(self.characters) % LANES)
        for cycle in range(len(self.characters) // LANES):
            outputs = PINS.outputs["other"].mask
            for lane, (value, control) in enumerate(self.characters[LANES * cycle :][:LANES]):
                outputs |= value << PINS.outputs["xgmii_txd"].offset + 8 * lane
                outputs |= control << PINS.outputs["xgmii_txc"].offset + lane
            sink.tick(cycle, outputs)
        return list(frames)

    def goods(self) -> list[bool]:
        return [frame.good for frame in self.frames()]


@pytest.fixture
def line():
    return Line()


@pytest.mark.parametrize("lane", [0, 4])
@pytest.mark.parametrize("length", range(60, 69))
def test_good_frame_is_collected_with_its_place(line, lane, length):
    data = random.Random(length).randbytes(length)
    line.idle(16 + lane)
    line.frame(data)
    (frame,) = line.frames()
    assert frame.data == data
    assert frame.good
    assert (frame.first_cycle, frame.first_lane) == (2, lane)
    last = 16 + lane + 8 + length + 4 - 1
    assert (frame.last_cycle, frame.last_lane) == divmod(last, LANES)


def test_end_of_the_wire_is_no_end_of_a_frame():
    frames: deque[WireFrame] = deque()
    sink = XgmiiSink(PINS, frames)
    txd = int.from_bytes(bytes([START]) + PREAMBLE[1:], "little")
    sink.tick(0, txd << PINS.outputs["xgmii_txd"].offset | 1 << PINS.outputs["xgmii_txc"].offset)
    for cycle in range(1, 20):
        sink.tick(cycle, 0)
    assert not frames


@pytest.mark.parametrize("lane", [1, 2, 3, 5, 6, 7])
def test_start_in_any_other_lane_is_a_bad_frame_and_only_that_one(line, lane):
    line.idle(lane)
    line.frame()
    line.idle(16 + -len(line.characters) % LANES)
    line.frame()
    assert line.goods() == [False, True]


@pytest.mark.parametrize("bit", [0, 15, 31])
def test_wrong_fcs_is_a_bad_frame(line, bit):
    line.frame(flip=1 << bit)
    assert line.goods() == [False]


@pytest.mark.parametrize("length", [0, 1, 59])
def test_frame_below_the_minimum_is_bad(line, length):
    line.frame(DATA[:length])
    assert line.goods() == [False]


@pytest.mark.parametrize("place", range(8))
def test_any_other_preamble_is_a_bad_frame(line, place):
    line.frame()
    value, control = line.characters[place]
    line.characters[place] = (value ^ 1, control)
    assert line.goods()[0] is False


@pytest.mark.parametrize("place", [1, 7, 8, 40, 8 + 60 + 3])
@pytest.mark.parametrize("value", [ERROR, 0x9C, 0x00])
def test_control_characters_in_a_frame_make_it_bad_and_only_that_one(line, place, value):
    line.frame()
    line.characters[place] = (value, True)
    line.idle(15)
    line.frame()
    assert line.goods() == [False, True]


def test_start_as_data_starts_no_good_frame(line):
    line.frame()
    line.characters[0] = (START, False)
    assert line.goods() == [False]


def test_terminate_as_data_ends_none(line):
    line.frame()
    line.characters[-1] = (TERMINATE, False)
    assert line.goods() == [False]


def test_frame_that_idle_ends_is_bad(line):
    line.frame()
    line.characters[-1] = (IDLE, True)
    line.idle(15)
    line.frame()
    assert line.goods() == [False, True]


def test_frame_that_another_start_ends_is_bad(line):
    line.frame()
    line.characters = line.characters[:40]
    line.frame()
    first, second = line.frames()
    assert not first.good
    assert second.data == DATA


@pytest.mark.parametrize("stray", [(0x55, False), (ERROR, True), (TERMINATE, True)])
def test_stray_characters_between_frames_are_bad_frames(line, stray):
    line.frame()
    line.idle(15)
    line.characters.append(stray)
    line.idle(15)
    line.frame()
    assert line.goods() == [True, False, True]


def frames_after_gaps(line, gaps):
    """Of a run of frames, after the first; their lengths are such that Start is in its lane."""
    for gap in [*gaps, None]:
        if gap is None:
            line.frame()
        else:
            length = 64 + -(gap + 12 + 64) % 4
            line.frame(bytes(length))
            # Terminate is the first byte of the gap.
            line.idle(gap - 1)
    frames = line.frames()
    assert [gap_bytes(*pair, lanes=LANES) for pair in pairwise(frames)] == list(gaps)
    return [frame.good for frame in frames[1:]]


@pytest.mark.parametrize("gap", range(1, 16))
def test_gap_may_lack_three_bytes(line, gap):
    assert frames_after_gaps(line, [gap]) == [gap >= 9]


@pytest.mark.parametrize(
    ("gaps", "good"),
    [
        ([12] * 20, [True] * 20),
        ([11, 11, 11, 15] * 5, [True] * 20),
        ([11, 11, 11, 11], [True, True, True, False]),
        ([9, 13, 13, 13, 9], [True] * 5),
        ([9, 13, 13, 9], [True, True, True, False]),
        ([100, 9, 11], [True, True, False]),
        ([10, 12, 12, 10], [True, True, True, False]),
        ([5, 12, 15, 9], [False, True, True, True]),
    ],
)
def test_gaps_must_be_long_enough_on_average(line, gaps, good):
    """What is inserted makes up for what was left out, but not in advance [46.3.1.4]."""
    assert frames_after_gaps(line, gaps) == good
