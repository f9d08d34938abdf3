# amaranth: UnusedElaboratable=no
"""`GmiiTransmitter` puts frames on the wire to the byte time [IEEE 802.3, clauses 3 and 35].

Every cycle of the wire is recorded and compared with frames built in plain Python and `zlib`.
"""

import itertools
import random
import zlib
from dataclasses import dataclass

import pytest

from byway.rtl.mac.gmii import GmiiTransmitter
from byway.sim.bench import put_packet
from byway.sim.mac_bench import (
    always_enabled,
    on_the_wire,
    padded,
    put_dry,
    sender,
    watch_transmitter,
)
from byway.sim.wire.medium import GAP_BYTES, MINIMUM_BYTES, OVERHEAD_BYTES, PREAMBLE


@dataclass(frozen=True)
class Cycle:
    offered: int
    txd: int
    tx_en: int
    tx_er: int
    busy: int
    sent: int
    sent_bytes: int


@dataclass(frozen=True)
class Burst:
    """A run of cycles with TX_EN."""

    start: int
    data: bytes
    errors: tuple

    @property
    def end(self):
        return self.start + len(self.data)


def bursts_of(cycles):
    bursts, run = [], []
    for number, cycle in enumerate([*cycles, None]):
        if cycle is not None and cycle.tx_en:
            run.append(cycle)
        elif run:
            data = bytes(cycle.txd for cycle in run)
            bursts.append(Burst(number - len(run), data, tuple(cycle.tx_er for cycle in run)))
            run = []
    return bursts


def simulate(source, *, data_width=64, control=always_enabled, tail=30):
    """Cycles of the wire, as `watch_transmitter` keeps them."""
    dut = GmiiTransmitter(data_width=data_width)
    outputs = [
        dut.frame.valid, dut.gmii.txd, dut.gmii.tx_en, dut.gmii.tx_er,
        dut.busy, dut.sent, dut.sent_bytes,
    ]  # fmt: skip
    return watch_transmitter(dut, source, outputs, Cycle, control=control, period_ns=8, tail=tail)


def check_wire(cycles, packets, context=""):
    bursts = bursts_of(cycles)
    assert [burst.data for burst in bursts] == [
        on_the_wire(padded(packet)) for packet in packets
    ], context
    assert not any(any(burst.errors) for burst in bursts), context
    sent = [cycle.sent_bytes for cycle in cycles if cycle.sent]
    assert sent == [max(MINIMUM_BYTES, len(packet)) for packet in packets], context
    assert [number for number, cycle in enumerate(cycles) if cycle.sent] == [
        burst.end - 1 for burst in bursts
    ], context
    assert all(cycle.txd == 0 for cycle in cycles if not cycle.tx_en), context
    return bursts


def check_busy(cycles, bursts):
    busy = [number for number, cycle in enumerate(cycles) if cycle.busy]
    expected = [number for burst in bursts for number in range(burst.start, burst.end + GAP_BYTES)]
    assert busy == expected


def test_frames_of_every_small_size_follow_each_other_with_exactly_the_gap():
    rng = random.Random(35)
    packets = [rng.randbytes(size) for size in range(1, 101)]
    cycles = simulate(sender(packets))
    bursts = check_wire(cycles, packets)
    for earlier, later, packet in zip(bursts, bursts[1:], packets, strict=False):
        assert later.start - earlier.start == max(MINIMUM_BYTES, len(packet)) + OVERHEAD_BYTES
    check_busy(cycles, bursts)


def test_longest_frame_takes_its_length_and_twenty_four_cycles():
    rng = random.Random(9216)
    packets = [rng.randbytes(9216), rng.randbytes(1514), b"after"]
    bursts = check_wire(simulate(sender(packets)), packets)
    assert bursts[1].start - bursts[0].start == 9216 + OVERHEAD_BYTES
    assert bursts[2].start - bursts[1].start == 1514 + OVERHEAD_BYTES


