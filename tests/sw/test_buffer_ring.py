"""The buffer ring: what lies there is whole and apart until removed, in whatever order."""

import random

from byway.sw.stack.buffer_ring import BufferRing

BASE, LENGTH = 0x1000, 4096


def test_headers_lie_whole_and_apart_until_they_are_removed(machine):
    seed = 3
    generator = random.Random(seed)
    memory = machine.hosted.memory
    pool = BufferRing(memory, BASE, LENGTH)
    live: dict[int, bytes] = {}
    refused = 0
    for _ in range(5000):
        header = generator.randbytes(generator.randrange(14, 400))
        room = pool.room(len(header))
        address = pool.place(header)
        if address is None:
            refused += 1
            assert room == 0, f"seed {seed}"
        else:
            assert address >= BASE
            assert address + len(header) <= BASE + LENGTH
            assert address not in live
            live[address] = header
        for done in generator.sample(list(live), len(live) // 4):
            assert memory.read(done, len(live[done])) == live.pop(done), f"seed {seed}"
            pool.remove(done)
    assert refused > 100


def test_the_room_promised_is_there(machine):
    seed = 4
    generator = random.Random(seed)
    for _ in range(300):
        pool = BufferRing(machine.hosted.memory, BASE, LENGTH)
        placed = [pool.place(bytes(generator.randrange(1, 500))) for _ in range(5)]
        for address in placed[: generator.randrange(6)]:
            assert address is not None
            pool.remove(address)
        length = generator.randrange(1, 700)
        for _ in range(pool.room(length)):
            assert pool.place(bytes(length)) is not None, f"seed {seed}"
