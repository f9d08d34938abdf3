"""Bursts of every type and length that AXI4 has, and some that it has not: a plain reference.

[AMBA AXI4, IHI 0022, A3.4.1]
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from byway.sim.flows.flow import PAGE

__all__ = ["FIXED", "INCR", "WRAP", "Burst", "illegal_burst", "legal_burst"]

FIXED, INCR, WRAP, RESERVED = range(4)


@dataclass(eq=False)
class Burst:
    """A burst of the master, and what became of it.

    Attributes
    ----------
    kind, size : int
        AxBURST and AxSIZE.
    data : list of (int, int)
        A write's words and strobes.
    sent : int
        The cycle in which it was given to the master's channel; it is offered later than that.
    beats_seen : list of (int, int)
        A read's words and responses.
    response : int or None
        A write's.
    """

    write: bool
    user: int
    identifier: int
    address: int
    beats: int
    size: int
    kind: int
    data: list[tuple[int, int]] = field(default_factory=list)
    sent: int = -1
    beats_seen: list[tuple[int, int]] = field(default_factory=list)
    response: int | None = None

    @property
    def page(self) -> int:
        """Index of the page that it begins in."""
        return self.address // PAGE

    @property
    def has_legal_type(self) -> bool:
        """Its type exists, and has this length."""
        if self.kind == WRAP:
            return self.beats in (2, 4, 8, 16)
        return self.kind in (FIXED, INCR)

    @property
    def leaves_page(self) -> bool:
        """It increments over a boundary of 4 KiB."""
        start = self.address % PAGE >> self.size << self.size
        return self.kind == INCR and start + (self.beats << self.size) > PAGE

    def lanes(self, bus_bytes: int) -> Iterator[tuple[int, range]]:
        """Of each beat: the offset in the page of its word, and the bytes of the word it uses."""
        width = 1 << self.size
        offset = self.address % PAGE
        for _beat in range(self.beats):
            word = offset // bus_bytes * bus_bytes
            stop = offset // width * width + width
            yield word, range(offset - word, stop - word)
            if self.kind == INCR:
                offset = stop
            elif self.kind == WRAP:
                whole = self.beats * width
                bottom = offset // whole * whole
                offset = bottom + (stop - bottom) % whole

    def __str__(self) -> str:
        what = "write" if self.write else "read"
        kind = ("FIXED", "INCR", "WRAP", "reserved type")[self.kind]
        return (
            f"{what} of requester {self.user}, ID {self.identifier}: {kind} at {self.address:#x}, "
            f"{self.beats} beats of {1 << self.size} bytes"
        )


def legal_burst(rng: random.Random, bus_bytes: int, **fields) -> Burst:
    """A burst of any type, length, size and alignment that AXI4 has; `fields` say where and whose.

    ``page`` among them is the index of its page.
    """
    page = fields.pop("page") * PAGE
    kind = rng.choice((FIXED, INCR, INCR, INCR, WRAP))
    size = rng.choice((rng.randrange(bus_bytes.bit_length()), bus_bytes.bit_length() - 1))
    width = 1 << size
    if kind == FIXED:
        beats = rng.randint(1, 16)
        offset = rng.randrange(PAGE)
    elif kind == WRAP:
        beats = rng.choice((2, 4, 8, 16))
        offset = rng.randrange(0, PAGE, width)
    else:
        longest = min(256, PAGE // width)
        beats = rng.choice((1, rng.randint(1, 16), rng.randint(1, longest), longest))
        last = PAGE - beats * width
        offset = rng.choice((rng.randrange(0, last + 1, width), last)) + rng.randrange(width)
    return _complete(rng, bus_bytes, kind, page + offset, beats, size, fields)


def illegal_burst(rng: random.Random, bus_bytes: int, **fields) -> Burst:
    """A burst that AXI4 forbids: over a page's end, of no type, wrapping oddly, wider than the bus.

    `fields` as for `legal_burst`.
    """
    page = fields.pop("page") * PAGE
    largest = bus_bytes.bit_length() - 1
    size = rng.randint(0, largest)
    what = rng.randrange(4)
    if what == 0:
        beats = rng.randint(2, 256)
        span = min((beats - 1) << size, PAGE)
        offset = PAGE - rng.randrange(1, span + 1)
        return _complete(rng, bus_bytes, INCR, page + offset, beats, size, fields)
    offset = rng.randrange(0, PAGE // 2, bus_bytes)
    if what == 1:
        return _complete(rng, bus_bytes, RESERVED, page + offset, rng.randint(1, 16), size, fields)
    if what == 2:
        beats = rng.choice((1, 3, 5, 12, 32))
        return _complete(rng, bus_bytes, WRAP, page + offset, beats, size, fields)
    size = rng.randint(largest + 1, 7)
    return _complete(rng, bus_bytes, INCR, page, rng.randint(1, 4), size, fields)


def _complete(
    rng: random.Random,
    bus_bytes: int,
    kind: int,
    address: int,
    beats: int,
    size: int,
    fields: dict,
) -> Burst:
    burst = Burst(address=address, beats=beats, size=size, kind=kind, **fields)
    if burst.write and burst.has_legal_type and 1 << size <= bus_bytes:
        for _word, lanes in burst.lanes(bus_bytes):
            full = sum(1 << lane for lane in lanes)
            strobe = rng.choice((full, full, full & rng.getrandbits(bus_bytes)))
            burst.data.append((rng.getrandbits(8 * bus_bytes), strobe))
    elif burst.write:
        burst.data = [(rng.getrandbits(8 * bus_bytes), (1 << bus_bytes) - 1)] * beats
    return burst
