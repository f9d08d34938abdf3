"""What stands around `byway.rtl.transmit.ring`, for test benches.

`TransmitRingBench` is software, memory and scheduler around one ring, a step at a time.
"""

from amaranth.sim import Simulator

from byway.rtl.transmit.ring import BLOCK_ENTRIES, TransmitRing
from byway.sim.descriptor_bench import ENTRY_BYTES, Fragment, FrameRequest

__all__ = ["BASE_PAGE", "TransmitRingBench", "request"]

#: Where the ring's descriptors lie.
BASE_PAGE = 0xFEDCB_A9876543


def request(count: int) -> FrameRequest:
    """A frame of so many fragments; out of range, it is told by its descriptor alone."""
    parts = tuple(Fragment(number, 64) for number in range(count if 1 <= count <= 31 else 1))
    return FrameRequest(parts, count, 64 * len(parts))


class TransmitRingBench:
    """Software, memory and scheduler around one ring."""

    def __init__(self, *, data_width=64, size_log2=4, seed=""):
        self.dut = TransmitRing(data_width=data_width)
        self.row_bytes = data_width // 8
        self.size_log2 = size_log2
        self.seed = seed
        self.cycle = 0

    def run(self, *testbenches, background=()):
        """Run until all of `testbenches` have ended."""

        async def clock(ctx):
            async for _ in ctx.tick():
                self.cycle += 1
                assert self.cycle < 20_000, f"no end, seed {self.seed!r}"

        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_process(clock)
        for testbench in background:
            sim.add_testbench(testbench, background=True)
        for testbench in testbenches:
            sim.add_testbench(testbench)
        sim.run()

    async def enable(self, ctx):
        """Enable the ring, and wait until it is active."""
        config = self.dut.config
        ctx.set(config.descriptor_base, BASE_PAGE)
        ctx.set(config.size_log2, self.size_log2)
        await ctx.tick().repeat(2)
        ctx.set(config.enable, 1)
        await ctx.tick().until(self.dut.status.active)

    async def doorbell(self, ctx, producer):
        """Ring the doorbell."""
        ctx.set(self.dut.config.producer, producer % 2**16)
        ctx.set(self.dut.config.producer_modify, 1)
        await ctx.tick()
        ctx.set(self.dut.config.producer_modify, 0)

    async def beat(self, ctx, entry, row, *, error=0):
        """Have one word of an entry arrive."""
        word = entry[row * self.row_bytes : (row + 1) * self.row_bytes]
        ctx.set(self.dut.beat_valid, 1)
        ctx.set(self.dut.beat_data, int.from_bytes(word, "little"))
        ctx.set(self.dut.beat_error, error)
        await ctx.tick()
        ctx.set(self.dut.beat_valid, 0)

    async def pulse(self, ctx, signal, cycles=1):
        """Set `signal` for so many cycles."""
        ctx.set(signal, 1)
        await ctx.tick().repeat(cycles)
        ctx.set(signal, 0)

    async def fetch(self, ctx):
        """Take one fetch request."""
        port = self.dut.fetch
        ctx.set(port.ready, 1)
        payload, _ready = await ctx.tick().sample(port.payload, port.ready).until(port.valid)
        ctx.set(port.ready, 0)
        return payload.address, payload.entries

    async def hand_on(self, ctx, posted, taken):
        """Enable the ring, post frames of one entry, have a block of them read, and some taken."""
        await self.enable(ctx)
        await self.doorbell(ctx, posted)
        await self.read(ctx, request(1).entries() * BLOCK_ENTRIES)
        ctx.set(self.dut.taken_entries, 1)
        await self.pulse(ctx, self.dut.taken, taken)

    async def read(self, ctx, entries, *, fail=None):
        """Answer one fetch request; the beat (entry, row) `fail` with an error."""
        _address, count = await self.fetch(ctx)
        for number, entry in enumerate(entries[:count]):
            for row in range(ENTRY_BYTES // self.row_bytes):
                await self.beat(ctx, entry, row, error=int(fail == (number, row)))
        return count
