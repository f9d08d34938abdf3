# amaranth: UnusedElaboratable=no
"""`TranslationBridge` between an awkward master and an awkward memory.

The reference is that of `byway.sim.tables_bench`: random traffic of several requesters, good and
bad, must have exactly the effects that the tables in memory grant.
"""

import random

import pytest

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract.model import codes
from byway.rtl.translation.bridge import TranslationBridge
from byway.sim.axi_memory_bench import AXITiming
from byway.sim.bridge_bench import AWKWARD, WALK_ID, BridgeBench
from byway.sim.request_bench import make_request
from byway.sim.tables_bench import ENTRIES, READ_PAGE, TABLE_PAGE, WRITE_PAGE, write_element

Reason = codes("fault_reason")


@pytest.mark.parametrize(
    ("seed", "idle", "stall", "timing"),
    [
        (0, 0.0, 0.0, AXITiming()),
        (1, 0.3, 0.3, AWKWARD),
        (2, 0.0, 0.5, AXITiming(latency=(1, 9), ready_after_valid=True, reorder=True)),
    ],
)
def test_random_traffic_is_translated_or_refused_as_the_tables_say(seed, idle, stall, timing):
    rng = random.Random(f"traffic {seed}")
    bench = BridgeBench(timing=timing, seed=seed)
    bench.memory.fail((READ_PAGE + 0x104 << 12) + 0x800, 0x400, Resp.SLVERR)
    bench.memory.fail((WRITE_PAGE + 0x203 << 12) + 0x800, 0x800, Resp.DECERR)
    # What may be both read and written is only read, so that a read's answer is known.
    pages = range(ENTRIES + 1)
    only_written = [index for index in pages for _ in range(index % 2 * 3 + 1) if index % 5]
    read = [index for index in pages for _ in range(4 - index % 2 * 3)]
    for _ in range(90):
        bench.reads.append(bench.random_request(rng, indexes=read))
        request = bench.random_request(rng, indexes=only_written)
        bench.add_write(request, rng)
    bench.run(idle=idle, stall=stall)
    reasons = bench.check_all()
    assert set(reasons) == {*Reason}, f"seed {seed}: {reasons}"
    assert bench.pulses["hit"] > 20, f"seed {seed}"


def test_256_requesters_reach_256_windows_each_its_own():
    rng = random.Random("256")
    numbers = list(range(256))
    windows = rng.sample(numbers, 256)
    unbound, disabled = rng.sample(numbers, 20), rng.sample(numbers, 20)
    bench = BridgeBench(
        requesters=256,
        windows=256,
        bindings={user: window for user, window in enumerate(windows) if user not in unbound},
        enabled={window for window in windows if window not in disabled},
    )
    for user in rng.sample(numbers, 256):
        bench.reads.append(make_request(rng.randrange(ENTRIES) << 12, user=user))
        bench.reads.append(bench.random_request(rng, indexes=range(0, ENTRIES, 2), users=numbers))
        request = bench.random_request(rng, indexes=range(1, ENTRIES, 5), users=numbers)
        bench.add_write(request, rng)
    bench.run()
    reasons = bench.check_all()
    assert reasons[Reason.UNBOUND] >= 20
    assert reasons[Reason.WINDOW_DISABLED] >= 18  # Some of them no requester has.


def test_a_binding_and_a_window_that_change_count_for_the_next_request():
    bench = BridgeBench()
    bench.reads = ([make_request(0), None] * 5)[:-1]
    table = {"table_base_page": TABLE_PAGE + 2, "size_entries": ENTRIES}

    async def change(ctx):
        dut = bench.dut
        for number, (valid, window, enable) in enumerate(
            ((0, 1, 1), (1, 3, 0), (1, 200, 1), (1, 3, 1)), 1
        ):
            while bench.answered["r"] < number:
                await ctx.tick()
            await write_element(ctx, dut.binding, "manager.binding", 0, valid=valid, window=window)
            await write_element(ctx, dut.window, "window.window", 3, **table, control_enable=enable)

    bench.run(extra=[change])
    granted = [burst for burst in bench.memory_bench.read_bursts if not burst.id & WALK_ID]
    assert [burst.address >> 12 for burst in granted] == [READ_PAGE + 0x100, READ_PAGE + 0x200]
    answers = [beat["resp"] for beat in bench.answers["r"][0]]
    assert answers == [Resp.OKAY, Resp.DECERR, Resp.DECERR, Resp.DECERR, Resp.OKAY]
    refused = [fields[1:3] for _kind, fields in bench.records]
    assert refused == [
        (0, Reason.UNBOUND),
        (3, Reason.WINDOW_DISABLED),
        (200, Reason.WINDOW_DISABLED),
    ]


def latencies(bench, kind, bus):
    """Cycles from being taken from the master to being taken by the bus, of each address."""
    walks = len(bench.events[bus]) - len(bench.events[kind])
    assert walks == (1 if bus == "m_ar" and bench.pulses["miss"] else 0)
    pairs = zip(bench.events[kind], bench.events[bus][walks:], strict=True)
    return [out - into for into, out in pairs]


def test_a_hit_takes_six_cycles_to_the_bus():
    request = make_request(0)
    for kind, bus in (("ar", "m_ar"), ("aw", "m_aw")):
        bench = BridgeBench()
        if kind == "ar":
            bench.reads = [request, None, request]
        else:
            for _ in range(2):
                bench.add_write(request, random.Random(0))
            bench.writes.insert(1, None)
        bench.run()
        assert latencies(bench, kind, bus)[1] == 6, kind


