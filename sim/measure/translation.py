"""What translation costs: ``python -m byway.sim.measure.translation``.

Four tables: streams through the bridge alone, with a cold IOTLB and a warm one; streams of frames
through the shared adapter, likewise; 256 requesters in rotation, each with more pages than an IOTLB
can keep for it; and the redirected path beside the dedicated one, at many frame sizes. Writes them
and the figures with goals to ``out/bench/translation.json``; exit code 1 if a goal is missed.
"""

import argparse
import functools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from byway.rtl.bus.axi4 import PAGE_BYTES
from byway.sim.engines.engine import EngineError
from byway.sim.measure.adapter_stream import stream_frames
from byway.sim.measure.bridge_load import BridgeLoad, rotation_rings, stream_accesses
from byway.sim.measure.figures import Figure, report
from byway.sim.scenarios.send import SendOptions, send

__all__ = ["StreamCase", "measure", "rotate", "share", "stream", "stream_adapter"]

Row = dict[str, Any]

#: Of the tables, in columns.
_WIDTH = 118
#: The memory that the goals are for, in cycles.
_SLOW = 200
#: Beats of a stream: what begins it, a walk and the memory's latency, is to count for little.
_STREAM_BEATS = 1 << 17
#: As many pages as every IOTLB here keeps.
_WARM_PAGES = 16
_ROTATION_CYCLES = 400_000
_REQUESTERS = 256
_ROTATION_ROUNDS = 64
#: Segments, in bytes of payload; up to the first limit they go at an MTU of 1500.
_SEGMENTS = (64, 128, 256, 512, 1024, 1448, 4000, 8948)
_ETHERNET_MSS, _JUMBO_MTU = 1448, 9000


class StreamCase(NamedTuple):
    """A stream through the bridge.

    Attributes
    ----------
    data_width : int
        Of the bus, in bits.
    burst_bytes, latency : int
    write : bool
    ahead, walks : int
        Of the bridge.
    """

    data_width: int = 64
    burst_bytes: int = 128
    latency: int = _SLOW
    write: bool = False
    ahead: int = 1
    walks: int = 8


_STREAMS = (
    *(StreamCase(latency=latency) for latency in (0, 50, 100, _SLOW, 400)),
    StreamCase(write=True),
    StreamCase(burst_bytes=2048),
    StreamCase(burst_bytes=2048, write=True),
    *(
        StreamCase(data_width=128, burst_bytes=burst_bytes, write=write)
        for burst_bytes in (256, 4096)
        for write in (False, True)
    ),
    # A page is over in 64 cycles here: only what is fetched several pages ahead comes in time.
    StreamCase(data_width=512, burst_bytes=1024),
    StreamCase(data_width=512, burst_bytes=1024, ahead=8, walks=16),
)


def stream(case: StreamCase, *, beats: int = _STREAM_BEATS) -> Row:
    """Stream once through pages that the IOTLB does not know, and as far over pages it knows."""
    pages = beats * case.data_width // 8 // PAGE_BYTES
    accesses = functools.partial(
        stream_accesses,
        data_width=case.data_width,
        burst_bytes=case.burst_bytes,
        write=case.write,
    )
    load = BridgeLoad(
        requesters=2,
        pages=pages,
        latency=case.latency,
        data_width=case.data_width,
        iotlb_sets=32,
        ahead=case.ahead,
        walks=case.walks,
    )
    try:
        cold = load.stream(accesses(range(pages)))
        known = [page % _WARM_PAGES for page in range(pages)]
        load.stream(accesses(known[: 2 * _WARM_PAGES]))
        warm = load.stream(accesses(known))
    finally:
        load.close()
    return {
        **case._asdict(),
        "write": "write" if case.write else "read",
        "cold_bytes_a_cycle": cold.bytes_a_cycle,
        "warm_bytes_a_cycle": warm.bytes_a_cycle,
        "cold_over_warm": warm.cycles / cold.cycles,
        "misses": cold.misses,
        "prefetches": cold.prefetches,
        "warm_misses": warm.misses + warm.prefetches,
    }


def stream_adapter(frame_bytes: int, *, latency: int = _SLOW, frames: int = 60) -> Row:
    """Send frames over the shared adapter, cold and warm."""
    stream = stream_frames(frame_bytes=frame_bytes, frames=frames, latency=latency)
    return {
        "frame_bytes": frame_bytes,
        "frames": frames,
        "latency": latency,
        **asdict(stream),
        "cold_over_warm": stream.warm_cycles / stream.cold_cycles,
    }


#: Name of a rotation -> (accesses of a ring that follow each other, how its rings are made). Each
#: access hops to another page; or a page is read to its end before the next, by single bursts or by
#: frames of 12 bursts; or one ring asks without end for what hits, among others that hop.
_ROTATIONS: dict[str, tuple[int, Callable[..., list]]] = {
    "hop": (1, functools.partial(rotation_rings, page_by_page=False)),
    "walk": (1, rotation_rings),
    "frames": (12, functools.partial(rotation_rings, depth=12)),
    "greedy": (
        16,
        functools.partial(rotation_rings, page_by_page=False, greedy_depth=64),
    ),
}


