"""The shared adapter, the top: registers in owner pages, the adapter, the bridge that shares it.

    s_axil -> RegisterBank -+- manager, window page --> TranslationBridge -> m_axi
                            |                               ^ I/O bus addresses, requester in AxUSER
                            +- adapter page ------------> Adapter -> gmii or xgmii
                            +- doorbell pages -----------^

Each page of the register space is meant for one owner (``byway.rdl``); the system maps it to that
owner only. The adapter's interrupt goes to its driver in the hosting partition, the manager's to
the partition manager; both are levels.

Clock domain: ``sync``, 125 MHz for gigabit GMII, 156.25 MHz for XGMII. Source: patent, FIG. 5.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.adapter import Adapter
from byway.rtl.bus.axi4 import AXI4Signature
from byway.rtl.bus.axi4_lite import AXI4LiteSignature
from byway.rtl.contract.register_bank import RegisterBank
from byway.rtl.translation.bridge import TranslationBridge
from byway.rtl.translation.manager import connect_manager

__all__ = ["SETTLING", "SharedAdapter"]

#: Cycles for which all must seem at rest before it is: more than there are pipeline registers
#: behind anything that tells that it is busy, and before anything that does, interrupts included.
SETTLING = 16

_CAUSES = ("completion", "stopped")


class SharedAdapter(wiring.Component):
    """See the module.

    Parameters
    ----------
    rings : int
        Transmit rings, each a requester of the bridge: 1 to 32.
    windows : int
        Translation windows: 1 to 256.
    data_width : int
        Width of the memory bus in bits: 64 or 128.
    wire : str
        One of `byway.rtl.mac.wires.WIRES`.
    outstanding : int or None
        Data reads, and completion writes, under way at most, and frames started ahead of those
        that are finished: a power of two from 4. None for as many of each as the wire needs.

    Members
    -------
    s_axil : In(AXI4LiteSignature)
        Registers.
    m_axi : Out(AXI4Signature)
        System memory, by system addresses. The top bit of an ARID marks reads of TCE tables.
    gmii or xgmii : Out(GmiiTransmitSignature()) or Out(XgmiiTransmitSignature())
    adapter_interrupt, manager_interrupt : Out(1)
    quiescent : Out(1)
        Nothing is under way: while this is high and no valid comes in from software or memory, no
        flip-flop and no memory of the adapter changes. A ring that is stopped or disabled is at
        rest, whatever it still holds; frames that wait for a disabled MAC are at rest once all of
        them are completed. It falls a cycle after anything comes in, and rises `SETTLING` cycles
        after the last of it has gone.
    """

    s_axil: Any
    m_axi: Any
    gmii: Any
    xgmii: Any
    adapter_interrupt: Signal
    manager_interrupt: Signal
    quiescent: Signal

    def __init__(
        self,
        *,
        rings: int = 2,
        windows: int = 16,
        data_width: int = 64,
        wire: str = "gmii",
        outstanding: int | None = None,
    ):
        self.rings = rings
        self._bank = RegisterBank(rings=rings, windows=windows)
        self._adapter = Adapter(
            rings=rings, data_width=data_width, wire=wire, outstanding=outstanding
        )
        self._bridge = TranslationBridge(
            requesters=rings,
            windows=windows,
            addr_width=64,
            data_width=data_width,
            id_width=len(self._adapter.m_axi.arid),
            user_width=len(self._adapter.m_axi.aruser),
        )
        registers = self._bank.signature.members["s_axil"].signature
        memory = self._bridge.signature.members["m_axi"].signature
        assert isinstance(registers, AXI4LiteSignature)
        assert isinstance(memory, AXI4Signature)
        super().__init__(
            {
                "s_axil": In(AXI4LiteSignature(addr_width=registers.addr_width)),
                "m_axi": Out(AXI4Signature(**memory.parameters)),
                wire: self._adapter.signature.members[wire],
                "adapter_interrupt": Out(1),
                "manager_interrupt": Out(1),
                "quiescent": Out(1),
            }
        )

    def elaborate(self, platform):
        """Join bank, adapter and bridge."""
        m = Module()
        m.submodules.bank = bank = self._bank
        m.submodules.adapter = adapter = self._adapter
        m.submodules.bridge = bridge = self._bridge
        wiring.connect(m, wiring.flipped(self.s_axil), bank.s_axil)
        wiring.connect(m, adapter.m_axi, bridge.s_axi)
        wiring.connect(m, bridge.m_axi, wiring.flipped(self.m_axi))
        wire = adapter.wire
        wiring.connect(m, getattr(adapter, wire), wiring.flipped(getattr(self, wire)))
        connect_manager(m, bank.manager, bank.window, bridge, interrupt=self.manager_interrupt)
        self._connect_adapter_page(m)
        self._watch(m)
        return m

    def _watch(self, m: Module) -> None:
        """Tell when all is at rest. What waits has a signal here; what only passes has settled."""
        axil, axi = self.s_axil, self.m_axi
        comes = Cat(axil.awvalid, axil.wvalid, axil.arvalid, axi.rvalid, axi.bvalid)
        active = Signal()
        m.d.sync += active.eq(self._bank.busy | ~self._adapter.idle | ~self._bridge.idle)
        settled = Signal(range(SETTLING))
        with m.If(comes.any() | active):
            m.d.sync += [settled.eq(0), self.quiescent.eq(0)]
        with m.Elif(~self.quiescent):
            m.d.sync += [settled.eq(settled + 1), self.quiescent.eq(settled == SETTLING - 1)]

    def _connect_adapter_page(self, m: Module) -> None:
        page, adapter = self._bank.adapter, self._adapter
        pending = Signal(self.rings)
        for number, (registers, config, status) in enumerate(
            zip(page.ring, adapter.config, adapter.status, strict=True)
        ):
            doorbell = self._bank.doorbell[number].transmit.producer
            causes, enabled = registers.interrupt_status, registers.interrupt_enable
            reset = self._bank.manager.ring_reset[number].reset
            m.d.comb += [
                config.descriptor_base.eq(registers.descriptor_base.page.value),
                config.completion_base.eq(registers.completion_base.page.value),
                config.size_log2.eq(registers.size.size_log2.value),
                config.enable.eq(registers.control.enable.value),
                config.producer.eq(doorbell.value),
                config.producer_modify.eq(doorbell.modify),
                config.reset.eq(reset.value),
                reset.clear.eq(status.reset_done),
                registers.status.active.value.eq(status.active),
                registers.status.stopped.value.eq(status.stopped),
                registers.status.reason.value.eq(status.reason),
                registers.status.consumer.value.eq(status.consumer),
                causes.completion.set.eq(status.completion),
                causes.stopped.set.eq(status.stop),
                pending[number].eq(
                    causes.completion.value & enabled.completion.value
                    | causes.stopped.value & enabled.stopped.value
                ),
            ]
            for field in (
                registers.control.enable,
                doorbell,
                *(getattr(register, name) for register in (causes, enabled) for name in _CAUSES),
            ):
                m.d.comb += field.clear.eq(reset.value)
            for name in config.offloads.shape().members:
                granted = getattr(registers.offloads, name).value
                m.d.comb += getattr(config.offloads, name).eq(granted)
        m.d.comb += [
            adapter.transmit_enable.eq(page.mac_control.transmit_enable.value),
            page.interrupt_summary.rings.value.eq(Cat(pending)),
        ]
        m.d.sync += self.adapter_interrupt.eq(pending.any())
        for name in adapter.counters.signature.members:
            m.d.comb += getattr(page, name).count.value.eq(getattr(adapter.counters, name))
