"""The set-up script against servers that cap, refuse, or answer nonsense."""

import pytest

from byway.sw.functions import AdvancedFunctions, SuperFrameLimits
from byway.sw.hosted.set_up import LoginQueues, SetUpError, Wishes, set_up
from byway.sw.vnic import commands
from byway.sw.vnic.capabilities import Capability
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.ip_offload import IpOffloadControl, IpOffloadQuery
from byway.sw.vnic.login import LoginResponseBuffer

OK, PARTIAL = VnicReturnCode.SUCCESS, VnicReturnCode.PARTIAL_SUCCESS
MAC = bytes((2, 0, 0, 0, 0, 1))

OFFERED = {
    Capability.MAX_TX_QUEUES: 1,
    Capability.MAX_RX_QUEUES: 1,
    Capability.MAX_RX_ADD_QUEUES: 1,
    Capability.MAX_TX_ENTRIES_PER_SUBCRQ: 512,
    Capability.MAX_RX_ADD_ENTRIES_PER_SUBCRQ: 64,
    Capability.TCP_IP_OFFLOAD: 1,
    Capability.MAX_MTU: 9216,
    Capability.VLAN_HEADER_INSERTION: 0,
    Capability.MAX_TX_SG_ENTRIES: 31,
}
RESPONSE = LoginResponseBuffer(
    transmit_submission=(11,),
    receive_add=(12,),
    receive_sizes=(1536,),
    transmit_descriptors=b"\x10",
)


class Server:
    """Answers commands with what a test says, and generously otherwise."""

    exchange_ioba = 0x4000

    def __init__(self, **answers):
        self.answers = answers
        self.buffer = b""
        self.registered = 0
        self.has_ipv6 = False
        self.requests: list[tuple[int, int]] = []
        self.offers = dict(OFFERED)
        self.response = RESPONSE.pack()

    def read(self, length):
        return self.buffer.ljust(4096, b"\0")[:length]

    def write(self, content):
        self.buffer = content

    def register_queues(self, transmit_entries, receive_entries):
        self.registered += 1
        return LoginQueues(1, 2)

    def answer(self, message):
        if type(message).__name__ in self.answers:
            return self.answers[type(message).__name__](self, message)
        match message:
            case commands.VersionExchange():
                return commands.VersionExchangeResponse(1, OK)
            case commands.QueryCapability(number):
                known = Capability(number) in self.offers
                offered = self.offers.get(Capability(number), 0)
                code = OK if known else VnicReturnCode.UNSUPPORTED_OPTION
                return commands.QueryCapabilityResponse(number, offered, code)
            case commands.RequestCapability(capability, number):
                self.requests.append((capability, number))
                return commands.RequestCapabilityResponse(capability, number, OK)
            case commands.QueryIpOffload(length, ioba):
                offer = IpOffloadQuery(
                    checksum_ipv4=True,
                    checksum_tcp=True,
                    large_send_v4=True,
                    checksum_tcp_v6=self.has_ipv6,
                    large_send_v6=self.has_ipv6,
                    maximum_large_send=65535,
                )
                self.buffer = offer.pack()
                return commands.QueryIpOffloadResponse(length, ioba, OK)
            case commands.ControlIpOffload(ioba, length):
                self.control = IpOffloadControl.unpack(self.buffer)
                return commands.ControlIpOffloadResponse(ioba, length, OK)
            case commands.Login():
                self.buffer = self.response
                return commands.LoginResponse(OK)
            case commands.ChangeMacAddress(mac):
                return commands.ChangeMacAddressResponse(mac, OK)
            case commands.GetVpdSize():
                return commands.GetVpdSizeResponse(4, OK)
            case commands.GetVpd():
                self.buffer = b"data"
                return commands.GetVpdResponse(OK)
            case commands.QueryMap():
                return commands.QueryMapResponse(12, 1000, 900, OK)
        raise AssertionError(message)


