# Generated from rtl/contract/byway.rdl by make contract; do not edit.
"""The registers by page, and the offsets of the pages in the register space.

A page's accessor takes the bus that the page is on and its offset there.
"""

import enum
from dataclasses import dataclass
from typing import ClassVar

from byway.sw.contract.access import (
    Array,
    Fields,
    ReadOnlyRegister,
    ReadWriteRegister,
    bits,
)
from byway.sw.hardware import RegisterBus

__all__ = [
    "ADAPTER_PAGE",
    "DOORBELL_PAGE",
    "DOORBELL_STRIDE",
    "IDENTITY_PAGE",
    "MANAGER_PAGE",
    "PAGE_SIZE",
    "WINDOW_PAGE",
    "AdapterPage",
    "DoorbellPage",
    "FaultReason",
    "IdentityPage",
    "InvalidateScope",
    "ManagerPage",
    "RingRegisters",
    "RingStopReason",
    "WindowPage",
    "WindowRegisters",
]

PAGE_SIZE = 0x1000
IDENTITY_PAGE = 0x0000
MANAGER_PAGE = 0x1000
ADAPTER_PAGE = 0x2000
WINDOW_PAGE = 0x3000
DOORBELL_PAGE = 0x4000
DOORBELL_STRIDE = 0x1000


class FaultReason(enum.IntEnum):
    """Codes of fault reason."""

    #: The requester is bound to no window.
    UNBOUND = 0
    #: The requester's window is not enabled.
    WINDOW_DISABLED = 1
    #: The page index lies past the end of the TCE table.
    EXTENT = 2
    #: The TCE's control bits are 00.
    NOT_MAPPED = 3
    #: A read through a TCE that permits only writing.
    READ_DENIED = 4
    #: A write through a TCE that permits only reading.
    WRITE_DENIED = 5
    #: The memory answered the read of the TCE with an error.
    TABLE_ERROR = 6
    #: An incrementing burst that crosses a 4 KiB boundary.
    PAGE_CROSSING = 7
    #: A burst type that AXI4 reserves.
    BURST_TYPE = 8


class InvalidateScope(enum.IntEnum):
    """Codes of invalidate scope."""

    #: One page of one window.
    PAGE = 0
    #: Every page of one window.
    WINDOW = 1
    #: Every page of every window.
    EVERYTHING = 2


class RingStopReason(enum.IntEnum):
    """Codes of ring stop reason."""

    #: The ring was not stopped by the hardware.
    NONE = 0
    #: A descriptor read was refused or failed.
    DESCRIPTOR_REFUSED = 1
    #: A completion write was refused or failed.
    COMPLETION_REFUSED = 2
    #: The doorbell announced more descriptors than the ring has entries.
    DOORBELL_RANGE = 3
    #: A read of the data of a frame was refused (AXI DECERR). The completion of that frame tells of
    #: it; frames behind it that had been started have completions too.
    DATA_REFUSED = 4


@dataclass(frozen=True, kw_only=True)
class IdentityIdentifier(Fields):
    """Identifies the register space."""

    #: ASCII BYWA.
    code: int = bits(0, 32, reset=1113151297)


@dataclass(frozen=True, kw_only=True)
class IdentityVersion(Fields):
    """Version of this contract. A new minor keeps old drivers working."""

    #: Patch.
    patch: int = bits(0, 8)
    #: Minor.
    minor: int = bits(8, 8, reset=2)
    #: Major.
    major: int = bits(16, 8, reset=1)


@dataclass(frozen=True, kw_only=True)
class IdentityCapabilities(Fields):
    """Advanced functions of the adapter, a bit each (patent, step 630)."""

    #: Inserts the IPv4 header checksum.
    checksum_ipv4: int = bits(0, 1, reset=1)
    #: Inserts the TCP checksum over IPv4.
    checksum_tcp: int = bits(1, 1, reset=1)
    #: Inserts the UDP checksum over IPv4.
    checksum_udp: int = bits(2, 1, reset=1)
    #: Large send: segments TCP over IPv4.
    large_send_v4: int = bits(3, 1, reset=1)
    #: Scatter/gather: a frame in several fragments.
    scatter_gather: int = bits(4, 1, reset=1)
    #: Inserts the TCP checksum over IPv6.
    checksum_tcp_v6: int = bits(5, 1, reset=1)
    #: Inserts the UDP checksum over IPv6.
    checksum_udp_v6: int = bits(6, 1, reset=1)
    #: Large send: segments TCP over IPv6.
    large_send_v6: int = bits(7, 1, reset=1)
    #: Segments UDP over IPv4 and IPv6.
    udp_segmentation: int = bits(8, 1, reset=1)
    #: Inserts an Internet checksum from any start to the end of the frame.
    checksum_generic: int = bits(9, 1, reset=1)
    #: Inserts a VLAN tag.
    vlan_insertion: int = bits(10, 1, reset=1)


