"""An arbitrary configuration of windows and bindings that stays, for proofs of translation."""

from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Signal

from byway.rtl.translation.window import BindingLayout, WindowLayout

__all__ = [
    "PAGES",
    "PAGE_BITS",
    "SIZES",
    "WALKS",
    "WATCHED_PAGE",
    "WINDOWS",
    "configure",
    "takes_back",
]

WINDOWS = 2
WALKS = 2
#: Of a translator: the smallest at which windows, pages and sets differ and buffers fill.
SIZES = {"windows": WINDOWS, "id_width": 1, "iotlb_sets": 2, "iotlb_ways": 1, "walks": WALKS}
#: Bits of an address above the offset in its page.
PAGE_BITS = 2
PAGES = 1 << PAGE_BITS
#: The system page whose accesses are watched.
WATCHED_PAGE = 1
#: Bits of each field that make a difference where there are so few windows and pages.
_BITS = {"valid": 1, "window": 2, "enable": 1, "entries": PAGE_BITS + 1, "table_base": PAGE_BITS}


def configure(m, dut, *, requesters=2):
    """Answer what `dut` looks up; returns the bindings and the windows."""
    bindings = [Signal(BindingLayout(), name=f"binding_{n}") for n in range(requesters)]
    windows = [Signal(WindowLayout(), name=f"window_{n}") for n in range(WINDOWS)]
    for asked, found, elements in (
        (dut.binding_lookup.requester, dut.binding_lookup.binding, bindings),
        (dut.window_lookup.number, dut.window_lookup.window, windows),
    ):
        for element in elements:
            for name in element.shape().members:
                m.d.comb += element[name].eq(AnyConst(_BITS[name]))
        with m.Switch(asked):
            for number, element in enumerate(elements):
                with m.Case(number):
                    m.d.comb += found.eq(element)
    return bindings, windows


def takes_back(scope, window, index, *, scopes, of):
    """Whether an invalidation of `scope`, `window` and `index` takes back the entry `of` two."""
    of_window, of_index = of
    is_page = (scope == scopes.WINDOW) | (index == of_index)
    return (scope >= scopes.EVERYTHING) | ((window == of_window) & is_page)
