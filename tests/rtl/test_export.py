# amaranth: UnusedElaboratable=no
"""Components leave as Verilog with standard port names; wrong input is one line and exit code 2."""

import gc
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from byway.rtl import export

ROOT = Path(__file__).parents[2]


def ports_of(verilog: str, top: str) -> dict[str, tuple[str, int]]:
    """Direction and width of each port of the module `top`."""
    (body,) = re.findall(rf"^module {top}\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+) ?;", body, re.MULTILINE)
    return {name: (side, int(high or 0) + 1) for side, high, name in found}


def test_the_bridge_has_the_ports_that_its_parameters_ask_for(tmp_path, capsys):
    file = tmp_path / "mine.v"
    arguments = ["bridge", "--requesters=200", "--windows=7", "--data-width=128", "--id-width=5"]
    arguments += ["--user-width=8", "--addr-width=40", "--top=mine", "-o", str(file)]
    assert export.main(arguments) == 0
    assert capsys.readouterr() == (f"{file}\n", "")
    ports = ports_of(file.read_text(), "mine")
    assert {name.rpartition("_")[0] for name in ports} == {"", "s_axil", "s_axi", "m_axi"}
    assert {name for name in ports if "_" not in name} == {"clk", "rst", "interrupt", "idle"}
    for name, port in {
        "s_axi_araddr": ("input", 40),
        "s_axi_awuser": ("input", 8),
        "s_axi_arid": ("input", 5),
        "s_axi_rdata": ("output", 128),
        "m_axi_arid": ("output", 6),
        "m_axi_wstrb": ("output", 16),
        "m_axi_bid": ("input", 6),
        "s_axil_awaddr": ("input", 14),
        "s_axil_rdata": ("output", 32),
    }.items():
        assert ports[name] == port, name


def test_the_shared_adapter_goes_by_default_where_its_name_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export.main(["shared_adapter", "--rings", "1", "--windows", "2"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["shared_adapter.v"]
    ports = ports_of(Path("shared_adapter.v").read_text(), "shared_adapter")
    assert ports["gmii_txd"] == ("output", 8)
    assert ports["m_axi_rdata"] == ("input", 64)


def test_the_shared_adapter_has_the_wire_that_is_named(tmp_path):
    file = tmp_path / "ten.v"
    arguments = ["shared_adapter", "--rings=1", "--windows=2", "--data-width=128", "--wire=xgmii"]
    assert export.main([*arguments, "-o", str(file)]) == 0
    ports = ports_of(file.read_text(), "shared_adapter")
    assert ports["xgmii_txd"] == ("output", 64)
    assert ports["xgmii_txc"] == ("output", 8)
    assert ports["m_axi_rdata"] == ("input", 128)
    assert not [name for name in ports if name.startswith("gmii")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: COMPONENT"),
        (["adapter"], "argument COMPONENT: invalid choice: 'adapter' (choose from "),
        (["bridge", "--rings", "2"], "unrecognized arguments: --rings 2"),
        (["bridge", "--requesters", "257"], "Requesters must be 1 to 256, not 257"),
        (["bridge", "--user-width", "1"], "Requesters must be 1 to 2, not 4"),
        (["bridge", "--windows", "0"], "Windows must be 1 to 256, not 0"),
        (["bridge", "--walks", "3"], "Walks must be a power of two, at least 2, not 3"),
        (["bridge", "--walks", "128"], "Walks must be at most 64, not 128"),
        (["bridge", "--walks", "-2"], "argument --walks: must be a whole number, not '-2'"),
        (["bridge", "--ahead", "one"], "argument --ahead: must be a whole number, not 'one'"),
        (["bridge", "--data-width", "32"], "Data width must be at least 64 bits, not 32"),
        (["bridge", "--data-width", "96"], "Data width must be a power of two from 32 to 1024"),
        (["bridge", "--id-width", "0"], "ID width must be a positive integer, not 0"),
        (["bridge", "--addr-width", "65"], "Address width must be 12 to 64 bits, not 65"),
        (["bridge", "--iotlb-sets", "3"], "Sets must be a power of two, at least 2, not 3"),
        (["bridge", "--iotlb-ways", "0"], "Ways must be a positive integer, not 0"),
        (["bridge", "--outstanding", "1"], "Outstanding transactions must be a power of two"),
        (["bridge", "--top", "a b"], "--top must be an identifier of Verilog, not 'a b'"),
        (["shared_adapter", "--rings", "33"], "Rings must be 1 to 32, not 33"),
        (["shared_adapter", "--data-width", "256"], "Data width must be 64 or 128, not 256"),
        (
            ["shared_adapter", "--outstanding", "0"],
            "Outstanding must be a power of two from 4, not 0",
        ),
        (["shared_adapter", "--outstanding", "12"], "Outstanding must be a power of two from 4,"),
        (["shared_adapter", "--wire", "x"], "Wire must be one of gmii, xgmii, not 'x'\n"),
    ],
)
def test_wrong_input_is_one_line_that_names_it(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        assert export.main(arguments) == 2
        gc.collect()  # As long as nobody is told of what was begun and not used.
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"byway: {words}")
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    file = tmp_path / "no" / "bridge.v"
    assert export.main(["bridge", "-o", str(file)]) == 2
    assert capsys.readouterr().err == f"byway: Cannot write {file}: No such file or directory\n"


def test_as_a_process_it_says_nothing_but_the_line(tmp_path):
    """What was begun before a parameter was refused is not spoken of either."""
    result = subprocess.run(
        [sys.executable, "-m", "byway.rtl.export", "bridge", "--walks", "128"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "byway: Walks must be at most 64, not 128\n"
