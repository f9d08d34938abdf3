"""A client takes memory back by H_PUT_TCE while the real adapter sends from it.

Once the hcall has returned the client writes secrets there. The hcall returns only after the bridge
has said that the invalidation is done, and no byte written since is ever on the wire.
"""

import pytest

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.open_engine import open_engine
from byway.sim.scenarios.machine import PARTITION_BYTES, adapter_for, board_for
from byway.sw.contract.registers import (
    MANAGER_PAGE,
    FaultReason,
    ManagerInvalidateStatus,
    ManagerPage,
)
from byway.sw.hosted.hosted_driver import HostedDriver
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.hosting_interface import HostingInterface
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome

FRAMES = 12
PAYLOAD = 1400
HEADER = bytes.fromhex("020000000099 020000000002 88b5")
GRANTED, SECRET = b"\x11" * PAGE_SIZE, b"\xee" * PAGE_SIZE
WHOLE = HEADER + GRANTED[:PAYLOAD]


class Recorder:
    """An engine as hardware that remembers its register accesses: read or written, where, what."""

    def __init__(self, engine):
        self._engine = engine
        self.memory = engine.memory
        self.registers = self
        self.accesses = []

    def read(self, offset):
        value = self._engine.registers.read(offset)
        self.accesses.append(("read", offset, value))
        return value

    def write(self, offset, value):
        self.accesses.append(("write", offset, value))
        self._engine.registers.write(offset, value)

    @property
    def adapter_interrupt(self):
        return self._engine.adapter_interrupt

    @property
    def manager_interrupt(self):
        return self._engine.manager_interrupt

    @property
    def time_ns(self):
        return self._engine.time_ns


class Machine:
    """A client of an adapter on the native engine."""

    def __init__(self):
        manner = MemoryManner(latency=40, stalls=6000, reorders=True, seed=1)
        self.engine = open_engine("native", adapter_for(1), board_for(1, manner))
        self.hardware = Recorder(self.engine)
        self.frames = []
        self.manager = PartitionManager(self.hardware)
        hosting = self.manager.create_partition("hosting", PARTITION_BYTES)
        self.hosted = self.manager.create_partition("hosted", PARTITION_BYTES)
        interface = HostingInterface(AdapterDriver(self.manager.assign_adapter(hosting)))
        connection = self.manager.connect_vnic(self.hosted, hosting)
        self.client = connection.client
        interface.serve(connection.server, HEADER[6:12])
        self.device = HostedDriver(self.client, HEADER[6:12])
        self.device.start()
        self.manager.dispatch()
        assert self.device.link_up

    def granted_page(self):
        """A page that the adapter may read: address, mapping, I/O bus address of the client."""
        memory = self.hosted.memory
        address = memory.allocate(PAGE_SIZE, align=PAGE_SIZE)
        memory.write(address, GRANTED)
        mapping = self.device.map(address, PAGE_SIZE)
        self.manager.dispatch()
        rpn = memory.physical_page(address // PAGE_SIZE)
        pages = range(self.client.window.pages)
        index = next(page for page in pages if self.client.window.entry(page).rpn == rpn)
        return address, mapping, index * PAGE_SIZE

    def send(self, address, mapping):
        """Hand frames of that page to the adapter; return the list of what becomes of them."""
        outcomes = []
        payload = (Fragment(mapping, address, PAYLOAD),)
        frames = [Frame(HEADER, payload, on_complete=outcomes.append) for _ in range(FRAMES)]
        self.device.transmit(frames)
        self.manager.dispatch()
        return outcomes

    def run(self, cycles):
        """Let time and software go on."""
        end = self.engine.cycle + cycles
        while self.engine.cycle < end:
            self.engine.run(end - self.engine.cycle)
            while self.engine.frames:
                self.frames.append(self.engine.frames.popleft())
            self.manager.dispatch()


def invalidations(accesses):
    """How many invalidations were started; each is over before the next, and before the end."""
    finder = []

    class Finder:
        def read(self, offset):
            finder.append(offset)
            return 0

        def write(self, offset, value): ...

    ManagerPage(Finder(), MANAGER_PAGE).invalidate.read()
    ManagerPage(Finder(), MANAGER_PAGE).invalidate_status.read()
    start, status = finder
    started = 0
    busy = False
    for what, offset, value in accesses:
        if (what, offset) == ("write", start):
            assert not busy
            busy = True
            started += 1
        elif (what, offset) == ("read", status):
            busy = bool(ManagerInvalidateStatus.from_int(value).busy)
    assert not busy
    return started


def test_no_byte_written_after_the_revocation_is_on_the_wire():
    machine = Machine()
    hcalls, liobn = machine.hosted.hcalls, machine.client.liobn
    mixed = 0
    for delay in range(0, 3000, 150):
        address, mapping, ioba = machine.granted_page()
        machine.frames.clear()
        outcomes = machine.send(address, mapping)
        machine.run(delay)
        machine.hardware.accesses.clear()
        assert hcalls.h_put_tce(liobn, ioba, 0) is ReturnCode.H_SUCCESS
        assert invalidations(machine.hardware.accesses) == 1
        machine.hosted.memory.write(address, SECRET)
        machine.run(40_000)
        assert len(outcomes) == FRAMES, f"delay {delay}"
        sent = outcomes.count(FrameOutcome.SENT)
        assert [frame.data for frame in machine.frames] == [WHOLE] * sent, f"delay {delay}"
        mixed += 0 < sent < FRAMES
    assert mixed > 5
    reasons = {fault.reason for fault in machine.manager.faults}
    assert reasons == {FaultReason.READ_DENIED}  # The bit bucket takes writes only.
    machine.engine.close()


@pytest.mark.parametrize("end", ["H_FREE_CRQ", "death"])
def test_the_end_of_the_connection_takes_everything_back(end):
    machine = Machine()
    address, mapping, ioba = machine.granted_page()
    rpn = machine.client.window.entry(ioba // PAGE_SIZE).rpn
    machine.send(address, mapping)
    machine.run(1000)
    machine.hardware.accesses.clear()
    if end == "death":
        machine.manager.terminate(machine.hosted)
    else:
        code = machine.hosted.hcalls.h_free_crq(machine.client.unit)
        assert code is ReturnCode.H_SUCCESS
    assert invalidations(machine.hardware.accesses) == 1
    machine.engine.memory.write(rpn * PAGE_SIZE, SECRET)
    machine.run(40_000)
    assert 0 < len(machine.frames) < FRAMES
    assert {frame.data for frame in machine.frames} == {WHOLE}
    machine.engine.close()
