"""A machine without RTL: memory, and registers whose manager page behaves as the contract says.

It is what the partition manager can be tested against alone.
"""

from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    IDENTITY_PAGE,
    MANAGER_PAGE,
    PAGE_SIZE,
    WINDOW_PAGE,
    AdapterPage,
    IdentityGeometry,
    IdentityPage,
)
from tests.sw.fake_bridge import FakeBridge
from tests.sw.fake_pages import FakeMemory, StoragePage, offset_of


class FakeRegisters:
    """The register space: a page model for each page, storage where nothing else is."""

    def __init__(self, pages: dict[int, StoragePage], count: int):
        self.pages = [pages.get(number) or StoragePage() for number in range(count)]

    def read(self, offset: int) -> int:
        return self._page(offset).read(offset % PAGE_SIZE)

    def write(self, offset: int, value: int) -> None:
        assert 0 <= value < 1 << 32
        self._page(offset).write(offset % PAGE_SIZE, value)

    def _page(self, offset: int) -> StoragePage:
        if offset % 4 or not 0 <= offset // PAGE_SIZE < len(self.pages):
            raise OSError(f"SLVERR at {offset:#x}")
        return self.pages[offset // PAGE_SIZE]


class FakeHardware:
    """A machine with an adapter whose rings do nothing.

    Tests set `adapter_interrupt` and `time_ns`, and let the adapter reach memory by `dma_read` and
    `dma_write`. Other models of a page can be put into `registers.pages`.
    """

    def __init__(self, *, memory_bytes: int = 4 << 20, rings: int = 2, windows: int = 4):
        self.memory = FakeMemory(memory_bytes)
        self.bridge = FakeBridge(self.memory)
        identity = StoragePage()
        identity.put(
            offset_of(IdentityPage, "geometry"), IdentityGeometry(rings=rings, windows=windows)
        )
        known = {
            IDENTITY_PAGE // PAGE_SIZE: identity,
            MANAGER_PAGE // PAGE_SIZE: self.bridge,
            WINDOW_PAGE // PAGE_SIZE: self.bridge.windows,
        }
        self.registers = FakeRegisters(known, ADAPTER_PAGE // PAGE_SIZE + 2 + rings)
        self.adapter_interrupt = False
        self.time_ns = 0
        adapter = AdapterPage(self.registers, ADAPTER_PAGE)
        self.bridge.on_reset = lambda ring: adapter.ring[ring].control.write(enable=0)

    @property
    def manager_interrupt(self) -> bool:
        return self.bridge.interrupt

    def dma_read(self, requester: int, ioba: int, length: int) -> bytes | None:
        """Bytes that the adapter reads within a page; None if the bridge refuses."""
        address = self.bridge.translate(requester, ioba)
        return None if address is None else self.memory.read(address, length)

    def dma_write(self, requester: int, ioba: int, data: bytes) -> bool:
        """Let the adapter write `data` within a page; return whether the bridge let it."""
        address = self.bridge.translate(requester, ioba, write=True)
        if address is None:
            return False
        self.memory.write(address, data)
        return True
