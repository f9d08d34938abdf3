"""Writes completions: what became of each frame, in the order in which frames were started.

`CompletionWriter` joins the context of a frame, which the parser made, with its end, which the
transmit path reports; a frame that the parser refused has no end. It guarantees:

- Every context yields one completion record, written as one burst to the next entry of its ring's
  completion ring; the generation bit is 1 in the first pass over that ring and flips with each.
- A ring's interrupt cause is raised once the memory has answered the write (BVALID), never before.
- Writes of a ring share an AXI ID, its number, and so are answered in order [AMBA AXI4, IHI 0022,
  A5.3]; AWUSER is its number too. AW and W do not wait for each other [A3.3.1].
- A write that is refused or fails stops its ring (`refused`). While a ring is muted its completions
  are left out (`discarded`), so that it delays no other.

Clock domain: sync. Latency: 4 cycles from the later of context and end to AWVALID and WVALID.
Throughput: a completion every 4 cycles.
"""

from typing import Any

from amaranth.hdl import Array, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from byway.rtl.bus.axi4 import PAGE_BYTES, AXI4WriteSignature, Burst, Resp
from byway.rtl.contract.model import codes, constant, record
from byway.rtl.transmit.frame import FrameEnd
from byway.rtl.transmit.ring import INDEX_BITS, RingConfig, ring_size_log2

__all__ = ["CompletionWriter", "FrameContext"]

_RECORD = record("completion")
_RECORD_BYTES = _RECORD.size // 8
_SIZE_BITS = constant("ring_limits.maximum_size_log2") + 1
_STATUS = codes("transmit_status")


class FrameContext(data.StructLayout):
    """What a completion tells of its frame that is known when the frame starts.

    Parameters
    ----------
    rings : int
        How many rings there are.

    Members
    -------
    ring : range(rings)
    correlator : unsigned(32)
        Of the descriptor.
    status : transmit_status
        SUCCESS if the frame was started: then a `FrameEnd` follows. Otherwise why it was not.
    consumer : unsigned(16)
        Entries of the ring consumed up to and including this frame.
    """

    def __init__(self, rings: int):
        super().__init__(
            {
                "ring": range(rings),
                "correlator": unsigned(_RECORD["correlator"].width),
                "status": _STATUS,
                "consumer": unsigned(INDEX_BITS),
            }
        )


