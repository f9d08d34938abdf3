"""CXXRTL's models for a native engine: Yosys writes them itself.

clang compiles them: it needs 40 % of the time that g++ takes, and what it makes of the templates is
half as fast again.
"""

import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from byway.sim.engines.native_model import TOP, Model

__all__ = ["CxxrtlMaker"]

_RUNTIME = "pyosys/share/include/backends/cxxrtl/runtime"
#: A port in the header of a model; its name has each underscore twice.
_PORT = re.compile(r"/\*(input|output)\*/ (?:value|wire)<\d+> (p_(\w+));")


class CxxrtlMaker:
    """See `byway.sim.engines.native_model.ModelMaker`."""

    name = "cxxrtl"
    engine = "cxxrtl"
    compiler = "clang++"
    packages: tuple[str, ...] = ("pyosys",)
    trainable = False  # What clang needs for it is in packages of its own.

    def last_passes(self, *, waves: bool) -> str:
        """Leave the model; for `waves` with all names, and with every net in one piece."""
        if waves:
            return f"write_cxxrtl -header -g4 {TOP}.cc"
        # A net of which a part depends on another would have all evaluated again.
        return f"splitnets -driver; opt_clean -purge; write_cxxrtl -header -g0 {TOP}.cc"

    def make(self, folder: Path, run: Callable[..., None], *, waves: bool) -> Model:
        """Make the list of ports."""
        sides = {"input": "", "output": ""}
        for side, member, name in _PORT.findall((folder / f"{TOP}.h").read_text()):
            if name != "clk":
                sides[side] += f" \\\n  PORT({name.replace('__', '_')}, {member})"
        lists = [f"#define BYWAY_{side.upper()}S(PORT){ports}\n" for side, ports in sides.items()]
        (folder / "port_names.h").write_text("\n".join(lists))
        runtime = metadata.distribution("pyosys").locate_file(_RUNTIME)
        return Model(each_cycle=(folder / f"{TOP}.cc",), flags=("-DNDEBUG", "-I.", f"-I{runtime}"))
