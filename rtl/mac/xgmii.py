"""The transmit side of an XGMII, 64 bits wide [IEEE 802.3, clauses 3 and 46].

Turns packets into frames on the wire: Start, preamble, start frame delimiter, data, zeros up to the
minimum frame size, frame check sequence, Terminate, and Idle for the gap. Start is in lane 0 or 4,
as two transfers over the 32 bits of clause 46 lie side by side.

While packets are there, the gap, of which Terminate is the first byte, is 12 bytes on average, by a
deficit idle count [46.3.1.4]: a packet of n bytes takes 8 + max(60, n) + 4 + 12 bytes, and the next
frame starts where that leads to, or in the last lane 0 or 4 before, up to 3 bytes ahead. So no gap
is shorter than 9 bytes. A frame whose packet comes too late for that starts in lane 0 at once, and
those behind it are counted from there.

Clock domain: ``sync``, 156.25 MHz at 10 Gb/s. From the first beat of a packet to Start on the wire:
7 cycles, 8 if beats are wider than the wire. So many bytes are taken every cycle as the wire has
lanes. The fields ``error`` are not looked at: packets come from the frame buffer, which keeps
spoilt ones back.

A source that has no next beat at the moment it is due has run dry. Then the bytes so far end with
Error in place of the first byte of FCS, and the rest of it is wrong, so that no receiver takes them
for a frame [46.3.3]; the rest of the packet is discarded. This does not count as sent.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, ValueLike
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.downsizer import Downsizer
from byway.rtl.bus.packet import BeatLayout
from byway.rtl.mac.fcs import FrameCheckSequence
from byway.rtl.mac.xgmii_framer import LANES, START_LANES, WordLayout, XgmiiFramer

__all__ = ["XgmiiTransmitSignature", "XgmiiTransmitter"]

# Control characters [table 46-3], beside those that the framer sets.
_IDLE = 0x07
_TERMINATE = 0xFD

_IDLE_WORD = int.from_bytes([_IDLE] * LANES, "little")
_FCS_BYTES = 4


class XgmiiTransmitSignature(wiring.Signature):
    """The transmit half of an XGMII, from the side of the MAC [46.3.1]; TX_CLK is the clock itself.

    Members
    -------
    txd : Out(64)
        A character in each lane, that of lane 0 first.
    txc : Out(8)
        Lanes that hold control characters.
    """

    def __init__(self):
        super().__init__(
            {
                "txd": Out(8 * LANES, init=_IDLE_WORD),  # pyright: ignore[reportCallIssue]
                "txc": Out(LANES, init=(1 << LANES) - 1),  # pyright: ignore[reportCallIssue]
            }
        )


class _Source(enum.Enum, shape=2):
    """Where the character in a lane comes from."""

    IDLE = 0
    TERMINATE = 1
    WORD = 2
    FCS = 3


def _end(count: int) -> list[_Source]:
    """The lanes of the last word of a frame, with `count` bytes, and those of the word after it."""
    sources = [_Source.WORD] * count + [_Source.FCS] * _FCS_BYTES + [_Source.TERMINATE]
    return sources + [_Source.IDLE] * (2 * LANES - len(sources))


class XgmiiTransmitter(wiring.Component):
    """Sends packets as frames over an XGMII.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 64, that of the wire, or a power of two times that.

    Members
    -------
    frame : In(stream.Signature(BeatLayout(data_width)))
        Packets, without padding and FCS. Within a packet, valid may not fall.
    enable : In(1)
        Frames leave. When it falls, the frame in progress is finished first.
    xgmii : Out(XgmiiTransmitSignature())
        The wire, from flip-flops.
    busy : Out(1)
        From the cycle after the first beat of a frame is taken to the end of the gap that must
        follow it on the wire; if that is in the middle of a word, not in that word any more. Of
        beats wider than the wire the first is taken before `enable`, and is not busy until then.
    sent : Out(1)
        A frame ends: its last byte of FCS is on the wire.
    sent_bytes : Out(16)
        Its bytes, padding included, FCS not; valid with `sent`.

    Raises
    ------
    ValueError
        If the width is not as above.
    """

    frame: stream.Interface
    enable: Signal
    xgmii: Any
    busy: Signal
    sent: Signal
    sent_bytes: Signal

    def __init__(self, *, data_width: int = 8 * LANES):
        lanes = BeatLayout(data_width).lanes
        if lanes < LANES:
            raise ValueError(f"Data width must be at least {8 * LANES}, not {data_width!r}")
        self.data_width = data_width
        super().__init__(
            {
                "frame": In(stream.Signature(BeatLayout(data_width))),
                "enable": In(1),
                "xgmii": Out(XgmiiTransmitSignature()),
                "busy": Out(1),
                "sent": Out(1),
                "sent_bytes": Out(16),
            }
        )

    def elaborate(self, platform):
        """Words wait for the FCS that has them in, get their ends, and move to their lanes."""
        m = Module()
        m.submodules.framer = framer = XgmiiFramer()
        m.submodules.fcs = fcs = FrameCheckSequence(data_width=8 * LANES)
        waiting = self._connect_frame(m, framer.frame)
        m.d.comb += [
            framer.enable.eq(self.enable),
            fcs.restart.eq(framer.word.first),
            fcs.data.eq(framer.word.data),
            fcs.count.eq(framer.word.count),
        ]
        word = framer.word
        for number in range(fcs.latency):
            later = Signal(WordLayout(), name=f"word_{number}")
            m.d.sync += later.eq(word)
            word = later

        # What comes with the word that is put together, a cycle after the FCS.
        data = Signal(8 * LANES)
        half = Signal()
        lane_0_control = Signal()
        fcs_bytes = Signal(8 * _FCS_BYTES)  # Turned, so that each byte is where its lane finds it.
        m.d.sync += [
            data.eq(word.data),
            half.eq(word.half),
            lane_0_control.eq(word.first | word.dry),
        ]
        with m.If(word.last):
            value = Mux(word.dry, ~fcs.value, fcs.value)  # Complemented, it is wrong in every bit.
            with m.Switch(word.count[:2]):
                for turn in range(_FCS_BYTES):
                    with m.Case(turn):
                        m.d.sync += fcs_bytes.eq(value.rotate_left(8 * turn))

        # It is joined from these, and a frame that starts in lane 4 is half a word behind.
        sources = self._choose_sources(m, word)
        characters = Signal(8 * LANES)
        controls = Signal(LANES)
        for lane, source in enumerate(sources):
            character = characters.word_select(lane, 8)
            with m.Switch(source):
                with m.Case(_Source.IDLE):
                    m.d.comb += [character.eq(_IDLE), controls[lane].eq(1)]
                with m.Case(_Source.TERMINATE):
                    m.d.comb += [character.eq(_TERMINATE), controls[lane].eq(1)]
                with m.Case(_Source.WORD):
                    m.d.comb += character.eq(data.word_select(lane, 8))
                    m.d.comb += controls[lane].eq(lane_0_control if lane == 0 else 0)
                with m.Case(_Source.FCS):
                    m.d.comb += character.eq(fcs_bytes.word_select(lane % _FCS_BYTES, 8))
        self._put_on_wire(m, characters, controls, half)

        self._tell(m, framer, word, waiting=waiting, under_way=fcs.latency + 1)
        return m

    def _connect_frame(self, m: Module, narrow: stream.Interface) -> ValueLike:
        """Beats as wide as the wire; returns whether any wait to leave."""
        if self.data_width == 8 * LANES:
            wiring.connect(m, wiring.flipped(self.frame), narrow)
            return 0
        m.submodules.downsizer = downsizer = Downsizer(
            data_width=self.data_width, narrow_width=8 * LANES
        )
        wiring.connect(m, wiring.flipped(self.frame), downsizer.wide)
        wiring.connect(m, downsizer.narrow, narrow)
        # A frame that may not leave is at rest, though its first beat is taken.
        taken = self.frame.valid & self.frame.ready
        return (taken | downsizer.narrow.valid) & self.enable

    def _choose_sources(self, m: Module, word) -> list[Any]:
        """Of each lane, a cycle later; a frame may end in the word after its last one."""
        sources = [Signal(_Source, name=f"source_{lane}") for lane in range(LANES)]
        ended = Signal()
        end_count = Signal.like(word.count)
        m.d.sync += [ended.eq(word.last), end_count.eq(word.count)]

        def choose(lanes):
            m.d.sync += [source.eq(lane) for source, lane in zip(sources, lanes, strict=True)]

        with m.If(word.last):
            with m.Switch(word.count):
                for count in range(LANES + 1):
                    with m.Case(count):
                        choose(_end(count)[:LANES])
            with m.If(word.dry):
                m.d.sync += sources[0].eq(_Source.WORD)
        with m.Elif(word.first | (word.count != 0)):
            choose([_Source.WORD] * LANES)
        with m.Elif(ended), m.Switch(end_count):
            for count in range(LANES + 1):
                with m.Case(count):
                    choose(_end(count)[LANES:])
        with m.Else():
            choose([_Source.IDLE] * LANES)
        return sources

    def _put_on_wire(self, m: Module, characters: Signal, controls: Signal, half: Signal) -> None:
        """A word; with `half`, the later half of the word before and the first of this one."""
        for wire, word, width in (
            (self.xgmii.txd, characters, 8 * START_LANES),
            (self.xgmii.txc, controls, START_LANES),
        ):
            before = Signal(width)
            m.d.sync += [
                before.eq(word[width:]),
                wire.eq(Mux(half, Cat(before, word[:width]), word)),
            ]

    def _tell(self, m: Module, framer, word, *, waiting: ValueLike, under_way: int) -> None:
        """What is sent, and when, on the way from the framer and from the word with its FCS."""
        sending = Signal(under_way)
        m.d.sync += [
            sending.eq(Cat(framer.sending, sending)),
            self.busy.eq(waiting | framer.sending | sending.any()),
        ]

        ends = Signal()
        ends_later = Signal()
        good = word.last & ~word.dry
        in_word = ~word.half & (word.count <= LANES - _FCS_BYTES)
        m.d.sync += [
            ends_later.eq(good & ~in_word),
            ends.eq((good & in_word) | ends_later),
            self.sent.eq(ends),
        ]
        m.d.comb += self.sent_bytes.eq(framer.frame_bytes)
