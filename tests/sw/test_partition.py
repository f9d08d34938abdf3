"""Memory of partitions: scattered, bounded, zeroed; and the interrupts that reach them."""

import itertools
import random

import pytest

from byway.sw.manager.memory import PAGE_SIZE, PageAllocator, PartitionFault, PartitionMemory

SIZE = 64 * PAGE_SIZE


@pytest.fixture
def memory(hardware):
    allocator = PageAllocator(hardware.memory)
    return PartitionMemory(hardware.memory, allocator.allocate(64), name="p")


def test_neighbours_in_logical_memory_are_not_neighbours_in_physical_memory(memory):
    pages = [memory.physical_page(page) for page in range(64)]
    neighbours = sum(b - a == 1 for a, b in itertools.pairwise(pages))
    assert len(set(pages)) == 64
    assert neighbours < 8


def test_reads_and_writes_cross_pages_as_if_memory_were_one_piece(memory):
    seed = 1
    rng = random.Random(seed)
    reference = bytearray(SIZE)
    for _ in range(300):
        address = rng.randrange(SIZE)
        length = rng.randrange(min(3 * PAGE_SIZE, SIZE - address) + 1)
        data = rng.randbytes(length)
        memory.write(address, data)
        reference[address : address + length] = data
        start = rng.randrange(SIZE)
        end = rng.randrange(start, SIZE + 1)
        assert memory.read(start, end - start) == reference[start:end], f"seed {seed}"


def test_data_lies_in_the_physical_pages_that_are_told(memory, hardware):
    memory.write(3 * PAGE_SIZE + 5, b"here")
    physical = memory.physical_page(3)
    assert hardware.memory.read(physical * PAGE_SIZE + 5, 4) == b"here"
    assert memory.logical_page(physical) == 3


@pytest.mark.parametrize(
    ("address", "length"), [(SIZE, 1), (SIZE - 1, 2), (-1, 1), (0, -1), (1 << 63, 1), (0, SIZE + 1)]
)
def test_a_range_outside_the_partition_faults_and_says_so(memory, address, length):
    with pytest.raises(PartitionFault, match=f"partition p has no {length} bytes at"):
        memory.read(address, length)
    if length > 0:
        with pytest.raises(PartitionFault, match="its memory ends at 0x40000"):
            memory.write(address, bytes(length))


def test_pages_outside_the_partition_have_no_translation(memory):
    assert memory.physical_page(64) is None
    assert memory.physical_page(-1) is None
    assert memory.logical_page(0) is None


def test_allocations_never_overlap_and_come_back_when_freed(memory):
    seed = 2
    rng = random.Random(seed)
    held = {}
    for _ in range(500):
        if held and rng.random() < 0.5:
            memory.free(held.popitem()[0])
            continue
        size, align = rng.randrange(1, 5000), 1 << rng.randrange(13)
        try:
            address = memory.allocate(size, align=align)
        except MemoryError:
            memory.free(held.popitem()[0])
            continue
        assert address % align == 0, f"seed {seed}"
        assert PAGE_SIZE <= address <= SIZE - size, f"seed {seed}"
        for other, length in held.items():
            assert address + size <= other or other + length <= address, f"seed {seed}"
        held[address] = size
    for address in held:
        memory.free(address)
    assert memory.allocate(SIZE - PAGE_SIZE, align=PAGE_SIZE) == PAGE_SIZE


def test_allocation_refuses_what_makes_no_sense(memory):
    with pytest.raises(ValueError, match="size must be positive, not 0"):
        memory.allocate(0)
    with pytest.raises(ValueError, match="align must be a power of two, not 3"):
        memory.allocate(8, align=3)
    with pytest.raises(MemoryError, match="partition p has no room for 262144 bytes"):
        memory.allocate(SIZE)
    with pytest.raises(ValueError, match="nothing is allocated at 0x1234 in partition p"):
        memory.free(0x1234)


def test_released_memory_has_no_bytes(memory):
    pages = memory.release()
    assert len(pages) == 64
    with pytest.raises(PartitionFault):
        memory.read(0, 1)
    assert memory.physical_page(0) is None
    assert memory.logical_page(pages[0]) is None


def test_pages_are_zeroed_before_they_are_given_on(hardware):
    allocator = PageAllocator(hardware.memory)
    pages = allocator.allocate(allocator.free_pages)
    for page in pages:
        hardware.memory.write(page * PAGE_SIZE, b"secret")
    allocator.free(pages)
    run = allocator.allocate_contiguous(8)
    given_on = [*range(run, run + 8), *allocator.allocate(allocator.free_pages)]
    assert sorted(given_on) == sorted(pages)
    for page in given_on:
        assert hardware.memory.read(page * PAGE_SIZE, 6) == bytes(6)


def test_contiguous_runs_follow_each_other_and_belong_to_nobody_else(hardware):
    allocator = PageAllocator(hardware.memory)
    scattered = allocator.allocate(700)
    first = allocator.allocate_contiguous(8)
    second = allocator.allocate_contiguous(8)
    taken = {*scattered, *range(first, first + 8), *range(second, second + 8)}
    assert len(taken) == 716
    assert 0 not in taken
    assert allocator.free_pages == 1023 - 716


def test_the_allocator_says_when_nothing_is_left(hardware):
    allocator = PageAllocator(hardware.memory)
    with pytest.raises(MemoryError, match="2000 pages asked for, 1023 are free"):
        allocator.allocate(2000)
    with pytest.raises(MemoryError, match="no run of 2000 free pages"):
        allocator.allocate_contiguous(2000)
    assert allocator.free_pages == 1023


def test_a_foreign_interrupt_source_cannot_be_handled(shared):
    source = shared.other_vnic.client.irq
    with pytest.raises(
        PartitionFault, match=f"partition hosted has no interrupt source {source:#x}"
    ):
        shared.hosted.on_interrupt(source, lambda: None)
    with pytest.raises(PartitionFault):
        shared.hosted.on_interrupt(1, None)


def test_pulses_coalesce_until_the_handler_starts_and_wait_for_a_handler(shared):
    calls = []
    send = shared.hosted.hcalls.h_send_crq
    for _ in range(3):
        assert send(shared.vnic.client.unit, 0x80 << 56, 0) == 0
    assert not shared.manager.dispatch()
    shared.hosting.on_interrupt(shared.vnic.server.irq, lambda: calls.append("server"))
    assert shared.manager.dispatch()
    assert calls == ["server"]
    assert not shared.manager.dispatch()
    shared.hosting.on_interrupt(shared.vnic.server.irq, None)
    send(shared.vnic.client.unit, 0x80 << 56, 0)
    assert not shared.manager.dispatch()


def test_a_pulse_during_the_handler_runs_it_again(shared):
    calls = []

    def ping():
        calls.append("ping")
        if len(calls) < 5:
            shared.hosted.hcalls.h_send_crq(shared.vnic.client.unit, 0x80 << 56, 0)

    shared.hosting.on_interrupt(shared.vnic.server.irq, ping)
    shared.hosted.hcalls.h_send_crq(shared.vnic.client.unit, 0x80 << 56, 0)
    shared.manager.dispatch()
    assert calls == ["ping"] * 5
