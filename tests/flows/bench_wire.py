"""The wire of a flow: frames as cocotbext-eth saw them, judged by IEEE 802.3 and by scapy."""

from dataclasses import dataclass
from itertools import pairwise

import cocotb
from cocotbext.eth import GmiiSink
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from byway.sim.engines.engine import CYCLE_NS

__all__ = ["GAP", "Wire", "WireFrame", "rightly_summed"]

#: Least cycles from the end of a frame to the next preamble [IEEE 802.3, 4.4.2].
GAP = 12
#: Steps of simulated time, a picosecond each, in a cycle.
_CYCLE_STEPS = CYCLE_NS * 1000
_PREAMBLE = bytes([0x55] * 7 + [0xD5])
_LEAST_FRAME = 60


@dataclass(frozen=True)
class WireFrame:
    """A frame off the wire.

    Attributes
    ----------
    data : bytes
        Without preamble and FCS, padding included.
    first_cycle, end_cycle : int
        Cycles of the first preamble byte, and after the last FCS byte.
    """

    data: bytes
    first_cycle: int
    end_cycle: int


class Wire:
    """Collects frames from `sink`.

    Attributes
    ----------
    frames : list of WireFrame
        In the order of the wire.
    """

    def __init__(self, sink: GmiiSink):
        self.frames: list[WireFrame] = []
        self._raw = []
        self._sink = sink
        cocotb.start_soon(self._collect())

    async def _collect(self) -> None:
        while True:
            frame = await self._sink.recv()
            self._raw.append(frame)
            first, end = (
                round(time) // _CYCLE_STEPS for time in (frame.sim_time_start, frame.sim_time_end)
            )
            self.frames.append(WireFrame(bytes(frame.get_payload()), first, end))

    def check(self) -> None:
        """Fail if a frame broke a rule of the medium."""
        for number, frame in enumerate(self._raw):
            where = f"frame {number} of the wire"
            # The sink keeps no byte for the cycle in which it sees a frame begin.
            assert bytes(frame.get_preamble()) == _PREAMBLE[1:], f"{where}: preamble"
            preamble = round(frame.sim_time_sfd - frame.sim_time_start) // _CYCLE_STEPS
            assert preamble == len(_PREAMBLE), f"{where}: preamble of {preamble} bytes"
            assert frame.error is None, f"{where}: TX_ER"
            assert frame.check_fcs(), f"{where}: FCS"
            assert len(frame.get_payload()) >= _LEAST_FRAME, f"{where}: not padded"
        for before, after in pairwise(self.frames):
            gap = after.first_cycle - before.end_cycle
            assert gap >= GAP, f"gap of {gap} before cycle {after.first_cycle}"


def rightly_summed(frame: bytes) -> bytes:
    """`frame` with the IPv4, TCP and UDP checksums that scapy computes."""
    packet = Ether(frame)
    for layer in (IP, TCP, UDP):
        if layer in packet:
            del packet[layer].chksum
    return bytes(packet)
