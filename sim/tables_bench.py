"""Windows, their TCE tables in memory, and who is bound to which, for test benches.

`TablesBench` is the reference of what is granted: it translates by itself, from the tables in
memory. It also writes the registers that tell a bridge of them.
"""

import itertools
from collections.abc import Mapping, Set

from byway.rtl.bus.axi4 import Resp
from byway.rtl.contract.model import codes, external
from byway.sim.axi_memory_bench import SparseMemory

__all__ = ["ENTRIES", "READ_PAGE", "TABLE_PAGE", "WRITE_PAGE", "TablesBench", "write_element"]

#: Entries of each window's table.
ENTRIES = 48
#: System pages: window w's table; what may be read, and written, through window w from + 0x100 * w.
TABLE_PAGE = 0x1000
READ_PAGE = 0x10_0000
WRITE_PAGE = 0x20_0000

_Reason = codes("fault_reason")


async def write_element(ctx, ports, array, index, **fields):
    """Write all of an element of an external array; fields as ``size_entries=8``, the others 0."""
    element = 0
    for path, address, register in external(array).registers():
        for field in register.fields:
            value = fields.pop("_".join(map(str, (*path, field.name))), 0)
            element |= value << address * 8 + field.low
    assert not fields, f"{array} has no {', '.join(fields)}"
    ctx.set(ports.write_index, index)
    ctx.set(ports.write_strobe, 0xF)
    for word in range(external(array).stride // 4):
        ctx.set(ports.write_word, word)
        ctx.set(ports.write_data, element >> 32 * word & 0xFFFF_FFFF)
        await ctx.tick()
    ctx.set(ports.write_strobe, 0)


class TablesBench:
    """Tables of four windows for five requesters, or of others.

    Requesters 0 and 1 have the windows 1 and 2; requester 2 shares window 2; requester 3 has none;
    requester 4 has window 3, which is off. Even pages of a window may be read, odd ones written,
    every fifth both; every seventh is not mapped; the last cannot be read from its table.

    Parameters
    ----------
    memory : SparseMemory
        Where they lie.
    windows : int
    bindings : dict
        Window by requester, for other numbers of them.
    enabled : set of int
        The windows that translate.

    Attributes
    ----------
    grants : dict
        System page -> (read, write), of every TCE ever stored.
    """

    def __init__(
        self,
        memory: SparseMemory,
        *,
        windows: int = 4,
        bindings: Mapping[int, int] | None = None,
        enabled: Set[int] | None = None,
    ):
        self.memory = memory
        self.windows = windows
        self.bindings = bindings or {0: 1, 1: 2, 2: 2, 4: 3}
        self.enabled = enabled or {1, 2}
        self.grants: dict[int, tuple[int, int]] = {}
        for window, index in itertools.product(range(windows), range(ENTRIES)):
            both = index % 5 == 0
            if index % 7 == 6:
                self.map(window, index, 0, 0, 0)
            else:
                area = WRITE_PAGE if index % 2 else READ_PAGE
                # The lowest bits of the page number are not those of the index.
                page = area + window * 0x100 + index // 2
                self.map(window, index, page, int(both or index % 2 == 0), int(both or index % 2))
            if index == ENTRIES - 1:
                self.memory.fail(self.entry_address(window, index), 8, Resp.SLVERR)

    @staticmethod
    def entry_address(window, index):
        """System address of a window's TCE."""
        return (TABLE_PAGE + window << 12) + 8 * index

    def map(self, window, index, page, read, write):
        """Store a TCE."""
        self.grants[page] = (read, write)
        entry = page << 12 | write << 1 | read
        self.memory.write(self.entry_address(window, index), entry.to_bytes(8, "little"))

    def judge(self, request, *, write):
        """The reference: (reason, None) if refused, otherwise (None, system address)."""
        window = self.bindings.get(request["user"])
        index, offset = divmod(request["addr"], 4096)
        span = (offset & -(1 << request["size"])) + (request["len"] + 1 << request["size"])
        if window is None:
            return _Reason.UNBOUND, None
        if window not in self.enabled:
            return _Reason.WINDOW_DISABLED, None
        if request["burst"] == 3:
            return _Reason.BURST_TYPE, None
        if span > 4096:
            return _Reason.PAGE_CROSSING, None
        if index >= ENTRIES:
            return _Reason.EXTENT, None
        place = self.entry_address(window, index)
        if self.memory.response(place, 8) != Resp.OKAY:
            return _Reason.TABLE_ERROR, None
        entry = int.from_bytes(self.memory.read(place, 8), "little")
        if not entry & 3:
            return _Reason.NOT_MAPPED, None
        if not entry & (2 if write else 1):
            return (_Reason.WRITE_DENIED if write else _Reason.READ_DENIED), None
        return None, entry >> 12 << 12 | offset

    async def configure(self, ctx, dut):
        """Tell `dut`, a bridge, of all bindings and windows."""
        for requester, window in self.bindings.items():
            await write_element(
                ctx, dut.binding, "manager.binding", requester, valid=1, window=window
            )
        for window in range(self.windows):
            await write_element(
                ctx,
                dut.window,
                "window.window",
                window,
                table_base_page=TABLE_PAGE + window,
                size_entries=ENTRIES,
                control_enable=window in self.enabled,
            )
