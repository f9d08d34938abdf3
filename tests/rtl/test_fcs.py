# amaranth: UnusedElaboratable=no
"""The frame check sequence is the CRC-32 of zlib, at every width and count [IEEE 802.3, 3.2.9]."""

import random
import zlib

import pytest
from amaranth.sim import Simulator

from byway.rtl.mac.fcs import FrameCheckSequence


def run(data_width, messages):
    """FCS of each of `messages`, which are lists of chunks of at most one cycle's bytes."""
    dut = FrameCheckSequence(data_width=data_width)
    values = []

    async def bench(ctx):
        for message in messages:
            for number, chunk in enumerate(message):
                ctx.set(dut.restart, number == 0)
                ctx.set(dut.data, int.from_bytes(chunk, "little"))
                ctx.set(dut.count, len(chunk))
                await ctx.tick()
            ctx.set(dut.restart, 0)
            ctx.set(dut.count, 0)
            values.append(ctx.get(dut.value))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return values


@pytest.mark.parametrize("data_width", [8, 16, 64])
def test_fcs_equals_zlib_for_any_split_into_cycles(data_width):
    seed = 20260 + data_width
    rng = random.Random(seed)
    messages = []
    for _ in range(30):
        chunks = rng.randint(1, 12)
        messages.append([rng.randbytes(rng.randint(0, data_width // 8)) for _ in range(chunks)])
    expected = [zlib.crc32(b"".join(message)) for message in messages]
    assert run(data_width, messages) == expected, f"seed {seed}"


def test_check_value_of_the_nine_digits():
    assert run(8, [[bytes([digit]) for digit in b"123456789"]]) == [0xCBF4_3926]


def test_no_bytes_leave_the_value_as_it_is():
    assert run(32, [[b"abcd", b"", b"", b"e"]]) == [zlib.crc32(b"abcde")]


def test_value_before_any_byte_is_that_of_nothing():
    assert run(8, [[b""]]) == [zlib.crc32(b"")]


@pytest.mark.parametrize("data_width", [0, 7, 12, -8])
def test_data_width_is_checked(data_width):
    with pytest.raises(
        ValueError, match=f"^Data width must be a positive multiple of 8, not {data_width}$"
    ):
        FrameCheckSequence(data_width=data_width)
