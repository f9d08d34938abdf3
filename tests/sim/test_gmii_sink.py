"""The far end of the wire takes whole frames for good and nothing else [IEEE 802.3, 3 and 35]."""

import random
from collections import deque

import pytest

from byway.sim.board.gmii_sink import GmiiSink
from byway.sim.board.pins import Pins
from byway.sim.board.wire_frame import WireFrame
from byway.sim.board_bench import adapter_pins, pack
from byway.sim.mac_bench import on_the_wire
from byway.sim.wire.medium import GAP_BYTES, PREAMBLE

DATA = random.Random(5).randbytes(60)


class Line:
    """A wire into a `GmiiSink`."""

    def __init__(self, pins: Pins):
        self.pins = pins
        self.frames: deque[WireFrame] = deque()
        self.sink = GmiiSink(pins, self.frames)
        self.cycle = 0

    def byte(self, value: int, *, error: bool = False) -> None:
        self._tick(gmii_tx_en=1, gmii_txd=value, gmii_tx_er=int(error))

    def gap(self, cycles: int = GAP_BYTES) -> None:
        for _ in range(cycles):
            self._tick(gmii_txd=0xAA)

    def frame(self, data: bytes, *, preamble: bytes = PREAMBLE, flip: int = 0, error: int = -1):
        """Send a frame, then a gap; returns it as the sink saw it."""
        after_preamble = on_the_wire(data, flip=flip)[len(PREAMBLE) :]
        for number, value in enumerate(preamble + after_preamble):
            self.byte(value, error=number == error)
        self.gap()
        return self.frames.popleft()

    def _tick(self, **outputs: int) -> None:
        # Other pins must not matter.
        other = pack(self.pins.outputs, m_axi_wdata=(1 << 64) - 1, adapter_interrupt=1)
        self.sink.tick(self.cycle, pack(self.pins.outputs, **outputs) | other)
        self.cycle += 1


@pytest.fixture
def line():
    return Line(adapter_pins())


def test_good_frame_is_collected_with_its_cycles(line):
    line.gap(7)
    frame = line.frame(DATA)
    assert frame.data == DATA
    assert frame.good
    assert (frame.first_cycle, frame.last_cycle) == (7, 7 + 8 + 60 + 4 - 1)


def test_frames_a_gap_apart_are_two_frames(line):
    first = line.frame(DATA)
    second = line.frame(DATA[::-1])
    assert (first.data, second.data) == (DATA, DATA[::-1])
    assert first.good
    assert second.good
    assert second.first_cycle - first.last_cycle - 1 == 12


def test_unfinished_frame_is_no_frame(line):
    for value in PREAMBLE + DATA:
        line.byte(value)
    assert not line.frames


@pytest.mark.parametrize("bit", [0, 15, 31])
def test_wrong_fcs_is_a_bad_frame(line, bit):
    assert not line.frame(DATA, flip=1 << bit).good


@pytest.mark.parametrize("place", [0, 7, 30, 8 + 60 + 3])
def test_error_on_any_byte_is_a_bad_frame_and_only_that_one(line, place):
    assert not line.frame(DATA, error=place).good
    assert line.frame(DATA).good


@pytest.mark.parametrize(
    "preamble",
    [PREAMBLE[1:], b"\x55" + PREAMBLE, PREAMBLE[:-1] + b"\x55", b"\x54" + PREAMBLE[1:], b""],
    ids=["short", "long", "no delimiter", "wrong", "none"],
)
def test_preamble_that_is_not_whole_is_a_bad_frame(line, preamble):
    assert not line.frame(DATA, preamble=preamble).good


@pytest.mark.parametrize("length", [0, 1, 14, 59])
def test_frame_below_the_minimum_is_bad(line, length):
    """A receiver takes it for the fragment of a collision [IEEE 802.3, 4.2.4.2.2]."""
    assert not line.frame(DATA[:length]).good


def test_scrap_of_a_few_bytes_is_a_bad_frame(line):
    line.byte(0x55)
    line.gap()
    assert [frame.good for frame in line.frames] == [False]