def run(server: Server, wishes: Wishes | None = None):
    script = set_up(server, wishes or Wishes(), MAC)
    try:
        messages = next(script)
        while True:
            messages = script.send([server.answer(message) for message in messages])
    except StopIteration as end:
        return end.value


def test_what_is_granted_is_the_result():
    server = Server()
    granted = run(server)
    assert (granted.transmit_entries, granted.receive_buffers) == (512, 64)
    assert (granted.maximum_frame, granted.maximum_fragments) == (1514, 31)
    assert (granted.submission, granted.receive_add) == (11, 12)
    assert granted.offloads.functions == AdvancedFunctions(**server.control.functions).functions
    assert not granted.offloads.checksum_udp
    assert granted.vital_product_data == b"data"
    assert server.registered == 1


def test_a_capped_request_is_made_again_with_the_cap():
    def cap(server, message):
        server.requests.append((message.capability, message.number))
        limit = 64 if message.capability == Capability.REQ_TX_ENTRIES_PER_SUBCRQ else 1 << 20
        code = PARTIAL if message.number > limit else OK
        return commands.RequestCapabilityResponse(
            message.capability, min(message.number, limit), code
        )

    server = Server(RequestCapability=cap)
    assert run(server).transmit_entries == 64
    asked = [n for name, n in server.requests if name == Capability.REQ_TX_ENTRIES_PER_SUBCRQ]
    assert asked == [512, 64]


def test_a_server_that_caps_for_ever_is_left():
    def cap(server, message):
        return commands.RequestCapabilityResponse(message.capability, message.number + 1, PARTIAL)

    with pytest.raises(SetUpError, match=r"^REQ_TX_QUEUES was capped 10 times$"):
        run(Server(RequestCapability=cap))


@pytest.mark.parametrize("failures", [1, 9])
def test_a_login_that_fails_partially_is_tried_again(failures):
    attempts = []

    def login(server, message):
        attempts.append(message)
        if len(attempts) <= failures:
            return commands.LoginResponse(PARTIAL)
        server.buffer = server.response
        return commands.LoginResponse(OK)

    server = Server(Login=login)
    assert run(server).submission == 11
    assert server.registered == failures + 1
    assert server.requests.count((Capability.REQ_TX_QUEUES, 1)) == failures + 1


def test_ten_logins_are_enough():
    server = Server(Login=lambda server, message: commands.LoginResponse(PARTIAL))
    with pytest.raises(SetUpError, match=r"^the server gave no queues at 10 logins$"):
        run(server)
    assert server.registered == 10


def test_without_tcp_ip_offload_none_is_asked_for():
    server = Server(QueryIpOffload=None, ControlIpOffload=None)
    server.offers[Capability.TCP_IP_OFFLOAD] = 0
    granted = run(server)
    assert granted.offloads == AdvancedFunctions()
    assert granted.super_frames == SuperFrameLimits()


@pytest.mark.parametrize(
    ("answers", "granted"),
    [
        ({9000: (OK, 9000)}, 9000),
        ({9000: (PARTIAL, 5000), 5000: (OK, 5000)}, 5000),
        ({9000: (PARTIAL, 0)}, 0),
        ({9000: (VnicReturnCode.UNSUPPORTED_OPTION, 0)}, 0),
    ],
)
def test_an_extension_is_used_as_far_as_it_is_granted(answers, granted):
    def answer(server, message):
        capability, number = message.capability, message.number
        if capability == Capability.REQ_UDP_SEGMENTATION:
            code, number = answers[number]
        else:
            code = OK
        return commands.RequestCapabilityResponse(capability, number, code)

    server = Server(RequestCapability=answer)
    server.offers |= {Capability.MAX_UDP_SEGMENTATION: 9000, Capability.MIN_MSS: 100}
    result = run(server)
    assert result.super_frames.udp_segmentation == granted
    assert result.offloads.udp_segmentation == (granted > 0)
    assert result.minimum_mss == 100


