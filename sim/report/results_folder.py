"""A folder of results that is never seen half-written."""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from byway.sim.temporary_folder import temporary_folder

__all__ = ["results_folder"]


@contextlib.contextmanager
def results_folder(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A folder to write to, whose files reach `folder` together at the end, or not at all.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    names : sequence of str
        Files that may be left; those of an earlier run that this one does not leave go.

    What a killed run left unfinished goes.

    Raises `OSError` if `folder` cannot be written to, or holds a folder under one of the names.
    """
    with contextlib.ExitStack() as undo:
        for made in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            made.mkdir()
            undo.callback(_remove_if_empty, made)
        for name in names:
            if (folder / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), folder / name)
        with temporary_folder(".unfinished-", folder) as unfinished:
            yield unfinished
            for name in names:
                (folder / name).unlink(missing_ok=True)
            for path in sorted(unfinished.iterdir()):
                path.replace(folder / path.name)
        undo.pop_all()


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
