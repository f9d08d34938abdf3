# amaranth: UnusedElaboratable=no
"""`SegmentPlanner` plans the segments of every frame, in order.

The reference measures each segment's run of the packet by division.
"""

import itertools
import random

import pytest

from byway.rtl.transmit.segment_plan import SegmentPlanner
from byway.sim.stream_bench import exchange

PLAIN = {"total_length": 60}


def super_frame(payload, mss, *, header_length=54, ip_offset=14, l4_offset=34, ipv6=0):
    """A super-frame with so many bytes of payload."""
    return {
        "total_length": header_length + payload,
        "mss": mss,
        "header_length": header_length,
        "ip_offset": ip_offset,
        "l4_offset": l4_offset,
        "ipv6": ipv6,
        "large_send": 1,
    }


def plan(frame, lanes):
    """The reference: for each segment of `frame`, what its plan has to say."""
    if not frame.get("large_send"):
        return [{"first": 1, "last": 1, "command": frame, "lane": 0}]
    header, mss, total = frame["header_length"], frame["mss"], frame["total_length"]
    plans = []
    for start in range(header, max(total, header + 1), mss):
        first, last = start == header, start + mss >= total
        # The first segment's share of the packet has the header before its payload.
        begin, end = (0 if first else start), min(start + mss, total)
        begin_beat, begin_lane = divmod(begin, lanes)
        share = min(start + mss, max(total, start)) - start
        result = {
            "first": int(first),
            "last": int(last),
            "command": frame,
            "lane": begin_lane,
            "header_rows": -(-header // lanes) - 1,
            "header_tail": (header - 1) % lanes + 1,
            "ip_length": header - frame["ip_offset"] - 40 * frame["ipv6"] + share,
            "l4_length": header - frame["l4_offset"] + share,
        }
        if not last:
            result |= {"beats": (end - 1) // lanes - begin_beat, "cut": (end - 1) % lanes + 1}
        plans.append(result)
    return plans


def run(frames, *, lanes=8, seed="", idle=0.0, stall=0.0):
    """Plan `frames`; returns the cycles in which they went in and their plans came out."""
    dut = SegmentPlanner(lanes=lanes)
    command = dut.frames.payload.shape()
    expected = [each for frame in frames for each in plan(frame, lanes)]
    result = exchange(dut, dut.frames, dut.plans, frames, seed=seed, idle=idle, stall=stall)
    assert len(result.payloads) == len(expected), f"seed {seed!r}"
    for number, (found, wanted) in enumerate(zip(result.payloads, expected, strict=True)):
        what = f"plan {number}, seed {seed!r}"
        assert found.command == command.const(wanted.pop("command")), what
        assert {name: found[name] for name in wanted} == wanted, what
    return result.taken, result.given


def random_frame(rng, lanes):
    """A frame of either kind; super-frames often of a whole number of segments, or nearly."""
    if rng.random() < 0.3:
        return {
            name: rng.getrandbits(8)
            for name in ("total_length", "mss", "header_length", "ip_offset", "l4_offset")
        } | {"checksum_udp": rng.getrandbits(1), "large_send": 0}
    ip_offset = 2 * rng.randint(7, 40)
    ipv6 = rng.getrandbits(1)
    l4_offset = ip_offset + (40 if ipv6 else 20)
    header_length = rng.choice([l4_offset + 20, rng.randint(l4_offset + 20, 255)])
    least, most = max(lanes, 2), 65_535 - (header_length - ip_offset)
    mss = rng.choice([least, 64, 1448, 9000, most, rng.randint(least, 200), rng.randint(64, most)])
    longest = min(6 * mss, 2**20 - 1 - header_length)
    payload = rng.choice([rng.randint(0, 6) * mss + rng.randint(-1, 1), rng.randint(0, longest)])
    return super_frame(
        min(max(payload, 0), longest),
        mss,
        header_length=header_length,
        ip_offset=ip_offset,
        l4_offset=l4_offset,
        ipv6=ipv6,
    )


@pytest.mark.parametrize("lanes", [1, 2, 8, 16, 64])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.8, 0.0), (0.0, 0.8), (0.4, 0.4)])
def test_plans_are_those_of_the_reference(lanes, idle, stall):
    seed = f"{lanes} {idle} {stall}"
    rng = random.Random(seed)
    frames = [random_frame(rng, lanes) for _ in range(50)]
    run(frames, lanes=lanes, seed=seed, idle=idle, stall=stall)


@pytest.mark.parametrize("lanes", [2, 8])
def test_a_header_that_ends_in_any_lane_meets_segments_of_any_remainder(lanes):
    frames = [
        super_frame(3 * mss, mss, header_length=header_length)
        for header_length in range(54, 54 + lanes)
        for mss in range(64, 64 + lanes)
    ]
    run(frames, lanes=lanes)


@pytest.mark.parametrize(
    ("payload", "segments"),
    [(0, 1), (1, 1), (99, 1), (100, 1), (101, 2), (200, 2), (201, 3)],
)
def test_the_last_segment_takes_the_rest(payload, segments):
    _taken, given = run([super_frame(payload, 100)])
    assert len(given) == segments


def test_the_longest_super_frame_keeps_count():
    _taken, given = run([super_frame(2**20 - 1 - 54, 1448)])
    assert len(given) == -(-(2**20 - 1 - 54) // 1448)


def test_a_plan_comes_one_cycle_after_its_frame_or_two_and_then_every_other_cycle():
    five, one, two = (super_frame(100 * segments, 100) for segments in (5, 1, 2))
    frames = [PLAIN, PLAIN, five, one, PLAIN, two]
    taken, given = run(frames)
    # From the plan before: 2 cycles, 3 for the first of a super-frame.
    steps = [2, 3, 2, 2, 2, 2, 3, 2, 3, 2]
    assert [later - cycle for cycle, later in itertools.pairwise(given)] == steps
    firsts = [given[number] for number in (0, 1, 2, 7, 8, 9)]
    assert [plan - frame for frame, plan in zip(taken, firsts, strict=True)] == [1, 1, 2, 2, 1, 2]


@pytest.mark.parametrize("lanes", [-2, 0, 6, 512])
def test_other_lanes_are_refused(lanes):
    message = f"^Lanes must be a power of two from 1 to 256, not {lanes}$"
    with pytest.raises(ValueError, match=message):
        SegmentPlanner(lanes=lanes)
