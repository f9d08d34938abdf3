"""The TCP and IP mechanisms against the link partner, over a device that segments in Python.

Shown: the stream arrives whole with and without each offload, over links that lose and reorder
frames, in super-frames where the device segments, and closes in order; timers and errors as in RFC
6298 and RFC 9293.
"""

import hashlib
import random
from collections import deque

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from byway.sim.wire.link_partner import LinkPartner
from byway.sim.wire.medium import OVERHEAD_BYTES
from byway.sw.functions import SuperFrameLimits
from byway.sw.stack.ip import IpMechanism
from byway.sw.stack.network_device import Features, Fragment, FrameOutcome
from byway.sw.stack.send_buffer import SendBuffer
from byway.sw.stack.tcp import MAXIMUM_MSS, MINIMUM_MSS, TcpMechanism, TcpState

MAC = bytes.fromhex("020000000001")
PLAIN = {"mac": MAC, "mtu": 1500, "maximum_header": 2048}
CHECKSUM = {**PLAIN, "checksum_ipv4": True, "checksum_tcp": True, "maximum_fragments": 8}
LARGE = {**CHECKSUM, "large_send_v4": True, "super_frames": SuperFrameLimits(large_send_v4=65535)}


class Memory:
    def __init__(self, data: bytes):
        self.data = data

    def read(self, address: int, length: int) -> bytes:
        return self.data[address : address + length]


class Device:
    """A network device with the offloads of `features`, done with scapy."""

    def __init__(self, memory: Memory, features: Features, entries: int = 64):
        self.memory = memory
        self.features = features
        self.link_up = True
        self.free_entries = entries
        self.wire: deque[bytes] = deque()
        self.sizes: list[int] = []
        self.outcome = FrameOutcome.SENT

    def attach(self, user):
        self.user = user
        user.link_changed(True)

    def map(self, address: int, length: int) -> int:
        return 1

    def unmap(self, mapping: int) -> None:
        pass

    def transmit(self, frames) -> int:
        for frame in frames:
            self.sizes.append(frame.length)
            assert len(frame.payload) < max(2, self.features.maximum_fragments)
            data = b"".join(self.memory.read(f.address, f.length) for f in frame.payload)
            self.wire.extend(segments(frame.header + data, frame.offload))
            frame.on_complete(self.outcome)
        return len(frames)


def segments(frame: bytes, offload) -> list[bytes]:
    if not (offload.checksum_tcp or offload.large_send):
        return [frame]
    packet = Ether(frame)
    header = offload.l2_length + offload.l3_length + offload.l4_length
    payload = frame[header:]
    mss = offload.mss or max(1, len(payload))
    cut = [payload[i : i + mss] for i in range(0, len(payload), mss)] or [b""]
    result = []
    for number, part in enumerate(cut):
        tcp = packet[TCP].copy()
        tcp.remove_payload()
        tcp.seq = (tcp.seq + number * mss) % (1 << 32)
        tcp.chksum = None
        if number < len(cut) - 1:
            tcp.flags = str(tcp.flags).replace("P", "").replace("F", "")
        ip = packet[IP].copy()
        ip.remove_payload()
        ip.id = (ip.id + number) % (1 << 16)
        ip.len = None
        ip.chksum = None
        result.append(bytes(Ether(frame[:14]) / ip / tcp / Raw(part)))
    return result


class Link:
    """Joins a sender and the partner; time moves to the next deadline when nothing is under way."""

    def __init__(self, data: bytes, features: dict, *, mss: int = MAXIMUM_MSS, drop=None, **device):
        self.now = 0
        self.drop = drop or (lambda frame: False)
        self.device = Device(Memory(data), Features(**features), **device)
        self.ip = IpMechanism(self.device, self.device.memory, "10.0.0.1")
        self.tcp = TcpMechanism(self.ip, lambda: self.now, mss_limit=mss)
        self.partner = LinkPartner(mtu=features["mtu"])

    def send(self, data: bytes, sequence: int = 0, piece: int | None = None):
        connection = self.tcp.connect("10.0.0.2", 5001, initial_sequence=sequence)
        piece = piece or len(data) or 1
        for start in range(0, len(data), piece):
            connection.write(1, start, min(piece, len(data) - start))
        connection.close()
        self.tcp.flush()
        self.run(connection)
        return connection

    def run(self, connection) -> None:
        for _ in range(200_000):
            if self.device.wire:
                frame = self.device.wire.popleft()
                self.now += 8 * (len(frame) + OVERHEAD_BYTES)
                replies = [] if self.drop(frame) else self.partner.receive(frame, True, self.now)
            elif connection.state is TcpState.CLOSED and (connection.error or self.partner.closed):
                return
            else:
                deadlines = [d for d in (self.tcp.deadline_ns, self.partner.deadline_ns) if d]
                assert deadlines, f"nothing moves in {connection.state}"
                self.now = max(self.now, min(deadlines))
                replies = self.partner.tick(self.now)
                self.tcp.tick()
            for reply in replies:
                if not self.drop(reply):
                    self.ip.receive(reply)
            if replies:
                self.ip.drained()
        raise AssertionError("the connection does not end")


def check(link: Link, connection, data: bytes) -> None:
    assert connection.error is None
    assert link.partner.finished
    assert link.partner.counts.bad == 0
    assert link.partner.counts.payload_bytes == len(data)
    assert link.partner.digest.digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("features", [PLAIN, CHECKSUM, LARGE], ids=["plain", "checksum", "large"])
