"""Frames of an XGMII transmitter as the sink of cocotbext-eth sees them; they share no code."""

import logging
import os
import random
import warnings
from itertools import accumulate, pairwise

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, with_timeout
from cocotbext.eth import XgmiiSink

from byway.rtl.bus.packet import BeatLayout
from byway.sim.wire.medium import GAP_BYTES, MINIMUM_BYTES, OVERHEAD_BYTES, PREAMBLE

# The models use what cocotb has renamed since; all else that is warned of is an error.
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module=r"cocotbext\.")

#: A cycle, and the time of a byte, in picoseconds: 156.25 MHz, 10 Gb/s.
_CYCLE_PS = 6400
_BYTE_PS = 800
_BEAT = BeatLayout(64)
#: Longest that a frame may take, from its first beat to the sink.
_FRAME_CYCLES = 3000


class _Bench:
    """A transmitter that is enabled, and a sink."""

    def __init__(self, dut, name: str):
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        self.rng = random.Random(f"{os.environ['BYWAY_SEED']} {name}")
        self._dut = dut
        Clock(dut.clk, _CYCLE_PS, unit="ps").start()
        self._sink = XgmiiSink(dut.xgmii_txd, dut.xgmii_txc, dut.clk, dut.rst)

    async def begin(self) -> None:
        dut = self._dut
        dut.frame_valid.value = 0
        dut.frame_payload.value = 0
        dut.enable.value = 1
        dut.rst.value = 1
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 2)

    async def send(self, packet: bytes, *, dry_after: int | None = None) -> None:
        """Offer the beats of `packet`, with a pause after some."""
        dut = self._dut
        for number, start in enumerate(range(0, len(packet), 8)):
            if number == dry_after:
                await ClockCycles(dut.clk, 5)
            chunk = packet[start : start + 8]
            beat: dict[int | str, int] = {
                "data": int.from_bytes(chunk, "little"),
                "count": len(chunk),
                "last": int(start + 8 >= len(packet)),
            }
            dut.frame_payload.value = _BEAT.const(beat).as_value().value
            dut.frame_valid.value = 1
            taken = False
            while not taken:
                await ReadOnly()
                taken = bool(dut.frame_ready.value)
                await RisingEdge(dut.clk)
            dut.frame_valid.value = 0

    async def receive(self):
        """The next frame, and the places of its Start and of what ended it, in bytes."""
        frame = await with_timeout(self._sink.recv(), _FRAME_CYCLES * _CYCLE_PS, "ps")
        start, end = (round(time) for time in (frame.sim_time_start, frame.sim_time_end))
        return frame, start // _BYTE_PS, end // _BYTE_PS


def _check(frame, packet: bytes) -> None:
    assert frame.ctrl is None, "control characters in a frame"
    assert bytes(frame.get_preamble()) == PREAMBLE
    assert frame.check_fcs()
    assert bytes(frame.get_payload()) == packet.ljust(MINIMUM_BYTES, b"\0")


@cocotb.test()
async def frames_back_to_back_are_whole_and_in_their_places(dut) -> None:
    """Every place is known: 12 bytes after the frame before, rounded down to lane 0 or 4."""
    bench = _Bench(dut, "back to back")
    await bench.begin()
    rng = bench.rng
    lengths = [*range(1, 130), *(rng.randint(60, 1514) for _ in range(40)), 9014, 60]
    rng.shuffle(lengths)
    packets = [rng.randbytes(length) for length in lengths]

    async def send_all():
        for packet in packets:
            await bench.send(packet)

    cocotb.start_soon(send_all())
    starts = []
    for packet in packets:
        frame, start, _end = await bench.receive()
        _check(frame, packet)
        assert frame.start_lane in (0, 4)
        starts.append(start)
    times = [max(MINIMUM_BYTES, length) + OVERHEAD_BYTES for length in lengths]
    ideal = list(accumulate(times[:-1], initial=0))
    assert [start - starts[0] for start in starts] == [place - place % 4 for place in ideal]


@cocotb.test()
async def frames_at_any_time_keep_the_gap(dut) -> None:
    """With what the deficit idle count allows."""
    bench = _Bench(dut, "any time")
    await bench.begin()
    rng = bench.rng
    packets = [rng.randbytes(rng.randint(1, 200)) for _ in range(150)]

    async def send_all():
        for packet in packets:
            await bench.send(packet)
            if rng.random() < 0.5:
                await ClockCycles(dut.clk, rng.randint(1, 20))

    cocotb.start_soon(send_all())
    places = []
    for packet in packets:
        frame, start, end = await bench.receive()
        _check(frame, packet)
        assert frame.start_lane in (0, 4)
        places.append((start, end))
    deficit = 0
    for (_start, end), (start, _end) in pairwise(places):
        assert start - end >= 9
        deficit = max(0, deficit + GAP_BYTES - (start - end))
        assert deficit <= 3


@cocotb.test()
async def frame_of_a_dry_source_ends_with_error(dut) -> None:
    """And those around it are whole."""
    bench = _Bench(dut, "dry")
    await bench.begin()
    for _round in range(20):
        packets = [bench.rng.randbytes(bench.rng.randint(33, 100)) for _ in range(3)]
        dry_after = bench.rng.randint(1, 4)

        async def send_all(packets=packets, dry_after=dry_after):
            for packet, dry in zip(packets, (None, dry_after, None), strict=True):
                await bench.send(packet, dry_after=dry)

        cocotb.start_soon(send_all())
        for number, packet in enumerate(packets):
            frame, _start, _end = await bench.receive()
            if number == 1:
                assert frame.ctrl is not None
                assert frame.ctrl[-1] == 1
                assert frame.data[-1] == 0xFE
                assert bytes(frame.data) == PREAMBLE + packet[: 8 * dry_after] + b"\xfe"
            else:
                _check(frame, packet)
