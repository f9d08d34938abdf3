# amaranth: UnusedElaboratable=no
"""`Translator` is fast on hits, and misses share the time of their walks."""

import pytest

from byway.rtl.translation.translator import Translator
from byway.sim.request_bench import make_request
from byway.sim.translator_bench import PAUSE, TranslatorBench, page


def test_a_hit_takes_five_cycles():
    bench = TranslatorBench()
    bench.run(reads=[make_request(page(1)), PAUSE, make_request(page(1))])
    (_, hit) = bench.out["read"]
    (_, taken) = bench.taken["read"]
    assert hit[0] - taken[0] == 5
    assert (bench.misses, bench.hits) == (1, 1)


def test_a_miss_adds_three_cycles_and_the_walk():
    bench = TranslatorBench(walk_latency=20)
    bench.run(reads=[make_request(page(1))])
    ((taken, _),) = bench.taken["read"]
    ((out, _),) = bench.out["read"]
    assert out - taken == 5 + (20 + 1) + 3


def test_a_stream_of_hits_has_no_bubbles():
    bench = TranslatorBench()
    warm = [make_request(page(number)) for number in range(2)]
    requests = [make_request(page(number % 2, 8 * number)) for number in range(60)]
    bench.run(reads=[*warm, PAUSE, *requests])
    cycles = [cycle for cycle, _one in bench.out["read"]][2:]
    assert cycles == list(range(cycles[0], cycles[0] + 60))
    assert (bench.misses, bench.hits) == (2, 60)


def test_reads_and_writes_take_turns_without_bubbles():
    bench = TranslatorBench()
    requests = [make_request(page(1, 8 * number)) for number in range(30)]
    warm = [make_request(page(1)), PAUSE]
    bench.run(reads=[*warm, *requests], writes=[*warm, *requests])
    reads, writes = ([cycle for cycle, _one in bench.out[kind]][1:] for kind in ("read", "write"))
    both = sorted(reads + writes)
    assert both == list(range(both[0], both[0] + 60))
    assert reads == reads[:1] + [reads[0] + 2 * number for number in range(1, 30)]


def test_requests_behind_a_miss_of_their_own_page_join_its_walk():
    bench = TranslatorBench(walk_latency=10)
    bench.run(reads=[make_request(page(3, 8 * number)) for number in range(6)])
    assert (bench.misses, bench.hits) == (1, 0)


def test_behind_a_miss_that_is_over_hits_of_its_id_leave_no_bubbles():
    bench = TranslatorBench(walk_latency=30)
    hits = [make_request(page(1, 8 * number)) for number in range(100)]
    bench.run(reads=[make_request(page(1)), PAUSE, make_request(page(2)), *hits])
    cycles = [cycle for cycle, _one in bench.out["read"]][-80:]
    assert cycles == list(range(cycles[0], cycles[0] + 80))


@pytest.mark.parametrize(("walks", "rounds"), [(8, 1), (4, 2), (2, 4)])
def test_misses_share_the_time_of_their_walks(walks, rounds):
    latency = 100
    bench = TranslatorBench(Translator(walks=walks, ahead=0), walk_latency=latency)
    bench.run(reads=[make_request(page(7 * number), id=number) for number in range(8)])
    (first, *_rest, last) = [cycle for cycle, _one in bench.out["read"]]
    assert bench.misses == 8
    assert latency * (rounds - 1) <= last - first <= (latency + 12) * (rounds - 1) + 8