def test_a_miss_adds_five_cycles_and_the_latency_of_the_memory():
    for latency in (1, 31):
        bench = BridgeBench(timing=AXITiming(latency=(latency, latency)))
        bench.reads = [make_request(0)]
        bench.run()
        assert latencies(bench, "ar", "m_ar") == [6 + 5 + latency]


def test_hits_leave_no_cycle_unused_on_any_channel():
    bench = BridgeBench()
    rng = random.Random(0)
    requests = [make_request(8 * number, id=number % 4) for number in range(40)]
    bench.reads = [make_request(0), None, *requests]
    for request in [make_request(0), *requests]:
        bench.add_write(request, rng)
    bench.writes.insert(1, None)
    bench.run()
    # An address a cycle, reads and writes together.
    both = sorted(bench.events["m_ar"][2:] + bench.events["m_aw"][1:])
    assert both == list(range(both[0], both[0] + 80))

    bench = BridgeBench()
    bench.reads = [make_request(0), None]
    bench.reads += [make_request(0x100 * (number % 8), beats=32) for number in range(16)]
    bench.run()
    beats = bench.events["r"][1:]
    assert beats == list(range(beats[0], beats[0] + 512)), "R has gaps"


def test_the_counts_of_hits_walks_and_refusals_are_exact():
    bench = BridgeBench()
    pages = [(0, 0), (0, 0), (2, 0), (0, 1), (0, 2), (0, 0), (1, 0), (6, 0), (6, 0)]
    requests = [make_request(page << 12, user=user) for page, user in pages]
    requests += [make_request(0, user=3), make_request(0, user=4)]
    bench.reads = [one for request in requests for one in (request, None)][:-1]
    bench.run()
    # Pages 0 and 2 of window 1, page 0 of window 2, shared by two requesters; page 1, which may
    # only be written, is kept as well; page 6 is not mapped, and walked each time.
    assert bench.pulses["miss"] == 4 + 2
    assert bench.pulses["hit"] == 3
    assert bench.pulses["fault"] == 1 + 2 + 2
    bench.check_all()


def test_a_full_fault_log_counts_what_it_loses():
    """Of 16 places 5 are kept, one for each requester: one that storms has as many as are left."""
    bench = BridgeBench()
    bench.reads = [make_request(number << 12, user=3) for number in range(14)]
    seen = []

    async def look(ctx):
        await ctx.tick().repeat(200)
        dut = bench.dut
        seen.append((ctx.get(dut.fault_status.valid), ctx.get(dut.fault_status.lost)))
        seen.append((ctx.get(dut.fault_record.reason), ctx.get(dut.fault_address)))

    bench.run(extra=[look], manage=False)
    assert seen == [(1, 3), (Reason.UNBOUND, 0)]
    assert bench.pulses["fault"] == 14


@pytest.mark.parametrize("refused_user", [0, 3])
def test_answers_of_one_id_keep_their_order_around_a_refusal(refused_user):
    timing = AXITiming(latency=(40, 40))
    bench = BridgeBench(timing=timing, seed=refused_user)
    rng = random.Random(0)
    for user in (0, refused_user, 0):
        bench.reads.append(make_request(0, user=user, beats=3, id=5))
        bench.add_write(make_request(5 << 12, user=user, beats=2, id=5), rng)
    bench.run()
    bench.check_all()


def test_a_refused_write_that_waits_for_its_data_holds_up_no_read():
    bench = BridgeBench()
    bench.reads = [make_request(8 * number) for number in range(30)]
    bench.writes = [make_request(0, user=3) for _ in range(10)]
    seen = []

    async def write_late(ctx):
        axi = bench.dut.s_axi
        await ctx.tick().repeat(300)
        seen.append(bench.answered["r"])
        ctx.set(axi.wlast, 1)
        ctx.set(axi.wvalid, 1)
        for _ in range(10):
            await ctx.tick().until(axi.wready)
        ctx.set(axi.wvalid, 0)

    bench.run(extra=[write_late])
    assert seen == [30]
    assert bench.answered["b"] == 10
    assert not bench.events["m_aw"]


def test_the_exported_ports_have_the_standard_names():
    names = {"_".join(map(str, path)) for path, *_rest in flattened(TranslationBridge())}
    assert {"s_axi_arready", "m_axi_awuser", "binding_write_data", "window_read_index"} <= names


def flattened(component):
    return component.signature.flatten(component)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"requesters": 0}, "Requesters must be 1 to 256, not 0"),
        ({"requesters": 3, "user_width": 1}, "Requesters must be 1 to 2, not 3"),
        ({"user_width": 9}, "User width must be 1 to 8 bits, not 9"),
        ({"windows": 300}, "Windows must be 1 to 256, not 300"),
        ({"data_width": 32}, "Data width must be at least 64 bits, not 32"),
        ({"iotlb_sets": 3}, "Sets must be a power of two, at least 2, not 3"),
        (
            {"outstanding": 3},
            "Outstanding transactions must be a power of two, at least 2, not 3",
        ),
        ({"id_width": 0}, "ID width must be a positive integer, not 0"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        TranslationBridge(**parameters)
