# amaranth: UnusedElaboratable=no
"""`FrameBuffer` keeps frames whole: all of a clean one leaves, nothing of a spoilt packet does.

The reference is a list in plain Python. Insertions come some cycles after the last beat of their
packet, as the checksummer gives them.
"""

import random
from dataclasses import dataclass, field

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from byway.rtl.bus.axi4 import Resp
from byway.rtl.mac.gmii import GmiiTransmitter
from byway.rtl.transmit.checksum import Checksummer
from byway.rtl.transmit.frame_buffer import FrameBuffer
from byway.sim.bench import get_packet, put_packet, stream_get, stream_put
from byway.sim.mac_bench import on_the_wire, padded

AGES = 5  # Cycles from a packet's last beat to its insertion, as in the checksummer.


@dataclass(frozen=True)
class Field:
    """A halfword to insert: its offset in the packet and its bytes."""

    offset: int
    value: bytes

    @property
    def payload(self):
        return {
            "enable": 1,
            "halfword": self.offset // 2,
            "value": int.from_bytes(self.value, "little"),
        }


@dataclass(frozen=True)
class Packet:
    data: bytes
    last: bool = True
    ipv4: Field | None = None
    l4: Field | None = None
    generic: Field | None = None
    errors: dict = field(default_factory=dict)

    @property
    def insertion(self):
        return {
            "ipv4": self.ipv4.payload if self.ipv4 else {"enable": 0},
            "l4": self.l4.payload if self.l4 else {"enable": 0},
            "generic": self.generic.payload if self.generic else {"enable": 0},
            "last": int(self.last),
        }

    @property
    def error(self):
        return next((self.errors[beat] for beat in sorted(self.errors)), 0)

    @property
    def on_the_wire(self):
        wire = bytearray(self.data.ljust(512, b"\0"))
        for inserted in (self.ipv4, self.l4, self.generic):
            if inserted:
                wire[inserted.offset : inserted.offset + 2] = inserted.value
        return bytes(wire[: len(self.data)])


def expected(packets, ring_bytes):
    """Packets that leave, and the ends of all frames as (segments, error)."""
    leaving, ends = [], []
    error = segments = 0
    for packet in packets:
        error = error or packet.error or (Resp.SLVERR if len(packet.data) > ring_bytes else 0)
        if not error:
            leaving.append(packet.on_the_wire)
            segments += 1
        if packet.last:
            ends.append((segments, error))
            error = segments = 0
    return leaving, ends


@dataclass
class Outcome:
    leaving: list
    expected_ends: list
    frames: list = field(default_factory=list)
    ends: list = field(default_factory=list)
    committed: int = 0
    entry: list = field(default_factory=list)  # Cycles in which a beat was taken.
    entry_ends: list = field(default_factory=list)
    inserted: list = field(default_factory=list)
    offered: list = field(default_factory=list)  # Cycles in which the exit was valid.
    exit: list = field(default_factory=list)
    exit_ends: list = field(default_factory=list)


