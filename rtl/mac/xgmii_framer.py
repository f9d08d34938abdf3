"""Where the frames of an XGMII start, and which bytes they have [IEEE 802.3, clauses 4 and 46].

Packets become words of 8 bytes, as if every frame started in lane 0: Start and preamble, data with
zeros up to the minimum frame size, and the gap, in which there is room for FCS and Terminate.

Clock domain: ``sync``. A word every cycle. From the first beat being offered to the word with
Start: 1 cycle, if no other frame is in the way.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.bus.packet import BeatLayout

__all__ = ["LANES", "START_LANES", "WordLayout", "XgmiiFramer"]

LANES = 8
#: Frames start in every lane that is a multiple of this: lane 0 of the 32 bits of clause 46.
START_LANES = 4

# Control characters [table 46-3].
_START = 0xFB
_ERROR = 0xFE

#: Start, preamble and start frame delimiter [46.2.2].
_PREAMBLE = int.from_bytes([_START, *[0x55] * 6, 0xD5], "little")
_MINIMUM_BYTES = 60  # minFrameSize without the FCS [4.4.2].
#: Whole words of a frame of that size, and the bytes in its last one.
_MINIMUM_WORDS, _MINIMUM_LAST = divmod(_MINIMUM_BYTES, LANES)


class WordLayout(data.StructLayout):
    """A word of frames that all start in lane 0; without count and flags, one of the gap.

    Members
    -------
    data
        Bytes, that of lane 0 first; in lane 0 of the word with `first`, Start, `dry`, Error.
    count
        How many of them are under the FCS.
    first
        Start, preamble and start frame delimiter.
    last
        The last bytes of a frame; none if `dry`. The next word is one of the gap.
    dry
        The source ran dry.
    half
        The frame really starts in lane 4.
    """

    def __init__(self):
        flags = dict.fromkeys(("first", "last", "dry", "half"), 1)
        super().__init__({"data": 8 * LANES, "count": range(LANES + 1), **flags})


class XgmiiFramer(wiring.Component):
    """Makes words out of packets, and decides where frames start.

    Members
    -------
    frame, enable
        As those of `byway.rtl.mac.xgmii.XgmiiTransmitter`.
    word : Out(WordLayout())
        The word of this cycle.
    sending : Out(1)
        It belongs to a frame or to the gap that must follow.
    frame_bytes : Out(16)
        Bytes of the last frame that was whole, padding included; from a cycle after its last word.
    """

    frame: stream.Interface
    enable: Signal
    word: Any
    sending: Signal
    frame_bytes: Signal

    def __init__(self):
        super().__init__(
            {
                "frame": In(stream.Signature(BeatLayout(8 * LANES))),
                "enable": In(1),
                "word": Out(WordLayout()),
                "sending": Out(1),
                "frame_bytes": Out(16),
            }
        )

    def elaborate(self, platform):
        """Word by word through the states."""
        m = Module()
        word, beat = self.word, self.frame.payload
        words = Signal(13)  # Of this frame so far, that of Start not among them.
        filled = Signal(range(_MINIMUM_WORDS + 2))  # The same, no further than it matters.
        dry = Signal()
        # Where the next frame starts, and how many bytes before its gap of 12 is over [46.3.1.4].
        half = Signal()
        deficit = Signal(range(START_LANES))
        enabled = Signal()
        m.d.sync += [
            enabled.eq(self.enable),
            word.count.eq(0),
            word.first.eq(0),
            word.last.eq(0),
            word.dry.eq(0),
            self.sending.eq(1),
        ]

        def let_pass():
            """No frame starts, though one might: the next one is late, and owes nothing."""
            m.d.sync += [half.eq(0), deficit.eq(0), self.sending.eq(0)]

        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.sync += [word.data.eq(_PREAMBLE), words.eq(0), filled.eq(0)]
                with m.If(enabled & self.frame.valid):
                    m.d.sync += [word.first.eq(1), word.half.eq(half)]
                    m.next = "DATA"
                with m.Else():
                    let_pass()

            with m.State("DATA"):
                m.d.comb += self.frame.ready.eq(1)
                m.d.sync += [word.count.eq(LANES), words.eq(words + 1)]
                with m.If(filled <= _MINIMUM_WORDS):
                    m.d.sync += filled.eq(filled + 1)
                for lane in range(LANES):
                    # Beyond the end there are zeros, which may become padding.
                    byte = Mux(beat.count > lane, beat.data.word_select(lane, 8), 0)
                    m.d.sync += word.data.word_select(lane, 8).eq(byte)
                with m.If(~self.frame.valid):
                    m.d.sync += [
                        word.data[:8].eq(_ERROR),
                        word.count.eq(0),
                        word.last.eq(1),
                        word.dry.eq(1),
                        dry.eq(1),
                    ]
                    m.next = "GAP"
                with m.Elif(beat.last):
                    with m.If(filled < _MINIMUM_WORDS):
                        m.next = "PADDING"
                    with m.Else():
                        short = (filled == _MINIMUM_WORDS) & (beat.count < _MINIMUM_LAST)
                        count = Mux(short, _MINIMUM_LAST, beat.count)
                        m.d.sync += [word.count.eq(count), word.last.eq(1)]
                        m.next = "GAP"

            with m.State("PADDING"):
                m.d.sync += [
                    word.data.eq(0),
                    word.count.eq(LANES),
                    words.eq(words + 1),
                    filled.eq(filled + 1),
                ]
                with m.If(filled == _MINIMUM_WORDS):
                    m.d.sync += [word.count.eq(_MINIMUM_LAST), word.last.eq(1)]
                    m.next = "GAP"

            with m.State("GAP"):
                # FCS and gap are 4 + 12 bytes behind the data, as many as this word and the one
                # before hold. Left are the bytes of data in the one before, those by which this
                # frame was ahead, and the half word by which it is moved.
                left = Signal(range(LANES + START_LANES))
                halves = Signal(2)
                m.d.comb += [
                    left.eq(word.count + deficit),
                    halves.eq(left[2:] + word.half),
                ]
                m.d.sync += [deficit.eq(left[:2]), half.eq(halves[0])]
                with m.If(~dry):
                    m.d.sync += self.frame_bytes.eq(Cat(Const(0, 3), words) + word.count - LANES)
                with m.If(halves[1]):
                    m.next = "LONG_GAP"
                with m.Elif(dry):
                    m.next = "DISCARD"
                with m.Else():
                    m.next = "IDLE"

            with m.State("LONG_GAP"):
                with m.If(dry):
                    m.next = "DISCARD"
                with m.Else():
                    m.next = "IDLE"

            with m.State("DISCARD"):
                m.d.comb += self.frame.ready.eq(1)
                let_pass()
                with m.If(self.frame.valid & beat.last):
                    m.d.sync += dry.eq(0)
                    m.next = "IDLE"

        return m
