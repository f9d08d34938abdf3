"""The wire of a flow: frames as cocotbext-eth saw them, judged by IEEE 802.3 and by scapy."""

from itertools import pairwise

import cocotb
from cocotbext.eth import GmiiSink

from byway.sim.board.wire import GMII
from byway.sim.board.wire_frame import WireFrame, gap_bytes
from byway.sim.wire.medium import GAP_BYTES, MINIMUM_BYTES, PREAMBLE

__all__ = ["Wire"]

#: Steps of simulated time, a picosecond each, in a cycle.
_CYCLE_STEPS = GMII.cycle_ps


class Wire:
    """Collects frames from `sink`.

    Attributes
    ----------
    frames : list of WireFrame
        In the order of the wire; all good, or `check` fails.
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
            self.frames.append(WireFrame(bytes(frame.get_payload()), first, end - 1, True))

    def check(self) -> None:
        """Fail if a frame broke a rule of the medium."""
        for number, frame in enumerate(self._raw):
            where = f"frame {number} of the wire"
            # The sink keeps no byte for the cycle in which it sees a frame begin.
            assert bytes(frame.get_preamble()) == PREAMBLE[1:], f"{where}: preamble"
            preamble = round(frame.sim_time_sfd - frame.sim_time_start) // _CYCLE_STEPS
            assert preamble == len(PREAMBLE), f"{where}: preamble of {preamble} bytes"
            assert frame.error is None, f"{where}: TX_ER"
            assert frame.check_fcs(), f"{where}: FCS"
            assert len(frame.get_payload()) >= MINIMUM_BYTES, f"{where}: not padded"
        for before, after in pairwise(self.frames):
            gap = gap_bytes(before, after)
            assert gap >= GAP_BYTES, f"gap of {gap} before cycle {after.first_cycle}"
