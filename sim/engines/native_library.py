"""What native engines share: how a compiled library is loaded, and what is told to its memory."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.engine import EngineError

__all__ = ["NativeMemoryManner", "load_library"]


class NativeMemoryManner(ctypes.Structure):
    """As ``MemoryManner`` in ``axi_memory.h``."""

    _fields_ = [
        ("latency", ctypes.c_uint32),
        ("outstanding", ctypes.c_uint32),
        ("stalls", ctypes.c_uint32),
        ("reorders", ctypes.c_uint32),
        ("errors", ctypes.c_uint32),
        ("seed", ctypes.c_uint64),
    ]

    @staticmethod
    def of(manner: MemoryManner) -> "NativeMemoryManner":
        """The same, for C++."""
        return NativeMemoryManner(**asdict(manner))


def load_library(
    engine: str, path: Path, arguments: Mapping[str, Sequence[type]], results: Mapping[str, type]
) -> ctypes.CDLL:
    """Load a library of the build cache.

    Parameters
    ----------
    engine : str
        What an error calls it.
    path : Path
    arguments, results : mapping
        Function -> types of its arguments, and type of its result, if it has one.

    Raises `EngineError` if it cannot be loaded.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise EngineError(
            f"{engine} did not start: {error}; without {path.parent} it is built anew"
        ) from error
    for name, types in arguments.items():
        function = getattr(library, name)
        function.argtypes = types
        function.restype = results.get(name)
    return library
