"""What translation costs stays within its goals, measured as ``make bench-translation`` does.

Smaller runs than those: what begins a stream, a walk and the memory's latency, weighs more in them.
Nothing is left to chance but the bytes that are sent.
"""

import random
import shutil

import numpy as np
import pytest

from byway.sim.engines.engine import EngineError
from byway.sim.engines.native_bridge import BridgeRing
from byway.sim.measure.bridge_load import BridgeLoad, rotation_rings, stream_accesses
from byway.sim.measure.translation import (
    StreamCase,
    rotate,
    share,
    stream,
    stream_adapter,
)

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")

BEATS = 1 << 15


@pytest.mark.parametrize(
    "case",
    [
        StreamCase(),
        StreamCase(write=True),
        StreamCase(burst_bytes=2048),
        StreamCase(data_width=128, burst_bytes=4096),
        StreamCase(data_width=512, burst_bytes=1024, ahead=8, walks=16),
    ],
    ids=["read", "write", "bursts of half a page", "bursts of a page", "the widest bus"],
)
def test_a_stream_with_a_cold_iotlb_is_as_fast_as_with_a_warm_one(case):
    # What begins a stream is over in the same time, however wide the bus is.
    beats = BEATS * case.data_width // 64 if case.data_width > 128 else BEATS
    row = stream(case, beats=beats)
    assert row["warm_misses"] == 0
    assert row["warm_bytes_a_cycle"] >= 0.99 * case.data_width / 8
    assert row["cold_over_warm"] >= 0.98, row
    # Each page is walked for once, and one past the end at the most.
    pages = beats * case.data_width // 8 // 4096
    assert pages <= row["misses"] + row["prefetches"] <= pages + 1


def test_pages_in_another_order_than_a_stream_are_waited_for():
    """So the goal is not reached by a memory that is never waited for."""
    accesses = stream_accesses(range(63, -1, -1))
    load = BridgeLoad(requesters=2, pages=64, latency=200, iotlb_sets=32)
    try:
        cold = load.stream(accesses, depth=4)
        load.stream(stream_accesses(range(64)))
        warm = load.stream(accesses, depth=4)
    finally:
        load.close()
    assert cold.misses == 64
    assert warm.misses < 8
    assert warm.cycles < 0.95 * cold.cycles


def test_frames_leave_the_shared_adapter_as_fast_with_a_cold_iotlb():
    row = stream_adapter(1514)
    assert row["warm_misses"] == 0 < row["cold_misses"]
    assert row["cold_over_warm"] >= 0.98, row
    # Preamble, frame, FCS and gap, a byte a cycle.
    assert row["frames"] * (1514 + 24) <= row["warm_cycles"] <= 1.02 * row["frames"] * (1514 + 24)


@pytest.mark.parametrize("pattern", ["hop", "walk", "frames", "greedy"])
def test_no_ring_of_256_starves(pattern):
    """With 4 pages each and an IOTLB of 64 entries; the wire of a gigabit takes a byte a cycle."""
    row = rotate(64, pattern, cycles=150_000)
    turn = 12 if pattern == "frames" else 1
    assert row["fewest"] >= turn
    assert row["most"] - row["fewest"] <= turn, row
    assert row["bytes_a_cycle"] > 3
    # Its own walk at the worst, and a turn of all others before it.
    assert row["longest"] <= 1200, row


@pytest.mark.parametrize("segment", [64, 200, 1448, 8948])
@pytest.mark.parametrize("latency", [0, 200])
def test_redirected_is_as_fast_as_dedicated_at_every_frame_size(segment, latency):
    data = random.Random(segment).randbytes(max(100 * segment, 20_000))
    row = share(segment, latency=latency, data=data)
    assert row["redirected_over_dedicated"] >= 0.99, row


@pytest.fixture
def load():
    load = BridgeLoad(requesters=2, pages=8, latency=0, iotlb_sets=32)
    yield load
    load.close()


def test_every_access_is_noted_with_its_ring_and_in_the_order_of_its_time(load):
    rings = [
        BridgeRing(requester, stream_accesses(range(8), write=bool(requester)), depth)
        for requester, depth in ((0, 3), (1, 5))
    ]
    log = load.bridge.run(rings)
    assert np.bincount(log["ring"]).tolist() == [len(ring.accesses) for ring in rings]
    assert (log["offered"] <= log["taken"]).all()
    assert (log["taken"] < log["ended"]).all()
    assert (np.diff(log["ended"].astype(int)) >= 0).all()
    for number, ring in enumerate(rings):
        mine = log[log["ring"] == number]
        # As many as may be under way, and at times so many.
        under_way = [
            int(((mine["offered"] <= cycle) & (cycle < mine["ended"])).sum())
            for cycle in mine["offered"]
        ]
        assert max(under_way) == ring.depth


def test_an_access_that_is_refused_is_an_error(load):
    with pytest.raises(EngineError, match="refused an access that is granted"):
        load.stream(stream_accesses([8]))


def test_rings_rest_when_the_cycles_are_over(load):
    log = load.bridge.run(rotation_rings(2, pages=8), cycles=500)
    assert 0 < len(log) < 2 * 8 * 32 * 16
    assert load.bridge.run(rotation_rings(2, pages=8), cycles=0).size == 0
