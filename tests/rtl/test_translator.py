# amaranth: UnusedElaboratable=no
"""`Translator` lets through what a TCE grants and refuses the rest with a reason.

Bursts are judged by the addresses of all their beats, computed one by one as AXI4 defines them
[A3.4.1].
"""

import random
from typing import Any

import pytest

from byway.rtl.bus.axi4 import Burst
from byway.rtl.contract.model import codes
from byway.rtl.translation.translator import Translator
from byway.sim.request_bench import make_request
from byway.sim.translator_bench import ENTRIES, PAUSE, TABLES, TranslatorBench, granted, page

Reason = codes("fault_reason")


def expect_refused(bench, translated, reason, request, *, write=False, window=None):
    """One request was refused, and its fault tells everything of it."""
    assert translated.refused
    (fault,) = bench.faults
    assert fault.record.reason == reason
    assert fault.record.requester == request["user"]
    assert fault.record.window == (request["user"] if window is None else window)
    assert fault.record.write == write
    assert fault.address == request["addr"]


def test_a_granted_page_is_translated_and_everything_else_of_the_request_stays():
    bench = TranslatorBench()
    request = make_request(page(5, 0x678), user=1, beats=4, size=2, id=0x2A)
    (read,), (write,) = bench.run(reads=[request], writes=[request])
    for translated in (read, write):
        assert not translated.refused
        got = {name: getattr(translated.request, name) for name in request}
        assert got == request | {"addr": granted(1, 5) << 12 | 0x678}
    assert not bench.faults


def test_a_request_of_nobody_is_unbound():
    bench = TranslatorBench()
    request = make_request(page(1), user=2)
    (read,), _ = bench.run(reads=[request])
    expect_refused(bench, read, Reason.UNBOUND, request, window=0)
    assert not bench.walks


def test_a_requester_whose_binding_is_not_valid_is_unbound():
    bench = TranslatorBench()
    request = make_request(page(1), user=1)
    (read,), _ = bench.run(
        reads=[request], setup=lambda ctx, bench: ctx.set(bench.binding[1].valid, 0)
    )
    expect_refused(bench, read, Reason.UNBOUND, request, window=0)
    assert not bench.walks


@pytest.mark.parametrize("window", [3, 4, 255])
def test_a_window_that_is_off_or_does_not_exist_is_disabled(window):
    bench = TranslatorBench()
    request = make_request(page(1), user=1)
    _, (write,) = bench.run(
        writes=[request], setup=lambda ctx, bench: ctx.set(bench.binding[1].window, window)
    )
    expect_refused(bench, write, Reason.WINDOW_DISABLED, request, write=True, window=window)
    assert not bench.walks


@pytest.mark.parametrize("index", [ENTRIES, ENTRIES + 1, 1 << 31, 1 << 32, 1 << 51, (1 << 52) - 1])
def test_a_page_past_the_table_is_an_extent_error(index):
    bench = TranslatorBench()
    request = make_request(page(index))
    (read,), _ = bench.run(reads=[request])
    expect_refused(bench, read, Reason.EXTENT, request)
    assert not bench.walks


def test_a_window_of_no_entries_has_no_page():
    bench = TranslatorBench()
    request = make_request(page(0))
    (read,), _ = bench.run(
        reads=[request], setup=lambda ctx, bench: ctx.set(bench.window[0].entries, 0)
    )
    expect_refused(bench, read, Reason.EXTENT, request)


