"""The hosting interface against clients that are wrong, malicious or dead.

Shown: each wrong command or descriptor is answered with the return code that LoPAR has for it, it
changes nothing, and the next good frame goes out; whatever one client does, another client's frames
go on.
"""

import random

import pytest

from byway.sw.hosted.set_up import Wishes
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.stack.network_device import Frame, FrameOutcome
from byway.sw.vnic import commands
from byway.sw.vnic.capabilities import Capability
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.descriptors import ScatterGatherEntry, TransmitFlag, elements_of
from byway.sw.vnic.ip_offload import IpOffloadControl, IpOffloadQuery
from byway.sw.vnic.receive import ReceiveBuffer

OK = VnicReturnCode.SUCCESS
EVERYTHING = IpOffloadControl(
    checksum_ipv4=True, checksum_tcp=True, checksum_udp=True, large_send_v4=True
)
TCP = TransmitFlag.COMPLETION | TransmitFlag.CHECKSUM | TransmitFlag.IPV4 | TransmitFlag.TCP
NOWHERE = 0xFFFF_0000
"""An address outside the client's window."""


def assert_other_client_sends(machine, share):
    """The second client gets what it pays for."""
    outcomes: list[FrameOutcome] = []
    before = len(machine.model.wire)
    if not hasattr(machine, "other"):
        machine.other = machine.device(1)
    machine.other.transmit([Frame(share.header(0), on_complete=outcomes.append)])
    machine.manager.dispatch()
    assert outcomes == [FrameOutcome.SENT]
    assert len(machine.model.wire) == before + 1


@pytest.fixture
def machine(share):
    machine = share.machine(clients=2, rings=3)
    yield machine
    assert_other_client_sends(machine, share)


@pytest.fixture
def client(machine, share):
    return share.RawClient(machine)


@pytest.fixture
def user(client):
    """A client that is logged in with every offload."""
    return client.login(control=EVERYTHING)


# Commands


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
    assert query.large_send_v4
    assert query.maximum_large_send == 65535


@pytest.mark.parametrize(
    ("control", "code"),
    [
        (IpOffloadControl(other=True), VnicReturnCode.UNSUPPORTED_OPTION),
        (IpOffloadControl(large_send_v4=True), VnicReturnCode.PARAMETER),
    ],
)
def test_offloads_that_are_not_offered_or_do_not_fit_together_are_refused(client, control, code):
    client.agree()
    client.write(control.pack())
    command = commands.ControlIpOffload(client.exchange.ioba, IpOffloadControl.SIZE)
    client.ask(command)
    assert client.received[-1][12] == code


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


def test_an_address_belongs_to_one_client(user, machine, share):
    machine.other = machine.device(1)
    answer = user.ask(commands.ChangeMacAddress(share.MACS[2]))
    assert answer.rc == VnicReturnCode.PERMISSION
    new = bytes((2, 0, 0, 0, 0, 0x77))
    assert user.ask(commands.ChangeMacAddress(new)).rc == OK
    user.add_buffers([ReceiveBuffer(1, 1, user.memory.ioba, 2048)])
    machine.driver.receive(new + bytes(54))
    machine.driver.receive(share.MACS[1] + bytes(54))
    assert [completion.length for completion in user.returned()] == [60]
    assert machine.driver.unclaimed == 1


def test_a_client_that_reads_no_responses_harms_itself(user, machine):
    user.end.owner.on_interrupt(user.end.irq, None)  # Its queue is never emptied.
    for _ in range(300):
        user.queue.send(commands.QueryMap().pack())
        machine.manager.dispatch()
    assert len(user.received) < 300


# Frames


