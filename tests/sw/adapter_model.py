"""A behavioural model of the adapter's rings, to run the drivers against without RTL.

It does what the contract says: reads descriptors and fragments page by page through the translation
bridge of the fake hardware, cuts super-frames, inserts checksums, writes completions with their
generation, and raises the interrupt line. What it sends is in `wire`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from byway.rtl.contract.model import constant
from byway.sw.contract.access import Fields
from byway.sw.contract.records import (
    Completion,
    ScatterGatherEntry,
    TransmitDescriptor,
    TransmitStatus,
)
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    IDENTITY_PAGE,
    PAGE_SIZE,
    AdapterInterruptSummary,
    AdapterPage,
    DoorbellTransmit,
    IdentityCapabilities,
    IdentityFrameLimits,
    IdentityGeometry,
    IdentityIdentifier,
    IdentityLargeSendV4,
    IdentityLargeSendV6,
    IdentityMssLimits,
    IdentityPage,
    IdentityRingLimits,
    IdentityVersion,
    RingInterruptStatus,
    RingStatus,
    RingStopReason,
)
from byway.sw.functions import AdvancedFunctions, named_by
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.stack.network_device import Offload

ENTRY = TransmitDescriptor.SIZE
MAXIMUM_FRAME = constant("frame_limits.maximum_frame")
MAXIMUM_HEADER = constant("frame_limits.maximum_header")
MAXIMUM_FRAGMENTS = constant("frame_limits.maximum_fragments")
LONGEST_V4 = constant("large_send_v4.maximum_packet")
LONGEST_V6 = constant("large_send_v6.maximum_packet")
MINIMUM_MSS = constant("mss_limits.minimum_mss")
MAXIMUM_MSS = constant("mss_limits.maximum_mss")


class Words:
    """Registers that keep what is written to them, as a bus."""

    def __init__(self):
        self.words: dict[int, int] = {}
        self.last = 0

    def read(self, offset: int) -> int:
        self.last = offset
        return self.words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self.words[offset] = value


def place(register: Callable[[Words], Any]) -> int:
    """Offset of a 32-bit register, found by reading it."""
    words = Words()
    register(words).read()
    return words.last


class IdentityModel(Words):
    """The identity page of an adapter with the capabilities given."""

    def __init__(self, rings: int, capabilities: IdentityCapabilities):
        super().__init__()
        values: dict[str, Fields] = {
            "identifier": IdentityIdentifier(code=constant("identifier.code")),
            "version": IdentityVersion(
                major=constant("version.major"), minor=constant("version.minor")
            ),
            "capabilities": capabilities,
            "geometry": IdentityGeometry(rings=rings, windows=rings + 2),
            "frame_limits": IdentityFrameLimits(
                maximum_frame=MAXIMUM_FRAME,
                maximum_header=MAXIMUM_HEADER,
                maximum_fragments=MAXIMUM_FRAGMENTS,
            ),
            "mss_limits": IdentityMssLimits(minimum_mss=MINIMUM_MSS, maximum_mss=MAXIMUM_MSS),
            "ring_limits": IdentityRingLimits(
                minimum_size_log2=constant("ring_limits.minimum_size_log2"),
                maximum_size_log2=constant("ring_limits.maximum_size_log2"),
            ),
            "large_send_v4": IdentityLargeSendV4(maximum_packet=LONGEST_V4),
            "large_send_v6": IdentityLargeSendV6(maximum_packet=LONGEST_V6),
        }
        for name, value in values.items():
            offset = place(lambda bus, name=name: getattr(IdentityPage(bus), name))
            self.words[offset] = value.to_int()


@dataclass
class RingModel:
    """What the hardware keeps of a ring."""

    number: int
    active: bool = False
    stopped: bool = False
    reason: RingStopReason = RingStopReason.NONE
    producer: int = 0
    consumer: int = 0
    completed: int = 0
    causes: RingInterruptStatus = RingInterruptStatus()  # noqa: RUF009


class AdapterModelPage(Words):
    """The adapter page: storage, but for the registers that the hardware writes."""

    def __init__(self, model: "AdapterModel"):
        super().__init__()
        self.model = model
        stored = Words()
        stored.words = self.words
        self.registers = AdapterPage(stored)  # As the hardware sees them: no access is counted.
        self.summary = place(lambda bus: AdapterPage(bus).interrupt_summary)
        self.status = {}
        self.causes = {}
        self.control = {}
        for ring in model.rings:
            number = ring.number
            self.status[place(lambda bus, n=number: AdapterPage(bus).ring[n].status)] = ring
            self.causes[place(lambda bus, n=number: AdapterPage(bus).ring[n].interrupt_status)] = (
                ring
            )
            self.control[place(lambda bus, n=number: AdapterPage(bus).ring[n].control)] = ring

    def read(self, offset: int) -> int:
        self.model.accesses["read"] += 1
        if offset == self.summary:
            return AdapterInterruptSummary(rings=self.model.pending()).to_int()
        if offset in self.causes:
            return self.causes[offset].causes.to_int()
        if offset in self.status:
            ring = self.status[offset]
            return RingStatus(
                active=ring.active,
                stopped=ring.stopped,
                reason=ring.reason,
                consumer=ring.consumer,
            ).to_int()
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        self.model.accesses["write"] += 1
        if offset in self.causes:
            ring = self.causes[offset]
            written = RingInterruptStatus.from_int(value)
            ring.causes = RingInterruptStatus(
                completion=ring.causes.completion & ~written.completion,
                stopped=ring.causes.stopped & ~written.stopped,
            )
        else:
            super().write(offset, value)
        if offset in self.control:
            self.model.enable(self.control[offset], bool(value & 1))
        self.model.update_interrupt()


class DoorbellModel(Words):
    """One ring's doorbell page."""

    def __init__(self, model: "AdapterModel", ring: RingModel):
        super().__init__()
        self.model = model
        self.ring = ring

    def write(self, offset: int, value: int) -> None:
        self.model.doorbell(self.ring, DoorbellTransmit.from_int(value).producer)