@pytest.mark.parametrize(
    ("permissions", "write", "reason"),
    [
        ((0, 0), False, Reason.NOT_MAPPED),
        ((0, 0), True, Reason.NOT_MAPPED),
        ((0, 1), False, Reason.READ_DENIED),
        ((1, 0), True, Reason.WRITE_DENIED),
        (None, False, Reason.TABLE_ERROR),
        (None, True, Reason.TABLE_ERROR),
    ],
)
def test_what_the_table_does_not_permit_is_refused_by_walk_and_by_hit(permissions, write, reason):
    bench = TranslatorBench()
    bench.tables[TABLES[1], 7] = permissions and (granted(1, 7), *permissions)
    request = make_request(page(7, 0x10), user=1)
    requests: dict[str, Any] = {"writes" if write else "reads": [request, PAUSE, request]}
    translated = bench.run(**requests)[write]
    assert all(one.refused for one in translated)
    assert [fault.record.reason for fault in bench.faults] == [reason, reason]
    # An entry that permits anything was kept, the others were asked for again.
    kept = permissions is not None and any(permissions)
    assert (bench.misses, bench.hits) == ((1, 1) if kept else (2, 0))
    assert bench.walks == [(TABLES[1], 7, 1)] * bench.misses


def beat_addresses(request):
    """Address of the first byte of each beat, and bytes of a beat [A3.4.1]."""
    width = 1 << request["size"]
    beats = request["len"] + 1
    start = request["addr"]
    if request["burst"] == Burst.FIXED:
        return [start] * beats, width
    aligned = start & -width
    addresses = [start] + [aligned + number * width for number in range(1, beats)]
    if request["burst"] == Burst.WRAP:
        total = width * beats
        lower = start // total * total
        addresses = [lower + (address - lower) % total for address in addresses]
    return addresses, width


@pytest.mark.parametrize("seed", range(2))
def test_only_bursts_that_stay_in_their_page_pass(seed):
    rng = random.Random(seed)
    requests, expected = [], []
    for _ in range(400):
        beats = rng.choice([1, 2, 4, 8, 16, 256, rng.randint(1, 256)])
        size = rng.choice([0, 1, 2, 3, 3, 3, 4, 7])
        burst = rng.choice([0, 1, 1, 1, 2, 3])
        offset = rng.choice([rng.randrange(4096), 4096 - min(4096, beats << size)])
        offset = min(4095, max(0, offset + rng.choice([0, 0, 0, -1, 1])))
        request = make_request(
            page(rng.randrange(ENTRIES), offset), beats=beats, size=size, burst=burst
        )
        requests.append(request)
        if burst == 3 or size > 3 or (burst == Burst.WRAP and beats not in (2, 4, 8, 16)):
            expected.append(Reason.BURST_TYPE)
            continue
        addresses, width = beat_addresses(request)
        pages = {address >> 12 for address in addresses}
        pages |= {(address & -width) + width - 1 >> 12 for address in addresses}
        expected.append(None if len(pages) == 1 else Reason.PAGE_CROSSING)

    bench = TranslatorBench(walk_latency=1)
    reads, _ = bench.run(reads=requests)
    faults = iter(bench.faults)
    for request, read, reason in zip(requests, reads, expected, strict=True):
        got = next(faults).record.reason if read.refused else None
        assert got == reason, f"seed {seed}, {request}"
    for reason in (None, Reason.BURST_TYPE, Reason.PAGE_CROSSING):
        assert reason in expected


def test_on_hold_nothing_enters_and_what_is_inside_ends():
    bench = TranslatorBench()
    dut = bench.dut
    requests = [make_request(page(number % 4, 8 * number)) for number in range(40)]
    seen = []

    async def hold(ctx):
        await ctx.tick().repeat(30)
        ctx.set(dut.hold, 1)
        await ctx.tick().until(dut.idle)
        before = len(bench.out["read"])
        await ctx.tick().repeat(20)
        seen.append((before, len(bench.out["read"])))
        ctx.set(dut.hold, 0)

    reads, _ = bench.run(reads=requests, extra=[hold])
    ((before, after),) = seen
    assert 0 < before == after < 40
    assert len(reads) == 40


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"user_width": 9}, "User width must be 1 to 8 bits, not 9"),
        ({"windows": 0}, "Windows must be 1 to 256, not 0"),
        ({"walks": 3}, "Walks must be a power of two, at least 2, not 3"),
        ({"ahead": -1}, "Pages ahead must be 0 or more, not -1"),
        ({"room": 3}, "Room must be a power of two, at least 2, not 3"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Translator(**parameters)
