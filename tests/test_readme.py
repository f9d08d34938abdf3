"""What the README shows is what the commands print and the checked-in figures say."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_timing_table_is_the_kept_one():
    kept = json.loads((ROOT / "rtl/timing.json").read_text())
    row = r"^\| (\w+) \| ([\d.]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$"
    shown = {
        name: tuple(float(cell.replace(",", "")) for cell in cells)
        for name, *cells in re.findall(row, README, re.MULTILINE)
    }
    assert shown == {
        name: (one["fmax_mhz"], one["luts"], one["flip_flops"], one["block_rams"])
        for name, one in kept.items()
    }


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
