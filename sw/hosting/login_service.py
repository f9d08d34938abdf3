"""The commands of a client up to its login: capabilities, offloads, the login itself.

A login that fails leaves everything as it was, so that the client can release its queues and try
again; PARTIAL_SUCCESS says that the ring it was offered has gone to another client.

Source: LoPAR, "VNIC Capabilities", "TCP, UDP, and IP Offload Support", "Login Support".
"""

from collections.abc import Callable

from byway.sw.hosting.client_memory import ClientMemory
from byway.sw.hosting.client_offer import ClientOffer
from byway.sw.hosting.data_path import Agreement, DataPath
from byway.sw.vnic.capabilities import Capability, Negotiation
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.commands import (
    ControlIpOffload,
    ControlIpOffloadResponse,
    Login,
    LoginResponse,
    Message,
    QueryCapability,
    QueryCapabilityResponse,
    QueryIpOffload,
    QueryIpOffloadResponse,
    RequestCapability,
    RequestCapabilityResponse,
)
from byway.sw.vnic.descriptors import TX_DESCRIPTOR
from byway.sw.vnic.ip_offload import IpOffloadControl, IpOffloadQuery
from byway.sw.vnic.login import LoginBuffer, LoginResponseBuffer

__all__ = ["LoginService"]

_NEEDED = (
    Capability.REQ_TX_QUEUES,
    Capability.REQ_RX_QUEUES,
    Capability.REQ_RX_ADD_QUEUES,
    Capability.REQ_TX_ENTRIES_PER_SUBCRQ,
    Capability.REQ_RX_ADD_ENTRIES_PER_SUBCRQ,
    Capability.REQ_MTU,
)
"""What a client must have been granted to log in."""


class LoginService:
    """One client's way to its login; a new one for each connection.

    Parameters
    ----------
    offer : ClientOffer
        What there is to have.
    memory : ClientMemory
        Where the client's buffers are.
    make_path : callable
        Makes the data path of a client that has agreed; raises LookupError if no ring is left.

    Attributes
    ----------
    path : DataPath or None
        What the client has, once it is logged in.
    """

    def __init__(
        self,
        offer: ClientOffer,
        memory: ClientMemory,
        make_path: Callable[[Agreement], DataPath],
    ):
        self.path: DataPath | None = None
        self._offer = offer
        self._memory = memory
        self._make_path = make_path
        self._negotiation = Negotiation(offer.capabilities)
        self._control = IpOffloadControl()

    def query_capability(self, message: QueryCapability) -> Message:
        """Answer QUERY_CAPABILITY."""
        code, number = self._negotiation.query(message.capability)
        return QueryCapabilityResponse(message.capability, number, code)

    def request_capability(self, message: RequestCapability) -> Message:
        """Answer REQUEST_CAPABILITY."""
        code, number = self._negotiation.request(message.capability, message.number)
        return RequestCapabilityResponse(message.capability, number, code)

    def query_ip_offload(self, message: QueryIpOffload) -> Message | VnicReturnCode:
        """Answer QUERY_IP_OFFLOAD."""
        if message.length < IpOffloadQuery.SIZE:
            return VnicReturnCode.INVALID_LENGTH
        if not self._memory.store(message.ioba, self._offer.ip_offload().pack()):
            return VnicReturnCode.INVALID_IOBA
        return QueryIpOffloadResponse(message.length, message.ioba, VnicReturnCode.SUCCESS)

    def control_ip_offload(self, message: ControlIpOffload) -> Message | VnicReturnCode:
        """Answer CONTROL_IP_OFFLOAD."""
        if message.length != IpOffloadControl.SIZE:
            return VnicReturnCode.INVALID_LENGTH
        content = self._memory.fetch(message.ioba, message.length)
        if content is None:
            return VnicReturnCode.INVALID_IOBA
        control = IpOffloadControl.unpack(content)
        code = self._offer.judge(control)
        if code is not VnicReturnCode.SUCCESS:
            return code
        self._control = control
        return ControlIpOffloadResponse(message.ioba, message.length, code)

    def login(self, message: Login) -> Message | VnicReturnCode:
        """Answer LOGIN."""
        if message.length > self._memory.maximum:
            return VnicReturnCode.INVALID_LENGTH
        content = self._memory.fetch(message.ioba, message.length)
        if content is None:
            return VnicReturnCode.INVALID_IOBA
        try:
            login = LoginBuffer.unpack(content)
        except ValueError:
            return VnicReturnCode.PARAMETER
        granted = self._negotiation.granted
        if not all(granted(needed) for needed in _NEEDED):
            return VnicReturnCode.INVALID_STATE
        brought = (len(login.transmit_completion), len(login.receive_completion))
        if brought != (granted(Capability.REQ_TX_QUEUES), granted(Capability.REQ_RX_QUEUES)):
            return VnicReturnCode.PARAMETER
        try:
            path = self._make_path(self._agreement(login))
        except LookupError:
            return VnicReturnCode.PARTIAL_SUCCESS
        except MemoryError:
            return VnicReturnCode.NO_MEMORY
        code = self._respond(login, path)
        if code is not VnicReturnCode.SUCCESS:
            path.close()
            return code
        self.path = path
        return LoginResponse(code)

    def _agreement(self, login: LoginBuffer) -> Agreement:
        granted = self._negotiation.granted
        return Agreement(
            transmit_entries=granted(Capability.REQ_TX_ENTRIES_PER_SUBCRQ),
            receive_entries=granted(Capability.REQ_RX_ADD_ENTRIES_PER_SUBCRQ),
            maximum_frame=granted(Capability.REQ_MTU),
            offloads=self._offer.ring_offloads(self._control, granted),
            super_frames=self._offer.super_frames(self._control, granted),
            transmit_completion=login.transmit_completion[0],
            receive_completion=login.receive_completion[0],
        )

    def _respond(self, login: LoginBuffer, path: DataPath) -> VnicReturnCode:
        mtu = self._negotiation.granted(Capability.REQ_MTU)
        response = LoginResponseBuffer(
            transmit_submission=(path.transmit_handle,),
            receive_add=(path.receive_handle,),
            receive_sizes=(self._offer.receive_buffer_bytes(mtu),),
            transmit_descriptors=bytes((TX_DESCRIPTOR,)),
        ).pack()
        if len(response) > login.response_length:
            return VnicReturnCode.INVALID_LENGTH
        if not self._memory.store(login.response_ioba, response):
            return VnicReturnCode.INVALID_IOBA
        return VnicReturnCode.SUCCESS
