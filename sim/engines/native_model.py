"""What a maker of models gives to the build of a native engine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["TOP", "Model", "ModelMaker"]

#: Name of the netlist's top module, and of the files that are made of it.
TOP = "byway"


@dataclass(frozen=True)
class Model:
    """A model in C++.

    Attributes
    ----------
    each_cycle, once : tuple of Path
        Its sources: those that a simulation spends its time in, and the others.
    flags : tuple of str
        For the compiler of these and of all that includes the model's headers.
    libraries : tuple of str
        Flags for the linker.
    """

    each_cycle: tuple[Path, ...]
    once: tuple[Path, ...] = ()
    flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


class ModelMaker(Protocol):
    """Makes C++ of a netlist.

    ``model.h``, what the board of the native engines wants of a model, is in the folder of
    ``sim/native`` that has the maker's name.

    Attributes
    ----------
    name : str
    engine : str
        The engine that runs its models.
    compiler : str
        The program that they want.
    packages : tuple of str
        Those whose versions make a difference.
    trainable : bool
        The compiler learns from a short run.
    """

    name: str
    engine: str
    compiler: str
    packages: tuple[str, ...]
    trainable: bool

    def last_passes(self, *, waves: bool) -> str:
        """Yosys commands, which find the flat netlist and leave files in their folder."""
        ...

    def make(self, folder: Path, run: Callable[..., None], *, waves: bool) -> Model:
        """Make the model of what the passes have left in `folder`; `run` runs a command there."""
        ...
