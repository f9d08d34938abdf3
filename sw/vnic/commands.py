"""VNIC commands: the 16-byte CRQ elements by which the two ends of a virtual NIC agree.

Byte 0 is the CRQ type, byte 1 the command, bytes 2-11 parameters, byte 12 the return code; all
numbers big-endian. A response is the command with its top bit set.

Source: LoPAR, "Virtual NIC", section VNIC Commands; the mapping commands from the Linux driver
ibmvnic. Some versions of ibmvnic.h lay the return code of the REQUEST_MAP response at byte 8;
LoPAR's rule of byte 12 is kept here.
"""

import struct
from dataclasses import astuple, dataclass
from typing import ClassVar

from byway.sw.vnic.codes import (
    CRQ_COMMAND,
    CRQ_INITIALISATION,
    Command,
    Initialisation,
    VnicReturnCode,
)

__all__ = [
    "FATAL_ERROR",
    "ChangeMacAddress",
    "ChangeMacAddressResponse",
    "ControlIpOffload",
    "ControlIpOffloadResponse",
    "ErrorIndication",
    "GetVpd",
    "GetVpdResponse",
    "GetVpdSize",
    "GetVpdSizeResponse",
    "LinkStateIndication",
    "LogicalLinkState",
    "LogicalLinkStateResponse",
    "Login",
    "LoginResponse",
    "Message",
    "QueryCapability",
    "QueryCapabilityResponse",
    "QueryIpOffload",
    "QueryIpOffloadResponse",
    "QueryMap",
    "QueryMapResponse",
    "RequestCapability",
    "RequestCapabilityResponse",
    "RequestErrorInfo",
    "RequestErrorInfoResponse",
    "RequestMap",
    "RequestMapResponse",
    "RequestStatistics",
    "RequestStatisticsResponse",
    "RequestUnmap",
    "RequestUnmapResponse",
    "VersionExchange",
    "VersionExchangeResponse",
    "decode",
    "initialisation",
    "refusal",
]

FATAL_ERROR = 0x80
"""Flag of an error indication: the server does nothing more for the client until the next login."""

_RESPONSE = 0x80
_ELEMENT = 16
_RETURN_CODE_OFFSET = 12


@dataclass(frozen=True)
class Message:
    """A command or response; the fields of a subclass are those of its layout, in order.

    Members
    -------
    CODE : int
        Byte 1.
    LAYOUT : struct.Struct
        Bytes 2 to 15.
    """

    CODE: ClassVar[int]
    LAYOUT: ClassVar[struct.Struct]

    def __init_subclass__(cls, *, command: Command, layout: str, response: bool = False):
        """Register the subclass under its byte 1."""
        cls.CODE = command | (_RESPONSE if response else 0)
        cls.LAYOUT = struct.Struct(">" + layout)
        _MESSAGES[cls.CODE] = cls

    def pack(self) -> bytes:
        """Return the 16-byte CRQ element."""
        return bytes((CRQ_COMMAND, self.CODE)) + self.LAYOUT.pack(*astuple(self))


_MESSAGES: dict[int, type[Message]] = {}


def decode(element: bytes) -> Message | None:
    """Return the message in a CRQ element of type `CRQ_COMMAND`, None for an unknown command."""
    cls = _MESSAGES.get(element[1])
    return None if cls is None else cls(*cls.LAYOUT.unpack(element[2:]))


def refusal(element: bytes, code: VnicReturnCode) -> bytes:
    """Return the element that answers command `element` with `code` and its own parameters."""
    parameters = element[2:_RETURN_CODE_OFFSET]
    return bytes((CRQ_COMMAND, element[1] | _RESPONSE)) + parameters + bytes((code, 0, 0, 0))


def initialisation(step: Initialisation) -> bytes:
    """Return the element that opens a connection, or answers the one that does."""
    return bytes((CRQ_INITIALISATION, step)).ljust(_ELEMENT, b"\0")


@dataclass(frozen=True)
class VersionExchange(Message, command=Command.VERSION_EXCHANGE, layout="H12x"):
    """The highest protocol version the client speaks."""

    version: int


@dataclass(frozen=True)
class VersionExchangeResponse(
    Message, command=Command.VERSION_EXCHANGE, layout="H8xB3x", response=True
):
    """The highest protocol version the server speaks."""

    version: int
    rc: int


@dataclass(frozen=True)
class QueryCapability(Message, command=Command.QUERY_CAPABILITY, layout="H12x"):
    """Ask for the present value of a capability."""

    capability: int


@dataclass(frozen=True)
class QueryCapabilityResponse(
    Message, command=Command.QUERY_CAPABILITY, layout="HQB3x", response=True
):
    """The value of a capability."""

    capability: int
    number: int
    rc: int


@dataclass(frozen=True)
class RequestCapability(Message, command=Command.REQUEST_CAPABILITY, layout="HQ4x"):
    """Ask for a capability to be set to `number`."""

    capability: int
    number: int


@dataclass(frozen=True)
class RequestCapabilityResponse(
    Message, command=Command.REQUEST_CAPABILITY, layout="HQB3x", response=True
):
    """The value granted; with PARTIAL_SUCCESS the nearest that could be."""

    capability: int
    number: int
    rc: int


@dataclass(frozen=True)
class Login(Message, command=Command.LOGIN, layout="6xII"):
    """Exchange sub-CRQ handles by way of a login buffer in the client's window."""

    ioba: int
    length: int


@dataclass(frozen=True)
class LoginResponse(Message, command=Command.LOGIN, layout="10xB3x", response=True):
    """The login response buffer is filled, or why not."""

    rc: int


