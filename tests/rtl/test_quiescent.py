"""The shared adapter's `quiescent`: low while anything is under way, high when nothing is.

That nothing changes while it is high is asserted by the native engine on every run, and tried hard
in ``tests/sim/test_native.py``; here stands when it must be low, and that it does rise again.
"""

from typing import Any

import pytest

from byway.rtl.shared_adapter import SETTLING, SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.engines.amaranth import AmaranthEngine
from byway.sim.wire.medium import GAP_BYTES, OVERHEAD_BYTES
from byway.sw.contract.records import TranslationControlEntry, TransmitDescriptor
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    MANAGER_PAGE,
    PAGE_SIZE,
    WINDOW_PAGE,
    AdapterPage,
    DoorbellPage,
    InvalidateScope,
    ManagerPage,
    WindowPage,
)

LATENCY = 40
PARAMETERS = BoardParameters(memory_bytes=1 << 16, memory=MemoryManner(latency=LATENCY))
TABLE, DESCRIPTORS, COMPLETIONS, DATA, NOT_MAPPED = 1, 2, 3, 4, 9
#: Cycles from the last valid of anything to the rise: settling, and the registers around it.
RISE = SETTLING + 4


class Owner:
    """Software that owns ring 0 of an adapter, with an engine to run it a cycle at a time."""

    def __init__(self, **adapter: Any):
        self.engine = engine = AmaranthEngine(SharedAdapter(**adapter), PARAMETERS)
        self.manager = ManagerPage(engine.registers, MANAGER_PAGE)
        self.adapter = AdapterPage(engine.registers, ADAPTER_PAGE)
        self.doorbell = DoorbellPage(engine.registers, DOORBELL_PAGE)
        for page in range(16):
            valid = int(page != NOT_MAPPED)
            entry = TranslationControlEntry(read=valid, write=valid, rpn=page)
            engine.memory.write(TABLE * PAGE_SIZE + 8 * page, entry.pack())
        window = WindowPage(engine.registers, WINDOW_PAGE).window[0]
        window.table_base.write(page=TABLE)
        window.size.write(entries=16)
        window.control.write(enable=1)
        self.manager.binding[0].write(valid=1, window=0)
        ring = self.adapter.ring[0]
        ring.descriptor_base.write(page=DESCRIPTORS)
        ring.completion_base.write(page=COMPLETIONS)
        ring.size.write(size_log2=4)
        ring.offloads.write(scatter_gather=1)
        ring.control.write(enable=1)
        self.adapter.mac_control.write(transmit_enable=1)
        self._entries = 0

    def post(self, *, page: int = DATA, fragments: int = 1) -> None:
        """Ring the doorbell for one entry: a frame of 64 bytes, or the first piece of one."""
        place = DESCRIPTORS * PAGE_SIZE + TransmitDescriptor.SIZE * self._entries
        self._entries += 1
        descriptor = TransmitDescriptor(
            address=page * PAGE_SIZE, fragment_length=64, fragments=fragments, total_length=64
        )
        self.engine.memory.write(place, descriptor.pack())
        self.doorbell.transmit.write(producer=self._entries)

    def levels(self, cycles: int) -> list[bool]:
        """The pin in each of so many cycles."""
        shown = []
        for _ in range(cycles):
            self.engine.run(1)
            shown.append(self.engine.quiescent)
        return shown

    def settle(self, *, within: int = RISE) -> None:
        """Run until the pin is high, which it must be soon when all is done."""
        assert any(self.levels(within)), "it does not rise"


@pytest.fixture
def owner():
    owner = Owner()
    yield owner
    owner.engine.close()


def test_it_rises_after_reset_and_after_each_access_and_stays():
    engine = AmaranthEngine(SharedAdapter(), PARAMETERS)
    shown = []
    for _ in range(100):
        engine.run(1)
        shown.append(engine.quiescent)
    rise = shown.index(True)
    window = WindowPage(engine.registers, WINDOW_PAGE).window[0]
    assert SETTLING <= rise <= RISE
    assert all(shown[rise:])
    for access in (lambda: engine.registers.read(0), lambda: window.control.write(enable=1)):
        access()
        assert not engine.quiescent
        for _ in range(RISE):
            engine.run(1)
        assert engine.quiescent
    engine.close()