@dataclass(frozen=True, kw_only=True)
class IdentityGeometry(Fields):
    """How many of each there are."""

    #: Transmit rings; each is a requester of the translation bridge.
    rings: int = bits(0, 9, reset=32)
    #: Translation windows.
    windows: int = bits(16, 9, reset=256)


@dataclass(frozen=True, kw_only=True)
class IdentityFrameLimits(Fields):
    """Limits on frames."""

    #: Longest single frame in bytes, without FCS.
    maximum_frame: int = bits(0, 16, reset=9216)
    #: Longest header of a super-frame in bytes, Ethernet header included.
    maximum_header: int = bits(16, 8, reset=192)
    #: Most fragments of one frame.
    maximum_fragments: int = bits(24, 8, reset=31)


@dataclass(frozen=True, kw_only=True)
class IdentityMssLimits(Fields):
    """Range of the maximum segment size in bytes."""

    #: Least MSS.
    minimum_mss: int = bits(0, 16, reset=64)
    #: Greatest MSS.
    maximum_mss: int = bits(16, 16, reset=9000)


@dataclass(frozen=True, kw_only=True)
class IdentityRingLimits(Fields):
    """Limits on rings."""

    #: Least number of entries, as a power of two.
    minimum_size_log2: int = bits(0, 8, reset=4)
    #: Greatest number of entries, as a power of two.
    maximum_size_log2: int = bits(8, 8, reset=12)


@dataclass(frozen=True, kw_only=True)
class IdentityLargeSendV4(Fields):
    """Longest super-frame over IPv4."""

    #: Bytes of its IP packet.
    maximum_packet: int = bits(0, 20, reset=65535)


@dataclass(frozen=True, kw_only=True)
class IdentityLargeSendV6(Fields):
    """Longest super-frame over IPv6.

    It may be longer than the header can tell, which then tells nothing: its payload length is that
    of each segment in any case, and no jumbo payload option is looked for.
    """

    #: Bytes of its IP packet.
    maximum_packet: int = bits(0, 20, reset=262144)


class IdentityPage:
    """What this adapter is and can do. Read only; may be mapped to anyone."""

    def __init__(self, bus: RegisterBus, base: int = 0):
        self.identifier = ReadOnlyRegister(bus, base + 0x00, IdentityIdentifier)
        self.version = ReadOnlyRegister(bus, base + 0x04, IdentityVersion)
        self.capabilities = ReadOnlyRegister(bus, base + 0x08, IdentityCapabilities)
        self.geometry = ReadOnlyRegister(bus, base + 0x0C, IdentityGeometry)
        self.frame_limits = ReadOnlyRegister(bus, base + 0x10, IdentityFrameLimits)
        self.mss_limits = ReadOnlyRegister(bus, base + 0x14, IdentityMssLimits)
        self.ring_limits = ReadOnlyRegister(bus, base + 0x18, IdentityRingLimits)
        self.large_send_v4 = ReadOnlyRegister(bus, base + 0x1C, IdentityLargeSendV4)
        self.large_send_v6 = ReadOnlyRegister(bus, base + 0x20, IdentityLargeSendV6)


@dataclass(frozen=True, kw_only=True)
class ManagerInvalidate(Fields):
    """Starts an invalidation. A write while one is busy is ignored."""

    #: Write 1 to start.
    start: int = bits(0, 1)
    #: What to invalidate.
    scope: InvalidateScope = bits(4, 2, code=InvalidateScope)
    #: Window, for the scopes page and window.
    window: int = bits(8, 8)


@dataclass(frozen=True, kw_only=True)
class ManagerInvalidatePage(Fields):
    """Page index within the window, for the scope page."""

    #: Page index.
    index: int = bits(0, 32)


