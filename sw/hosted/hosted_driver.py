"""The virtual hosted device driver (540): a network device without hardware of its own.

What it offers to the stack above is what the hosting partition granted at set-up, and so what the
adapter can do. It owns no register and never waits: it acts in its partition's interrupts and when
the stack calls it. When the server goes away, frames under way are lost, mappings stay, and the set
up begins anew as soon as the server is back.

Source: patent, FIG. 5, method 600 step 640, method 700 steps 730 and 740; ibmvnic.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from byway.sw.hosted.command_channel import CommandChannel
from byway.sw.hosted.grants import Grants
from byway.sw.hosted.receive_queue import ReceiveQueue
from byway.sw.hosted.set_up import Granted, LoginQueues, Script, SetUpError, Wishes, set_up
from byway.sw.hosted.transmit_queue import TransmitQueue
from byway.sw.manager.connection import VirtualEnd
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.stack.buffer_ring import BufferRing
from byway.sw.stack.frame_ledger import FrameLedger, Mapping
from byway.sw.stack.network_device import DeviceUser, Features, Frame
from byway.sw.vnic.codes import LinkState, VnicReturnCode
from byway.sw.vnic.command_queue import CommandQueue
from byway.sw.vnic.commands import (
    FATAL_ERROR,
    ErrorIndication,
    LinkStateIndication,
    LogicalLinkState,
    LogicalLinkStateResponse,
    RequestErrorInfo,
    RequestErrorInfoResponse,
    RequestStatistics,
    RequestStatisticsResponse,
)
from byway.sw.vnic.error_detail import ErrorDetail
from byway.sw.vnic.queue import SubQueue, SubQueueSender
from byway.sw.vnic.statistics import Statistics
from byway.sw.vnic.window import DmaWindow, pages_of

__all__ = ["HostedDriver"]

_ETHERNET_HEADER = 14
_POOL_BYTES = 256 * 1024
_DETAILS = 16


class HostedDriver:
    """A `NetworkDevice` of a hosted partition.

    Parameters
    ----------
    end : VirtualEnd
        The client's end of its connection with the hosting partition.
    mac : bytes
        Station address, as the partition's device tree has it.
    wishes : Wishes
        What to ask the hosting partition for.

    Attributes
    ----------
    features : Features
        What was granted; until the first set-up, a device that only sends and receives.
    granted : Granted or None
        All that was granted, since the first set-up.
    failure : str
        Why the last set-up failed; empty if it did not.
    errors : Counter
        Error indications by cause. After one that is not fatal the device goes on: frames that
        were lost are told as such. A fatal one ends what was agreed, and the device is set up anew;
        if it has sent no frame since it was set up last, only by `start`.
    error_details : deque of ErrorDetail
        What the server told of errors that are not fatal, the latest of all.
    """

    def __init__(self, end: VirtualEnd, mac: bytes, wishes: Wishes | None = None):
        self.granted: Granted | None = None
        self.failure = ""
        self.errors: Counter[int] = Counter()
        self.error_details: deque[ErrorDetail] = deque(maxlen=_DETAILS)
        self._end = end
        self._mac = mac
        self._wishes = wishes or Wishes()
        self.features = Features(
            mac=mac, mtu=self._wishes.mtu, maximum_header=self._wishes.mtu + _ETHERNET_HEADER
        )
        self._user: DeviceUser | None = None
        self._link_up = False
        self._window = DmaWindow(end.owner, end.liobn, end.window_bytes)
        self._sender = SubQueueSender(end, self._window)
        self._exchange = self._window.allocate(PAGE_SIZE, read=True, write=True)
        self._queue = CommandQueue(end, self._window, self)
        self._channel = CommandChannel(self._queue.send, self._indicated)
        self._grants = Grants(self._window, self._channel, self._grant_changed)
        pool = end.owner.memory.allocate(_POOL_BYTES, align=PAGE_SIZE)
        self._pool = BufferRing(end.owner.memory, pool, _POOL_BYTES)
        self._pool_mapping = self._grants.map(pool, _POOL_BYTES)
        self._receive_mapping: Mapping | None = None
        self._completion_queues: tuple[SubQueue, SubQueue] | None = None
        self._transmit: TransmitQueue | None = None
        self._receive: ReceiveQueue | None = None
        self._script: Script | None = None

    def start(self) -> None:
        """Install the device: the set-up begins when the hosting partition is there.

        Raises
        ------
        RuntimeError
            The partition manager refuses the device's queue.
        """
        self._queue.open()

    # What the stack sees

    @property
    def link_up(self) -> bool:
        """Frames flow."""
        return self._link_up

    @property
    def free_entries(self) -> int:
        """How many frames, of any number of fragments allowed, `transmit` takes now."""
        if self._transmit is None or not self._link_up:
            return 0
        return self._transmit.free_entries(self.features.maximum_fragments)

    def attach(self, user: DeviceUser) -> None:
        """Deliver to `user` from now on; `link_changed` is called at once when the link is up."""
        self._user = user
        if self._link_up:
            user.link_changed(True)

    def map(self, address: int, length: int) -> int:
        """Let the adapter read `length` bytes of the partition's memory at `address`."""
        if length <= 0:
            raise ValueError(f"length must be positive, not {length}")
        if not self._link_up:
            raise RuntimeError("the link is down")
        return self._grants.map(address, length).handle

    def unmap(self, mapping: int) -> None:
        """Take a mapping back, once the last frame that uses it has completed."""
        self._grants.table.take_back(mapping)

    def transmit(self, frames: Sequence[Frame]) -> int:
        """Send frames, in order, with as few messages as possible."""
        if self._transmit is None or not self._link_up:
            return 0
        return self._transmit.transmit(frames)

    def request_statistics(self, on_answer: Callable[[Statistics | None], None]) -> None:
        """Ask the server for the counters of this device; None comes back if it refuses."""

        def answered(answer: RequestStatisticsResponse) -> None:
            granted = answer.rc == VnicReturnCode.SUCCESS
            on_answer(Statistics.unpack(self.read(Statistics.SIZE)) if granted else None)

        self._channel.ask(RequestStatistics(0, self.exchange_ioba, Statistics.SIZE), answered)

    # What the set-up script needs

    @property
    def exchange_ioba(self) -> int:
        """Where the buffers that commands name are, in the client's window: a page."""
        return self._exchange.ioba

    def read(self, length: int) -> bytes:
        """Return the beginning of the exchange buffer."""
        return self._end.owner.memory.read(self._exchange.address, length)

    def write(self, content: bytes) -> None:
        """Put `content` at the beginning of the exchange buffer."""
        self._end.owner.memory.write(self._exchange.address, content)

    def register_queues(self, transmit_entries: int, receive_entries: int) -> LoginQueues:
        """Register the completion queues, instead of those registered before."""
        self._close_queues()
        transmit = SubQueue(self._end, self._window, transmit_entries, self._transmit_interrupt)
        receive = SubQueue(self._end, self._window, receive_entries, self._receive_interrupt)
        self._completion_queues = transmit, receive
        return LoginQueues(transmit.handle, receive.handle)

    # What the command queue tells

    def opened(self) -> None:
        """Begin the set-up."""
        self.failure = ""
        self._script = set_up(self, self._wishes, self._mac)
        self._step(None)

    def command(self, element: bytes) -> None:
        """Take a response or an indication."""
        self._channel.receive(element)
        if self._link_up:
            self._drained()

    def closed(self) -> None:
        """End everything that was agreed; frames under way are lost."""
        self._script = None
        self._channel.forget()
        self._grants.disconnect()
        self._set_link(False)
        if self._transmit is not None:
            self._transmit.abandon()
        self._transmit = None
        self._receive = None
        self._close_queues()

    def partner_gone(self) -> None:
        """Register anew, for the server to find this end when it is back."""
        self._queue.close()
        try:
            self._queue.open()
        except RuntimeError as error:
            self.failure = str(error)

    # The set-up, step by step

    def _step(self, answers: list | None) -> None:
        """Take the set-up one step on; `answers` are the responses to the step before."""
        if self._script is None:
            return
        try:
            messages = next(self._script) if answers is None else self._script.send(answers)
            self._channel.ask_all(messages, self._step)
        except StopIteration as end:
            self._script = None
            self._attempt(end.value)
        except (SetUpError, RuntimeError, MemoryError) as error:
            self._give_up(error)

    def _attempt(self, granted: Granted) -> None:
        try:
            self._begin(granted)
        except (SetUpError, RuntimeError, MemoryError) as error:
            self._give_up(error)

    def _begin(self, granted: Granted) -> None:
        """Begin to work with what was granted."""
        assert self._completion_queues is not None
        self.granted = granted
        self.features = Features(
            mac=granted.mac,
            mtu=granted.maximum_frame - _ETHERNET_HEADER,
            super_frames=granted.super_frames,
            minimum_mss=granted.minimum_mss,
            maximum_fragments=granted.maximum_fragments,
            maximum_header=granted.maximum_frame,
            vlan_insertion=granted.vlan_insertion,
            **granted.offloads.functions,
        )
        buffers = self._receive_memory(granted.receive_buffers * granted.receive_buffer_bytes)
        needed = sum(pages_of(mapping.ioba, mapping.length) for mapping in self._grants.table)
        if needed > granted.free_pages:
            raise SetUpError(
                f"the adapter's window has {granted.free_pages} pages left, {needed} are needed"
            )
        transmit_completions, receive_completions = self._completion_queues
        self._transmit = TransmitQueue(
            ledger=FrameLedger(self.features, self._pool, self._pool_mapping, self._grants.table),
            grants=self._grants,
            sender=self._sender,
            submission=granted.submission,
            completions=transmit_completions,
            entries=granted.transmit_entries,
        )
        self._receive = ReceiveQueue(
            memory=self._end.owner.memory,
            mapping=buffers,
            buffers=granted.receive_buffers,
            buffer_bytes=granted.receive_buffer_bytes,
            sender=self._sender,
            receive_add=granted.receive_add,
            completions=receive_completions,
        )
        self._grants.connect()
        self._receive.post()
        self._channel.ask(LogicalLinkState(LinkState.UP), self._link_answered)

    def _receive_memory(self, length: int) -> Mapping:
        """Return the memory of the receive buffers, at least so long."""
        old = self._receive_mapping
        if old is not None and old.length >= length:
            return old
        if old is not None:
            self._grants.table.take_back(old.handle)
            self._end.owner.memory.free(old.address)
        address = self._end.owner.memory.allocate(length, align=PAGE_SIZE)
        self._receive_mapping = self._grants.map(address, length, write=True)
        return self._receive_mapping

    def _give_up(self, error: Exception) -> None:
        """End what cannot go on, so that the server keeps nothing for this end."""
        self.failure = str(error)
        self.closed()
        self._queue.close()

    def _close_queues(self) -> None:
        if self._completion_queues is not None:
            for queue in self._completion_queues:
                queue.close()
        self._completion_queues = None

    # While the link is up

    def _set_link(self, up: bool) -> None:
        if up != self._link_up:
            self._link_up = up
            if self._user is not None:
                self._user.link_changed(up)

    def _link_answered(self, answer: LogicalLinkStateResponse) -> None:
        if answer.rc == VnicReturnCode.SUCCESS:
            self._set_link(answer.state == LinkState.UP)
        else:
            self._give_up(SetUpError("the logical link was refused"))

    def _indicated(self, indication: ErrorIndication | LinkStateIndication) -> None:
        if isinstance(indication, ErrorIndication):
            self.errors[indication.cause] += 1
            if indication.flags & FATAL_ERROR:
                self._failed()
            elif indication.detail_size >= ErrorDetail.SIZE:
                self._ask_for_detail(indication.error_id)
        elif self._transmit is not None:
            both = indication.physical == indication.logical == LinkState.UP
            self._set_link(both)

    def _ask_for_detail(self, error_id: int) -> None:
        """Ask for the detail of an error, into a place of its own behind the other buffers."""
        place = PAGE_SIZE - (1 + error_id % _DETAILS) * ErrorDetail.SIZE

        def answered(answer: RequestErrorInfoResponse) -> None:
            if answer.rc == VnicReturnCode.SUCCESS:
                block = self._end.owner.memory.read(
                    self._exchange.address + place, ErrorDetail.SIZE
                )
                self.error_details.append(ErrorDetail.unpack(block))

        self._channel.ask(
            RequestErrorInfo(self.exchange_ioba + place, ErrorDetail.SIZE, error_id), answered
        )

    def _failed(self) -> None:
        """Begin anew after a fatal error, unless that cannot be expected to help."""
        is_worth_it = self._transmit is not None and self._transmit.sent > 0
        self._give_up(SetUpError("the server met a fatal error"))
        if is_worth_it:
            self._queue.open()

    def _grant_changed(self) -> None:
        if self._transmit is not None:
            self._transmit.flush()

    def _transmit_interrupt(self) -> None:
        if self._transmit is not None:
            self._transmit.collect()
            self._transmit.flush()
            self._drained()

    def _receive_interrupt(self) -> None:
        if self._receive is not None:
            self._receive.collect(self._received)
            self._drained()

    def _received(self, frame: bytes) -> None:
        if self._user is not None:
            self._user.receive(frame)

    def _drained(self) -> None:
        if self._user is not None:
            self._user.drained()
