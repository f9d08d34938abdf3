"""The shared adapter, the top: registers in owner pages, the adapter, the bridge that shares it.

    s_axil -> RegisterBank -+- manager, window page --> TranslationBridge -> m_axi
                            |                               ^ I/O bus addresses, requester in AxUSER
                            +- adapter page ------------> Adapter -> gmii
                            +- doorbell pages -----------^

Each page of the register space is meant for one owner (``byway.rdl``); the system maps it to that
owner only. The adapter's interrupt goes to its driver in the hosting partition, the manager's to
the partition manager; both are levels.

Clock domain: ``sync``, 125 MHz for gigabit GMII. Source: patent, FIG. 5.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.adapter import Adapter
from byway.rtl.bus.axi4 import AXI4Signature
from byway.rtl.bus.axi4_lite import AXI4LiteSignature
from byway.rtl.contract.register_bank import RegisterBank
from byway.rtl.counter import Counter
from byway.rtl.mac.gmii import GmiiTransmitSignature
from byway.rtl.translation.bridge import TranslationBridge
from byway.rtl.transmit.transmit_path import USER_WIDTH, id_width

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

    Members
    -------
    s_axil : In(AXI4LiteSignature)
        Registers.
    m_axi : Out(AXI4Signature)
        System memory, by system addresses. The top bit of an ARID marks reads of TCE tables.
    gmii : Out(GmiiTransmitSignature())
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
    adapter_interrupt: Signal
    manager_interrupt: Signal
    quiescent: Signal

    def __init__(self, *, rings: int = 2, windows: int = 16, data_width: int = 64):
        self.rings = rings
        self._bank = RegisterBank(rings=rings, windows=windows)
        self._adapter = Adapter(rings=rings, data_width=data_width)
        self._bridge = TranslationBridge(
            requesters=rings,
            windows=windows,
            addr_width=64,
            data_width=data_width,
            id_width=id_width(rings),
            user_width=USER_WIDTH,
        )
        registers = self._bank.signature.members["s_axil"].signature
        memory = self._bridge.signature.members["m_axi"].signature
        assert isinstance(registers, AXI4LiteSignature)
        assert isinstance(memory, AXI4Signature)
        super().__init__(
            {
                "s_axil": In(AXI4LiteSignature(addr_width=registers.addr_width)),
                "m_axi": Out(AXI4Signature(**memory.parameters)),
                "gmii": Out(GmiiTransmitSignature()),
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
        wiring.connect(m, adapter.gmii, wiring.flipped(self.gmii))
        self._connect_manager_page(m)
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

    def _connect_manager_page(self, m: Module) -> None:
        page, bridge = self._bank.manager, self._bridge
        wiring.connect(m, page.binding, bridge.binding)
        wiring.connect(m, self._bank.window.window, bridge.window)
        invalidate = bridge.invalidate
        m.d.comb += [
            invalidate.start.eq(page.invalidate.start.value),
            invalidate.scope.eq(page.invalidate.scope.value),
            invalidate.window.eq(page.invalidate.window.value),
            invalidate.index.eq(page.invalidate_page.index.value),
            page.invalidate_status.busy.value.eq(invalidate.busy),
        ]
        status, record = bridge.fault_status, bridge.fault_record
        m.d.comb += [
            page.fault_status.valid.value.eq(status.valid),
            page.fault_status.lost.value.eq(status.lost),
            status.valid_modify.eq(page.fault_status.valid.modify),
            status.lost_modify.eq(page.fault_status.lost.modify),
            page.fault_record.requester.value.eq(record.requester),
            page.fault_record.window.value.eq(record.window),
            page.fault_record.reason.value.eq(record.reason),
            page.fault_record.write.value.eq(record.write),
            page.fault_address.address.value.eq(bridge.fault_address),
        ]
        m.d.sync += self.manager_interrupt.eq(status.valid & page.interrupt_enable.fault.value)
        for name, event in (
            ("iotlb_hits", bridge.iotlb_hit),
            ("iotlb_misses", bridge.iotlb_miss),
            ("iotlb_prefetches", bridge.iotlb_prefetch),
            ("faults", bridge.fault),
        ):
            m.submodules[f"count_{name}"] = counter = Counter()
            m.d.sync += counter.amount.eq(event)
            m.d.comb += getattr(page, name).count.value.eq(counter.count)

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
