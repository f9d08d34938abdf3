"""One truth: whatever simulator runs the adapter, the same happens in the same cycles.

Every flow of `byway.sim.flows`, and random mixtures of all that they do, with memories of random
manners: every value read, every change of an interrupt line and every frame are equal, with their
cycles, and so is the whole memory in the end. What is compared is that with the native engine,
which is the fastest; Amaranth's simulator runs the beginnings of some. The seed is drawn anew, is
shown where a test fails, and can be given again as BYWAY_SEED.
"""

import dataclasses
import functools
import itertools
import os
import random
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

from byway.rtl.contract.model import register_space
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.engines.open_engine import open_engine
from byway.sim.flows import mixed, refusals, registers, switches, transmit
from byway.sim.flows.engine_bench import Outcome, run_flow
from byway.sim.flows.flow import Flow, flows_of
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    MANAGER_PAGE,
    AdapterPage,
    DoorbellPage,
    ManagerPage,
)

FLOWS = [
    flow for module in (transmit, refusals, switches, registers, mixed) for flow in flows_of(module)
]
#: Those whose first cycles show the most.
BEGINNINGS = [
    transmit.a_frame_of_each_kind,
    transmit.two_rings_under_stalls,
    refusals.data_that_is_not_granted_stays_in_memory,
    refusals.a_stopped_ring_starts_anew_and_disturbs_no_other,
    refusals.a_grant_taken_back_under_traffic_is_gone,
    switches.interrupts_follow_their_masks,
]
#: What not everybody has.
PROGRAMS = {"cxxrtl": "clang++", "icarus": "iverilog"}


def needs(engine: str) -> pytest.MarkDecorator:
    program = PROGRAMS.get(engine)
    missing = program is not None and shutil.which(program) is None
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")


WIDE = functools.partial(SharedAdapter, rings=4, data_width=128)
XGMII = functools.partial(SharedAdapter, data_width=128, wire="xgmii")
#: Engines that run whole flows.
WHOLE = ["verilator", pytest.param("cxxrtl", marks=needs("cxxrtl"))]
#: Engines whose time leaps.
LEAPING = ["native", pytest.param("cxxrtl", marks=needs("cxxrtl"))]
#: Engine, maker of the adapter, turns of a mixture, cycle after which it is broken off.
MIXTURES = [
    *[("verilator", SharedAdapter, 150, None)] * 5,
    *[("verilator", WIDE, 150, None)] * 2,
    *[("verilator", XGMII, 150, None)] * 3,
    *[("amaranth", SharedAdapter, 50, 3000)] * 2,
    ("amaranth", WIDE, 50, 2500),
    ("amaranth", XGMII, 50, 2500),
    ("icarus", SharedAdapter, 50, 10_000),
    *[("cxxrtl", SharedAdapter, 150, None)] * 3,
    ("cxxrtl", WIDE, 150, None),
    *[("cxxrtl", XGMII, 150, None)] * 2,
]


@pytest.fixture
def seed() -> str:
    """Shown by pytest if the test fails."""
    seed = os.environ.get("BYWAY_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"repeat with BYWAY_SEED={seed}")
    return seed


def expect_the_same(
    flow: Flow, engine: str, make: Callable[[], SharedAdapter] = SharedAdapter, **options: Any
) -> None:
    native, other = (run_flow(flow, name, make, **options) for name in ("native", engine))
    assert native.difference(other) is None


@pytest.mark.parametrize("engine", WHOLE)
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_flow_is_the_same_on_the_fast_engines(flow, engine, seed):
    expect_the_same(flow, engine, seed=seed)


@pytest.mark.parametrize("flow", BEGINNINGS, ids=lambda flow: flow.name)
def test_flows_begin_alike_on_amaranth(flow, seed):
    expect_the_same(flow, "amaranth", seed=seed, limit=2500)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_flow_passes_over_xgmii(flow, seed):
    """They judge for themselves what leaves."""
    assert run_flow(flow, "native", XGMII, seed=seed).events


@pytest.mark.parametrize("flow", BEGINNINGS, ids=lambda flow: flow.name)
def test_flows_are_the_same_over_xgmii(flow, seed):
    expect_the_same(flow, "verilator", XGMII, seed=seed)


@needs("icarus")
def test_a_small_flow_is_the_same_on_icarus(seed):
    expect_the_same(transmit.a_frame_of_each_kind, "icarus", seed=seed)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=needs(engine), id=f"{number}-{engine}")
        for number, (engine, *_more) in enumerate(MIXTURES)
    ],
)
def test_mixtures_are_the_same_whatever_the_memory(number, seed):
    engine, make, turns, limit = MIXTURES[number]
    manner = mixed.random_manner(random.Random(f"{seed} {number}"))
    print(engine, manner)
    flow = mixed.mixture(turns, honest=not manner.errors)
    expect_the_same(flow, engine, make, seed=f"{seed} {number}", manner=manner, limit=limit)


