"""What the README shows is what the commands print and the checked-in figures say."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from byway.rtl import timing

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TIMING = json.loads(timing.TABLE.read_text())


def test_every_component_has_a_timing_figure_that_reaches_its_goal():
    assert set(TIMING) == set(timing.components())
    slow = {name for name, figures in TIMING.items() if figures["fmax_mhz"] < timing.goal_mhz(name)}
    assert not slow


def test_timing_figures_shown_are_those_kept():
    row = r"^\| (\w+) \| ([\d.]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$"
    rows = re.findall(row, README, re.MULTILINE)
    assert {"shared_adapter", "adapter", "translation_bridge"} <= {name for name, *_ in rows}
    for name, *cells in rows:
        figures = [float(cell.replace(",", "")) for cell in cells]
        kept = [TIMING[name][key] for key in ("fmax_mhz", "luts", "flip_flops", "block_rams")]
        assert figures == kept, name


@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_first_screen_is_what_the_demo_prints(tmp_path):
    shown = re.search(r"^byway\.png: .*?(?=^```)", README, re.MULTILINE | re.DOTALL)
    assert shown
    command = [sys.executable, "-m", "byway.sim.command", "send", "tests/data/byway.png"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    assert printed[:-1] == shown[0].splitlines()