def test_a_good_frame_goes_out(user, machine, share):
    assert user.submit([user.frame(5).pack()]) is ReturnCode.H_SUCCESS
    assert user.completions() == [(OK, 5)]
    assert machine.model.wire == [(1, share.header(6) + bytes(6))]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"entries": (ScatterGatherEntry(9, 0x10000, 60),)}, VnicReturnCode.INVALID_IOBA),
        ({"entries": (ScatterGatherEntry(1, 4096, 60),)}, VnicReturnCode.INVALID_IOBA),
        ({"entries": (ScatterGatherEntry(1, 1 << 63, 60),)}, VnicReturnCode.INVALID_IOBA),
        ({"entries": (ScatterGatherEntry(1, 0, 1514),)}, VnicReturnCode.INVALID_IOBA),
        ({"insert_vlan": True}, VnicReturnCode.UNSUPPORTED_OPTION),
        (
            {"flags": TCP | TransmitFlag.IPV6, "l2_length": 14, "l3_length": 40},
            VnicReturnCode.UNSUPPORTED_OPTION,
        ),
        ({"flags": TCP & ~TransmitFlag.IPV4}, VnicReturnCode.PARAMETER),
        ({"flags": TCP | TransmitFlag.LARGE_SEND}, VnicReturnCode.PARAMETER),
        (
            {"flags": (TCP & ~TransmitFlag.TCP) | TransmitFlag.LARGE_SEND, "mss": 1448},
            VnicReturnCode.PARAMETER,
        ),
        (
            {"flags": TCP | TransmitFlag.LARGE_SEND, "mss": 1500, "l2_length": 14},
            VnicReturnCode.PARAMETER,
        ),
        (
            {
                "flags": TCP | TransmitFlag.LARGE_SEND,
                "mss": 1500,
                "l2_length": 14,
                "l3_length": 20,
                "l4_length": 20,
            },
            VnicReturnCode.INVALID_LENGTH,
        ),
        (
            {"flags": TCP, "l2_length": 250, "l3_length": 6, "l4_length": 20},
            VnicReturnCode.PARAMETER,
        ),
        ({"flags": TCP, "l2_length": 15, "l3_length": 20}, VnicReturnCode.PARAMETER),
        (
            {"flags": TCP | TransmitFlag.UDP, "l2_length": 14, "l3_length": 20},
            VnicReturnCode.PARAMETER,
        ),
    ],
)
def test_a_wrong_frame_is_told_in_its_completion(user, machine, changes, code):
    good = user.frame(2)
    assert user.submit([user.frame(1, **changes).pack(), good.pack()]) is ReturnCode.H_SUCCESS
    assert sorted(user.completions(), key=lambda pair: pair[1]) == [(code, 1), (OK, 2)]
    assert len(machine.model.wire) == 1


def gather(user, *lengths):
    return tuple(ScatterGatherEntry(1, user.memory.ioba + 64 * n, k) for n, k in enumerate(lengths))


@pytest.mark.parametrize(
    ("lengths", "code"),
    [
        ((13,), VnicReturnCode.INVALID_LENGTH),
        ((60, 0), VnicReturnCode.INVALID_LENGTH),
        ((1515,), VnicReturnCode.INVALID_LENGTH),
        ((20,) * 32, VnicReturnCode.PARAMETER),
        ((20,) * 31, VnicReturnCode.SUCCESS),
    ],
)
def test_lengths_and_fragments_have_limits(user, lengths, code):
    frame = user.frame(1, entries=gather(user, *lengths))
    assert len(frame.pack()) == elements_of(len(lengths))
    user.submit([frame.pack()])
    assert user.completions() == [(code, 1)]


@pytest.mark.parametrize(
    ("flags", "control"),
    [
        (TCP, IpOffloadControl(checksum_ipv4=True)),
        (TCP & ~TransmitFlag.TCP, IpOffloadControl(checksum_tcp=True)),
        (TCP & ~TransmitFlag.TCP | TransmitFlag.UDP, IpOffloadControl(checksum_tcp=True)),
        (TCP | TransmitFlag.LARGE_SEND, IpOffloadControl(checksum_ipv4=True, checksum_tcp=True)),
    ],
)
def test_an_offload_that_was_not_granted_is_not_given(client, machine, flags, control):
    user = client.login(control=control)
    changes = {"mss": 1448, "l2_length": 14, "l3_length": 20, "l4_length": 20}
    user.submit([user.frame(1, flags=flags, **changes).pack()])
    assert user.completions() == [(VnicReturnCode.UNSUPPORTED_OPTION, 1)]
    assert not machine.model.wire


