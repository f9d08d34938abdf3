"""The server side of one client: which command is allowed when, and its way from begin to end.

A session begins with initialisation, goes on to version exchange and login, and ends when the
client deregisters, fails or starts anew: then everything the client had is taken back. No command
of a client, however wrong, does more than fail; none reaches another client.

Source: LoPAR, "Typical VNIC Protocol Flows"; patent, steps 630 and 640.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from byway.sw.contract.registers import FaultReason
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.client_memory import ClientMemory
from byway.sw.hosting.client_offer import ClientOffer
from byway.sw.hosting.control_service import ControlService
from byway.sw.hosting.data_path import DataPath, ServerPort
from byway.sw.hosting.login_service import LoginService
from byway.sw.hosting.transmit_ring import StopCause
from byway.sw.manager.adapter_sharing import FaultRecord
from byway.sw.manager.connection import ServerEnd
from byway.sw.vnic import commands
from byway.sw.vnic.codes import ErrorCause, LinkState, VnicReturnCode
from byway.sw.vnic.command_queue import CommandQueue
from byway.sw.vnic.error_detail import ErrorDetail
from byway.sw.vnic.queue import SubQueueSender
from byway.sw.vnic.window import DmaWindow

__all__ = ["ClientSession"]

_VERSION = 1
_RESPONSE = 0x80
_ERRORS_KEPT = 64

_BLAME = {
    FaultReason.READ_DENIED: ErrorCause.DEVICE_DRIVER_PROBLEM,
    FaultReason.TABLE_ERROR: ErrorCause.BUS_PROBLEM,
}
"""Who is to blame for a refused access, if not the server: a client that has taken back memory from
which the adapter was to read finds reading denied."""

_Answer = commands.Message | VnicReturnCode

_BEFORE_LOGIN: Mapping[type, Callable[[LoginService, Any], _Answer]] = {
    commands.QueryCapability: LoginService.query_capability,
    commands.RequestCapability: LoginService.request_capability,
    commands.QueryIpOffload: LoginService.query_ip_offload,
    commands.ControlIpOffload: LoginService.control_ip_offload,
    commands.Login: LoginService.login,
}

_AFTER_LOGIN: Mapping[type, Callable[[ControlService, Any], _Answer]] = {
    commands.ChangeMacAddress: ControlService.change_mac_address,
    commands.GetVpdSize: ControlService.get_vpd_size,
    commands.GetVpd: ControlService.get_vpd,
    commands.QueryMap: ControlService.query_map,
    commands.RequestMap: ControlService.request_map,
    commands.RequestUnmap: ControlService.request_unmap,
    commands.LogicalLinkState: ControlService.logical_link_state,
    commands.RequestStatistics: ControlService.request_statistics,
}


class ClientSession:
    """One client of the hosting interface.

    Parameters
    ----------
    driver : AdapterDriver
        The adapter's driver.
    end : ServerEnd
        The server's end of the connection with the client.
    mac : bytes
        Station address that the client has at each login, until it asks for another.

    Attributes
    ----------
    refusals : Counter
        Commands that were refused, by command byte and return code.
    unanswerable : int
        Responses to commands that were never sent.
    errors : dict of ErrorDetail
        Why frames in the client's ring were lost, the latest of all by number of the error. It was
        told each time by ERROR_INDICATION, and may ask for the detail.
    """

    def __init__(self, driver: AdapterDriver, end: ServerEnd, mac: bytes):
        self.refusals: Counter[tuple[int, VnicReturnCode]] = Counter()
        self.unanswerable = 0
        self.errors: dict[int, ErrorDetail] = {}
        self._last_error = 0
        self._driver = driver
        self._mac = mac
        self._offer = ClientOffer(driver)
        window = DmaWindow(end.owner, end.liobn, end.window_bytes)
        self._memory = ClientMemory(end, window)
        receive_ioba = window.map(driver.receive_buffer, driver.receive_buffer_length, read=True)
        port = ServerPort(end, window, SubQueueSender(end, window), receive_ioba)
        self._make_path = partial(DataPath, driver, port, on_stopped=self._ring_stopped)
        self._login: LoginService | None = None
        self._control: ControlService | None = None
        driver.reserve_address(mac)
        self._queue = CommandQueue(end, window, self)
        self._queue.open()

    @property
    def path(self) -> DataPath | None:
        """What the client has while it is logged in."""
        return self._control and self._control.path

    def announce_link(self, state: LinkState) -> None:
        """Tell the client that the wire came or went."""
        if self._control is not None:
            logical = LinkState(self._control.path.link_up)
            self._queue.send(commands.LinkStateIndication(state, logical).pack())

    def reset(self) -> None:
        """Part from the client, and wait for it to begin anew (LoPAR, "Adapter reboot")."""
        self.closed()
        self._queue.close()
        self._queue.open()

    def opened(self) -> None:
        """Begin: the client has initialised its queue, and may exchange versions."""

    def closed(self) -> None:
        """End: take back everything that the client had."""
        if self._control is not None:
            self._control.close()
        self.errors.clear()
        self._login = None
        self._control = None

    def partner_gone(self) -> None:
        """Wait for the client to come again: the queue stays registered."""

    def command(self, element: bytes) -> None:
        """Answer a command of the client."""
        if element[1] & _RESPONSE:
            self.unanswerable += 1
            return
        message = commands.decode(element)
        answer = VnicReturnCode.UNKNOWN_COMMAND if message is None else self._answer(message)
        if isinstance(answer, VnicReturnCode):
            self.refusals[element[1], answer] += 1
            self._queue.send(commands.refusal(element, answer))
        else:
            self._queue.send(answer.pack())

    def _answer(self, message: commands.Message) -> _Answer:
        kind = type(message)
        if kind in _AFTER_LOGIN:
            if self._control is None:
                return VnicReturnCode.INVALID_STATE
            return _AFTER_LOGIN[kind](self._control, message)
        if kind in _BEFORE_LOGIN:
            if self._login is None:
                return VnicReturnCode.INVALID_STATE
            if self._control is not None and kind is not commands.QueryCapability:
                return VnicReturnCode.INVALID_STATE
            answer = _BEFORE_LOGIN[kind](self._login, message)
            if self._login.path is not None and self._control is None:
                self._control = ControlService(
                    self._driver, self._offer, self._memory, self._login.path, self._mac
                )
            return answer
        if isinstance(message, commands.RequestErrorInfo):
            return self._tell_error(message)
        if isinstance(message, commands.VersionExchange):
            return self._exchange_versions(message)
        return VnicReturnCode.UNKNOWN_COMMAND

    def _exchange_versions(self, message: commands.VersionExchange) -> _Answer:
        if self._login is not None:
            return VnicReturnCode.INVALID_STATE
        if message.version < _VERSION:
            return VnicReturnCode.PARAMETER
        self._login = LoginService(self._offer, self._memory, self._make_path)
        return commands.VersionExchangeResponse(_VERSION, VnicReturnCode.SUCCESS)

    def _ring_stopped(self, cause: StopCause) -> None:
        """Tell the client why frames were lost; its ring runs again, or the error is fatal."""
        path = self.path
        if isinstance(cause, FaultRecord):
            blame = _BLAME.get(cause.reason, ErrorCause.FIRMWARE_PROBLEM)
            map_id, ioba = (path and path.maps.origin(cause.address)) or (0, cause.address)
            detail = ErrorDetail(reason=cause.reason, write=cause.write, map_id=map_id, ioba=ioba)
        else:
            blame = ErrorCause.ADAPTER_PROBLEM
            detail = ErrorDetail(stop=cause)
        self._last_error += 1
        self.errors[self._last_error] = detail
        self.errors.pop(self._last_error - _ERRORS_KEPT, None)
        flags = commands.FATAL_ERROR if path is not None and path.is_down else 0
        indication = commands.ErrorIndication(flags, self._last_error, ErrorDetail.SIZE, blame)
        self._queue.send(indication.pack())

    def _tell_error(self, message: commands.RequestErrorInfo) -> _Answer:
        detail = self.errors.get(message.error_id)
        if detail is None:
            return VnicReturnCode.PARAMETER
        if message.length < ErrorDetail.SIZE:
            return VnicReturnCode.INVALID_LENGTH
        if not self._memory.store(message.ioba, detail.pack()):
            return VnicReturnCode.INVALID_IOBA
        return commands.RequestErrorInfoResponse(
            message.error_id, ErrorDetail.SIZE, VnicReturnCode.SUCCESS
        )
