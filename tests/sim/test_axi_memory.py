"""The board's AXI memory answers in the very cycles that it promises, and keeps AXI's rules.

It sees packed vectors, so no simulator runs. Rules: AMBA AXI4, IHI 0022, A3.2.1, A3.3, A3.4.1,
A3.4.3, A3.4.4.
"""

import itertools
import random
from typing import Any

import pytest

from byway.rtl.bus.axi4 import Burst, Resp
from byway.sim.board.axi_memory import AxiMemory, MemoryManner
from byway.sim.board.pins import Pins
from byway.sim.board_bench import adapter_pins, pack, unpack


class MemoryMaster:
    """Drives an `AxiMemory` by vectors; keeps every beat and response with its cycle."""

    def __init__(self, pins: Pins, storage: bytearray, **more: Any):
        self.pins = pins
        manner = MemoryManner(**more)
        self.memory = AxiMemory(pins, storage, manner)
        self.cycle = 0
        self.reads: list[tuple[int, int, int, int, int]] = []  # cycle, id, data, resp, last
        self.responses: list[tuple[int, int, int]] = []  # cycle, id, resp
        self.rready = self.bready = 1

    def tick(self, **outputs: int) -> dict[str, int]:
        """Show `outputs` without their prefix for a cycle; returns the inputs without theirs."""
        outputs = {"rready": self.rready, "bready": self.bready, **outputs}
        vector = self.memory.tick(self.cycle, pack(self.pins.outputs, "m_axi_", **outputs))
        seen = unpack(self.pins.inputs, vector, "m_axi_")
        if seen["rvalid"] and outputs["rready"]:
            beat = (seen["rid"], seen["rdata"], seen["rresp"], seen["rlast"])
            self.reads.append((self.cycle, *beat))
        if seen["bvalid"] and outputs["bready"]:
            self.responses.append((self.cycle, seen["bid"], seen["bresp"]))
        self.cycle += 1
        return seen

    def address(self, kind: str, at: int, beats: int = 1, size: int = 3, **more: int) -> int:
        """Show an address until it is taken; returns the cycle in which it was."""
        fields = {"id": 1, "addr": at, "len": beats - 1, "size": size, "burst": Burst.INCR, **more}
        shown = {f"a{kind}{name}": value for name, value in fields.items()}
        for _ in range(100):
            if self.tick(**shown, **{f"a{kind}valid": 1})[f"a{kind}ready"]:
                return self.cycle - 1
        raise AssertionError("the memory takes no address")

    def data(self, *beats: tuple[int, int]) -> int:
        """Show (data, strobes) in turn; returns the cycle in which the last was taken."""
        for number, (data, strobes) in enumerate(beats):
            last = int(number == len(beats) - 1)
            assert self.tick(wvalid=1, wdata=data, wstrb=strobes, wlast=last)["wready"]
        return self.cycle - 1

    def rest(self, cycles: int) -> None:
        for _ in range(cycles):
            self.tick()


@pytest.fixture
def pins():
    return adapter_pins()


@pytest.fixture
def storage():
    return bytearray(random.Random(1).randbytes(8192))


def word(storage: bytes, address: int) -> int:
    return int.from_bytes(storage[address : address + 8], "little")


@pytest.mark.parametrize("latency", [0, 1, 7, 200])
def test_first_beat_comes_after_exactly_the_latency_then_one_a_cycle(pins, storage, latency):
    master = MemoryMaster(pins, storage, latency=latency)
    taken = master.address("r", 0x100, beats=32, id=5)
    master.rest(latency + 40)
    first = taken + 1 + latency
    assert master.reads == [
        (first + n, 5, word(storage, 0x100 + 8 * n), Resp.OKAY, int(n == 31)) for n in range(32)
    ]


@pytest.mark.parametrize("latency", [0, 1, 7, 200])
def test_response_comes_after_exactly_the_latency(pins, storage, latency):
    master = MemoryMaster(pins, storage, latency=latency)
    master.address("w", 0x40, beats=3, id=9)
    last = master.data((1, 0xFF), (2, 0xFF), (3, 0xFF))
    master.rest(latency + 10)
    assert master.responses == [(last + 1 + latency, 9, Resp.OKAY)]


def test_reads_behind_each_other_lose_no_cycle(pins, storage):
    master = MemoryMaster(pins, storage, latency=10)
    taken = [master.address("r", 0x200 * n, beats=4, id=n) for n in range(4)]
    master.rest(40)
    assert taken == [0, 1, 2, 3]
    assert [(beat[0], beat[1], beat[2]) for beat in master.reads] == [
        (11 + 4 * n + b, n, word(storage, 0x200 * n + 8 * b)) for n in range(4) for b in range(4)
    ]


