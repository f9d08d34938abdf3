# amaranth: UnusedElaboratable=no
"""`Checksummer` finds the checksums that scapy finds [RFC 791, 768, 9293, 1071].

Packets come with rubbish in their checksum fields; what the insertions make of them is compared
byte for byte. Packets that make no sense are compared with the definition in plain Python.
"""

import ipaddress
import random
from dataclasses import dataclass, replace

import pytest
from amaranth.sim import Simulator
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, PadN
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from byway.rtl.transmit.checksum import Checksummer, OnesComplementSum
from byway.sim.bench import get_packet, put_packet, stream_put


@dataclass(frozen=True)
class Job:
    """A packet and what to do with it."""

    packet: bytes
    ip_offset: int = 14
    l4_offset: int = 34
    ipv4: bool = False
    tcp: bool = False
    udp: bool = False
    ipv6: bool = False
    generic: tuple[int, int] | None = None
    """Where the generic checksum begins, and where its field is from there on."""
    last: bool = True

    @property
    def command(self):
        return {
            "ip_offset": self.ip_offset,
            "l4_offset": self.l4_offset,
            "checksum_ipv4": int(self.ipv4),
            "checksum_tcp": int(self.tcp),
            "checksum_udp": int(self.udp),
            "ipv6": int(self.ipv6),
            "checksum_generic": int(self.generic is not None),
            "checksum_start": self.generic[0] if self.generic else 0,
            "checksum_offset": self.generic[1] if self.generic else 0,
            "last": int(self.last),
        }

    @property
    def ipv4_field(self):
        return self.ip_offset + 10

    @property
    def l4_field(self):
        return self.l4_offset + (6 if self.udp else 16)


def ones_complement_sum(data):
    total = sum(
        int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2)
    )
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def without(data, offset):
    """`data` with zeros for the halfword at `offset`, as far as it reaches."""
    zeroed = bytearray(data)
    for index in (offset, offset + 1):
        if 0 <= index < len(zeroed):
            zeroed[index] = 0
    return bytes(zeroed)


def expected_ipv4(job):
    header = without(job.packet, job.ipv4_field)[job.ip_offset : job.l4_offset]
    return 0xFFFF - ones_complement_sum(header)


def expected_generic(job):
    start, _offset = job.generic
    return 0xFFFF - ones_complement_sum(job.packet[start:]) or 0xFFFF


def expected_l4(job):
    begin, end = (8, 40) if job.ipv6 else (12, 20)
    addresses = job.packet[job.ip_offset + begin : job.ip_offset + end]
    length = len(job.packet) - job.l4_offset
    pseudo = addresses + bytes([0, 17 if job.udp else 6]) + length.to_bytes(2, "big")
    packet = bytearray(without(job.packet, job.l4_field))
    if job.generic:
        # It is counted as it is sent.
        field = sum(job.generic)
        packet[field : field + 2] = expected_generic(job).to_bytes(2, "big")
    payload = bytes(packet[job.l4_offset :])
    checksum = 0xFFFF - ones_complement_sum(pseudo + payload)
    return 0xFFFF if job.udp and checksum == 0 else checksum


def insert(job, insertion):
    """The packet of `job` with the enabled fields of `insertion` replaced."""
    packet = bytearray(job.packet)
    for field in (insertion.ipv4, insertion.l4, insertion.generic):
        if field.enable:
            offset = 2 * field.halfword
            packet[offset : offset + 2] = int(field.value).to_bytes(2, "little")
    return bytes(packet)


@dataclass
class Outcome:
    packets: list
    insertions: list
    beat_cycles: list
    last_beat_cycles: list
    insertion_cycles: list


