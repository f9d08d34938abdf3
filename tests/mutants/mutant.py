"""A mutant: the hardware with one thing broken, and what is to notice it."""

import pathlib
from typing import NamedTuple

__all__ = ["Mutant", "check_mutants"]


class Mutant(NamedTuple):
    """One break of the guard.

    Members
    -------
    name : str
        What is broken.
    file : str
        Where, below ``rtl/``.
    old, new : str
        Source text that stands in the file exactly once, and what takes its place.
    caught_by : str
        Node ID of the test or proof that is to fail: one case of it, or all.
    """

    name: str
    file: str
    old: str
    new: str
    caught_by: str

    def apply(self, rtl: pathlib.Path) -> None:
        """Break the hardware in the folder `rtl`.

        Raises `ValueError` unless the text to be replaced is there exactly once.
        """
        path = rtl / self.file
        source = path.read_text()
        times = source.count(self.old)
        if times != 1:
            raise ValueError(
                f"mutant '{self.name}': its text must be in rtl/{self.file} once, not {times} times"
            )
        path.write_text(source.replace(self.old, self.new))


def check_mutants(mutants: list[Mutant]) -> list[Mutant]:
    """The same; raises `ValueError` if two have a name, or a break, in common."""
    for members in (("name",), ("file", "old", "new")):
        seen = [tuple(getattr(mutant, member) for member in members) for mutant in mutants]
        twice = {one for one in seen if seen.count(one) > 1}
        if twice:
            raise ValueError(f"mutants that are not unique: {sorted(twice)}")
    return mutants
