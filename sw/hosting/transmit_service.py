"""From a client's transmit submission queue to its ring, and back to its completion queue.

A frame is checked for what the adapter cannot know (the client's maps, what was negotiated with
it), translated to addresses of the ring's window and posted; everything else is for the adapter to
refuse. Whatever is wrong with a frame comes back in its completion and costs no other frame. Each
run drains the queue as far as the ring has room, rings the doorbell once, and sends all completions
with as few elements as possible; what finds no room waits in the client's own queue.

Source: patent, method 700, step 750; LoPAR, "Frame Transmission".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from byway.sw.contract.records import Completion, TransmitStatus
from byway.sw.functions import AdvancedFunctions, SuperFrameLimits
from byway.sw.hosting.adapter_driver import is_multicast
from byway.sw.hosting.client_maps import ClientMaps
from byway.sw.hosting.transmit_request import DmaFragment, RingOffloads, TransmitRequest
from byway.sw.hosting.transmit_ring import TransmitRing
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.descriptors import (
    TransmitAssembler,
    TransmitFlag,
    TransmitFrame,
    pack_completions,
)
from byway.sw.vnic.queue import SubQueue
from byway.sw.vnic.statistics import Statistics

__all__ = ["TransmitService"]

_VLAN_TAG = 4
_BROADCAST = b"\xff" * 6

_ANSWERS = {
    TransmitStatus.SUCCESS: VnicReturnCode.SUCCESS,
    TransmitStatus.LENGTH_SHORT: VnicReturnCode.INVALID_LENGTH,
    TransmitStatus.LENGTH_LONG: VnicReturnCode.INVALID_LENGTH,
    TransmitStatus.LENGTH_MISMATCH: VnicReturnCode.INVALID_LENGTH,
    TransmitStatus.FRAGMENT_COUNT: VnicReturnCode.PARAMETER,
    TransmitStatus.HEADER_LENGTH: VnicReturnCode.PARAMETER,
    TransmitStatus.MSS_RANGE: VnicReturnCode.PARAMETER,
    TransmitStatus.OFFSET_RANGE: VnicReturnCode.PARAMETER,
    TransmitStatus.FLAGS_CONFLICT: VnicReturnCode.PARAMETER,
    TransmitStatus.NOT_GRANTED: VnicReturnCode.UNSUPPORTED_OPTION,
    TransmitStatus.MEMORY_REFUSED: VnicReturnCode.INVALID_IOBA,
    TransmitStatus.MEMORY_ERROR: VnicReturnCode.ABORTED,
}


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a frame asks for: of its protocols only those that something is to be done with."""

    is_super_frame: bool
    ipv4: bool
    ipv6: bool
    tcp: bool
    udp: bool
    generic: bool
    insert_vlan: bool
    fragments: int
    mss: int

    @classmethod
    def by(cls, frame: TransmitFrame) -> "_Asked":
        large = bool(frame.flags & TransmitFlag.LARGE_SEND)
        checksum = large or bool(frame.flags & TransmitFlag.CHECKSUM)
        return cls(
            is_super_frame=large,
            ipv4=checksum and bool(frame.flags & TransmitFlag.IPV4),
            ipv6=checksum and bool(frame.flags & TransmitFlag.IPV6),
            tcp=checksum and bool(frame.flags & TransmitFlag.TCP),
            udp=checksum and bool(frame.flags & TransmitFlag.UDP),
            generic=frame.generic is not None,
            insert_vlan=frame.vlan_tag is not None,
            fragments=len(frame.entries),
            mss=frame.mss,
        )

    @property
    def udp_segmentation(self) -> bool:
        """Whether the frame is a super-frame of UDP."""
        return self.is_super_frame and self.udp and not self.tcp

    def unsupported(self, granted: RingOffloads) -> bool:
        """Whether the frame asks for what was not granted."""
        version = "_v6" if self.ipv6 else ""
        wanted = {
            f"large_send{version or '_v4'}": self.is_super_frame and not self.udp_segmentation,
            "udp_segmentation": self.udp_segmentation,
            f"checksum_tcp{version}": self.tcp,
            f"checksum_udp{version}": self.udp and not self.udp_segmentation,
            "checksum_generic": self.generic,
            "checksum_ipv4": self.ipv4 and not (self.tcp or self.udp),
        }
        return (
            (self.insert_vlan and not granted.vlan_insertion)
            or (self.fragments > 1 and not granted.scatter_gather)
            or bool(granted.missing(AdvancedFunctions(**wanted)))
            # There is no header checksum of IPv6 to be had.
            or (self.ipv6 and not (self.tcp or self.udp))
        )

    @property
    def contradictory(self) -> bool:
        """Whether a protocol that must be named is not, or the MSS is missing."""
        if self.is_super_frame and not ((self.tcp or self.udp) and self.mss):
            return True
        if self.ipv4 and self.ipv6:
            return True
        return (self.is_super_frame or self.tcp or self.udp) and not (self.ipv4 or self.ipv6)


