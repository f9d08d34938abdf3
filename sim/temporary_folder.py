"""Temporary folders of which none stays: what a killed process left goes when the next is made.

A folder is in use while its lock is held, which ends with the process that made it, however that
ends.
"""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["temporary_folder"]

#: What `tempfile.mkdtemp` puts behind a prefix.
_RANDOM = "[a-z0-9_]{8}"


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """An empty folder that goes with the context.

    Parameters
    ----------
    prefix : str
        Begins its name. Those of the same prefix that nobody uses any more go first.
    parent : Path or None
        Where it is made; None for the system's folder of temporary files.

    Raises `OSError` if it cannot be made.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    for left in parent.glob(f"{prefix}*"):
        if re.fullmatch(re.escape(prefix) + _RANDOM, left.name):
            _remove_if_left(left)
    folder, lock = _made(prefix, parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _made(prefix: str, parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            return folder, _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # Before it was locked, another process took it for left over.
        except OSError:
            return folder, None  # There are no locks here, so nobody will take it for that.


def _lock(folder: Path) -> int:
    """Lock `folder`, until what is returned is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()  # It may have been removed before it was locked.
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove_if_left(folder: Path) -> None:
    """Remove a folder that was made here, by this user, and that nobody uses."""
    with contextlib.suppress(OSError):
        status = folder.lstat()
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
            return
        lock = _lock(folder)
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
