"""How a client sets its virtual NIC up: the exchange with the server, as one script.

The script yields the commands of each step and gets the responses; between the steps nothing
waits, because each step is taken in the interrupt that brings the last response of the one before.
What the server granted is the result: the set of functions of the device (method 600, step 640).

The order is that of Linux (ibmvnic): VERSION_EXCHANGE, QUERY_CAPABILITY, REQUEST_CAPABILITY,
QUERY_IP_OFFLOAD, CONTROL_IP_OFFLOAD, sub-CRQs, LOGIN, CHANGE_MAC_ADDR, GET_VPD_SIZE, GET_VPD,
QUERY_MAP.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from byway.sw.functions import AdvancedFunctions, SuperFrameLimits
from byway.sw.vnic.capabilities import EXTENSIONS, SETTABLE, Capability
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.commands import (
    ChangeMacAddress,
    ControlIpOffload,
    GetVpd,
    GetVpdSize,
    Login,
    Message,
    QueryCapability,
    QueryIpOffload,
    QueryMap,
    RequestCapability,
    VersionExchange,
)
from byway.sw.vnic.ip_offload import IpOffloadControl, IpOffloadQuery
from byway.sw.vnic.login import LoginBuffer, LoginResponseBuffer
from byway.sw.vnic.receive import MAXIMUM_BUFFER

__all__ = ["Granted", "LoginQueues", "Script", "SetUpError", "SetUpPort", "Wishes", "set_up"]

_VERSION = 1
_LOGIN_ATTEMPTS = 10
_REQUEST_ATTEMPTS = 10
_ETHERNET_HEADER = 14

_EXCHANGE_BYTES = 256

_EVERY_OFFLOAD = AdvancedFunctions(**dict.fromkeys(AdvancedFunctions().functions, True))

_QUERIED = (
    Capability.MAX_TX_QUEUES,
    Capability.MAX_RX_QUEUES,
    Capability.MAX_RX_ADD_QUEUES,
    Capability.MAX_TX_ENTRIES_PER_SUBCRQ,
    Capability.MAX_RX_ADD_ENTRIES_PER_SUBCRQ,
    Capability.TCP_IP_OFFLOAD,
    Capability.MAX_MTU,
    Capability.VLAN_HEADER_INSERTION,
    Capability.MAX_TX_SG_ENTRIES,
    Capability.MAX_UDP_SEGMENTATION,
    Capability.MIN_MSS,
    Capability.CHECKSUM_GENERIC_SUPPORTED,
    Capability.MAX_LARGE_SEND_V6,
)

_DISPENSABLE = {**EXTENSIONS, "large_send_v6": Capability.REQ_LARGE_SEND_V6}
"""What is requested for a function that is wished for, and done without if it is not granted."""

Script = Generator[Sequence[Message], list[Any], "Granted"]
"""Yields commands to send, and is sent their responses."""

_Numbers = Mapping[Capability, int]


class SetUpError(Exception):
    """The server does not give what the device cannot be without."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the device would like to have.

    Parameters
    ----------
    mtu : int
        Bytes of the longest IP packet on the wire.
    transmit_entries, receive_buffers : int
        Elements of the submission queue; receive buffers.
    offloads : AdvancedFunctions
        Functions to enable where they are offered.
    """

    mtu: int = 1500
    transmit_entries: int = 1024
    receive_buffers: int = 128
    offloads: AdvancedFunctions = _EVERY_OFFLOAD


@dataclass(frozen=True, kw_only=True)
class Granted:
    """What the device has.

    Parameters
    ----------
    transmit_entries, receive_buffers : int
        As in `Wishes`.
    maximum_frame : int
        Bytes of the longest frame on the wire.
    maximum_fragments : int
        Most fragments of a frame.
    vlan_insertion : bool
        VLAN tags are inserted.
    offloads : AdvancedFunctions
        Functions enabled.
    super_frames : SuperFrameLimits
        How long super-frames may be.
    minimum_mss : int
        Least MSS of a super-frame, in bytes.
    submission, receive_add : int
        Handles of the server's queues.
    receive_buffer_bytes : int
        Bytes of each receive buffer.
    mac : bytes
        Station address.
    vital_product_data : bytes
        What the server says of itself.
    free_pages : int
        Pages left in the window of the adapter.
    """

    transmit_entries: int
    receive_buffers: int
    maximum_frame: int
    maximum_fragments: int
    vlan_insertion: bool
    offloads: AdvancedFunctions
    super_frames: SuperFrameLimits
    minimum_mss: int
    submission: int
    receive_add: int
    receive_buffer_bytes: int
    mac: bytes
    vital_product_data: bytes
    free_pages: int


class LoginQueues(NamedTuple):
    """Handles of the client's completion queues."""

    transmit: int
    receive: int


