"""An AXI4-Lite master for test benches on Amaranth's simulator, with stalls on every channel.

Randomness comes from the caller's seeded generator, so that a failure can be run again.
[AMBA AXI4, IHI 0022, A3.2.1 and B1]
"""

import random
from typing import Any

from byway.rtl.bus.axi4 import Resp

__all__ = ["AXILiteBench"]


class AXILiteBench:
    """Reads and writes the registers behind an AXI4-Lite slave, one access at a time.

    Parameters
    ----------
    axil : interface of AXI4LiteSignature
        The slave's port.
    rng : random.Random
        Chooses the stalls.
    longest_stall : int
        Most cycles by which a channel is late.
    """

    def __init__(self, axil: Any, rng: random.Random, longest_stall: int = 3):
        self._axil = axil
        self._rng = rng
        self._longest_stall = longest_stall

    def _stall(self) -> int:
        return self._rng.randint(0, self._longest_stall)

    async def write(self, ctx, address: int, data: int, strobe: int = 0xF) -> Resp:
        """Write, with address and data in any order; return the answer."""
        axil = self._axil
        ctx.set(axil.awaddr, address)
        ctx.set(axil.wdata, data)
        ctx.set(axil.wstrb, strobe)
        wait = {"aw": self._stall(), "w": self._stall(), "b": self._stall()}
        mine = {"aw": axil.awvalid, "w": axil.wvalid, "b": axil.bready}
        resp = 0
        while wait:
            for channel in wait:
                wait[channel] -= 1
                ctx.set(mine[channel], wait[channel] < 0)
            _clk, _rst, aw, w, b, resp = await ctx.tick().sample(
                axil.awready, axil.wready, axil.bvalid, axil.bresp
            )
            assert not (b and ("aw" in wait or "w" in wait)), "answer before address and data"
            for channel, theirs in (("aw", aw), ("w", w), ("b", b)):
                if channel in wait and wait[channel] < 0 and theirs:
                    del wait[channel]
                    ctx.set(mine[channel], 0)
        return Resp(resp)

    async def read(self, ctx, address: int) -> tuple[Resp, int]:
        """Read; return the answer and the data."""
        axil = self._axil
        for _cycle in range(self._stall()):
            await ctx.tick()
        ctx.set(axil.araddr, address)
        ctx.set(axil.arvalid, 1)
        await ctx.tick().until(axil.arready)
        ctx.set(axil.arvalid, 0)
        for _cycle in range(self._stall()):
            await ctx.tick()
        ctx.set(axil.rready, 1)
        resp, data = await ctx.tick().sample(axil.rresp, axil.rdata).until(axil.rvalid)
        ctx.set(axil.rready, 0)
        return Resp(resp), data

    async def watch(self, ctx) -> None:
        """Assert for ever that an answer once valid stays as it is until it is taken.

        To be added as a background test bench.
        """
        axil = self._axil
        channels = [
            (axil.bvalid, axil.bready, axil.bresp, axil.bresp),
            (axil.rvalid, axil.rready, axil.rresp, axil.rdata),
        ]
        waiting: list[Any] = [None] * len(channels)
        signals = [signal for channel in channels for signal in channel]
        async for _clk, _rst, *values in ctx.tick().sample(*signals):
            for number in range(len(channels)):
                valid, ready, *payload = values[4 * number : 4 * number + 4]
                if waiting[number] is not None:
                    assert [valid, *payload] == [1, *waiting[number]], "answer changed"
                waiting[number] = payload if valid and not ready else None
