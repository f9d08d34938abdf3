"""One transfer: an application's bytes go through a stack, the adapter and the wire to a partner.

The software runs in zero time between two cycles; `Transfer.run` moves the hardware on from event
to event: an interrupt, a frame on the wire, a timer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from byway.sim.board.gmii_sink import WireFrame
from byway.sim.engines.engine import CYCLE_NS, Engine
from byway.sim.wire.capture import Capture
from byway.sim.wire.link_partner import LinkPartner
from byway.sw.contract.registers import DOORBELL_PAGE
from byway.sw.stack.ip import IpMechanism
from byway.sw.stack.network_device import NetworkDevice
from byway.sw.stack.tcp import TcpConnection, TcpMechanism, TcpState

__all__ = [
    "HEADER_BYTES",
    "DoorbellWatch",
    "PartitionMemoryLike",
    "ScenarioError",
    "Transfer",
    "TransferFigures",
]

#: IPv4 and TCP headers of a segment with payload; it carries timestamps.
HEADER_BYTES = 20 + 20 + 12

#: Bytes of one of the application's buffers, and how many of them it has.
_BUFFER_BYTES = 256 << 10
_BUFFERS = 4
#: Cycles between two looks at the timers when nothing else happens.
_CHUNK = 50_000
#: Simulated time without any event after which a run is given up.
_SILENCE_NS = 1_000_000_000
_GAP = 12
_OVERHEAD = 8 + 4 + _GAP


class ScenarioError(Exception):
    """A run could not be carried out; the text says why in one line."""


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


class DoorbellWatch:
    """A register bus in front of an engine's, which keeps the cycle of each doorbell."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self.cycles: list[int] = []

    def read(self, offset: int) -> int:
        """Pass the read on."""
        return self._engine.registers.read(offset)

    def write(self, offset: int, value: int) -> None:
        """Pass the write on; take note of it if it is a doorbell."""
        self._engine.registers.write(offset, value)
        if offset >= DOORBELL_PAGE:
            self.cycles.append(self._engine.cycle)


@dataclass
class TransferFigures:
    """What a transfer came to, in cycles.

    Attributes
    ----------
    first_doorbell, last_byte : int
        Cycle of the connection's first doorbell; cycle of the last byte of its last frame.
    data : list of (first cycle, last cycle, frame bytes, payload bytes)
        The frames with payload, in the order of the wire.
    doorbell_to_first_byte : int
        Cycles from the doorbell of the SYN, which finds the adapter idle, to the SYN's first
        preamble byte.
    frames : int
        Frames on the wire.
    super_frames, retransmissions : int
        As the connection counts them.
    """

    first_doorbell: int = 0
    last_byte: int = 0
    data: list[tuple[int, int, int, int]] = field(default_factory=list)
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
        if not self.data:
            return None
        back_to_back = sum(length + _OVERHEAD for _first, _last, length, _payload in self.data)
        return (back_to_back - _GAP) / self.data_cycles

    @property
    def goodput_bits_per_second(self) -> float | None:
        """Payload bits a second while payload flows; None without payload."""
        if not self.data:
            return None
        return self.payload_bytes * 8 / (self.data_cycles * CYCLE_NS * 1e-9)


class Transfer:
    """Sends `data` from one host on the adapter to the partner.

    Parameters
    ----------
    engine : Engine
    software : callable
        Lets the software act until it has nothing more to do; returns whether it did anything.
    deliver : callable
        Takes a frame on the way back: the software that bridges the missing receive path.
    memory, device : PartitionMemoryLike, NetworkDevice
        Of the partition that sends.
    partner : LinkPartner
    capture : Capture
    doorbells : DoorbellWatch
    address : str
        IPv4 address of the sender.
    mss : int
        Most payload bytes of a segment.
    progress : callable
        Told now and then how many bytes have been acknowledged.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        software: Callable[[], bool],
        deliver: Callable[[bytes], None],
        memory: PartitionMemoryLike,
        device: NetworkDevice,
        partner: LinkPartner,
        capture: Capture,
        doorbells: DoorbellWatch,
        address: str,
        mss: int,
        progress: Callable[[int], None],
    ):
        self.figures = TransferFigures()
        self.ip = IpMechanism(device, memory, address)
        self._engine = engine
        self._software = software
        self._deliver = deliver
        self._memory = memory
        self._device = device
        self._partner = partner
        self._capture = capture
        self._doorbells = doorbells
        self._progress = progress
        self._tcp = TcpMechanism(self.ip, lambda: engine.time_ns, mss_limit=mss)

    def run(self, data: bytes, port: int = 5001) -> None:
        """Send `data` over one connection and close it; raises `ScenarioError` if that fails."""
        doorbells = len(self._doorbells.cycles)
        application = _Application(self._memory, self._device, data)
        connection = self._tcp.connect(self._partner.address, port)
        self._tcp.flush()
        last_event = self._engine.time_ns
        while not (connection.state is TcpState.CLOSED and self._partner.closed):
            if connection.error:
                raise ScenarioError(connection.error)
            busy = self._software()
            self._tcp.tick()
            for frame in self._partner.tick(self._engine.time_ns):
                self._deliver(frame)
            if application.feed(connection):
                self._tcp.flush()
                self._software()  # Messages that this caused are answered before time moves on.
            self._progress(connection.acknowledged)
            if self._advance() or busy:
                last_event = self._engine.time_ns
            elif self._engine.time_ns - last_event > _SILENCE_NS:
                state = connection.state.value
                raise ScenarioError(f"Nothing has moved for a simulated second in state {state}")
        self._software()
        application.finish()
        self._software()
        self.figures.first_doorbell = self._doorbells.cycles[doorbells]
        self.figures.super_frames = connection.super_frames
        self.figures.retransmissions = connection.retransmissions

    def _advance(self) -> bool:
        """Move the hardware to the next event; returns whether there was a frame or interrupt."""
        deadlines = [d for d in (self._tcp.deadline_ns, self._partner.deadline_ns) if d is not None]
        cycles = _CHUNK
        if deadlines:
            wait = (min(deadlines) - self._engine.time_ns) // CYCLE_NS + 1
            cycles = min(_CHUNK, max(1, wait))
        self._engine.run(cycles)
        event = self._engine.adapter_interrupt or self._engine.manager_interrupt
        while self._engine.frames:
            self._receive(self._engine.frames.popleft())
            event = True
        return event

    def _receive(self, frame: WireFrame) -> None:
        figures = self.figures
        figures.frames += 1
        figures.last_byte = frame.last_cycle
        self._capture.write(frame.data, frame.first_cycle * CYCLE_NS)
        before = self._partner.counts.data_bytes
        for reply in self._partner.receive(frame.data, frame.good, self._engine.time_ns):
            self._capture.write(reply, self._engine.time_ns)
            self._deliver(reply)
        if self._partner.accepted and not figures.doorbell_to_first_byte:
            rung = max(c for c in self._doorbells.cycles if c <= frame.first_cycle)
            figures.doorbell_to_first_byte = frame.first_cycle - rung
        payload = self._partner.counts.data_bytes - before
        if payload:
            figures.data.append((frame.first_cycle, frame.last_cycle, len(frame.data), payload))


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
