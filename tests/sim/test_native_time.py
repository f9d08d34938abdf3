"""The native engine's time: it leaps where the adapter rests, and no cycle is different for it.

Before each leap the engine itself asserts that a cycle leaves the adapter as it was. Here software
comes so often that this is asserted in every second cycle of rest, whatever was before.
"""

import random
import time

import pytest

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.native import NativeEngine
from byway.sw.contract.records import Completion, TranslationControlEntry, TransmitDescriptor
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    MANAGER_PAGE,
    PAGE_SIZE,
    WINDOW_PAGE,
    AdapterPage,
    DoorbellPage,
    InvalidateScope,
    ManagerPage,
    WindowPage,
)

MEMORY_BYTES = 1 << 20
TABLE, DATA, NOT_MAPPED = 1, 0x20, 0xF0
#: Pages of descriptors and completions, by ring.
DESCRIPTORS, COMPLETIONS = (2, 3), (4, 5)
SIZE_LOG2 = 4
MILLISECOND = 125_000
IDEAL = MemoryManner()


class Owner:
    """Software for both rings of an adapter on the native engine."""

    def __init__(self, manner: MemoryManner = IDEAL):
        parameters = BoardParameters(memory_bytes=MEMORY_BYTES, memory=manner)
        self.engine = engine = NativeEngine(SharedAdapter, parameters)
        self.manager = ManagerPage(engine.registers, MANAGER_PAGE)
        self.windows = WindowPage(engine.registers, WINDOW_PAGE)
        self.adapter = AdapterPage(engine.registers, ADAPTER_PAGE)
        self.doorbells = [
            DoorbellPage(engine.registers, DOORBELL_PAGE + DOORBELL_STRIDE * ring)
            for ring in range(2)
        ]
        self.produced = [0, 0]
        for page in range(MEMORY_BYTES // PAGE_SIZE):
            valid = int(page != NOT_MAPPED)
            entry = TranslationControlEntry(read=valid, write=valid, rpn=page)
            engine.memory.write(TABLE * PAGE_SIZE + 8 * page, entry.pack())
        window = self.windows.window[0]
        window.table_base.write(page=TABLE)
        window.size.write(entries=MEMORY_BYTES // PAGE_SIZE)
        window.control.write(enable=1)
        self.adapter.mac_control.write(transmit_enable=1)
        for number in range(2):
            self.manager.binding[number].write(valid=1, window=0)
            ring = self.adapter.ring[number]
            ring.descriptor_base.write(page=DESCRIPTORS[number])
            ring.completion_base.write(page=COMPLETIONS[number])
            ring.size.write(size_log2=SIZE_LOG2)
            ring.offloads.write(scatter_gather=1)
            self.enable(number)

    def enable(self, number: int) -> None:
        self.adapter.ring[number].control.write(enable=1)
        self.produced[number] = 0

    def post(self, ring: int, *, page: int = DATA, length: int = 64, fragments: int = 1) -> None:
        """Ring the doorbell for a frame of one entry."""
        index = self.produced[ring] % (1 << SIZE_LOG2)
        descriptor = TransmitDescriptor(
            address=page * PAGE_SIZE,
            fragment_length=length,
            fragments=fragments,
            total_length=length,
            correlator=self.produced[ring],
        )
        place = DESCRIPTORS[ring] * PAGE_SIZE + TransmitDescriptor.SIZE * index
        self.engine.memory.write(place, descriptor.pack())
        self.produced[ring] = (self.produced[ring] + 1) % (1 << 16)
        self.doorbells[ring].transmit.write(producer=self.produced[ring])

    def completions(self) -> bytes:
        length = Completion.SIZE << SIZE_LOG2
        return self.engine.memory.read(COMPLETIONS[0] * PAGE_SIZE, length)


def run_to(engine: NativeEngine, end: int, step: int | None = None) -> list[WireFrame]:
    """Run to the cycle `end`, by at most `step` cycles a call; returns the frames that came."""
    frames = []
    while engine.cycle < end:
        engine.run(min(step or end, end - engine.cycle))
        frames += engine.frames
        engine.frames.clear()
    return frames


def a_frame_each_millisecond(milliseconds: int, step: int | None = None) -> tuple:
    """All that a run shows in which a frame is sent each millisecond."""
    owner = Owner()
    frames = []
    counts = []
    for number in range(milliseconds):
        owner.engine.memory.write(DATA * PAGE_SIZE, number.to_bytes(64, "big"))
        owner.post(0)
        frames += run_to(owner.engine, (number + 1) * MILLISECOND, step)
        counts.append((owner.adapter.bytes.read().count, owner.engine.cycle))
    shown = frames, counts, owner.completions()
    owner.engine.close()
    return shown


def test_a_second_with_a_frame_each_millisecond_takes_no_time():
    Owner().engine.close()  # What is to be compiled has been.
    begun = time.monotonic()
    frames, counts, _completions = a_frame_each_millisecond(1000)
    assert time.monotonic() - begun < 5, "cycle by cycle it takes minutes"
    assert [int.from_bytes(frame.data, "big") for frame in frames] == list(range(1000))
    assert all(frame.good for frame in frames)
    assert counts[-1] == (64 * 1000, counts[-1][1])


def test_leaps_change_no_cycle():
    """A call for a single cycle never leaps."""
    assert a_frame_each_millisecond(2) == a_frame_each_millisecond(2, step=1)


@pytest.mark.parametrize(
    "manner",
    [
        IDEAL,
        MemoryManner(latency=37, outstanding=2),
        MemoryManner(latency=5, reorders=True, errors=3_000, seed=3),
    ],
)
def test_rest_is_rest_whatever_was_before(manner):
    """Two cycles a call: whenever the adapter says that it rests, the second is compared."""
    seed = f"rest {manner}"
    rng = random.Random(seed)
    owner = Owner(manner)
    engine = owner.engine

    def toggle_ring(ring: int) -> None:
        owner.adapter.ring[ring].control.write(enable=0)
        run_to(engine, engine.cycle + rng.choice([1, 2, 40, 400]), 2)
        if not owner.adapter.ring[ring].status.read().active:
            owner.enable(ring)

    actions = {
        "frame": lambda ring: owner.post(ring, length=rng.choice([14, 60, 64, 300, 1514])),
        "part of a frame": lambda ring: owner.post(ring, fragments=rng.randint(2, 5)),
        "refused data": lambda ring: owner.post(ring, page=NOT_MAPPED),
        "bad length": lambda ring: owner.post(ring, length=rng.randrange(14)),
        "bad doorbell": lambda ring: owner.doorbells[ring].transmit.write(
            producer=rng.getrandbits(16)
        ),
        "ring": toggle_ring,
        "mac": lambda _ring: owner.adapter.mac_control.write(transmit_enable=rng.getrandbits(1)),
        "invalidation": lambda _ring: owner.manager.invalidate.write(
            start=1, scope=rng.choice(list(InvalidateScope)), window=0
        ),
        "fault": lambda _ring: owner.manager.fault_status.write(valid=1, lost=1),
        "reading": lambda _ring: owner.adapter.cycles_stalled.read(),
        "window": lambda _ring: owner.windows.window[0].control.write(enable=rng.random() < 0.8),
    }
    rested = 0
    for _ in range(250):
        name = rng.choice(list(actions))
        try:
            actions[name](rng.randrange(2))
            run_to(engine, engine.cycle + rng.choice([1, 7, 30, 100, 600]), 2)
        except Exception as error:
            raise AssertionError(f"{name} in cycle {engine.cycle}, seed {seed!r}") from error
        rested += engine.quiescent
        if not engine.quiescent and rng.random() < 0.1:
            owner.adapter.mac_control.write(transmit_enable=1)
    assert rested > 50, seed
    engine.close()
