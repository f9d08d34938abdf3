"""Which points a sweep has: lists and ranges, all combinations, samples."""

import argparse
from dataclasses import replace

import pytest

from byway.sim.commands.arguments import number
from byway.sim.commands.lists import MAXIMUM_VALUES, numbers, size
from byway.sim.scenarios.share import ShareOptions
from byway.sim.sweep.grid import AXES, Grid
from byway.sim.sweep.row import key_of, version_of

ONE = number("count", 0, 1 << 40)


def grid(**values: tuple[int | None, ...]) -> Grid:
    default = ShareOptions()
    return Grid("native", {axis: (getattr(default, axis),) for axis in AXES} | values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("7", (7,)),
        ("1,2,4", (1, 2, 4)),
        ("4,1,4", (4, 1)),
        ("0:4", (0, 1, 2, 3)),
        ("0:200:50", (0, 50, 100, 150)),
        ("9,0:3,2", (9, 0, 1, 2)),
        ("4Ki,1Mi,100", (4096, 1 << 20, 100)),
        ("1Ki:3Ki:512", (1024, 1536, 2048, 2560)),
    ],
)
def test_list_of_values_and_ranges_is_read(text, values):
    assert numbers(size(ONE))(text) == values


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "1,", "1,,2", "x", "-1", "1.5", "²", "Ki", "1Gi", "1 Ki"),
        *("1:", ":1", "1:2:", "1:2:3:4", "3:3", "4:1", "0:9:0", "0:9:-1"),
        *(f"0:{MAXIMUM_VALUES + 1}", "0:1000000000000"),
    ],
)
def test_list_that_is_none_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        numbers(size(ONE))(text)


def test_grid_has_every_combination_once_and_the_design_changes_least():
    points = grid(data_width=(64, 128), hosted=(1, 2), memory_latency=(0, 50), seed=(0, 1)).points()
    assert len(points) == len(set(points)) == 16
    designs = [(point.data_width, point.hosted) for point in points]
    assert designs == sorted(designs)
    assert [point.seed for point in points[:3]] == [0, 1, 0]


def test_sample_is_drawn_from_the_grid_and_is_the_same_for_a_seed():
    wide = grid(seed=tuple(range(10_000)), bytes=tuple(range(1, 10_000)))
    sample = wide.sample(50, 1)
    assert len(set(sample)) == 50
    assert sample == wide.sample(50, 1)
    assert sample != wide.sample(50, 2)
    small = grid(seed=tuple(range(9)))
    assert small.sample(50, 1) == small.points()
    assert set(small.sample(5, 1)) < set(small.points())


def test_key_depends_on_every_parameter():
    changed = [replace(ShareOptions(), **{axis: 7}) for axis in AXES]
    points = [ShareOptions(), ShareOptions(engine="amaranth"), *changed]
    assert key_of(points[0], "version") != key_of(points[0], "another")
    assert len({key_of(point, "version") for point in points}) == len(points)


def test_version_depends_on_the_design_alone_among_the_parameters():
    assert version_of(ShareOptions(seed=7, bytes=3)) == version_of(ShareOptions())
    assert version_of(ShareOptions(hosted=2)) != version_of(ShareOptions())
