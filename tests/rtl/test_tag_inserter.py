# amaranth: UnusedElaboratable=no
"""`TagInserter` puts a tag behind the addresses of each packet that is to have one.

The reference inserts bytes; scapy reads the outcome.
"""

import random

import pytest
from amaranth.sim import Simulator
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from byway.rtl.transmit.tag_inserter import TagInserter
from byway.sim.bench import stream_get, stream_put


def cut(rng, packet, lanes, *, whole=False):
    """`packet` in pieces as (bytes, start), full words if `whole`."""
    pieces = []
    while packet:
        start = 0 if whole else rng.choice((0, rng.randrange(lanes)))
        count = lanes - start if whole or rng.random() < 0.6 else rng.randint(1, lanes - start)
        pieces.append((packet[:count], start))
        packet = packet[count:]
    return pieces


def run(packets, *, data_width=64, seed="", idle=0.0, late=0.0, stall=0.0, whole=False):
    """Send `packets`, each (bytes, control or None, error); returns them as they leave, and when.

    The error is that of the piece in the middle.
    """
    dut = TagInserter(data_width=data_width)
    lanes = data_width // 8
    leaving, cycles = [], []

    async def put_tags(ctx):
        rng = random.Random(f"tags {seed}")
        for _packet, control, _error in packets:
            rubbish = rng.getrandbits(16)
            tag = {
                "insert": int(control is not None),
                "control": rubbish if control is None else control,
            }
            await stream_put(ctx, dut.tags, tag, rng=rng, idle=late)

    async def put_pieces(ctx):
        rng = random.Random(f"pieces {seed}")
        for packet, _control, error in packets:
            pieces = cut(rng, packet, lanes, whole=whole)
            for number, (part, start) in enumerate(pieces):
                word = rng.randbytes(start) + part + rng.randbytes(lanes - start - len(part))
                piece = {
                    "data": int.from_bytes(word, "little"),
                    "start": start,
                    "count": len(part),
                    "last": int(number == len(pieces) - 1),
                    "error": error if number == len(pieces) // 2 else 0,
                }
                await stream_put(ctx, dut.pieces, piece, rng=rng, idle=idle)

    async def get(ctx):
        rng = random.Random(f"out {seed}")
        for _ in packets:
            whole_packet, error, last = b"", 0, False
            while not last:
                piece = await stream_get(ctx, dut.tagged, rng=rng, stall=stall)
                word = int(piece.data).to_bytes(lanes, "little")
                assert 1 <= piece.count <= lanes - piece.start, f"seed {seed}"
                whole_packet += word[piece.start : piece.start + piece.count]
                error, last = error or int(piece.error), bool(piece.last)
            leaving.append((whole_packet, error))

    async def watch(ctx):
        cycle = 0
        async for _clk, _rst, moved in ctx.tick().sample(dut.tagged.valid & dut.tagged.ready):
            cycles.extend([cycle] if moved else [])
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_process(watch)
    simulator.add_testbench(put_tags)
    simulator.add_testbench(put_pieces)
    simulator.add_testbench(get)
    simulator.run()
    return leaving, cycles


def tagged(packet, control):
    """The reference."""
    if control is None or len(packet) <= 12:
        return packet
    return packet[:12] + b"\x81\x00" + control.to_bytes(2, "big") + packet[12:]


@pytest.mark.parametrize("data_width", [32, 64, 128])
@pytest.mark.parametrize(
    ("idle", "late", "stall"), [(0, 0, 0), (0.5, 0, 0), (0, 0.8, 0), (0, 0, 0.6), (0.3, 0.3, 0.3)]
)
def test_tags_stand_behind_the_addresses(data_width, idle, late, stall):
    seed = f"{data_width} {idle} {late} {stall}"
    rng = random.Random(seed)
    packets = [
        (
            rng.randbytes(
                rng.choice((12, 14, 15, 16, 60, rng.randint(14, 100), rng.randint(1, 13)))
            ),
            rng.choice((None, rng.getrandbits(16), 0, 0xFFFF)),
            rng.choice((0, 0, 2, 3)),
        )
        for _ in range(60)
    ]
    leaving, _cycles = run(
        packets, data_width=data_width, seed=seed, idle=idle, late=late, stall=stall
    )
    assert leaving == [(tagged(packet, control), error) for packet, control, error in packets], (
        f"seed {seed}"
    )


def test_scapy_reads_the_tag_before_one_that_was_there():
    packet = bytes(Ether() / Dot1Q(vlan=5) / IP(dst="192.0.2.1") / UDP() / b"payload")
    leaving, _cycles = run([(packet, 3 << 13 | 7, 0)])
    found = Ether(leaving[0][0])
    assert (found[Dot1Q].vlan, found[Dot1Q].prio) == (7, 3)
    assert found[Dot1Q].payload.vlan == 5
    assert bytes(found[UDP].payload) == b"payload"


def test_a_tag_costs_two_cycles_where_the_addresses_end_within_a_word():
    rng = random.Random(8)
    plain = [(rng.randbytes(64), None, 0)] * 4
    _leaving, cycles = run(plain, whole=True)
    assert cycles == list(range(cycles[0], cycles[0] + 32))
    _leaving, cycles = run([(packet, 7, 0) for packet, _control, _error in plain], whole=True)
    assert cycles == list(range(cycles[0], cycles[0] + 4 * (8 + 2)))


def test_a_width_without_room_for_a_tag_is_refused():
    with pytest.raises(ValueError, match=r"^Data width must be at least 32, not 16$"):
        TagInserter(data_width=16)
