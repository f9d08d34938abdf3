"""Transmit descriptors and completions of a virtual NIC, as sub-CRQ elements.

The dialect is that of Linux (ibmvnic): an element of type 0x10 opens a frame and holds its first
scatter/gather entry; header descriptors (0x11, continued by 0x12) tell the header lengths; elements
of type 0x30 hold two further entries each. Linux sends a single entry and so leaves the order of
the others open: here header descriptors come before scatter/gather entries.

One flag of this dialect asks for checksums, together with the protocols of the frame: it covers
each checksum that was granted for one of these protocols. LARGE_SEND together with UDP instead of
TCP asks for UDP segmentation, which is an extension; so is the generic checksum, with a flag of its
own and its place in bytes that are reserved in Linux.

All numbers are big-endian. Source: ibmvnic; LoPAR, "Subordinate CRQ Definitions", for completions.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

from byway.sw.generic_checksum import GenericChecksum
from byway.sw.vnic.codes import CRQ_COMMAND

__all__ = [
    "TX_DESCRIPTOR",
    "Malformed",
    "ScatterGatherEntry",
    "TransmitAssembler",
    "TransmitFlag",
    "TransmitFrame",
    "elements_of",
    "fragments_in",
    "pack_completions",
    "unpack_completions",
]

TX_DESCRIPTOR = 0x10
"""Type of the element that opens a frame, as announced at login."""

_HEADER_DESCRIPTOR = 0x11
_HEADER_EXTENSION = 0x12
_SCATTER_GATHER = 0x30
#: Second flag byte of a transmit descriptor.
_INSERT_VLAN, _CHECKSUM_GENERIC = 0x80, 0x01
_HEADER_FLAG_ETHERNET = 0x80

_TRANSMIT = struct.Struct(">BBBBBBHHHIHHIQ")
_HEADER = struct.Struct(">BBBBHBB24s")
_GATHER = struct.Struct(">BBHIQ2xHIQ")
_COMPLETION = struct.Struct(">BB5H5I")
_COMPLETIONS_PER_ELEMENT = 5
#: Place of the correlator among the numbers of a transmit descriptor.
_CORRELATOR = 9


class TransmitFlag(IntFlag):
    """First flag byte of a transmit descriptor."""

    COMPLETION = 0x80
    CHECKSUM = 0x40
    LARGE_SEND = 0x20
    TCP = 0x10
    UDP = 0x08
    IPV4 = 0x04
    IPV6 = 0x02
    VLAN_PRESENT = 0x01


class ScatterGatherEntry(NamedTuple):
    """Bytes of a frame in the client's window, and the map they belong to."""

    map_id: int
    ioba: int
    length: int


@dataclass(frozen=True, kw_only=True)
class TransmitFrame:
    """A frame or super-frame as its client describes it.

    Parameters
    ----------
    correlator : int
        Comes back in the completion.
    flags : TransmitFlag
        What is asked for, and the protocols of the frame.
    vlan_tag : int or None
        Tag control information of a VLAN tag to insert; None for no tag.
    generic : GenericChecksum or None
        A generic checksum to insert; None for none.
    mss : int
        Payload bytes of each segment or datagram but the last, with LARGE_SEND.
    l2_length, l3_length, l4_length : int
        Header lengths in bytes; 0 when there was no header descriptor.
    ethernet_header : bytes
        What the client says the Ethernet header is: good for counting, not for deciding.
    entries : tuple of ScatterGatherEntry
        Where the bytes lie, at least one.
    """

    correlator: int
    flags: TransmitFlag
    vlan_tag: int | None = None
    generic: GenericChecksum | None = None
    mss: int = 0
    l2_length: int = 0
    l3_length: int = 0
    l4_length: int = 0
    ethernet_header: bytes = b""
    entries: tuple[ScatterGatherEntry, ...]

    @property
    def length(self) -> int:
        """Bytes of the frame."""
        return sum(entry.length for entry in self.entries)

    def pack(self) -> list[bytes]:
        """Return the elements of the frame: as many as `elements_of` says."""
        first, further = self.entries[0], self.entries[1:]
        flags2 = 0 if self.vlan_tag is None else _INSERT_VLAN
        flags2 |= 0 if self.generic is None else _CHECKSUM_GENERIC
        elements = [
            _TRANSMIT.pack(
                CRQ_COMMAND,
                TX_DESCRIPTOR,
                elements_of(len(self.entries)),
                len(self.entries),
                self.flags,
                flags2,
                self.mss,
                *(self.generic or (0, 0)),
                self.correlator,
                self.vlan_tag or 0,
                first.map_id,
                first.length,
                first.ioba,
            ),
            _HEADER.pack(
                CRQ_COMMAND,
                _HEADER_DESCRIPTOR,
                len(self.ethernet_header),
                self.l2_length,
                self.l3_length,
                self.l4_length,
                _HEADER_FLAG_ETHERNET,
                self.ethernet_header,
            ),
        ]
        for at in range(0, len(further), 2):
            one = further[at]
            two = further[at + 1] if at + 1 < len(further) else ScatterGatherEntry(0, 0, 0)
            elements.append(
                _GATHER.pack(
                    CRQ_COMMAND,
                    _SCATTER_GATHER,
                    one.map_id,
                    one.length,
                    one.ioba,
                    two.map_id,
                    two.length,
                    two.ioba,
                )
            )
        return elements


