"""The transmit side of a GMII [IEEE 802.3, clauses 3 and 35].

Turns packets into frames on the wire: preamble, start frame delimiter, data, zeros up to the
minimum frame size, frame check sequence, interframe gap. A packet of n bytes takes exactly
8 + max(60, n) + 4 + 12 cycles, and the next one, if it is there, follows at once: the gap
between frames is never more than 96 bit times then, and never less.

Clock domain: ``sync``, which is the GMII's clock (125 MHz at 1 Gb/s). From the first beat of a
packet to the first byte of preamble: 2 cycles. A beat is taken every ``data_width // 8`` cycles.
The fields ``error`` are not looked at: packets come from the frame buffer, which keeps spoilt ones
back.

A source that has no next beat at the moment it is due has run dry. Then the bytes so far end with
TX_ER and a wrong FCS, so that no receiver takes them for a frame [35.2.2.5], and the rest of the
packet is discarded; this does not count as sent.
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.packet import BeatLayout
from byway.rtl.mac.fcs import FrameCheckSequence

__all__ = ["GmiiTransmitSignature", "GmiiTransmitter"]

_PREAMBLE = 0x55  # 10101010, low bit first [3.2.1], seven times.
_START_FRAME_DELIMITER = 0xD5  # 10101011, low bit first [3.2.2].
_MINIMUM_BYTES = 60  # minFrameSize without the FCS [4.4.2].
_GAP_BYTES = 12  # interPacketGap [4.4.2].


class GmiiTransmitSignature(wiring.Signature):
    """The transmit half of a GMII, from the side of the MAC [35.2.2]; GTX_CLK is the clock itself.

    Members
    -------
    txd : Out(8)
        Data; meaningful while `tx_en`.
    tx_en : Out(1)
        Preamble, frame or FCS is on the wire.
    tx_er : Out(1)
        With `tx_en`: the frame is spoilt.
    """

    def __init__(self):
        super().__init__({"txd": Out(8), "tx_en": Out(1), "tx_er": Out(1)})


class GmiiTransmitter(wiring.Component):
    """Sends packets as frames over a GMII.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 8 times a power of two.

    Members
    -------
    frame : In(stream.Signature(BeatLayout(data_width)))
        Packets, without padding and FCS. Within a packet, valid may not fall.
    enable : In(1)
        Frames leave. When it falls, the frame in progress is finished first.
    gmii : Out(GmiiTransmitSignature())
        The wire, from flip-flops.
    busy : Out(1)
        Preamble, frame, FCS or the gap that must follow is on the wire.
    sent : Out(1)
        A frame ends: its last byte of FCS is on the wire.
    sent_bytes : Out(16)
        Its bytes, padding included, FCS not; valid with `sent`.
    """

    frame: stream.Interface
    enable: Signal
    gmii: Any
    busy: Signal
    sent: Signal
    sent_bytes: Signal

    def __init__(self, *, data_width: int = 64):
        self.data_width = data_width
        super().__init__(
            {
                "frame": In(stream.Signature(BeatLayout(data_width))),
                "enable": In(1),
                "gmii": Out(GmiiTransmitSignature()),
                "busy": Out(1),
                "sent": Out(1),
                "sent_bytes": Out(16),
            }
        )

    def elaborate(self, platform):
        """Byte by byte through the states; the wire a cycle behind them."""
        m = Module()
        m.submodules.fcs = fcs = FrameCheckSequence()

        # The beat being sent, shifted so that the byte due is the lowest.
        beat = Signal(BeatLayout(self.data_width))
        length = Signal(16)  # Bytes sent before the one due, padding included.
        countdown = Signal(range(_GAP_BYTES))
        dry = Signal()  # The source ran dry in this frame.
        enabled = Signal()
        m.d.sync += enabled.eq(self.enable)

        # What the states choose for the wire appears on it a cycle later.
        byte = Signal(8)
        on_wire = Signal()
        sending = Signal()
        m.d.sync += [
            self.gmii.txd.eq(byte),
            self.gmii.tx_en.eq(on_wire),
            self.gmii.tx_er.eq(on_wire & dry),
            self.busy.eq(sending),
            self.sent.eq(0),
        ]
        m.d.comb += [sending.eq(1), fcs.data.eq(byte)]

        def open_frame():
            """Take the first beat of a frame if one may leave."""
            m.d.comb += self.frame.ready.eq(enabled)
            with m.If(enabled & self.frame.valid):
                m.d.sync += [beat.eq(self.frame.payload), countdown.eq(7)]
                m.next = "PREAMBLE"

        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.comb += sending.eq(0)
                open_frame()

            with m.State("PREAMBLE"):
                m.d.comb += [
                    byte.eq(Mux(countdown == 0, _START_FRAME_DELIMITER, _PREAMBLE)),
                    on_wire.eq(1),
                    fcs.restart.eq(1),
                ]
                m.d.sync += [countdown.eq(countdown - 1), length.eq(0)]
                with m.If(countdown == 0):
                    m.next = "DATA"

            with m.State("DATA"):
                m.d.comb += [byte.eq(beat.data[:8]), on_wire.eq(1), fcs.count.eq(1)]
                m.d.sync += [
                    beat.data.eq(beat.data >> 8),
                    beat.count.eq(beat.count - 1),
                    length.eq(length + 1),
                    countdown.eq(3),
                ]
                with m.If(beat.count == 1):
                    m.d.comb += self.frame.ready.eq(~beat.last)
                    with m.If(beat.last):
                        with m.If(length < _MINIMUM_BYTES - 1):
                            m.next = "PADDING"
                        with m.Else():
                            m.next = "FCS"
                    with m.Elif(self.frame.valid):
                        m.d.sync += beat.eq(self.frame.payload)
                    with m.Else():
                        m.d.sync += dry.eq(1)
                        m.next = "FCS"

            with m.State("PADDING"):
                m.d.comb += [byte.eq(0), on_wire.eq(1), fcs.count.eq(1)]
                m.d.sync += length.eq(length + 1)
                with m.If(length == _MINIMUM_BYTES - 1):
                    m.next = "FCS"

            with m.State("FCS"):
                # Complemented, it is wrong in every bit. Byte 0 goes at count 3, and so on.
                value = Mux(dry, ~fcs.value, fcs.value)
                m.d.comb += [byte.eq(value.word_select(~countdown[:2], 8)), on_wire.eq(1)]
                m.d.sync += countdown.eq(countdown - 1)
                with m.If(countdown == 0):
                    m.d.sync += [
                        self.sent.eq(~dry),
                        self.sent_bytes.eq(length),
                        countdown.eq(_GAP_BYTES - 1),
                    ]
                    m.next = "GAP"

            with m.State("GAP"):
                m.d.sync += countdown.eq(countdown - 1)
                with m.If(countdown == 0):
                    m.next = "IDLE"
                    with m.If(dry):
                        m.next = "DISCARD"
                    with m.Else():
                        open_frame()

            with m.State("DISCARD"):
                m.d.comb += [sending.eq(0), self.frame.ready.eq(1)]
                with m.If(self.frame.valid & self.frame.payload.last):
                    m.d.sync += dry.eq(0)
                    m.next = "IDLE"

        return m
