"""The IP mechanism (patent 530): IPv4 over Ethernet, with ARP, on any network device.

It builds headers, asks the device for what the device offers (method 700, step 730), and does by
CPU what the device does not: checksums, and the joining of header and payload. How many payload
bytes the CPU had to touch is counted. Sources: RFC 791, RFC 826, RFC 894.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from scapy.layers.inet import IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, NetworkDevice, Offload

__all__ = ["IpMechanism", "IpUser", "PartitionBytes", "TouchedBytes"]

BROADCAST = "ff:ff:ff:ff:ff:ff"
_ETHERNET_LENGTH = 14
_IP_LENGTH = 20


class PartitionBytes(Protocol):
    """What the stack needs of its partition's memory."""

    def read(self, address: int, length: int) -> bytes:
        """Return `length` bytes at logical real address `address`."""
        ...


class IpUser(Protocol):
    """What the IP mechanism calls: the TCP mechanism above it."""

    def receive(self, packet: Packet) -> None:
        """Take a packet that is addressed to this host."""
        ...

    def drained(self) -> None:
        """Know that nothing further arrives at this time: the moment to send."""
        ...


@dataclass
class TouchedBytes:
    """Payload bytes that the stack's CPU touched on the way out.

    Attributes
    ----------
    checksummed : int
        Read to compute a checksum that the device does not offer.
    copied : int
        Copied behind a header because the device does not gather.
    """

    checksummed: int = 0
    copied: int = 0


@dataclass
class _Neighbour:
    """A host on the link: its address once known, and the frames that wait for it."""

    mac: str | None = None
    waiting: list[Callable[[str], Frame]] = field(default_factory=list)


