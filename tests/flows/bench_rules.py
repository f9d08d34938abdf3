"""Watches an AXI4 bus for its rules, whoever is on either side of it.

What each channel shows stays until it is taken [AMBA AXI4, IHI 0022, A3.2.1]. Bursts are of a type,
length and alignment that there is and stay in their page [A3.4.1], unless the master is one that
breaks that on purpose. A burst gets as many beats as it asked for, the last of them marked; a write
is answered after its last beat, and nothing else is answered [A3.3.1, A3.4.1].
"""

from collections import defaultdict, deque
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

__all__ = ["BusRules"]

_PAGE = 4096
_FIXED, _INCR, _WRAP = range(3)
_CHANNELS = {
    "ar": ("id", "addr", "len", "size", "burst", "user"),
    "aw": ("id", "addr", "len", "size", "burst", "user"),
    "w": ("data", "strb", "last"),
    "r": ("id", "data", "resp", "last"),
    "b": ("id", "resp"),
}
_EXOKAY = 1


class BusRules:
    """Fails the flow, from now on, as soon as a rule is broken on the bus with this `prefix`.

    Parameters
    ----------
    dut : cocotb's handle
    prefix : str
        For example ``m_axi``.
    legal : bool
        Bursts must be legal.

    Attributes
    ----------
    bursts : dict
        IDs of the bursts taken, by ``ar`` or ``aw``.
    """

    def __init__(self, dut: Any, prefix: str, *, legal: bool = True):
        self.bursts: dict[str, list[int]] = {"ar": [], "aw": []}
        self._dut = dut
        self._prefix = prefix
        self._legal = legal
        self._bus_bytes = len(getattr(dut, f"{prefix}_wstrb"))
        self._reads: defaultdict[int, deque[int]] = defaultdict(deque)  # Beats to come, by ID.
        self._writes: deque[list[int]] = deque()  # ID and beats to come of each, in order.
        self._early: deque[int] = deque()  # WLAST of beats that came before their address.
        self._unanswered: defaultdict[int, int] = defaultdict(int)
        cocotb.start_soon(self._watch())

    def check_idle(self) -> None:
        """Fail if anything was begun and has not ended."""
        reads = {identifier: list(left) for identifier, left in self._reads.items() if left}
        answers = {identifier for identifier, count in self._unanswered.items() if count}
        assert not reads, f"{self._prefix}: reads without an end, by ID: {reads}"
        assert not self._writes, f"{self._prefix}: writes without an end: {list(self._writes)}"
        assert not self._early, f"{self._prefix}: {len(self._early)} beats without an address"
        assert not answers, f"{self._prefix}: no answer to writes of the IDs {sorted(answers)}"

    async def _watch(self) -> None:
        dut, prefix = self._dut, self._prefix
        channels = [
            (
                name,
                getattr(dut, f"{prefix}_{name}valid"),
                getattr(dut, f"{prefix}_{name}ready"),
                [getattr(dut, f"{prefix}_{name}{field}") for field in fields],
            )
            for name, fields in _CHANNELS.items()
        ]
        waiting: dict[str, list[int]] = {}
        edge = RisingEdge(dut.clk)
        while True:
            await edge
            if dut.rst.value:
                waiting.clear()
                continue
            taken = {}
            for name, valid, ready, fields in channels:
                if not valid.value:
                    assert name not in waiting, f"{prefix}_{name}valid fell before it was taken"
                    continue
                shown = [int(field.value) for field in fields]
                before = waiting.pop(name, shown)
                assert shown == before, f"{prefix}_{name}: {shown} instead of {before}"
                if ready.value:
                    taken[name] = dict(zip(_CHANNELS[name], shown, strict=True))
                else:
                    waiting[name] = shown
            # Addresses first: an answer must come later than they, data may come before.
            for name in ("r", "b", "ar", "aw", "w"):
                if name in taken:
                    getattr(self, f"_take_{name}")(taken[name])

    def _check_burst(self, name: str, burst: dict[str, int]) -> None:
        self.bursts[name].append(burst["id"])
        if not self._legal:
            return
        where = f"{self._prefix}_{name}: {burst}"
        beats, width = burst["len"] + 1, 1 << burst["size"]
        assert width <= self._bus_bytes, f"{where} is wider than the bus"
        if burst["burst"] == _FIXED:
            assert beats <= 16, f"{where} is too long"
        elif burst["burst"] == _INCR:
            start = burst["addr"] // width * width
            assert start % _PAGE + beats * width <= _PAGE, f"{where} leaves its page"
        else:
            assert burst["burst"] == _WRAP, f"{where} has no type"
            assert beats in (2, 4, 8, 16), f"{where} cannot wrap"
            assert burst["addr"] % width == 0, f"{where} is not aligned"

    def _take_ar(self, burst: dict[str, int]) -> None:
        self._check_burst("ar", burst)
        self._reads[burst["id"]].append(burst["len"] + 1)

    def _take_aw(self, burst: dict[str, int]) -> None:
        self._check_burst("aw", burst)
        self._writes.append([burst["id"], burst["len"] + 1])
        while self._early and self._writes:
            self._count_data(self._early.popleft())

    def _take_w(self, beat: dict[str, int]) -> None:
        if self._writes:
            self._count_data(beat["last"])
        else:
            self._early.append(beat["last"])

    def _count_data(self, last: int) -> None:
        write = self._writes[0]
        write[1] -= 1
        assert last == (write[1] == 0), f"{self._prefix}_wlast: {write[1]} beats are to come"
        if last:
            self._unanswered[write[0]] += 1
            self._writes.popleft()

    def _take_r(self, beat: dict[str, int]) -> None:
        reads = self._reads[beat["id"]]
        assert reads, f"{self._prefix}_r: nothing was asked for with ID {beat['id']}"
        assert beat["resp"] != _EXOKAY, f"{self._prefix}_r: EXOKAY"
        reads[0] -= 1
        assert beat["last"] == (reads[0] == 0), f"{self._prefix}_rlast: {reads[0]} are to come"
        if beat["last"]:
            reads.popleft()

    def _take_b(self, answer: dict[str, int]) -> None:
        identifier = answer["id"]
        assert answer["resp"] != _EXOKAY, f"{self._prefix}_b: EXOKAY"
        self._unanswered[identifier] -= 1
        assert self._unanswered[identifier] >= 0, f"{self._prefix}_b: too early, ID {identifier}"
