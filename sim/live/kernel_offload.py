"""What a kernel leaves to its device, in the words of the adapter; the rest is done by CPU.

A TAP offers its kernel one kind of checksum offload, for any protocol. The adapter's are granted by
protocol, and one for any. What it does not have the device's driver does by CPU, as drivers of
Linux do (``skb_checksum_help``), and counts.
"""

from dataclasses import dataclass

from byway.sim.wire.internet_checksum import checksum_of
from byway.sim.wire.tap import TapOffload
from byway.sim.wire.virtio_net import Gso, VirtioNetHeader
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.stack.frame_ledger import LONGEST_HEADERS
from byway.sw.stack.network_device import Features, Offload

__all__ = ["Described", "describe", "tap_offloads"]

_ETHERNET_HEADER = 14
_VLAN_TAG = 4
_VLAN_TYPES = (0x8100, 0x88A8)
_IPV4, _IPV6 = 0x0800, 0x86DD
_IPV6_HEADER = 40
#: Extension headers that may stand before TCP or UDP [RFC 8200, 4]. Not the routing header: behind
#: it the address in the pseudo-header is not that of the IPv6 header; nor a fragment's.
_HOP_BY_HOP, _DESTINATION_OPTIONS = 0, 60
_TCP, _UDP = 6, 17
_CHECKSUM_OFFSET = {_TCP: 16, _UDP: 6}
_LEAST_HEADER = {_TCP: 20, _UDP: 8}
#: How a kernel names super-frames, by version of IP and protocol.
_SUPER_FRAMES = {
    (_IPV4, _TCP): Gso.TCPV4,
    (_IPV6, _TCP): Gso.TCPV6,
    (_IPV4, _UDP): Gso.UDP_L4,
    (_IPV6, _UDP): Gso.UDP_L4,
}


def tap_offloads(features: Features) -> TapOffload:
    """What a kernel may leave to a device with `features`.

    A kernel leaves segmentation only to a device that has checksums, and a checksum of any protocol
    to one that has any. That of UDP is for both versions of IP or for none.
    """
    offloads = TapOffload(0)
    checksums = features.checksum_tcp or features.checksum_udp or features.checksum_generic
    if checksums or features.checksum_tcp_v6 or features.checksum_udp_v6:
        offloads |= TapOffload.CHECKSUM
        # Segments bear CWR as RFC 3168 asks, which is what TSO_ECN promises.
        if features.large_send_v4:
            offloads |= TapOffload.TSO4 | TapOffload.TSO_ECN
        if features.large_send_v6:
            offloads |= TapOffload.TSO6 | TapOffload.TSO_ECN
        if features.udp_segmentation:
            offloads |= TapOffload.USO4 | TapOffload.USO6
    return offloads


@dataclass(frozen=True)
class Described:
    """A frame as a device takes it.

    Attributes
    ----------
    frame : bytes
    header_length : int
        Bytes of its protocol headers, as far as they are known.
    offload : Offload
    by_cpu : bool
        Its checksum had to be made here.
    """

    frame: bytes
    header_length: int
    offload: Offload
    by_cpu: bool = False