def test_offloads_start_off(client, machine):
    user = client.login()
    user.submit([user.frame(1, flags=TCP, l2_length=14, l3_length=20, l4_length=20).pack()])
    assert user.completions() == [(VnicReturnCode.UNSUPPORTED_OPTION, 1)]


def test_a_checksum_covers_what_was_granted_of_the_protocols_named(client, machine):
    user = client.login(control=IpOffloadControl(checksum_tcp=True))
    user.submit([user.frame(1, flags=TCP, l2_length=14, l3_length=20, l4_length=20).pack()])
    assert user.completions() == [(OK, 1)]
    (_, frame) = machine.model.wire[0]
    assert frame[24:26] == bytes(2)
    assert frame[50:52] != bytes(2)


def test_a_completion_that_is_not_wanted_is_sent_only_for_errors(user):
    quiet = user.frame(1, flags=TransmitFlag(0))
    wrong = user.frame(2, flags=TransmitFlag(0), entries=(ScatterGatherEntry(9, 0, 60),))
    user.submit([quiet.pack(), wrong.pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_IOBA, 2)]


def test_no_frame_leaves_while_the_link_is_down(user, machine):
    assert user.ask(commands.LogicalLinkState(0)).state == 0
    user.submit([user.frame(1).pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_STATE, 1)]
    assert user.ask(commands.LogicalLinkState(0xFF)).state == 0
    assert not machine.model.wire


def test_elements_that_make_no_frame_are_counted_and_the_next_frame_goes_out(user, machine):
    stray = user.frame(1).pack()[1]
    cut_short = user.frame(2, entries=gather(user, 20, 20, 20)).pack()[:1]
    user.submit([[stray], cut_short, user.frame(3).pack()])
    assert user.completions() == [(VnicReturnCode.PARAMETER, 2), (OK, 3)]
    assert machine.sessions[0].path.malformed_elements == 1


def test_memory_that_the_client_takes_back_without_asking_is_not_sent(user, machine):
    for page in range(0, user.memory.length, 4096):
        code = user.end.owner.hcalls.h_put_tce(user.end.liobn, user.memory.ioba + page, 0)
        assert code is ReturnCode.H_SUCCESS
    user.submit([user.frame(1).pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_IOBA, 1)]
    assert machine.driver.faults == {1: 1}
    assert not machine.model.wire


def test_memory_that_is_only_received_into_is_not_sent(user, machine):
    memory = user.window.allocate(4096, write=True)
    assert user.map(2, memory.ioba, 4096) == OK
    entry = ScatterGatherEntry(2, memory.ioba, 60)
    user.submit([user.frame(1, entries=(entry,)).pack()])
    assert user.completions() == [(VnicReturnCode.INVALID_IOBA, 1)]


def test_completions_that_the_client_never_reads_are_lost_to_it_alone(user, machine):
    for correlator in range(700):
        user.submit([user.frame(correlator).pack()])
    assert machine.sessions[0].path.completions_lost == 700 - 128
    assert len(machine.model.wire) == 700
    assert len(user.completions()) == 128


def test_one_client_cannot_name_the_queues_of_another(user, machine, share):
    machine.other = machine.device(1)
    handle = machine.other.granted.submission
    element = user.frame(1).pack()[:1]
    assert user.sender.send(handle, [element])[0] is ReturnCode.H_PARAMETER


# Receiving


def receive(machine, share, length=60):
    machine.driver.receive(share.MACS[1] + bytes(length - 6))


@pytest.mark.parametrize(
    ("buffer", "code"),
    [
        ((9, 0, 2048), VnicReturnCode.INVALID_IOBA),
        ((1, 64 * 1024 - 2047, 2048), VnicReturnCode.INVALID_IOBA),
        ((1, -4096, 2048), VnicReturnCode.INVALID_IOBA),
        ((1, 0, 59), VnicReturnCode.INVALID_LENGTH),
    ],
)
def test_a_receive_buffer_that_cannot_be_used_is_given_back(user, machine, share, buffer, code):
    map_id, offset, length = buffer
    user.add_buffers([ReceiveBuffer(7, map_id, user.memory.ioba + offset, length)])
    receive(machine, share)
    (back,) = user.returned()
    assert (back.correlator, back.length, back.rc) == (7, 0, code)
    assert machine.sessions[0].path.refused_buffers == 1
    user.add_buffers([ReceiveBuffer(8, 1, user.memory.ioba, 2048)])
    receive(machine, share)
    assert [(back.correlator, back.length) for back in user.returned()] == [(8, 60)]


