"""The machine of FIG. 5: partition manager, hosting and hosted partitions, set up by method 600."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from byway.rtl.contract.model import MAXIMUM_RINGS, constant
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.board.wire import GMII
from byway.sim.engines.engine import Engine
from byway.sim.scenarios.doorbell_watch import DoorbellWatch
from byway.sw.hardware import PhysicalMemory, RegisterBus
from byway.sw.hosted.set_up import Wishes
from byway.sw.hosting.owner_device import OwnerDevice
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.memory import PartitionMemory
from byway.sw.methods import method_600, station_address
from byway.sw.stack.network_device import NetworkDevice

__all__ = [
    "DATA_WIDTHS",
    "MAXIMUM_HOSTED",
    "MAXIMUM_MTU",
    "MINIMUM_MTU",
    "PARTITION_BYTES",
    "Counts",
    "Host",
    "Machine",
    "adapter_for",
    "board_for",
]

#: Longest IP packets that may be chosen: what every host must take [RFC 791], and what fits the
#: adapter's longest frame behind an Ethernet header.
MINIMUM_MTU = 576
MAXIMUM_MTU = constant("frame_limits.maximum_frame") - 14

#: Widths of the memory bus in bits that the adapter can have.
DATA_WIDTHS = (64, 128)

#: Memory of each partition.
PARTITION_BYTES = 4 << 20

#: Most hosted partitions: each has a ring, and the owner has one.
MAXIMUM_HOSTED = MAXIMUM_RINGS - 1

#: Of the manager: tables of the windows.
_MANAGER_BYTES = 8 << 20


def adapter_for(
    hosted: int, *, data_width: int = 64, wire: str = GMII.name
) -> Callable[[], SharedAdapter]:
    """What makes an adapter with a ring and a window for the owner and each hosted partition.

    Parameters
    ----------
    hosted : int
        Hosted partitions, 1 to `MAXIMUM_HOSTED`.
    data_width : int
        One of `DATA_WIDTHS`.
    wire : str
        One of `byway.sim.board.wire.WIRES`.
    """
    rings = 1 + hosted
    return partial(
        SharedAdapter,
        rings=rings,
        windows=max(constant("geometry.windows"), rings),
        data_width=data_width,
        wire=wire,
    )


def board_for(hosted: int, manner: MemoryManner) -> BoardParameters:
    """A board with memory for the partitions of a `Machine` and for their manager."""
    return BoardParameters(
        memory_bytes=(1 + hosted) * PARTITION_BYTES + _MANAGER_BYTES, memory=manner
    )


@dataclass(frozen=True)
class Counts:
    """What has happened in the software so far.

    Attributes
    ----------
    crossings, messages, hcalls : int
        Switches between partitions; CRQ and sub-CRQ elements; calls of the partition manager.
    transmit_bytes, receive_bytes : int
        Bytes that a processor copied from one partition to another, to send and on the way back.
    """

    crossings: int
    messages: int
    hcalls: int
    transmit_bytes: int
    receive_bytes: int


@dataclass(frozen=True)
class Host:
    """A partition with a network device."""

    memory: PartitionMemory
    device: NetworkDevice


class _WatchedHardware:
    """An engine as the software's hardware, with a look at its doorbells."""

    def __init__(self, engine: Engine, doorbells: DoorbellWatch):
        self._engine = engine
        self.registers: RegisterBus = doorbells
        self.memory: PhysicalMemory = engine.memory

    @property
    def adapter_interrupt(self) -> bool:
        return self._engine.adapter_interrupt

    @property
    def manager_interrupt(self) -> bool:
        return self._engine.manager_interrupt

    @property
    def time_ns(self) -> int:
        return self._engine.time_ns


class Machine:
    """A hosting partition that owns the adapter of `engine`, and hosted ones that share it.

    Parameters
    ----------
    engine : Engine
        Runs an adapter of `adapter_for` on a board of `board_for`.
    mtu : int
        Longest IP packet on the wire, in bytes.
    hosted : int
        How many hosted partitions.

    Attributes
    ----------
    manager : PartitionManager
    hosted : tuple of Host
        Who sends over the redirected path.
    owner : Host
        Who sends from its own memory.
    doorbells : DoorbellWatch
    """

    def __init__(self, engine: Engine, *, mtu: int, hosted: int = 1):
        self.doorbells = DoorbellWatch(engine)
        self.manager = PartitionManager(_WatchedHardware(engine, self.doorbells))
        hosting = self.manager.create_partition("hosting", PARTITION_BYTES)
        sharers = [
            self.manager.create_partition(f"hosted{number}", PARTITION_BYTES)
            for number in range(1, hosted + 1)
        ]
        shared = method_600(self.manager, hosting, sharers, wishes=Wishes(mtu=mtu))
        self._driver = shared.driver
        self.hosted = tuple(
            Host(partition.memory, device)
            for partition, device in zip(sharers, shared.devices, strict=True)
        )
        owner_device = OwnerDevice(shared.driver, station_address(hosting), mtu=mtu)
        self.owner = Host(hosting.memory, owner_device)

    def software(self) -> bool:
        """Let the software act until it has nothing to do; returns whether it did anything."""
        return self.manager.dispatch()

    def deliver(self, frame: bytes) -> None:
        """Bridge a frame from the wire into the machine, as its receive path would."""
        self._driver.receive(frame)

    def counts(self) -> Counts:
        """What has happened so far."""
        counters = self.manager.counters
        return Counts(
            crossings=counters.crossings,
            messages=counters.messages,
            hcalls=sum(counters.hcalls.values()),
            transmit_bytes=counters.bytes_copied["transmit"],
            receive_bytes=counters.bytes_copied["receive"],
        )
