# amaranth: UnusedElaboratable=no
"""`Packer` joins pieces into packets by the laws of `byway.rtl.bus.packet`.

The reference is the concatenation of the pieces' bytes.
"""

import random
from dataclasses import dataclass

import pytest
from amaranth.sim import Simulator

from byway.rtl.bus.packer import Packer
from byway.sim.bench import stream_get, stream_put


@dataclass
class Piece:
    data: bytes
    start: int
    last: bool = False
    error: int = 0


def expected_beats(pieces, lanes):
    """Beats as (bytes, last, error) that these pieces become."""
    beats = []
    held, error = b"", 0
    for piece in pieces:
        held += piece.data
        error = error or piece.error
        if len(held) >= lanes:
            beats.append((held[:lanes], piece.last and len(held) == lanes, error))
            held = held[lanes:]
            error = piece.error if held else 0
        if piece.last and held:
            beats.append((held, True, error))
            held, error = b"", 0
    return beats


def run(pieces, *, data_width=64, seed="", idle=0.0, stall=0.0):
    """Send `pieces`; returns the beats, and the cycles at which pieces went in and beats out."""
    packer = Packer(data_width=data_width)
    lanes = data_width // 8
    expected = expected_beats(pieces, lanes)
    beats, taken, given = [], [], []
    cycle = 0

    async def clock(ctx):
        nonlocal cycle
        async for _ in ctx.tick():
            cycle += 1

    async def put(ctx):
        rng = random.Random(f"put {seed}")
        for piece in pieces:
            filler = rng.randbytes(lanes)
            word = filler[: piece.start] + piece.data + filler[piece.start + len(piece.data) :]
            payload = {
                "data": int.from_bytes(word, "little"),
                "start": piece.start,
                "count": len(piece.data),
                "last": int(piece.last),
                "error": piece.error,
            }
            await stream_put(ctx, packer.pieces, payload, rng=rng, idle=idle)
            taken.append(cycle)

    async def get(ctx):
        rng = random.Random(f"get {seed}")
        for _ in expected:
            beat = await stream_get(ctx, packer.packet, rng=rng, stall=stall)
            given.append(cycle)
            count = int(beat.count)
            held = int(beat.data).to_bytes(lanes, "little")[:count]
            beats.append((held, bool(beat.last), int(beat.error)))

    simulator = Simulator(packer)
    simulator.add_clock(8e-9)
    simulator.add_process(clock)
    simulator.add_testbench(put)
    simulator.add_testbench(get)
    simulator.run()
    assert beats == expected, f"seed {seed}"
    return beats, taken, given


def random_pieces(rng, lanes, packets, *, error=0.0):
    pieces = []
    for _ in range(packets):
        for _ in range(rng.randint(0, 12)):
            pieces.append(random_piece(rng, lanes, error))
        pieces.append(random_piece(rng, lanes, error))
        pieces[-1].last = True
    return pieces


def random_piece(rng, lanes, error):
    start = rng.randrange(lanes)
    count = lanes - start if rng.random() < 0.5 else rng.randint(1, lanes - start)
    spoilt = rng.choice((2, 3)) if rng.random() < error else 0
    return Piece(rng.randbytes(count), start, error=spoilt)


@pytest.mark.parametrize(("idle", "stall"), [(0, 0), (0.5, 0), (0, 0.5), (0.4, 0.4)])
@pytest.mark.parametrize("data_width", [16, 64, 128])
def test_random_pieces_become_their_concatenation(data_width, idle, stall):
    seed = f"{data_width} {idle} {stall}"
    pieces = random_pieces(random.Random(seed), data_width // 8, 40, error=0.1)
    run(pieces, data_width=data_width, seed=seed, idle=idle, stall=stall)


def test_every_pair_of_places_joins():
    rng = random.Random(1)
    places = [(start, count) for start in range(8) for count in range(1, 9 - start)]
    pieces = []
    for first in places:
        for second in places[:: rng.choice((3, 5))]:
            pieces.append(Piece(rng.randbytes(first[1]), first[0]))
            pieces.append(Piece(rng.randbytes(second[1]), second[0], last=True))
    run(pieces)


def test_whole_words_pass_at_one_a_cycle_and_two_cycles_late():
    rng = random.Random(2)
    pieces = [Piece(rng.randbytes(8), 0, last=number % 5 == 4) for number in range(40)]
    _beats, taken, given = run(pieces)
    assert taken == list(range(taken[0], taken[0] + 40))
    assert given == [cycle + 2 for cycle in taken]


def test_only_a_remainder_costs_a_cycle():
    rng = random.Random(3)
    # 3 + 8 + 8 + 5: full beats, no remainder. 3 + 8 + 8 + 6: one byte over.
    packet = [Piece(rng.randbytes(count), 8 - count) for count in (3, 8, 8)]
    exact = [*packet, Piece(rng.randbytes(5), 1, last=True)]
    over = [*packet, Piece(rng.randbytes(6), 1, last=True)]
    _beats, taken, _given = run(exact * 4)
    assert taken[-1] - taken[0] == 4 * 4 - 1
    _beats, taken, _given = run(over * 4)
    assert taken[-1] - taken[0] == 4 * 4 - 1 + 3


def test_an_error_marks_every_beat_with_a_byte_of_the_piece_and_no_other():
    rng = random.Random(4)
    pieces = [
        Piece(rng.randbytes(5), 0),
        Piece(rng.randbytes(8), 0, error=3),  # Bytes 5 to 12: beats 0 and 1.
        Piece(rng.randbytes(8), 0),
        Piece(rng.randbytes(3), 0),  # Completes beat 2 exactly.
        Piece(rng.randbytes(8), 0, last=True),
    ]
    beats, _taken, _given = run(pieces)
    assert [error for _bytes, _last, error in beats] == [3, 3, 0, 0]


def test_the_error_of_a_packet_does_not_reach_the_next():
    rng = random.Random(5)
    for count in range(1, 9):
        pieces = [
            Piece(rng.randbytes(7), 0),
            Piece(rng.randbytes(count), 0, last=True, error=2),
            Piece(rng.randbytes(4), 2, last=True),
        ]
        beats, _taken, _given = run(pieces)
        assert beats[-1][2] == 0


def test_a_width_of_one_lane_is_refused():
    with pytest.raises(ValueError, match=r"^Data width of pieces must be at least 16, not 8$"):
        Packer(data_width=8)
