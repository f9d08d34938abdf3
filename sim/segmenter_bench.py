"""What stands around `byway.rtl.transmit.segmenter`, for test benches.

Every packet, command and error that leaves is checked against the reference of
`byway.sim.segment_bench`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.sim import Simulator

from byway.rtl.transmit.segmenter import Segmenter
from byway.sim.bench import get_packet, put_packet, stream_get, stream_put
from byway.sim.segment_bench import Frame, Segment, cut

__all__ = ["Segmented", "run_segmenter"]


@dataclass
class Segmented:
    """What left, the cycle of each packet's last beat, and those of the first beat in and out."""

    packets: list[bytes]
    ends: list[int]
    first_in: int
    first_out: int


def run_segmenter(
    frames: Sequence[Frame],
    *,
    data_width: int = 64,
    seed: object = "",
    idle: float = 0.0,
    stall: float = 0.0,
    headway: bool = True,
) -> Segmented:
    """Send `frames` and check every packet, command and error against the reference.

    With `headway` a frame's command is there as early as the segmenter takes it, otherwise after
    random idle cycles.
    """
    segmenter = Segmenter(data_width=data_width)
    lanes = data_width // 8
    expected = [(frame, segment) for frame in frames for segment in cut(frame)]
    packets, ends, errors = [], [], [[]]
    first_in = first_out = -1

    async def watch(ctx):
        nonlocal first_in, first_out
        packet, out = segmenter.packet, segmenter.segment_packet
        cycle = 0
        async for _clk, _rst, put, offered, taken, beat in ctx.tick().sample(
            packet.valid & packet.ready, out.valid, out.valid & out.ready, out.payload
        ):
            if put and first_in < 0:
                first_in = cycle
            if offered and first_out < 0:
                first_out = cycle
            if taken:
                errors[-1].append(int(beat.error))
                if beat.last:
                    ends.append(cycle)
                    errors.append([])
            cycle += 1

    async def put_commands(ctx):
        rng = random.Random(f"commands {seed}")
        for frame in frames:
            await stream_put(
                ctx, segmenter.frames, frame.command, rng=rng, idle=0.0 if headway else 0.9
            )

    async def put_packets(ctx):
        rng = random.Random(f"packets {seed}")
        if headway:
            await ctx.tick().repeat(4)
        for frame in frames:
            await put_packet(
                ctx, segmenter.packet, frame.delivered, errors=frame.errors, rng=rng, idle=idle
            )

    async def get_commands(ctx):
        rng = random.Random(f"segments {seed}")
        for number, (frame, segment) in enumerate(expected):
            command = await stream_get(ctx, segmenter.segments, rng=rng, stall=stall)
            wanted = {
                name: frame.command[name] for name in command.shape().members if name != "last"
            }
            found = {name: int(command[name]) for name in wanted}
            assert found == wanted, f"segment {number}, seed {seed}"
            assert bool(command.last) == segment.last, f"segment {number}, seed {seed}"

    async def get_packets(ctx):
        rng = random.Random(f"out {seed}")
        for number, (frame, segment) in enumerate(expected):
            packet, error = await get_packet(ctx, segmenter.segment_packet, rng=rng, stall=stall)
            packets.append(packet)
            whole = _is_whole(frame, segment, lanes)
            assert packet == segment.packet or not whole, f"segment {number}, seed {seed}"
            wanted = _first_error(frame, segment.end, lanes)
            assert error == wanted, f"segment {number}, seed {seed}"
            assert error or whole, f"segment {number}, seed {seed}"

    simulator = Simulator(segmenter)
    simulator.add_clock(8e-9)
    simulator.add_process(watch)
    simulator.add_testbench(put_commands)
    simulator.add_testbench(put_packets)
    simulator.add_testbench(get_commands)
    simulator.add_testbench(get_packets)
    simulator.run()
    assert len(packets) == len(expected)
    for (frame, segment), found in zip(expected, errors, strict=False):
        # A packet ends as its frame is by then, and begins as it was when the one before ended.
        assert found[-1] == _first_error(frame, segment.end, lanes), f"seed {seed}"
        before = _first_error(frame, segment.begin, lanes)
        assert not before or set(found) == {before}, f"seed {seed}"
    return Segmented(packets, ends, first_in, first_out)


def _first_error(frame: Frame, end: int, lanes: int) -> int:
    """The first error of `frame` in a beat that holds bytes before `end`, 0 for none."""
    spoilt = [beat for beat in frame.errors if beat * lanes < end]
    return frame.errors[min(spoilt)] if spoilt else 0


def _is_whole(frame: Frame, segment: Segment, lanes: int) -> bool:
    """Whether `segment` leaves with all its bytes.

    A spoilt frame is not taken apart any more in the last beat that came of it.
    """
    last_beat = (len(frame.delivered) - 1) // lanes * lanes
    if frame.missing:
        return segment.end <= last_beat
    return not frame.errors or not segment.begin > last_beat
