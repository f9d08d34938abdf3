"""The client's receive side: buffers posted to the server, and frames that come back in them."""

from collections.abc import Callable
from functools import partial

from byway.sw.manager.memory import PartitionMemory
from byway.sw.stack.frame_ledger import Mapping
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.queue import SubQueue, SubQueueSender
from byway.sw.vnic.receive import ReceiveBuffer, ReceiveCompletion

__all__ = ["ReceiveQueue"]

_BATCHES = 4
"""Buffers go back to the server once this fraction of them is idle."""


class ReceiveQueue:
    """The receive queue of one virtual NIC, from login to its end.

    Parameters
    ----------
    memory : PartitionMemory
        The partition's memory.
    mapping : Mapping
        The memory of all buffers.
    buffers, buffer_bytes : int
        How many there are, and how long each is.
    sender : SubQueueSender
        Sends to the server.
    receive_add : int
        Handle of the server's queue.
    completions : SubQueue
        Where buffers come back.

    Attributes
    ----------
    unexpected : int
        Completions of buffers that the server did not have, or that make no sense.
    """

    def __init__(
        self,
        *,
        memory: PartitionMemory,
        mapping: Mapping,
        buffers: int,
        buffer_bytes: int,
        sender: SubQueueSender,
        receive_add: int,
        completions: SubQueue,
    ):
        self.unexpected = 0
        self._memory = memory
        self._mapping = mapping
        self._buffer_bytes = buffer_bytes
        self._send = partial(sender.send, receive_add)
        self._completions = completions
        self._batch = max(1, buffers // _BATCHES)
        self._idle = list(range(buffers))
        self._posted: set[int] = set()

    def post(self) -> None:
        """Give every idle buffer to the server."""
        buffers = [
            ReceiveBuffer(
                correlator=number,
                map_id=self._mapping.handle,
                ioba=self._mapping.ioba + number * self._buffer_bytes,
                length=self._buffer_bytes,
            )
            for number in self._idle
        ]
        _, sent = self._send([[buffer.pack()] for buffer in buffers])
        self._posted.update(self._idle[:sent])
        del self._idle[:sent]

    def collect(self, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with the frames that have come, and give their buffers back."""
        for element in self._completions.take():
            completion = ReceiveCompletion.unpack(element)
            number = completion.correlator
            inside = completion.offset + completion.length <= self._buffer_bytes
            if number not in self._posted or not inside:
                self.unexpected += 1
                continue
            self._posted.remove(number)
            self._idle.append(number)
            if completion.rc == VnicReturnCode.SUCCESS:
                start = self._mapping.address + number * self._buffer_bytes + completion.offset
                receive(self._memory.read(start, completion.length))
        if len(self._idle) >= self._batch:
            self.post()
