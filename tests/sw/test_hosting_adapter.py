"""The adapter driver: identity, rings, completions, stops, the owner's own device.

Shown: only a Byway adapter of this major version is driven; a ring wraps with its generation; a
stopped ring loses its frames and runs again, alone; what the owner sends on ring 0 is what a hosted
partition sends on its ring, byte for byte.
"""

from dataclasses import replace
from typing import Any

import pytest

from byway.sw.contract.records import Completion, TransmitStatus
from byway.sw.contract.registers import (
    IDENTITY_PAGE,
    PAGE_SIZE,
    FaultReason,
    IdentityIdentifier,
    IdentityVersion,
    RingStopReason,
)
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.hardware_interface import HardwareInterface
from byway.sw.hosting.owner_device import OwnerDevice
from byway.sw.hosting.transmit_request import DmaFragment, RingOffloads, TransmitRequest
from byway.sw.hosting.transmit_ring import CREDIT, FRAMES_PER_CREDIT, StopCause
from byway.sw.manager.adapter_sharing import FaultRecord, HardwareError
from byway.sw.methods import method_600, station_address
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, Offload

SENT, REFUSED, LOST = FrameOutcome.SENT, FrameOutcome.REFUSED, FrameOutcome.LOST
NOT_MAPPED = (DmaFragment(0x100000, 60),)
CONTENT = bytes((3 * n + n // 255) % 256 for n in range(20_000))


class User:
    """Has a ring, and keeps what it is told of it."""

    def __init__(self, driver: AdapterDriver, offloads: RingOffloads | None = None):
        self.statuses: list[TransmitStatus | None] = []
        self.stops: list[StopCause] = []
        self.services = 0
        ring = driver.open_ring(offloads or RingOffloads(), self.serviced, self.stops.append)
        assert ring is not None
        self.ring = ring
        self.memory = ring.window.allocate(PAGE_SIZE, read=True)

    def serviced(self) -> None:
        self.services += 1

    def done(self, completion: Completion | None) -> None:
        self.statuses.append(None if completion is None else completion.status)

    def post(self, length: int = 60, **changes: Any) -> None:
        request = TransmitRequest(fragments=(DmaFragment(self.memory.ioba, length),))
        self.ring.post(replace(request, **changes), self.done)


@pytest.fixture
def machine(share):
    return share.machine(rings=3)


def owner_payload(machine, device, content):
    memory = machine.hosting.memory
    address = memory.allocate(len(content))
    memory.write(address, content)
    return Fragment(device.map(address, len(content)), address, len(content))


@pytest.mark.parametrize(
    ("offset", "value", "complaint"),
    [
        (0, IdentityIdentifier(code=0xFFFF_FFFF), "the adapter identifies itself as 0xffffffff"),
        (4, IdentityVersion(major=9), "the adapter keeps version 9 of the contract"),
    ],
)
def test_another_adapter_is_not_driven(machine, offset, value, complaint):
    machine.hardware.registers.pages[IDENTITY_PAGE // PAGE_SIZE].words[offset] = value.to_int()
    with pytest.raises(HardwareError, match=f"^{complaint}$"):
        HardwareInterface(machine.driver._assignment)


def test_rings_are_given_to_one_user_each(machine):
    first, second = User(machine.driver), User(machine.driver)
    assert {first.ring.number, second.ring.number} == {1, 2}
    assert machine.driver.free_rings == 0
    assert machine.driver.open_ring(RingOffloads(), first.serviced, first.stops.append) is None
    machine.driver.close_ring(first.ring)
    assert User(machine.driver).ring.number == 1


def test_frames_are_announced_together_and_told_together(machine):
    user = User(machine.driver)
    for _ in range(5):
        user.post()
    assert machine.model.doorbells[1] == 0
    user.ring.kick()
    user.ring.kick()
    assert machine.model.doorbells[1] == 1
    machine.manager.dispatch()
    assert user.statuses == [TransmitStatus.SUCCESS] * 5
    assert user.services == 1


def test_an_interrupt_costs_three_register_accesses(machine):
    user = User(machine.driver)
    user.post()
    user.ring.kick()
    machine.model.accesses.clear()
    machine.manager.dispatch()
    assert machine.model.accesses == {"read": 2, "write": 1}


def test_a_ring_wraps_with_its_generation(share):
    machine = share.machine(ring_log2=4)
    user = User(machine.driver)
    for round_number in range(1, 12):
        for _ in range(11):
            user.post()
        user.ring.kick()
        machine.manager.dispatch()
        assert user.statuses == [TransmitStatus.SUCCESS] * 11 * round_number
        assert user.ring.free_entries == 16


def test_a_full_ring_refuses_and_is_unchanged(share):
    machine = share.machine(ring_log2=4)
    user = User(machine.driver, RingOffloads(scatter_gather=True))
    machine.model.paused = True
    fragments = (DmaFragment(user.memory.ioba, 20),) * 31
    user.post(fragments=fragments)
    with pytest.raises(ValueError, match=r"^1 entries wanted, 0 are free$"):
        user.post()
    user.ring.kick()
    machine.model.run()
    machine.manager.dispatch()
    assert user.statuses == [TransmitStatus.SUCCESS]
    assert [len(frame) for _, frame in machine.model.wire] == [31 * 20]


def test_a_number_that_fits_no_descriptor_is_refused_and_nothing_is_posted(machine):
    user = User(machine.driver)
    with pytest.raises(ValueError, match=r"fragment_length must be 0 to 1048575"):
        user.post(1 << 20)
    user.ring.kick()
    assert machine.model.doorbells[1] == 0
    assert user.ring.free_entries == machine.driver.ring_entries


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"length": 13}, TransmitStatus.LENGTH_SHORT),
        ({"length": 0}, TransmitStatus.LENGTH_SHORT),
        ({"fragments": (DmaFragment(0x100000, 60),)}, TransmitStatus.MEMORY_REFUSED),
        ({"mss": 1, "l4_offset": 34, "header_length": 54}, TransmitStatus.MSS_RANGE),
        ({"checksum_tcp": True}, TransmitStatus.OFFSET_RANGE),
    ],
)
def test_what_the_adapter_refuses_is_told(machine, changes, status):
    user = User(machine.driver)
    user.post(**changes)
    user.post()
    user.ring.kick()
    machine.manager.dispatch()
    # For refused data the ring is reset, and begins anew.
    behind = None if status is TransmitStatus.MEMORY_REFUSED else TransmitStatus.SUCCESS
    assert user.statuses == [status, behind]
    user.post()
    user.ring.kick()
    machine.manager.dispatch()
    assert user.statuses[2:] == [TransmitStatus.SUCCESS]


