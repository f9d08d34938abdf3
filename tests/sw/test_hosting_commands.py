"""The hosting interface against clients whose commands are wrong or come at a wrong time.

Shown: each is answered with the return code that LoPAR has for it and changes nothing, and another
client's frames go on.
"""

import pytest

from byway.sw.contract.registers import FaultReason
from byway.sw.vnic import commands
from byway.sw.vnic.capabilities import EXTENSIONS, SETTABLE, Capability
from byway.sw.vnic.codes import ErrorCause, VnicReturnCode
from byway.sw.vnic.error_detail import ErrorDetail
from byway.sw.vnic.ip_offload import IpOffloadControl, IpOffloadQuery
from byway.sw.vnic.receive import ReceiveBuffer

OK = VnicReturnCode.SUCCESS
EVERYTHING = IpOffloadControl(**dict.fromkeys(IpOffloadControl().functions, True))
NOWHERE = 0xFFFF_0000
"""An address outside the client's window."""


@pytest.fixture
def machine(share):
    machine = share.machine(clients=2, rings=3)
    yield machine
    share.assert_other_client_sends(machine)


@pytest.fixture
def client(machine, share):
    return share.RawClient(machine)


@pytest.fixture
def user(client):
    """A client that is logged in with every offload."""
    return client.login(control=EVERYTHING)


@pytest.mark.parametrize("code", [0x00, 0x05, 0x0A, 0x14, 0x17, 0x1B, 0x20, 0x7F])
def test_an_unknown_command_is_answered_and_counted(client, machine, code):
    client.ask(bytes((0x80, code)) + bytes(14))
    assert client.received[-1][12] == VnicReturnCode.UNKNOWN_COMMAND
    assert machine.sessions[0].refusals == {(code, VnicReturnCode.UNKNOWN_COMMAND): 1}


def test_a_command_that_only_the_server_sends_is_unknown_from_a_client(client):
    client.ask(commands.LinkStateIndication(1, 1).pack())
    assert client.received[-1][12] == VnicReturnCode.UNKNOWN_COMMAND


def test_a_response_to_nothing_is_not_answered(client, machine):
    client.queue.send(commands.LoginResponse(0).pack())
    machine.manager.dispatch()
    assert not client.received
    assert machine.sessions[0].unanswerable == 1


AFTER_LOGIN = [
    commands.ChangeMacAddress(bytes((2, 0, 0, 0, 0, 9))),
    commands.GetVpdSize(),
    commands.GetVpd(0, 0),
    commands.QueryMap(),
    commands.RequestMap(1, 4096, 4096),
    commands.RequestUnmap(1),
    commands.LogicalLinkState(1),
    commands.RequestStatistics(0, 0, 256),
]
BEFORE_LOGIN = [
    commands.RequestCapability(Capability.REQ_MTU, 1514),
    commands.QueryIpOffload(256, 4096),
    commands.ControlIpOffload(4096, 136),
    commands.Login(4096, 64),
]


def name(message):
    return type(message).__name__


@pytest.mark.parametrize("message", AFTER_LOGIN + BEFORE_LOGIN, ids=name)
def test_nothing_is_answered_before_versions_are_exchanged(client, message):
    client.ask(message)
    assert client.received[-1][12] == VnicReturnCode.INVALID_STATE


@pytest.mark.parametrize("message", AFTER_LOGIN, ids=name)
def test_what_needs_a_login_is_refused_without(client, message):
    client.agree()
    client.ask(message)
    assert client.received[-1][12] == VnicReturnCode.INVALID_STATE


@pytest.mark.parametrize("message", [*BEFORE_LOGIN, commands.VersionExchange(1)], ids=name)
def test_what_was_agreed_cannot_be_changed_after_login(user, message):
    user.ask(message)
    assert user.received[-1][12] == VnicReturnCode.INVALID_STATE
    assert user.ask(commands.QueryCapability(Capability.REQ_MTU)).number == 1514


