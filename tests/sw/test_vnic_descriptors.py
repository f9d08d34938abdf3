"""Transmit descriptors: any frame survives the wire, any garbage costs its own frame only."""

import random
import struct
from dataclasses import replace

import pytest

from byway.sw.generic_checksum import GenericChecksum
from byway.sw.vnic.descriptors import (
    Malformed,
    ScatterGatherEntry,
    TransmitAssembler,
    TransmitFlag,
    TransmitFrame,
    elements_of,
    fragments_in,
    pack_completions,
    unpack_completions,
)


def frame(correlator: int, fragments: int) -> TransmitFrame:
    return TransmitFrame(
        correlator=correlator,
        flags=TransmitFlag.COMPLETION | TransmitFlag.CHECKSUM | TransmitFlag.TCP,
        mss=1448,
        l2_length=14,
        l3_length=20,
        l4_length=32,
        ethernet_header=bytes(range(14)),
        entries=tuple(
            ScatterGatherEntry(map_id=1 + n, ioba=0x10_0000 + 4096 * n, length=100 + n)
            for n in range(fragments)
        ),
    )


def assemble(elements):
    assembler = TransmitAssembler()
    return [ended for element in elements for ended in assembler.feed(element)]


@pytest.mark.parametrize("fragments", [1, 2, 3, 4, 29])
def test_a_frame_survives_the_wire(fragments):
    elements = frame(7, fragments).pack()
    assert all(len(element) == 32 and element[0] == 0x80 for element in elements)
    assert len(elements) == elements_of(fragments)
    assert fragments_in(len(elements)) in (fragments, fragments + 1)
    assert assemble(elements) == [frame(7, fragments)]


def test_the_elements_are_those_of_linux():
    opening, header, gather = frame(0xABCD, 2).pack()
    assert opening.hex(" ", 4) == (
        "80100302 d00005a8 00000000 0000abcd 00000001 00000064 00000000 00100000"
    )
    assert header[:22].hex() == "80110e0e00142080" + bytes(range(14)).hex()
    assert gather[:16].hex(" ", 4) == "80300002 00000065 00000000 00101000"


@pytest.mark.parametrize("place", [GenericChecksum(0, 0), GenericChecksum(0xFFFF, 0x1234)])
def test_a_generic_checksum_has_a_flag_and_the_bytes_that_linux_reserves(place):
    whole = replace(frame(7, 1), generic=place, vlan_tag=5)
    opening, _header = whole.pack()
    assert opening[5] == 0x81
    assert opening[8:12] == struct.pack(">HH", *place)
    assert assemble(whole.pack()) == [whole]


def test_frames_of_a_batch_stay_apart():
    batch = [frame(n, 1 + n % 5) for n in range(20)]
    assert assemble([element for one in batch for element in one.pack()]) == batch


def test_a_header_in_extensions_is_accepted_from_clients_that_send_more_than_asked():
    elements = frame(1, 1).pack()
    extension = bytes((0x80, 0x12, 29)).ljust(32, b"\x55")
    opening = bytearray(elements[0])
    opening[2] = 3
    assert assemble([bytes(opening), elements[1], extension]) == [frame(1, 1)]


def patched(elements, index, **places):
    element = bytearray(elements[index])
    for place, value in places.items():
        element[int(place[1:])] = value
    return [*elements[:index], bytes(element), *elements[index + 1 :]]


@pytest.mark.parametrize(
    "broken",
    [
        patched(frame(9, 1).pack()[:1], 0, b2=0),
        patched(frame(9, 2).pack(), 0, b3=0),
        patched(frame(9, 2).pack(), 0, b3=4),
        patched(frame(9, 2).pack(), 0, b3=1),
        patched(frame(9, 2).pack(), 1, b1=0x30),
        patched(frame(9, 4).pack(), 3, b1=0x11),
        patched(frame(9, 2).pack(), 1, b1=0x77),
        patched(frame(9, 2).pack(), 1, b1=0x12),
    ],
)
def test_a_malformed_frame_is_told_by_its_correlator_and_costs_no_other(broken):
    good = frame(10, 3)
    assert assemble([*broken, *good.pack()]) == [Malformed(9), good]


def test_a_frame_cut_short_ends_where_the_next_begins():
    good = frame(10, 3)
    assert assemble([*frame(9, 5).pack()[:2], *good.pack()]) == [Malformed(9), good]


def test_elements_before_any_descriptor_have_no_correlator():
    good = frame(10, 1)
    stray = frame(9, 3).pack()[1:]
    assert assemble([*stray, *good.pack()]) == [Malformed(None)] * len(stray) + [good]


def test_random_elements_raise_nothing_and_the_next_good_frame_arrives():
    seed = 11
    generator = random.Random(seed)
    for _ in range(500):
        assembler = TransmitAssembler()
        for _ in range(generator.randrange(8)):
            kind = generator.choice((0x10, 0x11, 0x12, 0x30, generator.randrange(256)))
            assembler.feed(bytes((0x80, kind)) + generator.randbytes(30))
        good = frame(10, 3)
        ended = [e for element in good.pack() for e in assembler.feed(element)]
        assert ended[-1] == good, f"seed {seed}"


def test_completions_go_five_to_an_element():
    pairs = [(n % 3, 0x1000_0000 + n) for n in range(12)]
    elements = pack_completions(pairs)
    assert [element[1] for element in elements] == [5, 5, 2]
    assert [pair for element in elements for pair in unpack_completions(element)] == pairs


@pytest.mark.parametrize("count", [0, 6, 255])
def test_a_completion_element_with_a_wrong_count_says_nothing(count):
    element = bytes((0x80, count)).ljust(32, b"\xff")
    assert unpack_completions(element) == []
