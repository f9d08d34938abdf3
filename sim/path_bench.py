"""What stands around `ReadPath` and `WritePath` of `byway.rtl.translation`, for test benches.

`PathBench` is a translator that judges requests, a master that takes answers, and a memory. It
checks what the paths have in common: the order of answers, the bus, `idle` and the limit.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.sim.axi_memory_bench import AXIBurst, AXIMemoryBench, AXITiming, SparseMemory
from byway.sim.bench import stream_put
from byway.sim.request_bench import as_burst, make_request

__all__ = ["JudgedRequest", "PathBench", "answer_of", "random_requests", "single_beats"]

#: Pages, the last three of which answer EXOKAY, SLVERR, DECERR.
_PAGES = range(0x1000, 0x1008)


@dataclass
class JudgedRequest:
    """A request, as the translator gives it.

    Members
    -------
    fields : dict
        Of its address channel.
    refused : bool
        It must not reach the bus.
    answered : int
        Beats of answer that the master has.
    """

    fields: dict[str, int]
    refused: bool = False
    answered: int = 0

    @property
    def burst(self) -> AXIBurst:
        """As the memory is to see it, in cycle 0."""
        return as_burst(self.fields, self.fields["addr"])


def answer_of(request: JudgedRequest, memory: SparseMemory) -> Resp:
    """The reference: the response to every beat of a request, which lies in one page."""
    if request.refused:
        return Resp.DECERR
    response = memory.response(request.fields["addr"], 1)
    return Resp.SLVERR if response == Resp.DECERR else response


def random_requests(
    rng: random.Random, number: int, *, data_width: int, id_width: int, refused: float
) -> list[JudgedRequest]:
    """So many requests of every size, refused with a chance, the last of them granted."""
    requests = []
    for remaining in reversed(range(number)):
        size = rng.randrange((data_width // 8).bit_length())
        beats = rng.choice([1, 1, 2, 5, 16])
        offset = min(rng.randrange(PAGE_BYTES), PAGE_BYTES - (beats << size))
        fields = make_request(
            rng.choice(_PAGES) * PAGE_BYTES + offset,
            user=rng.getrandbits(8),
            beats=beats,
            size=size,
            id=rng.getrandbits(id_width),
        )
        requests.append(JudgedRequest(fields, remaining > 0 and rng.random() < refused))
    return requests


def single_beats(number: int) -> list[JudgedRequest]:
    """So many granted requests of one beat of 8 bytes."""
    base = _PAGES[0] * PAGE_BYTES
    return [JudgedRequest(make_request(base + 8 * place, id=place % 4)) for place in range(number)]


class PathBench:
    """See the module.

    Parameters
    ----------
    dut
        The path.
    requests : list of JudgedRequest
        What it is given.
    answers
        The stream that it answers the master on.
    judge : Callable
        Checks an answer to a request, given both; returns whether it is the last.
    outstanding : int
        Its limit.
    idle, stall : float
        Chance, each cycle, that no request comes; that the master takes no answer.
    timing : AXITiming or None
        Manners of the memory; None stands for an ideal one.

    Attributes
    ----------
    memory, memory_bench
        The memory, and its side of the bus.
    taken, ended : list of int
        Cycles in which requests were taken, and their last answers.
    most_under_way : int
        The most requests that were ever taken and not answered.
    """

    def __init__(
        self,
        dut: Any,
        requests: list[JudgedRequest],
        *,
        answers: Any,
        judge: Callable[[JudgedRequest, Any], bool],
        outstanding: int,
        seed: str = "",
        idle: float = 0.0,
        stall: float = 0.0,
        timing: AXITiming | None = None,
    ):
        self.dut, self.requests, self.answers, self.judge = dut, requests, answers, judge
        self.outstanding, self.seed, self.idle, self.stall = outstanding, seed, idle, stall
        self.memory = SparseMemory()
        for page, response in zip(_PAGES[-3:], list(Resp)[1:], strict=True):
            self.memory.fail(page * PAGE_BYTES, PAGE_BYTES, response)
        self.memory_bench = AXIMemoryBench(
            dut.m_axi, self.memory, timing=timing, rng=random.Random(f"memory {seed}")
        )
        self.taken: list[int] = []
        self.ended: list[int] = []
        self.most_under_way = 0

    async def _translate(self, ctx):
        rng = random.Random(f"translate {self.seed}")
        for request in self.requests:
            payload = {"request": request.fields, "refused": request.refused}
            await stream_put(ctx, self.dut.translated, payload, rng=rng, idle=self.idle)

    def _owed(self, pending, id):
        """The request that an answer with this ID belongs to; none overtakes a refused one."""
        place = next(n for n, request in enumerate(pending) if request.fields["id"] == id)
        assert not any(request.refused for request in pending[:place]), self.seed
        assert place == 0 or not pending[place].refused, self.seed
        return pending[place]

    async def _watch(self, ctx):
        """Take answers, and check every cycle, until everything is answered."""
        dut, answers = self.dut, self.answers
        rng = random.Random(f"answers {self.seed}")
        on_bus = [
            getattr(dut.m_axi, name)
            for name in ("arvalid", "awvalid", "wvalid")
            if name in dut.m_axi.signature.members
        ]
        signals = [dut.translated.valid & dut.translated.ready, dut.idle, Cat(on_bus).any()]
        pending: list[JudgedRequest] = []
        offered = None
        cycle = 0
        while len(self.ended) < len(self.requests):
            ready = rng.random() >= self.stall
            ctx.set(answers.ready, ready)
            _edge, _reset, takes, idle, offers, valid, answer = await ctx.tick().sample(
                *signals, answers.valid, answers.payload
            )
            assert idle == (not pending and not offers), self.seed
            assert offered is None or (valid and answer == offered), self.seed
            offered = answer if valid and not ready else None
            if valid and ready:
                request = self._owed(pending, answer.id)
                is_last = self.judge(request, answer)
                request.answered += 1
                if is_last:
                    pending.remove(request)
                    self.ended.append(cycle)
            if takes:
                pending.append(self.requests[len(self.taken)])
                self.taken.append(cycle)
            self.most_under_way = max(self.most_under_way, len(pending))
            assert self.most_under_way <= self.outstanding, self.seed
            cycle += 1
            assert cycle < 30_000, f"some were never answered, seed {self.seed}"
        await ctx.tick()
        assert ctx.get(dut.idle), self.seed

    def run(self, memory_side, *others, background=()):
        """Run until all is answered and the `others` end, with this side of the memory."""
        simulator = Simulator(self.dut)
        simulator.add_clock(8e-9)
        for testbench in (memory_side, *background):
            simulator.add_testbench(testbench, background=True)
        for testbench in (self._translate, self._watch, *others):
            simulator.add_testbench(testbench)
        simulator.run()

    def check_bus(self, bursts: list[AXIBurst]) -> None:
        """Of the requests, those granted went to the bus, in order, and no others."""
        seen = [(burst.id, burst.address, burst.beats, burst.size, burst.user) for burst in bursts]
        granted = [request.burst for request in self.requests if not request.refused]
        assert seen == [
            (burst.id, burst.address, burst.beats, burst.size, burst.user) for burst in granted
        ], self.seed
