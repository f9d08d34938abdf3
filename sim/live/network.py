"""The network around the adapter: a namespace for each hosted partition and for the link partner.

All are in one subnet; the partner routes between hosted partitions and answers ARP for them, since
the adapter has no switch inside: what one hosted partition sends to another crosses the wire twice.
"""

import contextlib
import errno
from collections.abc import Sequence

from byway.sim.live.network_namespace import NetworkNamespace
from byway.sim.scenarios.error import ScenarioError
from byway.sim.temporary_folder import temporary_folder
from byway.sim.wire.tap import Tap

__all__ = ["PARTNER", "LiveNetwork", "Place", "hosted_names"]

#: Name of the link partner; `hosted_names` gives the others'.
PARTNER = "partner"
_FIRST = "hosted"
_PARTNER_NUMBER = 254
_PARTNER_MAC = bytes.fromhex("020000000101")
_INTERFACE = "eth0"
#: Kernels size super-frames, and some pace, by the rate that they see in wall time, in which the
#: wire of a simulated adapter is slow. Here they fill each super-frame as far as their window
#: allows, and leave the pace to the wire.
_KERNEL_PARAMETERS: dict[str, int | str] = {
    "net/ipv4/tcp_min_tso_segs": 45,
    "net/ipv4/tcp_congestion_control": "reno",
}


def hosted_names(hosted: int) -> tuple[str, ...]:
    """Names of the namespaces of so many hosted partitions."""
    return tuple(f"{_FIRST}{number}" for number in range(1, hosted + 1))


class Place:
    """A namespace with the TAP of its only network interface.

    Attributes
    ----------
    name : str
    address : str
        IPv4 address.
    namespace : NetworkNamespace
    tap : Tap
    """

    def __init__(self, name: str, number: int, *, mac: bytes, mtu: int):
        self.name = name
        self.address = f"10.0.0.{number}"
        self.namespace = NetworkNamespace()
        try:
            self.tap = self.namespace.run(lambda: Tap(_INTERFACE))
            self.namespace.configure(
                _INTERFACE,
                mac=mac,
                mtu=mtu,
                addresses=[f"{self.address}/24", f"fd62:7977:6179::{number:x}/64"],
            )
        except BaseException:
            self.namespace.close()
            raise

    def close(self) -> None:
        """Let TAP and namespace go."""
        self.tap.close()
        self.namespace.close()


class LiveNetwork:
    """Makes the namespaces; a context manager.

    Parameters
    ----------
    macs : sequence of bytes
        Station address of each hosted partition.
    mtu : int
        Longest IP packet on the wire, in bytes.

    Attributes
    ----------
    hosted : tuple of Place
    partner : Place
    hosts : Path
        Names and addresses of all, in the form of ``/etc/hosts``.

    Raises `ScenarioError` if the user may not have namespaces, or there are no TAP devices.
    """

    def __init__(self, macs: Sequence[bytes], *, mtu: int):
        with contextlib.ExitStack() as undo:
            folder = undo.enter_context(temporary_folder("byway-live-"))
            with _explained():
                self.hosted = tuple(
                    self._place(undo, name, number, mac, mtu)
                    for number, (name, mac) in enumerate(
                        zip(hosted_names(len(macs)), macs, strict=True), start=1
                    )
                )
                self.partner = self._place(undo, PARTNER, _PARTNER_NUMBER, _PARTNER_MAC, mtu)
                self._set_parameters()
            self.hosts = folder / "hosts"
            lines = ["127.0.0.1 localhost", f"{self.hosted[0].address} {_FIRST}"]
            lines += [f"{place.address} {place.name}" for place in self.places]
            self.hosts.write_text("".join(f"{line}\n" for line in lines))
            self._undo = undo.pop_all()

    @property
    def places(self) -> tuple[Place, ...]:
        """The hosted partitions' and the partner's."""
        return (*self.hosted, self.partner)

    def place(self, name: str) -> Place:
        """The place called `name`; ``hosted`` is the first hosted partition's."""
        if name == _FIRST:
            return self.hosted[0]
        return next(place for place in self.places if place.name == name)

    def close(self) -> None:
        """Let all go."""
        self._undo.close()

    def __enter__(self) -> "LiveNetwork":
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    @staticmethod
    def _place(undo: contextlib.ExitStack, name: str, number: int, mac: bytes, mtu: int) -> Place:
        place = Place(name, number, mac=mac, mtu=mtu)
        undo.callback(place.close)
        return place

    def _set_parameters(self) -> None:
        for place in self.hosted:
            for name, value in _KERNEL_PARAMETERS.items():
                place.namespace.set_parameter(name, value)
        partner = self.partner.namespace
        partner.set_parameter("net/ipv4/ip_forward", 1)
        partner.set_parameter(f"net/ipv4/conf/{_INTERFACE}/proxy_arp_pvlan", 1)
        for scope in ("all", _INTERFACE):
            partner.set_parameter(f"net/ipv4/conf/{scope}/send_redirects", 0)


@contextlib.contextmanager
def _explained():
    """Says in one line what the system does not let the user do."""
    instead = "`byway send` needs neither: its TCP/IP is embedded"
    try:
        yield
    except PermissionError as error:
        raise ScenarioError(
            "live needs the right to make network namespaces and TAP devices, as root has; "
            + instead
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            raise ScenarioError(f"live needs TAP devices, and there are none; {instead}") from error
        raise ScenarioError(f"live could not set its network up: {error.strerror}") from error