@pytest.mark.parametrize(
    "reason", [RingStopReason.DESCRIPTOR_REFUSED, RingStopReason.COMPLETION_REFUSED]
)
def test_a_stopped_ring_loses_its_frames_and_runs_again_alone(machine, reason):
    user, other = User(machine.driver), User(machine.driver)
    machine.model.paused = True
    for _ in range(4):
        user.post()
        other.post()
    user.ring.kick()
    other.ring.kick()
    machine.model.run_ring(machine.model.rings[1], frames=2)
    machine.model.stop(machine.model.rings[1], reason)
    machine.manager.dispatch()
    assert user.statuses == [TransmitStatus.SUCCESS] * 2 + [None] * 2
    assert user.stops == [reason]
    assert machine.driver.stops == {(1, reason): 1}
    assert other.statuses == []
    machine.model.paused = False
    user.post()
    user.ring.kick()
    machine.model.run()
    machine.manager.dispatch()
    assert user.statuses[4:] == [TransmitStatus.SUCCESS]
    assert other.statuses == [TransmitStatus.SUCCESS] * 4


def test_a_descriptor_ring_that_cannot_be_read_stops_the_ring_for_good_reason(machine):
    user = User(machine.driver)
    descriptors = machine.model.page.registers.ring[1].descriptor_base.read().page
    machine.hosting.hcalls.h_put_tce(user.ring.window.liobn, descriptors * PAGE_SIZE, 0)
    user.post()
    user.ring.kick()
    machine.manager.dispatch()
    assert user.statuses == [None]
    (fault,) = user.stops
    assert fault == machine.manager.faults[0]
    assert isinstance(fault, FaultRecord)
    assert fault.reason is FaultReason.NOT_MAPPED
    assert machine.driver.faults == machine.driver.resets == {1: 1}


