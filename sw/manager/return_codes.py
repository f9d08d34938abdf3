"""Return codes of the partition manager's hcalls (LoPAR, "Hypervisor Call Return Codes")."""

from enum import IntEnum

__all__ = ["ReturnCode"]


class ReturnCode(IntEnum):
    """What an hcall answers. Zero is success, negative values are refusals."""

    H_SUCCESS = 0
    H_BUSY = 1
    H_CLOSED = 2
    """The partner has not registered its queue, or has gone."""
    H_CONSTRAINED = 4
    H_PARTIAL = 5
    """Done, but not everything can be told to this caller."""
    H_IN_PROGRESS = 14
    H_LONG_BUSY_1_MS = 9900
    H_LONG_BUSY_10_MS = 9901
    H_LONG_BUSY_100_MS = 9902
    H_LONG_BUSY_1_S = 9903
    H_LONG_BUSY_10_S = 9904
    H_LONG_BUSY_100_S = 9905
    H_HARDWARE = -1
    H_FUNCTION = -2
    H_PARAMETER = -4
    H_NOT_FOUND = -7
    H_PERMISSION = -11
    H_DROPPED = -12
    """The receiver's queue has no room."""
    H_SOURCE_PARM = -13
    H_DEST_PARM = -14
    H_REMOTE_PARM = -15
    H_RESOURCE = -16
    H_RESCINDED = -46
    H_P4 = -57
    H_STATE = -75
    H_IN_USE = -77