@dataclass(frozen=True)
class Malformed:
    """Elements that make no frame.

    Parameters
    ----------
    correlator : int or None
        Of the descriptor that opened the frame; None when no descriptor did.
    """

    correlator: int | None


def elements_of(fragments: int) -> int:
    """Return how many elements a frame of so many fragments takes."""
    return 2 + fragments // 2


def fragments_in(elements: int) -> int:
    """Return the most fragments that a frame of so many elements describes."""
    return 2 * (elements - 2) + 1


class TransmitAssembler:
    """Puts frames together from elements; a frame that is not well-formed costs no other."""

    def __init__(self):
        self._elements: list[bytes] = []

    def feed(self, element: bytes) -> list[TransmitFrame | Malformed]:
        """Take one element; return what it ended: mostly nothing or a frame."""
        ended: list[TransmitFrame | Malformed] = []
        if element[1] == TX_DESCRIPTOR:
            if self._elements:
                ended.append(Malformed(_TRANSMIT.unpack(self._elements[0])[_CORRELATOR]))
            self._elements = [element]
        elif self._elements:
            self._elements.append(element)
        else:
            return [Malformed(None)]
        announced = self._elements[0][2]
        if len(self._elements) >= announced:
            ended.append(_assemble(self._elements))
            self._elements = []
        return ended


def _assemble(elements: Sequence[bytes]) -> TransmitFrame | Malformed:
    opening, *rest = elements
    _, _, announced, count, flags1, flags2, mss, *place, correlator, tag, map_id, length, ioba = (
        _TRANSMIT.unpack(opening)
    )
    headers = [element for element in rest if element[1] == _HEADER_DESCRIPTOR]
    extensions = [element for element in rest if element[1] == _HEADER_EXTENSION]
    gathers = [element for element in rest if element[1] == _SCATTER_GATHER]
    well_formed = (
        announced == len(elements)
        and rest == headers + extensions + gathers
        and len(headers) <= 1
        and (headers or not extensions)
        and count >= 1
        and len(gathers) == count // 2
    )
    if not well_formed:
        return Malformed(correlator)
    entries = [ScatterGatherEntry(map_id, ioba, length)]
    for gather in gathers:
        _, _, map1, length1, ioba1, map2, length2, ioba2 = _GATHER.unpack(gather)
        entries.append(ScatterGatherEntry(map1, ioba1, length1))
        entries.append(ScatterGatherEntry(map2, ioba2, length2))
    l2 = l3 = l4 = 0
    data = b""
    if headers:
        _, _, data_length, l2, l3, l4, _, data = _HEADER.unpack(headers[0])
        data = data[: min(data_length, l2)]
    return TransmitFrame(
        correlator=correlator,
        flags=TransmitFlag(flags1),
        vlan_tag=tag if flags2 & _INSERT_VLAN else None,
        generic=GenericChecksum(*place) if flags2 & _CHECKSUM_GENERIC else None,
        mss=mss,
        l2_length=l2,
        l3_length=l3,
        l4_length=l4,
        ethernet_header=data,
        entries=tuple(entries[:count]),
    )


def pack_completions(completions: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return the elements that carry pairs of return code and correlator, five to an element."""
    elements: list[bytes] = []
    for at in range(0, len(completions), _COMPLETIONS_PER_ELEMENT):
        pairs = list(completions[at : at + _COMPLETIONS_PER_ELEMENT])
        count = len(pairs)
        pairs += [(0, 0)] * (_COMPLETIONS_PER_ELEMENT - count)
        codes = (code for code, _ in pairs)
        correlators = (correlator for _, correlator in pairs)
        elements.append(_COMPLETION.pack(CRQ_COMMAND, count, *codes, *correlators))
    return elements


def unpack_completions(element: bytes) -> list[tuple[int, int]]:
    """Return the pairs of return code and correlator in an element; none if its count is wrong."""
    _, count, *values = _COMPLETION.unpack(element)
    if not 1 <= count <= _COMPLETIONS_PER_ELEMENT:
        return []
    half = _COMPLETIONS_PER_ELEMENT
    return list(zip(values[:count], values[half : half + count], strict=True))
