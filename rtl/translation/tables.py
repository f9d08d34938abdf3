"""The tables of windows and of bindings: what the partition manager writes and the bridge looks up.

Both are external arrays of the contract (``byway.rdl``) in a register table, so that hundreds cost
little. Whether a window is enabled and whether a binding is valid stands in flip-flops, and is 0
after reset; what else there is counts only then.

Clock domain: ``sync``. Latency: 1 cycle for writing and for reading, 0 for a lookup, whose user
puts a register behind it. Throughput: all three in each cycle.
"""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from byway.rtl.contract.external import ExternalSignature
from byway.rtl.contract.model import external
from byway.rtl.contract.register_table import RegisterTable
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


class BindingTable(wiring.Component):
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

    registers: Any
    lookup: Any

    def __init__(self, *, requesters: int = 2):
        check_requesters(requesters)
        self.requesters = requesters
        super().__init__(
            {
                "registers": In(ExternalSignature(BINDINGS, count=requesters)),
                "lookup": In(BindingLookupSignature()),
            }
        )

    def elaborate(self, platform):
        """Name the fields that are found."""
        m = Module()
        m.submodules.table = table = RegisterTable(
            BINDINGS, count=self.requesters, number_width=REQUESTER_BITS
        )
        connect(m, flipped(self.registers), table.registers)
        m.d.comb += table.number.eq(self.lookup.requester)
        m.d.comb += self.lookup.binding.valid.eq(table.found.valid)
        m.d.comb += self.lookup.binding.window.eq(table.found.window)
        return m


class WindowTable(wiring.Component):
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

    registers: Any
    lookup: Any

    def __init__(self, *, windows: int = 16):
        check_windows(windows)
        self.windows = windows
        super().__init__(
            {
                "registers": In(ExternalSignature(WINDOWS, count=windows)),
                "lookup": In(WindowLookupSignature()),
            }
        )

    def elaborate(self, platform):
        """Name the fields that are found."""
        m = Module()
        m.submodules.table = table = RegisterTable(
            WINDOWS, count=self.windows, number_width=WINDOW_BITS
        )
        connect(m, flipped(self.registers), table.registers)
        m.d.comb += table.number.eq(self.lookup.number)
        m.d.comb += self.lookup.window.table_base.eq(table.found.table_base_page)
        m.d.comb += self.lookup.window.entries.eq(table.found.size_entries)
        m.d.comb += self.lookup.window.enable.eq(table.found.control_enable)
        return m
