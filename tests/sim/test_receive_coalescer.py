"""Joined segments, cut again as their header says, are the segments that came, flow by flow."""

import random
import struct

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from byway.sim.wire.internet_checksum import checksum_of, residue
from byway.sim.wire.receive_coalescer import PATIENCE, ReceiveCoalescer
from byway.sim.wire.virtio_net import Gso, VirtioNetHeader

ADDRESSES = ("10.0.0.1", "10.0.0.3")


def segment(flow: int, sequence: int, payload: bytes, **tcp) -> bytes:
    options = [("NOP", None), ("NOP", None), ("Timestamp", (7, 8))]
    fields = {"flags": "A", "ack": 99, "options": options, **tcp}
    packet = Ether(dst="02:00:00:00:01:01", src="02:00:00:00:00:01") / IP(
        src=ADDRESSES[flow % 2], dst="10.0.0.254", id=sequence & 0xFFFF, flags="DF"
    )
    frame = bytes(packet / TCP(sport=flow, dport=80, seq=sequence, **fields) / Raw(payload))
    return frame.ljust(60, b"\0")


def cut(header: VirtioNetHeader, frame: bytes) -> list[bytes]:
    """The segments that a joined frame stands for, as a kernel would cut it: a plain reference."""
    if header.gso is Gso.NONE:
        return [frame]
    assert header.gso is Gso.TCPV4
    assert header.needs_checksum
    assert header.checksum_offset == 16
    assert residue(frame[14:34]) == 0
    assert int.from_bytes(frame[16:18], "big") == len(frame) - 14 <= 65_535
    pseudo = residue(frame[26:34], struct.pack(">HH", 6, len(frame) - 34))
    assert int.from_bytes(frame[50:52], "big") == pseudo
    headers, payload = frame[: header.header_length], frame[header.header_length :]
    assert len(payload) > header.mss
    parts = []
    for place in range(0, len(payload), header.mss):
        part = bytearray(headers + payload[place : place + header.mss])
        last = place + header.mss >= len(payload)
        sequence = int.from_bytes(headers[38:42], "big") + place
        part[16:18] = (len(part) - 14).to_bytes(2, "big")
        identification = int.from_bytes(headers[18:20], "big") + place
        part[18:20] = (identification & 0xFFFF).to_bytes(2, "big")
        part[24:26] = bytes(2)
        part[24:26] = checksum_of(part[14:34]).to_bytes(2, "big")
        part[38:42] = (sequence & 0xFFFF_FFFF).to_bytes(4, "big")
        if not last:
            part[47] &= ~0x08
        part[50:52] = bytes(2)
        sums = checksum_of(part[26:34], struct.pack(">HH", 6, len(part) - 34), part[34:])
        part[50:52] = sums.to_bytes(2, "big")
        parts.append(bytes(part))
    return parts


def by_flow(frames: list[bytes]) -> dict[bytes, list[bytes]]:
    flows: dict[bytes, list[bytes]] = {}
    for frame in frames:
        flows.setdefault(frame[26:38], []).append(frame)
    return flows


def unpadded(frame: bytes) -> bytes:
    if frame[12:14] != b"\x08\x00" or residue(frame[14:34]):
        return frame
    return frame[: 14 + int.from_bytes(frame[16:18], "big")]


