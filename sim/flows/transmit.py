"""Transmit flows by registers alone: frames of all kinds leave whole, summed, and in order.

Patent, FIG. 7, steps 750 to 770: from the doorbell to the wire and the completion.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from scapy.layers.l2 import Ether

from byway.sim.board.wire_frame import gap_bytes
from byway.sim.flows.flow import Bench, flow
from byway.sim.flows.frames import (
    Frame,
    random_single,
    random_super,
    rightly_summed,
    single,
    sized,
    super_frame,
)
from byway.sim.flows.ring import Ring, Window
from byway.sim.wire.medium import GAP_BYTES
from byway.sw.contract.records import TransmitStatus


def _machine(bench: Bench, rings: int = 1, **options: Any) -> list[Ring]:
    """Rings that run, each in its own window."""
    made = [Ring(bench, Window(bench, number), **options) for number in range(rings)]
    made[0].adapter.mac_control.write(transmit_enable=1)
    return made


def _judge(bench: Bench, rings: Sequence[Ring], sent: Sequence[Sequence[Frame]]) -> None:
    """All that `sent` holds for each of `rings` has left, in its order, and nothing else."""
    expected = {
        ring.number: [leaf for frame in frames for leaf in frame.leaves]
        for ring, frames in zip(rings, sent, strict=True)
    }
    total = sum(map(len, expected.values()))
    bench.wait_for(lambda: len(bench.frames) >= total, f"{total} frames on the wire", 200_000)
    bench.run(200)
    for number, frame in enumerate(bench.frames):
        assert rightly_summed(frame.data) == frame.data, f"frame {number}: checksum"
        ring = bytes.fromhex(Ether(frame.data).src.replace(":", ""))[-1]
        assert expected[ring], f"frame {number}: one more of ring {ring}"
        assert frame.data == expected[ring].pop(0), f"frame {number}, of ring {ring}: its bytes"
    assert not any(expected.values()), f"frames that never left: {expected}"
    for ring, frames in zip(rings, sent, strict=True):
        for frame, completion in zip(frames, ring.finish(), strict=True):
            assert completion.status == TransmitStatus.SUCCESS, completion
            assert completion.segments == len(frame.leaves), completion
    page = rings[0].adapter
    assert page.frames.read().count == total
    assert page.bytes.read().count == sum(len(frame.data) for frame in bench.frames)
    assert page.dropped.read().count == 0


@flow()
def a_frame_of_each_kind(bench: Bench) -> None:
    """Plain, with UDP and TCP checksum, and a super-frame: small enough for any simulator."""
    (ring,) = _machine(bench)
    rng = bench.rng
    frames = [
        sized(rng, 0, 99),
        single(rng, 0, "udp", rng.randbytes(31)),
        single(rng, 0, "tcp", rng.randbytes(8)),
        super_frame(rng, 0, rng.randbytes(200), 90),
    ]
    for frame in frames:
        ring.send(frame, fragments=2)
    ring.ring()
    _judge(bench, [ring], [frames])


@flow()
def frame_sizes_and_alignments(bench: Bench) -> None:
    """Every size around the padding, the word and the burst, from random addresses."""
    (ring,) = _machine(bench)
    sizes = [*range(14, 24), *range(56, 74), *range(250, 266), 1514, 4100, 9216]
    frames = [sized(bench.rng, 0, size) for size in sizes]
    for frame in frames:
        ring.send(frame)
        ring.ring()
    _judge(bench, [ring], [frames])


@flow()
def checksums_are_inserted(bench: Bench) -> None:
    """UDP, TCP and IPv4 alone, odd and even lengths, and the UDP checksum that comes to 0."""
    (ring,) = _machine(bench)
    rng = bench.rng
    frames = [
        single(rng, 0, protocol, rng.randbytes(length))
        for length in (0, 1, 2, 7, 64, 533)
        for protocol in ("udp", "tcp", "ipv4")
    ]
    frames.append(_udp_frame_summing_to_zero(bench))
    for frame in frames:
        ring.send(frame, fragments=rng.randint(1, 3))
    ring.ring()
    _judge(bench, [ring], [frames])


def _udp_frame_summing_to_zero(bench: Bench) -> Frame:
    """A datagram whose checksum is 0, which must leave as 0xFFFF [RFC 768]."""
    rng = bench.rng
    state = rng.getstate()
    probe = single(rng, 0, "udp", bytes(2))
    rng.setstate(state)
    offset = probe.fields["l4_offset"] + 6
    frame = single(rng, 0, "udp", probe.leaves[0][offset : offset + 2])
    assert frame.leaves[0][offset : offset + 2] == b"\xff\xff"
    return frame


@flow()
def fragments_up_to_the_most(bench: Bench) -> None:
    """Up to 31 fragments, down to one byte each, anywhere in scattered pages."""
    (ring,) = _machine(bench)
    rng = bench.rng
    frames = []
    for fragments in (1, 2, 3, 4, 17, 30, 31, 14, 31):
        frame = random_single(rng, 0, 600) if len(frames) < 7 else sized(rng, 0, fragments)
        ring.send(frame, fragments=fragments)
        frames.append(frame)
        ring.ring()
    _judge(bench, [ring], [frames])


@flow()
def super_frames_over_mss(bench: Bench) -> None:
    """Large send: sequence numbers, identifications, flags and checksums of every segment."""
    (ring,) = _machine(bench)
    sizes = (1, 200, 1000, 4000, 9000, 9000, 20_000)
    frames = [random_super(bench.rng, 0, longest) for longest in sizes]
    for frame in frames:
        ring.send(frame, fragments=bench.rng.randint(1, 8))
    ring.ring()
    _judge(bench, [ring], [frames])


@flow(stall=0.3, longest_latency=40)
def two_rings_under_stalls(bench: Bench) -> None:
    """Two rings at once, turning over many times, while every channel stalls at random."""
    rings = _machine(bench, rings=2, size_log2=4)
    sent: list[list[Frame]] = [[], []]
    for _number in range(100):
        ring = bench.rng.choice(rings)
        make = bench.rng.choice((random_single, random_single, random_super))
        frame = make(bench.rng, ring.number, 1500)
        ring.send(frame, fragments=bench.rng.randint(1, 9))
        sent[ring.number].append(frame)
        if bench.rng.random() < 0.6:
            ring.ring()
    for ring in rings:
        ring.ring()
    _judge(bench, rings, sent)


@flow()
def line_rate_from_another_memory(bench: Bench) -> None:
    """A backlog of small frames leaves with no more between them than the gap, on average."""
    (ring,) = _machine(bench)
    frames = [sized(bench.rng, 0, size) for size in [60] * 16 + [61, 67, 128, 300]]
    for frame in frames:
        ring.send(frame)
    ring.ring()
    _judge(bench, [ring], [frames])
    wire = bench.frames
    lanes, least = bench.wire.lanes, bench.wire.least_gap
    gaps = [gap_bytes(before, after, lanes=lanes) for before, after in pairwise(wire)][4:]
    most = GAP_BYTES * len(gaps)
    assert most - (GAP_BYTES - least) <= sum(gaps) <= most, gaps