def test_an_extension_that_is_capped_for_ever_is_done_without():
    def cap(server, message):
        is_extension = message.capability == Capability.REQ_UDP_SEGMENTATION
        return commands.RequestCapabilityResponse(
            message.capability, message.number, PARTIAL if is_extension else OK
        )

    server = Server(RequestCapability=cap)
    server.offers[Capability.MAX_UDP_SEGMENTATION] = 9000
    assert not run(server).offloads.udp_segmentation


def test_extensions_that_are_not_wished_for_are_not_requested():
    server = Server()
    server.offers[Capability.MAX_UDP_SEGMENTATION] = 9000
    granted = run(server, Wishes(offloads=AdvancedFunctions(checksum_tcp=True)))
    assert granted.super_frames == SuperFrameLimits()
    assert all(capability < 0x8000 for capability, _number in server.requests)


@pytest.mark.parametrize(("offered", "longest"), [(262_144, 262_144), (0, 65_535)])
def test_ipv6_has_a_limit_of_its_own_from_a_server_that_knows_one(offered, longest):
    server = Server()
    server.has_ipv6 = True
    server.offers[Capability.MAX_LARGE_SEND_V6] = offered
    limits = run(server).super_frames
    assert limits == SuperFrameLimits(large_send_v4=65_535, large_send_v6=longest)


def test_offloads_that_the_server_then_refuses_are_not_used():
    def refuse(server, message):
        return commands.ControlIpOffloadResponse(0, 0, VnicReturnCode.UNSUPPORTED_OPTION)

    assert run(Server(ControlIpOffload=refuse)).offloads == AdvancedFunctions()


def test_vital_product_data_are_dispensable():
    def refuse(server, message):
        return commands.GetVpdResponse(VnicReturnCode.INVALID_IOBA)

    assert run(Server(GetVpd=refuse)).vital_product_data == b""


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        (
            {"VersionExchange": lambda s, m: commands.VersionExchangeResponse(1, 4)},
            "version exchange was refused: PARAMETER",
        ),
        (
            {"RequestCapability": lambda s, m: commands.RequestCapabilityResponse(7, 0, 1)},
            "REQ_TX_QUEUES was refused: PARTIAL_SUCCESS",
        ),
        (
            {"QueryIpOffload": lambda s, m: commands.QueryIpOffloadResponse(0, 0, 8)},
            "the query of offloads was refused: INVALID_IOBA",
        ),
        (
            {"Login": lambda s, m: commands.LoginResponse(99)},
            "the login was refused: return code 99",
        ),
        (
            {"ChangeMacAddress": lambda s, m: commands.ChangeMacAddressResponse(MAC, 2)},
            "the address 02:00:00:00:00:01 was refused: PERMISSION",
        ),
    ],
)
def test_a_refusal_is_named(answers, complaint):
    with pytest.raises(SetUpError, match=f"^{complaint}$"):
        run(Server(**answers))


@pytest.mark.parametrize(
    ("response", "complaint"),
    [
        (b"", "login response: the buffer's version must be 1, not 0"),
        (
            LoginResponseBuffer(
                transmit_submission=(),
                receive_add=(12,),
                receive_sizes=(1536,),
                transmit_descriptors=b"\x10",
            ).pack(),
            "the server gave another number of queues than agreed",
        ),
        (
            LoginResponseBuffer(
                transmit_submission=(11,),
                receive_add=(12,),
                receive_sizes=(64,),
                transmit_descriptors=b"\x10",
            ).pack(),
            "receive buffers cannot have 64 bytes",
        ),
    ],
)
def test_a_login_response_that_makes_no_sense_is_named(response, complaint):
    server = Server()
    server.response = response
    with pytest.raises(SetUpError, match=f"^{complaint}$"):
        run(server)


def test_a_server_without_queues_is_left():
    server = Server()
    server.offers[Capability.MAX_RX_QUEUES] = 0
    with pytest.raises(SetUpError, match=r"^MAX_RX_QUEUES is 0: the server has no queue left$"):
        run(server)
