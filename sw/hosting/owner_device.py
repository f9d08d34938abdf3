"""The owner's own network device: the adapter used as a dedicated one, on ring 0.

The same adapter driver and the same descriptors as for hosted partitions, without messages in
between: what sharing costs is the difference to this.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial

from byway.sw.contract.records import Completion, TransmitStatus
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.transmit_request import DmaFragment, TransmitRequest, entries_of
from byway.sw.hosting.transmit_ring import StopCause
from byway.sw.stack.buffer_ring import BufferRing
from byway.sw.stack.frame_ledger import FrameLedger, Mapping, MappingTable, Outgoing
from byway.sw.stack.network_device import DeviceUser, Features, Frame, FrameOutcome

__all__ = ["OwnerDevice"]

_ETHERNET_HEADER = 14
_POOL_BYTES = 256 * 1024
_MAPPINGS = 1024
_ERRORS_KEPT = 64


class OwnerDevice:
    """A `NetworkDevice` of the partition that owns the adapter.

    Parameters
    ----------
    driver : AdapterDriver
        The adapter's driver, in the same partition.
    mac : bytes
        Station address.
    mtu : int
        Bytes of the longest IP packet.

    Attributes
    ----------
    mac : bytes
    features : Features
    link_up : bool
        Frames flow; False once the ring has stopped too often.
    errors : deque of StopCause
        Why frames were lost, the latest of all.
    """

    def __init__(self, driver: AdapterDriver, mac: bytes, *, mtu: int = 1500):
        adapter = driver.capabilities
        offloads = adapter.offloads
        self.mac = mac
        self.link_up = True
        self.errors: deque[StopCause] = deque(maxlen=_ERRORS_KEPT)
        self._driver = driver
        self._user: DeviceUser | None = None
        self._ring = driver.open_own_ring(self._drained, self._stopped)
        self.features = Features(
            mac=mac,
            mtu=min(mtu, adapter.maximum_frame - _ETHERNET_HEADER),
            super_frames=adapter.super_frames,
            minimum_mss=adapter.minimum_mss,
            maximum_fragments=adapter.maximum_fragments if offloads.scatter_gather else 1,
            maximum_header=mtu + _ETHERNET_HEADER,
            vlan_insertion=offloads.vlan_insertion,
            **offloads.functions,
        )
        buffer = self._ring.window.allocate(_POOL_BYTES, read=True)
        pool = BufferRing(driver.partition.memory, buffer.address, buffer.length)
        self._mappings = MappingTable(_MAPPINGS, self._unmap)
        pool_mapping = self._mappings.add(buffer.address, buffer.length, buffer.ioba)
        self._ledger = FrameLedger(self.features, pool, pool_mapping, self._mappings)
        driver.reserve_address(mac)
        driver.attach(self)

    @property
    def free_entries(self) -> int:
        """How many frames, of any number of fragments allowed, `transmit` takes now."""
        if not self.link_up:
            return 0
        largest = entries_of(self.features.maximum_fragments)
        return min(self._ring.free_entries // largest, self._ledger.room)

    def attach(self, user: DeviceUser) -> None:
        """Deliver to `user` from now on."""
        self._user = user
        user.link_changed(self.link_up)

    def restart(self) -> None:
        """Take the link up again, with a new ring, after too many stops had taken it down."""
        self._driver.close_ring(self._ring)
        self._ring = self._driver.open_own_ring(self._drained, self._stopped)
        self._set_link(True)

    def map(self, address: int, length: int) -> int:
        """Let the adapter read `length` bytes of the partition's memory at `address`."""
        if length <= 0:
            raise ValueError(f"length must be positive, not {length}")
        try:
            ioba = self._ring.window.map(address, length, read=True)
        except MemoryError as error:
            raise RuntimeError(str(error)) from None
        return self._mappings.add(address, length, ioba).handle

    def unmap(self, mapping: int) -> None:
        """Take a mapping back, once the last frame that uses it has completed."""
        self._mappings.take_back(mapping)

    def transmit(self, frames: Sequence[Frame]) -> int:
        """Send frames, in order, with one ring of the doorbell."""
        for frame in frames:
            self._ledger.check(frame)
        taken = 0
        for frame in frames if self.link_up else ():
            if entries_of(1 + len(frame.payload)) > self._ring.free_entries:
                break
            outgoing = self._ledger.admit(frame)
            if outgoing is None:
                break
            self._ring.post(_request(outgoing), partial(self._completed, outgoing))
            taken += 1
        self._ring.kick()
        return taken

    def deliver(self, length: int) -> None:
        """Pass the frame in the driver's receive buffer to the user."""
        if self._user is not None:
            self._user.receive(
                self._driver.partition.memory.read(self._driver.receive_buffer, length)
            )
            self._user.drained()

    def _completed(self, outgoing: Outgoing, completion: Completion | None) -> None:
        if completion is None:
            outcome = FrameOutcome.LOST
        elif completion.status is TransmitStatus.SUCCESS:
            outcome = FrameOutcome.SENT
        else:
            outcome = FrameOutcome.REFUSED
        self._ledger.settle(outgoing, outcome)

    def _drained(self) -> None:
        if self._user is not None:
            self._user.drained()

    def _stopped(self, cause: StopCause) -> None:
        """The frames have been told as lost. The ring runs again, or the link is down for good."""
        self.errors.append(cause)
        if self._ring.down:
            self._set_link(False)

    def _set_link(self, up: bool) -> None:
        self.link_up = up
        if self._user is not None:
            self._user.link_changed(up)

    def _unmap(self, mapping: Mapping) -> None:
        self._ring.window.unmap(mapping.ioba, mapping.length)
        self._mappings.remove(mapping)


def _request(outgoing: Outgoing) -> TransmitRequest:
    offload = outgoing.frame.offload
    is_cut = offload.is_super_frame
    l4_offset = offload.l2_length + offload.l3_length
    return TransmitRequest(
        fragments=tuple(DmaFragment(piece.ioba, piece.length) for piece in outgoing.pieces),
        ipv6=offload.ipv6 and offload.by_protocol,
        checksum_ipv4=offload.checksum_ipv4 or (is_cut and not offload.ipv6),
        checksum_tcp=offload.checksum_tcp or offload.large_send,
        checksum_udp=offload.checksum_udp or offload.udp_segmentation,
        generic=offload.generic,
        mss=offload.mss,
        udp_segmentation=offload.udp_segmentation,
        vlan_tag=offload.vlan_tag,
        ip_offset=offload.l2_length if offload.by_protocol else 0,
        l4_offset=l4_offset if offload.by_protocol else 0,
        header_length=l4_offset + offload.l4_length if is_cut else 0,
    )
