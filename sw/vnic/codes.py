"""Codes of the VNIC protocol: CRQ element types, commands, return codes, events.

Source: LoPAR, "Virtual NIC" and "Command/Response Queues"; QUERY_MAP, REQUEST_MAP and REQUEST_UNMAP
from the Linux driver ibmvnic. Only what Byway speaks is listed: any other command is answered with
UNKNOWN_COMMAND.
"""

from enum import IntEnum

__all__ = [
    "CRQ_COMMAND",
    "CRQ_INITIALISATION",
    "CRQ_TRANSPORT_EVENT",
    "Command",
    "ErrorCause",
    "Initialisation",
    "LinkState",
    "TransportEvent",
    "VnicReturnCode",
]

CRQ_COMMAND = 0x80
CRQ_INITIALISATION = 0xC0
CRQ_TRANSPORT_EVENT = 0xFF


class Command(IntEnum):
    """Byte 1 of a command."""

    VERSION_EXCHANGE = 0x01
    QUERY_CAPABILITY = 0x02
    REQUEST_CAPABILITY = 0x03
    LOGIN = 0x04
    ERROR_INDICATION = 0x08
    REQUEST_ERROR_INFO = 0x09
    LOGICAL_LINK_STATE = 0x0C
    REQUEST_STATISTICS = 0x0D
    LINK_STATE_INDICATION = 0x12
    CHANGE_MAC_ADDR = 0x13
    GET_VPD_SIZE = 0x15
    GET_VPD = 0x16
    QUERY_IP_OFFLOAD = 0x18
    CONTROL_IP_OFFLOAD = 0x19
    QUERY_MAP = 0x1D
    REQUEST_MAP = 0x1E
    REQUEST_UNMAP = 0x1F


class VnicReturnCode(IntEnum):
    """Return code of a response, and of a transmit completion."""

    SUCCESS = 0
    PARTIAL_SUCCESS = 1
    PERMISSION = 2
    NO_MEMORY = 3
    PARAMETER = 4
    UNKNOWN_COMMAND = 5
    ABORTED = 6
    INVALID_STATE = 7
    INVALID_IOBA = 8
    INVALID_LENGTH = 9
    UNSUPPORTED_OPTION = 10


class Initialisation(IntEnum):
    """Byte 1 of an initialisation element."""

    INIT = 1
    INIT_COMPLETE = 2


class TransportEvent(IntEnum):
    """Byte 1 of a transport event."""

    PARTNER_FAILED = 1
    PARTNER_DEREGISTERED = 2
    PARTNER_SUSPENDED = 6


class LinkState(IntEnum):
    """State in LOGICAL_LINK_STATE and in link state indications."""

    DOWN = 0
    UP = 1
    QUERY = 0xFF


class ErrorCause(IntEnum):
    """Cause in an error indication."""

    ADAPTER_PROBLEM = 0
    BUS_PROBLEM = 1
    FIRMWARE_PROBLEM = 2
    DEVICE_DRIVER_PROBLEM = 3
