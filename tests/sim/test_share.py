"""Several hosted partitions that send at once: every byte arrives, and the wire is shared."""

import hashlib

import pytest

from byway.sim.scenarios import share as scenario
from byway.sim.scenarios.error import ScenarioError
from byway.sim.scenarios.share import ShareOptions, ShareResult, open_shared_engine, share
from byway.sim.wire.link_partner import LinkPartner

SEGMENT = 1448


def run(**options) -> ShareResult:
    chosen = ShareOptions(**options)
    engine = open_shared_engine(chosen)
    try:
        return share(engine, chosen)
    finally:
        engine.close()


def test_one_partition_alone_has_the_whole_wire():
    result = run(bytes=20_000)
    assert result.intact
    assert result.fairness == 1
    assert result.goodput_of_limit == pytest.approx(1, abs=1e-3)
    rates = (result.partition_goodput_min, result.partition_goodput_max)
    assert rates == (result.goodput_bits_per_second,) * 2
    assert result.data_frames == -(-20_000 // SEGMENT)
    assert (result.cpu_bytes_copied, result.retransmissions, result.faults) == (0, 0, 0)


def test_two_partitions_at_once_are_intact_and_get_their_fair_share():
    alone, both = run(bytes=64 << 10), run(bytes=64 << 10, hosted=2)
    assert both.intact
    assert (both.cpu_bytes_copied, both.retransmissions, both.faults) == (0, 0, 0)
    assert both.data_frames == 2 * alone.data_frames
    assert both.goodput_of_limit > 0.99
    # One after the other would take the second twice as long as the first: an index of 0.9.
    assert both.fairness > 0.98
    assert both.cycles < 2 * alone.cycles
    half = alone.goodput_bits_per_second / 2
    assert half * 0.98 < both.partition_goodput_min <= both.partition_goodput_max < half * 1.4


def test_same_seed_gives_the_same_run_and_another_seed_other_stalls():
    first = run(bytes=5000, memory_stalls=30_000, memory_latency=300, seed=1)
    assert first == run(bytes=5000, memory_stalls=30_000, memory_latency=300, seed=1)
    assert first.cycles != run(bytes=5000, memory_stalls=30_000, memory_latency=300, seed=2).cycles
    assert first.intact


def test_byte_that_changes_on_the_way_is_told(monkeypatch):
    class Forgetful(LinkPartner):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            self.digest = hashlib.sha256(b"something before")

    monkeypatch.setattr(scenario, "LinkPartner", Forgetful)
    result = run(bytes=100)
    assert not result.sha256_equal
    assert not result.intact


def test_frame_from_nobody_is_an_error(monkeypatch):
    """The adapter puts nothing on the wire but the frames of those who send."""

    class Renamed(scenario.Transfer):
        @property
        def mac(self) -> bytes:
            return bytes(6)

    monkeypatch.setattr(scenario, "Transfer", Renamed)
    with pytest.raises(ScenarioError, match="A frame from 02:00:00:00:00:"):
        run(bytes=100)
