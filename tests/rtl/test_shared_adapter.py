"""The shared adapter joins each page to its own: ring, doorbell, grants, window, refusals."""

import pytest

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.engines.amaranth import AmaranthEngine
from byway.sw.contract.records import (
    Completion,
    TranslationControlEntry,
    TransmitDescriptor,
    TransmitStatus,
)
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    MANAGER_PAGE,
    PAGE_SIZE,
    WINDOW_PAGE,
    AdapterPage,
    DoorbellPage,
    FaultReason,
    InvalidateScope,
    ManagerPage,
    WindowPage,
)

RINGS = 2
LENGTH = 64
#: Pages of the I/O bus, the same for both rings.
DESCRIPTORS, COMPLETIONS, DATA, NOT_MAPPED = range(4)
#: Cycles in which a frame is on the wire and its completion is written.
SOON = 400


class Owners:
    """Software that owns two rings; what is at a page of window `n` is at page 8 (n + 1) + page."""

    def __init__(self):
        parameters = BoardParameters(memory_bytes=1 << 17, memory=MemoryManner(latency=10))
        self.engine = engine = AmaranthEngine(SharedAdapter(rings=RINGS, windows=2), parameters)
        self.manager = ManagerPage(engine.registers, MANAGER_PAGE)
        self.adapter = AdapterPage(engine.registers, ADAPTER_PAGE)
        self.doorbells = [
            DoorbellPage(engine.registers, DOORBELL_PAGE + PAGE_SIZE * ring)
            for ring in range(RINGS)
        ]
        self._posted = [0] * RINGS
        for number in range(RINGS):
            window = WindowPage(engine.registers, WINDOW_PAGE).window[number]
            window.table_base.write(page=number + 1)
            window.size.write(entries=8)
            window.control.write(enable=1)
            self.manager.binding[number].write(valid=1, window=number)
            for page in (DESCRIPTORS, COMPLETIONS, DATA):
                self.grant(number, page, self.place(number, page))
            ring = self.adapter.ring[number]
            ring.descriptor_base.write(page=DESCRIPTORS)
            ring.completion_base.write(page=COMPLETIONS)
            ring.size.write(size_log2=4)
            ring.control.write(enable=1)
        self.adapter.mac_control.write(transmit_enable=1)

    @staticmethod
    def place(window, page):
        """System page of a page of the window."""
        return 8 * (window + 1) + page

    def grant(self, window, page, rpn):
        """Enter system page `rpn` into the window's table."""
        entry = TranslationControlEntry(read=1, write=1, rpn=rpn)
        self.engine.memory.write((window + 1) * PAGE_SIZE + 8 * page, entry.pack())

    def fill(self, rpn, byte):
        """Fill a frame's worth of a system page."""
        self.engine.memory.write(rpn * PAGE_SIZE, bytes([byte]) * LENGTH)

    def post(self, ring, *, page=DATA, **flags):
        """Ring the doorbell for a frame; returns its completion, and the frame if one has left."""
        place, count = self.place(ring, DESCRIPTORS) * PAGE_SIZE, self._posted[ring]
        descriptor = TransmitDescriptor(
            address=page * PAGE_SIZE,
            fragment_length=LENGTH,
            fragments=1,
            total_length=LENGTH,
            **flags,
        )
        self.engine.memory.write(place + TransmitDescriptor.SIZE * count, descriptor.pack())
        self._posted[ring] += 1
        self.doorbells[ring].transmit.write(producer=self._posted[ring])
        for _ in range(SOON):
            self.engine.run(1)
        written = self.place(ring, COMPLETIONS) * PAGE_SIZE + Completion.SIZE * count
        completion = Completion.unpack(self.engine.memory.read(written, Completion.SIZE))
        frames = list(self.engine.frames)
        self.engine.frames.clear()
        return completion, frames[0].data if frames else None


@pytest.fixture
def owners():
    owners = Owners()
    yield owners
    owners.engine.close()


def test_a_ring_is_rung_granted_and_translated_as_its_own_pages_say(owners):
    for ring in range(RINGS):
        owners.fill(owners.place(ring, DATA), 0xA0 + ring)
    owners.adapter.ring[0].offloads.write(checksum_ipv4=1)
    offload = {"checksum_ipv4": 1, "ip_offset": 14, "l4_offset": 34}
    for ring in reversed(range(RINGS)):
        completion, frame = owners.post(ring)
        assert (completion.status, completion.ring) == (TransmitStatus.SUCCESS, ring)
        assert frame == bytes([0xA0 + ring]) * LENGTH
        assert owners.adapter.ring[ring].status.read().consumer == 1
        assert owners.adapter.ring[0].status.read().consumer == (ring == 0)
    assert owners.post(1, **offload)[0].status == TransmitStatus.NOT_GRANTED
    assert owners.post(0, **offload)[0].status == TransmitStatus.SUCCESS


def test_a_refusal_is_told_to_the_manager_if_it_wants_to_hear_of_it(owners):
    completion, frame = owners.post(1, page=NOT_MAPPED)
    assert (completion.status, frame) == (TransmitStatus.MEMORY_REFUSED, None)
    assert not owners.engine.manager_interrupt
    owners.manager.interrupt_enable.write(fault=1)
    owners.engine.run(2)
    assert owners.engine.manager_interrupt
    record = owners.manager.fault_record.read()
    assert (record.requester, record.window, record.write) == (1, 1, 0)
    assert record.reason == FaultReason.NOT_MAPPED
    assert owners.manager.fault_address.read().address == NOT_MAPPED * PAGE_SIZE
    owners.manager.fault_status.write(valid=1)
    owners.engine.run(5)
    assert not owners.engine.manager_interrupt


def test_an_invalidation_takes_back_what_its_registers_name(owners):
    old, new = owners.place(1, DATA), owners.place(1, DATA) + 4
    owners.fill(old, 0x11)
    owners.fill(new, 0x22)
    assert owners.post(1)[1] == b"\x11" * LENGTH
    owners.grant(1, DATA, new)
    assert owners.post(1)[1] == b"\x11" * LENGTH
    owners.manager.invalidate_page.write(index=DATA)
    owners.manager.invalidate.write(start=1, scope=InvalidateScope.PAGE, window=1)
    while owners.manager.invalidate_status.read().busy:
        pass
    assert owners.post(1)[1] == b"\x22" * LENGTH
