"""A machine on which partitions share the model of the adapter, and what its tests look at."""

from dataclasses import dataclass, field
from typing import Any

from byway.sw.hosted.hosted_driver import HostedDriver
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.client_session import ClientSession
from byway.sw.hosting.hosting_interface import HostingInterface
from byway.sw.manager.connection import VirtualConnection
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.partition import Partition
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, NetworkDevice, Offload

MIB = 1 << 20
MACS = [bytes((2, 0, 0, 0, 0, number)) for number in range(8)]
PEER = bytes((2, 0, 0, 0, 1, 0))


@dataclass
class Recorder:
    """A `DeviceUser` that keeps what it is told."""

    frames: list[bytes] = field(default_factory=list)
    links: list[bool] = field(default_factory=list)
    drains: int = 0

    def receive(self, frame: bytes) -> None:
        self.frames.append(frame)

    def drained(self) -> None:
        self.drains += 1

    def link_changed(self, up: bool) -> None:
        self.links.append(up)


class SharedMachine:
    """Hosting partition and clients, set up but for the clients' drivers."""

    def __init__(self, hardware: Any, model: Any, clients: int = 1):
        self.hardware = hardware
        self.model = model
        self.manager = PartitionManager(hardware)
        self.hosting = self.manager.create_partition("hosting", 2 * MIB)
        self.driver = AdapterDriver(self.manager.assign_adapter(self.hosting))
        self.interface = HostingInterface(self.driver)
        self.partitions: list[Partition] = []
        self.connections: list[VirtualConnection] = []
        self.sessions: list[ClientSession] = []
        for number in range(clients):
            self.add_client(number)

    def add_client(self, number: int, **connection: Any) -> None:
        partition = self.manager.create_partition(f"hosted {number}", 2 * MIB)
        link = self.manager.connect_vnic(partition, self.hosting, **connection)
        self.partitions.append(partition)
        self.connections.append(link)
        self.sessions.append(self.interface.serve(link.server, MACS[1 + number]))

    def device(self, number: int = 0, wishes: Any = None) -> HostedDriver:
        """The started device of a client."""
        device = HostedDriver(self.connections[number].client, MACS[1 + number], wishes)
        device.start()
        self.manager.dispatch()
        return device

    def payload(self, device: NetworkDevice, content: bytes, number: int = 0) -> Fragment:
        """`content` in a client's memory, mapped."""
        memory = self.partitions[number].memory
        address = memory.allocate(len(content))
        memory.write(address, content)
        return Fragment(device.map(address, len(content)), address, len(content))


def header(length: int, *, source: bytes = MACS[1], sequence: int = 0) -> bytes:
    """Ethernet, IPv4 and TCP headers (54 bytes) before `length` bytes of payload."""
    ethernet = PEER + source + b"\x08\x00"
    ip = bytes.fromhex("4500") + (40 + length).to_bytes(2, "big") + bytes.fromhex("1234 4000 4006")
    ip += bytes(2) + bytes((10, 0, 0, 1)) + bytes((10, 0, 0, 2))
    tcp = bytes.fromhex("0400 0050") + sequence.to_bytes(4, "big") + bytes(4)
    tcp += bytes.fromhex("5019 ffff") + bytes(4)
    return ethernet + ip + tcp


def tcp_frame(
    payload: tuple[Fragment, ...],
    outcomes: list[FrameOutcome],
    *,
    mss: int = 0,
    source: bytes = MACS[1],
) -> Frame:
    """A TCP frame with both checksums asked for, or a super-frame."""
    return Frame(
        header(sum(fragment.length for fragment in payload), source=source),
        payload,
        Offload(
            checksum_ipv4=True,
            checksum_tcp=True,
            mss=mss,
            l2_length=14,
            l3_length=20,
            l4_length=20,
        ),
        outcomes.append,
    )