def test_version_zero_does_not_exist_and_later_versions_are_answered_with_ours(client):
    assert client.ask(commands.VersionExchange(0)).rc == VnicReturnCode.PARAMETER
    answer = client.ask(commands.VersionExchange(7))
    assert (answer.version, answer.rc) == (1, OK)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (commands.QueryIpOffload(255, 4096), VnicReturnCode.INVALID_LENGTH),
        (commands.QueryIpOffload(256, NOWHERE), VnicReturnCode.INVALID_IOBA),
        (commands.ControlIpOffload(4096, 135), VnicReturnCode.INVALID_LENGTH),
        (commands.ControlIpOffload(NOWHERE, 136), VnicReturnCode.INVALID_IOBA),
        (commands.Login(4096, 4097), VnicReturnCode.INVALID_LENGTH),
        (commands.Login(NOWHERE, 48), VnicReturnCode.INVALID_IOBA),
        (commands.Login(4096, 31), VnicReturnCode.PARAMETER),
    ],
)
def test_a_buffer_that_is_not_there_or_not_long_enough_is_refused(client, message, code):
    client.agree()
    client.ask(message)
    assert client.received[-1][12] == code


def test_offloads_are_offered_in_the_clients_own_buffer(client):
    client.agree()
    answer = client.ask(commands.QueryIpOffload(256, client.exchange.ioba))
    assert answer.rc == OK
    query = IpOffloadQuery.unpack(client.read(256))
    assert all(query.functions.values())
    assert query.maximum_large_send == 65535


@pytest.mark.parametrize(
    ("control", "code"),
    [
        (IpOffloadControl(other=True), VnicReturnCode.UNSUPPORTED_OPTION),
        (IpOffloadControl(large_send_v4=True), VnicReturnCode.PARAMETER),
        (IpOffloadControl(large_send_v6=True), VnicReturnCode.PARAMETER),
    ],
)
def test_offloads_that_are_not_offered_or_do_not_fit_together_are_refused(client, control, code):
    client.agree()
    client.write(control.pack())
    command = commands.ControlIpOffload(client.exchange.ioba, IpOffloadControl.SIZE)
    client.ask(command)
    assert client.received[-1][12] == code


def test_extensions_are_granted_by_requests_of_their_own(client):
    assert client.ask(commands.VersionExchange(1)).rc == OK
    limit = client.ask(commands.QueryCapability(Capability.MAX_UDP_SEGMENTATION))
    assert (limit.number, limit.rc) == (65_535, OK)
    assert client.ask(commands.QueryCapability(Capability.MIN_MSS)).number == 64
    for wanted, code, number in (
        (65_536, VnicReturnCode.PARTIAL_SUCCESS, 65_535),
        (1 << 63, VnicReturnCode.PARTIAL_SUCCESS, 65_535),
        (9000, OK, 9000),
        (0, OK, 0),
    ):
        answer = client.ask(commands.RequestCapability(Capability.REQ_UDP_SEGMENTATION, wanted))
        assert (answer.number, answer.rc) == (number, code)
    generic = Capability.CHECKSUM_GENERIC_REQUESTED
    for wanted, code in ((2, VnicReturnCode.PARTIAL_SUCCESS), (1, OK)):
        answer = client.ask(commands.RequestCapability(generic, wanted))
        assert (answer.number, answer.rc) == (1, code)
    for wanted, code in ((262_145, VnicReturnCode.PARTIAL_SUCCESS), (262_144, OK)):
        answer = client.ask(commands.RequestCapability(Capability.REQ_LARGE_SEND_V6, wanted))
        assert (answer.number, answer.rc) == (262_144, code)
    answer = client.ask(commands.RequestCapability(Capability.MIN_MSS, 1))
    assert (answer.number, answer.rc) == (64, VnicReturnCode.PARAMETER)


@pytest.mark.parametrize(
    ("missing", "request_"),
    [*EXTENSIONS.items(), ("large_send_v6", Capability.REQ_LARGE_SEND_V6)],
)
def test_an_extension_that_the_adapter_lacks_is_not_offered(share, missing, request_):
    client = share.RawClient(share.machine(without=(missing,)))
    assert client.ask(commands.VersionExchange(1)).rc == OK
    offer = SETTABLE[request_][1]
    answer = client.ask(commands.QueryCapability(offer))
    assert (answer.number, answer.rc) == (0, OK)
    answer = client.ask(commands.RequestCapability(request_, 1))
    assert (answer.number, answer.rc) == (0, VnicReturnCode.PARTIAL_SUCCESS)


