"""A ring asks for nothing when it may not, and stops when it is refused.

Shown, without a bound, of one ring, whatever software, memory and the adapter around it do:

- a ring that is inactive or stopped begins no request for entries;
- refused entries, refused data and a refused completion each stop the ring; a stop lasts until the
  ring starts or is reset;
- frames are not handed on after refused data, a refused completion or a reset, until it starts;
- it does not start while it is being reset, and a reset is over only when it is inactive.

And of all rings together: a read that the memory fails stops the ring that it was made for.
"""

import pytest
from amaranth.hdl import Assert, Cover, Elaboratable, Module, Signal

from byway.rtl.bus.axi4 import Resp
from byway.rtl.transmit.ring import TransmitRing
from byway.rtl.transmit.rings import TransmitRings
from tests.formal.surroundings import anything

RINGS = 2


def before(m, value, *, cycles=1):
    """`value`, so many cycles ago; at first 0."""
    for _ in range(cycles):
        kept = Signal()
        m.d.sync += kept.eq(value)
        value = kept
    return value


class ARingStops(Elaboratable):
    """One ring."""

    def elaborate(self, platform):
        """What was so in the cycle before, and what is so now."""
        m = Module()
        m.submodules.dut = dut = TransmitRing(addr_width=32, data_width=128)
        anything(m, dut)
        config, status, fetch = dut.config, dut.status, dut.fetch
        renewed = before(m, dut.starts | status.reset_done)
        may_not = before(m, (~status.active | status.stopped) & ~fetch.valid)
        m.d.comb += Assert(~may_not | ~fetch.valid, "it asks for nothing when it may not")

        causes = {
            "entries": dut.beat_valid & dut.beat_error,
            "data": dut.data_refused,
            "completion": dut.refused,
        }
        for name, cause in causes.items():
            stops = before(m, cause) & ~renewed
            m.d.comb += Assert(~stops | status.stopped, f"refused {name}: it stops")
            m.d.comb += Cover(stops & before(m, ~status.stopped), f"refused {name}")
        lasts = before(m, status.stopped) & ~renewed
        m.d.comb += Assert(~lasts | status.stopped, "a stop lasts")

        dropped = Signal()
        drops = dut.refused | dut.data_refused | config.reset
        with m.If(drops):
            m.d.sync += dropped.eq(1)
        with m.If(dut.starts):
            m.d.sync += dropped.eq(0)
        m.d.comb += Assert(~dropped | ~dut.ready, "what is dropped is not handed on")
        m.d.comb += Cover(dut.ready, "a frame is ready")
        m.d.comb += Assert(~dut.starts | ~config.reset, "it does not start in a reset")
        m.d.comb += Assert(~status.reset_done | ~status.active, "a reset ends when it is inactive")
        m.d.comb += Cover(status.reset_done & before(m, status.active), "a reset of an active ring")
        return m


class FailedReadsStopTheirRing(Elaboratable):
    """Rings that share the memory."""

    def elaborate(self, platform):
        """A ring stops two cycles after the beat, unless it starts then or is reset."""
        m = Module()
        m.submodules.dut = dut = TransmitRings(rings=RINGS, addr_width=32, data_width=128)
        anything(m, dut)
        axi = dut.m_axi_read
        for ring, (config, status) in enumerate(zip(dut.config, dut.status, strict=True)):
            is_own = axi.rvalid & (axi.rid == dut.first_read_id + ring)
            failed = before(m, is_own & axi.rresp.matches(Resp.SLVERR, Resp.DECERR), cycles=2)
            renewed = before(m, (~status.active & (config.enable | config.reset)))
            m.d.comb += Assert(~failed | renewed | status.stopped, "a read that failed stops it")
            m.d.comb += Cover(failed & before(m, status.active & ~status.stopped), "one fails")
        return m


def test_a_ring_asks_for_nothing_when_it_may_not_and_stops_when_it_is_refused(verify):
    verify.reach(ARingStops())


def test_reads_that_fail_stop_their_ring(verify):
    verify.induct(FailedReadsStopTheirRing(), depth=3)


@pytest.mark.parametrize("claim", [ARingStops, FailedReadsStopTheirRing])
def test_it_happens(verify, claim):
    verify.cover(claim(), depth=16)