class SetUpPort(Protocol):
    """What the script needs of the driver."""

    @property
    def exchange_ioba(self) -> int:
        """Where the buffers that commands name are, in the client's window: a page."""
        ...

    def read(self, length: int) -> bytes:
        """Return the beginning of the exchange buffer."""
        ...

    def write(self, content: bytes) -> None:
        """Put `content` at the beginning of the exchange buffer."""
        ...

    def register_queues(self, transmit_entries: int, receive_entries: int) -> LoginQueues:
        """Register the completion queues, instead of those registered before."""
        ...


def set_up(port: SetUpPort, wishes: Wishes, mac: bytes) -> Script:
    """Set a virtual NIC up, from version exchange to what comes before the first buffer.

    Parameters
    ----------
    port : SetUpPort
        The driver's memory and queues.
    wishes : Wishes
        What to ask for.
    mac : bytes
        Station address.

    Raises
    ------
    SetUpError
        Something that is needed was not granted.
    """
    (version,) = yield [VersionExchange(_VERSION)]
    _demand(version, "version exchange")
    for _ in range(_LOGIN_ATTEMPTS):
        offered = yield from _query()
        granted = yield from _request(offered, wishes)
        control, maximum_large_send = IpOffloadControl(), 0
        if offered[Capability.TCP_IP_OFFLOAD]:
            control, maximum_large_send = yield from _enable_offloads(port, wishes)
        response = yield from _log_in(port, granted)
        if response is not None:
            break
    else:
        raise SetUpError(f"the server gave no queues at {_LOGIN_ATTEMPTS} logins")
    if len(response.transmit_submission) != 1 or len(response.receive_add) != 1:
        raise SetUpError("the server gave another number of queues than agreed")
    station = yield from _take_address(mac)
    data = yield from _read_vital_product_data(port)
    (room,) = yield [QueryMap()]
    if not granted[Capability.REQ_MTU] <= response.receive_sizes[0] <= MAXIMUM_BUFFER:
        raise SetUpError(f"receive buffers cannot have {response.receive_sizes[0]} bytes")
    longest_v6 = granted[Capability.REQ_LARGE_SEND_V6] or maximum_large_send
    return Granted(
        transmit_entries=granted[Capability.REQ_TX_ENTRIES_PER_SUBCRQ],
        receive_buffers=granted[Capability.REQ_RX_ADD_ENTRIES_PER_SUBCRQ],
        maximum_frame=granted[Capability.REQ_MTU],
        maximum_fragments=max(1, offered[Capability.MAX_TX_SG_ENTRIES]),
        vlan_insertion=bool(offered[Capability.VLAN_HEADER_INSERTION]),
        offloads=AdvancedFunctions(
            **control.functions,
            **{name: granted[capability] > 0 for name, capability in EXTENSIONS.items()},
        ),
        super_frames=SuperFrameLimits(
            large_send_v4=maximum_large_send if control.large_send_v4 else 0,
            large_send_v6=longest_v6 if control.large_send_v6 else 0,
            udp_segmentation=granted[Capability.REQ_UDP_SEGMENTATION],
        ),
        minimum_mss=max(1, offered[Capability.MIN_MSS]),
        submission=response.transmit_submission[0],
        receive_add=response.receive_add[0],
        receive_buffer_bytes=response.receive_sizes[0],
        mac=station,
        vital_product_data=data,
        free_pages=room.free_pages,
    )


_Step = Generator[Sequence[Message], list[Any], Any]


def _query() -> _Step:
    answers = yield [QueryCapability(capability) for capability in _QUERIED]
    offered = {
        capability: answer.number if answer.rc == VnicReturnCode.SUCCESS else 0
        for capability, answer in zip(_QUERIED, answers, strict=True)
    }
    for queues in (
        Capability.MAX_TX_QUEUES,
        Capability.MAX_RX_QUEUES,
        Capability.MAX_RX_ADD_QUEUES,
    ):
        if not offered[queues]:
            raise SetUpError(f"{queues.name} is 0: the server has no queue left")
    return offered


