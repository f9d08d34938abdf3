"""What tells one design from another without elaborating either, which takes seconds."""

import functools
import hashlib
import inspect
import platform
from collections.abc import Callable, Container
from importlib import metadata
from pathlib import Path

from amaranth.lib import wiring

import byway.rtl

__all__ = ["digest_of_sources", "fingerprint"]

_RTL = Path(byway.rtl.__path__[0])


def fingerprint(make: Callable[[], wiring.Component]) -> str | None:
    """A text that differs if the netlist does; None if that cannot be told without elaborating.

    It can be told if `make` is a component of `byway.rtl`, or a `functools.partial` of one with
    keywords: the netlist follows from those, the sources of `byway.rtl`, and the versions of
    Amaranth and Python.
    """
    keywords: dict[str, object] = {}
    kind: object = make
    if isinstance(make, functools.partial) and not make.args:
        kind, keywords = make.func, make.keywords
    if not isinstance(kind, type) or not kind.__module__.startswith(f"{byway.rtl.__name__}."):
        return None
    arguments = inspect.signature(kind).bind(**keywords)
    arguments.apply_defaults()
    parameters = sorted(arguments.arguments.items())
    if not all(isinstance(value, int | str | None) for _name, value in parameters):
        return None
    return f"{kind.__module__}.{kind.__qualname__} {parameters} {_sources()}"


def digest_of_sources(folder: Path, suffixes: Container[str] = (".py", ".rdl")) -> str:
    """The SHA-256 of all sources below `folder`, with their names."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _sources() -> str:
    return f"{digest_of_sources(_RTL)} {metadata.version('amaranth')} {platform.python_version()}"
