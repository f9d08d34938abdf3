"""The Internet checksum against scapy's, which sums word by word."""

import random

import pytest
from scapy.utils import checksum

from byway.sim.wire.internet_checksum import checksum_of, residue


@pytest.mark.parametrize("seed", range(20))
def test_checksum_is_that_of_scapy(seed):
    generator = random.Random(seed)
    data = generator.randbytes(generator.randrange(1, 3000))
    expected = checksum(data) or 0xFFFF
    assert checksum_of(data) == expected, f"seed {seed}"
    half = 2 * generator.randrange(len(data) // 2 + 1)
    assert checksum_of(data[:half], data[half:]) == expected, f"seed {seed}"


def test_right_checksum_leaves_no_residue_and_one_changed_bit_does():
    generator = random.Random(1)
    data = bytearray(generator.randbytes(60))
    data[10:12] = bytes(2)
    data[10:12] = checksum_of(data).to_bytes(2, "big")
    assert residue(data) == 0
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        assert residue(data) != 0
        data[bit // 8] ^= 1 << bit % 8


def test_sum_of_nothing_but_zeros_is_written_as_all_ones():
    assert checksum_of(b"\xff\xff") == 0xFFFF
    assert checksum_of(bytes(8)) == 0xFFFF
