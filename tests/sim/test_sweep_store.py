"""The folder of a sweep: what is finished stays, what is not of a sweep is not touched."""

import contextlib
import errno
import os
import random
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from byway.sim.scenarios.share import ShareOptions
from byway.sim.sweep.row import COLUMNS, OK, Row, failed, version_of
from byway.sim.sweep.store import Store, StoreError


def row_of(seed: int) -> Row:
    """A row that looks like that of a point that went well."""
    point = ShareOptions(seed=seed)
    sample = {bool: True, int: seed, float: seed / 7, str: str(seed)}
    values = {name: sample[kind] for name, kind in COLUMNS.items()}
    row = values | failed(point, version_of(point), "") | {"status": OK, "error": None}
    return {name: values[name] if row[name] is None else row[name] for name in COLUMNS}


def fill(folder: Path, *rows: Row) -> None:
    with Store.open(folder) as store:
        for row in rows:
            store.add(row)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_rows_are_found_again_and_merged_in_the_order_asked_for(tmp_path):
    rows = [row_of(seed) for seed in range(3)]
    fill(tmp_path / "a" / "b", *rows)
    with Store.open(tmp_path / "a" / "b") as store:
        assert [store.find(row["key"]) for row in rows] == rows
        assert store.find(row_of(9)["key"]) is None
        wanted = [rows[2]["key"], "nowhere", rows[0]["key"]]
        assert store.merge(wanted) == [rows[2], rows[0]]
        assert parquet.read_table(store.table).to_pylist() == [rows[2], rows[0]]
    points = parquet.read_table(tmp_path / "a" / "b" / "points").to_pylist()
    assert sorted(row["seed"] for row in points) == [0, 1, 2]


def test_failed_point_is_kept_but_counts_as_missing(tmp_path):
    point = ShareOptions()
    row = failed(point, version_of(point), "two\nlines  of it")
    assert (row["error"], row["version"]) == ("two lines of it", version_of(point))
    fill(tmp_path, row)
    with Store.open(tmp_path) as store:
        assert store.find(row["key"]) is None
        assert store.merge([row["key"]]) == [row]


def test_folder_for_nothing_is_not_left(tmp_path):
    with Store.open(tmp_path / "a" / "b"):
        pass
    assert not list(tmp_path.iterdir())


def test_half_written_file_of_a_killed_sweep_is_swept_away(tmp_path):
    fill(tmp_path, row_of(0))
    (tmp_path / "points" / ".unfinished-x").write_bytes(b"half")
    fill(tmp_path, row_of(1))
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("number", [0, 1], ids=["again", "anew"])
def test_full_disk_leaves_what_was_there(number, tmp_path, monkeypatch):
    fill(tmp_path, row_of(0))
    before = files(tmp_path)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with Store.open(tmp_path) as store:
        for write in (lambda: store.add(row_of(number)), lambda: store.merge([row_of(0)["key"]])):
            with pytest.raises(OSError, match="No space left"):
                write()
    assert files(tmp_path) == before


def test_second_sweep_at_once_is_refused(tmp_path):
    fill(tmp_path, row_of(0))
    with (
        Store.open(tmp_path),
        pytest.raises(StoreError, match="Another sweep is writing to"),
        Store.open(tmp_path),
    ):
        pass


def foreign(path: Path) -> None:
    parquet.write_table(pyarrow.table({"key": ["x"], "value": [1]}), path)


def text(path: Path) -> None:
    path.write_text("key,value\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("write", [foreign, text, empty])
@pytest.mark.parametrize("name", ["sweep.parquet", "points/x.parquet"])
def test_file_of_others_is_refused_by_name_and_left_alone(name, write, tmp_path):
    fill(tmp_path, row_of(0))
    write(tmp_path / name)
    before = files(tmp_path)
    with pytest.raises(StoreError) as error, Store.open(tmp_path):
        pass
    assert str(error.value).startswith(str(tmp_path / name))
    assert "\n" not in str(error.value)
    assert files(tmp_path) == before


def test_point_under_the_name_of_another_is_refused(tmp_path):
    fill(tmp_path, row_of(0))
    path = tmp_path / "points" / f"{row_of(0)['key']}.parquet"
    path.rename(path.with_stem("0" * 24))
    with (
        Store.open(tmp_path) as store,
        pytest.raises(StoreError, match=r"0{24}\.parquet is not the result of a point"),
    ):
        store.find("0" * 24)


@pytest.fixture
def opened(monkeypatch):
    """The Parquet files that have been read, as their sizes."""
    sizes = []
    read = parquet.ParquetFile

    def counting(source, **more):
        sizes.append(source.size())
        return read(source, **more)

    monkeypatch.setattr(parquet, "ParquetFile", counting)
    return sizes


def test_merged_points_are_read_from_one_file_unless_written_since(opened, tmp_path):
    """To open the folder of a large sweep takes seconds otherwise."""
    rows = [row_of(seed) for seed in range(40)]
    keys = [row["key"] for row in rows]
    fill(tmp_path, *rows)
    for path in (tmp_path / "points").iterdir():
        os.utime(path, ns=(0, 0))
    with Store.open(tmp_path) as store:
        store.merge(keys[:30])
    assert len(opened) == 30
    opened.clear()
    again = rows[7] | {"wall_seconds": 77.0}
    with Store.open(tmp_path) as store:
        store.add(again)
    opened.clear()
    (tmp_path / "points" / f"{keys[5]}.parquet").unlink()
    with Store.open(tmp_path) as store:
        found = [store.find(key) for key in keys]
        assert found == [*rows[:5], None, rows[6], again, *rows[8:]]
        assert store.merge(keys) == [row for row in found if row]
    assert len(opened) == 1 + 1 + 10, "the table, what was added since, and what was not merged"
    opened.clear()
    with Store.open(tmp_path) as store:
        assert store.find(keys[0]) == rows[0]
    assert len(opened) == 1


@pytest.mark.parametrize("seed", range(4))
def test_broken_point_is_refused_or_read_and_never_a_crash(seed, tmp_path):
    chance = random.Random(seed)
    row = row_of(0)
    fill(tmp_path, row)
    path = tmp_path / "points" / f"{row['key']}.parquet"
    whole = path.read_bytes()
    for _ in range(50):
        broken = bytearray(whole)
        if chance.random() < 0.5:
            del broken[chance.randrange(len(whole)) :]
        else:
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        with contextlib.suppress(StoreError), Store.open(tmp_path) as store:
            assert store.find(row["key"]) == row, f"seed {seed}"