def test_a_ring_that_does_little_but_fault_is_left_down_until_it_is_opened_again(machine):
    user, other = User(machine.driver), User(machine.driver)
    for _ in range(CREDIT + 1):
        assert not user.ring.down
        user.post(fragments=NOT_MAPPED)
        user.ring.kick()
        machine.manager.dispatch()
    assert user.ring.down
    assert len(user.stops) == machine.driver.resets[1] == CREDIT + 1
    user.statuses.clear()
    for _ in range(3):
        user.post(fragments=NOT_MAPPED)
        user.ring.kick()
        machine.manager.dispatch()
    assert user.statuses == [None] * 3
    assert machine.driver.resets[1] == CREDIT + 1
    other.post()
    other.ring.kick()
    machine.manager.dispatch()
    assert other.statuses == [TransmitStatus.SUCCESS]
    machine.driver.close_ring(user.ring)
    again = User(machine.driver)
    again.post()
    again.ring.kick()
    machine.manager.dispatch()
    assert again.statuses == [TransmitStatus.SUCCESS]


def test_frames_that_are_sent_make_up_for_faults(machine):
    user = User(machine.driver)
    for _ in range(3 * CREDIT):
        for _ in range(FRAMES_PER_CREDIT):
            user.post()
        user.ring.kick()
        machine.manager.dispatch()
        user.post(fragments=NOT_MAPPED)
        user.ring.kick()
        machine.manager.dispatch()
    assert not user.ring.down


def test_news_of_a_reset_that_comes_late_costs_nobody_a_frame(machine):
    """The ring has been enabled again since."""
    user = User(machine.driver)
    machine.model.paused = True
    user.post()
    user.ring.kick()
    user.ring.was_reset(None)
    machine.model.run()
    machine.manager.dispatch()
    assert user.statuses == [TransmitStatus.SUCCESS]
    assert user.stops == []


def test_a_ring_that_does_not_become_idle_is_a_hardware_failure(machine, monkeypatch):
    user = User(machine.driver)
    monkeypatch.setattr(machine.model, "enable", lambda ring, enable: None)
    with pytest.raises(HardwareError, match=r"^the ring is active after \d+ reads of its status$"):
        machine.driver.close_ring(user.ring)


def test_a_completion_out_of_order_is_a_hardware_failure(machine, monkeypatch):
    user = User(machine.driver)
    honest = machine.model.complete
    monkeypatch.setattr(
        machine.model,
        "complete",
        lambda ring, correlator, status, segments: honest(ring, correlator + 1, status, segments),
    )
    user.post()
    user.ring.kick()
    with pytest.raises(HardwareError, match=r"^ring 1 completed frame 1 out of order$"):
        machine.manager.dispatch()


def test_closing_a_ring_in_use_loses_what_was_not_sent(machine):
    user = User(machine.driver)
    machine.model.paused = True
    user.post()
    machine.driver.close_ring(user.ring)
    assert user.statuses == [None]
    assert User(machine.driver).ring.free_entries == machine.driver.ring_entries


# The owner's own device


def test_the_owner_sends_what_a_hosted_partition_sends_byte_for_byte(share):
    machine = share.machine()
    hosted = machine.device()
    owned = OwnerDevice(machine.driver, share.MACS[0])
    frames: dict[int, list[bytes]] = {}
    for device, fragment in (
        (hosted, machine.payload(hosted, CONTENT)),
        (owned, owner_payload(machine, owned, CONTENT)),
    ):
        outcomes: list[FrameOutcome] = []
        batch = [
            share.tcp_frame((fragment,), outcomes, mss=1448),
            share.tcp_frame((replace(fragment, length=100),), outcomes),
            Frame(share.header(0), on_complete=outcomes.append),
        ]
        assert device.transmit(batch) == 3
        machine.manager.dispatch()
        assert outcomes == [SENT] * 3
    for ring, frame in machine.model.wire:
        frames.setdefault(ring, []).append(frame)
    assert frames[0] == frames[1]
    assert b"".join(frame[54:] for frame in frames[0]) == CONTENT + CONTENT[:100]


def test_the_owners_features_are_the_adapters(share):
    machine = share.machine(without=("scatter_gather", "checksum_udp"))
    features = OwnerDevice(machine.driver, share.MACS[0], mtu=20_000).features
    assert features.maximum_fragments == 1
    assert not features.checksum_udp
    assert features.checksum_tcp
    assert features.mtu == 9216 - 14
    with pytest.raises(RuntimeError, match=r"^the owner's ring is open already$"):
        OwnerDevice(machine.driver, share.MACS[0])