def test_beat_stays_until_it_is_taken(pins, storage):
    master = MemoryMaster(pins, storage)
    master.address("r", 0x10, beats=2)
    master.rready = 0
    held = [master.tick() for _ in range(5)]
    assert all(seen == held[0] and seen["rvalid"] and not seen["rlast"] for seen in held)
    master.rready = 1
    master.rest(4)
    assert [beat[2] for beat in master.reads] == [word(storage, 0x10), word(storage, 0x18)]


def test_response_stays_until_it_is_taken(pins, storage):
    master = MemoryMaster(pins, storage)
    master.bready = 0
    master.address("w", 0)
    master.data((1, 1))
    assert [master.tick()["bvalid"] for _ in range(4)] == [1] * 4
    master.bready = 1
    master.rest(4)
    assert len(master.responses) == 1


def test_fixed_burst_stays_at_its_address(pins, storage):
    master = MemoryMaster(pins, storage)
    master.address("r", 0x20, beats=3, burst=Burst.FIXED)
    master.rest(5)
    assert [beat[2] for beat in master.reads] == [word(storage, 0x20)] * 3
    master.address("w", 0x20, beats=3, burst=Burst.FIXED)
    around = word(storage, 0x18), word(storage, 0x28)
    master.data((0x11, 0xFF), (0x2200, 0xFF), (0x33, 0x01))
    master.rest(2)
    assert word(storage, 0x20) == 0x2233
    assert (word(storage, 0x18), word(storage, 0x28)) == around


def test_incrementing_burst_may_start_anywhere_and_goes_on_aligned(pins, storage):
    """The first beat of an unaligned burst carries the rest of its word [A3.4.1]."""
    master = MemoryMaster(pins, storage)
    master.address("r", 0x105, beats=3)
    master.rest(5)
    assert [beat[2] for beat in master.reads] == [word(storage, 0x100 + 8 * n) for n in range(3)]


def test_narrow_beats_walk_through_the_word(pins, storage):
    master = MemoryMaster(pins, storage)
    master.address("r", 0x10C, beats=3, size=2)
    master.rest(5)
    assert [beat[2] for beat in master.reads] == [
        word(storage, place) for place in (0x108, 0x110, 0x110)
    ]
    master.address("w", 0x200, beats=4, size=1)
    master.data(*((0x1111 * (n + 1) << 16 * n, 3 << 2 * n) for n in range(4)))
    master.rest(2)
    assert word(storage, 0x200) == 0x4444333322221111


def test_only_strobed_bytes_are_written(pins, storage):
    expected = bytearray(storage)
    master = MemoryMaster(pins, storage)
    rng = random.Random(8)
    for _ in range(30):
        at, beats = 8 * rng.randrange(0, 900), rng.randint(1, 16)
        master.address("w", at, beats=beats)
        content = [(rng.getrandbits(64), rng.getrandbits(8)) for _ in range(beats)]
        master.data(*content)
        for number, (data, strobes) in enumerate(content):
            for lane in range(8):
                if strobes >> lane & 1:
                    expected[at + 8 * number + lane] = data >> 8 * lane & 0xFF
    master.rest(3)
    assert storage == expected
    assert len(master.responses) == 30
    assert master.memory.idle


def test_write_data_may_come_before_its_address(pins, storage):
    master = MemoryMaster(pins, storage)
    last = master.data((7, 0xFF), (8, 0xFF))
    master.rest(3)
    assert not master.responses
    taken = master.address("w", 0x300, beats=2, id=3)
    master.rest(5)
    assert (word(storage, 0x300), word(storage, 0x308)) == (7, 8)
    assert [response[1:] for response in master.responses] == [(3, Resp.OKAY)]
    assert master.responses[0][0] > taken > last


def test_reads_and_writes_do_not_delay_each_other(pins, storage):
    master = MemoryMaster(pins, storage, latency=20)
    master.address("r", 0, beats=8)
    start = master.address("w", 0x800)
    last = master.data((1, 0xFF))
    master.rest(40)
    assert last == start + 1
    assert master.responses[0][0] == last + 21
    assert [beat[0] for beat in master.reads] == list(range(21, 29))


