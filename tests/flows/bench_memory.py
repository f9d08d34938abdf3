"""System memory for flows: it stalls, and knows what was granted."""

import random
from collections.abc import Awaitable, Callable

from cocotb.triggers import ClockCycles
from cocotbext.axi import MemoryRegion

from byway.sim.engines.local_hardware import BufferMemory
from byway.sim.flows.flow import PAGE, Pages

__all__ = ["SystemMemory"]

_PAGES = 4096


class _Region(MemoryRegion):
    """Target of cocotbext-axi's `AxiSlave`: `judge` sees every access, by direction and address."""

    def __init__(self, storage: bytearray, judge: Callable[[str, int], Awaitable[None]]):
        super().__init__(len(storage), mem=storage)
        self._judge = judge

    async def read(self, address, length, **kwargs):
        await self._judge("read of", address)
        return await super().read(address, length, **kwargs)

    async def write(self, address, data, **kwargs):
        await self._judge("write to", address)
        await super().write(address, data, **kwargs)


class SystemMemory(Pages):
    """The pages, and what answers for them; every beat in one that is not granted is a trespass.

    Attributes
    ----------
    region : MemoryRegion
    """

    def __init__(self, clk, rng: random.Random):
        storage = bytearray(_PAGES * PAGE)
        super().__init__(BufferMemory(storage), rng)
        self.region: MemoryRegion = _Region(storage, self._judge)
        self._trespasses: list[str] = []
        self._clk = clk
        self._rng = rng
        self._probability = 0.0
        self._longest = 0

    def stall(self, probability: float, longest: int) -> None:
        """From now on let an access wait up to `longest` cycles, with `probability`."""
        self._probability = probability if longest else 0.0
        self._longest = longest

    def check(self) -> None:
        """Fail if anything was touched that was not granted."""
        assert not self._trespasses, "trespasses: " + "; ".join(self._trespasses[:8])

    async def _judge(self, kind: str, address: int) -> None:
        page = address // PAGE
        if page not in (self.writable if kind == "write to" else self.readable):
            self._trespasses.append(f"{kind} {address:#x}")
        if self._rng.random() < self._probability:
            await ClockCycles(self._clk, self._rng.randint(1, self._longest))
        if page >= self.broken:
            # Whatever is raised is answered with SLVERR.
            raise OSError(f"page {page:#x} is not there")