def test_the_owners_device_fills_and_goes_on(share):
    machine = share.machine(ring_log2=4)
    device = OwnerDevice(machine.driver, share.MACS[0])
    user = share.Recorder()
    device.attach(user)
    fragment = owner_payload(machine, device, CONTENT)
    machine.model.paused = True
    outcomes: list[FrameOutcome] = []
    assert device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)] * 20) == 8
    assert device.free_entries == 0
    device.unmap(fragment.mapping)
    machine.model.run()
    machine.manager.dispatch()
    assert outcomes == [SENT] * 8
    assert user.drains == 1
    with pytest.raises(ValueError, match=rf"^nothing is mapped under {fragment.mapping}$"):
        device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])


def test_the_owners_frames_are_told_when_refused_or_lost(share):
    machine = share.machine()
    device = OwnerDevice(machine.driver, share.MACS[0])
    fragment = owner_payload(machine, device, CONTENT)
    outcomes: list[FrameOutcome] = []
    odd = Offload(checksum_tcp=True, l3_length=21, l4_length=20)
    device.transmit([Frame(share.header(0), offload=odd, on_complete=outcomes.append)])
    machine.manager.dispatch()
    machine.model.paused = True
    device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])
    machine.model.stop(machine.model.rings[0], RingStopReason.DESCRIPTOR_REFUSED)
    machine.manager.dispatch()
    assert outcomes == [REFUSED, LOST]
    assert list(device.errors) == [RingStopReason.DESCRIPTOR_REFUSED]


def test_the_owners_link_goes_down_after_too_many_faults_and_up_again(share):
    machine = share.machine()
    device = OwnerDevice(machine.driver, share.MACS[0])
    user = share.Recorder()
    device.attach(user)
    fragment = owner_payload(machine, device, CONTENT)
    window = machine.assignment.liobn[0]
    outcomes: list[FrameOutcome] = []
    # The owner takes memory back behind its own driver.
    for page in range(0, 1 << 20, PAGE_SIZE):
        machine.hosting.hcalls.h_put_tce(window, page, 0)
    for _ in range(CREDIT + 1):
        device.transmit([share.tcp_frame((fragment,), outcomes, mss=1448)])
        machine.manager.dispatch()
    assert SENT not in outcomes
    assert len(outcomes) == len(device.errors) == CREDIT + 1
    assert user.links == [True, False]
    assert device.free_entries == device.transmit([Frame(share.header(0))]) == 0
    device.restart()
    assert user.links == [True, False, True]
    assert device.free_entries


def test_mapping_what_is_not_there_is_refused(share):
    machine = share.machine()
    for device in (OwnerDevice(machine.driver, share.MACS[0]), machine.device()):
        with pytest.raises(ValueError, match=r"^length must be positive, not 0$"):
            device.map(4096, 0)
        with pytest.raises(ValueError, match=r"cannot be mapped: H_PARAMETER$"):
            device.map(64 << 20, 4096)
        with pytest.raises(RuntimeError, match=r"no run of \d+ free pages$"):
            device.map(0, 64 << 20)


def test_the_owner_receives_what_is_for_it(share):
    machine = share.machine()
    device = OwnerDevice(machine.driver, share.MACS[0])
    user = share.Recorder()
    device.attach(user)
    own, all_stations = share.MACS[0] + bytes(54), b"\xff" * 6 + bytes(54)
    for frame in (own, share.MACS[1] + bytes(54), all_stations, bytes(13), bytes(20_000)):
        machine.driver.receive(frame)
    assert user.frames == [own, all_stations]
    assert machine.driver.malformed == 2


def test_method_600_sets_the_sharing_up(share):
    machine = share.machine(clients=0, rings=3)
    manager = share.PartitionManager(machine.hardware)
    hosting = manager.create_partition("hosting", 2 << 20)
    hosted = [manager.create_partition(name, 2 << 20) for name in ("one", "two")]
    shared = method_600(manager, hosting, hosted)
    assert shared.driver.capabilities.rings == 3
    assert [device.link_up for device in shared.devices] == [True, True]
    assert [d.features.mac for d in shared.devices] == [station_address(p) for p in hosted]


def test_method_600_says_who_cannot_be_served(share):
    machine = share.machine(clients=0, rings=2)
    manager = share.PartitionManager(machine.hardware)
    hosting = manager.create_partition("hosting", 2 << 20)
    hosted = [manager.create_partition(name, 2 << 20) for name in ("one", "two")]
    with pytest.raises(
        RuntimeError,
        match=r"^partition two has no network: MAX_TX_QUEUES is 0: the server has no queue left$",
    ):
        method_600(manager, hosting, hosted)
