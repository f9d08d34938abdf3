"""A frame as the adapter wants it: I/O bus addresses, offsets, and nothing about partitions."""

from dataclasses import dataclass
from typing import NamedTuple

from byway.sw.contract.records import ScatterGatherEntry, TransmitDescriptor
from byway.sw.functions import AdvancedFunctions
from byway.sw.generic_checksum import GenericChecksum

__all__ = ["DmaFragment", "RingOffloads", "TransmitRequest", "entries_of"]


def entries_of(fragments: int) -> int:
    """Return how many ring entries a frame of so many fragments takes."""
    return 1 + fragments // 2


class DmaFragment(NamedTuple):
    """Bytes of a frame in the window of its ring."""

    ioba: int
    length: int


@dataclass(frozen=True, kw_only=True)
class RingOffloads(AdvancedFunctions):
    """What the adapter has, or what is granted to a ring.

    Parameters
    ----------
    scatter_gather : bool
        Frames of more than one fragment.
    vlan_insertion : bool
        VLAN tags are inserted.
    """

    scatter_gather: bool = False
    vlan_insertion: bool = False


@dataclass(frozen=True, kw_only=True)
class TransmitRequest:
    """A frame or super-frame for a ring.

    Parameters
    ----------
    fragments : tuple of DmaFragment
        Where its bytes lie, at least one.
    ipv6 : bool
        It is of IPv6, and not of IPv4.
    checksum_ipv4, checksum_tcp, checksum_udp : bool
        Checksums to insert.
    generic : GenericChecksum or None
        A generic checksum to insert; None for none.
    mss : int
        Of a super-frame: payload bytes of each segment but the last; 0 for a single frame.
    udp_segmentation : bool
        The super-frame is of UDP, and not of TCP.
    vlan_tag : int or None
        Tag control information of a VLAN tag to insert; None for no tag.
    ip_offset, l4_offset, header_length : int
        Where the IP and the TCP or UDP header begin, and where the payload does; 0 when nothing
        is to be done.
    """

    fragments: tuple[DmaFragment, ...]
    ipv6: bool = False
    checksum_ipv4: bool = False
    checksum_tcp: bool = False
    checksum_udp: bool = False
    generic: GenericChecksum | None = None
    mss: int = 0
    udp_segmentation: bool = False
    vlan_tag: int | None = None
    ip_offset: int = 0
    l4_offset: int = 0
    header_length: int = 0

    @property
    def entries(self) -> int:
        """Ring entries that the frame takes."""
        return entries_of(len(self.fragments))

    @property
    def length(self) -> int:
        """Bytes of the frame."""
        return sum(fragment.length for fragment in self.fragments)

    def pack(self, correlator: int) -> list[bytes]:
        """Return the ring entries of the frame.

        Raises
        ------
        ValueError
            A value does not fit its field of the descriptor.
        """
        first, further = self.fragments[0], self.fragments[1:]
        start, offset = self.generic or (0, 0)
        descriptor = TransmitDescriptor(
            address=first.ioba,
            fragment_length=first.length,
            fragments=len(self.fragments),
            total_length=self.length,
            mss=self.mss,
            header_length=self.header_length if self.mss else 0,
            ip_offset=self.ip_offset,
            l4_offset=self.l4_offset,
            ipv6=self.ipv6,
            checksum_ipv4=self.checksum_ipv4,
            checksum_tcp=self.checksum_tcp,
            checksum_udp=self.checksum_udp,
            checksum_generic=self.generic is not None,
            checksum_start=start,
            checksum_offset=offset,
            large_send=self.mss > 0 and not self.udp_segmentation,
            udp_segmentation=self.udp_segmentation,
            correlator=correlator,
            insert_vlan=self.vlan_tag is not None,
            vlan_tag=self.vlan_tag or 0,
        )
        entries = [descriptor.pack()]
        for at in range(0, len(further), 2):
            one = further[at]
            two = further[at + 1] if at + 1 < len(further) else DmaFragment(0, 0)
            entry = ScatterGatherEntry(
                first_address=one.ioba,
                first_length=one.length,
                second_address=two.ioba,
                second_length=two.length,
            )
            entries.append(entry.pack())
        return entries
