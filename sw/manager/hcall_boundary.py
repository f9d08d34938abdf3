"""The boundary between a partition and the partition manager.

An hcall takes 64-bit registers and answers a return code, with values in further registers where
LoPAR says so. Behind the boundary a refusal is an exception, raised before anything has changed; in
front of it, it is a return code, and a count. Wrong arguments never do more than that. A number
that no register holds is a wrong parameter of every hcall.

An adapter that breaks the contract is no partition's fault, and isolation is not sure any more: its
`HardwareError` passes through the boundary and ends the machine.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from byway.sw.hardware import PhysicalMemory
from byway.sw.manager.connection import Transport, VirtualEnd
from byway.sw.manager.counters import Counters
from byway.sw.manager.directory import Directory
from byway.sw.manager.dispatch import Dispatcher
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.manager.tables import Window

if TYPE_CHECKING:
    from byway.sw.manager.partition import Partition

__all__ = [
    "MAXIMUM_ENTRIES",
    "HcallFamily",
    "HcallObserver",
    "HcallRefusedError",
    "HcallServices",
    "code_alone",
    "code_and_two_values",
    "code_and_value",
    "hcall",
]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound="HcallFamily")

HcallObserver = Callable[["Partition", str, tuple[object, ...], ReturnCode], None]
"""Told of every hcall: caller, name, arguments, answer."""

_REGISTER_END = 1 << 64
_DOUBLEWORD_BYTES = 8

MAXIMUM_ENTRIES = PAGE_SIZE // _DOUBLEWORD_BYTES
"""Entries that one hcall takes at most, and as many as a page of a caller can list."""


class HcallRefusedError(Exception):
    """Ends an hcall with `code`; `value` goes into the next register of those that return one."""

    def __init__(self, code: ReturnCode, value: int = 0):
        super().__init__(code.name)
        self.code = code
        self.value = value


@dataclass(frozen=True)
class HcallServices:
    """What the hcalls work on."""

    memory: PhysicalMemory
    directory: Directory
    transport: Transport
    dispatcher: Dispatcher
    counters: Counters
    on_hcall: HcallObserver | None


class HcallFamily:
    """Some hcalls, bound to the partition that calls them."""

    def __init__(self, caller: "Partition", services: HcallServices):
        self._caller = caller
        self._services = services

    def _end_of(self, unit: int) -> VirtualEnd:
        """Virtual adapter `unit` of the caller. H_PARAMETER: there is none."""
        end = self._services.directory.end(self._caller, unit)
        if end is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return end

    @staticmethod
    def _index(window: Window, ioba: int, count: int) -> int:
        """Index of the TCE of `ioba`. H_PARAMETER: not aligned, or not `count` TCEs from there."""
        index = window.index(ioba, count)
        if index is None:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        return index

    def _listed(self, page: int, count: int) -> list[int]:
        """Copy the first `count` big-endian doublewords of the caller's page at `page`.

        What the caller writes there afterwards has no effect. H_PARAMETER: over `MAXIMUM_ENTRIES`,
        or `page` is not the address of a page of the caller.
        """
        memory = self._caller.memory
        if count > MAXIMUM_ENTRIES or page % PAGE_SIZE or page >= memory.size:
            raise HcallRefusedError(ReturnCode.H_PARAMETER)
        copy = memory.read(page, count * _DOUBLEWORD_BYTES)
        return [
            int.from_bytes(copy[at : at + _DOUBLEWORD_BYTES], "big")
            for at in range(0, len(copy), _DOUBLEWORD_BYTES)
        ]

    def _begin(self, name: str) -> None:
        self._services.dispatcher.switch_to(self._caller)
        self._services.counters.hcalls[name] += 1

    def _end(self, name: str, arguments: tuple[object, ...], code: ReturnCode) -> None:
        if code is not ReturnCode.H_SUCCESS:
            self._services.counters.refusals[self._caller.name, name, code] += 1
        if self._services.on_hcall:
            self._services.on_hcall(self._caller, name, arguments, code)


def code_alone(code: ReturnCode, value: int) -> ReturnCode:
    """Form of a refusal of an hcall that returns no value."""
    return code


def code_and_value(code: ReturnCode, value: int) -> tuple[ReturnCode, int]:
    """Form of a refusal of an hcall that returns one value."""
    return code, value


def code_and_two_values(code: ReturnCode, value: int) -> tuple[ReturnCode, int, int]:
    """Form of a refusal of an hcall that returns two values."""
    return code, value, 0


def hcall(
    form: Callable[[ReturnCode, int], R],
) -> Callable[[Callable[Concatenate[F, P], R]], Callable[Concatenate[F, P], R]]:
    """Make a method an hcall: counted, observed, and answering where it refuses.

    Parameters
    ----------
    form
        What it returns when refused.
    """

    def decorate(method: Callable[Concatenate[F, P], R]) -> Callable[Concatenate[F, P], R]:
        name = method.__name__

        @functools.wraps(method)
        def call(self: F, *args: P.args, **kwargs: P.kwargs) -> R:
            self._begin(name)
            arguments = (*args, *kwargs.values())
            code = ReturnCode.H_SUCCESS
            try:
                if not all(0 <= a < _REGISTER_END for a in arguments if isinstance(a, int)):
                    raise HcallRefusedError(ReturnCode.H_PARAMETER)
                answer = method(self, *args, **kwargs)
                code = answer[0] if isinstance(answer, tuple) else answer
            except HcallRefusedError as refusal:
                code = refusal.code
                answer = form(refusal.code, refusal.value)
            assert isinstance(code, ReturnCode)
            self._end(name, arguments, code)
            return answer

        return call

    return decorate
