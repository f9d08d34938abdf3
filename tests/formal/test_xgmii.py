"""The wire of an `XgmiiTransmitter` keeps the rules of clause 46, whatever packets come and when.

Shown without bound in time, with reset at any moment, of packets of any length, in time or late or
with beats missing, and with `enable` at will [IEEE 802.3, 46.2 and 46.3.1]:

- Start is in lane 0 or 4, in a gap, with the rest of preamble and start frame delimiter behind it;
  but for Terminate a gap is nothing but Idle, and no control character but Error is in a frame.
- No gap is shorter than 9 bytes, and by the deficit idle count all together lack 3 at most.
- No frame but one with Error is shorter than it must be.
- If the next packet waits, the gap is no longer than the deficit idle count wants it.

This is proved of a wire that is drawn from the words of an `XgmiiFramer` at once. What the
transmitter puts on its wire, the bytes of the FCS apart, is proved to be the same, some cycles
later. Assumed are the laws of packet streams.
"""

from amaranth.hdl import Assert, Assume, Cat, Const, Cover, Elaboratable, Module, Mux, Signal

from byway.rtl.mac.xgmii import XgmiiTransmitter
from byway.rtl.mac.xgmii_framer import XgmiiFramer
from tests.formal.surroundings import anything

IDLE, START, TERMINATE, ERROR = 0x07, 0xFB, 0xFD, 0xFE
LANES, HALF = 8, 4
FCS = 4
GAP, LEAST_GAP, MOST_DEFICIT = 12, 9, 3
#: From Start to the end of the FCS.
LEAST_FRAME = 8 + 60 + FCS
#: Cycles from a word to the wire.
LATENCY = 6
#: A packet that waited this long, up to the word with its Start, could have been sent before.
WAITS = 3


class Drawn:
    """The wire as the framer's words want it: characters, controls, and lanes with FCS bytes."""

    def __init__(self, m: Module, word):
        ended = Signal()
        end_count = Signal.like(word.count)
        m.d.sync += [ended.eq(word.last), end_count.eq(word.count)]
        self.lanes = self._move(
            m, word.half, [self._lane(lane, word, ended, end_count) for lane in range(LANES)]
        )

    def _lane(self, lane, word, ended, end_count):
        """Character, control and whether it is of the FCS."""
        behind = Mux(word.last, lane - word.count, lane + LANES - end_count)
        ends = word.last | ended
        is_error = word.dry if lane == 0 else Const(0, 1)
        is_word = word.first | ((word.count != 0) & (~word.last | (lane < word.count))) | is_error
        is_fcs = ends & (behind >= 0) & (behind < FCS) & ~is_word
        gap = Mux(ends & (behind == FCS), TERMINATE, IDLE)
        character = Mux(is_word, word.data.word_select(lane, 8), gap)
        is_control = is_error | (word.first if lane == 0 else 0)
        return Cat(character, Mux(is_word, is_control, ~is_fcs), is_fcs)

    def _move(self, m, half, lanes):
        before = [Signal(10, name=f"before_{lane}") for lane in range(HALF)]
        m.d.sync += [lane.eq(moved) for lane, moved in zip(before, lanes[HALF:], strict=True)]
        moved = [Signal(10, name=f"drawn_{lane}") for lane in range(LANES)]
        m.d.comb += [
            lane.eq(Mux(half, late, now))
            for lane, late, now in zip(moved, before + lanes[:HALF], lanes, strict=True)
        ]
        return moved


class HalfWord:
    """Four lanes, each a character and whether it is a control character."""

    def __init__(self, lanes):
        self.characters = [lane[:8] for lane in lanes]
        self.controls = [lane[8] for lane in lanes]

    def holds(self, lane, character):
        """Whether a control character is in that lane."""
        return self.controls[lane] & (self.characters[lane] == character)

    def shows(self, *data):
        """Whether the last lanes are these data."""
        result = Const(1, 1)
        for character, control, byte in zip(
            reversed(self.characters), reversed(self.controls), reversed(data), strict=False
        ):
            result = result & ~control & (character == byte)
        return result


def assume_laws(m, dut):
    """Of packet streams."""
    frame, beat = dut.frame, dut.frame.payload
    waited = Signal()
    count = Signal.like(beat.count)
    last = Signal()
    m.d.sync += [waited.eq(frame.valid & ~frame.ready), count.eq(beat.count), last.eq(beat.last)]
    stays = frame.valid & (beat.count == count) & (beat.last == last)
    m.d.comb += [
        Assume(~waited | stays, "what waits stays"),
        Assume((beat.count != 0) & (beat.count <= LANES), "a beat has bytes"),
        Assume(beat.last | (beat.count == LANES), "all lanes but for the last beat's"),
    ]


def waits(m, dut):
    """Whether the next packet has waited for long enough, and might have been sent."""
    frame = dut.frame
    inside = Signal()
    broken = Signal()
    with m.If(frame.ready & frame.valid):
        m.d.sync += inside.eq(~frame.payload.last)
        with m.If(frame.payload.last):
            m.d.sync += broken.eq(0)
    with m.Elif(frame.ready & inside):
        m.d.sync += broken.eq(1)

    cycles = Signal(range(WAITS + 1))
    with m.If(~frame.valid | ~dut.enable | broken):
        m.d.sync += cycles.eq(0)
    with m.Elif(cycles != WAITS):
        m.d.sync += cycles.eq(cycles + 1)
    return cycles == WAITS


