"""Chance that every engine throws alike: it depends on the seed, the cycle and the use alone."""

import enum

__all__ = ["Use", "chance"]

_MASK = (1 << 64) - 1


class Use(enum.IntEnum):
    """What a throw decides; as ``Use`` in ``sim/native/chance.h``."""

    READ_ADDRESS_STALL = 0
    WRITE_ADDRESS_STALL = 1
    WRITE_DATA_STALL = 2
    READ_DATA_STALL = 3
    WRITE_RESPONSE_STALL = 4
    READ_DATA_ORDER = 5
    WRITE_RESPONSE_ORDER = 6
    READ_ERROR = 7
    WRITE_ERROR = 8


def chance(seed: int, number: int, use: Use) -> int:
    """Sixteen random bits for the cycle or the item `number` [the finaliser of splitmix64]."""
    word = (seed * 16 + use + 1) * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 & _MASK
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _MASK
    return word >> 48