def last_reads(outcome: Outcome) -> dict[int, int]:
    reads = (event.values for event in outcome.events if event.what == "read")
    return {offset: value for offset, value in reads}


def test_mixtures_show_what_they_are_meant_to():
    """So that engines that agree do not agree on nothing."""
    outcomes = [run_flow(mixed.MIXTURE, "native", SharedAdapter, seed=str(n)) for n in range(3)]
    counters = ("frames", "segments", "dropped", "faults", "iotlb_hits", "iotlb_misses")
    places = {path[-1]: address for path, address, _register in register_space().registers()}
    for outcome in outcomes:
        reads = last_reads(outcome)
        assert all(reads[places[name]] for name in counters)
        assert reads[places["frames"]] == len(outcome.frames) > 20
    seen = {(event.what, event.values) for outcome in outcomes for event in outcome.events}
    assert {values[:2] for what, values in seen if what == "lines"} == {
        *itertools.product((False, True), repeat=2)
    }
    assert "read refused" in {what for what, _values in seen}
    assert all(one.difference(other) for one, other in itertools.combinations(outcomes, 2))


def test_the_least_difference_is_told():
    flow = transmit.a_frame_of_each_kind
    outcome, again, slower = (
        run_flow(flow, "native", SharedAdapter, seed="1", manner=MemoryManner(latency=latency))
        for latency in (5, 5, 6)
    )
    assert outcome.difference(again) is None
    assert outcome.difference(slower) is not None
    frame = dataclasses.replace(outcome.frames[2], last_cycle=outcome.frames[2].last_cycle + 1)
    frames = [*outcome.frames[:2], frame, *outcome.frames[3:]]
    for name, value, words in (
        ("frames", frames, "frames[2]: "),
        ("frames", outcome.frames[:-1], f"frames[{len(frames) - 1}]: "),
        ("events", outcome.events[:-1], f"events[{len(outcome.events) - 1}]: "),
        ("cycle", outcome.cycle + 1, "cycle "),
        ("memory", "", "cycle "),
    ):
        changed = dataclasses.replace(outcome, **{name: value})
        assert (outcome.difference(changed) or "").startswith(words)


BOARD = BoardParameters(memory_bytes=1 << 20, memory=MemoryManner(latency=3))


def idle_with_interruptions(name: str) -> list[tuple[int, int, bool]]:
    """Cycles and values of register accesses between stretches in which the adapter rests."""
    engine = open_engine(name, SharedAdapter, BOARD)
    rng = random.Random(20)
    manager, adapter = (
        ManagerPage(engine.registers, MANAGER_PAGE),
        AdapterPage(engine.registers, ADAPTER_PAGE),
    )
    shown = []
    try:
        for number in range(60):
            engine.run(rng.choice([1, 31, 32, 33, 34, 64, 65, 97, 400]))
            if number == 30:
                # A doorbell into a ring without entries: it fetches, and is refused.
                adapter.ring[0].control.write(enable=1)
                DoorbellPage(engine.registers, DOORBELL_PAGE).transmit.write(producer=1)
                manager.interrupt_enable.write(fault=1)
            shown.append((engine.cycle, engine.registers.read(0), engine.manager_interrupt))
    finally:
        engine.close()
    return shown


@pytest.fixture(scope="module")
def idle_on_amaranth():
    shown = idle_with_interruptions("amaranth")
    assert {interrupt for _cycle, _value, interrupt in shown} == {False, True}
    return shown


@pytest.mark.parametrize("name", LEAPING)
def test_rest_makes_no_difference(name, idle_on_amaranth):
    """The native engines leap over cycles in which nothing changes."""
    assert idle_with_interruptions(name) == idle_on_amaranth


@pytest.mark.parametrize("name", LEAPING)
def test_a_second_at_rest_takes_no_time(name):
    engine = open_engine(name, SharedAdapter, BOARD)
    begun = time.monotonic()
    for _ in range(1000):
        engine.run(125_000)
        engine.registers.read(0)
    assert engine.cycle >= 125_000_000
    assert time.monotonic() - begun < 10, "a thousandth of what it takes cycle by cycle"
    engine.close()
