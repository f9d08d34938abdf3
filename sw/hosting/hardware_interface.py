"""The hardware interface (380): the adapter's registers, rings in memory, doorbells.

Everything that touches the contract is here and nothing else: which frames are sent, and for whom,
is the adapter driver's. A `HardwareRing` keeps the indexes of its two rings as the adapter does:
they start at 0 with generation 1 whenever the ring is enabled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from byway.sw.contract.records import Completion, TransmitDescriptor
from byway.sw.contract.registers import (
    AdapterPage,
    DoorbellPage,
    IdentityIdentifier,
    IdentityPage,
    IdentityVersion,
    RingStopReason,
)
from byway.sw.functions import SuperFrameLimits, named_by
from byway.sw.hosting.transmit_request import RingOffloads
from byway.sw.manager.adapter_sharing import AdapterAssignment, HardwareError
from byway.sw.manager.memory import PartitionMemory
from byway.sw.vnic.window import DmaWindow

__all__ = ["AdapterCapabilities", "HardwareInterface", "HardwareRing", "InterruptCauses"]

_INDEX_MASK = 0xFFFF
_STOP_POLLS = 100_000


@dataclass(frozen=True, kw_only=True)
class AdapterCapabilities:
    """What the identity page tells (patent, step 630).

    Parameters
    ----------
    version : str
        Of the contract the adapter keeps.
    rings : int
        Transmit rings.
    offloads : RingOffloads
        Advanced functions.
    maximum_frame, maximum_header, maximum_fragments : int
        Bytes of the longest single frame, bytes of the longest header of a super-frame, most
        fragments of a frame.
    super_frames : SuperFrameLimits
        How long super-frames may be.
    minimum_mss : int
        Least MSS of a super-frame, in bytes.
    minimum_ring_log2, maximum_ring_log2 : int
        Range of the size of a ring, as powers of two.
    """

    version: str
    rings: int
    offloads: RingOffloads
    maximum_frame: int
    maximum_header: int
    maximum_fragments: int
    super_frames: SuperFrameLimits
    minimum_mss: int
    minimum_ring_log2: int
    maximum_ring_log2: int


@dataclass(frozen=True)
class InterruptCauses:
    """What a ring interrupted for."""

    completion: bool
    stopped: bool


class HardwareInterface:
    """The pages of the adapter that belong to its owner.

    Parameters
    ----------
    assignment : AdapterAssignment
        What the partition manager gave to the owner.

    Raises
    ------
    HardwareError
        The register space is not that of a Byway adapter, or of another major version.
    """

    def __init__(self, assignment: AdapterAssignment):
        self._assignment = assignment
        self._adapter = AdapterPage(assignment.adapter_page)
        self.capabilities = _query(IdentityPage(assignment.identity_page))

    def enable_transmitter(self) -> None:
        """Let frames leave the MAC."""
        self._adapter.mac_control.write(transmit_enable=1)

    def pending_rings(self) -> Iterator[int]:
        """Yield the rings that interrupt."""
        pending = self._adapter.interrupt_summary.read().rings
        while pending:
            ring = (pending & -pending).bit_length() - 1
            pending &= pending - 1
            yield ring

    def ring(self, number: int, window: DmaWindow, size_log2: int) -> "HardwareRing":
        """Return ring `number`, disabled, with memory for `2 ** size_log2` entries in `window`."""
        return HardwareRing(
            number=number,
            memory=self._assignment.owner.memory,
            adapter=self._adapter,
            doorbell=DoorbellPage(self._assignment.doorbell[number]),
            window=window,
            size_log2=size_log2,
        )


def _query(identity: IdentityPage) -> AdapterCapabilities:
    """Query the adapter for what it can do (step 630)."""
    identifier = identity.identifier.read()
    if identifier != IdentityIdentifier():
        raise HardwareError(f"the adapter identifies itself as {identifier.code:#010x}")
    version = identity.version.read()
    if version.major != IdentityVersion().major:
        raise HardwareError(f"the adapter keeps version {version.major} of the contract")
    functions = identity.capabilities.read()
    frames = identity.frame_limits.read()
    sizes = identity.ring_limits.read()
    longest_v4 = identity.large_send_v4.read().maximum_packet
    longest_v6 = identity.large_send_v6.read().maximum_packet
    return AdapterCapabilities(
        version=f"{version.major}.{version.minor}.{version.patch}",
        rings=identity.geometry.read().rings,
        offloads=RingOffloads(
            scatter_gather=bool(functions.scatter_gather),
            vlan_insertion=bool(functions.vlan_insertion),
            **named_by(functions),
        ),
        maximum_frame=frames.maximum_frame,
        maximum_header=frames.maximum_header,
        maximum_fragments=frames.maximum_fragments,
        super_frames=SuperFrameLimits(
            large_send_v4=longest_v4 if functions.large_send_v4 else 0,
            large_send_v6=longest_v6 if functions.large_send_v6 else 0,
            # A datagram is no longer than IPv4 can tell, over IPv6 neither.
            udp_segmentation=min(longest_v4, longest_v6) if functions.udp_segmentation else 0,
        ),
        minimum_mss=identity.mss_limits.read().minimum_mss,
        minimum_ring_log2=sizes.minimum_size_log2,
        maximum_ring_log2=sizes.maximum_size_log2,
    )


class HardwareRing:
    """A transmit ring and its completion ring; made by `HardwareInterface.ring`."""

    def __init__(
        self,
        *,
        number: int,
        memory: PartitionMemory,
        adapter: AdapterPage,
        doorbell: DoorbellPage,
        window: DmaWindow,
        size_log2: int,
    ):
        self.size = 1 << size_log2
        self._size_log2 = size_log2
        self._memory = memory
        self._registers = adapter.ring[number]
        self._doorbell = doorbell
        self._window = window
        self._descriptors = window.allocate(self.size * TransmitDescriptor.SIZE, read=True)
        try:
            self._completions = window.allocate(self.size * Completion.SIZE, write=True)
        except MemoryError:
            window.free(self._descriptors)
            raise
        self._produced = 0
        self._completed = 0

    def enable(self, offloads: RingOffloads) -> None:
        """Start the ring, which is disabled, at index 0."""
        # A completion of an earlier life would bear the generation of the first pass.
        self._memory.write(self._completions.address, bytes(self._completions.length))
        self._produced = 0
        self._completed = 0
        registers = self._registers
        registers.descriptor_base.write(page=self._descriptors.ioba >> 12)
        registers.completion_base.write(page=self._completions.ioba >> 12)
        registers.size.write(size_log2=self._size_log2)
        registers.offloads.write(
            scatter_gather=offloads.scatter_gather,
            vlan_insertion=offloads.vlan_insertion,
            **offloads.functions,
        )
        registers.interrupt_status.write(completion=1, stopped=1)
        registers.interrupt_enable.write(completion=1, stopped=1)
        registers.control.write(enable=1)

    @property
    def enabled(self) -> bool:
        """It has been enabled, and since then neither disabled nor reset."""
        return bool(self._registers.control.read().enable)

    def disable(self) -> None:
        """Stop the ring in order: frames that the adapter has read are finished first.

        Raises
        ------
        HardwareError
            The ring does not become idle.
        """
        self._registers.control.write(enable=0)
        for _ in range(_STOP_POLLS):
            if not self._registers.status.read().active:
                self._registers.interrupt_enable.write()
                return
        raise HardwareError(f"the ring is active after {_STOP_POLLS} reads of its status")

    def free(self) -> None:
        """Give back the memory of the ring, which is disabled."""
        self._window.free(self._descriptors)
        self._window.free(self._completions)

    def write(self, entries: Sequence[bytes]) -> None:
        """Put entries behind those written before; there must be room."""
        for entry in entries:
            place = self._produced % self.size
            self._memory.write(self._descriptors.address + place * TransmitDescriptor.SIZE, entry)
            self._produced = (self._produced + 1) & _INDEX_MASK

    def ring_doorbell(self) -> None:
        """Announce everything written so far."""
        self._doorbell.transmit.write(producer=self._produced)

    def acknowledge(self) -> InterruptCauses:
        """Read and clear the interrupt causes: what comes afterwards interrupts again."""
        status = self._registers.interrupt_status.read()
        self._registers.interrupt_status.write(completion=status.completion, stopped=status.stopped)
        return InterruptCauses(bool(status.completion), bool(status.stopped))

    def stop_reason(self) -> RingStopReason:
        """Return why the adapter stopped the ring."""
        return self._registers.status.read().reason

    def completions(self) -> Iterator[Completion]:
        """Yield the completions that the adapter has written since the last one yielded."""
        while True:
            place = self._completed % self.size
            generation = 1 - (self._completed // self.size & 1)
            content = self._memory.read(
                self._completions.address + place * Completion.SIZE, Completion.SIZE
            )
            completion = Completion.unpack(content)
            if completion.generation != generation:
                return
            self._completed += 1
            yield completion
