"""The cache of compiled simulators: what is in it is whole, whatever happened to who built it.

It lies in ``$XDG_CACHE_HOME/byway``, by default ``~/.cache/byway``. A simulator is compiled in a
hidden folder, which takes its name only at the end: a build that is broken off, by Ctrl-C or a
crash, leaves nothing that a later one could take for finished work.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from byway.sim.engines.engine import EngineError

__all__ = ["build_once"]


def build_once(name: str, ingredients: str, build: Callable[[Path], None]) -> Path:
    """Return the folder that `build` filled, now or in an earlier run.

    Parameters
    ----------
    name : str
        What is built; begins the folder's name.
    ingredients : str
        All that the outcome depends on. Same name and ingredients, same folder.
    build : callable
        Fills the empty folder that it is given. What it raises is passed on, and nothing is kept
        but, until the next attempt, that folder.

    Two processes that want the same build wait for one another. Raises `EngineError` if the cache
    cannot be written to.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "byway"
    folder = cache / f"{name}-{hashlib.sha256(ingredients.encode()).hexdigest()[:16]}"
    try:
        return _build_once(cache, folder, build)
    except OSError as error:
        reason = error.strerror or error
        raise EngineError(f"{name} cannot be built in the cache {cache}: {reason}") from error


def _build_once(cache: Path, folder: Path, build: Callable[[Path], None]) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for broken_off in cache.glob(f".{folder.name}-*"):
                shutil.rmtree(broken_off, ignore_errors=True)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=cache))
            build(unfinished)
            unfinished.rename(folder)
    return folder
