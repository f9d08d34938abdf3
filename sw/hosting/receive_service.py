"""From the adapter driver's receive buffer to the buffers that a client has posted.

The way back is the ordinary one: the partition manager copies each frame with H_COPY_RDMA, and
counts the bytes. Buffers that the client adds are looked for only when a frame has come, so that
adding them interrupts nobody.

Source: patent, method 700, last paragraph; LoPAR, "Frame Reception".
"""

from collections import deque
from collections.abc import Callable

from byway.sw.hosting.adapter_driver import is_multicast
from byway.sw.hosting.client_maps import ClientMaps
from byway.sw.manager.connection import ServerEnd
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.queue import SubQueue
from byway.sw.vnic.receive import ReceiveBuffer, ReceiveCompletion, ReceiveFlag
from byway.sw.vnic.statistics import Statistics

__all__ = ["ReceiveService"]

_BROADCAST = b"\xff" * 6


class ReceiveService:
    """The receive side of one client.

    Parameters
    ----------
    end : ServerEnd
        The server's end of the connection with the client.
    maps : ClientMaps
        What memory the client may name.
    queue : SubQueue
        Where the client adds buffers.
    send : callable
        Sends groups of elements to the client's completion queue.
    source_ioba : int
        Where the driver's receive buffer is, in the first pane of `end`.
    entries : int
        Most buffers that the client may have posted, as negotiated.
    statistics : Statistics
        Where frames are counted.

    Attributes
    ----------
    link_up : bool
        Frames are delivered; otherwise they are dropped.
    refused_buffers : int
        Buffers given back because they could not be used.
    completions_lost : int
        Completions that the client's queue did not take.
    """

    def __init__(
        self,
        *,
        end: ServerEnd,
        maps: ClientMaps,
        queue: SubQueue,
        send: Callable[[list[list[bytes]]], tuple[ReturnCode, int]],
        source_ioba: int,
        entries: int,
        statistics: Statistics,
    ):
        self.link_up = False
        self.refused_buffers = 0
        self.completions_lost = 0
        self._end = end
        self._maps = maps
        self._queue = queue
        self._send = send
        self._source_ioba = source_ioba
        self._entries = entries
        self._statistics = statistics
        self._buffers: deque[ReceiveBuffer] = deque()

    def deliver(self, length: int, destination: bytes) -> None:
        """Copy the frame in the driver's receive buffer to the client, if it can take it."""
        if not self.link_up:
            return
        self._take_buffers()
        if not self._buffers:
            self._statistics.no_receive_buffer += 1
            return
        buffer = self._buffers.popleft()
        if buffer.length < length:
            self._give_back(buffer, VnicReturnCode.INVALID_LENGTH)
            return
        code = self._end.owner.hcalls.h_copy_rdma(
            length,
            self._end.liobn,
            self._source_ioba,
            self._end.r_liobn,
            buffer.ioba,
            cause="receive",
        )
        if code is not ReturnCode.H_SUCCESS:
            self._give_back(buffer, VnicReturnCode.INVALID_IOBA)
            return
        flags = ReceiveFlag.END_OF_FRAME
        self._complete(ReceiveCompletion(buffer.correlator, length, flags))
        self._count(length, destination)

    def _take_buffers(self) -> None:
        for element in self._queue.take():
            buffer = ReceiveBuffer.unpack(element)
            if not self._maps.covers(buffer.map_id, buffer.ioba, buffer.length):
                self._give_back(buffer, VnicReturnCode.INVALID_IOBA)
            elif len(self._buffers) >= self._entries:
                self._give_back(buffer, VnicReturnCode.NO_MEMORY)
            else:
                self._buffers.append(buffer)

    def _give_back(self, buffer: ReceiveBuffer, code: VnicReturnCode) -> None:
        self.refused_buffers += 1
        self._complete(ReceiveCompletion(buffer.correlator, 0, ReceiveFlag(0), rc=code))

    def _complete(self, completion: ReceiveCompletion) -> None:
        _, sent = self._send([[completion.pack()]])
        self.completions_lost += 1 - sent

    def _count(self, length: int, destination: bytes) -> None:
        statistics = self._statistics
        statistics.received += 1
        statistics.bytes_received += length
        if destination == _BROADCAST:
            statistics.broadcast_received += 1
        elif is_multicast(destination):
            statistics.multicast_received += 1
        else:
            statistics.unicast_received += 1
