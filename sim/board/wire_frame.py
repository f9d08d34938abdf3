"""A frame as it came off the wire, and what makes it a good one."""

import zlib
from dataclasses import dataclass

from byway.sim.wire.medium import FCS_BYTES, MINIMUM_BYTES, PREAMBLE

__all__ = ["WireFrame", "gap_bytes", "judge"]


@dataclass(frozen=True)
class WireFrame:
    """A frame as it came off the wire.

    Attributes
    ----------
    data : bytes
        From destination address to the end of the padding, without FCS.
    first_cycle, last_cycle : int
        Cycles of the first preamble byte and of the last FCS byte.
    good : bool
        The preamble was whole, no error was signalled, the FCS is right, and the frame is no
        shorter than it must be [IEEE 802.3, 4.2.4.2.2]. Of an XGMII besides: it began with Start in
        lane 0 or 4 and ended with Terminate, its data held no control character, and gaps up to it
        were long enough on average, by the deficit idle count [46.3.1.4].
    first_lane, last_lane : int
        Where in those cycles, on a wire that carries several bytes in each.
    """

    data: bytes
    first_cycle: int
    last_cycle: int
    good: bool
    first_lane: int = 0
    last_lane: int = 0


def judge(whole: bytes, first: int, last: int, *, error: bool, lanes: int = 1) -> WireFrame:
    """The frame of which `whole` came, from the first preamble byte to the last of the FCS.

    Both are places on the wire, in bytes, of which there are `lanes` in each cycle.
    """
    preamble, rest = whole[: len(PREAMBLE)], whole[len(PREAMBLE) :]
    data, fcs = rest[:-FCS_BYTES], rest[-FCS_BYTES:]
    good = (
        not error
        and preamble == PREAMBLE
        and len(data) >= MINIMUM_BYTES
        and zlib.crc32(data) == int.from_bytes(fcs, "little")
    )
    first_cycle, first_lane = divmod(first, lanes)
    last_cycle, last_lane = divmod(last, lanes)
    return WireFrame(data, first_cycle, last_cycle, good, first_lane, last_lane)


def gap_bytes(before: WireFrame, after: WireFrame, *, lanes: int = 1) -> int:
    """Bytes on a wire of so many `lanes` from the end of one frame to the start of the next."""
    cycles = after.first_cycle - before.last_cycle
    return lanes * cycles + after.first_lane - before.last_lane - 1
