"""What a client has between its login and its end: a ring, maps, and the services on its queues."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from byway.sw.functions import SuperFrameLimits
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.client_maps import ClientMaps
from byway.sw.hosting.receive_service import ReceiveService
from byway.sw.hosting.transmit_request import RingOffloads
from byway.sw.hosting.transmit_ring import OnStopped
from byway.sw.hosting.transmit_service import TransmitService
from byway.sw.manager.connection import ServerEnd
from byway.sw.vnic.queue import SubQueue, SubQueueSender
from byway.sw.vnic.statistics import Statistics
from byway.sw.vnic.window import DmaWindow

__all__ = ["Agreement", "DataPath", "ServerPort"]


@dataclass(frozen=True)
class ServerPort:
    """The server's end of one connection, ready to receive and to send.

    Parameters
    ----------
    end : ServerEnd
        The virtual adapter.
    window : DmaWindow
        Its first pane.
    sender : SubQueueSender
        Sends to the client's sub-CRQs.
    receive_ioba : int
        Where the driver's receive buffer is in the first pane.
    """

    end: ServerEnd
    window: DmaWindow
    sender: SubQueueSender
    receive_ioba: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What was agreed with a client by the end of its login.

    Parameters
    ----------
    transmit_entries, receive_entries : int
        Elements of the submission queue and of the queue for receive buffers.
    maximum_frame : int
        Bytes of the longest frame on the wire, without VLAN tag.
    offloads : RingOffloads
        Granted to its ring.
    super_frames : SuperFrameLimits
        How long super-frames may be.
    transmit_completion, receive_completion : int
        Handles of the client's queues.
    """

    transmit_entries: int
    receive_entries: int
    maximum_frame: int
    offloads: RingOffloads
    super_frames: SuperFrameLimits
    transmit_completion: int
    receive_completion: int


class DataPath:
    """The data path of one client.

    Parameters
    ----------
    driver : AdapterDriver
        Where the ring is from.
    port : ServerPort
        The connection with the client.
    agreement : Agreement
        What was agreed.
    on_stopped : OnStopped
        Told why the frames in the client's ring were lost.

    Attributes
    ----------
    maps : ClientMaps
    window : DmaWindow
        That of the ring.
    transmit_handle, receive_handle : int
        Where the client submits frames and adds buffers.
    statistics : Statistics

    Raises
    ------
    LookupError
        No ring is left.
    MemoryError
        No room for its queues.
    """

    def __init__(
        self,
        driver: AdapterDriver,
        port: ServerPort,
        agreement: Agreement,
        on_stopped: OnStopped,
    ):
        self.statistics = Statistics()
        self._driver = driver
        with ExitStack() as undo:
            entries = (agreement.transmit_entries, agreement.receive_entries)
            self._submission = SubQueue(port.end, port.window, entries[0], self._submitted)
            undo.callback(self._submission.close)
            self._receive_add = SubQueue(port.end, port.window, entries[1], None)
            undo.callback(self._receive_add.close)
            ring = driver.open_ring(agreement.offloads, self._serviced, on_stopped)
            if ring is None:
                raise LookupError("no ring is left")
            undo.pop_all()
        self._ring = ring
        self.window = ring.window
        self.maps = ClientMaps(port.end, ring.window)
        self.transmit_handle = self._submission.handle
        self.receive_handle = self._receive_add.handle
        self._transmit = TransmitService(
            ring=ring,
            maps=self.maps,
            queue=self._submission,
            send=partial(port.sender.send, agreement.transmit_completion),
            maximum_frame=agreement.maximum_frame,
            super_frames=agreement.super_frames,
            statistics=self.statistics,
        )
        self._receive = ReceiveService(
            end=port.end,
            maps=self.maps,
            queue=self._receive_add,
            send=partial(port.sender.send, agreement.receive_completion),
            source_ioba=port.receive_ioba,
            entries=agreement.receive_entries,
            statistics=self.statistics,
        )

    @property
    def link_up(self) -> bool:
        """Frames pass."""
        return self._transmit.link_up

    @property
    def is_down(self) -> bool:
        """The ring has stopped too often: frames pass again after the next login."""
        return self._ring.down

    @property
    def malformed_elements(self) -> int:
        """Elements of the client that belonged to no frame."""
        return self._transmit.malformed

    @property
    def refused_buffers(self) -> int:
        """Receive buffers of the client that could not be used."""
        return self._receive.refused_buffers

    @property
    def completions_lost(self) -> int:
        """Completions that the client's queues did not take."""
        return self._transmit.completions_lost + self._receive.completions_lost

    def set_link(self, up: bool) -> None:
        """Let frames pass, or not."""
        self._transmit.link_up = up
        self._receive.link_up = up

    def deliver(self, length: int, destination: bytes) -> None:
        """Pass the frame in the driver's receive buffer to the client."""
        self._receive.deliver(length, destination)

    def close(self) -> None:
        """End the data path: the adapter reaches nothing of the client any more."""
        self.set_link(False)
        self._driver.close_ring(self._ring)
        self.maps.clear()
        self._submission.close()
        self._receive_add.close()

    def _submitted(self) -> None:
        self._transmit.run()

    def _serviced(self) -> None:
        self._transmit.run()