def test_more_buffers_than_agreed_are_given_back(user, machine, share):
    user.add_buffers([ReceiveBuffer(n, 1, user.memory.ioba, 2048) for n in range(20)])
    receive(machine, share)
    back = user.returned()
    assert [one.rc for one in back[:4]] == [VnicReturnCode.NO_MEMORY] * 4
    assert (back[4].correlator, back[4].length) == (0, 60)


def test_a_buffer_whose_memory_is_gone_costs_its_frame(user, machine, share):
    user.add_buffers([ReceiveBuffer(n, 1, user.memory.ioba + 4096 * n, 2048) for n in range(2)])
    user.end.owner.hcalls.h_put_tce(user.end.liobn, user.memory.ioba, 0)
    receive(machine, share)
    receive(machine, share)
    codes = [(back.correlator, back.rc) for back in user.returned()]
    assert codes == [(0, VnicReturnCode.INVALID_IOBA), (1, OK)]


def test_without_a_buffer_or_a_link_a_frame_is_dropped(user, machine, share):
    receive(machine, share)
    assert machine.sessions[0].path.statistics.no_receive_buffer == 1
    user.ask(commands.LogicalLinkState(0))
    user.add_buffers([ReceiveBuffer(1, 1, user.memory.ioba, 2048)])
    receive(machine, share)
    assert not user.returned()


# The end of a client


def test_a_client_that_deregisters_keeps_nothing_and_may_come_again(user, machine, share):
    (clone,) = [arguments[3] for _, name, arguments in machine.calls if name == "h_put_rtce"]
    assert machine.hardware.dma_read(1, clone, 1) is not None
    assert user.queue.close() is ReturnCode.H_SUCCESS
    assert machine.hardware.dma_read(1, clone, 1) is None
    machine.manager.dispatch()
    assert machine.sessions[0].path is None
    assert machine.driver.free_rings == 2
    receive(machine, share)
    assert machine.driver.unclaimed == 1
    again = machine.device(0, Wishes(receive_buffers=16))
    assert again.link_up


def test_a_client_that_initialises_again_begins_anew(user, machine):
    user.queue.send(b"\xc0\x01".ljust(16, b"\0"))
    machine.manager.dispatch()
    assert machine.sessions[0].path is None
    assert machine.driver.free_rings == 2
    assert user.ask(commands.VersionExchange(1)).rc == OK


@pytest.mark.parametrize("seed", range(4))
def test_random_elements_on_every_queue_stop_nobody(user, machine, share, seed):
    generator = random.Random(seed)
    response = user.login_response
    good = [user.frame(n, entries=gather(user, 30, 30)).pack() for n in range(4)]
    for _ in range(300):
        choice = generator.randrange(4)
        if choice == 0:
            kind = generator.choice((0x80, 0x80, 0x80, 0xC0, 0xA5))
            element = bytes((kind, generator.randrange(0x24))) + generator.randbytes(14)
            if kind != 0xC0 or element[1] != 1:
                user.queue.send(element)
        elif choice == 1:
            user.sender.send(response.receive_add[0], [[b"\x80" + generator.randbytes(31)]])
        elif choice == 2:
            kind = generator.choice((0x10, 0x11, 0x12, 0x30, 0x77))
            element = bytes((0x80, kind, generator.randrange(4))) + generator.randbytes(29)
            user.sender.send(response.transmit_submission[0], [[element]])
        else:
            frame = generator.choice(good)
            mixed = [bytearray(element) for element in frame]
            mixed[generator.randrange(len(mixed))][generator.randrange(2, 32)] ^= 1 << (
                generator.randrange(8)
            )
            user.sender.send(response.transmit_submission[0], [[bytes(one) for one in mixed]])
        if generator.randrange(3) == 0:
            receive(machine, share)
            machine.manager.dispatch()
            user.completions()
            user.returned()
    machine.manager.dispatch()
    assert all(ring == 1 for ring, _ in machine.model.wire), f"seed {seed}"
