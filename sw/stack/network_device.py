"""The border between the IP mechanism (530) and any device below it.

The virtual hosted device driver (540) implements `NetworkDevice`, and so does the adapter owner's
own device: the stack above never knows whether the adapter is shared or owned. Payload stays where
the application put it: the device is told where it lies (method 700, step 740) and never touches
it; only header bytes are handed over by value.

A device calls its `DeviceUser` and the `on_complete` of a frame from its interrupt handlers and
from `transmit`. Everything that became known in one interrupt is delivered before one `drained()`:
a user that sends from `drained()` sends a whole batch with one message to the hosting partition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from byway.sw.functions import AdvancedFunctions, SuperFrameLimits
from byway.sw.generic_checksum import GenericChecksum

__all__ = [
    "DeviceUser",
    "Features",
    "Fragment",
    "Frame",
    "FrameOutcome",
    "NetworkDevice",
    "Offload",
]


@dataclass(frozen=True, kw_only=True)
class Features(AdvancedFunctions):
    """What a device does for its user: only what was granted to it stands here.

    Parameters
    ----------
    mac : bytes
        Station address, 6 bytes.
    mtu : int
        Bytes of the longest IP packet on the wire.
    vlan_insertion : bool
        The device inserts VLAN tags.
    super_frames : SuperFrameLimits
        How long super-frames may be.
    minimum_mss : int
        Least payload bytes of a segment that a super-frame is cut into, but for the last.
    maximum_fragments : int
        Most fragments of one frame. The header is one of them, so 1 leaves no room for payload
        by reference: the whole frame is then its header.
    maximum_header : int
        Most header bytes of one frame.
    """

    mac: bytes
    mtu: int
    vlan_insertion: bool = False
    super_frames: SuperFrameLimits = SuperFrameLimits()  # noqa: RUF009
    minimum_mss: int = 1
    maximum_fragments: int = 1
    maximum_header: int

    @property
    def scatter_gather(self) -> bool:
        """Payload can be sent from where it lies."""
        return self.maximum_fragments > 1


@dataclass(frozen=True)
class Fragment:
    """Payload in the partition's memory.

    Parameters
    ----------
    mapping : int
        Handle that `NetworkDevice.map` gave for memory around it.
    address : int
        Logical real address of the first byte, any alignment.
    length : int
        Bytes, at least 1.
    """

    mapping: int
    address: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Offload:
    """What the device is asked to do with a frame; by default nothing.

    Parameters
    ----------
    ipv6 : bool
        The frame is of IPv6, and not of IPv4.
    checksum_ipv4, checksum_tcp, checksum_udp : bool
        Checksums to insert. Their fields in the header count as zero, whatever they hold.
    generic : GenericChecksum or None
        A checksum of no protocol in particular to insert, before the others; None for none.
    mss : int
        The frame is a super-frame: payload bytes of each segment but the last; 0 for a single
        frame. Implies `checksum_tcp` and, over IPv4, `checksum_ipv4`.
    udp_segmentation : bool
        The super-frame is of UDP, each segment a datagram, and what is implied for TCP is for UDP.
    vlan_tag : int or None
        Tag control information of a VLAN tag to insert behind the addresses; None for no tag.
    l2_length, l3_length, l4_length : int
        Bytes of the Ethernet header with the VLAN tags that it has, of the IP header, and of the
        TCP or UDP header. Meaningful, and then all required, when anything but a generic checksum
        is asked for.
    """

    ipv6: bool = False
    checksum_ipv4: bool = False
    checksum_tcp: bool = False
    checksum_udp: bool = False
    generic: GenericChecksum | None = None
    mss: int = 0
    udp_segmentation: bool = False
    vlan_tag: int | None = None
    l2_length: int = 14
    l3_length: int = 0
    l4_length: int = 0

    @property
    def is_super_frame(self) -> bool:
        """The frame is to be cut."""
        return self.mss > 0

    @property
    def large_send(self) -> bool:
        """The frame is a super-frame of TCP."""
        return self.is_super_frame and not self.udp_segmentation

    @property
    def by_protocol(self) -> bool:
        """Anything is asked for that is done by the protocols of the frame."""
        checksums = self.checksum_ipv4 or self.checksum_tcp or self.checksum_udp
        return self.is_super_frame or checksums

    @property
    def functions(self) -> AdvancedFunctions:
        """The functions that a device needs for it."""
        v4 = not self.ipv6
        single = not self.is_super_frame
        return AdvancedFunctions(
            checksum_ipv4=self.checksum_ipv4,
            checksum_tcp=self.checksum_tcp and single and v4,
            checksum_tcp_v6=self.checksum_tcp and single and self.ipv6,
            checksum_udp=self.checksum_udp and single and v4,
            checksum_udp_v6=self.checksum_udp and single and self.ipv6,
            large_send_v4=self.large_send and v4,
            large_send_v6=self.large_send and self.ipv6,
            udp_segmentation=self.udp_segmentation,
            checksum_generic=self.generic is not None,
        )


class FrameOutcome(Enum):
    """What became of a frame."""

    SENT = "sent"
    REFUSED = "refused"  # Something in its description is wrong or was not granted.
    LOST = "lost"  # The device was reset or closed before it could be sent.


def _ignore(outcome: FrameOutcome) -> None:
    """Forget a frame once it is handed over."""


@dataclass(frozen=True)
class Frame:
    """A frame or super-frame to transmit.

    Parameters
    ----------
    header : bytes
        The first bytes of the frame, Ethernet header first. The device copies them into memory
        that the adapter can read.
    payload : tuple of Fragment
        The bytes that follow, by reference.
    offload : Offload
        What the device is to do.
    on_complete : callable
        Called once, with what became of the frame: from then on its payload may be overwritten.
    """

    header: bytes
    payload: tuple[Fragment, ...] = ()
    offload: Offload = field(default_factory=Offload)
    on_complete: Callable[[FrameOutcome], None] = _ignore

    @property
    def length(self) -> int:
        """Bytes of the frame, padding and FCS not included."""
        return len(self.header) + sum(fragment.length for fragment in self.payload)


class DeviceUser(Protocol):
    """What a device calls: the IP mechanism above it."""

    def receive(self, frame: bytes) -> None:
        """Take a frame from the wire, without FCS."""
        ...

    def drained(self) -> None:
        """Know that nothing further is delivered at this time: the moment to send."""
        ...

    def link_changed(self, up: bool) -> None:
        """Know that `features` are settled and frames flow (`up`), or that frames stopped."""
        ...


class NetworkDevice(Protocol):
    """A device that transmits frames from its partition's memory and receives frames."""

    @property
    def features(self) -> Features:
        """What the device does; final once the link is up."""
        ...

    @property
    def link_up(self) -> bool:
        """Frames flow."""
        ...

    @property
    def free_entries(self) -> int:
        """How many frames, of any number of fragments allowed, `transmit` takes now."""
        ...

    def attach(self, user: DeviceUser) -> None:
        """Deliver to `user` from now on; `link_changed` is called at once when the link is up."""
        ...

    def map(self, address: int, length: int) -> int:
        """Let the adapter read `length` bytes of the partition's memory at `address`.

        Meant for an application's whole buffer, not for a frame. The handle may be used at once;
        frames wait in the device until the grant is confirmed.

        Returns
        -------
        int
            Handle for `Fragment.mapping`.

        Raises
        ------
        ValueError
            The range is empty or outside the partition's memory.
        RuntimeError
            The link is down, or there is no room for another mapping.
        """
        ...

    def unmap(self, mapping: int) -> None:
        """Take a mapping back, once the last frame that uses it has completed.

        Raises
        ------
        ValueError
            `mapping` is not mapped.
        """
        ...

    def transmit(self, frames: Sequence[Frame]) -> int:
        """Send frames, in order, with as few messages as possible.

        Returns
        -------
        int
            How many were taken, from the first on: at least the lesser of their number and
            `free_entries`; none while the link is down.

        Raises
        ------
        ValueError
            A frame asks for what `features` does not offer, or names memory outside its mapping.
            None of the frames is taken.
        """
        ...
