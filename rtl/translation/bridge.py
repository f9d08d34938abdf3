"""The translation bridge: a translation agent with the tables of bindings and windows it goes by.

It stands between any AXI4 master and the memory bus; what it guarantees is said in `agent`.
"""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from byway.rtl.contract.external import ExternalSignature
from byway.rtl.translation.agent import TranslationAgent, TranslationAgentSignature
from byway.rtl.translation.tables import BINDINGS, WINDOWS, BindingTable, WindowTable
from byway.rtl.translation.window import check_requesters

__all__ = ["TranslationBridge"]


class TranslationBridge(wiring.Component):
    """A translation agent with its tables of bindings and windows.

    Parameters
    ----------
    requesters : int
        How many there are: 1 to 256, and no more than AxUSER can name. A requester from
        `requesters` on is bound to nothing.
    user_width, **agent : int
        See `TranslationAgentSignature`.

    Members
    -------
    binding : In(ExternalSignature(BINDINGS, count=requesters))
    window : In(ExternalSignature(WINDOWS, count=windows))
        Configuration, from the register bank. It takes effect, for requests
        that are let in from then on, the cycle after it is written.

    All other members are those of `TranslationAgentSignature`, but for the lookups.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    s_axi: Any
    m_axi: Any
    binding: Any
    window: Any
    invalidate: Any
    fault_status: Any
    fault_record: data.View
    fault_address: Signal
    idle: Signal
    iotlb_hit: Signal
    iotlb_miss: Signal
    iotlb_prefetch: Signal
    fault: Signal

    def __init__(self, *, requesters: int = 2, user_width: int = 8, **agent: int):
        check_requesters(requesters, user_width=user_width)
        self._requesters = requesters
        self._agent = {"requesters": requesters, "user_width": user_width, **agent}
        signature = TranslationAgentSignature(**self._agent)
        self._windows = signature.windows
        self._shared = {
            name: member
            for name, member in signature.members.items()
            if name not in ("binding_lookup", "window_lookup")
        }
        super().__init__(
            {
                **self._shared,
                "binding": In(ExternalSignature(BINDINGS, count=requesters)),
                "window": In(ExternalSignature(WINDOWS, count=self._windows)),
            }
        )

    def elaborate(self, platform):
        """Join the agent and its tables."""
        m = Module()
        m.submodules.agent = agent = TranslationAgent(**self._agent)
        m.submodules.binding_table = bindings = BindingTable(requesters=self._requesters)
        m.submodules.window_table = windows = WindowTable(windows=self._windows)
        connect(m, agent.binding_lookup, bindings.lookup)
        connect(m, agent.window_lookup, windows.lookup)
        connect(m, flipped(self.binding), bindings.registers)
        connect(m, flipped(self.window), windows.registers)
        for name, member in self._shared.items():
            own, inner = getattr(self, name), getattr(agent, name)
            if member.is_signature:
                connect(m, inner, flipped(own))
            elif member.flow == Out:
                m.d.comb += own.eq(inner)
            else:
                m.d.comb += inner.eq(own)
        return m