def _request(offered: _Numbers, wishes: Wishes) -> _Step:
    """Request what is wanted, and what is answered instead, until it is granted."""
    open_requests = {
        Capability.REQ_TX_QUEUES: 1,
        Capability.REQ_RX_QUEUES: 1,
        Capability.REQ_RX_ADD_QUEUES: 1,
        Capability.REQ_TX_ENTRIES_PER_SUBCRQ: min(
            wishes.transmit_entries, offered[Capability.MAX_TX_ENTRIES_PER_SUBCRQ]
        ),
        Capability.REQ_RX_ADD_ENTRIES_PER_SUBCRQ: min(
            wishes.receive_buffers, offered[Capability.MAX_RX_ADD_ENTRIES_PER_SUBCRQ]
        ),
        Capability.REQ_MTU: min(wishes.mtu + _ETHERNET_HEADER, offered[Capability.MAX_MTU]),
    }
    for name, capability in _DISPENSABLE.items():
        most = offered[SETTABLE[capability][1]]
        if wishes.offloads.functions[name] and most:
            open_requests[capability] = most
    granted = dict.fromkeys(_DISPENSABLE.values(), 0)
    for _ in range(_REQUEST_ATTEMPTS):
        requests = [RequestCapability(name, number) for name, number in open_requests.items()]
        answers = yield requests
        for capability, answer in zip(list(open_requests), answers, strict=True):
            if answer.rc == VnicReturnCode.SUCCESS:
                granted[capability] = open_requests.pop(capability)
            elif answer.rc == VnicReturnCode.PARTIAL_SUCCESS and answer.number:
                open_requests[capability] = answer.number
            elif capability in _DISPENSABLE.values():
                del open_requests[capability]
            else:
                raise SetUpError(f"{capability.name} was refused: {_name(answer.rc)}")
        if not open_requests:
            return granted
    for capability in open_requests:
        if capability not in _DISPENSABLE.values():
            raise SetUpError(f"{capability.name} was capped {_REQUEST_ATTEMPTS} times")
    return granted


def _enable_offloads(port: SetUpPort, wishes: Wishes) -> _Step:
    """Enable what is wished for and offered; return it, and the longest super-frame."""
    (answer,) = yield [QueryIpOffload(IpOffloadQuery.SIZE, port.exchange_ioba)]
    _demand(answer, "the query of offloads")
    offered = IpOffloadQuery.unpack(port.read(IpOffloadQuery.SIZE))
    control = IpOffloadControl(**offered.common(wishes.offloads))
    # Large send needs the checksums that it implies.
    ipv4 = control.checksum_ipv4 and control.checksum_tcp
    control = replace(
        control,
        large_send_v4=control.large_send_v4 and ipv4,
        large_send_v6=control.large_send_v6 and control.checksum_tcp_v6,
    )
    port.write(control.pack())
    (answer,) = yield [ControlIpOffload(port.exchange_ioba, IpOffloadControl.SIZE)]
    if answer.rc != VnicReturnCode.SUCCESS:
        return IpOffloadControl(), 0
    return control, offered.maximum_large_send


def _log_in(port: SetUpPort, granted: _Numbers) -> _Step:
    """Log in; return the server's response, None if it could not give the queues now."""
    queues = port.register_queues(
        granted[Capability.REQ_TX_ENTRIES_PER_SUBCRQ],
        granted[Capability.REQ_RX_ADD_ENTRIES_PER_SUBCRQ],
    )
    buffer = LoginBuffer(
        transmit_completion=(queues.transmit,),
        receive_completion=(queues.receive,),
        response_ioba=port.exchange_ioba,
        response_length=_EXCHANGE_BYTES,
    ).pack()
    port.write(buffer)
    (answer,) = yield [Login(port.exchange_ioba, len(buffer))]
    if answer.rc == VnicReturnCode.PARTIAL_SUCCESS:
        return None
    _demand(answer, "the login")
    try:
        return LoginResponseBuffer.unpack(port.read(_EXCHANGE_BYTES))
    except ValueError as error:
        raise SetUpError(f"login response: {error}") from None


def _take_address(mac: bytes) -> _Step:
    (answer,) = yield [ChangeMacAddress(mac)]
    _demand(answer, f"the address {mac.hex(':')}")
    return answer.mac


def _read_vital_product_data(port: SetUpPort) -> _Step:
    """Return what the server says of itself; a device can be without it."""
    (size,) = yield [GetVpdSize()]
    length = min(size.length, _EXCHANGE_BYTES)
    (answer,) = yield [GetVpd(port.exchange_ioba, length)]
    return port.read(length) if answer.rc == VnicReturnCode.SUCCESS else b""


def _demand(answer: Any, what: str) -> None:
    if answer.rc != VnicReturnCode.SUCCESS:
        raise SetUpError(f"{what} was refused: {_name(answer.rc)}")


def _name(code: int) -> str:
    try:
        return VnicReturnCode(code).name
    except ValueError:
        return f"return code {code}"
