"""The tables of windows and of bindings: what the partition manager writes and the bridge looks up.

Both are external arrays of the contract (``byway.rdl``) in a register table, so that hundreds cost
little. Whether a window is enabled and whether a binding is valid stands in flip-flops, and is 0
after reset; what else there is counts only then.

Clock domain: ``sync``. Latency: 1 cycle for writing and for reading, 0 for a lookup, whose user
puts a register behind it. Throughput: all three in each cycle.
"""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from byway.rtl.contract.external import ExternalSignature
from byway.rtl.contract.model import external
from byway.rtl.contract.register_table import RegisterTable
from byway.rtl.contract.tree import Group, Register
from byway.rtl.translation.window import (
    REQUESTER_BITS,
    WINDOW_BITS,
    BindingLookupSignature,
    WindowLookupSignature,
    check_requesters,
    check_windows,
)

__all__ = ["BINDINGS", "WINDOWS", "BindingTable", "WindowTable"]

#: The arrays of the contract.
BINDINGS = external("manager.binding")
WINDOWS = external("window.window")


class _LookupTable(wiring.Component):
    """A register table of `array`, and a `lookup` of its fields by the names of who looks."""

    registers: Any
    lookup: Any

    def __init__(
        self, array: Group | Register, lookup: wiring.Signature, *, count: int, number_width: int
    ):
        self._array = array
        self._count = count
        self._number_width = number_width
        super().__init__(
            {"registers": In(ExternalSignature(array, count=count)), "lookup": In(lookup)}
        )

    def elaborate(self, platform):
        """The table, and the names of what is found."""
        m = Module()
        m.submodules.table = table = RegisterTable(
            self._array, count=self._count, number_width=self._number_width
        )
        connect(m, flipped(self.registers), table.registers)
        for one, other in self._names(table):
            m.d.comb += one.eq(other)
        return m

    def _names(self, table: RegisterTable) -> Iterable[tuple[Any, Any]]:
        """What is driven, and by what: the number looked up, and the fields found."""
        raise NotImplementedError


class BindingTable(_LookupTable):
    """Which window each requester uses.

    Parameters
    ----------
    requesters : int
        How many there are: 1 to 256. One from `requesters` on is bound to nothing.

    Members
    -------
    registers : In(ExternalSignature(BINDINGS, count=requesters))
        The register bank.
    lookup : In(BindingLookupSignature())
        Finds one.

    Raises
    ------
    ValueError
        If there is no such number of requesters.
    """

    def __init__(self, *, requesters: int = 2):
        check_requesters(requesters)
        super().__init__(
            BINDINGS, BindingLookupSignature(), count=requesters, number_width=REQUESTER_BITS
        )

    def _names(self, table):
        yield table.number, self.lookup.requester
        yield self.lookup.binding.valid, table.found.valid
        yield self.lookup.binding.window, table.found.window


class WindowTable(_LookupTable):
    """Where the TCE table of each window lies, and how far it reaches.

    Parameters
    ----------
    windows : int
        How many there are: 1 to 256. One from `windows` on is disabled.

    Members
    -------
    registers : In(ExternalSignature(WINDOWS, count=windows))
        The register bank.
    lookup : In(WindowLookupSignature())
        Finds one.

    Raises
    ------
    ValueError
        If there is no such number of windows.
    """

    def __init__(self, *, windows: int = 16):
        check_windows(windows)
        super().__init__(WINDOWS, WindowLookupSignature(), count=windows, number_width=WINDOW_BITS)

    def _names(self, table):
        yield table.number, self.lookup.number
        yield self.lookup.window.table_base, table.found.table_base_page
        yield self.lookup.window.entries, table.found.size_entries
        yield self.lookup.window.enable, table.found.control_enable
