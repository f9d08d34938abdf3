"""The plot of a sweep: how much of the wire's limit was reached, against what was varied.

It has no background and is drawn in tones that can be read on white and on black alike.
"""

import io
from collections import defaultdict
from collections.abc import Sequence
from statistics import mean
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from byway.sim.scenarios.transfer import HEADER_BYTES
from byway.sim.sweep.grid import AXES
from byway.sim.sweep.row import FAILED, Row, varying

__all__ = ["plot_sweep"]

#: What is preferred along the horizontal axis, and what tells one line from another.
_HORIZONTAL = ("memory_latency", "memory_stalls", "bytes", "mss", "mtu", "memory_outstanding")
_LINES = ("hosted", "data_width", *_HORIZONTAL)
_MOST_PER_LINE = 2
#: Palette of Okabe and Ito without its lightest and darkest colours.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
_MARKERS = "osD^v<>"
_INK = "#767676"
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _INK,
    "grid.alpha": 0.35,
    "grid.color": _INK,
    "legend.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "byway",
}


def plot_sweep(rows: Sequence[Row], x: str | None) -> bytes:
    """Draw `rows`, those without a result left out, and return an SVG.

    Parameters
    ----------
    rows : sequence of Row
    x : str or None
        One of `AXES` for the horizontal axis; None for one that varies.

    A line is a combination of at most two parameters; a bar spans what came of all others.
    """
    done = [row for row in rows if row["status"] != FAILED]
    varied = varying(done)
    x = x or next((a for a in (*_HORIZONTAL, *_LINES) if a in varied), _HORIZONTAL[0])
    told = [axis for axis in _LINES if axis in varied and axis != x][:_MOST_PER_LINE]
    rest = [axis for axis in AXES if axis in varied and axis not in (x, *told)]
    lines: dict[tuple, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in done:
        line = lines[tuple(_value(row, axis) for axis in told)]
        line[_value(row, x)].append(row["goodput_of_limit"])
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for number, (values, line) in enumerate(sorted(lines.items())):
            places = sorted(line)
            middles = [mean(line[place]) for place in places]
            down = [middle - min(line[p]) for p, middle in zip(places, middles, strict=True)]
            up = [max(line[p]) - middle for p, middle in zip(places, middles, strict=True)]
            axes.errorbar(
                places,
                middles,
                yerr=(down, up),
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=5,
                capsize=3,
                elinewidth=1,
                label=", ".join(
                    f"{AXES[axis].name} {value:,}" for axis, value in zip(told, values, strict=True)
                ),
            )
        axes.set_xlabel(AXES[x].label)
        axes.set_ylabel("goodput of the wire's limit")
        spread = f", bars: least to most over {_names(rest)}" if rest else ""
        axes.set_title(f"Mean goodput{spread}", fontsize="medium")
        axes.ticklabel_format(axis="y", useOffset=False)
        low, high = axes.get_ylim()
        if high - low < 0.01:  # No difference that matters shall look like one.
            axes.set_ylim((low + high) / 2 - 0.005, (low + high) / 2 + 0.005)
        axes.grid()
        if told:
            figure.legend(loc="outside right upper", frameon=False, fontsize="small")
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def _value(row: Row, axis: str) -> int:
    if axis == "mss" and row["mss"] is None:
        return row["mtu"] - HEADER_BYTES
    return row[axis]


def _names(axes: Sequence[str]) -> str:
    return ", ".join(AXES[axis].name for axis in axes)