class TransmitService:
    """The transmit side of one client.

    Parameters
    ----------
    ring : TransmitRing
        The client's ring.
    maps : ClientMaps
        What the adapter may read of the client.
    queue : SubQueue
        Where the client submits.
    send : callable
        Sends groups of elements to the client's completion queue.
    maximum_frame : int
        Bytes of the longest frame on the wire, without VLAN tag, as negotiated.
    super_frames : SuperFrameLimits
        How long super-frames may be, as negotiated.
    statistics : Statistics
        Where frames are counted.

    Attributes
    ----------
    link_up : bool
        Frames are sent; otherwise they are refused.
    malformed : int
        Elements that belonged to no frame.
    completions_lost : int
        Completion elements that the client's queue did not take.
    """

    def __init__(
        self,
        *,
        ring: TransmitRing,
        maps: ClientMaps,
        queue: SubQueue,
        send: Callable[[list[list[bytes]]], tuple[ReturnCode, int]],
        maximum_frame: int,
        super_frames: SuperFrameLimits,
        statistics: Statistics,
    ):
        self.link_up = False
        self.malformed = 0
        self.completions_lost = 0
        self._ring = ring
        self._maps = maps
        self._queue = queue
        self._send = send
        self._maximum_frame = maximum_frame
        self._super_frames = super_frames
        self._statistics = statistics
        self._assembler = TransmitAssembler()
        self._held: TransmitFrame | None = None
        self._completions: list[tuple[int, int]] = []

    def run(self) -> None:
        """Post what the client has submitted, and tell it what has been completed."""
        held, self._held = self._held, None
        if held is not None:
            self._post(held)
        if self._held is None:
            self._drain()
        self._ring.kick()
        if self._completions:
            elements = pack_completions(self._completions)
            self._completions.clear()
            _, sent = self._send([[element] for element in elements])
            self.completions_lost += len(elements) - sent

    def _drain(self) -> None:
        for element in self._queue.take():
            for ended in self._assembler.feed(element):
                if isinstance(ended, TransmitFrame):
                    self._post(ended)
                elif ended.correlator is not None:
                    self._completions.append((VnicReturnCode.PARAMETER, ended.correlator))
                else:
                    self.malformed += 1
            if self._held is not None:
                return

    def _post(self, frame: TransmitFrame) -> None:
        request = self._request(frame)
        if isinstance(request, VnicReturnCode):
            self._completions.append((request, frame.correlator))
        elif request.entries > self._ring.free_entries:
            self._held = frame
        else:
            try:
                self._ring.post(request, partial(self._completed, frame, request))
            except ValueError:  # A number that does not fit the adapter's descriptor.
                self._completions.append((VnicReturnCode.PARAMETER, frame.correlator))

    def _request(self, frame: TransmitFrame) -> TransmitRequest | VnicReturnCode:
        """Translate a frame, or return why it cannot be sent."""
        if not self.link_up:
            return VnicReturnCode.INVALID_STATE
        asked = _Asked.by(frame)
        if asked.unsupported(self._ring.offloads):
            return VnicReturnCode.UNSUPPORTED_OPTION
        if asked.contradictory:
            return VnicReturnCode.PARAMETER
        if self._too_long(frame, asked):
            return VnicReturnCode.INVALID_LENGTH
        fragments = []
        for entry in frame.entries:
            ioba = self._maps.locate(*entry)
            if ioba is None:
                return VnicReturnCode.INVALID_IOBA
            fragments.append(DmaFragment(ioba, entry.length))
        is_described = asked.ipv4 or asked.ipv6
        return TransmitRequest(
            fragments=tuple(fragments),
            ipv6=asked.ipv6,
            checksum_ipv4=asked.ipv4 and self._ring.offloads.checksum_ipv4,
            checksum_tcp=asked.tcp,
            checksum_udp=asked.udp,
            generic=frame.generic,
            mss=frame.mss if asked.is_super_frame else 0,
            udp_segmentation=asked.udp_segmentation,
            vlan_tag=frame.vlan_tag,
            ip_offset=frame.l2_length if is_described else 0,
            l4_offset=frame.l2_length + frame.l3_length if is_described else 0,
            header_length=_headers_of(frame) if asked.is_super_frame else 0,
        )

    def _too_long(self, frame: TransmitFrame, asked: _Asked) -> bool:
        """Whether the frame is longer than agreed, or a super-frame or a segment of it."""
        on_wire = frame.length
        if asked.is_super_frame:
            on_wire = _headers_of(frame) + frame.mss
            longest = self._super_frames.of(ipv6=asked.ipv6, udp=asked.udp_segmentation)
            if frame.length - frame.l2_length > longest:
                return True
        tag = _VLAN_TAG if frame.flags & TransmitFlag.VLAN_PRESENT else 0
        return on_wire > self._maximum_frame + tag

    def _completed(
        self, frame: TransmitFrame, request: TransmitRequest, completion: Completion | None
    ) -> None:
        code = VnicReturnCode.ABORTED if completion is None else _ANSWERS[completion.status]
        if completion is not None and code is VnicReturnCode.SUCCESS:
            self._count(frame, request, completion.segments)
        if code is not VnicReturnCode.SUCCESS or frame.flags & TransmitFlag.COMPLETION:
            self._completions.append((code, frame.correlator))

    def _count(self, frame: TransmitFrame, request: TransmitRequest, segments: int) -> None:
        statistics = self._statistics
        statistics.sent += segments
        tag = 0 if request.vlan_tag is None else _VLAN_TAG
        statistics.bytes_sent += request.length + (segments - 1) * request.header_length
        statistics.bytes_sent += segments * tag
        destination = frame.ethernet_header[:6]
        if destination == _BROADCAST:
            statistics.broadcast_sent += segments
        elif destination and is_multicast(destination):
            statistics.multicast_sent += segments
        elif destination:
            statistics.unicast_sent += segments


def _headers_of(frame: TransmitFrame) -> int:
    return frame.l2_length + frame.l3_length + frame.l4_length
