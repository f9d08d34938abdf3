"""A machine on which partitions share the model of the adapter, and what its tests look at."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from byway.sw.hosted.hosted_driver import HostedDriver
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.client_session import ClientSession
from byway.sw.hosting.hosting_interface import HostingInterface
from byway.sw.manager.connection import VirtualConnection
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.partition import Partition
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, NetworkDevice, Offload
from byway.sw.vnic import commands
from byway.sw.vnic.capabilities import Capability
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.command_queue import CommandQueue
from byway.sw.vnic.descriptors import (
    ScatterGatherEntry,
    TransmitFlag,
    TransmitFrame,
    unpack_completions,
)
from byway.sw.vnic.ip_offload import IpOffloadControl
from byway.sw.vnic.login import LoginBuffer, LoginResponseBuffer
from byway.sw.vnic.queue import SubQueue, SubQueueSender
from byway.sw.vnic.receive import ReceiveBuffer, ReceiveCompletion
from byway.sw.vnic.window import DmaWindow

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

    def __init__(
        self,
        hardware: Any,
        model: Any,
        clients: int = 1,
        *,
        window_bytes: int = 16 * MIB,
        ring_log2: int = 10,
    ):
        self.hardware = hardware
        self.model = model
        self.calls: list[tuple[str, str, tuple[Any, ...]]] = []
        self.manager = PartitionManager(hardware, on_hcall=self._called)
        self.hosting = self.manager.create_partition("hosting", 2 * MIB)
        self.assignment = self.manager.assign_adapter(self.hosting, window_bytes=window_bytes)
        self.driver = AdapterDriver(self.assignment, ring_entries_log2=ring_log2)
        self.interface = HostingInterface(self.driver)
        self.partitions: list[Partition] = []
        self.connections: list[VirtualConnection] = []
        self.sessions: list[ClientSession] = []
        self.other: HostedDriver | None = None
        for number in range(clients):
            self.add_client(number)

    def _called(self, caller: Partition, name: str, arguments: tuple[Any, ...], code: Any) -> None:
        self.calls.append((caller.name, name, arguments))

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


class RawClient:
    """A client that says what it likes.

    It registers its queues as any client does; beyond that, every element is the test's.
    """

    def __init__(self, machine: SharedMachine, number: int = 0):
        self.machine = machine
        self.end = machine.connections[number].client
        self.window = DmaWindow(self.end.owner, self.end.liobn, self.end.window_bytes)
        self.sender = SubQueueSender(self.end, self.window)
        self.exchange = self.window.allocate(4096, read=True, write=True)
        self.received: list[bytes] = []
        self.gone = 0
        self.queue = CommandQueue(self.end, self.window, self)
        self.transmit = self.receive = None
        self.login_response: LoginResponseBuffer | None = None
        self.queue.open()
        machine.manager.dispatch()

    def opened(self) -> None:
        pass

    def closed(self) -> None:
        pass

    def partner_gone(self) -> None:
        self.gone += 1

    def command(self, element: bytes) -> None:
        self.received.append(element)

    def ask(self, message: commands.Message | bytes) -> Any:
        """Send a command; return the response to it."""
        element = message if isinstance(message, bytes) else message.pack()
        before = len(self.received)
        assert self.queue.send(element) is ReturnCode.H_SUCCESS
        self.machine.manager.dispatch()
        assert len(self.received) == before + 1
        assert self.received[-1][1] == element[1] | 0x80
        return commands.decode(self.received[-1])

    def request(self, capability: Capability, number: int) -> None:
        answer = self.ask(commands.RequestCapability(capability, number))
        assert answer.rc == VnicReturnCode.SUCCESS

    def write(self, content: bytes) -> None:
        self.end.owner.memory.write(self.exchange.address, content)

    def read(self, length: int) -> bytes:
        return self.end.owner.memory.read(self.exchange.address, length)

    def agree(
        self,
        *,
        mtu: int = 1514,
        control: IpOffloadControl | None = None,
        extensions: Mapping[Capability, int] | None = None,
    ) -> None:
        """Take every step up to the login."""
        assert self.ask(commands.VersionExchange(1)).rc == VnicReturnCode.SUCCESS
        self.request(Capability.REQ_TX_QUEUES, 1)
        self.request(Capability.REQ_RX_QUEUES, 1)
        self.request(Capability.REQ_RX_ADD_QUEUES, 1)
        self.request(Capability.REQ_TX_ENTRIES_PER_SUBCRQ, 256)
        self.request(Capability.REQ_RX_ADD_ENTRIES_PER_SUBCRQ, 16)
        self.request(Capability.REQ_MTU, mtu)
        for capability, number in (extensions or {}).items():
            self.request(capability, number)
        if control is not None:
            self.write(control.pack())
            command = commands.ControlIpOffload(self.exchange.ioba, IpOffloadControl.SIZE)
            assert self.ask(command).rc == VnicReturnCode.SUCCESS

    def login_buffer(self, **changes: Any) -> LoginBuffer:
        if self.transmit is None:
            self.transmit = SubQueue(self.end, self.window, 128, None)
            self.receive = SubQueue(self.end, self.window, 128, None)
        assert self.receive is not None
        buffer = LoginBuffer(
            transmit_completion=(self.transmit.handle,),
            receive_completion=(self.receive.handle,),
            response_ioba=self.exchange.ioba,
            response_length=256,
        )
        return dataclasses.replace(buffer, **changes)

    def login(self, **options: Any) -> "RawClient":
        """Log in with the link up and memory of 64 KiB mapped as map 1."""
        self.agree(**options)
        buffer = self.login_buffer().pack()
        self.write(buffer)
        answer = self.ask(commands.Login(self.exchange.ioba, len(buffer)))
        assert answer.rc == VnicReturnCode.SUCCESS
        self.login_response = LoginResponseBuffer.unpack(self.read(256))
        self.memory = self.window.allocate(64 * 1024, read=True, write=True)
        assert self.map(1, self.memory.ioba, self.memory.length) == VnicReturnCode.SUCCESS
        assert self.ask(commands.LogicalLinkState(1)).state == 1
        return self

    def map(self, map_id: int, ioba: int, length: int) -> int:
        return self.ask(commands.RequestMap(map_id, ioba, length)).rc

    def submit(self, groups: list[list[bytes]]) -> ReturnCode:
        assert self.login_response is not None
        code, _ = self.sender.send(self.login_response.transmit_submission[0], groups)
        self.machine.manager.dispatch()
        return code

    def add_buffers(self, buffers: list[ReceiveBuffer]) -> None:
        assert self.login_response is not None
        self.sender.send(
            self.login_response.receive_add[0], [[buffer.pack()] for buffer in buffers]
        )

    def completions(self) -> list[tuple[int, int]]:
        assert self.transmit is not None
        return [pair for element in self.transmit.take() for pair in unpack_completions(element)]

    def returned(self) -> list[ReceiveCompletion]:
        assert self.receive is not None
        return [ReceiveCompletion.unpack(element) for element in self.receive.take()]

    def frame(self, correlator: int = 1, **changes: Any) -> TransmitFrame:
        """A frame of 60 bytes at the beginning of map 1, with nothing asked for."""
        self.end.owner.memory.write(self.memory.address, header(6))
        frame = TransmitFrame(
            correlator=correlator,
            flags=TransmitFlag.COMPLETION,
            entries=(ScatterGatherEntry(1, self.memory.ioba, 60),),
        )
        return dataclasses.replace(frame, **changes)


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


def assert_other_client_sends(machine: Any) -> None:
    """Assert that the second client of `machine` is served, whatever the first one did."""
    outcomes: list[FrameOutcome] = []
    before = len(machine.model.wire)
    if machine.other is None:
        machine.other = machine.device(1)
    machine.other.transmit([Frame(header(0), on_complete=outcomes.append)])
    machine.manager.dispatch()
    assert outcomes == [FrameOutcome.SENT]
    assert len(machine.model.wire) == before + 1