@dataclass(frozen=True, kw_only=True)
class ManagerInvalidateStatus(Fields):
    """Whether the last invalidation is complete."""

    #: Reads 1 until no beat of an old mapping can still be issued or land.
    busy: int = bits(0, 1)


@dataclass(frozen=True, kw_only=True)
class ManagerFaultStatus(Fields):
    """Faults.

    Records queue in order; the oldest is shown. There is always room for one record of each ring.
    """

    #: A record is shown. Write 1 to drop it and show the next.
    valid: int = bits(0, 1)
    #: Refused accesses that left no record, because others took the room and one of the same ring
    #: was among them; saturating. A write of any 1 clears it.
    lost: int = bits(16, 16)


@dataclass(frozen=True, kw_only=True)
class ManagerFaultRecord(Fields):
    """The oldest fault record; meaningful while valid."""

    #: Requester (ring) of the refused access.
    requester: int = bits(0, 8)
    #: Window bound to it, 0 when unbound.
    window: int = bits(8, 8)
    #: Why.
    reason: FaultReason = bits(16, 4, code=FaultReason)
    #: 1 for a write, 0 for a read.
    write: int = bits(24, 1)


@dataclass(frozen=True, kw_only=True)
class ManagerFaultAddress(Fields):
    """I/O bus address of the refused access."""

    SIZE: ClassVar[int] = 8

    #: Address.
    address: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class ManagerInterruptEnable(Fields):
    """Interrupt to the partition manager."""

    #: Interrupt while a fault record is shown.
    fault: int = bits(0, 1)


@dataclass(frozen=True, kw_only=True)
class ManagerIotlbHits(Fields):
    """Translations answered by the IOTLB."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class ManagerIotlbMisses(Fields):
    """Walks of a table in memory that a translation had to wait for."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class ManagerFaults(Fields):
    """Refused accesses."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class ManagerIotlbPrefetches(Fields):
    """Walks of a table in memory begun ahead of use."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class ManagerBinding(Fields):
    """Binds a requester to its window; nothing else can."""

    #: The requester has a window.
    valid: int = bits(0, 1)
    #: Number of the window. Undefined after reset.
    window: int = bits(8, 8)


@dataclass(frozen=True, kw_only=True)
class ManagerRingReset(Fields):
    """Function-level reset of a ring, whatever its owner does.

    The ring is disabled and drops what it holds, without completions: entries, and frames that have
    not been read. Frames that wait for the MAC whole may leave. Afterwards the ring is as after
    reset, but for its bases, size and offloads.
    """

    #: Write 1 to start. Reads 1 until nothing of the ring is under way: no access that it asked
    #: for, or could still ask for, and no frame of it that is not whole. Until then it cannot be
    #: enabled.
    reset: int = bits(0, 1)


class ManagerPage:
    """Bindings, invalidation and faults. Mapped to the partition manager only."""

    def __init__(self, bus: RegisterBus, base: int = 0):
        self.invalidate = ReadWriteRegister(bus, base + 0x00, ManagerInvalidate)
        self.invalidate_page = ReadWriteRegister(bus, base + 0x04, ManagerInvalidatePage)
        self.invalidate_status = ReadOnlyRegister(bus, base + 0x08, ManagerInvalidateStatus)
        self.fault_status = ReadWriteRegister(bus, base + 0x10, ManagerFaultStatus)
        self.fault_record = ReadOnlyRegister(bus, base + 0x14, ManagerFaultRecord)
        self.fault_address = ReadOnlyRegister(bus, base + 0x18, ManagerFaultAddress)
        self.interrupt_enable = ReadWriteRegister(bus, base + 0x20, ManagerInterruptEnable)
        self.iotlb_hits = ReadOnlyRegister(bus, base + 0x40, ManagerIotlbHits)
        self.iotlb_misses = ReadOnlyRegister(bus, base + 0x48, ManagerIotlbMisses)
        self.faults = ReadOnlyRegister(bus, base + 0x50, ManagerFaults)
        self.iotlb_prefetches = ReadOnlyRegister(bus, base + 0x58, ManagerIotlbPrefetches)
        self.binding = Array(
            lambda offset: ReadWriteRegister(bus, offset, ManagerBinding),
            offset=base + 0x400,
            stride=0x04,
            length=32,
        )
        self.ring_reset = Array(
            lambda offset: ReadWriteRegister(bus, offset, ManagerRingReset),
            offset=base + 0x800,
            stride=0x04,
            length=32,
        )


