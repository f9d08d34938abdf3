# amaranth: UnusedElaboratable=no
"""The frame check sequence is the CRC-32 of zlib, at every width and length [IEEE 802.3, 3.2.9]."""

import random
import zlib

import pytest
from amaranth.sim import Simulator

from byway.rtl.mac.fcs import FrameCheckSequence


def run(data_width, messages):
    """FCS of each of `messages`, which are lists of words: whole ones, and empty ones between.

    The last may hold less. Messages follow each other without a pause.
    """
    dut = FrameCheckSequence(data_width=data_width)
    values = []
    ends = []

    async def feed(ctx):
        for message in messages:
            for number, word in enumerate(message):
                ctx.set(dut.restart, number == 0)
                ctx.set(dut.data, int.from_bytes(word, "little"))
                ctx.set(dut.count, len(word))
                await ctx.tick()
            ends.append(len(values))
        # Whatever comes next changes nothing.
        ctx.set(dut.restart, 1)
        await ctx.tick().repeat(dut.latency)

    async def watch(ctx):
        async for _clk, _rst, value in ctx.tick().sample(dut.value):
            values.append(value)

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(watch, background=True)
    simulator.add_testbench(feed)
    simulator.run()
    return [values[end + dut.latency - 1] for end in ends]


def words_of(message, lanes, rng):
    """`message` as words, with nothing between some of them."""
    words = [message[at : at + lanes] for at in range(0, len(message), lanes)] or [b""]
    for _ in range(rng.randint(0, 3)):
        words.insert(rng.randrange(len(words)), b"")
    return words


@pytest.mark.parametrize("data_width", [8, 16, 64, 128])
def test_fcs_equals_zlib_for_frames_of_any_length_one_after_the_other(data_width):
    seed = 20260 + data_width
    rng = random.Random(seed)
    lanes = data_width // 8
    lengths = [*range(2 * lanes + 2), *(rng.randint(1, 200) for _ in range(20))]
    rng.shuffle(lengths)
    messages = [rng.randbytes(length) for length in lengths]
    values = run(data_width, [words_of(message, lanes, rng) for message in messages])
    assert values == [zlib.crc32(message) for message in messages], f"seed {seed}"


def test_check_value_of_the_nine_digits():
    assert run(8, [[bytes([digit]) for digit in b"123456789"]]) == [0xCBF4_3926]


def test_no_bytes_leave_the_value_as_it_is():
    assert run(32, [[b"abcd", b"", b"", b"e"]]) == [zlib.crc32(b"abcde")]


def test_value_before_any_byte_is_that_of_nothing():
    assert run(8, [[b""]]) == [zlib.crc32(b"")]


@pytest.mark.parametrize("data_width", [0, 7, 12, 24, -8])
def test_data_width_is_checked(data_width):
    with pytest.raises(
        ValueError, match=f"^Data width must be 8 times a power of two, not {data_width}$"
    ):
        FrameCheckSequence(data_width=data_width)
