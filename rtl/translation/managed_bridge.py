"""The managed bridge: the translation bridge with its registers, for a system of its own.

    s_axil -> RegisterBank -- manager page, window page --+
                                                          v
    s_axi  -- I/O bus addresses, requester in AxUSER --> TranslationBridge -> m_axi

What it guarantees to the master and to the memory is said in `byway.rtl.translation.agent`. The
registers are the partition manager's pages of ``byway.rdl``, at the offsets that they have in the
shared adapter, so that its software serves both; no other offset answers. After reset nobody is
bound to a window, and no window is enabled.

Clock domain: ``sync``. Latency and throughput: those of `byway.rtl.translation.agent` and of
`byway.rtl.contract.register_bank`.
"""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from byway.rtl.bus.axi4 import AXI4Signature
from byway.rtl.bus.axi4_lite import AXI4LiteSignature
from byway.rtl.contract.model import bridge_space
from byway.rtl.contract.register_bank import RegisterBank
from byway.rtl.translation.agent import TranslationAgentSignature
from byway.rtl.translation.bridge import TranslationBridge
from byway.rtl.translation.manager import connect_manager
from byway.rtl.translation.window import check_requesters

__all__ = ["ManagedBridge"]


class ManagedBridge(wiring.Component):
    """See the module.

    Parameters
    ----------
    requesters, windows : int
        How many there are: 1 to 256 each, and no more requesters than AxUSER can name.
    addr_width, data_width, id_width, user_width, iotlb_sets, iotlb_ways, walks, ahead, outstanding
        See `byway.rtl.translation.agent.TranslationAgentSignature`.

    Members
    -------
    s_axil : In(AXI4LiteSignature)
        The partition manager: its two pages.
    s_axi : In(AXI4Signature)
        The master; AxUSER names the requester of each access.
    m_axi : Out(AXI4Signature)
        System memory, by system addresses. The top bit of an ARID marks reads of TCE tables.
    interrupt : Out(1)
        A fault record is shown, and may interrupt: a level.
    idle : Out(1)
        No access of the master and no walk is under way, nor an invalidation.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    s_axil: Any
    s_axi: Any
    m_axi: Any
    interrupt: Signal
    idle: Signal

    def __init__(
        self,
        *,
        requesters: int = 4,
        windows: int = 4,
        addr_width: int = 64,
        data_width: int = 64,
        id_width: int = 6,
        user_width: int = 8,
        iotlb_sets: int = 16,
        iotlb_ways: int = 2,
        walks: int = 8,
        ahead: int = 1,
        outstanding: int = 128,
    ):
        check_requesters(requesters, user_width=user_width)
        self._parameters = {
            "requesters": requesters,
            "windows": windows,
            "addr_width": addr_width,
            "data_width": data_width,
            "id_width": id_width,
            "user_width": user_width,
            "iotlb_sets": iotlb_sets,
            "iotlb_ways": iotlb_ways,
            "walks": walks,
            "ahead": ahead,
            "outstanding": outstanding,
        }
        agent = TranslationAgentSignature(**self._parameters)
        self._bank = RegisterBank(space=bridge_space(requesters=requesters, windows=windows))
        registers = self._bank.signature.members["s_axil"].signature
        master = agent.members["s_axi"].signature
        memory = agent.members["m_axi"].signature
        assert isinstance(registers, AXI4LiteSignature)
        assert isinstance(master, AXI4Signature)
        assert isinstance(memory, AXI4Signature)
        super().__init__(
            {
                "s_axil": In(AXI4LiteSignature(addr_width=registers.addr_width)),
                "s_axi": In(AXI4Signature(**master.parameters)),
                "m_axi": Out(AXI4Signature(**memory.parameters)),
                "interrupt": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        """Join bank and bridge."""
        m = Module()
        m.submodules.bank = bank = self._bank
        m.submodules.bridge = bridge = TranslationBridge(**self._parameters)
        connect(m, flipped(self.s_axil), bank.s_axil)
        connect(m, flipped(self.s_axi), bridge.s_axi)
        connect(m, bridge.m_axi, flipped(self.m_axi))
        connect_manager(m, bank.manager, bank.window, bridge, interrupt=self.interrupt)
        m.d.comb += self.idle.eq(bridge.idle)
        return m
