"""The client's transmit side: frames become descriptors, and completions end them.

Frames go out in order, as many as possible with one hcall (method 700, step 740: designed to
minimize context switching). A frame whose memory the server has not agreed to yet waits, and those
behind it wait with it.
"""

from collections import deque
from collections.abc import Sequence

from byway.sw.hosted.grants import Grants, GrantState
from byway.sw.stack.frame_ledger import FrameLedger, Outgoing
from byway.sw.stack.network_device import Frame, FrameOutcome, Offload
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.descriptors import (
    ScatterGatherEntry,
    TransmitFlag,
    TransmitFrame,
    elements_of,
    unpack_completions,
)
from byway.sw.vnic.queue import SubQueue, SubQueueSender

__all__ = ["TransmitQueue"]

_ETHERNET_HEADER = 14
_CORRELATOR_MASK = 0xFFFF_FFFF
_LOST = (VnicReturnCode.ABORTED, VnicReturnCode.INVALID_STATE)


class TransmitQueue:
    """The transmit queue of one virtual NIC, from login to its end.

    Parameters
    ----------
    ledger : FrameLedger
        The frames under way.
    grants : Grants
        What the server has agreed to.
    sender : SubQueueSender
        Sends to the server.
    submission : int
        Handle of the server's queue.
    completions : SubQueue
        Where completions come.
    entries : int
        Elements that may be under way, as negotiated.

    Attributes
    ----------
    unexpected : int
        Completions of frames that were not under way.
    sent : int
        Frames that have been sent.
    """

    def __init__(
        self,
        *,
        ledger: FrameLedger,
        grants: Grants,
        sender: SubQueueSender,
        submission: int,
        completions: SubQueue,
        entries: int,
    ):
        self.unexpected = 0
        self.sent = 0
        self._ledger = ledger
        self._grants = grants
        self._sender = sender
        self._submission = submission
        self._completions = completions
        self._free_elements = entries
        self._waiting: deque[tuple[int, Outgoing]] = deque()
        self._under_way: dict[int, Outgoing] = {}
        self._next_correlator = 0

    def free_entries(self, fragments: int) -> int:
        """Return how many frames of so many fragments are taken now."""
        return min(self._free_elements // elements_of(fragments), self._ledger.room)

    def transmit(self, frames: Sequence[Frame]) -> int:
        """Send frames; return how many were taken."""
        for frame in frames:
            self._ledger.check(frame)
        taken = 0
        for frame in frames:
            elements = elements_of(1 + len(frame.payload))
            outgoing = self._ledger.admit(frame) if elements <= self._free_elements else None
            if outgoing is None:
                break
            self._free_elements -= elements
            self._waiting.append((self._next_correlator, outgoing))
            self._next_correlator = (self._next_correlator + 1) & _CORRELATOR_MASK
            taken += 1
        self.flush()
        return taken

    def flush(self) -> None:
        """Send the frames that wait, up to the first one whose memory is not granted yet."""
        ready: list[tuple[int, Outgoing]] = []
        refused: list[Outgoing] = []
        while self._waiting:
            correlator, outgoing = self._waiting[0]
            states = {self._grants.state(piece.mapping) for piece in outgoing.pieces}
            if GrantState.REFUSED in states:
                refused.append(outgoing)
            elif GrantState.ASKED in states:
                break
            else:
                ready.append((correlator, outgoing))
            self._waiting.popleft()
        groups = [_describe(correlator, outgoing).pack() for correlator, outgoing in ready]
        _, sent = self._sender.send(self._submission, groups)
        self._under_way.update(ready[:sent])
        self._waiting.extendleft(reversed(ready[sent:]))
        for outgoing in refused:
            self._settle(outgoing, FrameOutcome.REFUSED)

    def collect(self) -> None:
        """Take the completions that have come."""
        for element in self._completions.take():
            for code, correlator in unpack_completions(element):
                outgoing = self._under_way.pop(correlator, None)
                if outgoing is None:
                    self.unexpected += 1
                elif code == VnicReturnCode.SUCCESS:
                    self.sent += 1
                    self._settle(outgoing, FrameOutcome.SENT)
                else:
                    lost = code in _LOST
                    self._settle(outgoing, FrameOutcome.LOST if lost else FrameOutcome.REFUSED)

    def abandon(self) -> None:
        """End every frame as lost: the server is gone."""
        frames = [*self._under_way.values(), *(outgoing for _, outgoing in self._waiting)]
        self._under_way.clear()
        self._waiting.clear()
        for outgoing in frames:
            self._settle(outgoing, FrameOutcome.LOST)

    def _settle(self, outgoing: Outgoing, outcome: FrameOutcome) -> None:
        self._free_elements += elements_of(len(outgoing.pieces))
        self._ledger.settle(outgoing, outcome)


def _describe(correlator: int, outgoing: Outgoing) -> TransmitFrame:
    offload = outgoing.frame.offload
    return TransmitFrame(
        correlator=correlator,
        flags=_flags(offload),
        generic=offload.generic,
        mss=offload.mss,
        vlan_tag=offload.vlan_tag,
        l2_length=offload.l2_length,
        l3_length=offload.l3_length,
        l4_length=offload.l4_length,
        ethernet_header=outgoing.frame.header[:_ETHERNET_HEADER],
        entries=tuple(
            ScatterGatherEntry(piece.mapping.handle, piece.ioba, piece.length)
            for piece in outgoing.pieces
        ),
    )


def _flags(offload: Offload) -> TransmitFlag:
    flags = TransmitFlag.COMPLETION
    if offload.l2_length > _ETHERNET_HEADER:
        flags |= TransmitFlag.VLAN_PRESENT
    if offload.is_super_frame:
        flags |= TransmitFlag.LARGE_SEND
        flags |= TransmitFlag.UDP if offload.udp_segmentation else TransmitFlag.TCP
    if offload.by_protocol:
        flags |= TransmitFlag.CHECKSUM
        flags |= TransmitFlag.IPV6 if offload.ipv6 else TransmitFlag.IPV4
    if offload.checksum_tcp:
        flags |= TransmitFlag.TCP
    if offload.checksum_udp:
        flags |= TransmitFlag.UDP
    return flags