@pytest.mark.parametrize("length", [0, 1, 1448, 1449, 200_000])
def test_stream_arrives_whole(features, length):
    data = random.Random(length).randbytes(length)
    link = Link(data, features)
    connection = link.send(data)
    check(link, connection, data)
    assert connection.retransmissions == 0
    assert connection.acknowledged == length


def test_cpu_touches_no_payload_when_the_device_does_the_work():
    data = bytes(100_000)
    link = Link(data, LARGE)
    link.send(data)
    assert (link.ip.touched.checksummed, link.ip.touched.copied) == (0, 0)


def test_cpu_work_without_offloads_is_counted():
    data = bytes(50_000)
    link = Link(data, PLAIN)
    link.send(data)
    assert (link.ip.touched.checksummed, link.ip.touched.copied) == (50_000, 50_000)


def test_super_frames_reach_the_longest_ip_packet():
    data = bytes(1 << 20)
    link = Link(data, LARGE)
    connection = link.send(data)
    assert connection.mss == 1448
    assert max(link.device.sizes) == 14 + 52 + 45 * 1448
    assert connection.super_frames < 40


@pytest.mark.parametrize("mss", [MINIMUM_MSS, 536, 1448])
def test_mss_limits_every_segment(mss):
    data = random.Random(mss).randbytes(30_000)
    link = Link(data, LARGE, mss=mss)
    seen = []
    link.drop = lambda frame: seen.append(len(frame)) or False
    connection = link.send(data)
    check(link, connection, data)
    assert max(seen) == 14 + 52 + mss


@pytest.mark.parametrize("seed", range(6))
def test_lost_frames_are_sent_again(seed):
    rng = random.Random(seed)
    data = rng.randbytes(120_000)
    features = rng.choice([PLAIN, CHECKSUM, LARGE])
    dropped = []

    def drop(frame: bytes) -> bool:
        lost = rng.random() < 0.05
        if lost and len(frame) > 1000:
            dropped.append(frame)
        return lost

    link = Link(data, features, drop=drop)
    connection = link.send(data, sequence=rng.getrandbits(32))
    assert link.partner.digest.digest() == hashlib.sha256(data).digest(), f"seed {seed}"
    assert link.partner.finished, f"seed {seed}"
    assert connection.retransmissions >= len(dropped), f"seed {seed}"


def test_one_lost_segment_is_repaired_by_fast_retransmit():
    data = random.Random(1).randbytes(300_000)
    link = Link(data, LARGE)
    count = 0

    def drop(frame: bytes) -> bool:
        nonlocal count
        count += TCP in Ether(frame) and len(frame) > 1000
        return count == 40 and len(frame) > 1000

    link.drop = drop
    connection = link.send(data)
    check(link, connection, data)
    assert connection.retransmissions == 1
    assert link.now < 10_000_000  # Long before the retransmission timer.


def test_sequence_numbers_wrap():
    data = random.Random(2).randbytes(100_000)
    link = Link(data, LARGE)
    connection = link.send(data, sequence=(1 << 32) - 50_000)
    check(link, connection, data)


def test_buffers_in_small_pieces_stay_within_the_fragments_of_a_frame():
    data = random.Random(3).randbytes(60_000)
    link = Link(data, LARGE)
    connection = link.send(data, piece=777)
    check(link, connection, data)


def test_few_free_entries_only_slow_the_stream():
    data = random.Random(4).randbytes(60_000)
    link = Link(data, CHECKSUM, entries=1)
    check(link, link.send(data), data)


def test_reset_ends_the_connection():
    link = Link(b"", LARGE)
    connection = link.tcp.connect("10.0.0.2", 5001)
    link.tcp.flush()
    connection.state = TcpState.ESTABLISHED
    reset = IP(bytes(IP(src="10.0.0.2", dst="10.0.0.1") / TCP(flags="RA", seq=1, ack=1)))
    connection.receive(reset)
    assert connection.state is TcpState.CLOSED
    assert connection.error == "10.0.0.2 reset the connection"


def test_a_partner_that_does_not_answer_is_given_up():
    link = Link(b"", LARGE, drop=lambda frame: True)
    connection = link.send(b"")
    assert connection.error == "No answer from 10.0.0.2 after 8 retransmissions"


def test_a_refused_frame_ends_the_connection():
    data = bytes(1000)
    link = Link(data, LARGE)
    link.device.outcome = FrameOutcome.REFUSED
    connection = link.send(data)
    assert connection.error == "The device refused a frame"


@pytest.mark.parametrize("mss", [63, 9001, 0, -1])
def test_mss_outside_the_range_is_named(mss):
    with pytest.raises(ValueError, match=f"MSS must be 64 to 9000, not {mss}"):
        Link(b"", LARGE, mss=mss)


def test_writing_after_close_is_refused():
    link = Link(b"", LARGE)
    connection = link.tcp.connect("10.0.0.2", 5001)
    connection.close()
    with pytest.raises(ValueError, match="does not take data"):
        connection.write(1, 0, 10)


def test_send_buffer_gives_runs_and_forgets_what_is_acknowledged():
    buffer = SendBuffer()
    buffer.append(1, 100, 10)
    buffer.append(2, 500, 5)
    assert buffer.fragments(8, 4) == (Fragment(1, 108, 2), Fragment(2, 500, 2))
    assert buffer.reach(0, 15, 1) == 10
    assert buffer.reach(0, 15, 2) == 15
    buffer.release(10)
    assert buffer.fragments(10, 5) == (Fragment(2, 500, 5),)
    with pytest.raises(ValueError, match="Bytes 9 to 11 of the stream are not held"):
        buffer.fragments(9, 2)
