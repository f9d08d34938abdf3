# amaranth: UnusedElaboratable=no
"""`TransmitRings` from doorbells to completions, among hostile descriptors and a hostile bus."""

import random

import pytest

from byway.rtl.bus.axi4 import PAGE_BYTES
from byway.rtl.contract.model import codes
from byway.rtl.transmit.rings import TransmitRings
from byway.sim.axi_memory_bench import AXITiming
from byway.sim.descriptor_bench import plain_request, plain_requests, random_request
from byway.sim.rings_bench import AWKWARD, OFFLOADS, RingBench, RingsBench

STATUS = codes("transmit_status")
IDEAL = AXITiming()


@pytest.mark.parametrize(
    ("data_width", "timing", "bursts"),
    [(64, IDEAL, (64, 3, 1)), (64, AWKWARD, (64, 64, 2)), (128, AWKWARD, (5, 1, 64))],
)
def test_every_frame_of_every_ring_is_completed(data_width, timing, bursts):
    seed = f"all {data_width} {timing.stall}"
    rng = random.Random(seed)
    rings = [
        RingBench(
            number,
            [random_request(rng, rng.getrandbits(32), bad=0.4) for _ in range(30)],
            size_log2=log2,
            granted=OFFLOADS if number else OFFLOADS - {"checksum_udp"},
            burst=burst,
        )
        for number, (log2, burst) in enumerate(zip((4, 5, 8), bursts, strict=True))
    ]
    bench = RingsBench(
        rings,
        seed=seed,
        data_width=data_width,
        timing=timing,
        path_stall=0.3,
        errors=0.2,
        delay=30,
    )
    bench.run()
    bench.check_completions()
    bench.check_requesters()
    statuses = [completion["status"] for ring in rings for completion in ring.completions]
    assert bench.dropped == sum(status != STATUS.SUCCESS for status in statuses)


def test_a_ring_may_be_longer_than_a_page():
    ring = RingBench(0, plain_requests(200), size_log2=8)
    bench = RingsBench([ring], seed="pages", delay=10)
    bench.run()
    bench.check_completions()
    assert len({burst.address // PAGE_BYTES for burst in bench.reads.read_bursts}) == 2


def test_first_fragment_leaves_four_cycles_after_the_last_beat():
    bench = RingsBench(
        [RingBench(0, [plain_request()], starts_at=20), RingBench(1, [])], seed="latency"
    )
    bench.run()
    events = bench.events
    # The doorbell is noted in the cycle before the one that it takes, as all else is afterwards.
    assert events["ar"][0] - events["doorbell"][0] == 4
    assert events["fragment"][0] - events["r"][-1] == 4


def test_one_ring_alone_starts_a_frame_every_six_cycles():
    bench = RingsBench([RingBench(0, plain_requests(64), size_log2=6)], seed="rate")
    bench.run()
    starts = bench.events["fragment"]
    assert (starts[-1] - starts[31]) / 32 <= 6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rings": 0}, "Rings must be 1 to 32, not 0"),
        ({"rings": 33}, "Rings must be 1 to 32, not 33"),
        ({"rings": 32, "read_id_width": 5}, "Read IDs must be 0 to 31, not 16 to 47"),
        ({"data_width": 256}, "Data width must be 64 or 128, not 256"),
    ],
)
def test_what_cannot_be_built_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        TransmitRings(**parameters)
