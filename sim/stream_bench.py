"""A bench for components with one stream in and one stream out, judged by the laws of streams.

Random idle cycles and backpressure come from the seed, so that a failure can be run again.
"""

import dataclasses
import random
from collections import deque
from collections.abc import Iterable
from typing import Any

from amaranth.sim import Simulator

__all__ = ["Exchange", "exchange"]

_QUIET = 20


@dataclasses.dataclass(frozen=True)
class Exchange:
    """What went through a component.

    Members
    -------
    taken : list of int
        The cycle in which each payload went in.
    given : list of int
        The cycle in which each payload came out.
    payloads : list
        What came out.
    """

    taken: list[int]
    given: list[int]
    payloads: list[Any]


def exchange(
    dut,
    source,
    sink,
    payloads: Iterable[Any],
    *,
    seed: str = "",
    idle: float = 0.0,
    stall: float = 0.0,
) -> Exchange:
    """Offer `payloads` on `source` and take what comes on `sink`, until nothing moves any more.

    What `sink` offers has to stay as it is until it is taken.
    """
    result = Exchange([], [], [])

    async def bench(ctx):
        rng = random.Random(seed)
        waiting = deque(payloads)
        offers = False
        held = None
        cycle = quiet = 0
        while quiet < _QUIET:
            if waiting and not offers and rng.random() >= idle:
                offers = True
                ctx.set(source.payload, waiting[0])
            ready = rng.random() >= stall
            ctx.set(source.valid, offers)
            ctx.set(sink.ready, ready)
            _clk, _rst, accepts, valid, payload = await ctx.tick().sample(
                source.ready, sink.valid, sink.payload
            )
            if held is not None:
                assert (valid, payload) == (1, held), f"cycle {cycle}, seed {seed!r}"
            held = payload if valid and not ready else None
            if offers and accepts:
                offers = False
                waiting.popleft()
                result.taken.append(cycle)
                quiet = 0
            elif valid or (waiting and not offers):
                quiet = 0
            else:
                quiet += 1
            if valid and ready:
                result.given.append(cycle)
                result.payloads.append(payload)
            cycle += 1
        assert not waiting, f"{len(waiting)} payloads were not taken, seed {seed!r}"

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return result
