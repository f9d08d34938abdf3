"""Marked memory: every aligned eight bytes tell whose they are, where they lie and since when.

The first byte of a marker has its top bit set, the others have not, so that markers are found in a
frame at whatever byte they begin. Besides owner, epoch and place there are 21 bits that follow from
these: of two million random words one passes for a marker.
"""

import functools
import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from byway.sw.manager.memory import PAGE_SIZE

__all__ = ["EPOCHS", "MAXIMUM_BYTES", "OWNERS", "Marker", "marked_page", "markers_in"]

_WORD = 8
_WORDS = PAGE_SIZE // _WORD
#: How many owners and epochs can be told apart, and of how many bytes of memory.
OWNERS = EPOCHS = 1 << 7
MAXIMUM_BYTES = _WORD << 21

_PATTERN = re.compile(rb"[\x80-\xff][\x00-\x7f]{7}")
#: For each of the last five bytes of a marker and each of its values: its share of the check.
_rng = random.Random("markers")
#: Share of no byte: without it a top bit and zeros would be a marker, and they are in every queue.
_CHECK = _rng.getrandbits(21)
_CHECKS = [
    [
        functools.reduce(lambda a, b: a ^ b, (bits[n] for n in range(7) if value >> n & 1), 0)
        for value in range(1 << 7)
    ]
    for bits in [[_rng.getrandbits(21) for _ in range(7)] for _ in range(5)]
]


class Marker(NamedTuple):
    """Eight bytes, and what they tell.

    Attributes
    ----------
    word : bytes
    owner, epoch : int
        As given to `marked_page`.
    address : int
        System address for which they were made.
    """

    word: bytes
    owner: int
    epoch: int
    address: int


def _pack(owner: int, epoch: int, place: int) -> bytes:
    last = (owner, epoch, place >> 14, place >> 7 & 0x7F, place & 0x7F)
    shares = (_CHECKS[n][value] for n, value in enumerate(last))
    check = functools.reduce(lambda a, b: a ^ b, shares, _CHECK)
    return bytes((0x80 | check >> 14, check >> 7 & 0x7F, check & 0x7F, *last))


#: Markers of a page without the share of owner, epoch and page: all shares are joined by XOR.
_SHARES = int.from_bytes(
    b"".join(
        bytes(a ^ b for a, b in zip(_pack(0, 0, n), _pack(0, 0, 0), strict=True))
        for n in range(_WORDS)
    ),
    "big",
)
_REPEAT = int.from_bytes(bytes(7).join([b"\1"] * _WORDS), "big")


@functools.lru_cache(maxsize=4096)
def marked_page(owner: int, epoch: int, page: int) -> bytes:
    """The content of page number `page` of system memory, marked as `owner`'s since `epoch`.

    Raises `ValueError` if a number is too large to be told.
    """
    if not (0 <= owner < OWNERS and 0 <= epoch < EPOCHS and 0 <= page < MAXIMUM_BYTES // PAGE_SIZE):
        raise ValueError(f"no marker tells owner {owner}, epoch {epoch}, page {page}")
    first = int.from_bytes(_pack(owner, epoch, page * _WORDS), "big")
    return (_SHARES ^ first * _REPEAT).to_bytes(PAGE_SIZE, "big")


def markers_in(data: bytes) -> Iterator[Marker]:
    """The markers in `data`, wherever they begin."""
    c3, c4, c5, c6, c7 = _CHECKS
    for match in _PATTERN.finditer(data):
        b0, b1, b2, owner, epoch, high, middle, low = match[0]
        check = _CHECK ^ c3[owner] ^ c4[epoch] ^ c5[high] ^ c6[middle] ^ c7[low]
        if check == (b0 & 0x7F) << 14 | b1 << 7 | b2:
            yield Marker(match[0], owner, epoch, (high << 14 | middle << 7 | low) * _WORD)