class IpMechanism:
    """IPv4 host on `device`; a `DeviceUser`.

    Parameters
    ----------
    device : NetworkDevice
    memory : PartitionBytes
        The partition's memory, read only where the device does not do the work.
    address : str
        This host's IPv4 address. Every other address is taken to be on the link.
    """

    def __init__(self, device: NetworkDevice, memory: PartitionBytes, address: str):
        self.device = device
        self.address = address
        self.touched = TouchedBytes()
        self._memory = memory
        self._user: IpUser | None = None
        self._neighbours: dict[str, _Neighbour] = {}
        self._queue: list[Frame] = []
        self._identification = 1

    def attach(self, user: IpUser) -> None:
        """Deliver to `user`, and begin to use the device."""
        self._user = user
        self.device.attach(self)

    @property
    def room(self) -> int:
        """Packets that `send` takes before the device has to drain."""
        return max(0, self.device.free_entries - len(self._queue))

    @property
    def mtu(self) -> int:
        """Bytes of the longest packet that is not a super-frame."""
        return self.device.features.mtu

    @property
    def maximum_super_frame(self) -> int:
        """Bytes of the longest packet that the device segments, 0 if it does not."""
        return self.device.features.super_frames.large_send_v4

    @property
    def maximum_payload_fragments(self) -> int:
        """Runs of memory that the payload of one packet may be spread over."""
        features = self.device.features
        return features.maximum_fragments - 1 if features.scatter_gather else 1 << 30

    def send(
        self,
        destination: str,
        segment: Packet,
        payload: tuple[Fragment, ...] = (),
        *,
        mss: int = 0,
        on_complete: Callable[[FrameOutcome], None] | None = None,
    ) -> None:
        """Queue a packet; it leaves at the next `flush`.

        Parameters
        ----------
        destination : str
            IPv4 address.
        segment : Packet
            TCP header, checksum not computed.
        payload : tuple of Fragment
            What follows the header, in the partition's memory.
        mss : int
            Payload bytes of a segment if this is a super-frame, else 0.
        on_complete : callable
            As in `Frame`.
        """
        length = sum(fragment.length for fragment in payload)
        identification = self._identification
        self._identification = (identification + (-(-length // mss) if mss else 1)) & 0xFFFF

        def build(mac: str) -> Frame:
            frame = self._build(mac, destination, segment, payload, length, mss, identification)
            return frame if on_complete is None else _completing(frame, on_complete)

        neighbour = self._neighbours.get(destination)
        if neighbour is not None and neighbour.mac is not None:
            self._queue.append(build(neighbour.mac))
            return
        if neighbour is None:
            neighbour = self._neighbours[destination] = _Neighbour()
        neighbour.waiting.append(build)
        self._queue.append(self._arp_frame(1, BROADCAST, "00:00:00:00:00:00", destination))

    def flush(self) -> None:
        """Hand queued packets to the device, as many as it takes, in one call."""
        if self._queue:
            del self._queue[: self.device.transmit(self._queue)]

    def _mac(self) -> str:
        return ":".join(f"{byte:02x}" for byte in self.device.features.mac)

    def _build(
        self,
        mac: str,
        destination: str,
        segment: Packet,
        payload: tuple[Fragment, ...],
        length: int,
        mss: int,
        identification: int,
    ) -> Frame:
        features = self.device.features
        l4_length = len(segment)
        ip = IP(
            src=self.address,
            dst=destination,
            proto=6,
            id=identification,
            flags="DF",
            len=_IP_LENGTH + l4_length + length,
        )
        if features.checksum_ipv4 or mss:
            ip.chksum = 0
        segment = segment.copy()
        offloaded = bool(features.checksum_tcp or mss)
        if offloaded:
            segment.chksum = 0
        packet = Ether(src=self._mac(), dst=mac, type=0x0800) / ip / segment
        by_reference = features.scatter_gather
        if payload and not (offloaded and by_reference):
            data = b"".join(self._memory.read(f.address, f.length) for f in payload)
            whole = bytes(packet / Raw(data))
            if not offloaded:
                self.touched.checksummed += length
            if by_reference:
                header = whole[:-length]
            else:
                self.touched.copied += length
                header, payload = whole, ()
        else:
            header = bytes(packet)
        offload = Offload(
            checksum_ipv4=features.checksum_ipv4,
            checksum_tcp=offloaded,
            mss=mss,
            l2_length=_ETHERNET_LENGTH,
            l3_length=_IP_LENGTH,
            l4_length=l4_length,
        )
        return Frame(header, payload, offload)

    def _arp_frame(self, operation: int, ethernet: str, mac: str, address: str) -> Frame:
        arp = ARP(op=operation, hwsrc=self._mac(), psrc=self.address, hwdst=mac, pdst=address)
        return Frame(bytes(Ether(src=self._mac(), dst=ethernet, type=0x0806) / arp))

    def receive(self, frame: bytes) -> None:
        """Take a frame from the device; anything that is not for this host is dropped."""
        packet = Ether(frame)
        if ARP in packet:
            self._receive_arp(packet[ARP])
        elif IP in packet and packet[IP].dst == self.address and self._user is not None:
            self._user.receive(packet[IP])

    def _receive_arp(self, arp: Packet) -> None:
        if arp.pdst != self.address:
            return
        neighbour = self._neighbours.setdefault(arp.psrc, _Neighbour())
        neighbour.mac = arp.hwsrc
        self._queue += [build(arp.hwsrc) for build in neighbour.waiting]
        neighbour.waiting.clear()
        if arp.op == 1:
            self._queue.append(self._arp_frame(2, arp.hwsrc, arp.hwsrc, arp.psrc))

    def drained(self) -> None:
        """Let the user send, then hand everything to the device at once."""
        if self._user is not None:
            self._user.drained()
        self.flush()

    def link_changed(self, up: bool) -> None:
        """Send what waited for the link."""
        if up:
            self.drained()


def _completing(frame: Frame, on_complete: Callable[[FrameOutcome], None]) -> Frame:
    return Frame(frame.header, frame.payload, frame.offload, on_complete)
