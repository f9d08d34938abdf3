"""The engines agree: whatever simulator runs the adapter, the same happens in the same cycles.

One scenario at register level, seeded, runs on every engine that is there; frames, memory, register
values and the cycle of each must be equal to those on Amaranth's simulator.
"""

import hashlib
import itertools
import random
import shutil
import time
from dataclasses import dataclass, field

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.board.gmii_sink import WireFrame
from byway.sim.engines.engine import Engine
from byway.sim.engines.open_engine import open_engine
from byway.sw.contract.records import (
    Completion,
    ScatterGatherEntry,
    TranslationControlEntry,
    TransmitDescriptor,
    TransmitStatus,
)
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    MANAGER_PAGE,
    AdapterPage,
    DoorbellPage,
    FaultReason,
    ManagerPage,
)

SEED = 20
PARAMETERS = BoardParameters(memory_bytes=1 << 20, memory=MemoryManner(latency=3))
TABLES, PAGES = 0x1000, 256
NOT_MAPPED = 0x50
DESCRIPTORS = (0x10, 0x18)
COMPLETIONS = (0x11, 0x19)
HEADER_BYTES = 54
MSS = 536


def needs(simulator: str, program: str):
    missing = shutil.which(program) is None
    return pytest.param(
        simulator, marks=pytest.mark.skipif(missing, reason=f"{program} is not installed")
    )


COMPILED = ["native", "verilator", needs("icarus", "iverilog")]


@dataclass
class Outcome:
    """All that a run showed, with cycles.

    Attributes
    ----------
    accesses : list of (kind, offset, value, cycle after it)
    frames : list of WireFrame
    lines : list of (cycle, adapter's interrupt, manager's interrupt)
        After each stretch of time.
    memory : str
        SHA-256 of the whole of system memory in the end.
    """

    accesses: list[tuple[str, int, int, int]] = field(default_factory=list)
    frames: list[WireFrame] = field(default_factory=list)
    lines: list[tuple[int, bool, bool]] = field(default_factory=list)
    memory: str = ""


class Scenario:
    """Two rings send over one engine: single frames, super-frames, and two that are refused."""

    def __init__(self, engine: Engine):
        self.outcome = Outcome()
        self.completions: list[list[Completion]] = [[], []]
        self.payloads: list[bytes] = []  # Of the frames that must reach the wire, by ring 0.
        self._engine = engine
        self._rng = random.Random(SEED)
        self._manager = ManagerPage(self, MANAGER_PAGE)
        self._adapter = AdapterPage(self, ADAPTER_PAGE)
        self._doorbells = [
            DoorbellPage(self, DOORBELL_PAGE + DOORBELL_STRIDE * ring) for ring in range(2)
        ]
        self._produced = [0, 0]

    # The registers, seen through a record of every access.

    def read(self, offset: int) -> int:
        value = self._engine.registers.read(offset)
        self.outcome.accesses.append(("read", offset, value, self._engine.cycle))
        return value

    def write(self, offset: int, value: int) -> None:
        self._engine.registers.write(offset, value)
        self.outcome.accesses.append(("write", offset, value, self._engine.cycle))

    def run(self) -> None:
        self._set_up()
        for number in range(3):
            self._super_frame(ring=0, number=number)
            self._single_frame(ring=1, number=number)
        self._adapter.mac_control.write(transmit_enable=1)
        self._single_frame(ring=1, number=0xBAD, address=NOT_MAPPED << 12)
        self._until(lambda: len(self.completions[0]) == 3 and len(self.completions[1]) == 4)
        # A completion tells that the frame's memory has been read; the wire is slower.
        segments = sum(c.segments for completions in self.completions for c in completions)
        self._until(lambda: len(self.outcome.frames) == segments)
        self.fault = self._manager.fault_record.read()
        self.fault_address = self._manager.fault_address.read().address
        self._manager.fault_status.write(valid=1)
        for page in (self._adapter.frames, self._adapter.cycles_stalled):
            page.read()
        self.misses = self._manager.iotlb_misses.read().count
        self._manager.iotlb_hits.read()
        self._engine.run(100)
        memory = self._engine.memory
        self.outcome.memory = hashlib.sha256(memory.read(0, memory.size)).hexdigest()

    def _set_up(self) -> None:
        memory = self._engine.memory
        memory.write(0x80000, self._rng.randbytes(0x80000))
        for page in range(PAGES):
            valid = int(page != NOT_MAPPED)
            entry = TranslationControlEntry(read=valid, write=valid, rpn=page)
            memory.write(TABLES + 8 * page, entry.pack())
        window = self._manager.window[1]
        window.table_base.write(page=TABLES >> 12)
        window.size.write(entries=PAGES)
        window.control.write(enable=1)
        self._manager.interrupt_enable.write(fault=1)
        for number in range(2):
            self._manager.binding[number].write(valid=1, window=1)
            ring = self._adapter.ring[number]
            ring.descriptor_base.write(page=DESCRIPTORS[number])
            ring.completion_base.write(page=COMPLETIONS[number])
            ring.size.write(size_log2=4)
            ring.offloads.write(checksum_ipv4=1, checksum_tcp=1, large_send_v4=1, scatter_gather=1)
            ring.interrupt_enable.write(completion=1, stopped=1)
            ring.control.write(enable=1)

    def _announce(self, ring: int, *entries: bytes) -> None:
        for entry in entries:
            place = (DESCRIPTORS[ring] << 12) + 32 * self._produced[ring]
            self._engine.memory.write(place, entry)
            self._produced[ring] += 1
        self._doorbells[ring].transmit.write(producer=self._produced[ring])

    def _super_frame(self, *, ring: int, number: int) -> None:
        length = self._rng.randint(MSS + 1, 3 * MSS)
        header_at = 0x20000 + 0x100 * number + self._rng.randrange(16)
        payload_at = 0x80000 + self._rng.randrange(0x70000)
        packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(
            src="10.0.0.1", dst="10.0.0.2", len=HEADER_BYTES - 14 + length
        )
        header = bytes(packet / TCP(flags="PA", seq=number))
        self._engine.memory.write(header_at, header)
        self.payloads.append(self._engine.memory.read(payload_at, length))
        descriptor = TransmitDescriptor(
            address=header_at,
            fragment_length=HEADER_BYTES,
            fragments=2,
            total_length=HEADER_BYTES + length,
            mss=MSS,
            header_length=HEADER_BYTES,
            ip_offset=14,
            l4_offset=34,
            large_send=1,
            correlator=number,
        )
        payload = ScatterGatherEntry(first_address=payload_at, first_length=length)
        self._announce(ring, descriptor.pack(), payload.pack())

    def _single_frame(self, *, ring: int, number: int, address: int | None = None) -> None:
        length = self._rng.randint(14, 200)
        place = 0x80000 + self._rng.randrange(0x70000) if address is None else address
        descriptor = TransmitDescriptor(
            address=place,
            fragment_length=length,
            fragments=1,
            total_length=length,
            correlator=number,
        )
        self._announce(ring, descriptor.pack())

    def _until(self, done) -> None:
        engine = self._engine
        while not done():
            assert engine.cycle < 20_000, f"the scenario does not end, seed {SEED}"
            engine.run(500)
            self.outcome.frames += engine.frames
            engine.frames.clear()
            lines = (engine.cycle, engine.adapter_interrupt, engine.manager_interrupt)
            self.outcome.lines.append(lines)
            if engine.manager_interrupt:
                self._manager.interrupt_enable.write(fault=0)
            if engine.adapter_interrupt:
                self._take_completions()

    def _take_completions(self) -> None:
        for number, taken in enumerate(self.completions):
            self._adapter.ring[number].interrupt_status.write(completion=1)
            while True:
                place = (COMPLETIONS[number] << 12) + Completion.SIZE * len(taken)
                completion = Completion.unpack(self._engine.memory.read(place, Completion.SIZE))
                if not completion.generation:
                    break
                taken.append(completion)


