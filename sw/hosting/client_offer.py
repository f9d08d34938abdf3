"""What a hosted partition is offered: the adapter's capabilities in the words of a virtual NIC.

This is the query of step 630: nothing is offered that the adapter does not have. Scatter/gather and
VLAN tag insertion need no requests of their own, because LoPAR makes their capabilities query-only:
they come with the login. Large send is granted only together with the two checksums it implies; UDP
segmentation, which has a request of its own, brings those it implies with it.

The MTU of a virtual NIC counts the Ethernet header, as Linux has it (LoPAR does not say).
"""

from collections.abc import Callable, Mapping

from byway.sw.functions import IpOffloads, SuperFrameLimits, named_by
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.transmit_request import RingOffloads
from byway.sw.manager.crq_hcalls import MAXIMUM_INDIRECT
from byway.sw.vnic.capabilities import EXTENSIONS, Capability, HeaderDescriptorRequest
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.descriptors import fragments_in
from byway.sw.vnic.ip_offload import IpOffloadControl, IpOffloadQuery

__all__ = ["ClientOffer"]

#: Tells what was granted of a settable capability.
_Granted = Callable[[Capability], int]

_MINIMUM_MTU = 14 + 68
_MINIMUM_ENTRIES, _MAXIMUM_ENTRIES = 64, 2048
_MINIMUM_BUFFERS, _MAXIMUM_BUFFERS = 16, 1024
_CACHE_LINE = 128
_VLAN_TAG = 4


class ClientOffer:
    """The offer to every client of one adapter.

    Parameters
    ----------
    driver : AdapterDriver
        Driver of the adapter.
    """

    def __init__(self, driver: AdapterDriver):
        self._driver = driver
        self._adapter = driver.capabilities

    def capabilities(self) -> Mapping[Capability, int]:
        """Return the value of each query-only capability; those left out are 0."""
        queues = min(self._driver.free_rings, 1)
        wanted = HeaderDescriptorRequest.WANTED | HeaderDescriptorRequest.ETHERNET
        return {
            Capability.MIN_TX_QUEUES: 1,
            Capability.MIN_RX_QUEUES: 1,
            Capability.MIN_RX_ADD_QUEUES: 1,
            Capability.MAX_TX_QUEUES: queues,
            Capability.MAX_RX_QUEUES: 1,
            Capability.MAX_RX_ADD_QUEUES: 1,
            Capability.OPT_TX_COMP_SUB_QUEUES: queues,
            Capability.OPT_RX_COMP_QUEUES: 1,
            Capability.OPT_RX_BUFADD_Q_PER_RX_COMP_Q: 1,
            Capability.MIN_TX_ENTRIES_PER_SUBCRQ: _MINIMUM_ENTRIES,
            Capability.MAX_TX_ENTRIES_PER_SUBCRQ: _MAXIMUM_ENTRIES,
            Capability.OPT_TX_ENTRIES_PER_SUBCRQ: self._driver.ring_entries,
            Capability.MIN_RX_ADD_ENTRIES_PER_SUBCRQ: _MINIMUM_BUFFERS,
            Capability.MAX_RX_ADD_ENTRIES_PER_SUBCRQ: _MAXIMUM_BUFFERS,
            Capability.OPT_RXBA_ENTRIES_PER_SUBCRQ: _MAXIMUM_BUFFERS // 8,
            Capability.TCP_IP_OFFLOAD: int(self.ip_offload() != IpOffloadQuery()),
            Capability.MIN_MTU: _MINIMUM_MTU,
            Capability.MAX_MTU: self._adapter.maximum_frame,
            Capability.VLAN_HEADER_INSERTION: int(self._adapter.offloads.vlan_insertion),
            Capability.MAX_TX_SG_ENTRIES: self._fragments(),
            Capability.TX_RX_DESC_REQ: HeaderDescriptorRequest.every_frame(wanted),
            Capability.MAX_UDP_SEGMENTATION: self._adapter.super_frames.udp_segmentation,
            Capability.MIN_MSS: self._adapter.minimum_mss,
            Capability.CHECKSUM_GENERIC_SUPPORTED: int(self._adapter.offloads.checksum_generic),
            Capability.MAX_LARGE_SEND_V6: self._adapter.super_frames.large_send_v6,
        }

    def ip_offload(self) -> IpOffloadQuery:
        """Return the offloads that the adapter has."""
        return IpOffloadQuery(
            maximum_large_send=self._maximum_large_send,
            **named_by(self._adapter.offloads, IpOffloads),
        )

    def judge(self, wanted: IpOffloadControl) -> VnicReturnCode:
        """Return whether everything `wanted` is offered and fits together."""
        if wanted.other or self._adapter.offloads.missing(wanted):
            return VnicReturnCode.UNSUPPORTED_OPTION
        if wanted.large_send_unchecked:
            return VnicReturnCode.PARAMETER
        return VnicReturnCode.SUCCESS

    def ring_offloads(self, control: IpOffloadControl, granted: _Granted) -> RingOffloads:
        """Return the offloads of the ring of a client that was granted these."""
        return RingOffloads(
            scatter_gather=self._fragments() > 1,
            vlan_insertion=self._adapter.offloads.vlan_insertion,
            **control.functions,
            **{name: granted(capability) > 0 for name, capability in EXTENSIONS.items()},
        )

    def super_frames(self, control: IpOffloadControl, granted: _Granted) -> SuperFrameLimits:
        """Return how long the super-frames of such a client may be."""
        longest = self._maximum_large_send
        longest_v6 = granted(Capability.REQ_LARGE_SEND_V6) or longest
        return SuperFrameLimits(
            large_send_v4=longest if control.large_send_v4 else 0,
            large_send_v6=longest_v6 if control.large_send_v6 else 0,
            udp_segmentation=granted(Capability.REQ_UDP_SEGMENTATION),
        )

    @staticmethod
    def receive_buffer_bytes(mtu: int) -> int:
        """Return the bytes of a receive buffer for frames of `mtu` bytes with a VLAN tag."""
        return -(-(mtu + _VLAN_TAG) // _CACHE_LINE) * _CACHE_LINE

    def vital_product_data(self) -> bytes:
        """Return the firmware level under the keyword by which Linux finds it."""
        level = f"byway {self._adapter.version}".encode()
        return b"RM" + bytes((len(level),)) + level

    @property
    def _maximum_large_send(self) -> int:
        """The limit that QUERY_IP_OFFLOAD tells: one for both versions of IP."""
        limits = self._adapter.super_frames
        return min(filter(None, (limits.large_send_v4, limits.large_send_v6)), default=0)

    def _fragments(self) -> int:
        if not self._adapter.offloads.scatter_gather:
            return 1
        return min(self._adapter.maximum_fragments, fragments_in(MAXIMUM_INDIRECT))
