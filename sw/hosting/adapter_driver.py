"""The I/O adapter hosting device driver (560): it owns the adapter and gives its rings out.

Ring 0 is for the owner's own traffic; each hosted partition gets a ring of its own, with a window
that only this ring's DMA uses and with the offloads granted to it. The driver never sees payload:
it writes addresses into descriptors.

The adapter's receive path does not exist yet. The way back from the wire is bridged in software:
`receive` takes a frame as if the adapter had written it into the driver's receive buffer, and hands
it to whom its destination address names.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from byway.sw.contract.registers import RingStopReason
from byway.sw.hosting.hardware_interface import HardwareInterface
from byway.sw.hosting.transmit_request import RingOffloads
from byway.sw.hosting.transmit_ring import OnStopped, StopCause, TransmitRing
from byway.sw.manager.adapter_sharing import AdapterAssignment
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.vnic.window import DmaWindow

__all__ = ["OWN_RING", "AdapterDriver", "FrameReceiver", "is_multicast"]

_ETHERNET_HEADER = 14

OWN_RING = 0
"""The ring of the owner's own traffic."""


def is_multicast(address: bytes) -> bool:
    """Whether a station address names a group, of which broadcast is one."""
    return bool(address[0] & 1)


class FrameReceiver(Protocol):
    """Who takes frames from the wire."""

    @property
    def mac(self) -> bytes:
        """Its station address."""
        ...

    def deliver(self, length: int) -> None:
        """Take the frame of `length` bytes in the driver's receive buffer, before returning."""
        ...


class AdapterDriver:
    """The driver of the adapter, in the partition that owns it.

    Parameters
    ----------
    assignment : AdapterAssignment
        The adapter, as step 210 of method 600 gave it.
    ring_entries_log2 : int
        Entries of each ring, as a power of two; the nearest that the adapter allows.

    Attributes
    ----------
    partition : Partition
        The owner.
    capabilities : AdapterCapabilities
        What the adapter can do.
    receive_buffer : int
        Logical real address of the buffer that a received frame is in, one page-aligned buffer
        of `receive_buffer_length` bytes.
    received, unclaimed, malformed : int
        Frames from the wire; those that nobody claimed; those too short or too long to be any.
    stops : Counter
        Times that the adapter stopped a ring, by ring and reason.
    faults : Counter
        Accesses that the translation bridge refused, by ring; those without a record, whoever's
        they were, count for the rings that the partition manager reset with them.
    resets : Counter
        Times that the partition manager reset a ring, by ring.
    """

    def __init__(self, assignment: AdapterAssignment, *, ring_entries_log2: int = 10):
        self.partition = assignment.owner
        self.received = 0
        self.unclaimed = 0
        self.malformed = 0
        self.stops: Counter[tuple[int, RingStopReason]] = Counter()
        self.faults: Counter[int] = Counter()
        self.resets: Counter[int] = Counter()
        self._assignment = assignment
        self._hardware = HardwareInterface(assignment)
        self.capabilities = self._hardware.capabilities
        self._ring_log2 = min(
            max(ring_entries_log2, self.capabilities.minimum_ring_log2),
            self.capabilities.maximum_ring_log2,
        )
        self._windows = [
            DmaWindow(self.partition, liobn, assignment.window_bytes) for liobn in assignment.liobn
        ]
        self._rings: dict[int, TransmitRing] = {}
        self._receivers: list[FrameReceiver] = []
        self._reserved: set[bytes] = set()
        self.receive_buffer_length = -(-self.capabilities.maximum_frame // PAGE_SIZE) * PAGE_SIZE
        self.receive_buffer = self.partition.memory.allocate(
            self.receive_buffer_length, align=PAGE_SIZE
        )
        self.partition.on_interrupt(assignment.interrupt, self._interrupt)
        self.partition.on_interrupt(assignment.fault_interrupt, self._take_resets)
        self._hardware.enable_transmitter()

    @property
    def ring_entries(self) -> int:
        """Entries of a ring."""
        return 1 << self._ring_log2

    @property
    def free_rings(self) -> int:
        """Rings that are left for hosted partitions."""
        shared = range(OWN_RING + 1, self.capabilities.rings)
        return sum(number not in self._rings for number in shared)

    def open_own_ring(
        self,
        on_serviced: Callable[[], None],
        on_stopped: OnStopped,
    ) -> TransmitRing:
        """Return the ring of the owner's own traffic, with all that the adapter has.

        Raises
        ------
        RuntimeError
            It is open already.
        """
        if OWN_RING in self._rings:
            raise RuntimeError("the owner's ring is open already")
        return self._open(OWN_RING, self.capabilities.offloads, on_serviced, on_stopped)

    def open_ring(
        self,
        offloads: RingOffloads,
        on_serviced: Callable[[], None],
        on_stopped: OnStopped,
    ) -> TransmitRing | None:
        """Return a ring for a hosted partition, with `offloads` granted; None if none is left."""
        for number in range(OWN_RING + 1, self.capabilities.rings):
            if number not in self._rings:
                return self._open(number, offloads, on_serviced, on_stopped)
        return None

    def close_ring(self, ring: TransmitRing) -> None:
        """Take a ring back; frames that the adapter has not sent are lost."""
        del self._rings[ring.number]
        ring.close()

    def attach(self, receiver: FrameReceiver) -> None:
        """Hand frames from the wire to `receiver` from now on."""
        self._receivers.append(receiver)

    def detach(self, receiver: FrameReceiver) -> None:
        """Hand no more frames to `receiver`."""
        self._receivers.remove(receiver)

    def reserve_address(self, mac: bytes) -> None:
        """Keep the station address `mac` for a user, whether it receives at the moment or not."""
        self._reserved.add(mac)

    def address_in_use(self, mac: bytes) -> bool:
        """Whether the station address `mac` is reserved, or a receiver has it."""
        return mac in self._reserved or any(receiver.mac == mac for receiver in self._receivers)

    def receive(self, frame: bytes) -> None:
        """Take a frame from the wire, FCS stripped, and hand it on."""
        self.received += 1
        if not _ETHERNET_HEADER <= len(frame) <= self.receive_buffer_length:
            self.malformed += 1
            return
        destination = frame[:6]
        claimants = [
            receiver
            for receiver in self._receivers
            if is_multicast(destination) or receiver.mac == destination
        ]
        if not claimants:
            self.unclaimed += 1
            return
        self.partition.memory.write(self.receive_buffer, frame)
        for receiver in claimants:
            receiver.deliver(len(frame))

    def _open(
        self,
        number: int,
        offloads: RingOffloads,
        on_serviced: Callable[[], None],
        on_stopped: OnStopped,
    ) -> TransmitRing:
        def stopped(cause: StopCause) -> None:
            if isinstance(cause, RingStopReason):
                self.stops[number, cause] += 1
            on_stopped(cause)

        window = self._windows[number]
        ring = TransmitRing(
            number=number,
            window=window,
            hardware=self._hardware.ring(number, window, self._ring_log2),
            offloads=offloads,
            on_serviced=on_serviced,
            on_stopped=stopped,
        )
        self._rings[number] = ring
        return ring

    def _interrupt(self) -> None:
        for number in self._hardware.pending_rings():
            if number in self._rings:
                self._rings[number].service()

    def _take_resets(self) -> None:
        waiting = self._assignment.resets
        while waiting:
            number = next(iter(waiting))
            reset = waiting.pop(number)
            self.resets[number] += 1
            self.faults[number] += (reset.fault is not None) + reset.more
            if number in self._rings:
                self._rings[number].was_reset(reset.fault)
