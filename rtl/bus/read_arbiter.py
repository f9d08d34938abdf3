"""Read arbiter: several AXI4 read masters share one, each with its own range of IDs.

Addresses are taken round robin: a master waits for at most one address of each other. Beats go to
the master whose range holds their RID; IDs pass unchanged, so that the order of the answers is the
memory's and the masters' affair [AMBA AXI4, IHI 0022, A5.3]. On R all masters share one register
in order: one that lets its beats wait stalls the others behind it, so masters should reserve space
before they ask, as Byway's do. A beat whose RID is in no range is dropped.

Clock domain: sync. Latency: on AR 1 cycle for the master whose turn it is and 2 for another, on R 1
cycle. Throughput: an address and a beat each cycle, from and to one master or many.
"""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.axi4 import AXI4ReadSignature
from byway.rtl.bus.skid_buffer import SkidBuffer

__all__ = ["ReadArbiter"]


def _channel(bus, *names: str) -> data.StructLayout:
    return data.StructLayout({name: unsigned(len(getattr(bus, name))) for name in names})


class ReadArbiter(wiring.Component):
    """Merges the AR channels of its masters and routes R back.

    Parameters
    ----------
    id_ranges : sequence of (int, int)
        First ID and number of IDs of each master, at least two masters. Ranges do not overlap.
    addr_width, data_width, id_width, user_width : int
        Widths in bits of all bundles.

    Members
    -------
    s_axi : array of In(AXI4ReadSignature)
        The masters, in the order of ``id_ranges``. Each uses ARIDs of its range only.
    m_axi : Out(AXI4ReadSignature)
        The memory.

    Raises
    ------
    ValueError
        If there are too few ranges, or one overlaps another or does not fit the IDs.
    """

    s_axi: Any
    m_axi: Any

    def __init__(
        self,
        *,
        id_ranges: Sequence[tuple[int, int]],
        addr_width: int = 64,
        data_width: int = 64,
        id_width: int,
        user_width: int = 8,
    ):
        if len(id_ranges) < 2:
            raise ValueError(f"ID ranges must be at least 2, not {len(id_ranges)}")
        end = 0
        for first, count in sorted(id_ranges):
            if first < 0 or count < 1:
                raise ValueError(
                    f"ID range must hold one ID or more from 0 on, not {count!r} from {first!r}"
                )
            if first < end:
                raise ValueError(f"ID range must not overlap another, as that from {first!r} does")
            end = first + count
        if end > 1 << id_width:
            raise ValueError(f"IDs must be below {1 << id_width}, not {end - 1}")
        self.id_ranges = tuple(id_ranges)
        axi = AXI4ReadSignature(
            addr_width=addr_width, data_width=data_width, id_width=id_width, user_width=user_width
        )
        super().__init__({"s_axi": In(axi).array(len(id_ranges)), "m_axi": Out(axi)})

    def elaborate(self, platform):
        """Addresses in turn through one register stage, beats back through another."""
        m = Module()
        self._merge_addresses(m)
        self._route_beats(m)
        return m

    def _merge_addresses(self, m: Module) -> None:
        masters = self.s_axi
        memory = self.m_axi
        layout = _channel(memory, "arid", "araddr", "arlen", "arsize", "arburst", "aruser")
        m.submodules.addresses = addresses = SkidBuffer(shape=layout)

        # The master whose turn it is is heard.
        turn = Signal(range(len(masters)))
        waiting = Cat(master.arvalid for master in masters)
        m.d.comb += addresses.i.valid.eq(waiting.bit_select(turn, 1))
        for name in layout.members:
            offered = Array(getattr(master, name) for master in masters)
            m.d.comb += addresses.i.payload[name].eq(offered[turn])
        for number, master in enumerate(masters):
            m.d.comb += master.arready.eq(addresses.i.ready & (turn == number))

        # The turn goes to the next one that waits, and stays where none other does. It does not
        # leave a master that waits before its address is taken.
        with m.If(~addresses.i.valid | addresses.i.ready), m.Switch(turn):
            for number in range(len(masters)):
                with m.Case(number):
                    for step in reversed(range(1, len(masters))):
                        other = (number + step) % len(masters)
                        with m.If(waiting[other]):
                            m.d.sync += turn.eq(other)

        m.d.comb += [
            memory.arvalid.eq(addresses.o.valid),
            addresses.o.ready.eq(memory.arready),
            *(getattr(memory, name).eq(addresses.o.payload[name]) for name in layout.members),
        ]

    def _route_beats(self, m: Module) -> None:
        masters = self.s_axi
        memory = self.m_axi
        layout = _channel(memory, "rid", "rdata", "rresp", "rlast")
        routed = data.StructLayout({"beat": layout, "to": unsigned(len(masters))})
        m.submodules.beats = beats = SkidBuffer(shape=routed)

        # Decide where a beat goes before it is registered.
        m.d.comb += [
            beats.i.valid.eq(memory.rvalid),
            memory.rready.eq(beats.i.ready),
            *(beats.i.payload.beat[name].eq(getattr(memory, name)) for name in layout.members),
        ]
        for number, (first, count) in enumerate(self.id_ranges):
            belongs = (memory.rid >= first) & (memory.rid < first + count)
            m.d.comb += beats.i.payload.to[number].eq(belongs)

        for number, master in enumerate(masters):
            m.d.comb += master.rvalid.eq(beats.o.valid & beats.o.payload.to[number])
            for name in layout.members:
                m.d.comb += getattr(master, name).eq(beats.o.payload.beat[name])
        busy = beats.o.payload.to & ~Cat(master.rready for master in masters)
        m.d.comb += beats.o.ready.eq(~busy.any())