def test_first_byte_of_preamble_comes_two_cycles_after_the_first_beat():
    packets = [b"one"]

    async def late(ctx, dut):
        await ctx.tick().repeat(5)
        await put_packet(ctx, dut.frame, packets[0])

    cycles = simulate(late)
    (burst,) = check_wire(cycles, packets)
    first_offered = next(number for number, cycle in enumerate(cycles) if cycle.offered)
    assert burst.start - first_offered == 2


@pytest.mark.parametrize("data_width", [8, 16, 128])
def test_other_widths_send_the_same_wire(data_width):
    seed = data_width
    rng = random.Random(seed)
    packets = [rng.randbytes(rng.choice([1, 15, 59, 60, 61, 64, 130])) for _ in range(8)]
    bursts = check_wire(simulate(sender(packets), data_width=data_width), packets, f"seed {seed}")
    for earlier, later, packet in zip(bursts, bursts[1:], packets, strict=False):
        assert later.start - earlier.start == max(MINIMUM_BYTES, len(packet)) + OVERHEAD_BYTES


def test_gap_is_never_short_when_frames_come_at_any_time():
    seed = 4
    rng = random.Random(seed)
    packets = [rng.randbytes(rng.randint(1, 70)) for _ in range(40)]
    gaps = [rng.randint(1, 100) for _ in packets]
    cycles = simulate(sender(packets, gaps=gaps))
    bursts = check_wire(cycles, packets, f"seed {seed}")
    for earlier, later in itertools.pairwise(bursts):
        assert later.start - earlier.end >= GAP_BYTES, f"seed {seed}"
    check_busy(cycles, bursts)


def test_disabling_finishes_the_frame_in_progress_and_holds_the_next():
    packets = [bytes(range(100)), b"held"]

    async def control(ctx, dut):
        ctx.set(dut.enable, 1)
        await ctx.tick().until(dut.gmii.tx_en)
        ctx.set(dut.enable, 0)
        await ctx.tick().repeat(500)
        ctx.set(dut.enable, 1)

    bursts = check_wire(simulate(sender(packets), control=control), packets)
    assert bursts[1].start - bursts[0].start > 500


def test_nothing_leaves_while_disabled():
    async def control(ctx, dut):
        await ctx.tick().repeat(300)
        ctx.set(dut.enable, 1)

    (burst,) = check_wire(simulate(sender([b"later"]), control=control), [b"later"])
    assert burst.start > 300


def test_disabling_between_frames_holds_even_a_frame_that_is_waiting():
    packets = [b"first", b"second"]

    async def control(ctx, dut):
        ctx.set(dut.enable, 1)
        await ctx.tick().until(dut.sent)
        ctx.set(dut.enable, 0)
        await ctx.tick().repeat(100)
        ctx.set(dut.enable, 1)

    bursts = check_wire(simulate(sender(packets), control=control), packets)
    assert bursts[1].start - bursts[0].end >= 100


@pytest.mark.parametrize("beats", [1, 3, 9])
def test_a_source_that_runs_dry_spoils_the_frame_and_nothing_after_it(beats):
    good = [b"before", b"after it"]
    broken = bytes(range(120))

    async def source(ctx, dut):
        await put_packet(ctx, dut.frame, good[0])
        await put_dry(ctx, dut.frame, broken, beats, 40)
        await put_packet(ctx, dut.frame, good[1])

    cycles = simulate(source)
    first, spoilt, second = bursts_of(cycles)
    assert [first.data, second.data] == [on_the_wire(padded(packet)) for packet in good]
    assert not any(first.errors + second.errors)
    sent = broken[: 8 * beats]
    assert spoilt.data[:-4] == PREAMBLE + sent
    assert spoilt.data[-4:] != zlib.crc32(sent).to_bytes(4, "little")
    assert spoilt.errors == (0,) * (len(spoilt.data) - 4) + (1,) * 4
    assert second.start - spoilt.end >= GAP_BYTES
    assert sum(cycle.sent for cycle in cycles) == 2
    check_busy(cycles, [first, spoilt, second])


def test_data_width_is_checked():
    with pytest.raises(ValueError, match=r"^Data width must be 8 times a power of two, not 24$"):
        GmiiTransmitter(data_width=24)
