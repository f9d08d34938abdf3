# amaranth: UnusedElaboratable=no
"""`XgmiiTransmitter` puts frames on the wire to the byte [IEEE 802.3, clauses 3 and 46].

Every lane of the wire is recorded in every cycle. It is compared with a wire built in plain Python
and `zlib`, and judged by the far end of the wire, which knows of clause 46 and nothing of the RTL.
"""

import itertools
import random
import zlib
from collections import deque
from dataclasses import dataclass

import pytest

from byway.rtl.mac.xgmii import XgmiiTransmitter
from byway.sim.bench import put_packet
from byway.sim.board.pins import Pins
from byway.sim.board.wire_frame import WireFrame, gap_bytes
from byway.sim.board.xgmii_sink import ERROR, IDLE, START, TERMINATE, XgmiiSink
from byway.sim.mac_bench import (
    always_enabled,
    on_the_wire,
    padded,
    pause,
    put_dry,
    sender,
    watch_transmitter,
)
from byway.sim.wire.medium import GAP_BYTES, OVERHEAD_BYTES, PREAMBLE

LANES = 8
HALF = 4
#: From the cycle in which the first beat is offered to Start on the wire.
LATENCY = 7


@dataclass(frozen=True)
class Character:
    value: int
    control: bool


GAP = Character(IDLE, True)


def characters(packet):
    """What is on the wire for `packet`, from Start to Terminate."""
    data = [Character(byte, False) for byte in on_the_wire(padded(packet))[1:]]
    return [Character(START, True), *data, Character(TERMINATE, True)]


def starts_back_to_back(packets):
    """Where frames start, in bytes from the first Start: 12 bytes of gap, rounded to a lane."""
    lengths = (len(padded(packet)) + OVERHEAD_BYTES for packet in packets)
    return [ideal - ideal % HALF for ideal in itertools.accumulate(lengths, initial=0)][:-1]


@dataclass(frozen=True)
class Cycle:
    offered: int
    taken: int
    last: int
    txd: int
    txc: int
    busy: int
    sent: int
    sent_bytes: int


@dataclass(frozen=True)
class Run:
    """What was seen: cycles, the characters on the wire, and the frames that the far end got."""

    cycles: list[Cycle]
    wire: list[Character]
    frames: list[WireFrame]

    def starts(self):
        """Places of the frames, in bytes."""
        return [frame.first_cycle * LANES + frame.first_lane for frame in self.frames]

    def offers(self):
        """Cycles in which the first beats of packets were first offered."""
        offers = []
        within = False
        for number, cycle in enumerate(self.cycles):
            if cycle.offered and not within:
                offers.append(number)
            within = cycle.offered and not (cycle.taken and cycle.last)
        return offers


def run_of(dut, cycles):
    pins = Pins.of(dut)
    frames: deque[WireFrame] = deque()
    sink = XgmiiSink(pins, frames)
    txd, txc = pins.outputs["xgmii_txd"], pins.outputs["xgmii_txc"]
    wire = []
    for number, cycle in enumerate(cycles):
        sink.tick(number, cycle.txd << txd.offset | cycle.txc << txc.offset)
        for lane in range(LANES):
            wire.append(Character(cycle.txd >> 8 * lane & 0xFF, bool(cycle.txc >> lane & 1)))
    return Run(cycles, wire, list(frames))


def simulate(source, *, control=always_enabled, tail=10, data_width=8 * LANES):
    """What is seen, of cycles as `watch_transmitter` keeps them."""
    dut = XgmiiTransmitter(data_width=data_width)
    outputs = [
        dut.frame.valid, dut.frame.valid & dut.frame.ready, dut.frame.payload.last,
        dut.xgmii.txd, dut.xgmii.txc, dut.busy, dut.sent, dut.sent_bytes,
    ]  # fmt: skip
    cycles = watch_transmitter(
        dut, source, outputs, Cycle, control=control, period_ns=6.4, tail=tail
    )
    return run_of(dut, cycles)


def enabled_sender(packets, *, gaps=()):
    send = sender(packets, gaps=gaps)

    async def source(ctx, dut):
        await ctx.tick()  # In which it is enabled.
        await send(ctx, dut)

    return source