@pytest.mark.parametrize("limit", [1, 4, 32])
def test_no_more_addresses_are_taken_than_may_be_outstanding(pins, storage, limit):
    master = MemoryMaster(pins, storage, latency=60, outstanding=limit)
    for kind in "rw":
        for number in range(limit):
            master.address(kind, 8 * number, id=number)
        assert master.tick(**{f"a{kind}valid": 1, f"a{kind}size": 3})[f"a{kind}ready"] == 0
    assert len(master.reads) < limit
    master.data(*((n, 0xFF) for n in range(limit)))
    assert master.tick()["awready"] == 0, "a write counts until its response is taken"
    master.rest(100)
    assert [beat[1] for beat in master.reads] == list(range(limit))
    assert [response[1] for response in master.responses] == list(range(limit))
    seen = master.tick()
    assert (seen["arready"], seen["awready"]) == (1, 1)


@pytest.mark.parametrize("at", [8192, 8192 + 4096, 1 << 40, (1 << 64) - 8])
def test_access_outside_the_memory_gets_decerr_and_changes_nothing(pins, storage, at):
    before = bytes(storage)
    master = MemoryMaster(pins, storage)
    master.address("r", at, id=2)
    master.address("w", at, id=2)
    master.data((0xDEAD, 0xFF))
    master.rest(5)
    assert [beat[1:] for beat in master.reads] == [(2, 0, Resp.DECERR, 1)]
    assert [response[1:] for response in master.responses] == [(2, Resp.DECERR)]
    assert storage == before


def test_burst_that_leaves_the_memory_is_refused_from_there_on(pins, storage):
    master = MemoryMaster(pins, storage)
    master.address("r", 8192 - 16, beats=4)
    master.address("w", 8192 - 8, beats=2)
    master.data((5, 0xFF), (6, 0xFF))
    master.rest(8)
    assert [beat[3] for beat in master.reads] == [Resp.OKAY] * 2 + [Resp.DECERR] * 2
    assert [response[2] for response in master.responses] == [Resp.DECERR]
    assert word(storage, 8192 - 8) == 5
    assert len(storage) == 8192


def test_good_access_after_a_refused_one_is_good(pins, storage):
    master = MemoryMaster(pins, storage)
    for at in (1 << 30, 0):
        master.address("r", at)
        master.address("w", at)
        master.data((1, 0xFF))
    master.rest(5)
    assert [beat[3] for beat in master.reads] == [Resp.DECERR, Resp.OKAY]
    assert [response[2] for response in master.responses] == [Resp.DECERR, Resp.OKAY]


# --- Difficult manners


def test_wrapping_burst_goes_round_its_container(pins, storage):
    master = MemoryMaster(pins, storage)
    master.address("r", 0x130, beats=4, burst=Burst.WRAP)
    master.rest(8)
    places = [0x130, 0x138, 0x120, 0x128]
    assert [data for _cycle, _id, data, _resp, _last in master.reads] == [
        word(storage, place) for place in places
    ]


@pytest.mark.parametrize("seed", range(8))
def test_difficult_memory_keeps_the_rules_of_axi(pins, storage, seed):
    """Beats of one ID come in order and whole, and what is offered stays until it is taken."""
    rng = random.Random(seed)
    master = MemoryMaster(pins, storage, latency=3, stalls=20_000, reorders=True, seed=seed)
    wanted: dict[int, list[tuple[int, int]]] = {number: [] for number in range(4)}
    for _ in range(30):
        number, at, beats = rng.randrange(4), 8 * rng.randrange(500), rng.randint(1, 16)
        master.address("r", at, beats=beats, id=number)
        wanted[number] += [
            (word(storage, at + 8 * beat), int(beat == beats - 1)) for beat in range(beats)
        ]
    offered = None
    for _ in range(3000):
        master.rready = rng.random() < 0.5
        seen = master.tick()
        beat = {name: seen[name] for name in ("rvalid", "rid", "rdata", "rresp", "rlast")}
        if offered is not None:
            assert beat == offered
        offered = beat if seen["rvalid"] and not master.rready else None
    came = {
        number: [(data, last) for _cycle, rid, data, _resp, last in master.reads if rid == number]
        for number in wanted
    }
    assert came == wanted
    order = [rid for _cycle, rid, _data, _resp, _last in master.reads]
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > 30, "nothing was interleaved"


def test_errors_come_as_often_as_asked_for_and_change_nothing(pins, storage):
    before = bytes(storage)
    master = MemoryMaster(pins, storage, errors=16_384, seed=1)
    for number in range(400):
        master.address("w", 8 * number)
        master.data((number, 0xFF))
        master.rest(1)
    master.rest(4)
    failed = [resp == Resp.SLVERR for _cycle, _id, resp in master.responses]
    assert len(failed) == 400
    assert 60 < sum(failed) < 140
    for number, is_failed in enumerate(failed):
        place = slice(8 * number, 8 * number + 8)
        kept = before[place] if is_failed else number.to_bytes(8, "little")
        assert storage[place] == kept
