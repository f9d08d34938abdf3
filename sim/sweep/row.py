"""A row of the results: a point, what it came to, and of which sources."""

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import byway.sim
import byway.sw
from byway.sim.engines.engine import EngineError
from byway.sim.engines.fingerprint import digest_of_sources, fingerprint
from byway.sim.scenarios.error import ScenarioError
from byway.sim.scenarios.machine import adapter_for
from byway.sim.scenarios.share import ShareOptions, ShareResult, open_shared_engine, share

__all__ = [
    "COLUMNS",
    "FAILED",
    "OK",
    "WRONG",
    "Row",
    "failed",
    "key_of",
    "measure",
    "varying",
    "version_of",
]

#: A row's ``status``: what was received is what was sent; it is not; there was no result.
OK, WRONG, FAILED = "ok", "wrong", "failed"

#: Column -> value. `COLUMNS` says which there are.
Row = dict[str, Any]

_OPTIONS = dataclasses.fields(ShareOptions)
_RESULTS = dataclasses.fields(ShareResult)

#: Name of each column -> type of its values, which may be missing but for the first three and the
#: options: a failed point has an ``error`` instead of results.
COLUMNS: dict[str, type] = {
    "key": str,
    "version": str,
    "status": str,
    **{field.name: int if field.name == "mss" else field.type for field in _OPTIONS},
    **{field.name: field.type for field in _RESULTS},
    "wall_seconds": float,
    "error": str,
}  # type: ignore[assignment]

#: Of the simulation: what a result depends on.
_PARTS = ("board", "engines", "native", "scenarios", "wire")


def version_of(point: ShareOptions) -> str:
    """What differs if the design of `point` does, or the software and the board around it."""
    design = fingerprint(adapter_for(point.hosted, data_width=point.data_width))
    return _digest(f"{design} {_surroundings()}")


@functools.cache
def _surroundings() -> str:
    simulation = Path(byway.sim.__path__[0])
    folders = [Path(byway.sw.__path__[0]), *(simulation / part for part in _PARTS)]
    return " ".join(digest_of_sources(folder, (".py", ".h", ".cpp")) for folder in folders)


def key_of(point: ShareOptions, version: str) -> str:
    """What names the result of `point` with the sources that `version` stands for."""
    return _digest(json.dumps([dataclasses.asdict(point), version], sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def varying(rows: Sequence[Row]) -> set[str]:
    """The options that are not the same in all `rows`."""
    return {field.name for field in _OPTIONS if len({row[field.name] for row in rows}) > 1}


def failed(point: ShareOptions, version: str, error: str) -> Row:
    """The row of a point that has no result, and why in one line."""
    return _row(point, version, status=FAILED, error=" ".join(error.split()))


def measure(point: ShareOptions, version: str) -> Row:
    """Run `point` and return its row, which tells of a failure as well.

    Parameters
    ----------
    point : ShareOptions
    version : str
        What `version_of` says where the sweep was begun: it must be the same here.
    """
    try:
        if version_of(point) != version:
            raise ScenarioError("The worker has other sources of Byway, Amaranth or Python")
        engine = open_shared_engine(point)
        begun = time.perf_counter()
        try:
            result = share(engine, point)
        finally:
            engine.close()
    except (EngineError, ScenarioError) as error:
        return failed(point, version, str(error))
    except Exception as error:  # A defect, of which the rest of the sweep is to know nothing.
        return failed(point, version, f"{type(error).__name__}: {error}")
    return _row(
        point,
        version,
        status=OK if result.intact else WRONG,
        wall_seconds=time.perf_counter() - begun,
        **dataclasses.asdict(result),
    )


def _row(point: ShareOptions, version: str, **more: object) -> Row:
    named = {"key": key_of(point, version), "version": version}
    return dict.fromkeys(COLUMNS) | named | dataclasses.asdict(point) | more
