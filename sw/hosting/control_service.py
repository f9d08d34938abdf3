"""The commands of a client that is logged in: its address, its maps, its link, its statistics.

Source: LoPAR, "VNIC Commands"; the mapping commands from the Linux driver ibmvnic.
"""

from byway.sw.hosting.adapter_driver import AdapterDriver, is_multicast
from byway.sw.hosting.client_memory import ClientMemory
from byway.sw.hosting.client_offer import ClientOffer
from byway.sw.hosting.data_path import DataPath
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.vnic.codes import LinkState, VnicReturnCode
from byway.sw.vnic.commands import (
    ChangeMacAddress,
    ChangeMacAddressResponse,
    GetVpd,
    GetVpdResponse,
    GetVpdSize,
    GetVpdSizeResponse,
    LogicalLinkState,
    LogicalLinkStateResponse,
    Message,
    QueryMap,
    QueryMapResponse,
    RequestMap,
    RequestMapResponse,
    RequestStatistics,
    RequestStatisticsResponse,
    RequestUnmap,
    RequestUnmapResponse,
)
from byway.sw.vnic.statistics import Statistics

__all__ = ["ControlService"]

_PAGE_LOG2 = PAGE_SIZE.bit_length() - 1
_NO_ADDRESS = bytes(6)


class ControlService:
    """One client that is logged in, from its login to its end.

    Parameters
    ----------
    driver : AdapterDriver
        The adapter's driver.
    offer : ClientOffer
        What clients are told of the adapter.
    memory : ClientMemory
        Where the client's buffers are.
    path : DataPath
        What its login gave the client; closed with this.
    mac : bytes
        Station address of the client, until it asks for another.
    """

    def __init__(
        self,
        driver: AdapterDriver,
        offer: ClientOffer,
        memory: ClientMemory,
        path: DataPath,
        mac: bytes,
    ):
        self.path = path
        self._mac = mac
        self._assigned = mac
        self._driver = driver
        self._offer = offer
        self._memory = memory
        driver.attach(self)

    @property
    def mac(self) -> bytes:
        """Station address of the client."""
        return self._mac

    def deliver(self, length: int) -> None:
        """Pass the frame in the driver's receive buffer to the client."""
        destination = self._driver.partition.memory.read(self._driver.receive_buffer, len(self.mac))
        self.path.deliver(length, destination)

    def close(self) -> None:
        """Take back everything that the client had."""
        self._driver.detach(self)
        self.path.close()

    def change_mac_address(self, message: ChangeMacAddress) -> Message | VnicReturnCode:
        """Answer CHANGE_MAC_ADDR."""
        if message.mac == _NO_ADDRESS or is_multicast(message.mac):
            return VnicReturnCode.PARAMETER
        own = (self._mac, self._assigned)
        if message.mac not in own and self._driver.address_in_use(message.mac):
            return VnicReturnCode.PERMISSION
        self._mac = message.mac
        return ChangeMacAddressResponse(message.mac, VnicReturnCode.SUCCESS)

    def get_vpd_size(self, message: GetVpdSize) -> Message:
        """Answer GET_VPD_SIZE."""
        length = len(self._offer.vital_product_data())
        return GetVpdSizeResponse(length, VnicReturnCode.SUCCESS)

    def get_vpd(self, message: GetVpd) -> Message | VnicReturnCode:
        """Answer GET_VPD."""
        data = self._offer.vital_product_data()
        if message.length < len(data):
            return VnicReturnCode.INVALID_LENGTH
        if not self._memory.store(message.ioba, data):
            return VnicReturnCode.INVALID_IOBA
        return GetVpdResponse(VnicReturnCode.SUCCESS)

    def query_map(self, message: QueryMap) -> Message:
        """Answer QUERY_MAP."""
        window = self.path.window
        return QueryMapResponse(
            _PAGE_LOG2, window.total_pages, window.free_pages, VnicReturnCode.SUCCESS
        )

    def request_map(self, message: RequestMap) -> Message:
        """Answer REQUEST_MAP."""
        code = self.path.maps.add(message.map_id, message.ioba, message.length)
        return RequestMapResponse(message.map_id, code)

    def request_unmap(self, message: RequestUnmap) -> Message:
        """Answer REQUEST_UNMAP."""
        code = self.path.maps.remove(message.map_id)
        return RequestUnmapResponse(message.map_id, code)

    def logical_link_state(self, message: LogicalLinkState) -> Message | VnicReturnCode:
        """Answer LOGICAL_LINK_STATE."""
        if message.state in (LinkState.UP, LinkState.DOWN):
            self.path.set_link(message.state == LinkState.UP)
        elif message.state != LinkState.QUERY:
            return VnicReturnCode.UNSUPPORTED_OPTION
        return LogicalLinkStateResponse(int(self.path.link_up), VnicReturnCode.SUCCESS)

    def request_statistics(self, message: RequestStatistics) -> Message | VnicReturnCode:
        """Answer REQUEST_STATISTICS; those of the physical port are not the client's to see."""
        if message.flags:
            return VnicReturnCode.UNSUPPORTED_OPTION
        if message.length < Statistics.SIZE:
            return VnicReturnCode.INVALID_LENGTH
        if not self._memory.store(message.ioba, self.path.statistics.pack()):
            return VnicReturnCode.INVALID_IOBA
        return RequestStatisticsResponse(VnicReturnCode.SUCCESS)
