"""What stands around the transmitters of `byway.rtl.mac`, for test benches, and what frames become.

A source offers packets, a control enables the transmitter, and every cycle of the wire is kept.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from amaranth.hdl import ValueLike
from amaranth.sim import Simulator

from byway.sim.bench import put_packet, stream_put
from byway.sim.wire.medium import FCS_BYTES, MINIMUM_BYTES, PREAMBLE

__all__ = [
    "always_enabled",
    "on_the_wire",
    "padded",
    "pause",
    "put_dry",
    "sender",
    "watch_transmitter",
]

_Cycle = TypeVar("_Cycle")
_Coroutine = Callable[[Any, Any], Awaitable[None]]


def padded(packet: bytes) -> bytes:
    """The data of the frame that `packet` becomes."""
    return packet.ljust(MINIMUM_BYTES, b"\0")


def on_the_wire(data: bytes, *, flip: int = 0) -> bytes:
    """A frame of `data`, from preamble to FCS; the bits `flip` of the FCS are wrong."""
    return PREAMBLE + data + (zlib.crc32(data) ^ flip).to_bytes(FCS_BYTES, "little")


async def pause(ctx, cycles: int) -> None:
    """Let so many cycles pass."""
    for _ in range(cycles):
        await ctx.tick()


async def put_dry(ctx, stream, packet: bytes, beats: int, cycles: int) -> None:
    """Offer `packet` with a pause of so many `cycles` after so many `beats`."""
    lanes = len(stream.payload.data) // 8
    starts = range(0, len(packet), lanes)
    for number, start in enumerate(starts):
        if number == beats:
            await pause(ctx, cycles)
        chunk = packet[start : start + lanes]
        last = number == len(starts) - 1
        await stream_put(
            ctx,
            stream,
            {"data": int.from_bytes(chunk, "little"), "count": len(chunk), "last": last},
        )


def sender(packets: Iterable[bytes], *, gaps: Sequence[int] = ()) -> _Coroutine:
    """A source of `packets`, each with a pause of its `gaps` behind it."""

    async def source(ctx, dut):
        for number, packet in enumerate(packets):
            await put_packet(ctx, dut.frame, packet)
            if gaps:
                await pause(ctx, gaps[number])

    return source


async def always_enabled(ctx, dut) -> None:
    """A control."""
    ctx.set(dut.enable, 1)


def watch_transmitter(
    dut,
    source: _Coroutine,
    outputs: Sequence[ValueLike],
    cycle: Callable[..., _Cycle],
    *,
    control: _Coroutine = always_enabled,
    period_ns: float,
    tail: int,
) -> list[_Cycle]:
    """What ``cycle(*outputs)`` is in every cycle while ``source`` and ``control(ctx, dut)`` run.

    Ends `tail` cycles that are not busy after the source, which ends with its last frame taken.
    """
    cycles: list[_Cycle] = []
    finished = False

    async def feed(ctx):
        nonlocal finished
        await source(ctx, dut)
        finished = True

    async def watch(ctx):
        idle = 0
        while idle < tail:
            _clk, _rst, busy, *sampled = await ctx.tick().sample(dut.busy, *outputs)
            cycles.append(cycle(*sampled))
            idle = idle + 1 if finished and not busy else 0

    async def switch(ctx):
        await control(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(period_ns * 1e-9)
    simulator.add_testbench(feed)
    simulator.add_testbench(watch)
    simulator.add_testbench(switch, background=True)
    simulator.run()
    return cycles
