"""A page of the register space, mapped to the one partition that may touch it.

Source: the contract, "each 4 KiB page is mapped to the one who may touch it".
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from byway.sw.hardware import RegisterBus
from byway.sw.manager.memory import PAGE_SIZE, PartitionFault

if TYPE_CHECKING:
    from byway.sw.manager.partition import Partition

__all__ = ["RegisterPage"]

_WORD_BYTES = 4


class RegisterPage:
    """One page of the register space, as its owner sees it: offsets from 0.

    Parameters
    ----------
    bus
        The whole register space.
    base
        Where the page starts in it.
    owner
        The partition that has the page.
    on_access
        Told of the owner before each access.
    read_only
        Whether writing is refused.
    """

    def __init__(
        self,
        bus: RegisterBus,
        base: int,
        *,
        owner: "Partition",
        on_access: Callable[["Partition"], None],
        read_only: bool = False,
    ):
        self._bus = bus
        self._base = base
        self._owner = owner
        self._on_access = on_access
        self._read_only = read_only
        self._revoked = False

    def read(self, offset: int) -> int:
        """Return the register at `offset`.

        Raises
        ------
        PartitionFault
            When there is no register of this page at `offset`, or the page is no longer mapped.
        """
        self._check(offset)
        return self._bus.read(self._base + offset)

    def write(self, offset: int, value: int) -> None:
        """Write the register at `offset`; raises as `read`, and when the page is read only."""
        self._check(offset)
        if self._read_only:
            raise PartitionFault(f"partition {self._owner.name} may not write register {offset:#x}")
        self._bus.write(self._base + offset, value)

    def revoke(self) -> None:
        """Unmap the page."""
        self._revoked = True

    def _check(self, offset: int) -> None:
        if self._revoked or not 0 <= offset < PAGE_SIZE or offset % _WORD_BYTES:
            raise PartitionFault(f"partition {self._owner.name} has no register at {offset:#x}")
        self._on_access(self._owner)