class CompletionWriter(wiring.Component):
    """Writes the completions of all rings; its laws stand at the head of this file.

    Parameters
    ----------
    rings : int
        How many rings there are.
    addr_width, data_width : int
        Bits of an I/O bus address, and of a beat: 64 or 128.
    id_width : int
        Bits of AWID, which is the number of the ring.
    outstanding : int
        Writes that are asked for and not yet answered, at most; 1 or more.

    Members
    -------
    configs : In(RingConfig()), for each ring
    starts : In(rings)
        Rings that begin at index 0.
    mute : In(rings)
        Rings for which nothing is to be written.
    contexts : In(stream.Signature(FrameContext(rings)))
        Frames in the order of their completions.
    ends : In(stream.Signature(FrameEnd()))
        The ends of those that were started, in the same order.
    m_axi : Out(AXI4WriteSignature(...))
    completed, refused, discarded : Out(rings)
        High for one cycle, one bit at a time: a completion of that ring has been written, was
        refused or failed, was left out.
    data_refused : Out(rings)
        High for one cycle as a completion is asked for that tells of refused data.
    dropped : Out(1)
        High for one cycle for each completion with a status other than success.

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    configs: Any
    starts: Signal
    mute: Signal
    contexts: Any
    ends: Any
    m_axi: Any
    completed: Signal
    refused: Signal
    discarded: Signal
    data_refused: Signal
    dropped: Signal

    def __init__(
        self,
        *,
        rings: int = 4,
        addr_width: int = 64,
        data_width: int = 64,
        id_width: int = 5,
        outstanding: int = 8,
    ):
        if outstanding < 1:
            raise ValueError(f"Outstanding must be at least 1, not {outstanding!r}")
        if data_width not in (64, 128):
            raise ValueError(f"Data width must be 64 or 128, not {data_width!r}")
        if rings not in range(1, (1 << id_width) + 1):
            raise ValueError(f"Rings must be 1 to {1 << id_width}, not {rings!r}")
        self.rings = rings
        self.data_width = data_width
        self.outstanding = outstanding
        super().__init__(
            {
                "configs": In(RingConfig()).array(rings),
                "starts": In(rings),
                "mute": In(rings),
                "contexts": In(stream.Signature(FrameContext(rings))),
                "ends": In(stream.Signature(FrameEnd())),
                "m_axi": Out(
                    AXI4WriteSignature(
                        addr_width=addr_width,
                        data_width=data_width,
                        id_width=id_width,
                        user_width=8,
                    )
                ),
                "completed": Out(rings),
                "refused": Out(rings),
                "discarded": Out(rings),
                "data_refused": Out(rings),
                "dropped": Out(1),
            }
        )

    def elaborate(self, platform):
        """Join context and end, find the place, write, and hear the answer."""
        m = Module()
        axi = self.m_axi
        answer = self._answers(m)

        # Keep one context and one end, so that neither waits for the other to be taken.
        context_kept = Signal()
        context = Signal(FrameContext(self.rings))
        end_kept = Signal()
        end = Signal(FrameEnd())
        for port, kept, copy in (
            (self.contexts, context_kept, context),
            (self.ends, end_kept, end),
        ):
            m.d.comb += port.ready.eq(~kept)
            with m.If(~kept):
                m.d.sync += [kept.eq(port.valid), copy.eq(port.payload)]

        # Each ring's completions so far, with one bit more than an index for the generation.
        counts = Array(Signal(_SIZE_BITS, name=f"count_{ring}") for ring in range(self.rings))
        for ring in range(self.rings):
            with m.If(self.starts[ring]):
                m.d.sync += counts[ring].eq(0)

        in_flight = Signal(range(self.outstanding + 1))
        has_room = Signal(init=1)  # A cycle late; writes are further apart.
        issue = Signal()
        m.d.sync += has_room.eq(in_flight != self.outstanding)
        ring = Signal(range(self.rings))
        base = Signal.like(self.configs[0].completion_base)
        size = Signal(_SIZE_BITS)
        count = Signal(_SIZE_BITS)
        index = Signal(_SIZE_BITS - 1)
        result = Signal(_RECORD)
        is_good = context.status == _STATUS.SUCCESS
        m.d.sync += [self.dropped.eq(0), self.data_refused.eq(0)]
        with m.FSM(name="completion"):
            with m.State("JOIN"):
                # What became of the frame, and what the ring says about where to write it.
                config = Array(self.configs)[context.ring]
                m.d.sync += [
                    ring.eq(context.ring),
                    base.eq(config.completion_base),
                    size.eq(1 << ring_size_log2(config.size_log2)),
                    count.eq(counts[context.ring]),
                    result.correlator.eq(context.correlator),
                    result.status.eq(context.status),
                    result.segments.eq(0),
                    result.consumer.eq(context.consumer),
                    result.ring.eq(context.ring),
                ]
                with m.If(is_good):
                    m.d.sync += result.segments.eq(end.segments)
                    with m.Switch(end.error):
                        with m.Case(Resp.DECERR):
                            m.d.sync += result.status.eq(_STATUS.MEMORY_REFUSED)
                        with m.Case(Resp.SLVERR):
                            m.d.sync += result.status.eq(_STATUS.MEMORY_ERROR)
                with m.If(context_kept & (~is_good | end_kept)):
                    m.next = "PLACE"
            with m.State("PLACE"):
                m.d.sync += [
                    index.eq(count & (size - 1)),
                    result.generation.eq((count & size) == 0),
                ]
                m.next = "WRITE"
            with m.State("WRITE"):
                # The context and the end are done with when the write is asked for or left out.
                done = Signal()
                with m.If(self.mute.bit_select(ring, 1)):
                    m.d.comb += done.eq(~answer)
                    m.d.comb += self.discarded.bit_select(ring, 1).eq(~answer)
                with m.Elif(~axi.awvalid & ~axi.wvalid & has_room):
                    m.d.comb += [done.eq(1), issue.eq(1)]
                    m.d.sync += [
                        counts[ring].eq(count + 1),
                        self.dropped.eq(result.status != _STATUS.SUCCESS),
                        self.data_refused.bit_select(ring, 1).eq(
                            result.status == _STATUS.MEMORY_REFUSED
                        ),
                    ]
                with m.If(done):
                    m.d.sync += context_kept.eq(0)
                    with m.If(is_good):
                        m.d.sync += end_kept.eq(0)
                    m.next = "JOIN"
        m.d.sync += in_flight.eq(in_flight + issue - answer)

        # AW and W, each at its own pace.
        beats = _RECORD.size // self.data_width
        left = Signal(_RECORD.size)
        beat = Signal(range(beats))
        m.d.comb += [
            axi.awlen.eq(beats - 1),
            axi.awsize.eq(exact_log2(self.data_width // 8)),
            axi.awburst.eq(Burst.INCR),
            axi.wdata.eq(left),
            axi.wstrb.eq(~0),
            axi.wlast.eq(beat == beats - 1),
        ]
        with m.If(issue):
            m.d.sync += [
                axi.awvalid.eq(1),
                axi.awid.eq(ring),
                axi.awuser.eq(ring),
                axi.awaddr.eq(base * PAGE_BYTES + index * _RECORD_BYTES),
            ]
        with m.Elif(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(issue):
            m.d.sync += [axi.wvalid.eq(1), left.eq(result), beat.eq(0)]
        with m.Elif(axi.wvalid & axi.wready):
            m.d.sync += [
                axi.wvalid.eq(~axi.wlast),
                left.eq(left >> self.data_width),
                beat.eq(beat + 1),
            ]
        return m

    def _answers(self, m: Module) -> Signal:
        """Tell the rings what the memory answers; returns a signal that is high as one comes."""
        axi = self.m_axi
        answer = Signal()
        failed = Signal()
        number = Signal.like(axi.bid)
        m.d.comb += axi.bready.eq(1)
        m.d.sync += [answer.eq(axi.bvalid), failed.eq(axi.bresp[1]), number.eq(axi.bid)]
        for ring in range(self.rings):
            is_this = answer & (number == ring)
            m.d.comb += [
                self.completed[ring].eq(is_this & ~failed),
                self.refused[ring].eq(is_this & failed),
            ]
        return answer