class RulesKept(Elaboratable):
    """A framer among packets as they like, and the far end of the wire that is drawn."""

    def elaborate(self, platform):
        """Half a word after the other, of which each goes on from the one before."""
        m = Module()
        m.submodules.dut = dut = XgmiiFramer()
        anything(m, dut)
        assume_laws(m, dut)
        drawn = Drawn(m, dut.word)
        waited = waits(m, dut)

        within = Signal()
        filled = Signal(range(LEAST_FRAME + 1))  # Characters of the frame, no more than it needs.
        spoilt = Signal()
        ever = Signal()
        gap = Signal(range(32))
        deficit = Signal(range(16))
        state = (within, filled, spoilt, ever, gap, deficit)
        now = state
        for half in range(2):
            then = tuple(Signal.like(one, name=f"{one.name}_{half}") for one in state)
            m.d.comb += [after.eq(before) for after, before in zip(then, now, strict=True)]
            lanes = HalfWord(drawn.lanes[HALF * half :][:HALF])
            self._judge(m, lanes, now, then, waited)
            now = then
        m.d.sync += [register.eq(value) for register, value in zip(state, now, strict=True)]
        return m

    def _judge(self, m, lanes, now, then, waited):
        within, filled, spoilt, ever, gap, deficit = now
        within_then, filled_then, spoilt_then, ever_then, gap_then, deficit_then = then
        idle = [lanes.holds(lane, IDLE) for lane in range(HALF)]
        with m.If(within):
            with m.If(filled == HALF):
                m.d.comb += Assert(lanes.shows(0x55, 0x55, 0x55, 0xD5), "the rest of the preamble")
            ends = Const(0, 1)
            for lane in range(HALF):
                end = lanes.holds(lane, TERMINATE)
                error = lanes.holds(lane, ERROR)
                m.d.comb += Assert(
                    Mux(ends, idle[lane], ~lanes.controls[lane] | error | end),
                    "data and Error until Terminate, then Idle",
                )
                with m.If(error):
                    m.d.comb += spoilt_then.eq(1)
                with m.If(end & ~ends):
                    long_enough = filled + lane >= LEAST_FRAME
                    m.d.comb += [
                        Assert(long_enough | spoilt, "a frame is no shorter than it must be"),
                        within_then.eq(0),
                        ever_then.eq(1),
                        gap_then.eq(HALF - lane),
                    ]
                ends = ends | end
            with m.If(filled <= LEAST_FRAME - HALF):
                m.d.comb += filled_then.eq(filled + HALF)
        with m.Elif(lanes.holds(0, START)):
            lacks = deficit + GAP
            m.d.comb += [
                Assert(lanes.shows(0x55, 0x55, 0x55), "preamble is behind Start"),
                Assert(~ever | (gap >= LEAST_GAP), "no gap is too short"),
                Assert(~ever | (lacks <= gap + MOST_DEFICIT), "nor all of them together"),
                Assert(~ever | ~waited | (lacks >= gap), "nor too long if a packet waits"),
                deficit_then.eq(Mux(ever & (lacks > gap), lacks - gap, 0)),
                within_then.eq(1),
                filled_then.eq(HALF),
                spoilt_then.eq(0),
                Cover(ever & waited & (gap == LEAST_GAP), "the shortest gap"),
                Cover(ever & waited & (gap == 15), "the longest gap that a frame waits for"),
            ]
        with m.Else():
            for one in idle:
                m.d.comb += Assert(one, "a gap is nothing but Idle")
            with m.If(gap < 28):
                m.d.comb += gap_then.eq(gap + HALF)


class WireDrawn(Elaboratable):
    """A transmitter and a framer with the same packets."""

    def elaborate(self, platform):
        """The words go through as many flip-flops, with one behind what is drawn."""
        m = Module()
        m.submodules.dut = dut = XgmiiTransmitter()
        m.submodules.framer = framer = XgmiiFramer()
        anything(m, dut)
        assume_laws(m, dut)
        m.d.comb += [
            framer.frame.payload.eq(dut.frame.payload),
            framer.frame.valid.eq(dut.frame.valid),
            framer.enable.eq(dut.enable),
        ]
        word = framer.word
        for number in range(LATENCY - 1):
            later = Signal.like(word, name=f"word_{number}")
            m.d.sync += later.eq(word)
            word = later
        for number, drawn in enumerate(Drawn(m, word).lanes):
            lane = Signal.like(drawn, init=IDLE | 1 << 8, name=f"lane_{number}")
            m.d.sync += lane.eq(drawn)
            is_fcs = lane[9]
            character = dut.xgmii.txd.word_select(number, 8)
            m.d.comb += [
                Assert(dut.xgmii.txc[number] == lane[8], "control characters are where they are"),
                Assert((character == lane[:8]) | is_fcs, "and each character is what it is"),
            ]
        return m


def test_the_rules_of_the_xgmii_are_kept(verify):
    verify.reach(RulesKept())


def test_the_shortest_and_the_longest_gap_happen(verify):
    verify.cover(RulesKept(), depth=60)


def test_the_wire_is_as_the_words_want_it(verify):
    verify.reach(WireDrawn(), as_it_is=True)
