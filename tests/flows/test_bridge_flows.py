# amaranth: UnusedElaboratable=no
"""The bridge as it is exported, behind a master that is not ours and before a memory that is not.

The flows are in ``bridge_flows.py``; what is said of seeds and failures in `test_flows` holds here.
"""

from pathlib import Path

import pytest

from byway.rtl import export

REQUESTERS, WINDOWS = 6, 4


def exported(folder: Path, *more: str) -> str:
    """What the command leaves."""
    file = folder / "bridge.v"
    arguments = ["bridge", f"--requesters={REQUESTERS}", f"--windows={WINDOWS}", *more]
    assert export.main([*arguments, "-o", str(file)]) == 0
    return file.read_text()


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--data-width=128", "--id-width=4", "--ahead=3"),
        # So little of everything that all waits for all.
        ("--id-width=1", "--walks=2", "--outstanding=2", "--iotlb-sets=2", "--iotlb-ways=1"),
    ],
    ids=["as it is", "128 bits", "smallest"],
)
def test_any_master_is_translated_and_contained_on_verilator(run_flows, more, tmp_path):
    verilog = exported(tmp_path, *more)
    run_flows(verilog, "bridge", "verilator", "bridge_flows", tmp_path)


def test_any_master_is_translated_and_contained_on_icarus(run_flows, tmp_path):
    verilog = exported(tmp_path)
    run_flows(verilog, "bridge", "icarus", "bridge_flows", tmp_path, effort=0.3)
