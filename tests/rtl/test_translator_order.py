# amaranth: UnusedElaboratable=no
"""`Translator` keeps the order that AXI4 wants, and lets everything else pass."""

import random
from typing import Any

import pytest

from byway.rtl.translation.translator import Translator
from byway.sim.request_bench import make_request
from byway.sim.translator_bench import ENTRIES, PAUSE, TranslatorBench, granted, page


def order_of(bench, kind="read"):
    """IDs in the order in which they came out."""
    return [one.request.id for _cycle, one in bench.out[kind]]


def test_a_hit_passes_a_miss_of_another_id():
    bench = TranslatorBench(walk_latency=30)
    miss = make_request(page(2), id=1)
    hits = [make_request(page(1, 8 * number), id=2) for number in range(5)]
    bench.run(reads=[make_request(page(1)), PAUSE, miss, *hits])
    assert order_of(bench)[1:] == [2, 2, 2, 2, 2, 1]
    first_taken = bench.taken["read"][2][0]
    assert [cycle for cycle, _one in bench.out["read"]][1:6] == [
        first_taken + 5 + number for number in range(5)
    ]


def test_reads_of_an_id_wait_for_each_other_and_cost_the_walk_once():
    bench = TranslatorBench(walk_latency=30)
    miss = make_request(page(2), id=2)
    hits = [make_request(page(1, 8 * number), id=2) for number in range(5)]
    refused = make_request(page(1), id=2, user=5)
    reads, _ = bench.run(reads=[make_request(page(1)), PAUSE, miss, *hits, refused])
    assert [one.request.addr >> 12 for one in reads[1:7]] == [granted(0, 2), *[granted(0, 1)] * 5]
    assert reads[7].refused
    cycles = [cycle for cycle, _one in bench.out["read"]][1:]
    assert cycles == list(range(cycles[0], cycles[0] + 7))


def test_writes_wait_for_a_write_that_misses_and_reads_do_not():
    bench = TranslatorBench(walk_latency=30)
    requests = [make_request(page(1, 8 * number), id=number) for number in range(5)]
    warm = [make_request(page(1)), PAUSE]
    writes = [*warm, make_request(page(2), id=9), *requests]
    bench.run(reads=[*warm, *requests], writes=writes)
    assert order_of(bench, "write")[1:] == [9, 0, 1, 2, 3, 4]
    assert bench.out["read"][-1][0] < bench.out["write"][1][0]


@pytest.mark.parametrize(("blocked", "free"), [("reads", "writes"), ("writes", "reads")])
def test_what_nobody_takes_does_not_hold_up_the_other_kind(blocked, free):
    bench = TranslatorBench()
    requests = [make_request(page(1, 8 * number)) for number in range(30)]
    finished = []

    async def unblock(ctx):
        await ctx.tick().repeat(150)
        kind = free.removesuffix("s")
        finished.append(len(bench.out[kind]))
        stream = getattr(bench.dut, f"translated_{blocked}")
        ctx.set(stream.ready, 1)

    both: dict[str, Any] = {blocked: requests, free: requests}
    bench.run(**both, blocked=blocked, extra=[unblock])
    assert finished == [30]


@pytest.mark.parametrize("seed", range(6))
def test_writes_keep_their_order_and_reads_that_of_their_id_whatever_stalls(seed):
    rng = random.Random(f"order {seed}")
    walks = rng.choice([2, 8])
    bench = TranslatorBench(
        Translator(walks=walks, ahead=rng.choice([0, 1, 2]), iotlb_sets=rng.choice([2, 16])),
        walk_latency=rng.choice([1, 5, 40]),
    )
    pages = rng.choice([4, ENTRIES])
    ids = rng.choice([2, 64])
    requests = {"reads": [], "writes": []}
    for kind in requests:
        for _ in range(150):
            offset = 8 * rng.randrange(512)
            user = rng.randrange(2)
            address = page(rng.randrange(pages), offset)
            requests[kind].append(make_request(address, user=user, id=rng.randrange(ids)))
    idle, stall = rng.choice([0, 0.3]), rng.choice([0, 0.3])
    reads, writes = bench.run(**requests, rng=rng, idle=idle, stall=stall)

    def check(sent, got):
        for request, one in zip(sent, got, strict=True):
            where = f"seed {seed}, {request}"
            index, offset = request["addr"] >> 12, request["addr"] & 0xFFF
            assert not one.refused, where
            assert one.request.addr == granted(request["user"], index) << 12 | offset, where
            assert (one.request.id, one.request.user) == (request["id"], request["user"]), where

    check(requests["writes"], writes)
    for id_ in range(ids):
        sent = [request for request in requests["reads"] if request["id"] == id_]
        check(sent, [one for one in reads if one.request.id == id_])
    assert bench.misses + bench.prefetches == len(bench.walks), f"seed {seed}"
