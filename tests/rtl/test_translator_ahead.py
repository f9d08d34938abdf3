# amaranth: UnusedElaboratable=no
"""`Translator` walks for the next pages of a stream ahead of use, and for nothing else."""

import random

import pytest

from byway.rtl.translation.translator import Translator
from byway.sim.request_bench import make_request
from byway.sim.translator_bench import ENTRIES, PAUSE, TABLES, TranslatorBench, page


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_stream_has_its_next_pages_walked_for_ahead_of_use(ahead):
    bench = TranslatorBench(Translator(ahead=ahead), walk_latency=50)
    stream = [make_request(512 * number, id=number % 16) for number in range(8 * 30)]
    one_each = [one for request in stream for one in (request, PAUSE)][:-1]
    bench.run(reads=one_each)
    # The first page is not known to be streamed before its upper half is used.
    assert bench.misses == 1
    assert [index for _table, index, _user in bench.walks] == list(range(30 + ahead))
    assert bench.prefetches == 29 + ahead


@pytest.mark.parametrize(
    ("data_width", "size", "beats"), [(128, 4, 256), (128, 4, 129), (256, 5, 128), (1024, 7, 32)]
)
def test_a_burst_of_more_than_half_a_page_is_a_stream_by_itself(data_width, size, beats):
    bench = TranslatorBench(Translator(data_width=data_width), walk_latency=50)
    stream = [make_request(page(number), size=size, beats=beats) for number in range(8)]
    one_each = [one for request in stream for one in (request, PAUSE, PAUSE)][:-1]
    bench.run(reads=one_each)
    assert bench.misses == 1
    assert [index for _table, index, _user in bench.walks] == list(range(9))


@pytest.mark.parametrize(("data_width", "beats"), [(64, 256), (128, 128)])
def test_a_burst_of_half_a_page_alone_is_no_stream(data_width, beats):
    bench = TranslatorBench(Translator(data_width=data_width), walk_latency=50)
    size = data_width // 64 + 2
    bench.run(reads=[make_request(page(5), size=size, beats=beats)])
    assert (bench.misses, bench.prefetches) == (1, 0)


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_stream_that_is_faster_than_the_walks_has_them_side_by_side(ahead):
    bench = TranslatorBench(Translator(ahead=ahead), walk_latency=200)
    bench.run(reads=[make_request(512 * number, id=number % 16) for number in range(8 * 20)])
    assert bench.misses == 1
    # A page is all that can wait at a time; those ahead of it are there at once.
    last = bench.out["read"][-1][0]
    assert last < 210 * (1 + -(-20 // (ahead + 1)))


def test_scattered_accesses_walk_for_nothing_but_what_they_use():
    rng = random.Random(0)
    bench = TranslatorBench()
    pages = rng.sample(range(ENTRIES), 30)
    reads = [make_request(page(index, 8 * rng.randrange(512))) for index in pages]
    bench.run(reads=reads)
    assert (bench.prefetches, bench.misses) == (0, 30)


def test_nothing_past_the_end_of_a_window_is_walked_for_and_nobody_is_blamed():
    bench = TranslatorBench()
    bench.tables[TABLES[0], ENTRIES - 2] = None
    reads = [make_request(page(ENTRIES - 3, 512 * number)) for number in range(8)]
    last = [make_request(page(ENTRIES - 1, 512 * number)) for number in range(8)]
    bench.run(reads=[*reads, PAUSE, *last])
    assert {index for _table, index, _user in bench.walks} == {
        ENTRIES - 3,
        ENTRIES - 2,
        ENTRIES - 1,
    }
    assert not bench.faults
