"""How a frame is cut: one plan for each segment, worked out while the segment before it streams.

`SegmentPlanner` turns each `FrameCommand` into the plans of its segments, in order: one for a frame
without large send; for a super-frame one for each run of ``mss`` payload bytes, the last of which
may be shorter, and one if there is no payload at all.

Clock domain: ``sync``. Latency: a plan is offered 1 cycle after the command is taken, 2 cycles for
a super-frame. Throughput: a plan every 2 cycles, 3 for the first of a super-frame; the beats of a
bare Ethernet header last as long at 64 bits, and every segment lasts longer.
"""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.transmit.frame import FrameCommand

__all__ = ["SegmentPlan", "SegmentPlanner"]

_IPV6_HEADER = 40


class SegmentPlan(data.StructLayout):
    """One segment of a frame, or a whole frame that is not cut.

    Parameters
    ----------
    lanes : int
        Bytes of a beat: a power of two, 1 to 256.

    Members
    -------
    first, last : unsigned(1)
        The segment opens its frame; it ends with it.
    command : FrameCommand
        Of the frame.
    header_rows, header_tail : unsigned
        Beats that the header takes, less one; bytes in the last of them.
    ip_length, l4_length : unsigned(16)
        What the length field of the segment's IP header is to hold: the total length of IPv4, the
        payload length of IPv6; and what that of UDP is to hold.
    lane : range(lanes)
        Where in a beat the segment's share of the packet begins: header and payload of the first
        segment, payload of the others.
    beats : unsigned
        Beats from that one to the one in which the segment ends, less one. Not for the last
        segment, which ends with the packet.
    cut : unsigned
        Bytes of the beat in which the segment ends that belong to it or to those before, 1 to
        `lanes`. Not for the last segment.

    Raises
    ------
    ValueError
        If `lanes` is not as above.
    """

    def __init__(self, lanes: int):
        if lanes not in (2**power for power in range(9)):
            raise ValueError(f"Lanes must be a power of two from 1 to 256, not {lanes!r}")
        command = FrameCommand()
        longest = 2 ** command["mss"].width + 2 ** command["header_length"].width
        super().__init__(
            {
                "first": unsigned(1),
                "last": unsigned(1),
                "command": command,
                "header_rows": range(2 ** command["header_length"].width // lanes),
                "header_tail": unsigned(bits_for(lanes)),
                "ip_length": unsigned(16),
                "l4_length": unsigned(16),
                "lane": range(lanes),
                "beats": range(longest // lanes),
                "cut": unsigned(bits_for(lanes)),
            }
        )


class SegmentPlanner(wiring.Component):
    """Plans the segments of each frame.

    Parameters
    ----------
    lanes : int
        Bytes of a beat: a power of two, 1 to 256.

    Members
    -------
    frames : In(stream.Signature(FrameCommand()))
        The frames.
    plans : Out(stream.Signature(SegmentPlan(lanes)))
        Their segments.

    Raises
    ------
    ValueError
        If `lanes` is not as above.
    """

    frames: stream.Interface
    plans: stream.Interface

    def __init__(self, *, lanes: int):
        self.lanes = lanes
        super().__init__(
            {
                "frames": In(stream.Signature(FrameCommand())),
                "plans": Out(stream.Signature(SegmentPlan(lanes))),
            }
        )

    def elaborate(self, platform):
        """Offer a plan while it is wanted, then measure the next segment."""
        m = Module()
        lane_bits = bits_for(self.lanes) - 1
        frame = self.frames.payload
        plan = self.plans.payload

        # The frame, and how far it is planned. A count less one is negative when nothing is left,
        # so that the sign of what would be left after this segment tells whether it is the last.
        command = Signal(FrameCommand())
        first = Signal()
        left = Signal(signed(len(command.total_length) + 2))  # Payload bytes not planned, less one.
        left_after = Signal.like(left)
        begin = Signal.like(command.header_length)
        end = Signal(len(command.mss) + 1)  # Last byte of the segment, counted from its first beat.
        # What counts of the headers together in each length.
        counted = {
            "ip_length": Signal.like(command.header_length),
            "l4_length": Signal.like(command.header_length),
        }
        full = {name: Signal(16, name=f"full_{name}") for name in counted}
        short = {name: Signal(16, name=f"short_{name}") for name in counted}

        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.frames.ready.eq(1)
                m.d.sync += command.eq(frame)
                m.d.sync += first.eq(1)
                m.d.sync += left.eq(frame.total_length - frame.header_length - 1)
                m.d.sync += left_after.eq(-1)
                m.d.sync += begin.eq(frame.header_length)
                not_counted = Mux(frame.ipv6, _IPV6_HEADER, 0)
                m.d.sync += counted["ip_length"].eq(
                    frame.header_length - frame.ip_offset - not_counted
                )
                m.d.sync += counted["l4_length"].eq(frame.header_length - frame.l4_offset)
                with m.If(self.frames.valid):
                    m.next = "OFFER"
                    with m.If(frame.large_send):
                        m.next = "MEASURE"

            with m.State("MEASURE"):
                m.d.sync += left_after.eq(left - command.mss)
                m.d.sync += end.eq(begin + command.mss - 1)
                for name, header in counted.items():
                    m.d.sync += full[name].eq(header + command.mss)
                    m.d.sync += short[name].eq(header + left + 1)
                m.next = "OFFER"

            with m.State("OFFER"):
                m.d.comb += self.plans.valid.eq(1)
                with m.If(self.plans.ready):
                    m.d.sync += first.eq(0)
                    m.d.sync += left.eq(left_after)
                    m.d.sync += begin.eq(plan.cut[:lane_bits])
                    m.next = "MEASURE"
                    with m.If(plan.last):
                        m.next = "TAKE"

        # The plan, a level of logic from flip-flops.
        header_end = Signal.like(command.header_length)
        m.d.comb += [
            header_end.eq(command.header_length - 1),
            plan.first.eq(first),
            plan.last.eq(left_after < 0),
            plan.command.eq(command),
            plan.header_rows.eq(header_end[lane_bits:]),
            plan.header_tail.eq(header_end[:lane_bits] + 1),
            *(plan[name].eq(Mux(plan.last, short[name], full[name])) for name in counted),
            plan.lane.eq(Mux(first, 0, begin)),
            plan.beats.eq(end[lane_bits:]),
            plan.cut.eq(end[:lane_bits] + 1),
        ]
        return m
