"""What the bridge's properties speak of does happen: a trace to each case that they tell apart.

The surroundings are those of `test_bridge`: what is shown here to be possible is possible there.
Reached, for reads and for writes: an access that a walk permitted and one that the IOTLB permitted,
a refusal for each reason, and an invalidation that ends between two accesses.
"""

import pytest
from amaranth.hdl import Assume, Cover, Elaboratable, Module, Signal

from byway.rtl.contract.model import codes
from tests.formal.configuration import PAGE_BITS
from tests.formal.test_bridge import agent_in_any_system, end_of

Reason = codes("fault_reason")


class Cases(Elaboratable):
    """The bridge, and one kind of access."""

    def __init__(self, *, write):
        self.write = write

    def elaborate(self, platform):
        """Only this kind of access is made, which leaves the solver less to choose from."""
        m = Module()
        dut, _bindings, _windows = agent_in_any_system(m, PAGE_BITS)
        axi, record = dut.m_axi, dut.fault_record
        if self.write:
            m.d.comb += Assume(~dut.s_axi.arvalid, "writes alone")
            accesses = axi.awvalid & axi.awready
        else:
            m.d.comb += Assume(~dut.s_axi.awvalid, "reads alone")
            accesses = axi.arvalid & axi.arready & ~axi.arid[-1]
        ended = end_of(m, dut.invalidate)

        hits, used, back = Signal(), Signal(), Signal()
        with m.If(dut.iotlb_hit):
            m.d.sync += hits.eq(1)
        with m.If(accesses):
            m.d.sync += used.eq(1)
        with m.If(ended & used):
            m.d.sync += back.eq(1)
        m.d.comb += [
            Cover(accesses & ~hits, "permitted after a walk"),
            Cover(accesses & hits & used, "permitted by the IOTLB"),
            Cover(accesses & back, "an invalidation between two accesses"),
        ]
        shown = dut.fault_status.valid & (record.write == self.write)
        denied = Reason.WRITE_DENIED if self.write else Reason.READ_DENIED
        kinds = {Reason.READ_DENIED, Reason.WRITE_DENIED}
        for reason in Reason:
            if reason not in kinds or reason is denied:
                m.d.comb += Cover(shown & (record.reason == reason), f"refused: {reason.name}")
        return m


@pytest.mark.timeout(900)
@pytest.mark.parametrize("write", [False, True], ids=["reads", "writes"])
def test_it_happens(verify, write):
    verify.cover(Cases(write=write), depth=40)
