"""What the partition manager counts, exactly and on every run: these figures need no cost model."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from byway.sw.manager.return_codes import ReturnCode

__all__ = ["CopyCause", "Counters"]

CopyCause = Literal["transmit", "receive", "control"]
"""On whose behalf a processor copies bytes from one partition to another."""


@dataclass
class Counters:
    """Totals since the partition manager was made."""

    crossings: int = 0
    """Times that control passed from one partition to a different one."""
    messages: int = 0
    """CRQ and sub-CRQ elements stored in a receiver's queue, transport events included."""
    hcalls: Counter[str] = field(default_factory=Counter)
    """Calls by name, refused ones included."""
    refusals: Counter[tuple[str, str, ReturnCode]] = field(default_factory=Counter)
    """Calls that did not succeed, by caller, name and answer."""
    bytes_copied: Counter[CopyCause] = field(default_factory=Counter)
    """Bytes that H_COPY_RDMA copied, by cause."""
    interrupts: int = 0
    """Interrupts presented to a partition's handler."""
    faults: int = 0
    """Fault records read from the translation bridge."""
    faults_lost: int = 0
    """Refused accesses for which the bridge had no room to keep a record."""
    ring_resets: int = 0
    """Rings of the adapter that were reset: for a fault, or because a partition had ended."""
