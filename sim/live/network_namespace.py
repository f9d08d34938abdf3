"""A network namespace without a name: the kernel removes it with the last who uses it.

That is this process and what it starts inside, so that nothing is left behind, whatever happens to
it. Threads enter a namespace one by one, which lets one process set several up.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pyroute2 import IPRoute

__all__ = ["NetworkNamespace"]

_CLONE_NEWNET = 0x40000000
_SELF = "/proc/thread-self/ns/net"
_IPV6_NO_DUPLICATE_DETECTION = 0x02

_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


class NetworkNamespace:
    """A new network namespace with nothing in it but a loopback interface that is up.

    Raises `PermissionError` if the user may not have one.
    """

    def __init__(self) -> None:
        def make() -> int:
            _check(_libc.unshare(_CLONE_NEWNET))
            return os.open(_SELF, os.O_RDONLY | os.O_CLOEXEC)

        self._file = _in_thread(make)
        self.run(_set_up_loopback)

    def fileno(self) -> int:
        """A file that stands for the namespace, as setns(2) takes it."""
        return self._file

    def run(self, function: Callable[[], _T]) -> _T:
        """Call `function` inside; returns what it returns and raises what it raises."""

        def enter() -> _T:
            _check(_libc.setns(self._file, _CLONE_NEWNET))
            return function()

        return _in_thread(enter)

    def configure(self, interface: str, *, mac: bytes, mtu: int, addresses: list[str]) -> None:
        """Bring an interface up.

        Parameters
        ----------
        interface : str
            Its name.
        mac : bytes
            Station address.
        mtu : int
            Longest IP packet in bytes.
        addresses : list of str
            IPv4 and IPv6 addresses, each with the length of its prefix.
        """

        def configure() -> None:
            with _routes() as route:
                (index,) = route.link_lookup(ifname=interface)
                station = ":".join(f"{byte:02x}" for byte in mac)
                route.link("set", index=index, address=station, mtu=mtu)
                for address in addresses:
                    host, _slash, prefix = address.partition("/")
                    flags = {"flags": _IPV6_NO_DUPLICATE_DETECTION} if ":" in host else {}
                    route.addr("add", index=index, address=host, prefixlen=int(prefix), **flags)
                route.link("set", index=index, state="up")

        self.run(configure)

    def set_parameter(self, name: str, value: int | str) -> None:
        """Set a kernel parameter of the namespace, such as ``net/ipv4/ip_forward``."""
        self.run(lambda: Path("/proc/sys", name).write_text(f"{value}\n"))

    def close(self) -> None:
        """Let the namespace go; what still runs inside keeps it."""
        with contextlib.suppress(OSError):
            os.close(self._file)


def _routes() -> "IPRoute":
    """The network settings of the calling thread's namespace."""
    # Imported late: it takes as long as all else that a start does.
    from pyroute2 import IPRoute

    return IPRoute()


def _set_up_loopback() -> None:
    with _routes() as route:
        route.link("set", index=1, state="up")


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _in_thread(function: Callable[[], _T]) -> _T:
    """Call `function` in a thread of its own, whose namespace ends with it."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:  # Raised again by the caller.
            errors.append(error)

    thread = threading.Thread(target=work, name="network namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
