"""The adapter: the transmit path and the MAC. It issues I/O bus addresses and knows no partitions.

It could stand on a memory bus of its own, as an adapter that is not shared; behind the translation
bridge (`byway.rtl.shared_adapter`) it is shared, and needs no change for that (patent, FIG. 5:
prior art adapters serve without enhancement).

Clock domain: ``sync``, that of the wire: 125 MHz for gigabit GMII, 156.25 MHz for XGMII.
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.counter import Counter
from byway.rtl.mac.wires import WIRES, wire_called
from byway.rtl.transmit.ring import RingConfig, RingStatus
from byway.rtl.transmit.transmit_path import TransmitPath

__all__ = ["Adapter", "AdapterCounters"]


class AdapterCounters(wiring.Signature):
    """What the adapter counts, as in the registers of the same names; 64 bits each."""

    def __init__(self):
        names = ("frames", "bytes", "segments", "dropped", "cycles_busy", "cycles_stalled")
        super().__init__({name: Out(64) for name in names})


class Adapter(wiring.Component):
    """See the module.

    Parameters
    ----------
    rings : int
        Transmit rings, 1 to 32.
    data_width : int
        Width of the memory bus in bits: 64 or 128.
    wire : str
        One of `byway.rtl.mac.wires.WIRES`.
    outstanding : int or None
        Data reads, and completion writes, under way at most, and frames started ahead of those
        that are finished: a power of two from 4. None for as many of each as the wire needs.

    Members
    -------
    config : In(RingConfig()), for each ring
    status : Out(RingStatus()), for each ring
    transmit_enable : In(1)
        The MAC lets frames leave.
    counters : Out(AdapterCounters())
    idle : Out(1)
        No entries and no frames are on their way, but for frames that wait until they may leave.
        2 cycles late.
    m_axi : Out(AXI4Signature)
        To memory; AxUSER is the ring.
    gmii or xgmii : Out(GmiiTransmitSignature()) or Out(XgmiiTransmitSignature())

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    config: Any
    status: Any
    transmit_enable: Signal
    counters: Any
    idle: Signal
    m_axi: Any
    gmii: Any
    xgmii: Any

    def __init__(
        self,
        *,
        rings: int = 2,
        data_width: int = 64,
        wire: str = "gmii",
        outstanding: int | None = None,
    ):
        kind = wire_called(wire)
        self.transmit_path = TransmitPath(
            rings=rings,
            data_width=data_width,
            outstanding=kind.outstanding if outstanding is None else outstanding,
            completions=kind.completions if outstanding is None else outstanding,
        )
        self.rings = rings
        self.data_width = data_width
        self.wire = wire
        super().__init__(
            {
                "config": In(RingConfig()).array(rings),
                "status": Out(RingStatus()).array(rings),
                "transmit_enable": In(1),
                "counters": Out(AdapterCounters()),
                "idle": Out(1),
                "m_axi": Out(self.transmit_path.axi),
                wire: Out(kind.signature()),
            }
        )

    def elaborate(self, platform):
        """Path, MAC, counters."""
        m = Module()
        m.submodules.transmit_path = path = self.transmit_path
        m.submodules.mac = mac = WIRES[self.wire].transmitter(data_width=self.data_width)
        for number in range(self.rings):
            wiring.connect(m, wiring.flipped(self.config[number]), path.config[number])
            wiring.connect(m, path.status[number], wiring.flipped(self.status[number]))
        wiring.connect(m, path.m_axi, wiring.flipped(self.m_axi))
        wiring.connect(m, path.frame, mac.frame)
        wiring.connect(m, getattr(mac, self.wire), wiring.flipped(getattr(self, self.wire)))
        m.d.comb += mac.enable.eq(self.transmit_enable)

        # Between the last end and the wire a frame is offered to the MAC, or being sent.
        leaves = path.frame.valid & path.frame.ready
        m.d.sync += self.idle.eq(path.idle & ~mac.busy & ~leaves)

        amounts = {
            "frames": mac.sent,
            "bytes": Mux(mac.sent, mac.sent_bytes, 0),
            "segments": path.segments,
            "dropped": path.dropped,
            "cycles_busy": mac.busy,
            "cycles_stalled": path.busy & ~mac.busy,
        }
        for name, amount in amounts.items():
            m.submodules[f"count_{name}"] = counter = Counter(amount_width=len(amount))
            m.d.sync += counter.amount.eq(amount)
            m.d.comb += getattr(self.counters, name).eq(counter.count)
        return m
