"""Writes what is generated from the contract: ``python -m byway.rtl.contract.generate``.

The accessors and the C header in ``sw/contract`` are checked in; ``--check`` tells whether they are
still what the contract says. The HTML register reference is written where ``--html`` says.
"""

import argparse
import pathlib
import sys

from peakrdl_html.exporter import HTMLExporter

from byway.rtl.contract.accessors import records_module, registers_module
from byway.rtl.contract.c_header import c_header
from byway.rtl.contract.model import SOURCE, elaborate

__all__ = ["FOLDER", "drifted", "generated"]

#: Where the generated files are checked in.
FOLDER = SOURCE.parents[2] / "sw" / "contract"


def generated() -> dict[str, str]:
    """Text of each generated file by its name in `FOLDER`."""
    return {
        "registers.py": registers_module(),
        "records.py": records_module(),
        "byway.h": c_header(),
    }


def drifted(folder: pathlib.Path = FOLDER) -> list[pathlib.Path]:
    """Generated files in `folder` that are missing or not what the contract says."""
    return [
        folder / name
        for name, text in generated().items()
        if not (folder / name).exists() or (folder / name).read_text() != text
    ]


def main() -> int:
    """Write or compare the generated files; exit code 1 if any has drifted."""
    parser = argparse.ArgumentParser(
        prog="python -m byway.rtl.contract.generate", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument(
        "--html", type=pathlib.Path, metavar="DIR", help="write the register reference there"
    )
    arguments = parser.parse_args()
    stale = drifted()
    for path in stale:
        if arguments.check:
            print(f"{path} is not what the contract says; run make contract", file=sys.stderr)
        else:
            path.write_text(generated()[path.name])
            print(path)
    if arguments.html is not None:
        HTMLExporter().export([elaborate("byway"), elaborate("byway_records")], str(arguments.html))
        print(arguments.html / "index.html")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