def rotate(entries: int, pattern: str, *, cycles: int = _ROTATION_CYCLES) -> Row:
    """Have 256 requesters of 4 pages each take turns, with an IOTLB of `entries`."""
    turn, make = _ROTATIONS[pattern]
    load = BridgeLoad(
        requesters=_REQUESTERS, pages=4, latency=_SLOW, id_width=8, iotlb_sets=entries // 2
    )
    try:
        rings = make(_REQUESTERS, rounds=_ROTATION_ROUNDS)
        rotation = load.rotation(rings, turn=turn, cycles=cycles)
    finally:
        load.close()
    return {"entries": entries, "pattern": pattern, **asdict(rotation)}


def share(segment: int, *, latency: int, data: bytes) -> Row:
    """Send `data` in segments over both paths."""
    mtu = 1500 if segment <= _ETHERNET_MSS else _JUMBO_MTU
    options = SendOptions(mtu=mtu, mss=segment, memory_latency=latency)
    with tempfile.TemporaryDirectory(prefix="byway-") as folder:
        result = send(data, options, Path(folder), name=f"{segment} bytes a segment")
    if not result.intact:
        raise EngineError(f"What was sent in segments of {segment} bytes arrived broken")
    return {
        "segment_bytes": segment,
        "latency": latency,
        "cycles": result.cycles,
        "dedicated_cycles": result.dedicated_cycles,
        "redirected_over_dedicated": result.redirected_over_dedicated,
    }


def measure() -> Iterator[tuple[str, list[Row]]]:
    """Measure table by table: yields each one's name and rows."""
    yield "streams through the bridge", [stream(case) for case in _STREAMS]
    yield (
        "streams through the shared adapter",
        [
            stream_adapter(frame_bytes, latency=latency)
            for frame_bytes in (590, 1514)
            for latency in (0, _SLOW)
        ],
    )
    yield (
        "256 requesters in rotation, 4 pages each",
        [rotate(entries, pattern) for entries in (16, 32, 64, 128, 256) for pattern in _ROTATIONS],
    )
    yield (
        "redirected beside dedicated",
        [
            share(segment, latency=latency, data=bytes(range(256)) * (segment // 2 + 64))
            for segment in _SEGMENTS
            for latency in (0, _SLOW)
        ],
    )


def _share_beside_greedy(rows: dict[str, Row]) -> float:
    """What the least of the others gets beside a greedy ring, of what it gets among equals."""
    return rows["greedy"]["fewest"] / rows["hop"]["fewest"]


def _figures(tables: dict[str, list[Row]]) -> list[Figure]:
    streams, frames, rotations, shared = tables.values()
    adapter_wide = [
        row["cold_over_warm"]
        for row in streams
        if row["latency"] == _SLOW and row["data_width"] <= 128
    ]
    slow_frames = [
        row["cold_over_warm"]
        for row in frames
        if row["latency"] == _SLOW and row["frame_bytes"] == 1514
    ]
    middle = {row["pattern"]: row for row in rotations if row["entries"] == 64}
    spread = {
        name: (middle[name]["most"] - middle[name]["fewest"]) / turn
        for name, (turn, _make) in _ROTATIONS.items()
    }
    least_shared = min(row["redirected_over_dedicated"] for row in shared)
    return [
        Figure("cold_over_warm_bridge", min(adapter_wide), "of the throughput", ">= 0.98"),
        Figure("cold_over_warm_frames_of_1514", min(slow_frames), "of the speed", ">= 0.98"),
        *(
            Figure(f"rotation_{name}_most_less_fewest", turns, "turns of a ring", "<= 1")
            for name, turns in spread.items()
        ),
        Figure("greedy_others", _share_beside_greedy(middle), "of their share", ">= 0.9"),
        Figure("redirected_over_dedicated", least_shared, "of the speed", ">= 0.99"),
    ]


def _print(name: str, rows: list[Row]) -> None:
    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading.replace("_", " "), justify="right", min_width=6)
    for row in rows:
        table.add_row(
            *(f"{cell:.4f}" if isinstance(cell, float) else f"{cell}" for cell in row.values())
        )
    Console(highlight=False, width=_WIDTH).print(table, "")


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m byway.sim.measure.translation")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    folder = parser.parse_args().out
    tables = {}
    try:
        for name, rows in measure():
            tables[name] = rows
            _print(name, rows)
    except EngineError as error:
        print(f"byway: {error}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "translation_tables.json").write_text(json.dumps(tables, indent=2) + "\n")
    return report(_figures(tables), folder / "translation.json")


if __name__ == "__main__":
    sys.exit(main())
