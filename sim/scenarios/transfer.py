"""One transfer: an application's bytes go through a stack, the adapter and the wire to a partner.

`byway.sim.scenarios.traffic.Traffic` moves time on for one transfer, or for several at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from byway.sim.board.wire import Wire
from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.engine import Engine
from byway.sim.scenarios.doorbell_watch import DoorbellWatch
from byway.sim.scenarios.error import ScenarioError
from byway.sim.wire.link_partner import LinkPartner
from byway.sim.wire.medium import GAP_BYTES, OVERHEAD_BYTES
from byway.sw.stack.ip import IpMechanism
from byway.sw.stack.network_device import NetworkDevice
from byway.sw.stack.tcp import TcpConnection, TcpMechanism, TcpState

__all__ = [
    "HEADER_BYTES",
    "DataFrame",
    "PartitionMemoryLike",
    "Transfer",
    "TransferFigures",
    "rate_of_limit",
]

#: IPv4 and TCP headers of a segment with payload; it carries timestamps.
HEADER_BYTES = 20 + 20 + 12

_PORT = 5001
#: Bytes of one of the application's buffers, and how many of them it has.
_BUFFER_BYTES = 256 << 10
_BUFFERS = 4

#: First cycle and last cycle on the wire of a frame with payload, its bytes, those of its payload.
DataFrame = tuple[int, int, int, int]


class PartitionMemoryLike(Protocol):
    """What an application does with its partition's memory."""

    def read(self, address: int, length: int) -> bytes:
        """Return `length` bytes at `address`."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at `address`."""
        ...

    def allocate(self, size: int) -> int:
        """Return the address of `size` free bytes."""
        ...


def rate_of_limit(frames: Sequence[DataFrame], wire: Wire) -> float | None:
    """The rate of `frames`, in their order on `wire`, over that of the same frames back to back.

    None without frames.
    """
    if not frames:
        return None
    back_to_back = sum(length + OVERHEAD_BYTES for _first, _last, length, _payload in frames)
    cycles = frames[-1][1] - frames[0][0] + 1
    return (back_to_back - GAP_BYTES) / (cycles * wire.lanes)


@dataclass
class TransferFigures:
    """What a transfer came to, in cycles.

    Attributes
    ----------
    wire : Wire
    first_doorbell, last_byte : int
        Cycle of the connection's first doorbell; cycle of the last byte of its last frame.
    data : list of DataFrame
        The frames with payload, in the order of the wire.
    doorbell_to_first_byte : int
        Cycles from the doorbell of the SYN, which finds the adapter idle, to the SYN's first
        preamble byte.
    frames : int
        Frames on the wire.
    super_frames, retransmissions : int
        As the connection counts them.
    """

    wire: Wire
    first_doorbell: int = 0
    last_byte: int = 0
    data: list[DataFrame] = field(default_factory=list)
    doorbell_to_first_byte: int = 0
    frames: int = 0
    super_frames: int = 0
    retransmissions: int = 0

    @property
    def cycles(self) -> int:
        """From the first doorbell to the last byte, connection set-up and close included."""
        return self.last_byte - self.first_doorbell + 1

    @property
    def payload_bytes(self) -> int:
        """Payload on the wire, repetitions included."""
        return sum(payload for _first, _last, _length, payload in self.data)

    @property
    def data_cycles(self) -> int:
        """From the first preamble byte to the last byte of the frames with payload."""
        return self.data[-1][1] - self.data[0][0] + 1 if self.data else 0

    @property
    def goodput_of_limit(self) -> float | None:
        """The payload's rate over that of the same frames back to back; None without payload."""
        return rate_of_limit(self.data, self.wire)

    @property
    def goodput_bits_per_second(self) -> float | None:
        """Payload bits a second while payload flows; None without payload."""
        if not self.data:
            return None
        return self.payload_bytes * 8 / self.wire.seconds(self.data_cycles)


