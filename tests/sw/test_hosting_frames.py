"""The hosting interface against clients with wrong frames, buffers and queues, and dead clients.

Shown: each wrong descriptor comes back with its return code and costs no other frame; what a client
had is taken back when it ends; whatever one client does, another client's frames go on.
"""

import random

import pytest

from byway.sw.hosted.set_up import Wishes
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic import commands
from byway.sw.vnic.codes import VnicReturnCode
from byway.sw.vnic.descriptors import ScatterGatherEntry, TransmitFlag, elements_of
from byway.sw.vnic.ip_offload import IpOffloadControl
from byway.sw.vnic.receive import ReceiveBuffer

OK = VnicReturnCode.SUCCESS
EVERYTHING = IpOffloadControl(**dict.fromkeys(IpOffloadControl().functions, True))


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