def run(packets, *, rng=None, idle=0.0, stall=0.0, stall_ends=0.0, age=AGES, hold=0, hold_ends=0,
        **parameters):  # fmt: skip
    """Stream `packets` through; frames leave from cycle `hold` on, ends from `hold_ends`."""
    dut = FrameBuffer(**parameters)
    outcome = Outcome(*expected(packets, dut.words * dut.data_width // 8))
    cycle = 0
    due = []

    async def give_packets(ctx):
        for packet in packets:
            await put_packet(ctx, dut.packet, packet.data, errors=packet.errors, rng=rng, idle=idle)

    async def take_frames(ctx):
        if hold:
            await ctx.tick().repeat(hold)
        for _ in outcome.leaving:
            outcome.frames.append(await get_packet(ctx, dut.frame, rng=rng, stall=stall))

    async def take_ends(ctx):
        if hold_ends:
            await ctx.tick().repeat(hold_ends)
        for _ in outcome.expected_ends:
            end = await stream_get(ctx, dut.ends, rng=rng, stall=stall_ends)
            outcome.ends.append((int(end.segments), int(end.error)))

    async def give_insertions(ctx):
        nonlocal cycle
        waiting = iter(packets)
        outputs = [
            dut.packet.valid, dut.packet.ready, dut.packet.payload.last,
            dut.frame.valid, dut.frame.ready, dut.frame.payload.last, dut.frame.payload.error,
            dut.committed,
        ]  # fmt: skip
        while True:
            now = bool(due) and due[0] <= cycle
            if now:
                due.pop(0)
                ctx.set(dut.insertions.payload, next(waiting).insertion)
                outcome.inserted.append(cycle)
            ctx.set(dut.insertions.valid, now)
            sampled = await ctx.tick().sample(*outputs)
            valid, ready, last, out_valid, out_ready, out_last, error, committed = sampled[2:]
            if valid and ready:
                outcome.entry.append(cycle)
                if last:
                    outcome.entry_ends.append(cycle)
                    extra = rng.randint(0, 3) if rng else 0
                    due.append(max([cycle + age + extra, *(earlier + 1 for earlier in due[-1:])]))
            if out_valid:
                assert error == Resp.OKAY
                outcome.offered.append(cycle)
                if out_ready:
                    outcome.exit.append(cycle)
                    if out_last:
                        outcome.exit_ends.append(cycle)
            outcome.committed += committed
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(give_packets)
    simulator.add_testbench(take_frames)
    simulator.add_testbench(take_ends)
    simulator.add_testbench(give_insertions, background=True)
    simulator.run()
    return outcome


def check(outcome, context=""):
    assert outcome.frames == [(data, Resp.OKAY) for data in outcome.leaving], context
    assert outcome.ends == outcome.expected_ends, context
    assert outcome.committed == len(outcome.leaving), context


def random_field(rng, size):
    if rng.random() < 0.3:
        return None
    return Field(2 * rng.randrange(min(size // 2 + 4, 140)), rng.randbytes(2))


def random_packets(rng, count, *, longest, spoilt=0.0):
    packets = []
    for _ in range(count):
        size = rng.choice([rng.randint(14, 60), rng.randint(14, longest)])
        errors = {}
        if rng.random() < spoilt:
            beats = -(-size // 8)
            errors = {rng.randrange(beats): rng.choice([2, 3]) for _ in range(rng.randint(1, 2))}
        packets.append(
            Packet(
                rng.randbytes(size),
                last=rng.random() < 0.4,
                ipv4=random_field(rng, size),
                l4=random_field(rng, size),
                generic=random_field(rng, size),
                errors=errors,
            )
        )
    return [*packets, Packet(b"the last of its frame")]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_in_clean_goes_out_with_its_insertions(seed):
    rng = random.Random(seed)
    packets = random_packets(rng, 60, longest=400)
    idle = rng.choice([0, 0.4])
    stall = rng.choice([0, 0.4, 0.7])
    outcome = run(packets, rng=rng, idle=idle, stall=stall, depth_bytes=512)
    check(outcome, f"seed {seed}, idle {idle}, stall {stall}")


@pytest.mark.parametrize("seed", range(4, 10))
def test_nothing_of_a_spoilt_packet_leaves_and_its_frame_ends_with_the_first_error(seed):
    rng = random.Random(seed)
    packets = random_packets(rng, 80, longest=300, spoilt=0.3)
    idle = rng.choice([0, 0.3])
    stall = rng.choice([0, 0.5])
    outcome = run(packets, rng=rng, idle=idle, stall=stall, stall_ends=0.5, depth_bytes=512)
    check(outcome, f"seed {seed}, idle {idle}, stall {stall}")


def test_a_spoilt_segment_takes_those_after_it_but_not_the_next_frame():
    def segment(number, *, last=False, errors=None):
        return Packet(bytes([number]) * 60, last=last, errors=errors or {})

    packets = [
        segment(1), segment(2, errors={7: 3}), segment(3), segment(4, errors={0: 2}),
        segment(5, last=True), segment(6, last=True),
    ]  # fmt: skip
    outcome = run(packets)
    check(outcome)
    assert [data[0] for data, _error in outcome.frames] == [1, 6]
    assert outcome.ends == [(1, 3), (1, 0)]


@pytest.mark.parametrize("error", [Resp.SLVERR, Resp.DECERR])
@pytest.mark.parametrize("beat", [0, 1, 12])
def test_the_end_of_a_spoilt_frame_names_the_response_wherever_it_came(beat, error):
    packets = [Packet(b"x" * 100, errors={beat: error}), Packet(b"clean")]
    outcome = run(packets)
    check(outcome)
    assert outcome.ends == [(0, error), (1, 0)]


@pytest.mark.parametrize("data_width", [16, 32, 128])
def test_other_widths_insert_in_the_same_places(data_width):
    rng = random.Random(data_width)
    packets = random_packets(rng, 30, longest=320)
    outcome = run(packets, rng=rng, stall=0.2, data_width=data_width, depth_bytes=1024)
    check(outcome, f"seed {data_width}")


def test_every_halfword_of_the_headers_can_be_replaced():
    packets = [
        Packet(
            bytes(540),
            ipv4=Field(offset % 270, b"\x12\x34"),
            l4=Field(270 - offset % 270, b"\x56\x78"),
            generic=Field(510 - offset, b"\x9a\xbc"),
        )
        for offset in range(0, 510, 6)
    ]
    check(run(packets))


def test_a_beat_a_cycle_in_and_out_even_between_packets():
    packets = [Packet(bytes([size]) * size) for size in (60, 61, 64, 9, 16, 8, 5, 200, 8, 8)]
    outcome = run(packets)
    check(outcome)
    beats = sum(-(-len(packet.data) // 8) for packet in packets)
    start = outcome.entry[0]
    assert outcome.entry == list(range(start, start + beats))

    # All of them waiting at the exit leave in one run.
    outcome = run(packets, hold=100)
    check(outcome)
    start = outcome.exit[0]
    assert outcome.exit == list(range(start, start + beats))


def test_a_packet_is_offered_two_cycles_after_its_insertion():
    packets = [Packet(bytes(range(60)))]
    outcome = run(packets)
    assert outcome.offered[0] - outcome.inserted[0] == 2
    outcome = run(packets, age=1)
    assert outcome.offered[0] - outcome.entry_ends[0] == 4


def test_once_begun_a_frame_leaves_without_a_gap():
    seed = 11
    rng = random.Random(seed)
    packets = [Packet(rng.randbytes(rng.randint(14, 300))) for _ in range(30)]
    outcome = run(packets, rng=rng, idle=0.5, depth_bytes=2048)
    check(outcome, f"seed {seed}")
    begin = 0
    for packet in packets:
        cycles = outcome.exit[begin : begin + -(-len(packet.data) // 8)]
        assert cycles == list(range(cycles[0], cycles[0] + len(cycles))), f"seed {seed}"
        begin += len(cycles)


def test_sixteen_packets_wait_for_the_wire_and_no_more():
    packets = [Packet(bytes([number]) * 60) for number in range(40)]
    outcome = run(packets, hold=500)
    check(outcome)
    assert sum(cycle < outcome.exit_ends[0] for cycle in outcome.entry_ends) == 16


def test_sixteen_frame_ends_wait_to_be_taken_and_no_more():
    packets = [Packet(bytes([number]) * 60) for number in range(40)]
    outcome = run(packets, hold_ends=500)
    check(outcome)
    assert sum(cycle < 500 for cycle in outcome.entry_ends) == 16


def test_segments_before_the_last_need_no_place_among_the_ends():
    packets = [Packet(bytes([number]) * 60, last=number == 39) for number in range(40)]
    outcome = run(packets, hold_ends=600)
    check(outcome)
    assert outcome.entry_ends[-1] < 600


def test_the_ring_fills_to_its_last_words_and_goes_on():
    packets = [Packet(bytes([number]) * 64) for number in range(40)]
    outcome = run(packets, hold=300, depth_bytes=512)
    check(outcome)
    begun = sum(cycle < 300 for cycle in outcome.entry)
    assert 63 <= begun <= 64 + 4  # Up to four words wait in the registers of the exit.


def test_longest_frames_pass_whole():
    rng = random.Random(9216)
    packets = [Packet(rng.randbytes(9216)), Packet(rng.randbytes(9215)), Packet(b"short")]
    outcome = run(packets)
    check(outcome)


def test_a_packet_that_fits_to_the_last_word_is_kept():
    packets = [Packet(b"before" * 20), Packet(b"y" * (512 - 24)), Packet(b"after")]
    for stall in (0.0, 0.8):
        outcome = run(packets, rng=random.Random(3), stall=stall, depth_bytes=512)
        check(outcome, f"seed 3, stall {stall}")


@pytest.mark.parametrize("hold", [0, 300])
def test_a_packet_that_cannot_fit_is_discarded_and_nothing_hangs(hold):
    packets = [Packet(b"before" * 20), Packet(b"z" * 2000), Packet(b"after" * 50)]
    outcome = run(packets, hold=hold, depth_bytes=512)
    check(outcome)
    assert outcome.ends == [(1, Resp.OKAY), (0, Resp.SLVERR), (1, Resp.OKAY)]


def test_behind_the_checksummer_frames_reach_the_wire_with_their_checksums():
    rng = random.Random(6)
    frames = [
        bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / l4 / rng.randbytes(size))
        for l4 in (TCP(sport=1, seq=5), UDP(dport=7))
        for size in (0, 1, 2, 17, 18, 700)
    ]
    spoilt = len(frames) // 2
    m = Module()
    m.submodules.checksummer = checksummer = Checksummer()
    m.submodules.buffer = buffer = FrameBuffer()
    m.submodules.transmitter = transmitter = GmiiTransmitter()
    wiring.connect(m, checksummer.checked, buffer.packet)
    wiring.connect(m, checksummer.insertions, buffer.insertions)
    wiring.connect(m, buffer.frame, transmitter.frame)
    ends = []
    wire = bytearray()

    async def give_packets(ctx):
        for number, frame in enumerate(frames):
            # The fields come empty, as from a driver that leaves them to the adapter.
            udp = frame[23] == 17
            packet = bytearray(frame)
            packet[24:26] = bytes(2)
            l4_field = 40 if udp else 50
            packet[l4_field : l4_field + 2] = bytes(2)
            command = {
                "ip_offset": 14,
                "l4_offset": 34,
                "checksum_ipv4": 1,
                "checksum_tcp": int(not udp),
                "checksum_udp": int(udp),
                "last": 1,
            }
            await stream_put(ctx, checksummer.segments, command)
            errors = {2: Resp.DECERR} if number == spoilt else {}
            await put_packet(ctx, checksummer.packet, bytes(packet), errors=errors)

    async def take_ends(ctx):
        for _ in frames:
            end = await stream_get(ctx, buffer.ends)
            ends.append((int(end.segments), int(end.error)))

    async def watch(ctx):
        ctx.set(transmitter.enable, 1)
        sent = 0
        while sent < len(frames) - 1:
            _clk, _rst, txd, tx_en, ended = await ctx.tick().sample(
                transmitter.gmii.txd, transmitter.gmii.tx_en, transmitter.sent
            )
            wire.extend([txd] if tx_en else [])
            sent += ended

    simulator = Simulator(m)
    simulator.add_clock(8e-9)
    simulator.add_testbench(give_packets)
    simulator.add_testbench(take_ends)
    simulator.add_testbench(watch)
    simulator.run()

    expected_wire = bytearray()
    for number, frame in enumerate(frames):
        if number != spoilt:
            expected_wire += on_the_wire(padded(frame))
    assert wire == expected_wire
    assert ends == [(0, 3) if number == spoilt else (1, 0) for number in range(len(frames))]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"data_width": 8}, "Data width must be at least 16, not 8"),
        ({"depth_bytes": 32}, "Depth in bytes must be a power of two, at least 8 beats, not 32"),
        ({"depth_bytes": 96}, "Depth in bytes must be a power of two, at least 8 beats, not 96"),
        ({"depth_packets": 3}, "Depth in packets must be a power of two, at least 2, not 3"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        FrameBuffer(**parameters)
