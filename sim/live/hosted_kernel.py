"""A kernel as the TCP and IP mechanisms (520, 530) of a hosted partition.

Its network device is a TAP; what it sends lands in the partition's memory, which the virtual hosted
driver (540) has mapped once, and is sent from there by reference. The capabilities that the driver
was granted over VNIC commands decide what the kernel may leave to the adapter.

A frame waits in the kernel, not here, while the device has no room: back-pressure reaches the
sender as it would from hardware.
"""

from collections import Counter, deque
from dataclasses import dataclass, replace

from byway.sim.live.kernel_offload import Described, describe, tap_offloads
from byway.sim.live.software_segments import software_segments
from byway.sim.wire.tap import Tap, TapOffload
from byway.sim.wire.virtio_net import Gso
from byway.sw.manager.memory import PAGE_SIZE, PartitionMemory
from byway.sw.stack.buffer_ring import BufferRing
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, NetworkDevice

__all__ = ["HostedKernel", "KernelCounts"]

_RING_BYTES = 1 << 20
#: The longest super-frame: a longest IP packet with Ethernet header and VLAN tags.
_LONGEST_FRAME = 65_535 + 14 + 8


@dataclass
class KernelCounts:
    """What passed between the kernel and its device.

    Attributes
    ----------
    sent, super_frames : int
        Frames that the kernel sent, and those among them that the adapter is to cut. What is cut
        by CPU counts as its segments.
    checksums_by_cpu : int
        Checksums that the kernel left to its device and that the adapter does not have.
    malformed : int
        Frames from the kernel that made no sense, and were dropped.
    not_taken : int
        Frames that came for the kernel, and that it did not take.
    """

    sent: int = 0
    super_frames: int = 0
    checksums_by_cpu: int = 0
    malformed: int = 0
    not_taken: int = 0


class HostedKernel:
    """Joins the TAP of a kernel to a device of a partition; the device's `DeviceUser`.

    Parameters
    ----------
    tap : Tap
    device : NetworkDevice
        Its link must be up.
    memory : PartitionMemory
        Of the partition.

    Attributes
    ----------
    counts : KernelCounts
    outcomes : Counter
        Frames that the device has ended, by outcome.
    offloads : TapOffload
        What the kernel may leave to the device, and knows to.
    """

    def __init__(self, tap: Tap, device: NetworkDevice, memory: PartitionMemory):
        self.tap = tap
        self.counts = KernelCounts()
        self.outcomes: Counter[FrameOutcome] = Counter()
        self._device = device
        self._waiting: deque[Described] = deque()
        address = memory.allocate(_RING_BYTES, align=PAGE_SIZE)
        self._ring = BufferRing(memory, address, _RING_BYTES)
        self._mapping = device.map(address, _RING_BYTES)
        self.offloads: TapOffload = tap.offer(tap_offloads(device.features))
        device.attach(self)

    @property
    def room(self) -> bool:
        """The device takes another frame, however long."""
        return self._device.free_entries > 0 and self._ring.room(_LONGEST_FRAME) > 0

    def pump(self) -> bool:
        """Hand to the device what the kernel sends, as far as there is room; True if anything."""
        frames: list[Frame] = []
        room = self._device.free_entries
        while len(frames) < room and self._ring.room(_LONGEST_FRAME):
            if self._waiting:
                frames.append(self._frame(self._waiting.popleft()))
            elif not self._read():
                break
        if frames:
            taken = self._device.transmit(frames)
            assert taken == len(frames), "a device takes as many frames as it says"
        return bool(frames)

    def _read(self) -> bool:
        """Take from the kernel what it sends next, if it makes sense; False if there is nothing."""
        read = self.tap.read()
        if read is None:
            return False
        header, frame = read
        features = self._device.features
        try:
            whole = describe(frame, header, features)
            if not whole.offload.is_super_frame or whole.offload.mss >= features.minimum_mss:
                self._waiting.append(whole)
            else:
                single = replace(header, gso=Gso.NONE, mss=0)
                field = header.checksum_start + header.checksum_offset
                self._waiting.extend(
                    describe(segment, single, features)
                    for segment in software_segments(whole, field)
                )
        except ValueError:
            self.counts.malformed += 1
        return True

    def _frame(self, described: Described) -> Frame:
        counts = self.counts
        counts.sent += 1
        counts.super_frames += described.offload.is_super_frame
        counts.checksums_by_cpu += described.by_cpu
        header = described.frame[: described.header_length]
        payload = described.frame[described.header_length :]
        if not payload:
            return Frame(header, (), described.offload, self._end)
        address = self._ring.place(payload)
        assert address is not None, "there was room"

        def ended(outcome: FrameOutcome) -> None:
            self._ring.remove(address)
            self._end(outcome)

        fragment = Fragment(self._mapping, address, len(payload))
        return Frame(header, (fragment,), described.offload, ended)

    def _end(self, outcome: FrameOutcome) -> None:
        self.outcomes[outcome] += 1

    # What the device calls

    def receive(self, frame: bytes) -> None:
        """Let the kernel receive a frame."""
        self.counts.not_taken += not self.tap.write(frame)

    def drained(self) -> None:
        """Nothing waits here: what the kernel sends is looked for by `pump`."""

    def link_changed(self, up: bool) -> None:
        """Tell the kernel."""
        self.tap.set_carrier(up)
