# amaranth: UnusedElaboratable=no
"""`Segmenter` cuts super-frames by the rule of large send and passes other frames through.

The reference cuts bytes by `byway.sim.segment_bench`; Scapy, which is not ours, checks the
reference and a few of the segments that the hardware made.
"""

import random
import struct
from dataclasses import dataclass, field, replace

import pytest
from amaranth.sim import Simulator
from scapy.layers.inet import IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from byway.rtl.transmit.segmenter import Segmenter
from byway.sim.bench import get_packet, put_packet, stream_get, stream_put
from byway.sim.segment_bench import ACK, CWR, FIN, PSH, segment_header


@dataclass
class Frame:
    """A frame to send; without `mss`, one to pass through."""

    packet: bytes
    mss: int = 0
    header_length: int = 0
    ip_offset: int = 0
    l4_offset: int = 0
    ipv6: bool = False
    udp: bool = False
    errors: dict[int, int] = field(default_factory=dict)
    missing: int = 0  # Bytes at the end that do not come; the last beat that comes is spoilt.

    @property
    def delivered(self):
        return self.packet[: len(self.packet) - self.missing]

    @property
    def command(self):
        large = int(self.mss > 0)
        return {
            "total_length": len(self.packet),
            "mss": self.mss,
            "header_length": self.header_length,
            "ip_offset": self.ip_offset,
            "l4_offset": self.l4_offset,
            "ipv6": int(self.ipv6),
            "checksum_start": len(self.packet) % 200,
            "checksum_offset": len(self.packet) % 7,
            "checksum_ipv4": large & (not self.ipv6),
            "checksum_tcp": large & (not self.udp),
            "checksum_udp": int(self.udp),
            "checksum_generic": (len(self.packet) ^ large) & 1,
            "large_send": large,
        }


@dataclass
class Segment:
    """A packet that leaves the segmenter, and the run of its frame's bytes that is new in it."""

    packet: bytes
    last: bool
    begin: int
    end: int


def cut(frame):
    """The reference: the segments of `frame`."""
    if not frame.mss:
        return [Segment(frame.packet, True, 0, len(frame.packet))]
    header, payload = frame.packet[: frame.header_length], frame.packet[frame.header_length :]
    starts = range(0, max(1, len(payload)), frame.mss)
    segments = []
    for number, start in enumerate(starts):
        share = payload[start : start + frame.mss]
        last = number == len(starts) - 1
        own = segment_header(
            header,
            ip_offset=frame.ip_offset,
            l4_offset=frame.l4_offset,
            ip_length=len(header) - frame.ip_offset + len(share) - (40 if frame.ipv6 else 0),
            l4_length=len(header) - frame.l4_offset + len(share),
            ipv6=frame.ipv6,
            udp=frame.udp,
            number=number,
            payload_before=start,
            last=last,
        )
        begin = frame.header_length + start if number else 0
        end = frame.header_length + start + len(share)
        segments.append(Segment(own + share, last, begin, end))
    return segments


def first_error(frame, end, lanes):
    """The first error of `frame` in a beat that holds bytes before `end`, 0 for none."""
    spoilt = [beat for beat in frame.errors if beat * lanes < end]
    return frame.errors[min(spoilt)] if spoilt else 0


def is_whole(frame, segment, lanes):
    """Whether `segment` leaves with all its bytes.

    A spoilt frame is not taken apart any more in the last beat that came of it.
    """
    last_beat = (len(frame.delivered) - 1) // lanes * lanes
    if frame.missing:
        return segment.end <= last_beat
    return not frame.errors or not segment.begin > last_beat


