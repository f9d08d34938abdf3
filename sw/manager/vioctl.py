"""H_VIOCTL: behaviours of a virtual adapter that its owner can change or ask for.

Source: LoPAR, "H_VIOCTL"; the subfunctions are those that the Subordinate CRQ Transport and the
Logical Remote DMA options need. What concerns dumps, suspension, or a second server to fail over to
is not implemented here, and H_NOT_FOUND says so.
"""

from collections.abc import Sequence
from enum import IntEnum

from byway.sw.manager.connection import ServerEnd
from byway.sw.manager.hcall_boundary import (
    HcallFamily,
    HcallRefusedError,
    code_and_two_values,
    hcall,
)
from byway.sw.manager.return_codes import ReturnCode

__all__ = ["VioControlHcalls", "VioSubfunction"]

_FURTHER_CLONES = 0
"""Clones that a server may make of entries that have one already, in all."""

_CLONES_OF_AN_ENTRY = 1


class VioSubfunction(IntEnum):
    """What H_VIOCTL is asked to do."""

    DISABLE_ALL_VIO_INTERRUPTS = 0x0A
    """Disable the interrupts of the CRQ and of every sub-CRQ."""
    DISABLE_VIO_INTERRUPT = 0x0B
    """Disable the interrupt whose source is the first parameter."""
    ENABLE_VIO_INTERRUPT = 0x0C
    """Enable it; elements that have come before will not interrupt any more."""
    GET_MAX_REDIRECTED_MAPPINGS = 0x14
    """Of a server: further clones of entries that have one, in all; clones of one entry."""


class VioControlHcalls(HcallFamily):
    """H_VIOCTL."""

    @hcall(code_and_two_values)
    def h_vioctl(
        self, unit: int, subfunction: int, parameter_1: int, parameter_2: int, parameter_3: int
    ) -> tuple[ReturnCode, int, int]:
        """Do a `VioSubfunction` for the virtual adapter `unit`; return its two values, or zeros.

        H_NOT_FOUND: no such subfunction. H_PARAMETER: no such adapter, an adapter that does not
        have the subfunction, a source that belongs to none of its queues, or a parameter that the
        subfunction does not take and that is not 0.
        """
        try:
            wanted = VioSubfunction(subfunction)
        except ValueError:
            raise HcallRefusedError(ReturnCode.H_NOT_FOUND) from None
        end = self._end_of(unit)
        sources = [end.irq, *(sub_crq.irq for sub_crq in end.sub_crqs.values())]
        unused = (parameter_1, parameter_2, parameter_3)
        match wanted:
            case VioSubfunction.DISABLE_ALL_VIO_INTERRUPTS:
                self._require(not any(unused))
                self._set_mode(sources, enabled=False)
            case VioSubfunction.DISABLE_VIO_INTERRUPT | VioSubfunction.ENABLE_VIO_INTERRUPT:
                self._require(parameter_1 in sources and not any(unused[1:]))
                enabled = wanted is VioSubfunction.ENABLE_VIO_INTERRUPT
                self._set_mode([parameter_1], enabled=enabled)
            case VioSubfunction.GET_MAX_REDIRECTED_MAPPINGS:
                self._require(not any(unused) and isinstance(end, ServerEnd))
                return ReturnCode.H_SUCCESS, _FURTHER_CLONES, _CLONES_OF_AN_ENTRY
        return ReturnCode.H_SUCCESS, 0, 0

    def _set_mode(self, sources: Sequence[int], *, enabled: bool) -> None:
        for source in sources:
            self._services.dispatcher.set_mode(source, enabled=enabled)

    @staticmethod
    def _require(condition: bool) -> None:
        if not condition:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
