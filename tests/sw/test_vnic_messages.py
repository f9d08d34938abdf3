"""VNIC messages, buffers and descriptors stand where LoPAR and ibmvnic put them."""

import contextlib
import dataclasses
import random

import pytest

from byway.sw.vnic import commands
from byway.sw.vnic.capabilities import HeaderDescriptorRequest
from byway.sw.vnic.codes import Initialisation, VnicReturnCode
from byway.sw.vnic.ip_offload import IpOffloadControl, IpOffloadQuery
from byway.sw.vnic.login import LoginBuffer, LoginResponseBuffer
from byway.sw.vnic.receive import ReceiveBuffer, ReceiveCompletion
from byway.sw.vnic.statistics import Statistics

MESSAGES = [
    getattr(commands, name)
    for name in commands.__all__
    if isinstance(getattr(commands, name), type) and name != "Message"
]


def example(cls: type[commands.Message]) -> commands.Message:
    """A message whose fields all differ from each other and from zero."""
    values: list[int | bytes] = []
    for number, field in enumerate(dataclasses.fields(cls)):
        values.append(b"\x02\x11\x22\x33\x44\x55" if field.type is bytes else number + 1)
    return cls(*values)


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_a_message_survives_the_wire(cls):
    element = example(cls).pack()
    assert len(element) == 16
    assert element[0] == 0x80
    assert commands.decode(element) == example(cls)


@pytest.mark.parametrize(
    "cls", [c for c in MESSAGES if c.__name__.endswith("Response")], ids=lambda cls: cls.__name__
)
def test_a_response_has_its_return_code_at_byte_12(cls):
    message = dataclasses.replace(example(cls), rc=VnicReturnCode.INVALID_IOBA)
    assert message.pack()[12:] == bytes((8, 0, 0, 0))
    assert message.pack()[1] & 0x80