def run(
    jobs, *, data_width=64, rng=None, idle=0.0, late=0.0, stall=0.0, errors=None, rubbish=False
):
    """Stream `jobs`; packets idle, commands come late, and the output stalls, at random."""
    dut = Checksummer(data_width=data_width)
    outcome = Outcome([], [], [], [], [])

    async def give_commands(ctx):
        for job in jobs:
            await stream_put(ctx, dut.segments, job.command, rng=rng, idle=late)

    async def give_packets(ctx):
        for number, job in enumerate(jobs):
            spoilt = (errors or {}).get(number)
            await put_packet(ctx, dut.packet, job.packet, errors=spoilt, rng=rng, idle=idle)

    async def give_packets_with_rubbish(ctx):
        # The lanes past the last byte of a packet may hold anything.
        lanes = data_width // 8
        for job in jobs:
            for start in range(0, len(job.packet), lanes):
                chunk = job.packet[start : start + lanes]
                beat = {
                    "data": int.from_bytes(chunk.ljust(lanes, b"\xa5"), "little"),
                    "count": len(chunk),
                    "last": int(start + lanes >= len(job.packet)),
                }
                await stream_put(ctx, dut.packet, beat)

    async def take_packets(ctx):
        for _ in jobs:
            outcome.packets.append(await get_packet(ctx, dut.checked, rng=rng, stall=stall))
        await ctx.tick().repeat(20)

    async def watch(ctx):
        cycle = 0
        outputs = [
            dut.checked.valid, dut.checked.ready, dut.checked.payload.last,
            dut.insertions.valid, dut.insertions.payload,
        ]  # fmt: skip
        async for _clk, _rst, valid, ready, last, inserted, insertion in ctx.tick().sample(
            *outputs
        ):
            if valid and ready:
                outcome.beat_cycles.append(cycle)
                if last:
                    outcome.last_beat_cycles.append(cycle)
            if inserted:
                outcome.insertions.append(insertion)
                outcome.insertion_cycles.append(cycle)
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(give_commands)
    simulator.add_testbench(give_packets_with_rubbish if rubbish else give_packets)
    simulator.add_testbench(take_packets)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    return outcome


def check(jobs, outcome, context):
    assert [packet for packet, _error in outcome.packets] == [job.packet for job in jobs], context
    assert len(outcome.insertions) == len(jobs), context
    for number, (job, insertion) in enumerate(zip(jobs, outcome.insertions, strict=True)):
        where = f"packet {number}, {job}, {context}"
        assert insertion.last == job.last, where
        assert insertion.ipv4.enable == job.ipv4, where
        assert insertion.l4.enable == (job.tcp or job.udp), where
        assert insertion.generic.enable == (job.generic is not None), where
        if job.generic:
            assert 2 * insertion.generic.halfword == sum(job.generic), where
            value = int.from_bytes(int(insertion.generic.value).to_bytes(2, "little"), "big")
            assert value == expected_generic(job), where
        if job.ipv4:
            assert 2 * insertion.ipv4.halfword == job.ipv4_field, where
            value = int.from_bytes(int(insertion.ipv4.value).to_bytes(2, "little"), "big")
            assert value == expected_ipv4(job), where
        if job.tcp or job.udp:
            assert 2 * insertion.l4.halfword == job.l4_field, where
            value = int.from_bytes(int(insertion.l4.value).to_bytes(2, "little"), "big")
            assert value == expected_l4(job), where


def random_ip(rng, *, ipv6, options):
    """An IP header from scapy, and its length."""
    if ipv6:
        source, target = (ipaddress.IPv6Address(rng.randbytes(16)).compressed for _ in range(2))
        ip = IPv6(src=source, dst=target)
        if options:
            # An extension header of 8 bytes, and 4 more for each option.
            ip /= IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(8 * options - 4))])
        return ip, 40 + 8 * options
    source, target = (ipaddress.IPv4Address(rng.randbytes(4)).compressed for _ in range(2))
    ip = IP(src=source, dst=target, id=rng.getrandbits(16))
    ip.options = [IPOption_NOP()] * (4 * options)
    return ip, 20 + 4 * options


def internet_packet(rng, *, udp, tagged, options, payload, ipv6=False):
    """A packet from scapy: as it should be, and the job of making it so again."""
    ether = Ether(src=rng.randbytes(6).hex(":"), dst=rng.randbytes(6).hex(":"))
    if tagged:
        ether /= Dot1Q(vlan=rng.randrange(4095))
    ip, ip_bytes = random_ip(rng, ipv6=ipv6, options=options)
    ports = {"sport": rng.getrandbits(16), "dport": rng.getrandbits(16)}
    l4 = UDP(**ports) if udp else TCP(**ports, seq=rng.getrandbits(32), options=[("NOP", None)] * 3)
    right = bytes(ether / ip / l4 / Raw(rng.randbytes(payload)))

    ip_offset = 18 if tagged else 14
    l4_offset = ip_offset + ip_bytes
    job = Job(right, ip_offset, l4_offset, ipv4=not ipv6, tcp=not udp, udp=udp, ipv6=ipv6)
    rubbish = bytearray(right)
    for offset in (job.l4_field, *([] if ipv6 else [job.ipv4_field])):
        rubbish[offset : offset + 2] = rng.randbytes(2)
    return right, replace(job, packet=bytes(rubbish))


