"""A hosted partition whose frames fault again and again, on the real adapter, beside another.

It takes a page of its own memory back while it sends from there, and never gives it again: each
frame that reaches the page is refused, its ring is reset, and comes back. Frames that do not reach
the page are sent in between. The other partition sends over TCP, and must not notice.
"""

import os
import random

import pytest

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.open_engine import open_engine
from byway.sim.scenarios.flood import FILLING, HEADERS, MOST_IDLE, Flood
from byway.sim.scenarios.machine import adapter_for, board_for
from byway.sim.scenarios.sharers import SHARERS, Sharers
from byway.sim.scenarios.transfer import rate_of_limit
from byway.sim.scenarios.watched_hardware import POISON, WatchedHardware
from byway.sw.contract.registers import FaultReason
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.stack.network_device import FrameOutcome
from byway.sw.vnic.codes import ErrorCause

BYTES = 384 << 10
#: Page of the flood's memory, from 0, that is taken back.
PAGE = 5


class Faulty(Sharers):
    """Hosted partition 1 floods the adapter while the software of the others runs."""

    flood: Flood | None = None

    def software(self) -> bool:
        ran = super().software()
        if self.flood is not None:
            self.flood.pump()
            ran |= super().software()
        return ran

    def take_back(self, address: int) -> None:
        """Let partition 1 take the page at `address` from its window, and poison it."""
        memory, end = self.hosted[0].memory, self.connections[0].client
        rpn = memory.physical_page(address // PAGE_SIZE)
        (index,) = [page for page in range(end.window.pages) if end.window.entry(page).rpn == rpn]
        code = self.hosted[0].hcalls.h_put_tce(end.liobn, index * PAGE_SIZE, 0)
        assert code is ReturnCode.H_SUCCESS
        memory.write(address, POISON * PAGE_SIZE)


@pytest.mark.parametrize("latency", [0, 200])
def test_a_ring_that_faults_again_and_again_costs_the_other_nothing(latency):
    seed = int(os.environ.get("BYWAY_SEED") or random.SystemRandom().getrandbits(32))
    print(f"BYWAY_SEED={seed}")
    manner = MemoryManner(latency=latency, stalls=3000, reorders=True, seed=seed)
    board = board_for(SHARERS, manner)
    hardware = WatchedHardware(open_engine("native", adapter_for(SHARERS), board))
    machine = Faulty(hardware, random.Random(seed))
    faulty, manager = machine.devices[0], machine.manager
    hardware.apart_mac = faulty.features.mac
    flood = machine.flood = Flood(machine.hosted[0], faulty, machine.rng)
    manager.dispatch()
    machine.take_back(flood.address + PAGE * PAGE_SIZE)
    (survivor,) = machine.send(1, length=BYTES)
    counters = manager.counters

    # Each fault was of the faulty ring, was recorded or counted, and told.
    assert counters.ring_resets >= 2
    assert {(fault.requester, fault.reason) for fault in manager.faults} == {
        (1, FaultReason.READ_DENIED)
    }
    assert machine.driver.resets == {1: counters.ring_resets}
    assert machine.driver.faults == {1: counters.faults + counters.faults_lost}
    told = faulty.errors[ErrorCause.DEVICE_DRIVER_PROBLEM]
    assert told == counters.ring_resets
    assert faulty.error_details
    for detail in faulty.error_details:
        assert (detail.reason, detail.write) == (FaultReason.READ_DENIED, 0)
        assert detail.map_id

    # It sent in between, and nothing from the page.
    assert flood.outcomes[FrameOutcome.SENT] > 0
    assert flood.outcomes[FrameOutcome.LOST] > 0
    assert not hardware.poisoned
    for frame in hardware.apart:
        payload = frame.data[HEADERS:]
        assert frame.good
        assert payload == FILLING * len(payload)

    # The wire idled no longer than the resets explain, and the survivor has half of it at least.
    assert machine.intact
    assert survivor.figures.retransmissions == 0
    data = survivor.figures.data
    first, last = data[0][0], data[-1][1]
    others = [(f.first_cycle, f.last_cycle, len(f.data), 0) for f in hardware.apart]
    both = sorted([*data, *(frame for frame in others if first <= frame[0] < last)])
    rate, share = (rate_of_limit(frames, hardware.wire) for frames in (both, data))
    assert rate is not None
    assert share is not None
    assert (1 - rate) * (last - first) <= counters.ring_resets * MOST_IDLE
    assert share > 0.45
    hardware.close()
