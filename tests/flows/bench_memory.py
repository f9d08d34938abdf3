"""System memory for flows: it stalls, fails where it is told to, and knows what was granted."""

import random

from cocotb.triggers import ClockCycles
from cocotbext.axi import MemoryRegion

from byway.sim.engines.local_hardware import BufferMemory

__all__ = ["PAGE", "SystemMemory"]

PAGE = 4096
_PAGES = 4096


class SystemMemory(MemoryRegion):
    """Target of cocotbext-axi's `AxiSlave`; an access that raises is answered with SLVERR.

    Attributes
    ----------
    software : BufferMemory
        The same bytes as software sees them.
    readable, writable : set of int
        Pages that the bridge may touch now. Every beat elsewhere is a trespass.
    broken : set of int
        Pages whose accesses fail.
    """

    def __init__(self, clk, rng: random.Random):
        storage = bytearray(_PAGES * PAGE)
        super().__init__(len(storage), mem=storage)
        self.software = BufferMemory(storage)
        self.readable: set[int] = set()
        self.writable: set[int] = set()
        self.broken: set[int] = set()
        self._trespasses: list[str] = []
        self._clk = clk
        self._rng = rng
        self._free = list(range(_PAGES))
        rng.shuffle(self._free)
        self._probability = 0.0
        self._longest = 0

    def take_page(self) -> int:
        """Number of a page that nobody uses, anywhere in memory."""
        return self._free.pop()

    def stall(self, probability: float, longest: int) -> None:
        """From now on let an access wait up to `longest` cycles, with `probability`."""
        self._probability = probability if longest else 0.0
        self._longest = longest

    def check(self) -> None:
        """Fail if anything was touched that was not granted."""
        assert not self._trespasses, "trespasses: " + "; ".join(self._trespasses[:8])

    async def _access(self, granted: set[int], kind: str, address: int) -> None:
        page = address // PAGE
        if page not in granted:
            self._trespasses.append(f"{kind} {address:#x}")
        if self._rng.random() < self._probability:
            await ClockCycles(self._clk, self._rng.randint(1, self._longest))
        if page in self.broken:
            raise OSError(f"page {page:#x} is broken")

    async def read(self, address, length, **kwargs):
        """Read a beat."""
        await self._access(self.readable, "read of", address)
        return await super().read(address, length, **kwargs)

    async def write(self, address, data, **kwargs):
        """Write the bytes of a beat that are strobed."""
        await self._access(self.writable, "write to", address)
        await super().write(address, data, **kwargs)