def tunnel(rng, *, outer_v6, inner_v6, udp, payload):
    """A packet within UDP, as VXLAN has it, as it should be; and the job of making it so again.

    The field of the inner checksum holds the sum of its pseudo header, as Linux leaves it.
    """
    outer, outer_bytes = random_ip(rng, ipv6=outer_v6, options=0)
    inner, inner_bytes = random_ip(rng, ipv6=inner_v6, options=0)
    l4 = UDP(dport=7) if udp else TCP(seq=rng.getrandbits(32))
    shell = UDP(sport=rng.getrandbits(16), dport=4789) / VXLAN(vni=rng.getrandbits(24))
    packet = Ether() / outer / shell / Ether() / inner / l4 / Raw(rng.randbytes(payload))
    right = bytes(packet)
    l4_offset = 14 + outer_bytes
    start = l4_offset + 8 + 8 + 14 + inner_bytes
    job = Job(
        right,
        14,
        l4_offset,
        ipv4=not outer_v6,
        udp=True,
        ipv6=outer_v6,
        generic=(start, 6 if udp else 16),
    )
    given = bytearray(right)
    for offset in (job.l4_field, *([] if outer_v6 else [job.ipv4_field])):
        given[offset : offset + 2] = rng.randbytes(2)
    addresses = right[start - inner_bytes + (8 if inner_v6 else 12) : start]
    length = len(right) - start
    pseudo = addresses + bytes([0, 17 if udp else 6]) + length.to_bytes(2, "big")
    field = start + (6 if udp else 16)
    given[field : field + 2] = ones_complement_sum(pseudo).to_bytes(2, "big")
    return right, replace(job, packet=bytes(given))


@pytest.mark.parametrize(
    ("idle", "late", "stall"), [(0, 0, 0), (0.3, 0.3, 0.3), (0, 0.9, 0), (0, 0, 0.7)]
)
def test_checksums_are_those_of_scapy(idle, late, stall):
    seed = f"scapy {idle} {late} {stall}"
    rng = random.Random(seed)
    cases = [
        internet_packet(
            rng,
            udp=rng.random() < 0.5,
            tagged=rng.random() < 0.5,
            options=rng.choice([0, 0, 1, 5, 10]),
            payload=rng.choice([0, 1, 2, 3, rng.randint(4, 200), rng.randint(4, 30)]),
            ipv6=rng.random() < 0.4,
        )
        for _ in range(30)
    ] + [
        tunnel(
            rng,
            outer_v6=rng.random() < 0.5,
            inner_v6=rng.random() < 0.5,
            udp=rng.random() < 0.5,
            payload=rng.choice([0, 1, 2, 3, rng.randint(4, 200)]),
        )
        for _ in range(10)
    ]
    rng.shuffle(cases)
    jobs = [job for _right, job in cases]
    outcome = run(jobs, rng=rng, idle=idle, late=late, stall=stall)
    check(jobs, outcome, f"seed {seed!r}")
    for (right, job), insertion in zip(cases, outcome.insertions, strict=True):
        assert insert(job, insertion) == right, f"seed {seed!r}"


