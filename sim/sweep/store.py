"""The folder of a sweep: a small Parquet file for each finished point, and one of them all.

A point's file is named by its key and appears whole or not at all, so that whatever ends a sweep,
what was finished is kept. To read ten thousand small files takes many seconds: what has not changed
since the one of them all was written is taken from there, and only what is asked for is read.
"""

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow
from pyarrow import parquet

from byway.sim.sweep.row import COLUMNS, FAILED, Row

__all__ = ["Store", "StoreError", "write_whole"]

_POINTS = "points"
_TABLE = "sweep.parquet"
#: As `byway.sim.sweep.row.key_of` makes keys.
_POINT_NAME = re.compile(r"[0-9a-f]{24}\.parquet")
_UNFINISHED = ".unfinished-"
_TYPES = {
    bool: pyarrow.bool_(),
    float: pyarrow.float64(),
    int: pyarrow.int64(),
    str: pyarrow.string(),
}
_SCHEMA = pyarrow.schema([(name, _TYPES[kind]) for name, kind in COLUMNS.items()])


class StoreError(Exception):
    """The folder holds something that is not of a sweep; the text says what in one line."""


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, which holds all of it or, if that fails, what it held before."""
    descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    unfinished = Path(name)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o644)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


class Store:
    """The results in `folder`, which nobody else writes to meanwhile; made by `Store.open`.

    Attributes
    ----------
    folder : Path
    table : Path
        Where `merge` writes.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.table = folder / _TABLE
        self._points = folder / _POINTS
        self._rows: dict[str, Row] = {}
        #: Key of each point that has a file -> when it was written, in nanoseconds.
        self._written: dict[str, int] = {}
        self._merged: dict[str, Row] = {}
        self._merged_at = 0

    @staticmethod
    @contextlib.contextmanager
    def open(folder: Path) -> Iterator["Store"]:
        """The store in `folder`, which is made if it is not there.

        Raises
        ------
        StoreError
            A file there is not of a sweep, or another sweep is writing to it. What a point's file
            holds is seen by `find` and `merge`, which may raise it as well.
        OSError
            It cannot be read or written to.
        """
        store = Store(folder)
        with _made(store._points), _locked(folder):
            for left in [*folder.glob(f"{_UNFINISHED}*"), *store._points.glob(f"{_UNFINISHED}*")]:
                left.unlink()
            if store.table.exists():
                store._merged_at = store.table.stat().st_mtime_ns
                # It will be overwritten, so it must be ours.
                store._merged = {row["key"]: row for row in _read(store.table)}
            for path in sorted(store._points.iterdir()):
                if not _POINT_NAME.fullmatch(path.name):
                    raise StoreError(f"{path} is not the result of a point")
                store._written[path.stem] = path.stat().st_mtime_ns
            yield store

    def find(self, key: str) -> Row | None:
        """The row of a point that has a result, None if there is none."""
        row = self._row(key)
        return None if row is None or row["status"] == FAILED else row

    def _row(self, key: str) -> Row | None:
        if key not in self._rows:
            if key not in self._written:
                return None
            # Should a clock have gone wrong, the worst is that a failed point is run again.
            if key in self._merged and self._written[key] < self._merged_at:
                self._rows[key] = self._merged[key]
            else:
                self._rows[key] = _read_point(self._points / f"{key}.parquet")
        return self._rows[key]

    def add(self, row: Row) -> None:
        """Keep `row`, on disk when this returns."""
        write_whole(self._points / f"{row['key']}.parquet", _parquet([row]))
        self._rows[row["key"]] = row

    def merge(self, keys: Sequence[str]) -> list[Row]:
        """Write the rows of `keys`, as far as they are there, to `table`; returns them."""
        rows = [row for key in keys if (row := self._row(key)) is not None]
        if rows:
            write_whole(self.table, _parquet(rows))
        return rows


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """`folder`, with those above it; what was made for nothing is removed in the end."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"Another sweep is writing to {folder}") from error
        yield
    finally:
        os.close(descriptor)


def _parquet(rows: Sequence[Row]) -> bytes:
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.Table.from_pylist(list(rows), schema=_SCHEMA)
    parquet.write_table(
        table, sink, use_dictionary=False, write_statistics=False, write_page_checksum=True
    )
    return sink.getvalue().to_pybytes()


def _read(path: Path) -> list[Row]:
    data = path.read_bytes()
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(data), page_checksum_verification=True)
        table = file.read(use_threads=False)  # Which would cost more than to read a row.
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is not a Parquet file, or a broken one") from error
    if not table.schema.equals(_SCHEMA):
        raise StoreError(f"{path} was not written by this version of byway sweep")
    return table.to_pylist()


def _read_point(path: Path) -> Row:
    rows = _read(path)
    if [row["key"] for row in rows] != [path.stem]:
        raise StoreError(f"{path} is not the result of a point")
    return rows[0]
