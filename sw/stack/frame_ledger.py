"""What every device must know of its user's frames: their memory, and who still needs it.

A mapping is a range of the partition's memory with a place in I/O bus addresses. It is used by the
frames that have bytes in it, and ends only when the last of them has.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from byway.sw.stack.buffer_ring import BufferRing
from byway.sw.stack.network_device import Features, Fragment, Frame, FrameOutcome

__all__ = [
    "LONGEST_HEADERS",
    "FrameLedger",
    "Mapping",
    "MappingTable",
    "Outgoing",
    "Piece",
    "check_frame",
]

_ETHERNET_HEADER = 14
_VLAN_TAG = 4

#: Most bytes of the headers that an `Offload` tells the lengths of, as descriptors have it.
LONGEST_HEADERS = 255


@dataclass(eq=False)
class Mapping:
    """A range of memory that the adapter may reach.

    Parameters
    ----------
    handle : int
        Names it to the user of the device.
    address, length : int
        Logical real address and bytes.
    ioba : int
        I/O bus address of its first byte.

    Attributes
    ----------
    users : int
        Frames with bytes in it that have not completed.
    closing : bool
        The user has taken it back.
    """

    handle: int
    address: int
    length: int
    ioba: int
    users: int = field(default=0, init=False)
    closing: bool = field(default=False, init=False)

    def locate(self, address: int, length: int) -> int | None:
        """Return the I/O bus address of `length` bytes at `address`; None if they are outside."""
        offset = address - self.address
        inside = offset >= 0 and length > 0 and offset + length <= self.length
        return self.ioba + offset if inside else None


class MappingTable:
    """The mappings of a device by handle.

    Parameters
    ----------
    limit : int
        Greatest handle; the least is 1.
    on_unused : callable
        Called with a mapping that the user has taken back and no frame uses any more. It is in the
        table until `remove`.
    """

    def __init__(self, limit: int, on_unused: Callable[[Mapping], None]):
        self._limit = limit
        self._on_unused = on_unused
        self._mappings: dict[int, Mapping] = {}

    def __iter__(self):
        return iter(list(self._mappings.values()))

    def add(self, address: int, length: int, ioba: int) -> Mapping:
        """Enter a mapping under the least free handle.

        Raises
        ------
        RuntimeError
            There is no free handle.
        """
        for handle in range(1, self._limit + 1):
            if handle not in self._mappings:
                self._mappings[handle] = Mapping(handle, address, length, ioba)
                return self._mappings[handle]
        raise RuntimeError(f"a device has no more than {self._limit} mappings")

    def remove(self, mapping: Mapping) -> None:
        """Forget a mapping, so that its handle is free."""
        del self._mappings[mapping.handle]

    def take_back(self, handle: int) -> None:
        """Let no more frames use a mapping.

        Raises
        ------
        ValueError
            Nothing is mapped under `handle`.
        """
        mapping = self._open(handle)
        mapping.closing = True
        if not mapping.users:
            self._on_unused(mapping)

    def resolve(self, fragment: Fragment) -> "Piece":
        """Return where the bytes of `fragment` are.

        Raises
        ------
        ValueError
            They are not inside their mapping, or it is not mapped.
        """
        mapping = self._open(fragment.mapping)
        ioba = mapping.locate(fragment.address, fragment.length)
        if ioba is None:
            raise ValueError(
                f"{fragment.length} bytes at {fragment.address:#x} are not inside mapping"
                f" {fragment.mapping}"
            )
        return Piece(mapping, ioba, fragment.length)

    def use(self, mapping: Mapping) -> None:
        """Enter a frame as a user of `mapping`."""
        mapping.users += 1

    def release(self, mapping: Mapping) -> None:
        """Strike a frame out as a user of `mapping`."""
        mapping.users -= 1
        if mapping.closing and not mapping.users:
            self._on_unused(mapping)

    def _open(self, handle: int) -> Mapping:
        mapping = self._mappings.get(handle)
        if mapping is None or mapping.closing:
            raise ValueError(f"nothing is mapped under {handle}")
        return mapping


class Piece(NamedTuple):
    """Bytes of a frame where the adapter finds them."""

    mapping: Mapping
    ioba: int
    length: int


class Outgoing(NamedTuple):
    """A frame that the device has taken."""

    frame: Frame
    header_address: int
    pieces: tuple[Piece, ...]
    """The header first."""


class FrameLedger:
    """The frames that a device has taken and not completed.

    Parameters
    ----------
    features : Features
        What frames may ask for.
    pool : BufferRing
        Where headers go.
    pool_mapping : Mapping
        Where the adapter finds the pool.
    mappings : MappingTable
        Where payload may lie.
    """

    def __init__(
        self,
        features: Features,
        pool: BufferRing,
        pool_mapping: Mapping,
        mappings: MappingTable,
    ):
        self._features = features
        self._pool = pool
        self._pool_mapping = pool_mapping
        self._mappings = mappings

    @property
    def room(self) -> int:
        """Frames of any kind that can be admitted."""
        return self._pool.room(self._features.maximum_header)

    def check(self, frame: Frame) -> None:
        """Raise `ValueError` if `frame` cannot be sent by this device."""
        check_frame(frame, self._features)
        for fragment in frame.payload:
            self._mappings.resolve(fragment)

    def admit(self, frame: Frame) -> Outgoing | None:
        """Take a frame that `check` found good; None if its header finds no room now."""
        address = self._pool.place(frame.header)
        if address is None:
            return None
        ioba = self._pool_mapping.ioba + address - self._pool_mapping.address
        header = Piece(self._pool_mapping, ioba, len(frame.header))
        pieces = (header, *(self._mappings.resolve(fragment) for fragment in frame.payload))
        for piece in pieces:
            self._mappings.use(piece.mapping)
        return Outgoing(frame, address, pieces)

    def settle(self, outgoing: Outgoing, outcome: FrameOutcome) -> None:
        """End a frame, and tell its user."""
        self._pool.remove(outgoing.header_address)
        for piece in outgoing.pieces:
            self._mappings.release(piece.mapping)
        outgoing.frame.on_complete(outcome)


def check_frame(frame: Frame, features: Features) -> None:
    """Check a frame against what its device does.

    Raises
    ------
    ValueError
        It asks for something else.
    """
    offload = frame.offload
    if not _ETHERNET_HEADER <= len(frame.header) <= features.maximum_header:
        raise ValueError(
            f"header must have {_ETHERNET_HEADER} to {features.maximum_header} bytes,"
            f" not {len(frame.header)}"
        )
    if 1 + len(frame.payload) > features.maximum_fragments:
        raise ValueError(
            f"frame must have at most {features.maximum_fragments} fragments,"
            f" not {1 + len(frame.payload)}"
        )
    missing = features.missing(offload.functions)
    if missing:
        raise ValueError(f"{missing[0]} is not granted to this device")
    if offload.vlan_tag is not None:
        if not features.vlan_insertion:
            raise ValueError("vlan_insertion is not granted to this device")
        if offload.vlan_tag not in range(1 << 16):
            raise ValueError(f"VLAN tag must have 16 bits, not be {offload.vlan_tag:#x}")
    headers = offload.l2_length + offload.l3_length + offload.l4_length
    if headers > LONGEST_HEADERS:
        raise ValueError(f"headers must have at most {LONGEST_HEADERS} bytes, not {headers}")
    if offload.generic is not None and not offload.generic.fits(frame.length):
        raise ValueError(f"{offload.generic} has no place in a frame of {frame.length} bytes")
    if offload.udp_segmentation and not offload.is_super_frame:
        raise ValueError("UDP segmentation needs an MSS")
    if offload.is_super_frame and offload.mss < features.minimum_mss:
        raise ValueError(f"MSS must be at least {features.minimum_mss} bytes, not {offload.mss}")
    on_wire = headers + offload.mss if offload.is_super_frame else frame.length
    if on_wire > features.mtu + _ETHERNET_HEADER + _VLAN_TAG:
        raise ValueError(f"frame of {on_wire} bytes is too long for an MTU of {features.mtu}")
    longest = features.super_frames.of(ipv6=offload.ipv6, udp=offload.udp_segmentation)
    if offload.is_super_frame and frame.length - offload.l2_length > longest:
        raise ValueError(
            f"super-frame must be an IP packet of at most {longest} bytes,"
            f" not {frame.length - offload.l2_length}"
        )