def test_it_is_low_from_the_doorbell_until_the_gap_behind_the_frame(owner):
    owner.settle()
    owner.post()
    engine = owner.engine
    assert not engine.quiescent
    while not engine.frames:
        engine.run(1)
        assert not engine.quiescent, f"in cycle {engine.cycle}"
    # The frame is seen in the first cycle of the gap; its completion may still be on its way.
    shown = owner.levels(GAP_BYTES + 2 * LATENCY + RISE)
    assert not any(shown[:GAP_BYTES])
    assert shown[-1]
    assert all(owner.levels(50))
    assert owner.adapter.frames.read().count == 1


def test_over_xgmii_it_is_low_from_the_doorbell_until_the_frame_has_left():
    owner = Owner(wire="xgmii", data_width=128)
    owner.settle()
    owner.post()
    engine = owner.engine
    while not engine.frames:
        assert not engine.quiescent, f"in cycle {engine.cycle}"
        engine.run(1)
    assert not engine.quiescent
    # The completion is walked for, and written, when the frame is already on the wire.
    shown = owner.levels(3 * LATENCY + RISE)
    assert shown[-1]
    assert shown == sorted(shown), "it rises once"
    owner.adapter.mac_control.write(transmit_enable=0)
    owner.post()
    owner.settle(within=500)
    assert all(owner.levels(50)), "a frame that waits for the MAC is at rest"
    owner.adapter.mac_control.write(transmit_enable=1)
    while len(engine.frames) < 2:
        assert not engine.quiescent, f"in cycle {engine.cycle}"
        engine.run(1)
    owner.settle()
    engine.close()


def test_it_is_low_while_the_memory_keeps_the_adapter_waiting(owner):
    """A walk, the entries, the data: each is asked for and long in coming."""
    owner.settle()
    owner.post(page=NOT_MAPPED)
    # Walks for the ring, the data, the completion; entries; the completion's answer.
    assert not any(owner.levels(5 * LATENCY))
    owner.settle(within=200)
    assert owner.adapter.ring[0].status.read().consumer == 1
    assert owner.manager.fault_status.read().valid
    owner.settle()


def test_it_is_low_while_an_invalidation_waits_for_what_is_under_way(owner):
    owner.post()
    owner.manager.invalidate.write(start=1, scope=InvalidateScope.EVERYTHING)
    while owner.manager.invalidate_status.read().busy:
        assert not any(owner.levels(10))
    owner.settle(within=400)


def test_a_frame_that_waits_for_the_mac_is_at_rest_until_it_may_leave(owner):
    owner.adapter.mac_control.write(transmit_enable=0)
    owner.post()
    owner.settle(within=500)
    assert all(owner.levels(50))
    assert not owner.engine.frames
    owner.adapter.mac_control.write(transmit_enable=1)
    shown = owner.levels(64 + OVERHEAD_BYTES)
    assert not any(shown)
    assert len(owner.engine.frames) == 1


def test_a_frame_whose_entries_have_not_all_been_announced_is_at_rest(owner):
    owner.post(fragments=3)
    owner.settle(within=500)
    assert all(owner.levels(50))
    assert owner.adapter.ring[0].status.read().consumer == 0


def test_a_stopped_ring_is_at_rest_with_what_it_holds(owner):
    owner.post(fragments=3)
    owner.settle(within=500)
    owner.doorbell.transmit.write(producer=0x8000)
    assert owner.adapter.ring[0].status.read().stopped
    owner.settle()
    assert all(owner.levels(50))
    owner.adapter.ring[0].control.write(enable=0)
    owner.settle()
    assert not owner.adapter.ring[0].status.read().active


def test_it_is_low_while_a_ring_is_reset_and_rises_afterwards(owner):
    """The reset waits for reads that the memory keeps waiting."""
    owner.settle()
    owner.post()
    owner.levels(30)
    owner.manager.ring_reset[0].write(reset=1)
    while owner.manager.ring_reset[0].read().reset:
        assert not any(owner.levels(5))
    assert not owner.adapter.ring[0].control.read().enable
    owner.settle()
    assert all(owner.levels(50))
    # Of a ring that does nothing the reset is over before its write is answered.
    owner.manager.ring_reset[0].write(reset=1)
    owner.settle()
    assert all(owner.levels(50))
