"""What the client lets the adapter reach: its own TCEs, and the maps it asks the server for.

The grant is the client's: TCEs in its own window, for reading alone where memory is only sent
from. REQUEST_MAP then lets the server clone them for the adapter; before memory is taken back,
REQUEST_UNMAP lets it drop the clones.

Source: ibmvnic, long-term buffers; LoPAR, "Redirected RDMA"; patent, step 760.
"""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial

from byway.sw.hosted.command_channel import CommandChannel
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.stack.frame_ledger import Mapping, MappingTable
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.commands import RequestMap, RequestMapResponse, RequestUnmap
from byway.sw.vnic.window import DmaWindow

__all__ = ["GrantState", "Grants"]

_MAPS = 255


class GrantState(Enum):
    """Whether the server has agreed to a map."""

    ASKED = auto()
    GRANTED = auto()
    REFUSED = auto()


class Grants:
    """The maps of one virtual NIC.

    Parameters
    ----------
    window : DmaWindow
        The client's window.
    channel : CommandChannel
        To the server.
    on_answer : callable
        Called when the state of a map has changed.

    Attributes
    ----------
    table : MappingTable
        The maps; their handles are the map ids.
    stuck : int
        Maps that ended while the adapter could still reach their memory, which stays mapped.
    """

    def __init__(self, window: DmaWindow, channel: CommandChannel, on_answer: Callable[[], None]):
        self.table = MappingTable(_MAPS, self._drop)
        self.stuck = 0
        self._window = window
        self._channel = channel
        self._on_answer = on_answer
        self._states: dict[Mapping, GrantState] = {}
        self._connected = False

    def map(self, address: int, length: int, *, write: bool = False) -> Mapping:
        """Map memory, and ask the server to let the adapter reach it.

        Parameters
        ----------
        address, length : int
            Logical real address and bytes.
        write : bool
            The memory is received into; otherwise it is sent from.

        Raises
        ------
        ValueError
            The memory is not the partition's.
        RuntimeError
            No map or no room in the window is left.
        """
        try:
            ioba = self._window.map(address, length, read=not write, write=write)
        except MemoryError as error:
            raise RuntimeError(str(error)) from None
        try:
            mapping = self.table.add(address, length, ioba)
        except RuntimeError:
            self._window.unmap(ioba, length)
            raise
        self._states[mapping] = GrantState.ASKED
        if self._connected:
            self._ask(mapping)
        return mapping

    def state(self, mapping: Mapping) -> GrantState:
        """Return whether the server has agreed to `mapping`."""
        return self._states[mapping]

    def connect(self) -> None:
        """Ask for every map: the login is done."""
        self._connected = True
        for mapping in self.table:
            self._ask(mapping)

    def disconnect(self) -> None:
        """Know that the server is gone, and with it every map that it had granted."""
        self._connected = False
        for mapping in self.table:
            self._states[mapping] = GrantState.ASKED
            if mapping.closing and not mapping.users:
                self._forget(mapping)  # The answer to REQUEST_UNMAP will not come.

    def _ask(self, mapping: Mapping) -> None:
        request = RequestMap(mapping.handle, mapping.ioba, mapping.length)
        self._channel.ask(request, partial(self._answered, mapping))

    def _answered(self, mapping: Mapping, answer: RequestMapResponse) -> None:
        granted = answer.rc == VnicReturnCode.SUCCESS
        self._states[mapping] = GrantState.GRANTED if granted else GrantState.REFUSED
        self._on_answer()

    def _drop(self, mapping: Mapping) -> None:
        """Take back a map that nobody uses any more."""
        if self._connected:
            self._channel.ask(RequestUnmap(mapping.handle), lambda _: self._forget(mapping))
        else:
            self._forget(mapping)

    def _forget(self, mapping: Mapping) -> None:
        """End a map: without the server's help if need be, since the grant is the client's."""
        if self._window.unmap(mapping.ioba, mapping.length) is not ReturnCode.H_SUCCESS:
            self.stuck += 1
        del self._states[mapping]
        self.table.remove(mapping)