def run_scenario(name: str, parameters: BoardParameters = PARAMETERS) -> Scenario:
    engine = open_engine(name, SharedAdapter, parameters)
    try:
        scenario = Scenario(engine)
        scenario.run()
    finally:
        engine.close()
    return scenario


@pytest.fixture(scope="module")
def reference():
    return run_scenario("amaranth")


def test_the_scenario_shows_what_it_is_meant_to(reference):
    """So that engines that agree do not agree on nothing."""
    frames = reference.outcome.frames
    assert all(frame.good for frame in frames)
    assert all(
        later.first_cycle - frame.last_cycle - 1 >= 12
        for frame, later in itertools.pairwise(frames)
    )
    segments = [frame for frame in frames if Ether(frame.data).src == "02:00:00:00:00:01"]
    assert len(frames) == len(segments) + 3
    assert len(segments) >= 6
    payload = b"".join(bytes(Ether(frame.data)[TCP].payload) for frame in segments)
    assert payload == b"".join(reference.payloads)
    first, second = reference.completions
    assert [completion.status for completion in first] == [TransmitStatus.SUCCESS] * 3
    assert sum(completion.segments for completion in first) == len(segments)
    assert [completion.status for completion in second] == [
        *[TransmitStatus.SUCCESS] * 3,
        TransmitStatus.MEMORY_REFUSED,
    ]
    assert reference.fault.reason == FaultReason.NOT_MAPPED
    assert reference.fault.requester == 1
    assert reference.fault_address >> 12 == NOT_MAPPED
    assert reference.misses > 4
    assert any(manager for _cycle, _adapter, manager in reference.outcome.lines)


@pytest.mark.parametrize("name", COMPILED)
def test_every_engine_shows_the_same_in_the_same_cycles(reference, name):
    outcome = run_scenario(name).outcome
    assert outcome.accesses == reference.outcome.accesses
    assert outcome.frames == reference.outcome.frames
    assert outcome.lines == reference.outcome.lines
    assert outcome.memory == reference.outcome.memory


def test_a_difficult_memory_is_as_difficult_on_the_native_engine():
    manner = MemoryManner(latency=9, outstanding=6, stalls=20_000, reorders=True, seed=SEED)
    parameters = BoardParameters(memory_bytes=1 << 20, memory=manner)
    native, amaranth = (run_scenario(name, parameters) for name in ("native", "amaranth"))
    assert native.outcome == amaranth.outcome
    assert [len(completions) for completions in native.completions] == [3, 4]


def idle_with_interruptions(name: str) -> list[tuple[int, int, bool]]:
    """Cycles and values of register accesses between stretches in which the adapter rests."""
    engine = open_engine(name, SharedAdapter, PARAMETERS)
    rng = random.Random(SEED)
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


def test_rest_makes_no_difference():
    """The native engine leaps over cycles in which nothing changes."""
    shown = idle_with_interruptions("amaranth")
    assert idle_with_interruptions("native") == shown
    assert {interrupt for _cycle, _value, interrupt in shown} == {False, True}


def test_a_second_at_rest_takes_no_time():
    engine = open_engine("native", SharedAdapter, PARAMETERS)
    begun = time.monotonic()
    for _ in range(1000):
        engine.run(125_000)
        engine.registers.read(0)
    assert engine.cycle >= 125_000_000
    assert time.monotonic() - begun < 10, "a thousandth of what it takes cycle by cycle"
    engine.close()