@pytest.mark.parametrize("data_width", [32, 64, 128])
def test_any_packet_and_any_offsets_give_the_defined_sums(data_width):
    seed = 1071 + data_width
    rng = random.Random(seed)
    jobs = []
    for _ in range(60):
        size = rng.choice([rng.randint(14, 70), rng.randint(40, 330)])
        packet = rng.choice([rng.randbytes, lambda n: b"\xff" * n, bytes])(size)
        # The parser lets through any even offsets in order, with room for an IPv4 header.
        l4_offset = rng.randrange(20, 256, 2)
        ip_offset = rng.randrange(0, l4_offset - 18, 2)
        if l4_offset >= size:
            l4_offset = ip_offset = 0
        kind = rng.choice(["none", "tcp", "udp"]) if l4_offset else "none"
        ipv6 = l4_offset >= ip_offset + 40 and rng.random() < 0.5
        # The generic one may be anywhere in the packet, or behind the headers of the other.
        start = 2 * rng.randint(0, min(127, (size - 2) // 2))
        least = {"none": 0, "tcp": l4_offset + 20, "udp": l4_offset + 8}[kind]
        fields = range(max(start, least), min(start + 255, size - 1), 2)
        field = rng.choice(fields) if fields and rng.random() < 0.5 else None
        jobs.append(
            Job(
                packet,
                ip_offset,
                l4_offset,
                ipv4=bool(l4_offset) and not ipv6 and rng.random() < 0.6,
                ipv6=ipv6,
                generic=None if field is None else (start, field - start),
                tcp=kind == "tcp",
                udp=kind == "udp",
                last=rng.random() < 0.5,
            )
        )
    outcome = run(jobs, data_width=data_width, rng=rng, idle=0.1, stall=0.1)
    check(jobs, outcome, f"seed {seed}")


def test_lanes_past_the_last_byte_do_not_count():
    rng = random.Random(2)
    jobs = [Job(rng.randbytes(size), ipv4=True, udp=True) for size in range(42, 60)]
    # Here the IPv4 header ends with the packet, inside its last beat.
    jobs += [Job(rng.randbytes(size), 2, 40, ipv4=True) for size in range(33, 40)]
    check(jobs, run(jobs, rubbish=True), "seed 2")


def test_udp_checksum_of_zero_is_sent_as_all_ones():
    rng = random.Random(768)
    _right, job = internet_packet(rng, udp=True, tagged=False, options=0, payload=20)
    # Chosen so that the sum comes to 0xFFFF: the last halfword is the missing part.
    blank = job.packet[:-2] + bytes(2)
    missing = expected_l4(Job(blank, ipv4=True, udp=True))
    udp = Job(blank[:-2] + missing.to_bytes(2, "big"), ipv4=True, udp=True)
    assert expected_l4(udp) == 0xFFFF
    outcome = run([udp])
    assert outcome.insertions[0].l4.value == 0xFFFF


def test_longest_packets_are_summed_to_their_last_byte_without_losing_a_carry():
    packets = [b"\xff" * 9216, random.Random(9216).randbytes(9215)]
    jobs = [Job(packet, ipv4=True, tcp=True) for packet in packets]
    check(jobs, run(jobs), "longest packets")


def test_a_beat_a_cycle_without_a_bubble_between_packets():
    rng = random.Random(64)
    jobs = [
        Job(rng.randbytes(size), ipv4=True, tcp=True) for size in (54, 60, 61, 14, 9, 8, 8, 3, 100)
    ]
    jobs = [Job(job.packet, 0, 0) if len(job.packet) < 54 else job for job in jobs]
    outcome = run(jobs)
    check(jobs, outcome, "throughput")
    beats = sum(-(-len(job.packet) // 8) for job in jobs)
    start = outcome.beat_cycles[0]
    assert outcome.beat_cycles == list(range(start, start + beats))
    assert outcome.insertion_cycles == [cycle + 6 for cycle in outcome.last_beat_cycles]


def test_errors_travel_with_their_beats():
    jobs = [
        Job(bytes(range(100)), ipv4=True, tcp=True),
        Job(bytes(range(100)), ipv4=True, tcp=True),
    ]
    outcome = run(jobs, errors={0: {3: 2}})
    assert [error for _packet, error in outcome.packets] == [2, 0]
    check(jobs, outcome, "errors")


def test_data_width_is_checked():
    with pytest.raises(
        ValueError, match=r"^Data width must be a power of two from 32 to 1024 bits, not 16$"
    ):
        Checksummer(data_width=16)
    with pytest.raises(
        ValueError, match=r"^Data width must be 32 or more, 16 times a power of two, not 16$"
    ):
        OnesComplementSum(data_width=16)
