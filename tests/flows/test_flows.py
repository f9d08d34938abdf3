"""Whole flows on the exported Verilog, driven and judged by other people's models.

Each ``flow_*.py`` beside this file holds cocotb tests of one kind, run in one simulation; what
fails there fails here, with its own words. The seed is random, is named in every failure, and can
be given again as BYWAY_SEED.
"""

from pathlib import Path

import pytest

from byway.rtl.export import to_verilog
from byway.rtl.shared_adapter import SharedAdapter

TOP = "shared_adapter"
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def verilog() -> str:
    return to_verilog(SharedAdapter(), TOP)


@pytest.fixture(scope="session")
def xgmii_verilog() -> str:
    return to_verilog(SharedAdapter(data_width=128, wire="xgmii"), TOP)


@pytest.mark.parametrize("module", sorted(path.stem for path in HERE.glob("flow_*.py")))
def test_flows_pass_on_verilator(run_flows, verilog: str, module: str, tmp_path: Path) -> None:
    run_flows(verilog, TOP, "verilator", module, tmp_path)


@pytest.mark.parametrize("module", ["flow_transmit", "flow_machine"])
def test_flows_pass_over_xgmii(run_flows, xgmii_verilog: str, module: str, tmp_path: Path) -> None:
    run_flows(xgmii_verilog, TOP, "verilator", module, tmp_path)


def test_a_small_flow_passes_on_icarus(run_flows, verilog: str, tmp_path: Path) -> None:
    run_flows(verilog, TOP, "icarus", "flow_transmit", tmp_path, only="a_frame_of_each_kind")
