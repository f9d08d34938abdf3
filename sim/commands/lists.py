"""Lists of numbers as an argument: ``1,2,4``, ranges ``0:4`` and ``0:200:50``, sizes ``256Ki``."""

import argparse
from collections.abc import Callable

__all__ = ["MAXIMUM_VALUES", "numbers", "size"]

#: Longest list.
MAXIMUM_VALUES = 10_000

_PREFIXES = {"Ki": 1 << 10, "Mi": 1 << 20}


def size(one: Callable[[str], int]) -> Callable[[str], int]:
    """What parses a number of bytes that may end in Ki or Mi; `one` judges it without."""

    def parse(text: str) -> int:
        for prefix, factor in _PREFIXES.items():
            digits = text.removesuffix(prefix)
            if digits != text and digits.isascii() and digits.isdigit():
                return one(str(int(digits) * factor))
        return one(text)

    return parse


def numbers(one: Callable[[str], int]) -> Callable[[str], tuple[int, ...]]:
    """What parses a list whose values `one` parses, and keeps each value once.

    A range ``a:b`` or ``a:b:step`` goes from a up to b, b left out.
    """

    def parse(text: str) -> tuple[int, ...]:
        values: dict[int, None] = {}
        for part in text.split(","):
            values |= dict.fromkeys(_range(part, one) if ":" in part else (one(part),))
            if len(values) > MAXIMUM_VALUES:
                raise argparse.ArgumentTypeError(
                    f"{text!r} has more than {MAXIMUM_VALUES:,} values"
                )
        return tuple(values)

    return parse


def _range(text: str, one: Callable[[str], int]) -> range:
    first, end, step, *more = [*text.split(":"), "1"] if text.count(":") == 1 else text.split(":")
    if more:
        raise argparse.ArgumentTypeError(f"a range is a:b or a:b:step, not {text!r}")
    if not (step.isascii() and step.isdigit() and int(step)):
        raise argparse.ArgumentTypeError(f"the step of a range must be at least 1, not {step!r}")
    values = range(one(first), one(end), int(step))
    if not values:
        raise argparse.ArgumentTypeError(f"the range {text!r} is empty")
    if len(values) > MAXIMUM_VALUES:
        raise argparse.ArgumentTypeError(f"{text!r} has more than {MAXIMUM_VALUES:,} values")
    return values