@pytest.mark.parametrize("missing", IpOffloadControl.__dataclass_fields__)
def test_an_offload_that_the_adapter_lacks_is_refused(share, missing):
    if missing == "other":
        return
    machine = share.machine(without=(missing,))
    client = share.RawClient(machine)
    client.agree()
    client.write(EVERYTHING.pack())
    client.ask(commands.ControlIpOffload(client.exchange.ioba, IpOffloadControl.SIZE))
    assert client.received[-1][12] == VnicReturnCode.UNSUPPORTED_OPTION


def try_login(client, **changes):
    buffer = client.login_buffer(**changes).pack()
    client.write(buffer)
    return client.ask(commands.Login(client.exchange.ioba, len(buffer))).rc


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"transmit_completion": ()}, VnicReturnCode.PARAMETER),
        ({"receive_completion": (1, 2)}, VnicReturnCode.PARAMETER),
        ({"response_length": 20}, VnicReturnCode.INVALID_LENGTH),
        ({"response_ioba": NOWHERE}, VnicReturnCode.INVALID_IOBA),
    ],
)
def test_a_login_that_fails_leaves_the_ring_for_the_next(client, machine, changes, code):
    client.agree()
    assert try_login(client, **changes) == code
    assert machine.driver.free_rings == 2
    assert try_login(client) == OK
    assert machine.driver.free_rings == 1


def test_a_login_without_capabilities_is_too_early(client):
    assert client.ask(commands.VersionExchange(1)).rc == OK
    assert try_login(client) == VnicReturnCode.INVALID_STATE


def test_a_login_without_a_ring_left_is_a_partial_success(share):
    machine = share.machine(clients=2)
    late = share.RawClient(machine, 1)
    late.agree()
    share.RawClient(machine, 0).login()
    assert try_login(late) == VnicReturnCode.PARTIAL_SUCCESS
    assert late.ask(commands.QueryCapability(Capability.MAX_TX_QUEUES)).number == 0
    assert machine.sessions[1].path is None
    machine.sessions[0].reset()
    assert try_login(late) == OK


@pytest.mark.parametrize("left", [0, 2, 4, 12, 15])
def test_a_login_without_memory_left_fails_and_leaves_nothing_behind(client, machine, left):
    client.agree()
    memory = machine.hosting.memory
    taken = []
    while True:
        try:
            taken.append(memory.allocate(4096, align=4096))
        except MemoryError:
            break
    for address in taken[:left]:
        memory.free(address)
    for _ in range(3):
        assert try_login(client) == (VnicReturnCode.NO_MEMORY if left < 15 else OK)
        if left == 15:
            break
    assert machine.driver.free_rings == (2 if left < 15 else 1)
    for address in taken[left:]:
        memory.free(address)
    if left < 15:
        assert try_login(client) == OK


@pytest.mark.parametrize(
    ("map_id", "ioba", "length", "code"),
    [
        (1, 4096, 4096, VnicReturnCode.PARAMETER),
        (2, 4096, 0, VnicReturnCode.INVALID_LENGTH),
        (2, 0, 4096, VnicReturnCode.INVALID_IOBA),
        (2, NOWHERE, 4096, VnicReturnCode.INVALID_IOBA),
        (2, 16 * 2**20 - 4096, 8192, VnicReturnCode.INVALID_IOBA),
        (2, 0, 0xFFFF_FFFF, VnicReturnCode.NO_MEMORY),
    ],
)
def test_a_map_of_what_is_not_there_is_refused(user, map_id, ioba, length, code):
    free = user.ask(commands.QueryMap()).free_pages
    assert user.map(map_id, ioba, length) == code
    assert user.ask(commands.QueryMap()).free_pages == free


def test_a_map_with_a_hole_is_refused_and_leaves_nothing_behind(user, machine):
    base = user.window.reserve(3)
    tce = user.memory.address // 4096 * 4096 | 1
    user.end.owner.hcalls.h_put_tce(user.end.liobn, base, tce)
    user.end.owner.hcalls.h_put_tce(user.end.liobn, base + 2 * 4096, tce)
    machine.calls.clear()
    assert user.map(2, base, 3 * 4096) == VnicReturnCode.INVALID_IOBA
    (removal,) = [arguments for _, name, arguments in machine.calls if name == "h_remove_rtce"]
    assert removal[4] == 1
    assert machine.hardware.dma_read(1, removal[3], 1) is None


