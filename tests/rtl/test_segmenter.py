# amaranth: UnusedElaboratable=no
"""`Segmenter` cuts super-frames by the rule of large send and passes other frames through.

The reference cuts bytes by `byway.sim.segment_bench`, and `run_segmenter` holds all that leaves
against it; Scapy, which is not ours, checks the reference and a few of the segments that the
hardware made.
"""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator
from scapy.layers.inet import IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from byway.rtl.transmit.segmenter import Segmenter
from byway.sim.bench import get_packet, put_packet, stream_get, stream_put
from byway.sim.segment_bench import (
    ACK,
    CWR,
    FIN,
    PSH,
    Frame,
    cut,
    random_frame,
    shortened,
    super_frame,
)
from byway.sim.segmenter_bench import run_segmenter


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
    run_segmenter(frames, seed=seed, idle=idle, stall=stall, headway=headway)


@pytest.mark.parametrize("data_width", [16, 32, 128, 512])
def test_other_widths_match_the_reference(data_width):
    rng = random.Random(data_width)
    frames = [random_frame(rng) for _ in range(12)]
    run_segmenter(frames, data_width=data_width, seed=data_width, idle=0.1, stall=0.1)


@pytest.mark.parametrize("mss", [8, 13, 64, 65, 536, 1448, 9000])
def test_every_mss_cuts_where_it_should(mss):
    rng = random.Random(mss)
    frames = [super_frame(rng, 2 * mss + rng.randint(1, mss - 1), mss, flags=0xFF)]
    run_segmenter(frames, seed=mss)


def test_the_longest_super_frame_at_line_rate():
    """65,535 bytes of IP, 46 segments: at MSS 1448 no segment takes more than 192 cycles.

    10G at 156.25 MHz has 192.25 cycles for each.
    """
    rng = random.Random(65535)
    result = run_segmenter([super_frame(rng, 65535 - 52, 1448, flags=PSH | ACK)])
    cycles = [after - before for before, after in zip(result.ends, result.ends[1:], strict=False)]
    assert len(cycles) == 45
    assert max(cycles) <= 192


def test_a_super_frame_of_256_kib_over_ipv6_is_cut_to_its_end():
    """Longer than its payload length could tell, which is that of each segment in any case."""
    rng = random.Random(262144)
    frame = super_frame(rng, 262_144 - 40 - 32, 9000, ipv6=True)
    result = run_segmenter([frame, Frame(rng.randbytes(60))])
    lengths = [int.from_bytes(packet[18:20], "big") for packet in result.packets[:-1]]
    assert lengths == [9032] * 29 + [32 + (262_144 - 72) % 9000]


def test_a_segment_costs_two_cycles_more_than_its_beats_at_most():
    rng = random.Random(7)
    for tcp_options in (0, 4, 12):
        for mss in range(64, 72):
            frames = [super_frame(rng, 4 * mss + 9, mss, tcp_options=tcp_options)] * 2
            result = run_segmenter(frames)
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
    result = run_segmenter(frames)
    beats = sum(beats_of(packet) for packet in result.packets)
    assert result.ends[-1] - result.first_out == beats - 1


@pytest.mark.parametrize("large_send", [False, True])
def test_a_beat_leaves_three_cycles_after_it_came(large_send):
    rng = random.Random(9)
    frame = super_frame(rng, 100, 64) if large_send else Frame(rng.randbytes(60))
    result = run_segmenter([frame])
    assert result.first_out - result.first_in == 3


def test_a_super_frame_without_payload_is_one_segment():
    rng = random.Random(10)
    frames = [super_frame(rng, 0, 64, tcp_options=options, flags=0xFF) for options in (0, 8, 12)]
    result = run_segmenter(frames)
    assert [len(packet) for packet in result.packets] == [len(frame.packet) for frame in frames]


@pytest.mark.parametrize("payload_length", [1, 64, 65, 128, 129])
def test_the_last_segment_may_be_one_byte_or_whole(payload_length):
    rng = random.Random(payload_length)
    result = run_segmenter([super_frame(rng, payload_length, 64, flags=0xFF)])
    assert len(result.packets) == -(-payload_length // 64)


def test_fin_and_psh_stay_on_the_last_segment_and_cwr_on_the_first():
    rng = random.Random(11)
    frame = super_frame(rng, 200, 64, flags=FIN | PSH | ACK | CWR)
    result = run_segmenter([frame])
    flags = [packet[frame.l4_offset + 13] for packet in result.packets]
    assert flags == [ACK | CWR, ACK, ACK, FIN | PSH | ACK]


def test_identification_and_sequence_number_wrap():
    rng = random.Random(12)
    frame = super_frame(rng, 300, 100, identification=0xFFFF, sequence=0xFFFFFF9B)
    result = run_segmenter([frame])
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
    run_segmenter([frame, frame])


def test_a_spoilt_beat_spoils_its_segment_and_all_later_ones():
    """Wherever the beat is: in the header, in a payload, or on both sides of a cut."""
    rng = random.Random(14)
    frames = []
    sound = super_frame(rng, 150, 64)
    for beat in range(beats_of(sound.packet)):
        frames.append(replace(sound, errors={beat: 2 + beat % 2}))
        frames.append(sound)
    run_segmenter(frames)


def test_random_errors_are_neither_lost_nor_carried_over():
    rng = random.Random(15)
    frames = [random_frame(rng, error=0.5) for _ in range(40)]
    run_segmenter(frames, seed="15", idle=0.1, stall=0.1)


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
    run_segmenter(
        frames, data_width=data_width, seed=seed, idle=0.1, stall=stall, headway=bool(seed % 2)
    )


def test_a_segment_for_which_nothing_is_left_takes_two_cycles():
    rng = random.Random(19)
    frame = super_frame(rng, 40_000, 100)
    spoilt = replace(frame, missing=len(frame.packet) - 8, errors={0: 3})
    result = run_segmenter([spoilt])
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
    result = run_segmenter([frame])
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
    parsed = [Ether(packet) for packet in run_segmenter([frame]).packets]
    assert b"".join(bytes(packet[UDP].payload) for packet in parsed) == payload
    assert [packet[UDP].len for packet in parsed] == [308, 308, 308, 108]
    if version is IP:
        assert [packet[IP].len for packet in parsed] == [328, 328, 328, 128]
    else:
        assert [packet[IPv6].plen for packet in parsed] == [308, 308, 308, 108]


def test_a_maximum_header_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"^Maximum header must be 1 to 255 bytes, not 256$"):
        Segmenter(maximum_header=256)