class Transfer:
    """Sends `data` from one host on the adapter to its partner, over one connection.

    Parameters
    ----------
    engine : Engine
    memory, device : PartitionMemoryLike, NetworkDevice
        Of the partition that sends.
    partner : LinkPartner
        Receives nothing else.
    doorbells : DoorbellWatch
    address : str
        IPv4 address of the sender.
    mss : int
        Most payload bytes of a segment.
    data : bytes

    Attributes
    ----------
    figures : TransferFigures
        Whole once `finish` was called.
    ip : IpMechanism
    """

    def __init__(
        self,
        engine: Engine,
        *,
        memory: PartitionMemoryLike,
        device: NetworkDevice,
        partner: LinkPartner,
        doorbells: DoorbellWatch,
        address: str,
        mss: int,
        data: bytes,
    ):
        self.figures = TransferFigures(engine.wire)
        self.ip = IpMechanism(device, memory, address)
        self._engine = engine
        self._device = device
        self._partner = partner
        self._doorbells = doorbells
        self._tcp = TcpMechanism(self.ip, lambda: engine.time_ns, mss_limit=mss)
        self._application = _Application(memory, device, data)
        self._rung = len(doorbells.cycles)
        self._connection = self._tcp.connect(partner.address, _PORT)

    @property
    def mac(self) -> bytes:
        """The sender's station address."""
        return self._device.features.mac

    @property
    def state(self) -> TcpState:
        """Of the connection."""
        return self._connection.state

    @property
    def done(self) -> bool:
        """Both ends have closed the connection; raises `ScenarioError` if it failed."""
        if self._connection.error:
            raise ScenarioError(self._connection.error)
        return self.state is TcpState.CLOSED and self._partner.closed

    @property
    def acknowledged(self) -> int:
        """Bytes that the partner has acknowledged."""
        return self._connection.acknowledged

    @property
    def deadline_ns(self) -> int | None:
        """When the next timer of either end is due; None if none runs."""
        deadlines = (self._tcp.deadline_ns, self._partner.deadline_ns)
        return min((d for d in deadlines if d is not None), default=None)

    def begin(self) -> None:
        """Open the connection."""
        self._tcp.flush()

    def tick(self) -> list[bytes]:
        """Act on the timers that are due; returns the partner's frames."""
        self._tcp.tick()
        return self._partner.tick(self._engine.time_ns)

    def feed(self) -> bool:
        """Let the application write and close what it can; returns whether it did anything."""
        fed = self._application.feed(self._connection)
        if fed:
            self._tcp.flush()
        return fed

    def receive(self, frame: WireFrame) -> list[bytes]:
        """Take a frame of this sender from the wire; returns the partner's answers."""
        figures = self.figures
        figures.frames += 1
        figures.last_byte = frame.last_cycle
        before = self._partner.counts.data_bytes
        replies = self._partner.receive(frame.data, frame.good, self._engine.time_ns)
        if self._partner.accepted and not figures.doorbell_to_first_byte:
            rung = max(c for c in self._doorbells.cycles if c <= frame.first_cycle)
            figures.doorbell_to_first_byte = frame.first_cycle - rung
        payload = self._partner.counts.data_bytes - before
        if payload:
            figures.data.append((frame.first_cycle, frame.last_cycle, len(frame.data), payload))
        return replies

    def finish(self) -> None:
        """Take the application's memory back from the adapter: everything is acknowledged."""
        self._application.finish()
        self.figures.first_doorbell = self._doorbells.cycles[self._rung]
        self.figures.super_frames = self._connection.super_frames
        self.figures.retransmissions = self._connection.retransmissions


class _Application:
    """Reads a file into its own buffers and hands them to TCP; a buffer is reused once its bytes
    have been acknowledged. It never copies: the buffers are what the adapter reads.
    """

    def __init__(self, memory: PartitionMemoryLike, device: NetworkDevice, data: bytes):
        self._memory = memory
        self._device = device
        self._data = data
        self._written = 0
        self._closed = False
        count = min(_BUFFERS, -(-len(data) // _BUFFER_BYTES))
        self._size = min(_BUFFER_BYTES, len(data))
        self._buffers = [memory.allocate(self._size) for _ in range(count)]
        self._mappings: list[int] = []

    def feed(self, connection: TcpConnection) -> bool:
        """Write what fits into free buffers; close after the last byte. True if it did anything."""
        if connection.state is not TcpState.ESTABLISHED or self._closed:
            return False
        if not self._mappings:
            self._mappings = [self._device.map(b, self._size) for b in self._buffers]
        before = self._written
        while self._written < len(self._data):
            number = self._written // self._size
            if connection.acknowledged < (number - len(self._buffers) + 1) * self._size:
                break
            part = self._data[self._written : self._written + self._size]
            address = self._buffers[number % len(self._buffers)]
            self._memory.write(address, part)
            connection.write(self._mappings[number % len(self._buffers)], address, len(part))
            self._written += len(part)
        if self._written == len(self._data):
            connection.close()
            self._closed = True
        return self._closed or self._written > before

    def finish(self) -> None:
        """Take the mappings back: everything is acknowledged."""
        for mapping in self._mappings:
            self._device.unmap(mapping)