@dataclass(frozen=True)
class LogicalLinkState(Message, command=Command.LOGICAL_LINK_STATE, layout="B13x"):
    """Set the logical link up or down."""

    state: int


@dataclass(frozen=True)
class LogicalLinkStateResponse(
    Message, command=Command.LOGICAL_LINK_STATE, layout="B9xB3x", response=True
):
    """The state of the logical link."""

    state: int
    rc: int


@dataclass(frozen=True)
class RequestStatistics(Message, command=Command.REQUEST_STATISTICS, layout="BxII4x"):
    """Ask for the statistics block (version 1) in a buffer of the client's window."""

    flags: int
    ioba: int
    length: int


@dataclass(frozen=True)
class RequestStatisticsResponse(
    Message, command=Command.REQUEST_STATISTICS, layout="10xB3x", response=True
):
    """The statistics block is written, or why not."""

    rc: int


@dataclass(frozen=True)
class ChangeMacAddress(Message, command=Command.CHANGE_MAC_ADDR, layout="6s8x"):
    """Ask for a station address."""

    mac: bytes


@dataclass(frozen=True)
class ChangeMacAddressResponse(
    Message, command=Command.CHANGE_MAC_ADDR, layout="6s4xB3x", response=True
):
    """The station address in force."""

    mac: bytes
    rc: int


@dataclass(frozen=True)
class GetVpdSize(Message, command=Command.GET_VPD_SIZE, layout="14x"):
    """Ask how long the vital product data are."""


@dataclass(frozen=True)
class GetVpdSizeResponse(Message, command=Command.GET_VPD_SIZE, layout="2xQB3x", response=True):
    """Bytes of vital product data."""

    length: int
    rc: int


@dataclass(frozen=True)
class GetVpd(Message, command=Command.GET_VPD, layout="2xII4x"):
    """Ask for the vital product data in a buffer of the client's window."""

    ioba: int
    length: int


@dataclass(frozen=True)
class GetVpdResponse(Message, command=Command.GET_VPD, layout="10xB3x", response=True):
    """The vital product data are written, or why not."""

    rc: int


@dataclass(frozen=True)
class QueryIpOffload(Message, command=Command.QUERY_IP_OFFLOAD, layout="2xII4x"):
    """Ask for the offloads (step 630) in a buffer of the client's window."""

    length: int
    ioba: int


@dataclass(frozen=True)
class QueryIpOffloadResponse(
    Message, command=Command.QUERY_IP_OFFLOAD, layout="2xIIB3x", response=True
):
    """The offload buffer is written, or why not."""

    length: int
    ioba: int
    rc: int


@dataclass(frozen=True)
class ControlIpOffload(Message, command=Command.CONTROL_IP_OFFLOAD, layout="2xII4x"):
    """Enable the offloads named in a buffer of the client's window."""

    ioba: int
    length: int


@dataclass(frozen=True)
class ControlIpOffloadResponse(
    Message, command=Command.CONTROL_IP_OFFLOAD, layout="2xIIB3x", response=True
):
    """The offloads are enabled, or why not."""

    ioba: int
    length: int
    rc: int


@dataclass(frozen=True)
class QueryMap(Message, command=Command.QUERY_MAP, layout="14x"):
    """Ask how much of the adapter's window is left."""


@dataclass(frozen=True)
class QueryMapResponse(Message, command=Command.QUERY_MAP, layout="xBIIB3x", response=True):
    """Page size as a power of two, pages of the adapter's window, and those free."""

    page_size_log2: int
    total_pages: int
    free_pages: int
    rc: int


@dataclass(frozen=True)
class RequestMap(Message, command=Command.REQUEST_MAP, layout="xBII4x"):
    """Let the adapter reach a range of the client's window under `map_id`."""

    map_id: int
    ioba: int
    length: int


@dataclass(frozen=True)
class RequestMapResponse(Message, command=Command.REQUEST_MAP, layout="xB8xB3x", response=True):
    """The range is mapped, or why not."""

    map_id: int
    rc: int


@dataclass(frozen=True)
class RequestUnmap(Message, command=Command.REQUEST_UNMAP, layout="xB12x"):
    """Take the range of `map_id` back."""

    map_id: int


@dataclass(frozen=True)
class RequestUnmapResponse(Message, command=Command.REQUEST_UNMAP, layout="xB8xB3x", response=True):
    """The range is out of the adapter's reach, or why not."""

    map_id: int
    rc: int


@dataclass(frozen=True)
class ErrorIndication(Message, command=Command.ERROR_INDICATION, layout="BxIIH2x"):
    """The server met an error; sent unasked. `flags`: 0 or `FATAL_ERROR`."""

    flags: int
    error_id: int
    detail_size: int
    cause: int


@dataclass(frozen=True)
class RequestErrorInfo(Message, command=Command.REQUEST_ERROR_INFO, layout="2xIII"):
    """Ask for the detail of an error in a buffer of the client's window."""

    ioba: int
    length: int
    error_id: int


@dataclass(frozen=True)
class RequestErrorInfoResponse(
    Message, command=Command.REQUEST_ERROR_INFO, layout="2xIIB3x", response=True
):
    """The detail is written, so many bytes of it, or why not."""

    error_id: int
    length: int
    rc: int


@dataclass(frozen=True)
class LinkStateIndication(Message, command=Command.LINK_STATE_INDICATION, layout="2xBB10x"):
    """The link changed; sent unasked."""

    physical: int
    logical: int
