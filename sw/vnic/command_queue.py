"""The CRQ of one end of a virtual NIC: registration, initialisation, commands, transport events.

Both ends register; the second to do so finds the connection open and sends INIT, which the first
answers with INIT_COMPLETE. From then on commands pass, until one end deregisters.

Source: LoPAR, "Reliable Command/Response Transport Option" and "CRQ Initialization".
"""

from typing import Protocol

from byway.sw.manager.connection import VirtualEnd
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic.codes import (
    CRQ_COMMAND,
    CRQ_INITIALISATION,
    CRQ_TRANSPORT_EVENT,
    Initialisation,
)
from byway.sw.vnic.commands import initialisation
from byway.sw.vnic.queue import ElementRing, enable_interrupt
from byway.sw.vnic.window import DmaWindow

__all__ = ["CommandHandler", "CommandQueue"]

_ELEMENT = 16


class CommandHandler(Protocol):
    """What happens at a command queue."""

    def opened(self) -> None:
        """Initialisation is complete: commands pass."""
        ...

    def command(self, element: bytes) -> None:
        """A command or response came."""
        ...

    def closed(self) -> None:
        """The partner is gone, or starts anew: all that was agreed with it is void."""
        ...

    def partner_gone(self) -> None:
        """The partner has deregistered or failed, after `closed` if anything was agreed."""
        ...


class CommandQueue:
    """The CRQ of one end.

    Parameters
    ----------
    end : VirtualEnd
        The virtual adapter.
    window : DmaWindow
        First pane of its window.
    handler : CommandHandler
        Told of what happens.

    Attributes
    ----------
    initialised : bool
        Commands pass.
    unsent : int
        Elements that the partner's queue had no room for.
    """

    def __init__(self, end: VirtualEnd, window: DmaWindow, handler: CommandHandler):
        self.initialised = False
        self.unsent = 0
        self._end = end
        self._window = window
        self._handler = handler
        self._buffer = window.allocate(PAGE_SIZE, write=True)
        self._ring: ElementRing | None = None
        end.owner.on_interrupt(end.irq, self._interrupt)

    def open(self) -> None:
        """Register the queue, and send INIT if the partner is there already.

        Raises
        ------
        RuntimeError
            The partition manager refuses the queue.
        """
        self._end.owner.memory.write(self._buffer.address, bytes(self._buffer.length))
        code = self._end.owner.hcalls.h_reg_crq(
            self._end.unit, self._buffer.ioba, self._buffer.length
        )
        if code not in (ReturnCode.H_SUCCESS, ReturnCode.H_CLOSED):
            raise RuntimeError(f"H_REG_CRQ: {code.name}")
        self._ring = ElementRing(self._end.owner.memory, self._buffer, _ELEMENT)
        enable_interrupt(self._end, self._end.irq)
        if code is ReturnCode.H_SUCCESS:
            self.send(initialisation(Initialisation.INIT))

    def close(self) -> ReturnCode:
        """Deregister the queue and with it every sub-CRQ of this end."""
        code = self._end.owner.hcalls.h_free_crq(self._end.unit)
        if code is ReturnCode.H_SUCCESS:
            self._ring = None
            self.initialised = False
        return code

    def send(self, element: bytes) -> ReturnCode:
        """Send an element to the partner."""
        high, low = (int.from_bytes(element[at : at + 8], "big") for at in (0, 8))
        code = self._end.owner.hcalls.h_send_crq(self._end.unit, high, low)
        if code is not ReturnCode.H_SUCCESS:
            self.unsent += 1
        return code

    def _interrupt(self) -> None:
        ring = self._ring
        if ring is None:
            return
        for element in ring.take():
            self._dispatch(element)
            if self._ring is not ring:  # The handler closed the queue.
                return

    def _dispatch(self, element: bytes) -> None:
        kind, step = element[0], element[1]
        if kind == CRQ_INITIALISATION and step == Initialisation.INIT:
            self._end_agreement()
            self.send(initialisation(Initialisation.INIT_COMPLETE))
            self._begin_agreement()
        elif kind == CRQ_INITIALISATION and step == Initialisation.INIT_COMPLETE:
            self._begin_agreement()
        elif kind == CRQ_TRANSPORT_EVENT:
            self._end_agreement()
            self._handler.partner_gone()
        elif kind == CRQ_COMMAND and self.initialised:
            self._handler.command(element)

    def _begin_agreement(self) -> None:
        if not self.initialised:
            self.initialised = True
            self._handler.opened()

    def _end_agreement(self) -> None:
        if self.initialised:
            self.initialised = False
            self._handler.closed()
