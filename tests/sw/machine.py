"""A partition manager and its partitions, on hardware that is a model."""

from dataclasses import dataclass

from byway.sw.contract.registers import PAGE_SIZE
from byway.sw.manager.adapter_sharing import AdapterAssignment
from byway.sw.manager.connection import VirtualConnection, VirtualEnd
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.partition import Partition
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.vioctl import VioSubfunction
from tests.sw.fake_hardware import FakeHardware

WINDOW_BYTES = 16 * PAGE_SIZE


@dataclass
class Machine:
    """A manager with a hosting partition and two hosted ones."""

    hardware: FakeHardware
    manager: PartitionManager
    hosting: Partition
    hosted: Partition
    other: Partition

    def connect(self, client: Partition, *, bit_bucket_allowed: bool = True) -> VirtualConnection:
        """Connect `client` to the hosting partition."""
        return self.manager.connect_vnic(
            client,
            self.hosting,
            window_bytes=WINDOW_BYTES,
            bit_bucket_allowed=bit_bucket_allowed,
        )

    def map_new_page(self, end: VirtualEnd, ioba: int, *, access: int = 3) -> int:
        """Map a new page of the owner of `end` at `ioba` of its window; return its address."""
        address = end.owner.memory.allocate(PAGE_SIZE, align=PAGE_SIZE)
        code = end.owner.hcalls.h_put_tce(end.liobn, ioba, address | access)
        assert code is ReturnCode.H_SUCCESS
        return address

    @staticmethod
    def enable_interrupt(end: VirtualEnd, irq: int) -> None:
        """Let the queue of `end` with the source `irq` interrupt."""
        wanted = (end.unit, VioSubfunction.ENABLE_VIO_INTERRUPT, irq, 0, 0)
        assert end.owner.hcalls.h_vioctl(*wanted) == (ReturnCode.H_SUCCESS, 0, 0)

    def open(self, connection: VirtualConnection, *, ioba: int = 0) -> tuple[int, int]:
        """Register a CRQ of one page at both ends; return the addresses of client's, server's."""
        addresses = []
        expected = {ReturnCode.H_CLOSED, ReturnCode.H_SUCCESS}
        for end in connection:
            addresses.append(self.map_new_page(end, ioba))
            assert end.owner.hcalls.h_reg_crq(end.unit, ioba, PAGE_SIZE) in expected
            self.enable_interrupt(end, end.irq)
        assert connection.client.is_open
        return addresses[0], addresses[1]


@dataclass
class SharedMachine(Machine):
    """The same, with the adapter assigned, and both hosted partitions connected and open."""

    adapter: AdapterAssignment
    vnic: VirtualConnection
    other_vnic: VirtualConnection
