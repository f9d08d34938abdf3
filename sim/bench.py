"""Coroutines for test benches on Amaranth's simulator: put to and get from streams, with stalls.

Randomness comes from the caller's seeded generator, so that a failure can be run again.
"""

import random
from collections.abc import Mapping
from typing import Any

__all__ = ["get_packet", "put_packet", "stream_get", "stream_put"]


async def _stall(ctx, rng: random.Random | None, probability: float) -> None:
    while rng is not None and rng.random() < probability:
        await ctx.tick()


async def stream_put(
    ctx, stream, payload, *, rng: random.Random | None = None, idle: float = 0.0
) -> None:
    """Offer `payload` on `stream` until it is taken, after a random number of idle cycles."""
    await _stall(ctx, rng, idle)
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    await ctx.tick().until(stream.ready)
    ctx.set(stream.valid, 0)


async def stream_get(ctx, stream, *, rng: random.Random | None = None, stall: float = 0.0) -> Any:
    """Take one payload from `stream`, after a random number of cycles of backpressure."""
    await _stall(ctx, rng, stall)
    ctx.set(stream.ready, 1)
    (payload,) = await ctx.tick().sample(stream.payload).until(stream.valid)
    ctx.set(stream.ready, 0)
    return payload


async def put_packet(
    ctx,
    stream,
    packet: bytes,
    *,
    errors: Mapping[int, int] | None = None,
    rng: random.Random | None = None,
    idle: float = 0.0,
) -> None:
    """Send `packet` (at least one byte) by the laws of `byway.rtl.bus.packet`.

    `errors` maps the number of a beat to the AXI response that spoilt it.
    """
    lanes = len(stream.payload.data) // 8
    for number, start in enumerate(range(0, len(packet), lanes)):
        chunk = packet[start : start + lanes]
        beat = {
            "data": int.from_bytes(chunk, "little"),
            "count": len(chunk),
            "last": int(start + lanes >= len(packet)),
            "error": (errors or {}).get(number, 0),
        }
        await stream_put(ctx, stream, beat, rng=rng, idle=idle)


async def get_packet(
    ctx, stream, *, rng: random.Random | None = None, stall: float = 0.0
) -> tuple[bytes, int]:
    """Receive one packet, checking the laws of packet streams.

    Returns its bytes and the first error response in it, 0 for none.
    """
    lanes = len(stream.payload.data) // 8
    received = bytearray()
    error = 0
    while True:
        beat = await stream_get(ctx, stream, rng=rng, stall=stall)
        count = int(beat.count)
        assert 1 <= count <= lanes, f"beat holds {count} of {lanes} bytes"
        assert beat.last or count == lanes, f"beat before the last holds {count} of {lanes} bytes"
        received += int(beat.data).to_bytes(lanes, "little")[:count]
        error = error or int(beat.error)
        if beat.last:
            return bytes(received), error