@pytest.mark.parametrize(
    ("message", "element"),
    [
        (commands.VersionExchange(1), "8001 0001" + "00" * 12),
        (commands.RequestCapability(14, 0x1234), "8003 000e 0000000000001234 00000000"),
        (commands.Login(0x10_2030, 0x48), "8004 000000000000 00102030 00000048"),
        (commands.QueryIpOffload(256, 0x3000), "8018 0000 00000100 00003000 00000000"),
        (commands.ControlIpOffload(0x3000, 136), "8019 0000 00003000 00000088 00000000"),
        (commands.RequestMap(7, 0x5000, 0x20000), "801e 00 07 00005000 00020000 00000000"),
        (commands.QueryMapResponse(12, 512, 500, 0), "809d 00 0c 00000200 000001f4 00000000"),
        (commands.LinkStateIndication(1, 1), "8012 0000 01 01" + "00" * 10),
        (commands.ErrorIndication(0x80, 9, 4, 1), "8008 80 00 00000009 00000004 0001 0000"),
        (commands.RequestErrorInfo(0x3000, 16, 9), "8009 0000 00003000 00000010 00000009"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_fields_stand_where_the_architecture_puts_them(message, element):
    assert message.pack() == bytes.fromhex(element.replace(" ", ""))


def test_an_unknown_command_is_refused_with_its_own_parameters():
    element = bytes((0x80, 0x0B, *range(2, 16)))
    assert commands.decode(element) is None
    answer = commands.refusal(element, VnicReturnCode.UNKNOWN_COMMAND)
    assert answer == bytes((0x80, 0x8B, *range(2, 12), 5, 0, 0, 0))


def test_an_initialisation_element_is_marked_c0():
    assert commands.initialisation(Initialisation.INIT_COMPLETE) == b"\xc0\x02" + bytes(14)


def test_header_descriptors_are_asked_for_at_the_bytes_that_linux_reads():
    wanted = HeaderDescriptorRequest.WANTED | HeaderDescriptorRequest.ETHERNET
    number = HeaderDescriptorRequest.every_frame(wanted).to_bytes(8, "big")
    assert [number[place] for place in (0, 2, 4)] == [0xC0] * 3
    assert sum(number) == 3 * 0xC0


def test_offload_buffers_have_their_flags_at_the_architected_bytes():
    query = IpOffloadQuery(checksum_tcp=True, large_send_v4=True, maximum_large_send=65535)
    buffer = query.pack()
    assert len(buffer) == IpOffloadQuery.SIZE == 256
    assert buffer[:8] == bytes.fromhex("0000010000000001")
    assert buffer[8:18] == bytes((0, 0, 1, 0, 0, 0, 1, 0, 0, 0))
    assert buffer[40:44] == bytes.fromhex("0000ffff")
    assert IpOffloadQuery.unpack(buffer) == query


@pytest.mark.parametrize("other", [False, True])
def test_an_offload_that_is_never_offered_is_noticed(other):
    control = IpOffloadControl(checksum_ipv4=True, checksum_udp=True, other=other)
    buffer = control.pack()
    assert len(buffer) == IpOffloadControl.SIZE == 136
    assert buffer[8:16] == bytes((1, 0, 0, 0, 1, 0, 0, 0))
    assert IpOffloadControl.unpack(buffer) == control
    with_ipv6 = buffer[:9] + b"\x01" + buffer[10:]
    assert IpOffloadControl.unpack(with_ipv6).other


def test_login_buffers_survive_the_wire():
    login = LoginBuffer(
        transmit_completion=(0x1_0000_0001, 2),
        receive_completion=(3,),
        response_ioba=0x8000,
        response_length=128,
    )
    assert len(login.pack()) == 32 + 3 * 8
    assert LoginBuffer.unpack(login.pack()) == login
    response = LoginResponseBuffer(
        transmit_submission=(5, 6),
        receive_add=(7,),
        receive_sizes=(2048,),
        transmit_descriptors=b"\x10",
    )
    assert LoginResponseBuffer.unpack(response.pack() + bytes(20)) == response


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (0, 33, "the buffer says 33 bytes and has 48"),
        (4, 2, "the buffer's version must be 1, not 2"),
        (8, 1 << 29, f"{1 << 29} handles at 32 lie outside a buffer of 48 bytes"),
        (12, 1 << 31, f"1 handles at {1 << 31} lie outside a buffer of 48 bytes"),
        (20, 41, "1 handles at 41 lie outside a buffer of 48 bytes"),
    ],
)
def test_a_hostile_login_buffer_is_refused_before_it_is_believed(place, value, complaint):
    buffer = bytearray(
        LoginBuffer(
            transmit_completion=(1,),
            receive_completion=(2,),
            response_ioba=0,
            response_length=0,
        ).pack()
    )
    buffer[place : place + 4] = value.to_bytes(4, "big")
    with pytest.raises(ValueError, match="^" + complaint + "$"):
        LoginBuffer.unpack(bytes(buffer))


def test_random_login_buffers_raise_nothing_but_value_error():
    seed = 5
    generator = random.Random(seed)
    believed = 0
    for _ in range(2000):
        length = generator.randrange(80)
        fields = [length, 1, *(generator.choice((0, 1, 8, 32, 1 << 31)) for _ in range(14))]
        content = b"".join(value.to_bytes(4, "big") for value in fields).ljust(80, b"\0")[:length]
        for kind in (LoginBuffer, LoginResponseBuffer):
            with contextlib.suppress(ValueError):
                kind.unpack(content)
                believed += 1
    assert 0 < believed < 4000, f"seed {seed}"


def test_receive_elements_survive_the_wire():
    buffer = ReceiveBuffer(correlator=1 << 40, map_id=3, ioba=0x7000, length=0x12345)
    assert len(buffer.pack()) == 32
    assert buffer.pack()[16:24] == bytes.fromhex("0000700003012345")
    assert ReceiveBuffer.unpack(buffer.pack()) == buffer
    completion = ReceiveCompletion(correlator=1 << 40, length=1514, offset=2, rc=9)
    assert completion.pack()[:8] == bytes.fromhex("80200002000005ea")
    assert completion.pack()[16:20] == bytes.fromhex("00000009")
    assert ReceiveCompletion.unpack(completion.pack()) == completion


def test_statistics_stand_at_their_architected_offsets():
    statistics = Statistics(*range(1, 12))
    block = statistics.pack()
    assert len(block) == Statistics.SIZE == 256
    assert block[:4] == b"\0\0\0\x01"
    assert int.from_bytes(block[80:88], "big") == statistics.broadcast_received == 10
    assert int.from_bytes(block[200:208], "big") == statistics.no_receive_buffer == 11
    assert Statistics.unpack(block) == statistics
