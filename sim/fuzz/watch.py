"""Onlookers at the borders of the partition manager: its hcalls above, the registers below."""

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from byway.sim.fuzz.grants import Call
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    MANAGER_PAGE,
    WINDOW_PAGE,
    ManagerPage,
    WindowPage,
)
from byway.sw.hardware import RegisterBus
from byway.sw.manager.hcalls import Hcalls
from byway.sw.manager.memory import PAGE_SIZE, PartitionFault
from byway.sw.manager.partition import Partition
from byway.sw.manager.return_codes import ReturnCode

__all__ = ["HCALLS", "HcallWatch", "PatienceError", "RegisterWatch", "Table"]

#: Name of each hcall -> names of its parameters.
HCALLS: dict[str, list[str]] = {
    name: [
        parameter.name
        for parameter in list(inspect.signature(method).parameters.values())[1:]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    for name, method in inspect.getmembers(Hcalls, inspect.isfunction)
    if name.startswith("h_")
}
_DOUBLEWORD = 8
_MOST_LISTED = PAGE_SIZE // _DOUBLEWORD


class PatienceError(Exception):
    """Software of a hostile partition polls the adapter without end."""


class HcallWatch:
    """Sees every hcall as its caller does.

    Parameters
    ----------
    now : callable
        The cycle.
    on_call : callable
        Told of each hcall once it has returned.
    accuse : callable
        Told, with the cycle, of hcalls that raise or answer what is no return code.

    Attributes
    ----------
    answers : Counter
        Hcalls by name and return code.
    """

    def __init__(
        self,
        now: Callable[[], int],
        on_call: Callable[[Call], None],
        accuse: Callable[[int, str], None],
    ):
        self.answers: Counter[tuple[str, str]] = Counter()
        self._now = now
        self._on_call = on_call
        self._accuse = accuse

    def look_at(self, partition: Partition) -> None:
        """See what `partition` calls from now on."""
        partition.hcalls = cast(Hcalls, _Looked(partition.hcalls, self, partition))

    def call(
        self, partition: Partition, name: str, method: Callable[..., Any], *args: int, **more: Any
    ) -> Any:
        """Make an hcall; what it raises is told and passed on."""
        listed = self._listed(partition, name, args)
        begun = self._now()
        try:
            answer = method(*args, **more)
        except Exception as error:
            what = f"{name}{args} of {partition.name} raised {type(error).__name__}: {error}"
            self._accuse(self._now(), what)
            raise
        code, *values = answer if isinstance(answer, tuple) else (answer,)
        if not isinstance(code, ReturnCode):
            self._accuse(self._now(), f"{name}{args} of {partition.name} answered {code!r}")
            return answer
        self.answers[name, code.name] += 1
        value = values[0] if values else 0
        call = Call(partition.name, name, args, code, value, listed, begun, self._now())
        self._on_call(call)
        return answer

    @staticmethod
    def _listed(partition: Partition, name: str, args: tuple[int, ...]) -> list[int]:
        """The doublewords that an hcall names by its parameters `page` and `count`."""
        places = HCALLS[name]
        if not {"page", "count"} <= set(places) or len(args) < len(places):
            return []
        page, count = args[places.index("page")], args[places.index("count")]
        if not 0 <= count <= _MOST_LISTED:
            return []
        try:
            content = partition.memory.read(page, count * _DOUBLEWORD)
        except PartitionFault:
            return []
        words = range(0, len(content), _DOUBLEWORD)
        return [int.from_bytes(content[at : at + _DOUBLEWORD], "big") for at in words]


class _Looked:
    """The hcalls of one partition, with somebody who looks on."""

    def __init__(self, hcalls: Hcalls, watch: HcallWatch, partition: Partition):
        self._hcalls = hcalls
        self._watch = watch
        self._partition = partition

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._hcalls, name)
        call = functools.partial(self._watch.call, self._partition, name, method)
        setattr(self, name, call)
        return call


class Table(NamedTuple):
    """The TCE table that a ring's window has: its first page, and entries."""

    page: int
    entries: int

    def holds(self, address: int) -> bool:
        """Whether an entry of it begins at `address`."""
        offset = address - self.page * PAGE_SIZE
        return offset % _DOUBLEWORD == 0 and 0 <= offset < self.entries * _DOUBLEWORD

    def has_page(self, page: int) -> bool:
        """Whether page number `page` of memory is one of the table's."""
        return 0 <= (page - self.page) * PAGE_SIZE < self.entries * _DOUBLEWORD


class _Written:
    """What was written last to each register."""

    def __init__(self):
        self.words: dict[int, int] = {}

    def read(self, offset: int) -> int:
        return self.words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        raise AssertionError


class RegisterWatch:
    """A register bus before another, which knows where TCE tables lie by what is written.

    Attributes
    ----------
    patience : int or None
        Reads of the adapter page that are let pass before `PatienceError` ends who polls on; None
        for any number.
    """

    def __init__(self, bus: RegisterBus):
        self.patience: int | None = None
        self._bus = bus
        self._written = _Written()

    def read(self, offset: int) -> int:
        """Pass the read on."""
        if self.patience is not None and ADAPTER_PAGE <= offset < ADAPTER_PAGE + PAGE_SIZE:
            self.patience -= 1
            if self.patience < 0:
                raise PatienceError
        return self._bus.read(offset)

    def write(self, offset: int, value: int) -> None:
        """Take note of the write, and pass it on."""
        self._written.words[offset] = value
        self._bus.write(offset, value)

    def table(self, ring: int) -> Table | None:
        """The table of the window bound to `ring`; None unless it has an enabled one."""
        binding = ManagerPage(self._written, MANAGER_PAGE).binding[ring].read()
        window = WindowPage(self._written, WINDOW_PAGE).window[binding.window]
        if not binding.valid or not window.control.read().enable:
            return None
        return Table(window.table_base.read().page, window.size.read().entries)
