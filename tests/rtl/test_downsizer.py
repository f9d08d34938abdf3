# amaranth: UnusedElaboratable=no
"""`Downsizer` splits the beats of packets by the laws of `byway.rtl.bus.packet`.

The reference is a packet's bytes, cut.
"""

import random

import pytest

from byway.rtl.bus.downsizer import Downsizer
from byway.sim.stream_bench import exchange

WIDTHS = [(128, 64), (512, 64), (32, 16), (16, 8)]


def random_beats(rng, lanes, packets):
    """Beats as (bytes, last, error)."""
    beats = []
    for _ in range(packets):
        error = rng.choice((0, 0, 0, 2, 3))
        beats += [(rng.randbytes(lanes), False, error) for _ in range(rng.randint(0, 5))]
        beats.append((rng.randbytes(rng.randint(1, lanes)), True, error ^ rng.choice((0, 2))))
    return beats


def cut(beats, lanes):
    """What they become."""
    result = []
    for data, last, error in beats:
        parts = [data[at : at + lanes] for at in range(0, len(data), lanes)]
        result += [(part, False, error) for part in parts[:-1]]
        result.append((parts[-1], last, error))
    return result


def split(beats, widths, **manner):
    """Send `beats`; returns the exchange, and the beats that came out."""
    wide, narrow = widths
    dut = Downsizer(data_width=wide, narrow_width=narrow)
    payloads = [
        {
            "data": int.from_bytes(data.ljust(wide // 8, b"\xcc"), "little"),
            "count": len(data),
            "last": last,
            "error": error,
        }
        for data, last, error in beats
    ]
    seen = exchange(dut, dut.wide, dut.narrow, payloads, **manner)
    found = [
        (beat.data.to_bytes(narrow // 8, "little")[: beat.count], bool(beat.last), beat.error)
        for beat in seen.payloads
    ]
    return seen, found


@pytest.mark.parametrize(("idle", "stall"), [(0, 0), (0.5, 0), (0, 0.5), (0.4, 0.4)])
@pytest.mark.parametrize("widths", WIDTHS)
def test_random_packets_are_cut(widths, idle, stall):
    seed = f"{widths} {idle} {stall}"
    beats = random_beats(random.Random(seed), widths[0] // 8, 60)
    _seen, found = split(beats, widths, seed=seed, idle=idle, stall=stall)
    assert found == cut(beats, widths[1] // 8), seed


@pytest.mark.parametrize("widths", WIDTHS)
def test_a_narrow_beat_leaves_in_each_cycle_the_first_a_cycle_after_it_came(widths):
    beats = random_beats(random.Random(3), widths[0] // 8, 30)
    seen, found = split(beats, widths)
    first = seen.taken[0] + 1
    assert seen.given == list(range(first, first + len(found)))


@pytest.mark.parametrize(
    ("widths", "told"),
    [
        ((64, 64), "64 bits are not fewer than 64"),
        ((64, 128), "128 bits are not fewer than 64"),
        ((96, 64), "Data width must be 8 times a power of two, not 96"),
    ],
)
def test_other_widths_are_refused(widths, told):
    wide, narrow = widths
    with pytest.raises(ValueError, match=f"^{told}$"):
        Downsizer(data_width=wide, narrow_width=narrow)
