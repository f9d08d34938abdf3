# amaranth: UnusedElaboratable=no
"""`ManagedBridge`: the partition manager's pages, where the shared adapter has them, and no others.

What the bridge does for the master is shown elsewhere: of the bridge by `test_bridge`, of this with
another's master and memory by ``tests/flows``.
"""

import random

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract.model import bridge_space, codes, register_space
from byway.rtl.translation.managed_bridge import ManagedBridge
from byway.sim.axi_lite_bench import AXILiteBench
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory

Reason = codes("fault_reason")
Scope = codes("invalidate_scope")
#: System pages.
TABLE, PAGE, ANOTHER = 0x80, 0x123, 0x456


def places(**numbers):
    return {
        ".".join(map(str, path)): address
        for path, address, _register in bridge_space(**numbers).registers()
    }


class Bench:
    """A bridge of 40 requesters, its manager, a memory, and a master that reads single beats."""

    def __init__(self):
        self.dut = ManagedBridge(requesters=40, windows=3)
        self.at = places(requesters=40, windows=3)
        self.memory = SparseMemory()
        self.software = AXILiteBench(self.dut.s_axil, random.Random(0))
        self.memory_bench = AXIMemoryBench(
            self.dut.m_axi, self.memory, timing=AXITiming(), rng=random.Random(1)
        )

    def run(self, test):
        simulator = Simulator(self.dut)
        simulator.add_clock(8e-9)
        simulator.add_testbench(test)
        simulator.add_testbench(self.memory_bench.reads, background=True)
        simulator.add_testbench(self.memory_bench.writes, background=True)
        simulator.run()

    async def write(self, ctx, name, value):
        assert await self.software.write(ctx, self.at[name], value) == Resp.OKAY, name

    async def read(self, ctx, name):
        response, value = await self.software.read(ctx, self.at[name])
        assert response == Resp.OKAY, name
        return value

    async def grant(self, ctx, *, requester, window):
        """A window of 4 pages, the first of which may be read."""
        self.memory.write(TABLE << 12, bytes(4096))
        self.map(PAGE)
        self.memory.write(PAGE << 12, b"granted.")
        await self.write(ctx, f"window.window.{window}.table_base", TABLE << 12)
        await self.write(ctx, f"window.window.{window}.size", 4)
        await self.write(ctx, f"window.window.{window}.control", 1)
        await self.write(ctx, f"manager.binding.{requester}", window << 8 | 1)

    def map(self, page):
        self.memory.write(TABLE << 12, (page << 12 | 1).to_bytes(8, "little"))

    async def ask(self, ctx, address, *, user):
        """Read 8 bytes as a master; returns answer and data."""
        axi = self.dut.s_axi
        for name, value in (("addr", address), ("user", user), ("size", 3), ("burst", 1)):
            ctx.set(getattr(axi, f"ar{name}"), value)
        ctx.set(axi.arvalid, 1)
        ctx.set(axi.rready, 1)
        await ctx.tick().until(axi.arready)
        ctx.set(axi.arvalid, 0)
        data, response = await ctx.tick().sample(axi.rdata, axi.rresp).until(axi.rvalid)
        return response, data.to_bytes(8, "little")


def test_its_registers_are_the_managers_at_their_own_offsets():
    """As many requesters as the shared adapter can have rings: more have no place there.

    It has no rings that could be reset.
    """
    whole = {
        path: (address, register)
        for path, address, register in register_space(rings=32, windows=256).registers()
        if path[0] in ("manager", "window") and path[1] != "ring_reset"
    }
    alone = bridge_space(requesters=32, windows=256)
    assert {path: (address, register) for path, address, register in alone.registers()} == whole


def test_a_requester_past_the_rings_of_any_adapter_reaches_what_it_is_granted():
    bench = Bench()

    async def test(ctx):
        await bench.grant(ctx, requester=39, window=2)
        assert await bench.ask(ctx, 0, user=39) == (Resp.OKAY, b"granted.")
        assert await bench.ask(ctx, 0, user=38) == (Resp.DECERR, bytes(8))
        assert await bench.ask(ctx, 0, user=40) == (Resp.DECERR, bytes(8))

    bench.run(test)


def test_a_refusal_is_recorded_counted_and_interrupts_if_it_may():
    bench = Bench()

    async def test(ctx):
        await bench.grant(ctx, requester=39, window=2)
        assert await bench.ask(ctx, 0x3210, user=39) == (Resp.DECERR, bytes(8))
        await ctx.tick().repeat(4)
        assert not ctx.get(bench.dut.interrupt)
        await bench.write(ctx, "manager.interrupt_enable", 1)
        await ctx.tick().repeat(2)
        assert ctx.get(bench.dut.interrupt)
        record = await bench.read(ctx, "manager.fault_record")
        assert record == 39 | 2 << 8 | Reason.NOT_MAPPED << 16
        assert await bench.read(ctx, "manager.fault_address") == 0x3210
        await bench.write(ctx, "manager.fault_status", 1)
        await ctx.tick().repeat(4)
        assert not ctx.get(bench.dut.interrupt)
        assert await bench.ask(ctx, 0, user=39) == (Resp.OKAY, b"granted.")
        assert await bench.ask(ctx, 0, user=39) == (Resp.OKAY, b"granted.")
        counts = [
            await bench.read(ctx, f"manager.{name}")
            for name in ("faults", "iotlb_misses", "iotlb_hits")
        ]
        assert counts == [1, 2, 1]

    bench.run(test)


@pytest.mark.parametrize("scope", [Scope.PAGE, Scope.WINDOW, Scope.EVERYTHING])
def test_an_invalidation_makes_it_forget(scope):
    bench = Bench()

    async def test(ctx):
        await bench.grant(ctx, requester=0, window=1)
        bench.memory.write(ANOTHER << 12, b"another.")
        assert await bench.ask(ctx, 0, user=0) == (Resp.OKAY, b"granted.")
        bench.map(ANOTHER)
        assert await bench.ask(ctx, 0, user=0) == (Resp.OKAY, b"granted.")
        await bench.write(ctx, "manager.invalidate", 1 | scope << 4 | 1 << 8)
        while await bench.read(ctx, "manager.invalidate_status"):
            pass
        assert ctx.get(bench.dut.idle)
        assert await bench.ask(ctx, 0, user=0) == (Resp.OKAY, b"another.")

    bench.run(test)


def test_no_other_offset_answers():
    bench = Bench()
    known = {
        address + byte
        for _path, address, register in bridge_space(requesters=40, windows=3).registers()
        for byte in range(0, register.width // 8, 4)
    }

    async def test(ctx):
        rng = random.Random(2)
        others = sorted(set(range(0, 0x4000, 4)) - known)
        for address in [0, 0x2000, 0x3030, *rng.sample(others, 30)]:
            assert await bench.software.read(ctx, address) == (Resp.SLVERR, 0), hex(address)
            assert await bench.software.write(ctx, address, ~0 & 0xFFFF_FFFF) == Resp.SLVERR

    bench.run(test)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"requesters": 257}, "Requesters must be 1 to 256, not 257"),
        ({"requesters": 5, "user_width": 2}, "Requesters must be 1 to 4, not 5"),
        ({"windows": 0}, "Windows must be 1 to 256, not 0"),
        ({"walks": 3}, "Walks must be a power of two, at least 2, not 3"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ManagedBridge(**parameters)