def super_frame(
    rng,
    payload_length,
    mss,
    *,
    vlan=False,
    ip_options=0,
    tcp_options=12,
    flags=ACK,
    identification=None,
    sequence=None,
    ipv6=False,
    udp=False,
):
    """A super-frame with random content.

    Options, over IPv6 extension headers, are of so many bytes, a multiple of 4.
    """
    ethernet = rng.randbytes(12) + (b"\x81\x00\x00\x07" if vlan else b"") + b"\x08\x00"
    identification = rng.getrandbits(16) if identification is None else identification
    sequence = rng.getrandbits(32) if sequence is None else sequence
    ip_header = (
        bytes([0x40 | 5 + ip_options // 4])
        + rng.randbytes(3)
        + struct.pack("!HHBB", identification, 0x4000, 64, 6)
        + rng.randbytes(10 + ip_options)
    )
    tcp_header = (
        rng.randbytes(4)
        + struct.pack("!I", sequence)
        + rng.randbytes(4)
        + bytes([5 + tcp_options // 4 << 4, flags])
        + rng.randbytes(6 + tcp_options)
    )
    if ipv6:
        ip_header = rng.randbytes(40 + ip_options)
    if udp:
        tcp_header = rng.randbytes(8)
    header = ethernet + ip_header + tcp_header
    return Frame(
        packet=header + rng.randbytes(payload_length),
        mss=mss,
        header_length=len(header),
        ip_offset=len(ethernet),
        l4_offset=len(ethernet) + len(ip_header),
        ipv6=ipv6,
        udp=udp,
    )


def random_frame(rng, *, error=0.0):
    if rng.random() < 0.4:
        frame = Frame(
            rng.randbytes(rng.choice((14, 15, 16, 60, 61, 100, rng.randint(14, 300)))),
            ip_offset=2 * rng.randrange(20),
            l4_offset=2 * rng.randrange(100),
            ipv6=bool(rng.getrandbits(1)),
            udp=bool(rng.getrandbits(1)),
        )
    else:
        mss = rng.choice((64, 65, 66, 71, 72, rng.randint(64, 200)))
        segments = rng.randint(0, 4)
        exact = mss * segments
        frame = super_frame(
            rng,
            rng.choice((exact, exact + 1, max(0, exact - 1), rng.randint(0, 4 * mss))),
            mss,
            vlan=rng.random() < 0.3,
            ip_options=4 * rng.choice((0, 0, rng.randint(1, 10))),
            tcp_options=4 * rng.choice((0, 3, rng.randint(0, 10))),
            flags=rng.getrandbits(8),
            identification=rng.choice((None, 0xFFFE)),
            sequence=rng.choice((None, 0xFFFFFFFF - rng.randrange(300))),
            ipv6=rng.random() < 0.4,
            udp=rng.random() < 0.4,
        )
    if rng.random() < error:
        beats = -(-len(frame.packet) // 8)
        for _ in range(rng.randint(1, 3)):
            frame.errors[rng.randrange(beats)] = rng.choice((2, 3))
    return frame


def shortened(rng, frame, lanes):
    """`frame` without some of its end."""
    missing = rng.choice((1, rng.randrange(len(frame.packet)), len(frame.packet) - 1))
    last_beat = (len(frame.packet) - missing - 1) // lanes
    errors = {beat: error for beat, error in frame.errors.items() if beat < last_beat}
    return replace(frame, missing=missing, errors=errors | {last_beat: 3})


@dataclass
class Result:
    """What left, the cycle of each packet's last beat, and those of the first beat in and out."""

    packets: list[bytes]
    ends: list[int]
    first_in: int
    first_out: int


def run(frames, *, data_width=64, seed="", idle=0.0, stall=0.0, headway=True):
    """Send `frames` and check every packet, command and error against the reference.

    With `headway` a frame's command is there as early as the segmenter takes it, otherwise after
    random idle cycles.
    """
    segmenter = Segmenter(data_width=data_width)
    lanes = data_width // 8
    expected = [(frame, segment) for frame in frames for segment in cut(frame)]
    packets, ends, errors = [], [], [[]]
    first_in = first_out = -1

    async def watch(ctx):
        nonlocal first_in, first_out
        packet, out = segmenter.packet, segmenter.segment_packet
        cycle = 0
        async for _clk, _rst, put, offered, taken, beat in ctx.tick().sample(
            packet.valid & packet.ready, out.valid, out.valid & out.ready, out.payload
        ):
            if put and first_in < 0:
                first_in = cycle
            if offered and first_out < 0:
                first_out = cycle
            if taken:
                errors[-1].append(int(beat.error))
                if beat.last:
                    ends.append(cycle)
                    errors.append([])
            cycle += 1

    async def put_commands(ctx):
        rng = random.Random(f"commands {seed}")
        for frame in frames:
            await stream_put(
                ctx, segmenter.frames, frame.command, rng=rng, idle=0.0 if headway else 0.9
            )

    async def put_packets(ctx):
        rng = random.Random(f"packets {seed}")
        if headway:
            await ctx.tick().repeat(4)
        for frame in frames:
            await put_packet(
                ctx, segmenter.packet, frame.delivered, errors=frame.errors, rng=rng, idle=idle
            )

    async def get_commands(ctx):
        rng = random.Random(f"segments {seed}")
        for number, (frame, segment) in enumerate(expected):
            command = await stream_get(ctx, segmenter.segments, rng=rng, stall=stall)
            wanted = {
                name: frame.command[name] for name in command.shape().members if name != "last"
            }
            found = {name: int(command[name]) for name in wanted}
            assert found == wanted, f"segment {number}, seed {seed}"
            assert bool(command.last) == segment.last, f"segment {number}, seed {seed}"

    async def get_packets(ctx):
        rng = random.Random(f"out {seed}")
        for number, (frame, segment) in enumerate(expected):
            packet, error = await get_packet(ctx, segmenter.segment_packet, rng=rng, stall=stall)
            packets.append(packet)
            whole = is_whole(frame, segment, lanes)
            assert packet == segment.packet or not whole, f"segment {number}, seed {seed}"
            wanted = first_error(frame, segment.end, lanes)
            assert error == wanted, f"segment {number}, seed {seed}"
            assert error or whole, f"segment {number}, seed {seed}"

    simulator = Simulator(segmenter)
    simulator.add_clock(8e-9)
    simulator.add_process(watch)
    simulator.add_testbench(put_commands)
    simulator.add_testbench(put_packets)
    simulator.add_testbench(get_commands)
    simulator.add_testbench(get_packets)
    simulator.run()
    assert len(packets) == len(expected)
    for (frame, segment), found in zip(expected, errors, strict=False):
        # A packet ends as its frame is by then, and begins as it was when the one before ended.
        assert found[-1] == first_error(frame, segment.end, lanes), f"seed {seed}"
        before = first_error(frame, segment.begin, lanes)
        assert not before or set(found) == {before}, f"seed {seed}"
    return Result(packets, ends, first_in, first_out)


def beats_of(packet):
    return -(-len(packet) // 8)


@pytest.mark.parametrize(
    ("idle", "stall", "headway"),
    [(0, 0, True), (0, 0, False), (0.5, 0, True), (0, 0.5, True), (0.3, 0.3, False)],
)
def test_mixed_frames_match_the_reference(idle, stall, headway):
    seed = f"{idle} {stall} {headway}"
    rng = random.Random(seed)
    frames = [random_frame(rng) for _ in range(30)]
    run(frames, seed=seed, idle=idle, stall=stall, headway=headway)


@pytest.mark.parametrize("data_width", [16, 32, 128, 512])
def test_other_widths_match_the_reference(data_width):
    rng = random.Random(data_width)
    frames = [random_frame(rng) for _ in range(12)]
    run(frames, data_width=data_width, seed=data_width, idle=0.1, stall=0.1)


@pytest.mark.parametrize("mss", [8, 13, 64, 65, 536, 1448, 9000])
def test_every_mss_cuts_where_it_should(mss):
    rng = random.Random(mss)
    frames = [super_frame(rng, 2 * mss + rng.randint(1, mss - 1), mss, flags=0xFF)]
    run(frames, seed=mss)


def test_the_longest_super_frame_at_line_rate():
    """65,535 bytes of IP, 46 segments: at MSS 1448 no segment takes more than 192 cycles.

    10G at 156.25 MHz has 192.25 cycles for each.
    """
    rng = random.Random(65535)
    result = run([super_frame(rng, 65535 - 52, 1448, flags=PSH | ACK)])
    cycles = [after - before for before, after in zip(result.ends, result.ends[1:], strict=False)]
    assert len(cycles) == 45
    assert max(cycles) <= 192


def test_a_super_frame_of_256_kib_over_ipv6_is_cut_to_its_end():
    """Longer than its payload length could tell, which is that of each segment in any case."""
    rng = random.Random(262144)
    frame = super_frame(rng, 262_144 - 40 - 32, 9000, ipv6=True)
    result = run([frame, Frame(rng.randbytes(60))])
    lengths = [int.from_bytes(packet[18:20], "big") for packet in result.packets[:-1]]
    assert lengths == [9032] * 29 + [32 + (262_144 - 72) % 9000]


def test_a_segment_costs_two_cycles_more_than_its_beats_at_most():
    rng = random.Random(7)
    for tcp_options in (0, 4, 12):
        for mss in range(64, 72):
            frames = [super_frame(rng, 4 * mss + 9, mss, tcp_options=tcp_options)] * 2
            result = run(frames)
            costs = [
                after - before - beats_of(packet)
                for before, after, packet in zip(
                    result.ends, result.ends[1:], result.packets[1:], strict=False
                )
            ]
            # One cycle more where a super-frame begins.
            opening = len(cut(frames[0])) - 1
            assert max(costs[:opening] + costs[opening + 1 :]) <= 2, f"MSS {mss}"
            assert costs[opening] <= 1, f"MSS {mss}"


def test_frames_without_large_send_pass_at_full_rate():
    rng = random.Random(8)
    frames = [Frame(rng.randbytes(length)) for length in (60, 61, 14, 15, 16, 1514, 64, 60, 60)]
    result = run(frames)
    beats = sum(beats_of(packet) for packet in result.packets)
    assert result.ends[-1] - result.first_out == beats - 1


@pytest.mark.parametrize("large_send", [False, True])
def test_a_beat_leaves_three_cycles_after_it_came(large_send):
    rng = random.Random(9)
    frame = super_frame(rng, 100, 64) if large_send else Frame(rng.randbytes(60))
    result = run([frame])
    assert result.first_out - result.first_in == 3


def test_a_super_frame_without_payload_is_one_segment():
    rng = random.Random(10)
    frames = [super_frame(rng, 0, 64, tcp_options=options, flags=0xFF) for options in (0, 8, 12)]
    result = run(frames)
    assert [len(packet) for packet in result.packets] == [len(frame.packet) for frame in frames]


@pytest.mark.parametrize("payload_length", [1, 64, 65, 128, 129])
def test_the_last_segment_may_be_one_byte_or_whole(payload_length):
    rng = random.Random(payload_length)
    result = run([super_frame(rng, payload_length, 64, flags=0xFF)])
    assert len(result.packets) == -(-payload_length // 64)


def test_fin_and_psh_stay_on_the_last_segment_and_cwr_on_the_first():
    rng = random.Random(11)
    frame = super_frame(rng, 200, 64, flags=FIN | PSH | ACK | CWR)
    result = run([frame])
    flags = [packet[frame.l4_offset + 13] for packet in result.packets]
    assert flags == [ACK | CWR, ACK, ACK, FIN | PSH | ACK]


def test_identification_and_sequence_number_wrap():
    rng = random.Random(12)
    frame = super_frame(rng, 300, 100, identification=0xFFFF, sequence=0xFFFFFF9B)
    result = run([frame])
    packets = [Ether(packet) for packet in result.packets]
    assert [packet[IP].id for packet in packets] == [0xFFFF, 0, 1]
    assert [packet[TCP].seq for packet in packets] == [0xFFFFFF9B, 0xFFFFFFFF, 0x63]


def test_the_longest_header_is_copied_whole():
    maximum = 192
    rng = random.Random(13)
    frame = super_frame(rng, 300, 64, ip_options=40, tcp_options=40)
    # What precedes IP may be any tags that software asks for; offsets alone count.
    tags = rng.randbytes(maximum - frame.header_length)
    frame = replace(
        frame,
        packet=tags + frame.packet,
        header_length=maximum,
        ip_offset=frame.ip_offset + len(tags),
        l4_offset=frame.l4_offset + len(tags),
    )
    run([frame, frame])


def test_a_spoilt_beat_spoils_its_segment_and_all_later_ones():
    """Wherever the beat is: in the header, in a payload, or on both sides of a cut."""
    rng = random.Random(14)
    frames = []
    sound = super_frame(rng, 150, 64)
    for beat in range(beats_of(sound.packet)):
        frames.append(replace(sound, errors={beat: 2 + beat % 2}))
        frames.append(sound)
    run(frames)


def test_random_errors_are_neither_lost_nor_carried_over():
    rng = random.Random(15)
    frames = [random_frame(rng, error=0.5) for _ in range(40)]
    run(frames, seed="15", idle=0.1, stall=0.1)


@pytest.mark.parametrize("data_width", [64, 128])
@pytest.mark.parametrize("seed", range(3))
def test_a_frame_may_end_anywhere_if_it_is_spoilt(seed, data_width):
    """As many segments and commands leave; those behind are as ever."""
    rng = random.Random(f"{seed} {data_width}")
    frames = []
    for number in range(40):
        frame = random_frame(rng, error=0.2)
        frames.append(shortened(rng, frame, data_width // 8) if number % 2 else frame)
    stall = rng.choice((0.0, 0.3))
    run(frames, data_width=data_width, seed=seed, idle=0.1, stall=stall, headway=bool(seed % 2))


def test_a_segment_for_which_nothing_is_left_takes_two_cycles():
    rng = random.Random(19)
    frame = super_frame(rng, 40_000, 100)
    spoilt = replace(frame, missing=len(frame.packet) - 8, errors={0: 3})
    result = run([spoilt])
    assert len(result.packets) == 400
    assert result.ends[-1] - result.ends[0] <= 2 * 399


def test_a_command_waits_to_be_taken_and_the_next_packet_waits_for_it():
    rng = random.Random(16)
    frame = super_frame(rng, 150, 64)
    segmenter = Segmenter()

    async def put(ctx):
        await stream_put(ctx, segmenter.frames, frame.command)
        await put_packet(ctx, segmenter.packet, frame.packet)

    async def take(ctx):
        for segment in cut(frame):
            packet, _error = await get_packet(ctx, segmenter.segment_packet)
            assert packet == segment.packet
            for _ in range(20):
                await ctx.tick()
                assert ctx.get(segmenter.segments.valid)
                assert not ctx.get(segmenter.segment_packet.valid)
            command = await stream_get(ctx, segmenter.segments)
            assert bool(command.last) == segment.last

    simulator = Simulator(segmenter)
    simulator.add_clock(8e-9)
    simulator.add_testbench(put)
    simulator.add_testbench(take)
    simulator.run()


def test_scapy_reads_the_segments():
    """Options and VLAN tag as scapy builds them; lengths, numbers and data as it reads them."""
    payload = random.Random(17).randbytes(1000)
    header = (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / Dot1Q(vlan=7)
        / IP(src="192.0.2.1", dst="192.0.2.2", id=7, options=[IPOption_RR(routers=["192.0.2.3"])])
        / TCP(seq=1000, flags="FPA", options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))])
    )
    packet = bytes(header / payload)
    frame = Frame(
        packet,
        mss=300,
        header_length=len(packet) - len(payload),
        ip_offset=18,
        l4_offset=18 + 4 * Ether(packet)[IP].ihl,
    )
    result = run([frame])
    parsed = [Ether(packet) for packet in result.packets]
    assert b"".join(bytes(packet[TCP].payload) for packet in parsed) == payload
    for number, segment in enumerate(parsed):
        assert segment[Dot1Q].vlan == 7
        assert segment[IP].len == len(result.packets[number]) - 18
        assert segment[IP].id == 7 + number
        assert segment[IP].options[0].routers == ["192.0.2.3"]
        assert segment[TCP].seq == 1000 + 300 * number
        assert segment[TCP].options[2] == ("Timestamp", (1, 2))
        assert str(segment[TCP].flags) == ("FPA" if number == 3 else "A")


@pytest.mark.parametrize("version", [IP, IPv6])
def test_scapy_reads_segments_of_udp(version):
    """Each is a datagram of its own, with a length of its own."""
    payload = random.Random(18).randbytes(1000)
    addresses = {IP: ("192.0.2.1", "192.0.2.2"), IPv6: ("2001:db8::1", "2001:db8::2")}[version]
    header = Ether() / version(src=addresses[0], dst=addresses[1]) / UDP(sport=7, dport=9)
    packet = bytes(header / payload)
    frame = Frame(
        packet,
        mss=300,
        header_length=len(packet) - len(payload),
        ip_offset=14,
        l4_offset=34 if version is IP else 54,
        ipv6=version is IPv6,
        udp=True,
    )
    parsed = [Ether(packet) for packet in run([frame]).packets]
    assert b"".join(bytes(packet[UDP].payload) for packet in parsed) == payload
    assert [packet[UDP].len for packet in parsed] == [308, 308, 308, 108]
    if version is IP:
        assert [packet[IP].len for packet in parsed] == [328, 328, 328, 128]
    else:
        assert [packet[IPv6].plen for packet in parsed] == [308, 308, 308, 108]


def test_a_maximum_header_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"^Maximum header must be 1 to 255 bytes, not 256$"):
        Segmenter(maximum_header=256)