@pytest.mark.parametrize("seed", range(40))
def test_random_traffic_is_whole_and_in_order(seed):
    generator = random.Random(seed)
    next_sequence = [generator.randrange(1 << 32) for _flow in range(4)]
    came: list[bytes] = []
    for _ in range(400):
        flow = generator.randrange(4)
        length = generator.choice((1448, 1448, 1448, 1448, 1448, 1, 600))
        fields: dict[str, str | int] = {
            "flags": generator.choice(("A",) * 30 + ("PA", "FA", "S", "CA", "EA"))
        }
        if generator.random() < 0.05:
            fields["ack"] = generator.randrange(1 << 32)
        if generator.random() < 0.05:
            next_sequence[flow] += generator.choice((-1448, 1448))
        next_sequence[flow] &= 0xFFFF_FFFF
        frame = segment(flow, next_sequence[flow], generator.randbytes(length), **fields)
        next_sequence[flow] += length
        kind = generator.random()
        if kind < 0.04:
            place = generator.randrange(14, len(frame))
            frame = frame[:place] + bytes([frame[place] ^ 0x40]) + frame[place + 1 :]
        elif kind < 0.06:
            udp = Ether() / IP(src=ADDRESSES[0]) / UDP() / Raw(b"x" * 100)
            frame = bytes(generator.choice((udp, Ether() / ARP()))).ljust(60, b"\0")
        came.append(frame)
    coalescer = ReceiveCoalescer()
    joined = []
    for frame in came:
        joined += coalescer.receive(frame)
        if generator.random() < 0.02:
            joined += coalescer.flush()
    joined += coalescer.flush()
    assert coalescer.flush() == []
    given = [unpadded(part) for header, frame in joined for part in cut(header, frame)]
    expected = by_flow([unpadded(frame) for frame in came])
    assert by_flow(given) == expected, f"seed {seed}"
    assert len(joined) < len(came) * 0.8, f"seed {seed}: hardly anything was joined"


def test_wrong_checksum_is_handed_on_alone():
    coalescer = ReceiveCoalescer()
    good = [segment(1, 1000 + 1448 * n, bytes(1448)) for n in range(3)]
    broken = good[1][:-1] + bytes([good[1][-1] ^ 1])
    assert coalescer.receive(good[0]) == []
    given = coalescer.receive(broken)
    assert [frame for _header, frame in given] == [broken] or given[-1][1] == broken
    given += coalescer.receive(good[2]) + coalescer.flush()
    assert all(header.gso is Gso.NONE for header, _frame in given)
    assert [frame for _header, frame in given] == [good[0], broken, good[2]]


def test_train_ends_at_64_kib_at_push_and_at_a_short_segment():
    coalescer = ReceiveCoalescer()
    sequence, given = 0, []
    while not given:
        given = coalescer.receive(segment(1, sequence, bytes(1448)))
        sequence += 1448
    assert len(given) == 1
    assert 65_535 - 1448 < len(given[0][1]) - 14 <= 65_535
    coalescer.flush()
    for ending in (segment(2, 1448, bytes(10)), segment(2, 1448, bytes(1448), flags="PA")):
        assert coalescer.receive(segment(2, 0, bytes(1448))) == []
        ((header, _frame),) = coalescer.receive(ending)
        assert header.gso is Gso.TCPV4


@pytest.mark.parametrize("others", ["one flow", "many flows", "no flow"])
def test_last_segment_waits_for_so_many_other_frames_and_no_longer(others):
    """Other flows, or frames of none, may keep the adapter busy without end."""

    def other(number: int) -> bytes:
        if others == "no flow":
            return bytes(Ether() / ARP()).ljust(60, b"\0")
        flow, sequence = (2, number) if others == "one flow" else (2 + number, 0)
        return segment(flow, 1448 * sequence, bytes(1448))

    coalescer = ReceiveCoalescer()
    held = [segment(1, 1448 * number, bytes(1448)) for number in range(3)]
    for part in held:
        assert coalescer.receive(part) == []
    given = [coalescer.receive(other(number)) for number in range(PATIENCE)]
    ports = [[frame[34:36] for _header, frame in joined] for joined in given]
    assert [number for number, some in enumerate(ports) if held[0][34:36] in some] == [PATIENCE - 1]
    assert cut(*given[-1][-1]) == held


def test_flow_that_goes_on_is_not_cut_among_others():
    coalescer = ReceiveCoalescer()
    went_on = [segment(1, 1448 * number, bytes(1448)) for number in range(16)]
    given = []
    for number, part in enumerate(went_on):
        given += coalescer.receive(part)
        for other in range(PATIENCE // 2):
            given += coalescer.receive(segment(2 + 100 * number + other, 0, bytes(1448)))
    assert all(header.gso is Gso.NONE for header, _frame in given)
    left = coalescer.flush()
    assert len(left) <= PATIENCE, "flows of one segment pile up"
    assert [cut(*joined) for joined in left if joined[0].gso is Gso.TCPV4] == [went_on]