@dataclass(frozen=True, kw_only=True)
class RingDescriptorBase(Fields):
    """I/O bus address of the descriptor ring, 4 KiB aligned."""

    SIZE: ClassVar[int] = 8

    #: Page number (address bits 63:12).
    page: int = bits(12, 52)


@dataclass(frozen=True, kw_only=True)
class RingCompletionBase(Fields):
    """I/O bus address of the completion ring, 4 KiB aligned."""

    SIZE: ClassVar[int] = 8

    #: Page number (address bits 63:12).
    page: int = bits(12, 52)


@dataclass(frozen=True, kw_only=True)
class RingSize(Fields):
    """Size of both rings. Values outside ring_limits act as the nearest limit."""

    #: Entries, as a power of two.
    size_log2: int = bits(0, 4, reset=4)


@dataclass(frozen=True, kw_only=True)
class RingControl(Fields):
    """Switch.

    Disabling ends the ring in order: what it has read is finished first. Enabling a disabled ring
    starts it at index 0, with a clear status.
    """

    #: The ring runs.
    enable: int = bits(0, 1)


@dataclass(frozen=True, kw_only=True)
class RingStatus(Fields):
    """State of the ring."""

    #: 1 from enable until the ring is disabled and idle.
    active: int = bits(0, 1)
    #: The hardware stopped the ring; disable and enable it to go on.
    stopped: int = bits(1, 1)
    #: Why.
    reason: RingStopReason = bits(4, 4, code=RingStopReason)
    #: Descriptors consumed, modulo 2^16.
    consumer: int = bits(16, 16)


@dataclass(frozen=True, kw_only=True)
class RingOffloads(Fields):
    """Offloads granted to this ring. A descriptor that asks for another is refused."""

    #: IPv4 header checksum.
    checksum_ipv4: int = bits(0, 1)
    #: TCP checksum.
    checksum_tcp: int = bits(1, 1)
    #: UDP checksum.
    checksum_udp: int = bits(2, 1)
    #: Large send over IPv4.
    large_send_v4: int = bits(3, 1)
    #: More than one fragment.
    scatter_gather: int = bits(4, 1)
    #: TCP checksum over IPv6.
    checksum_tcp_v6: int = bits(5, 1)
    #: UDP checksum over IPv6.
    checksum_udp_v6: int = bits(6, 1)
    #: Large send over IPv6.
    large_send_v6: int = bits(7, 1)
    #: UDP segmentation.
    udp_segmentation: int = bits(8, 1)
    #: Generic checksum.
    checksum_generic: int = bits(9, 1)
    #: VLAN tags.
    vlan_insertion: int = bits(10, 1)


@dataclass(frozen=True, kw_only=True)
class RingInterruptStatus(Fields):
    """Interrupt causes of this ring."""

    #: A completion was written. Write 1 to clear.
    completion: int = bits(0, 1)
    #: The hardware stopped the ring. Write 1 to clear.
    stopped: int = bits(1, 1)


@dataclass(frozen=True, kw_only=True)
class RingInterruptEnable(Fields):
    """Which causes interrupt the adapter driver."""

    #: Completions.
    completion: int = bits(0, 1)
    #: Stops.
    stopped: int = bits(1, 1)


class RingRegisters:
    """A ring of descriptors and its ring of completions, both in memory of the same number of
    entries, both named by I/O bus addresses. Bases and size may change only while the ring is
    disabled.
    """

    def __init__(self, bus: RegisterBus, base: int = 0):
        self.descriptor_base = ReadWriteRegister(bus, base + 0x00, RingDescriptorBase)
        self.completion_base = ReadWriteRegister(bus, base + 0x08, RingCompletionBase)
        self.size = ReadWriteRegister(bus, base + 0x10, RingSize)
        self.control = ReadWriteRegister(bus, base + 0x14, RingControl)
        self.status = ReadOnlyRegister(bus, base + 0x18, RingStatus)
        self.offloads = ReadWriteRegister(bus, base + 0x1C, RingOffloads)
        self.interrupt_status = ReadWriteRegister(bus, base + 0x20, RingInterruptStatus)
        self.interrupt_enable = ReadWriteRegister(bus, base + 0x24, RingInterruptEnable)


