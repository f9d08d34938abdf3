"""No beat of the DMA reader is lost, doubled, misplaced or overwritten, whatever the memory does.

The reader stands between an arbitrary source of fragments, an arbitrary consumer of its pieces and
an arbitrary memory, of which only the standard is assumed: a beat belongs to a burst that was asked
for and is not complete [AMBA AXI4, IHI 0022, A5.3]. Order, interleaving and latency are free.
Shown, by a watched beat that may be any beat of any burst:

- no ID is asked for while a burst of that ID is in flight;
- the watched beat comes out in its place of the order, never before it came, with the data and the
  error that it came with: so no slot is used again before it is read.

The proof has no bound in time, and reset may come at any moment. Sizes are the smallest at which
slots wrap, bursts interleave and fragments span blocks; of the data, the lowest bit is shown, since
the reader treats all alike.
"""

from amaranth.asserts import AnyConst, AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Array, Assert, Assume, Cover, Elaboratable, Module, Mux, Signal

from byway.rtl.bus.axi4 import Resp
from byway.rtl.transmit.reader import DmaReader

SLOTS = 2
BEATS = 2


class ReaderInAnyMemory(Elaboratable):
    """The reader, its surroundings, and what is assumed and asserted of them."""

    def elaborate(self, platform):
        """Assertions hold each in the cycle it stands for; the watch begins at some address."""
        m = Module()
        m.submodules.dut = dut = DmaReader(
            addr_width=12, data_width=32, slots=SLOTS, burst_bytes=4 * BEATS
        )
        axi = dut.m_axi
        piece = dut.pieces.payload

        # Surroundings that do as they like.
        m.d.comb += [
            dut.fragments.valid.eq(AnySeq(1)),
            dut.fragments.payload.address.eq(AnySeq(12)),
            dut.fragments.payload.length.eq(AnySeq(3)),
            dut.pieces.ready.eq(AnySeq(1)),
            axi.arready.eq(AnySeq(1)),
            axi.rvalid.eq(AnySeq(1)),
            axi.rid.eq(AnySeq(len(axi.rid))),
            axi.rdata.eq(AnySeq(32)),
            axi.rresp.eq(AnySeq(2)),
            axi.rlast.eq(AnySeq(1)),
        ]
        m.d.comb += Assume(dut.fragments.payload.length != 0, "a fragment has at least a byte")

        # A beat belongs to a burst in flight.
        due = Array(Signal(range(BEATS + 1), name=f"due_{slot}") for slot in range(SLOTS))
        asked = Signal()
        m.d.comb += [
            asked.eq(axi.arvalid & axi.arready),
            Assume(~axi.rvalid | (due[axi.rid] != 0), "a beat has a burst"),
            Assert(~axi.arvalid | (due[axi.arid] == 0), "an ID is in flight once"),
            Assert(axi.rready, "rready is always 1"),
        ]
        with m.If(axi.rvalid):
            m.d.sync += due[axi.rid].eq(due[axi.rid] - 1)
        with m.If(asked):
            m.d.sync += due[axi.arid].eq(axi.arlen + 1)

        # Watch one beat: `ahead` pieces are to come before it, `before` beats of its burst.
        watch_now = AnySeq(1)
        watched_beat = AnyConst(range(BEATS))
        watched = Signal()
        watched_id = Signal.like(axi.arid)
        ahead = Signal(3)
        before = Signal(range(BEATS + 1))
        came = Signal()
        gone = Signal()
        data = Signal()
        error = Signal(2)
        taken = Signal()
        m.d.comb += taken.eq(dut.pieces.valid & dut.pieces.ready)
        with m.If(~watched):
            m.d.sync += ahead.eq(ahead - taken + Mux(asked, axi.arlen + 1, 0))
            with m.If(asked & watch_now & (watched_beat <= axi.arlen)):
                m.d.sync += [
                    watched.eq(1),
                    watched_id.eq(axi.arid),
                    before.eq(watched_beat),
                    ahead.eq(ahead - taken + watched_beat),
                ]
        with m.Else():
            with m.If(axi.rvalid & (axi.rid == watched_id) & ~came):
                m.d.sync += before.eq(before - 1)
                with m.If(before == 0):
                    m.d.sync += [came.eq(1), data.eq(axi.rdata[0]), error.eq(axi.rresp)]
            with m.If(dut.pieces.valid & ~gone & (ahead == 0)):
                m.d.comb += [
                    Assert(came, "a piece comes after its beat"),
                    Assert(piece.data[0] == data, "a piece has the data of its beat"),
                    Assert(piece.error == Mux(error == Resp.EXOKAY, 0, error), "and its error"),
                ]
            with m.If(taken & ~gone):
                m.d.sync += [ahead.eq(ahead - 1), gone.eq(ahead == 0)]
        # The proof is not empty: the watched beat gets out, last of its burst and failed.
        late_and_failed = (watched_beat == BEATS - 1) & (error == Resp.DECERR)
        m.d.comb += Cover(gone & late_and_failed, "the watched beat comes out")
        return m


def test_the_watched_beat_can_come_out(verify):
    verify.cover(ReaderInAnyMemory(), depth=12)


def test_every_beat_comes_out_once_in_its_place_as_it_came(verify):
    verify.reach(ReaderInAnyMemory())