def test_a_page_is_in_one_map_at_a_time(user):
    assert user.map(2, user.memory.ioba, 4096) == VnicReturnCode.NO_MEMORY
    assert user.ask(commands.RequestUnmap(1)).rc == OK
    assert user.map(2, user.memory.ioba, 4096) == OK


def test_a_map_that_does_not_exist_cannot_be_taken_back(user):
    assert user.ask(commands.RequestUnmap(9)).rc == VnicReturnCode.PARAMETER
    assert user.ask(commands.RequestUnmap(1)).rc == OK
    assert user.ask(commands.RequestUnmap(1)).rc == VnicReturnCode.PARAMETER


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (commands.ChangeMacAddress(bytes(6)), VnicReturnCode.PARAMETER),
        (commands.ChangeMacAddress(b"\x03" + bytes(5)), VnicReturnCode.PARAMETER),
        (commands.ChangeMacAddress(b"\xff" * 6), VnicReturnCode.PARAMETER),
        (commands.LogicalLinkState(2), VnicReturnCode.UNSUPPORTED_OPTION),
        (commands.RequestStatistics(0x80, 4096, 256), VnicReturnCode.UNSUPPORTED_OPTION),
        (commands.RequestStatistics(0, 4096, 255), VnicReturnCode.INVALID_LENGTH),
        (commands.RequestStatistics(0, NOWHERE, 256), VnicReturnCode.INVALID_IOBA),
        (commands.GetVpd(4096, 13), VnicReturnCode.INVALID_LENGTH),
        (commands.GetVpd(NOWHERE, 256), VnicReturnCode.INVALID_IOBA),
    ],
)
def test_a_wrong_parameter_is_refused(user, message, code):
    user.ask(message)
    assert user.received[-1][12] == code


def test_the_detail_of_an_error_is_told_to_who_has_room_for_it(user, machine, share):
    user.end.owner.hcalls.h_put_tce(user.end.liobn, user.memory.ioba, 0)
    user.submit([user.frame(1).pack()])
    (told,) = [commands.decode(element) for element in user.received if element[1] == 8]
    assert told == commands.ErrorIndication(
        0, 1, ErrorDetail.SIZE, ErrorCause.DEVICE_DRIVER_PROBLEM
    )
    place, size = user.exchange.ioba, ErrorDetail.SIZE
    for message, code in (
        (commands.RequestErrorInfo(place, size, 2), VnicReturnCode.PARAMETER),
        (commands.RequestErrorInfo(place, size - 1, 1), VnicReturnCode.INVALID_LENGTH),
        (commands.RequestErrorInfo(NOWHERE, size, 1), VnicReturnCode.INVALID_IOBA),
    ):
        assert user.ask(message).rc == code
    answer = user.ask(commands.RequestErrorInfo(place, size, 1))
    assert answer == commands.RequestErrorInfoResponse(1, size, OK)
    assert ErrorDetail.unpack(user.read(size)) == ErrorDetail(
        reason=FaultReason.READ_DENIED, map_id=1, ioba=user.memory.ioba
    )


def test_an_address_belongs_to_one_client(user, machine, share):
    others = commands.ChangeMacAddress(share.MACS[2])
    assert user.ask(others).rc == VnicReturnCode.PERMISSION
    machine.other = machine.device(1)
    assert user.ask(others).rc == VnicReturnCode.PERMISSION
    new = bytes((2, 0, 0, 0, 0, 0x77))
    assert user.ask(commands.ChangeMacAddress(new)).rc == OK
    user.add_buffers([ReceiveBuffer(1, 1, user.memory.ioba, 2048)])
    machine.driver.receive(new + bytes(54))
    machine.driver.receive(share.MACS[1] + bytes(54))
    assert [completion.length for completion in user.returned()] == [60]
    assert machine.driver.unclaimed == 1
    assert user.ask(commands.ChangeMacAddress(share.MACS[1])).rc == OK


def test_a_client_that_reads_no_responses_harms_itself(user, machine):
    user.end.owner.on_interrupt(user.end.irq, None)  # Its queue is never emptied.
    for _ in range(300):
        user.queue.send(commands.QueryMap().pack())
        machine.manager.dispatch()
    assert len(user.received) < 300