def check(run, packets, context=""):
    """All of the wire, and what is told of it, given where the frames start."""
    assert [frame.data for frame in run.frames] == [padded(packet) for packet in packets], context
    assert all(frame.good for frame in run.frames), context
    expected = [GAP] * len(run.wire)
    for start, packet in zip(run.starts(), packets, strict=True):
        whole = characters(packet)
        expected[start : start + len(whole)] = whole
    assert run.wire == expected, context
    sent = [(number, cycle.sent_bytes) for number, cycle in enumerate(run.cycles) if cycle.sent]
    assert sent == [(frame.last_cycle, len(frame.data)) for frame in run.frames], context
    for frame in run.frames:
        on_wire = run.cycles[frame.first_cycle : frame.last_cycle + 1]
        assert all(cycle.busy for cycle in on_wire), context


def check_back_to_back(run, packets, context=""):
    check(run, packets, context)
    first = run.starts()[0]
    assert first % LANES == 0, context
    assert [start - first for start in run.starts()] == starts_back_to_back(packets), context
    # Busy from the first beat, which is offered until it is taken, to the end of the last gap.
    busy = [number for number, cycle in enumerate(run.cycles) if cycle.busy]
    end = first + starts_back_to_back([*packets, b""])[-1]
    taken = next(number for number, cycle in enumerate(run.cycles) if cycle.taken)
    assert busy == [*range(taken + 1, end // LANES)], context


@pytest.mark.parametrize("data_width", [128, 256])
def test_frames_of_wider_beats_follow_each_other_as_closely(data_width):
    rng = random.Random(data_width)
    packets = [rng.randbytes(length) for length in (*range(14, 100), 60, 60, 1514, 61)]
    run = simulate(enabled_sender(packets), data_width=data_width)
    check_back_to_back(run, packets, f"{data_width} bits")


def test_a_frame_of_wider_beats_that_may_not_leave_is_not_busy():
    """Its first beat has been taken; it leaves as it would have."""
    packets = [bytes(range(100))] * 2

    async def control(ctx, dut):
        await pause(ctx, 50)
        ctx.set(dut.enable, 1)

    run = simulate(enabled_sender(packets), control=control, data_width=128)
    check(run, packets)
    enabled = 50
    assert any(cycle.taken for cycle in run.cycles[:enabled])
    assert not any(cycle.busy for cycle in run.cycles[: enabled + 1])


def test_frames_of_every_small_size_follow_each_other_as_closely_as_they_may():
    rng = random.Random(46)
    packets = [rng.randbytes(size) for size in range(1, 201)]
    run = simulate(enabled_sender(packets))
    check_back_to_back(run, packets)
    assert {frame.first_lane for frame in run.frames} == {0, 4}


@pytest.mark.parametrize("residue", range(8))
def test_mean_gap_is_twelve_bytes_at_every_length(residue):
    packets = [bytes(64 + residue)] * 17
    run = simulate(enabled_sender(packets))
    check_back_to_back(run, packets)
    gaps = [gap_bytes(*pair, lanes=LANES) for pair in itertools.pairwise(run.frames)]
    assert sum(gaps) == GAP_BYTES * len(gaps)
    odd = residue % HALF
    assert set(gaps) == ({GAP_BYTES - odd, GAP_BYTES + HALF - odd} if odd else {GAP_BYTES})


@pytest.mark.parametrize("seed", range(4))
def test_any_run_of_frames_is_on_the_wire_to_the_byte(seed):
    rng = random.Random(seed)
    lengths = [rng.choice([1, 59, 60, 61, 62, 63, rng.randint(1, 300)]) for _ in range(60)]
    packets = [rng.randbytes(length) for length in lengths]
    check_back_to_back(simulate(enabled_sender(packets)), packets, f"seed {seed}")


def test_long_frames_take_their_length_and_twenty_four_bytes():
    rng = random.Random(9014)
    packets = [rng.randbytes(size) for size in (1514, 9014, 1515, 9013, 9216, 1518, 1)]
    check_back_to_back(simulate(enabled_sender(packets)), packets)


@pytest.mark.parametrize("seed", range(6))
def test_a_frame_that_comes_at_any_time_is_in_its_lane_or_sent_at_once(seed):
    rng = random.Random(100 + seed)
    packets = [rng.randbytes(rng.randint(1, 90)) for _ in range(60)]
    # Around the end of the gap, where it is decided whether a frame is in time.
    gaps = [rng.choice([0, 0, rng.randint(0, 12), rng.randint(0, 40)]) for _ in packets]
    run = simulate(enabled_sender(packets, gaps=gaps))
    context = f"seed {100 + seed}"
    check(run, packets, context)
    due = 0
    late = 0
    for offer, start, packet in zip(run.offers(), run.starts(), packets, strict=True):
        aligned = due - due % HALF
        earliest = LANES * (offer + LATENCY)
        is_late = earliest > aligned - aligned % LANES
        assert start == (earliest if is_late else aligned), context
        late += is_late
        due = (start if is_late else due) + len(padded(packet)) + OVERHEAD_BYTES
    assert 10 < late < 50, context


@pytest.mark.parametrize("seed", range(4))
def test_enable_may_fall_and_rise_at_any_time(seed):
    rng = random.Random(200 + seed)
    packets = [rng.randbytes(rng.randint(1, 150)) for _ in range(40)]
    enabled = []

    async def control(ctx, dut):
        value = 0
        while True:
            value ^= rng.random() < 0.1
            ctx.set(dut.enable, value)
            enabled.append(value)
            await ctx.tick()

    run = simulate(enabled_sender(packets), control=control)
    check(run, packets, f"seed {200 + seed}")
    # A frame starts only if it was enabled a cycle before it could.
    assert all(enabled[frame.first_cycle - LATENCY - 1] for frame in run.frames), (
        f"seed {200 + seed}"
    )


def test_nothing_leaves_while_disabled():
    async def control(ctx, dut):
        await pause(ctx, 100)
        ctx.set(dut.enable, 1)

    run = simulate(enabled_sender([b"later"]), control=control)
    check(run, [b"later"])
    assert run.frames[0].first_cycle > 100


@pytest.mark.parametrize("beats", [1, 2, 7, 9])
def test_a_source_that_runs_dry_spoils_the_frame_and_nothing_around_it(beats):
    seed = 300 + beats
    context = f"seed {seed}"
    rng = random.Random(seed)
    # Good frames before and after, so that all lanes and deficits are met.
    good = [rng.randbytes(rng.randint(1, 72)) for _ in range(60)]
    broken = {number: rng.randbytes(rng.randint(8 * beats + 1, 120)) for number in range(1, 60, 3)}

    async def source(ctx, dut):
        for number, packet in enumerate(good):
            if number in broken:
                await put_dry(ctx, dut.frame, broken[number], beats, rng.choice([1, 2, 3, 30]))
            await put_packet(ctx, dut.frame, packet)

    run = simulate(source)
    assert [frame.data for frame in run.frames if frame.good] == [*map(padded, good)], context
    sent = [cycle.sent_bytes for cycle in run.cycles if cycle.sent]
    assert sent == [len(padded(packet)) for packet in good], context

    # The spoilt frames, character by character.
    spoilt = [
        (start, frame)
        for start, frame in zip(run.starts(), run.frames, strict=True)
        if not frame.good
    ]
    assert {frame.first_lane for _start, frame in spoilt} == {0, 4}, context
    for (start, _frame), packet in zip(spoilt, broken.values(), strict=True):
        data = packet[: LANES * beats]
        end = start + len(PREAMBLE) + len(data)
        before = [Character(byte, False) for byte in PREAMBLE[1:] + data]
        assert run.wire[start + 1 : end] == before, context
        error, *fcs, terminate = run.wire[end : end + 5]
        assert (error, terminate) == (Character(ERROR, True), Character(TERMINATE, True)), context
        right = zlib.crc32(data).to_bytes(4, "little")[1:]
        assert fcs == [Character(byte ^ 0xFF, False) for byte in right], context


def test_a_packet_of_many_dry_spells_is_discarded_whole():
    async def source(ctx, dut):
        rng = random.Random(7)
        await put_packet(ctx, dut.frame, bytes(range(200)), rng=rng, idle=0.5)
        await put_packet(ctx, dut.frame, b"after")

    run = simulate(source)
    assert [frame.good for frame in run.frames] == [False, True]
    assert run.frames[1].data == padded(b"after")


@pytest.mark.parametrize("data_width", [8, 32])
def test_data_width_is_checked(data_width):
    with pytest.raises(ValueError, match=rf"^Data width must be at least 64, not {data_width}$"):
        XgmiiTransmitter(data_width=data_width)
