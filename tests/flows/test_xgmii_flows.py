# amaranth: UnusedElaboratable=no
"""The XGMII transmitter before a sink that is not ours, on both simulators.

The flows are in ``xgmii_flows.py``; what is said of seeds and failures in `test_flows` holds here.
"""

import pytest

from byway.rtl.export import to_verilog
from byway.rtl.mac.xgmii import XgmiiTransmitter


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_frames_reach_a_sink_of_others(run_flows, simulator, tmp_path):
    verilog = to_verilog(XgmiiTransmitter(), "xgmii_transmitter")
    run_flows(verilog, "xgmii_transmitter", simulator, "xgmii_flows", tmp_path)