@dataclass(frozen=True, kw_only=True)
class AdapterInterruptSummary(Fields):
    """Rings with an enabled cause that is set, a bit each."""

    #: Pending.
    rings: int = bits(0, 32)


@dataclass(frozen=True, kw_only=True)
class AdapterMacControl(Fields):
    """Switch of the MAC."""

    #: Frames leave; when cleared the frame in progress is finished first.
    transmit_enable: int = bits(0, 1)


@dataclass(frozen=True, kw_only=True)
class AdapterFrames(Fields):
    """Frames sent on the wire."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class AdapterBytes(Fields):
    """Bytes of those frames, padding included, FCS not."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class AdapterSegments(Fields):
    """Frames cut from super-frames by large send."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class AdapterDropped(Fields):
    """Frames and super-frames dropped: each has a completion with a status other than success."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class AdapterCyclesBusy(Fields):
    """Cycles in which the wire carried preamble, frame, FCS or the gap that must follow."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


@dataclass(frozen=True, kw_only=True)
class AdapterCyclesStalled(Fields):
    """Cycles in which the wire idled beyond the gap although a frame was being fetched."""

    SIZE: ClassVar[int] = 8

    #: Count.
    count: int = bits(0, 64)


class AdapterPage:
    """Rings, offloads, MAC, interrupts and counters.

    Mapped to the adapter driver in the hosting partition only.
    """

    def __init__(self, bus: RegisterBus, base: int = 0):
        self.interrupt_summary = ReadOnlyRegister(bus, base + 0x00, AdapterInterruptSummary)
        self.mac_control = ReadWriteRegister(bus, base + 0x04, AdapterMacControl)
        self.frames = ReadOnlyRegister(bus, base + 0x40, AdapterFrames)
        self.bytes = ReadOnlyRegister(bus, base + 0x48, AdapterBytes)
        self.segments = ReadOnlyRegister(bus, base + 0x50, AdapterSegments)
        self.dropped = ReadOnlyRegister(bus, base + 0x58, AdapterDropped)
        self.cycles_busy = ReadOnlyRegister(bus, base + 0x60, AdapterCyclesBusy)
        self.cycles_stalled = ReadOnlyRegister(bus, base + 0x68, AdapterCyclesStalled)
        self.ring = Array(
            lambda offset: RingRegisters(bus, offset),
            offset=base + 0x400,
            stride=0x40,
            length=32,
        )


@dataclass(frozen=True, kw_only=True)
class WindowTableBase(Fields):
    """Where the TCE table lies."""

    SIZE: ClassVar[int] = 8

    #: Page number of the table's system address (address bits 63:12). Undefined after reset.
    page: int = bits(12, 52)


@dataclass(frozen=True, kw_only=True)
class WindowSize(Fields):
    """The extent of the window."""

    #: Entries, that is 4 KiB pages. Larger page indexes are extent errors. Undefined after reset.
    entries: int = bits(0, 32)


@dataclass(frozen=True, kw_only=True)
class WindowControl(Fields):
    """Switch."""

    #: The window translates.
    enable: int = bits(0, 1)


class WindowRegisters:
    """A window (LIOBN): a table of TCEs in system memory.

    Change it only while it is disabled, and invalidate it afterwards.
    """

    def __init__(self, bus: RegisterBus, base: int = 0):
        self.table_base = ReadWriteRegister(bus, base + 0x00, WindowTableBase)
        self.size = ReadWriteRegister(bus, base + 0x08, WindowSize)
        self.control = ReadWriteRegister(bus, base + 0x0C, WindowControl)


class WindowPage:
    """Translation windows. Mapped to the partition manager only."""

    def __init__(self, bus: RegisterBus, base: int = 0):
        self.window = Array(
            lambda offset: WindowRegisters(bus, offset),
            offset=base + 0x00,
            stride=0x10,
            length=256,
        )


@dataclass(frozen=True, kw_only=True)
class DoorbellTransmit(Fields):
    """Announces descriptors."""

    #: Descriptors produced so far, modulo 2^16.
    producer: int = bits(0, 16)


class DoorbellPage:
    """One ring's doorbell, alone in its page, so that it can be given to one partition."""

    def __init__(self, bus: RegisterBus, base: int = 0):
        self.transmit = ReadWriteRegister(bus, base + 0x00, DoorbellTransmit)
