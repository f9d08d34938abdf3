"""The wire of a flow: frames as cocotbext-eth saw them, judged by IEEE 802.3 and by scapy."""

from itertools import pairwise

import cocotb
from cocotbext.eth import GmiiSink, XgmiiSink

from byway.sim.board import wire
from byway.sim.board.wire_frame import WireFrame, gap_bytes
from byway.sim.wire.medium import MINIMUM_BYTES, PREAMBLE

__all__ = ["WireJudge"]


class WireJudge:
    """Collects frames from the wire of `dut`, whichever it has.

    Attributes
    ----------
    kind : byway.sim.board.wire.Wire
    frames : list of WireFrame
        In the order of the wire; all good, or `check` fails.
    """

    def __init__(self, dut):
        self.frames: list[WireFrame] = []
        self._raw = []
        if hasattr(dut, "xgmii_txd"):
            self.kind = wire.XGMII
            self._sink = XgmiiSink(dut.xgmii_txd, dut.xgmii_txc, dut.clk, dut.rst)
            self._preamble = PREAMBLE
        else:
            self.kind = wire.GMII
            self._sink = GmiiSink(dut.gmii_txd, dut.gmii_tx_er, dut.gmii_tx_en, dut.clk, dut.rst)
            # This sink keeps no byte for the cycle in which it sees a frame begin.
            self._preamble = PREAMBLE[1:]
        cocotb.start_soon(self._collect())

    async def _collect(self) -> None:
        while True:
            frame = await self._sink.recv()
            self._raw.append(frame)
            first = self._place(frame.sim_time_start)
            last = self._place(frame.sim_time_end) - 1
            (first_cycle, first_lane), (last_cycle, last_lane) = (
                divmod(place, self.kind.lanes) for place in (first, last)
            )
            data = bytes(frame.get_payload())
            self.frames.append(
                WireFrame(data, first_cycle, last_cycle, True, first_lane, last_lane)
            )

    def _place(self, time: float) -> int:
        """Of a moment, in bytes."""
        return round(time) * self.kind.lanes // self.kind.cycle_ps

    def check(self) -> None:
        """Fail if a frame broke a rule of the medium."""
        for number, frame in enumerate(self._raw):
            where = f"frame {number} of the wire"
            assert bytes(frame.get_preamble()) == self._preamble, f"{where}: preamble"
            preamble = self._place(frame.sim_time_sfd) - self._place(frame.sim_time_start)
            assert preamble == len(PREAMBLE), f"{where}: preamble of {preamble} bytes"
            spoilt = frame.error if self.kind is wire.GMII else frame.ctrl
            assert spoilt is None, f"{where}: spoilt"
            assert frame.check_fcs(), f"{where}: FCS"
            assert len(frame.get_payload()) >= MINIMUM_BYTES, f"{where}: not padded"
        for before, after in pairwise(self.frames):
            gap = gap_bytes(before, after, lanes=self.kind.lanes)
            assert gap >= self.kind.least_gap, f"gap of {gap} before cycle {after.first_cycle}"
