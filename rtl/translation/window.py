"""Windows and who may use them: the configuration that the partition manager gives the bridge.

A window (LoPAR: named by its LIOBN) is a table of TCEs in system memory. A requester reaches memory
through the one window it is bound to, and through nothing else: this is the authentication
capability of the patent, checked before any address is looked at. The bundles have the names of
the manager page's fields in ``byway.rdl``, and are described from the side of the register bank.
"""

from amaranth.hdl import unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.contract.model import codes

__all__ = [
    "ENTRIES_BITS",
    "REQUESTER_BITS",
    "SCOPE_BITS",
    "TABLE_BASE_BITS",
    "WINDOW_BITS",
    "BindingLayout",
    "BindingLookupSignature",
    "InvalidateSignature",
    "InvalidationLayout",
    "PageKeyLayout",
    "WindowLayout",
    "WindowLookupSignature",
    "check_requesters",
    "check_user_width",
    "check_windows",
]

#: Width of a requester's number in the registers.
REQUESTER_BITS = 8
#: Width of a window's number in the registers.
WINDOW_BITS = 8
#: Width of the page number of a TCE table.
TABLE_BASE_BITS = 52
#: Width of a window's extent, and so of every page index that is within it.
ENTRIES_BITS = 32
#: Width of an ``invalidate_scope``.
SCOPE_BITS = bits_for(max(codes("invalidate_scope")))


def check_user_width(user_width: int) -> None:
    """Raise `ValueError` unless the registers can name every requester that AxUSER can."""
    if user_width not in range(1, REQUESTER_BITS + 1):
        raise ValueError(f"User width must be 1 to {REQUESTER_BITS} bits, not {user_width!r}")


def check_requesters(requesters: int, *, user_width: int = REQUESTER_BITS) -> None:
    """Raise `ValueError` unless AxUSER, `user_width` bits, can name so many requesters."""
    check_user_width(user_width)
    if requesters not in range(1, (1 << user_width) + 1):
        raise ValueError(f"Requesters must be 1 to {1 << user_width}, not {requesters!r}")


def check_windows(windows: int) -> None:
    """Raise `ValueError` unless the registers can name so many windows."""
    if windows not in range(1, (1 << WINDOW_BITS) + 1):
        raise ValueError(f"Windows must be 1 to {1 << WINDOW_BITS}, not {windows!r}")


class BindingLayout(data.StructLayout):
    """Which window a requester uses.

    Members
    -------
    valid : unsigned(1)
        The requester has a window.
    window : unsigned(8)
        Its number. A number that no window has is taken for that of a disabled one.
    """

    def __init__(self):
        super().__init__({"valid": 1, "window": WINDOW_BITS})


class WindowLayout(data.StructLayout):
    """One window. It may change only while it is disabled, and must be invalidated afterwards.

    Members
    -------
    table_base : unsigned(52)
        Page number of the TCE table's system address.
    entries : unsigned(32)
        Its extent in pages.
    enable : unsigned(1)
        It translates.
    """

    def __init__(self):
        super().__init__({"table_base": TABLE_BASE_BITS, "entries": ENTRIES_BITS, "enable": 1})


class BindingLookupSignature(wiring.Signature):
    """Finds a binding in the same cycle, from the side of who looks for it.

    Members
    -------
    requester : Out(8)
        Number of the requester; any number may be asked for.
    binding : In(BindingLayout())
        Its binding, as of the cycle before; not valid if there is no such requester.
    """

    def __init__(self):
        super().__init__({"requester": Out(REQUESTER_BITS), "binding": In(BindingLayout())})


class WindowLookupSignature(wiring.Signature):
    """Finds a window in the same cycle, from the side of who looks for it.

    Members
    -------
    number : Out(8)
        Number of the window; any number may be asked for.
    window : In(WindowLayout())
        The window, as of the cycle before; not enabled if there is none of this number.
    """

    def __init__(self):
        super().__init__({"number": Out(WINDOW_BITS), "window": In(WindowLayout())})


class InvalidateSignature(wiring.Signature):
    """The registers ``invalidate``, ``invalidate_page`` and ``invalidate_status``.

    Members
    -------
    start : Out(1)
        A pulse: invalidate. It does nothing while `busy`.
    scope, window, index : Out(2), Out(8), Out(32)
        What, in the cycle of `start`.
    busy : In(1)
        Some beat of an old mapping may still be issued or land.
    """

    def __init__(self):
        super().__init__(
            {
                "start": Out(1),
                "scope": Out(SCOPE_BITS),
                "window": Out(WINDOW_BITS),
                "index": Out(ENTRIES_BITS),
                "busy": In(1),
            }
        )


class PageKeyLayout(data.StructLayout):
    """Names a page: what the IOTLB is searched by.

    Parameters
    ----------
    windows : int
        How many windows there are.

    Raises
    ------
    ValueError
        If there is no such number of windows.
    """

    def __init__(self, *, windows: int):
        check_windows(windows)
        super().__init__({"window": unsigned(bits_for(windows - 1)), "index": ENTRIES_BITS})


class InvalidationLayout(data.StructLayout):
    """What the IOTLB is to forget.

    Parameters
    ----------
    windows : int
        How many windows there are.

    Members
    -------
    scope : unsigned(2)
        Of ``invalidate_scope``; the value it leaves undefined stands for everything.
    page : PageKeyLayout
        Window and page index, as far as the scope looks at them.
    """

    def __init__(self, *, windows: int):
        super().__init__({"scope": unsigned(SCOPE_BITS), "page": PageKeyLayout(windows=windows)})
