"""Writes ``sw/contract/byway.h``: the register space, the records and the codes for C.

PeakRDL's exporter writes structures and masks. Registers come as whole words, because a driver
reads and writes whole words; records, which lie in memory, come with bit fields, little-endian. The
exporter does not write enumerations: they are added here.
"""

import pathlib
import tempfile
from collections.abc import Iterator

from peakrdl_cheader.exporter import CHeaderExporter

from byway.rtl.contract.accessors import NOTICE
from byway.rtl.contract.model import MAXIMUM_RINGS, MAXIMUM_WINDOWS, elaborate, enumerations

__all__ = ["c_header"]


def c_header() -> str:
    """Text of the header."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        registers = folder / "byway_registers.h"
        CHeaderExporter().export(elaborate("byway", MAXIMUM_RINGS, MAXIMUM_WINDOWS), str(registers))
        records = folder / "byway_records.h"
        CHeaderExporter().export(
            elaborate("byway_records"), str(records), explode_top=True, generate_bitfields=True
        )
        return "\n".join(
            [
                f"/* {NOTICE} */",
                "/* Arrays are as long as there is room for; the identity page tells how long",
                " * they are. Registers and records are little-endian. */",
                "",
                "#ifndef BYWAY_H",
                "#define BYWAY_H",
                *_enumerations(),
                "",
                _without_parameters(registers.read_text()),
                records.read_text(),
                "#endif /* BYWAY_H */",
                "",
            ]
        )


def _without_parameters(text: str) -> str:
    """`text` without what the exporter puts into names for parameters other than the default."""
    for parameter, value in (("RINGS", MAXIMUM_RINGS), ("WINDOWS", MAXIMUM_WINDOWS)):
        text = text.replace(f"_{parameter}_{value:x}", "")
    return text


def _enumerations() -> Iterator[str]:
    for name, code in enumerations().items():
        yield from ("", f"enum {name} {{")
        for member in code:
            yield f"    /* {member.rdl_desc} */"
            yield f"    {name.upper()}__{member.name.upper()} = {member.value},"
        yield "};"
