"""Frames as they come off an engine's wire, for measurements."""

from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.engine import Engine, EngineError

__all__ = ["receive"]


def receive(engine: Engine, count: int, *, within: int) -> list[WireFrame]:
    """The next `count` frames; raises `EngineError` unless they come `within` cycles, all good."""
    end = engine.cycle + within
    frames: list[WireFrame] = []
    while True:
        while engine.frames and len(frames) < count:
            frames.append(engine.frames.popleft())
        if len(frames) == count:
            break
        if engine.cycle >= end:
            raise EngineError(f"Of {count} frames {len(frames)} came in {within} cycles")
        engine.run(end - engine.cycle)
    if not all(frame.good for frame in frames):
        raise EngineError("A frame came off the wire broken")
    return frames