class AdapterModel:
    """The adapter in a fake hardware.

    Attributes
    ----------
    wire : list of (ring, frame)
        What was sent, segment by segment.
    paused : bool
        Doorbells wait until `run`.
    accesses, doorbells : Counter
        Accesses of the adapter page; doorbell writes by ring.
    """

    def __init__(self, hardware: Any, *, rings: int = 2, **capabilities: int):
        self.hardware = hardware
        self.wire: list[tuple[int, bytes]] = []
        self.paused = False
        self.accesses: Counter[str] = Counter()
        self.doorbells: Counter[int] = Counter()
        self.rings = [RingModel(number) for number in range(rings)]
        everything = dict.fromkeys(
            (*AdvancedFunctions().functions, "scatter_gather", "vlan_insertion"), 1
        )
        self.capabilities = IdentityCapabilities(**(everything | capabilities))
        self.page = AdapterModelPage(self)
        hardware.bridge.on_reset = lambda ring: self.reset(self.rings[ring])
        pages = hardware.registers.pages
        pages[IDENTITY_PAGE // PAGE_SIZE] = IdentityModel(rings, self.capabilities)
        pages[ADAPTER_PAGE // PAGE_SIZE] = self.page
        for ring in self.rings:
            number = (DOORBELL_PAGE + ring.number * DOORBELL_STRIDE) // PAGE_SIZE
            pages[number] = DoorbellModel(self, ring)

    def pending(self) -> int:
        bits = 0
        for ring in self.rings:
            enabled = self.page.registers.ring[ring.number].interrupt_enable.read()
            completion = ring.causes.completion & enabled.completion
            bits |= (completion | (ring.causes.stopped & enabled.stopped)) << ring.number
        return bits

    def update_interrupt(self) -> None:
        self.hardware.adapter_interrupt = self.pending() != 0

    def enable(self, ring: RingModel, enable: bool) -> None:
        if enable and not ring.active:
            ring.active, ring.stopped, ring.reason = True, False, RingStopReason.NONE
            ring.producer = ring.consumer = ring.completed = 0
        elif not enable:
            self.run_ring(ring)
            ring.active = False

    def reset(self, ring: RingModel) -> None:
        """Reset a ring as the partition manager asks for."""
        registers = self.page.registers.ring[ring.number]
        registers.control.write(enable=0)
        registers.interrupt_enable.write()
        ring.active, ring.stopped, ring.reason = False, False, RingStopReason.NONE
        ring.producer = ring.consumer = ring.completed = 0
        ring.causes = RingInterruptStatus()
        self.update_interrupt()

    def doorbell(self, ring: RingModel, producer: int) -> None:
        self.doorbells[ring.number] += 1
        if not ring.active or ring.stopped:
            return
        ring.producer = producer
        if (producer - ring.consumer) % 0x10000 > self.size(ring):
            self.stop(ring, RingStopReason.DOORBELL_RANGE)
        elif not self.paused:
            self.run_ring(ring)

    def run(self) -> None:
        """Send everything announced."""
        for ring in self.rings:
            self.run_ring(ring)

    def run_ring(self, ring: RingModel, frames: int | None = None) -> None:
        """Send everything announced in a ring, or so many frames of it."""
        while ring.active and not ring.stopped and ring.consumer != ring.producer and frames != 0:
            if not self.send_frame(ring):
                return
            frames = None if frames is None else frames - 1

    def stop(self, ring: RingModel, reason: RingStopReason) -> None:
        """Stop a ring as the hardware does when it cannot go on."""
        ring.stopped, ring.reason = True, reason
        ring.causes = replace(ring.causes, stopped=1)
        self.update_interrupt()

    def size(self, ring: RingModel) -> int:
        return 1 << self.page.registers.ring[ring.number].size.read().size_log2

    def send_frame(self, ring: RingModel) -> bool:
        content = self.read_entry(ring)
        if content is None:
            return False
        descriptor = TransmitDescriptor.unpack(content)
        fragments = [(descriptor.address, descriptor.fragment_length)]
        while len(fragments) < descriptor.fragments:
            content = self.read_entry(ring)
            if content is None:
                return False
            more = ScatterGatherEntry.unpack(content)
            fragments.append((more.first_address, more.first_length))
            fragments.append((more.second_address, more.second_length))
        fragments = fragments[: descriptor.fragments]
        status = self.check(ring, descriptor, fragments)
        segments: list[bytes] = []
        if status is TransmitStatus.SUCCESS:
            frame = self.gather(ring, fragments)
            if frame is None:
                status = TransmitStatus.MEMORY_REFUSED
            else:
                segments = [insert_tag(each, descriptor) for each in finish(frame, descriptor)]
                self.wire += [(ring.number, segment) for segment in segments]
        completed = self.complete(ring, descriptor.correlator, status, len(segments))
        if completed and status is TransmitStatus.MEMORY_REFUSED:
            self.stop(ring, RingStopReason.DATA_REFUSED)
        return completed and not ring.stopped

    def read_entry(self, ring: RingModel) -> bytes | None:
        base = self.page.registers.ring[ring.number].descriptor_base.read().page * PAGE_SIZE
        at = base + ring.consumer % self.size(ring) * ENTRY
        content = self.hardware.dma_read(ring.number, at, ENTRY)
        if content is None:
            self.stop(ring, RingStopReason.DESCRIPTOR_REFUSED)
        ring.consumer = (ring.consumer + 1) % 0x10000
        return content

    def check(
        self, ring: RingModel, descriptor: TransmitDescriptor, fragments: list[tuple[int, int]]
    ) -> TransmitStatus:
        granted = self.page.registers.ring[ring.number].offloads.read()
        lengths = [length for _, length in fragments]
        cut = is_cut(descriptor)
        if not 1 <= descriptor.fragments <= MAXIMUM_FRAGMENTS:
            return TransmitStatus.FRAGMENT_COUNT
        if 0 in lengths or sum(lengths) < 14:
            return TransmitStatus.LENGTH_SHORT
        if sum(lengths) != descriptor.total_length:
            return TransmitStatus.LENGTH_MISMATCH
        longest_packet = LONGEST_V6 if descriptor.ipv6 else LONGEST_V4
        longest = longest_packet + descriptor.ip_offset if cut else MAXIMUM_FRAME
        if sum(lengths) > longest:
            return TransmitStatus.LENGTH_LONG
        if cut and not descriptor.l4_offset < descriptor.header_length <= MAXIMUM_HEADER:
            return TransmitStatus.HEADER_LENGTH
        if cut and not MINIMUM_MSS <= descriptor.mss <= MAXIMUM_MSS:
            return TransmitStatus.MSS_RANGE
        checksums = (descriptor.checksum_ipv4, descriptor.checksum_tcp, descriptor.checksum_udp)
        if any(checksums) or cut:
            offsets = (descriptor.ip_offset, descriptor.l4_offset)
            least = 40 if descriptor.ipv6 else 20
            ordered = offsets[0] >= 14
            ordered = ordered and offsets[0] + least <= offsets[1] < descriptor.total_length
            if not ordered or any(offset % 2 for offset in offsets):
                return TransmitStatus.OFFSET_RANGE
        tcp = descriptor.checksum_tcp or descriptor.large_send
        udp = descriptor.checksum_udp or descriptor.udp_segmentation
        if (tcp and udp) or (cut and descriptor.checksum_generic):
            return TransmitStatus.FLAGS_CONFLICT
        generic = generic_of(descriptor)
        if generic is not None and not generic.fits(descriptor.total_length):
            return TransmitStatus.OFFSET_RANGE
        wanted = Offload(
            ipv6=bool(descriptor.ipv6),
            checksum_ipv4=bool(descriptor.checksum_ipv4),
            checksum_tcp=bool(descriptor.checksum_tcp),
            checksum_udp=bool(descriptor.checksum_udp),
            mss=descriptor.mss if cut else 0,
            udp_segmentation=bool(descriptor.udp_segmentation),
            generic=generic,
        ).functions
        allowed = not AdvancedFunctions(**named_by(granted)).missing(wanted)
        allowed = allowed and granted.vlan_insertion >= descriptor.insert_vlan
        allowed = allowed and bool(granted.scatter_gather or descriptor.fragments == 1)
        return TransmitStatus.SUCCESS if allowed else TransmitStatus.NOT_GRANTED

    def gather(self, ring: RingModel, fragments: list[tuple[int, int]]) -> bytes | None:
        frame = b""
        for address, length in fragments:
            while length:
                count = min(length, PAGE_SIZE - address % PAGE_SIZE)
                content = self.hardware.dma_read(ring.number, address, count)
                if content is None:
                    return None
                frame += content
                address += count
                length -= count
        return frame

    def complete(
        self, ring: RingModel, correlator: int, status: TransmitStatus, segments: int
    ) -> bool:
        base = self.page.registers.ring[ring.number].completion_base.read().page * PAGE_SIZE
        size = self.size(ring)
        completion = Completion(
            correlator=correlator,
            status=status,
            generation=1 - ring.completed // size % 2,
            segments=segments,
            consumer=ring.consumer,
            ring=ring.number,
        )
        at = base + ring.completed % size * Completion.SIZE
        if not self.hardware.dma_write(ring.number, at, completion.pack()):
            self.stop(ring, RingStopReason.COMPLETION_REFUSED)
            return False
        ring.completed += 1
        ring.causes = replace(ring.causes, completion=1)
        self.update_interrupt()
        return True


def internet_checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_cut(descriptor: TransmitDescriptor) -> bool:
    return bool(descriptor.large_send or descriptor.udp_segmentation)


def generic_of(descriptor: TransmitDescriptor) -> GenericChecksum | None:
    if not descriptor.checksum_generic:
        return None
    return GenericChecksum(descriptor.checksum_start, descriptor.checksum_offset)


def finish(frame: bytes, descriptor: TransmitDescriptor):
    """Yield the frames for the wire: the per-segment rule, and checksums."""
    if not is_cut(descriptor):
        yield insert_checksums(bytearray(frame), descriptor)
        return
    header, payload = frame[: descriptor.header_length], frame[descriptor.header_length :]
    ip, l4 = descriptor.ip_offset, descriptor.l4_offset
    starts = range(0, max(len(payload), 1), descriptor.mss)
    for number, start in enumerate(starts):
        part = payload[start : start + descriptor.mss]
        segment = bytearray(header + part)
        if descriptor.ipv6:
            segment[ip + 4 : ip + 6] = (len(segment) - ip - 40).to_bytes(2, "big")
        else:
            segment[ip + 2 : ip + 4] = (len(segment) - ip).to_bytes(2, "big")
            identification = int.from_bytes(header[ip + 4 : ip + 6], "big") + number
            segment[ip + 4 : ip + 6] = (identification & 0xFFFF).to_bytes(2, "big")
        if descriptor.udp_segmentation:
            segment[l4 + 4 : l4 + 6] = (len(segment) - l4).to_bytes(2, "big")
            yield insert_checksums(segment, descriptor)
            continue
        sequence = int.from_bytes(header[l4 + 4 : l4 + 8], "big") + start
        segment[l4 + 4 : l4 + 8] = (sequence & 0xFFFF_FFFF).to_bytes(4, "big")
        if start != starts[-1]:
            segment[l4 + 13] &= ~0x09  # FIN and PSH.
        if number:
            segment[l4 + 13] &= ~0x80  # CWR.
        yield insert_checksums(segment, descriptor)


def insert_tag(frame: bytes, descriptor: TransmitDescriptor) -> bytes:
    if not descriptor.insert_vlan:
        return frame
    return frame[:12] + b"\x81\x00" + descriptor.vlan_tag.to_bytes(2, "big") + frame[12:]


def insert_checksums(frame: bytearray, descriptor: TransmitDescriptor) -> bytes:
    ip, l4 = descriptor.ip_offset, descriptor.l4_offset
    generic = generic_of(descriptor)
    if generic is not None:
        at = sum(generic)
        total = internet_checksum(bytes(frame[generic.start :])) or 0xFFFF
        frame[at : at + 2] = total.to_bytes(2, "big")
    if descriptor.checksum_ipv4 or (is_cut(descriptor) and not descriptor.ipv6):
        frame[ip + 10 : ip + 12] = b"\0\0"
        frame[ip + 10 : ip + 12] = internet_checksum(bytes(frame[ip:l4])).to_bytes(2, "big")
    udp = descriptor.checksum_udp or descriptor.udp_segmentation
    if descriptor.checksum_tcp or udp or descriptor.large_send:
        at = l4 + (6 if udp else 16)
        frame[at : at + 2] = b"\0\0"
        length = len(frame) - l4
        addresses = frame[ip + 8 : ip + 40] if descriptor.ipv6 else frame[ip + 12 : ip + 20]
        pseudo = bytes(addresses) + bytes((0, 17 if udp else 6))
        data = pseudo + length.to_bytes(2, "big") + bytes(frame[l4:])
        frame[at : at + 2] = (internet_checksum(data) or 0xFFFF).to_bytes(2, "big")
    return bytes(frame)
