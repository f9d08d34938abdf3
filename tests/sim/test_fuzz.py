"""Hostile drivers, 2,000 scenarios: nobody reaches what is not granted, nothing hangs or is lost.

The seeds are fixed; ``byway fuzz`` plays any others. What is played is no less than it was: each
part of it shows refusals, stops and grants that end under traffic.
"""

import collections
import shutil

import pytest

from byway.sim.fuzz.campaign import Totals
from byway.sim.fuzz.plan import DESIGNS, Host, plan_of
from byway.sim.fuzz.player import play
from byway.sw.contract.registers import FaultReason

#: The first to play a design compiles it.
pytestmark = pytest.mark.timeout(900)

SCENARIOS = 2000
PARTS = 40
PART = SCENARIOS // PARTS


def played(seeds, **options):
    totals = Totals()
    for seed in seeds:
        outcome = play(seed, **options)
        assert outcome.violation is None, f"seed {seed}: {outcome.violation}"
        totals.add(outcome)
    return totals


@pytest.mark.parametrize("part", range(PARTS))
def test_promises_are_kept(part):
    totals = played(range(part * PART, (part + 1) * PART))
    events = totals.events
    assert events["promised frames"] > 10 * PART
    assert events["markers on the wire"] > 100 * PART
    assert events["beats just before their grant ended"] > PART
    assert events["deaths"]
    assert events["panics"]
    assert {"read_denied", "not_mapped", "extent"} <= set(totals.faults)
    assert totals.stops
    assert {"success", "memory_refused", "length_mismatch", "fragment_count"} <= set(
        totals.completions
    )
    assert totals.hcalls["h_put_rtce H_SUCCESS"] > PART
    assert totals.hcalls["h_put_tce H_RESOURCE"]


def test_attacks_reach_every_corner():
    """Of the contract and of the manager: what never happens is not tested."""
    totals = played(range(5000, 5200))
    reasons = {reason.name.lower() for reason in FaultReason}
    # No ring is unbound, its window disabled, or served with bursts that the reader never makes;
    # what remains after the owner's death, which unbinds, is chance.
    rare = {"unbound", "window_disabled", "page_crossing", "burst_type"}
    assert reasons - rare <= set(totals.faults)
    assert {"descriptor_refused", "completion_refused", "doorbell_range"} <= set(totals.stops)
    assert {
        "success",
        "length_short",
        "length_mismatch",
        "fragment_count",
        "header_length",
        "offset_range",
        "flags_conflict",
        "not_granted",
        "memory_refused",
        "memory_error",
    } <= set(totals.completions)
    assert totals.events["segments"] > 200
    answers = collections.defaultdict(set)
    for what in totals.hcalls:
        name, code = what.split()
        answers[name].add(code)
    assert len(answers) == 18
    assert all("H_SUCCESS" in codes for codes in answers.values())
    assert sum(len(codes) for codes in answers.values()) > 50
    who = collections.Counter(what.partition(": ")[0] for what in totals.actions)
    assert who["hostile hosting"] == 15
    assert who["hostile client"] == 10


def test_seeds_draw_every_kind_of_machine():
    plans = [plan_of(seed) for seed in range(500)]
    assert {plan.host for plan in plans} == set(Host)
    assert {plan.design for plan in plans} == set(DESIGNS)
    assert {len(plan.hostile) for plan in plans} == {2, 3}
    assert all(any(plan.hostile) or plan.host is not Host.HONEST for plan in plans)
    assert all(not all(plan.hostile) for plan in plans), "somebody must behave well"
    assert {plan.manner.reorders for plan in plans} == {False, True}


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_comes_to_the_same_to_the_cycle(seed):
    assert play(seed) == play(seed)


@pytest.mark.skipif(shutil.which("clang++") is None, reason="clang is not installed")
def test_the_second_opinion_agrees():
    wide = [seed for seed in range(40) if plan_of(seed).design.data_width == 128]
    for seed in wide[:5]:
        assert play(seed, engine="cxxrtl") == play(seed)
