"""What is checked in under ``sw/contract`` is what the contract says, and a difference is found."""

import subprocess
import sys

from byway.rtl.contract.generate import FOLDER, drifted, generated


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "byway.rtl.contract.generate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_checked_in_files_are_up_to_date():
    result = generate("--check")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_changed_or_missing_file_is_named(tmp_path):
    names = list(generated())
    assert sorted(names) == ["byway.h", "records.py", "registers.py"]
    for name in names:
        (tmp_path / name).write_text((FOLDER / name).read_text())
    assert drifted(tmp_path) == []
    (tmp_path / names[0]).unlink()
    (tmp_path / names[1]).write_text((FOLDER / names[1]).read_text() + "\n")
    assert drifted(tmp_path) == [tmp_path / names[0], tmp_path / names[1]]


def test_the_reference_is_written_on_request(tmp_path):
    result = generate("--check", "--html", str(tmp_path / "reference"))
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "reference" / "index.html").exists()