def describe(frame: bytes, header: VirtioNetHeader, features: Features) -> Described:
    """Say what the adapter is to do with a frame that a kernel sends.

    Parameters
    ----------
    frame : bytes
        Without FCS.
    header : VirtioNetHeader
        What the kernel leaves to the device.
    features : Features
        What the device does.

    Raises
    ------
    ValueError
        The kernel asks for what it was not offered, or the frame is not what it says.
    """
    l2_length, ethertype = _link_layer(frame)
    l4 = header.checksum_start
    if not header.needs_checksum:
        if header.gso is not Gso.NONE:
            raise ValueError("a super-frame without a checksum to make")
        return Described(frame, l2_length, Offload(l2_length=l2_length))
    if l4 + header.checksum_offset + 2 > len(frame):
        raise ValueError(f"a checksum at byte {l4 + header.checksum_offset} of {len(frame)}")
    ipv6 = ethertype == _IPV6
    protocol = None
    if ipv6 or ethertype == _IPV4:
        protocol = (_ipv6_protocol if ipv6 else _ipv4_protocol)(frame, l2_length, l4)
    known, l4_length = False, 0
    if protocol is not None and header.checksum_offset == _CHECKSUM_OFFSET.get(protocol):
        l4_length = 4 * (frame[l4 + 12] >> 4) if protocol == _TCP else 8
        is_whole = _LEAST_HEADER[protocol] <= l4_length <= len(frame) - l4
        known = is_whole and l4 + l4_length <= LONGEST_HEADERS
    is_super_frame = header.gso is not Gso.NONE
    offload = Offload(
        ipv6=ipv6,
        checksum_tcp=protocol == _TCP and not is_super_frame,
        checksum_udp=protocol == _UDP and not is_super_frame,
        mss=header.mss if is_super_frame else 0,
        udp_segmentation=protocol == _UDP and is_super_frame,
        l2_length=l2_length,
        l3_length=l4 - l2_length,
        l4_length=l4_length,
    )
    is_granted = known and not features.missing(offload.functions)
    if is_super_frame:
        of_kind = header.gso is _SUPER_FRAMES.get((ethertype, protocol or 0)) and header.mss
        longest = features.super_frames.of(ipv6=ipv6, udp=offload.udp_segmentation)
        if not (of_kind and is_granted and len(frame) - l2_length <= longest):
            raise ValueError(f"a super-frame of the kind {header.gso.name}, which was not offered")
    elif not is_granted:
        generic = GenericChecksum(l4, header.checksum_offset)
        if features.checksum_generic and generic.fits(len(frame)):
            offload = Offload(generic=generic, l2_length=l2_length)
            return Described(frame, l2_length, offload)
        summed = _with_checksum(frame, l4, l4 + header.checksum_offset)
        return Described(summed, l2_length, Offload(l2_length=l2_length), by_cpu=True)
    return Described(frame, l4 + l4_length, offload)


def _link_layer(frame: bytes) -> tuple[int, int]:
    """Bytes of the Ethernet header with its VLAN tags, and the type of what follows."""
    if len(frame) < _ETHERNET_HEADER:
        raise ValueError(f"a frame of {len(frame)} bytes")
    length = _ETHERNET_HEADER
    ethertype = int.from_bytes(frame[length - 2 : length], "big")
    while ethertype in _VLAN_TYPES and len(frame) >= length + _VLAN_TAG:
        length += _VLAN_TAG
        ethertype = int.from_bytes(frame[length - 2 : length], "big")
    return length, ethertype


def _ipv4_protocol(frame: bytes, l3: int, l4: int) -> int | None:
    """The protocol of an IPv4 packet whose payload begins at `l4`; None if it does not."""
    least = l3 + 20
    if len(frame) < least or l3 + 4 * (frame[l3] & 0xF) != l4 or l4 < least:
        return None
    return _if_whole(frame, l4, frame[l3 + 9])


def _ipv6_protocol(frame: bytes, l3: int, l4: int) -> int | None:
    """The same of an IPv6 packet."""
    if len(frame) < l3 + _IPV6_HEADER:
        return None
    protocol, at = frame[l3 + 6], l3 + _IPV6_HEADER
    while protocol in (_HOP_BY_HOP, _DESTINATION_OPTIONS) and at + 8 <= min(l4, len(frame)):
        protocol, at = frame[at], at + 8 * (1 + frame[at + 1])
    return _if_whole(frame, l4, protocol) if at == l4 else None


def _if_whole(frame: bytes, l4: int, protocol: int) -> int | None:
    """`protocol`, if `frame` holds the least header that it has."""
    return protocol if len(frame) >= l4 + _LEAST_HEADER.get(protocol, 0) else None


def _with_checksum(frame: bytes, start: int, field: int) -> bytes:
    """`frame` with the checksum of what follows `start` in `field`.

    The sum of the pseudo-header stands in the field already.
    """
    return frame[:field] + checksum_of(frame[start:]).to_bytes(2, "big") + frame[field + 2 :]
