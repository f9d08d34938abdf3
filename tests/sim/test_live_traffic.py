"""Live traffic without a kernel: what a TAP would hand over goes through the RTL to the partner.

Needs no rights: the TAPs are queues here, all else is as in ``byway live``.
"""

import random
from collections import deque

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.open_engine import open_engine
from byway.sim.flows.frames import tunnel
from byway.sim.live.hosted_kernel import HostedKernel
from byway.sim.live.status import StatusReader
from byway.sim.live.traffic import LiveTraffic, payload_bytes
from byway.sim.report.live_summary import status_text
from byway.sim.scenarios.machine import Machine, adapter_for, board_for
from byway.sim.wire.capture import Capture
from byway.sim.wire.internet_checksum import residue
from byway.sim.wire.tap import Tap, TapOffload
from byway.sim.wire.virtio_net import Gso, VirtioNetHeader
from byway.sw.stack.network_device import FrameOutcome

NOTHING = VirtioNetHeader()


class QueueTap(Tap):
    """A TAP without a kernel."""

    def __init__(self, name: str):
        self.name = name
        self.sent: deque[tuple[VirtioNetHeader, bytes]] = deque()
        self.received: list[tuple[VirtioNetHeader, bytes]] = []
        self.offered = TapOffload(0)
        self.known = ~TapOffload(0)
        self.carrier = False
        self.deaf = False

    def offer(self, offloads: TapOffload) -> TapOffload:
        self.offered = offloads & self.known
        return self.offered

    def set_carrier(self, up: bool) -> None:
        self.carrier = up

    def read(self) -> tuple[VirtioNetHeader, bytes] | None:
        return self.sent.popleft() if self.sent else None

    def write(self, frame: bytes, header: VirtioNetHeader = NOTHING) -> bool:
        self.received.append((header, frame))
        return not self.deaf


class Rig:
    """A machine with one hosted partition, and both TAPs."""

    def __init__(self, tmp_path):
        manner = MemoryManner(latency=20)
        self.engine = open_engine("native", adapter_for(1), board_for(1, manner))
        self.machine = Machine(self.engine, mtu=1500)
        self.hosted, self.partner = QueueTap("hosted"), QueueTap("partner")
        (host,) = self.machine.hosted
        self.mac = host.device.features.mac
        self.kernel = HostedKernel(self.hosted, host.device, host.memory)
        self.capture = Capture(tmp_path / "wire.pcapng")
        kernels = [self.kernel]
        self.traffic = LiveTraffic(self.engine, self.machine, kernels, self.partner, self.capture)
        self.status = StatusReader(self.engine, self.machine, kernels, self.traffic)

    def run(self) -> None:
        for _ in range(100_000):
            if not self.traffic.step():
                return
        raise AssertionError("the traffic does not come to rest")


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    rig.capture.close()
    rig.engine.close()


def left_to_device(frame: bytes, **virtio) -> tuple[VirtioNetHeader, bytes]:
    """A frame as a kernel hands it over that leaves its TCP or UDP checksum to the device."""
    offset = 16 if frame[23] == 6 else 6
    length = int.from_bytes(frame[16:18], "big") - 20
    pseudo = residue(frame[26:34], bytes((0, frame[23])) + length.to_bytes(2, "big"))
    frame = frame[: 34 + offset] + pseudo.to_bytes(2, "big") + frame[36 + offset :]
    return VirtioNetHeader(True, checksum_start=34, checksum_offset=offset, **virtio), frame


def left_inside(frame: bytes) -> tuple[VirtioNetHeader, bytes]:
    """The frame of a tunnel as a kernel hands it over that leaves the inner checksum alone."""
    inner = Ether(frame)[VXLAN]
    layer = inner[TCP] if TCP in inner else inner.payload[UDP]
    start, offset = len(frame) - len(bytes(layer)), 16 if TCP in inner else 6
    field = start + offset
    zeroed = frame[:field] + bytes(2) + frame[field + 2 :]
    pseudo = (0xFFFF - layer.chksum - residue(zeroed[start:])) % 0xFFFF
    data = frame[:field] + pseudo.to_bytes(2, "big") + frame[field + 2 :]
    return VirtioNetHeader(True, checksum_start=start, checksum_offset=offset), data


def test_frames_of_all_kinds_reach_the_partner_right(rig):
    seed = 11
    generator = random.Random(seed)
    link = Ether(src=rig.mac, dst="02:00:00:00:01:01") / IP(src="10.0.0.1", dst="10.0.0.254")
    expected: list[bytes] = []
    stream = b""
    sent = 0
    for _ in range(60):
        kind = generator.choice(("whole", "UDP", "TCP", "super-frame", "datagrams", "tunnel"))
        if kind == "tunnel":
            # Its outer checksum the kernel has made, which counts the inner as it will be.
            (good,) = tunnel(generator, 1, b"inside").leaves
            rig.hosted.sent.append(left_inside(good))
            expected.append(good)
            sent += 1
            continue
        if kind == "datagrams":
            part, mss = (
                generator.randbytes(generator.randrange(1, 9000)),
                generator.choice((50, 999)),
            )
            frame = bytes(link / UDP(sport=3, dport=4) / Raw(part))
            rig.hosted.sent.append(left_to_device(frame, gso=Gso.UDP_L4, mss=mss))
            for number, at in enumerate(range(0, len(part), mss)):
                datagram = (link / UDP(sport=3, dport=4) / Raw(part[at : at + mss])).copy()
                datagram[IP].id = 1 + number
                expected.append(bytes(datagram).ljust(60, b"\0"))
            sent += -(-len(part) // mss) if mss == 50 else 1
            continue
        sent += 1
        if kind == "super-frame":
            part = generator.randbytes(generator.randrange(1449, 60_000))
            tcp = TCP(sport=5, dport=6, seq=len(stream), flags="A")
            frame = bytes(link / tcp / Raw(part))
            rig.hosted.sent.append(left_to_device(frame, gso=Gso.TCPV4, mss=1448))
            stream += part
            continue
        layer = TCP(sport=1, dport=2) if kind == "TCP" else UDP(sport=3, dport=4)
        frame = bytes(link / layer / Raw(generator.randbytes(generator.randrange(0, 1400))))
        expected.append(frame.ljust(60, b"\0"))
        rig.hosted.sent.append((NOTHING, frame) if kind == "whole" else left_to_device(frame))
    large_send = TapOffload.TSO4 | TapOffload.TSO6 | TapOffload.TSO_ECN
    udp = TapOffload.USO4 | TapOffload.USO6
    assert rig.hosted.offered == TapOffload.CHECKSUM | large_send | udp
    assert rig.hosted.carrier
    rig.run()
    single = [frame for header, frame in rig.partner.received if frame[34:36] != b"\0\x05"]
    assert single == expected, f"seed {seed}"
    joined = [(header, frame) for header, frame in rig.partner.received if frame not in single]
    assert b"".join(frame[54:] for _header, frame in joined) == stream, f"seed {seed}"
    assert sum(header.gso is Gso.TCPV4 for header, _frame in joined) > 5
    status = rig.status.read()
    assert status.sent == (sent,)
    assert status.checksums_by_cpu == (0,)
    assert status.payload_bytes == len(stream) + sum(map(payload_bytes, expected))
    assert rig.kernel.outcomes == {FrameOutcome.SENT: sent}
    assert status.bad_frames == status.faults == status.refused == status.malformed == 0
    assert status.blocks["dropped"] == 0
    assert status.blocks["frames"] == status.frames
    assert f"{status.frames:,} frames out" in status_text(status)


@pytest.mark.parametrize("left", ["nothing", "UDP", "any"])
def test_a_longest_frame_may_have_a_tag_of_its_own(rig, left):
    link = Ether(src=rig.mac, dst="02:00:00:00:01:01") / Dot1Q(vlan=5)
    layer = UDP(sport=3, dport=4) / Raw(bytes(n % 251 for n in range(1472)))
    good = bytes(link / IP(src="10.0.0.1", dst="10.0.0.254") / layer)
    header = VirtioNetHeader(left != "nothing", checksum_start=38, checksum_offset=6)
    frame = good
    if left != "nothing":
        pseudo = residue(good[30:38], bytes((0, 17)) + good[42:44])
        frame = good[:44] + pseudo.to_bytes(2, "big") + good[46:]
    if left == "any":
        # ICMP, which the adapter does not know by name.
        icmp = bytes(link / IP(src="10.0.0.1", dst="10.0.0.254") / ICMP() / layer.payload)
        good, frame = icmp, icmp[:40] + bytes(2) + icmp[42:]
        header = VirtioNetHeader(True, checksum_start=38, checksum_offset=2)
    rig.hosted.sent.append((header, frame))
    rig.run()
    assert [data for _header, data in rig.partner.received] == [good]


def test_more_than_there_is_room_for_waits_in_the_kernel(rig):
    link = Ether(src=rig.mac, dst="02:00:00:00:01:01") / IP(src="10.0.0.1", dst="10.0.0.254")
    tcp = TCP(sport=5, dport=6, flags="A")
    item = left_to_device(bytes(link / tcp / Raw(bytes(60_000))), gso=Gso.TCPV4, mss=1448)
    rig.hosted.sent.extend([item] * 40)
    rig.traffic.step()
    assert len(rig.hosted.sent) > 10
    assert rig.hosted not in rig.traffic.waiting_for
    rig.run()
    assert not rig.hosted.sent
    assert rig.hosted in rig.traffic.waiting_for
    assert rig.status.read().wire_use > 0.95


def test_frames_on_the_way_back_reach_their_kernel_and_no_other(rig):
    frames = [
        bytes(Ether(dst=rig.mac, src="02:00:00:00:01:01") / Raw(bytes([n]) * (46 + 10 * n)))
        for n in range(100)
    ]
    stray = bytes(Ether(dst="02:99:00:00:00:00") / Raw(bytes(46)))
    rig.partner.sent.extend((NOTHING, frame) for frame in [*frames, stray])
    rig.run()
    assert [frame for _header, frame in rig.hosted.received] == frames
    rig.hosted.deaf = True
    rig.partner.sent.append((NOTHING, frames[0]))
    rig.run()
    status = rig.status.read()
    assert status.not_taken == 1
    assert status.back_frames == 102
    assert status.copied_receive == sum(map(len, frames)) + len(frames[0])


def test_nonsense_from_a_kernel_is_counted_and_dropped(rig):
    offers = VirtioNetHeader(True, Gso.UDP_L4, 42, 1000, 34, 6)
    short = VirtioNetHeader(True, Gso.NONE, 0, 0, 58, 16)
    rig.hosted.sent.extend([(offers, bytes(60)), (short, bytes(60)), (NOTHING, bytes(3))])
    rig.run()
    assert rig.status.read().malformed == 3
    assert rig.partner.received == []


def test_status_counts_cycles_and_time_stands_still_at_rest(rig):
    rig.run()
    before = rig.status.read()
    rig.run()
    after = rig.status.read()
    assert after.wall_seconds > before.wall_seconds
    assert after.cycles == before.cycles == rig.traffic.cycles < 200  # The counters, read once.
    assert after.blocks == before.blocks
    assert after.simulated_seconds == pytest.approx(after.cycles * 8e-9)


def test_counters_are_read_anew_once_time_has_moved(rig):
    rig.status.read()
    link = Ether(src=rig.mac, dst="02:00:00:00:01:01") / IP(src="10.0.0.1", dst="10.0.0.254")
    for sent in (1, 2):
        rig.hosted.sent.append((NOTHING, bytes(link / UDP() / Raw(bytes(100)))))
        rig.run()
        assert rig.status.read().blocks["frames"] == sent


@pytest.mark.parametrize(
    ("packet", "payload"),
    [
        (IP() / TCP(options=[("NOP", None)] * 4) / Raw(bytes(77)), 77),
        (IP() / UDP() / Raw(bytes(9)), 9),
        (IP(proto=1) / Raw(bytes(9)), 0),
        (IP() / TCP(), 0),
    ],
)
def test_payload_is_counted_without_headers_and_padding(packet, payload):
    assert payload_bytes(bytes(Ether() / packet).ljust(60, b"\0")) == payload
    assert payload_bytes(bytes(Ether() / packet)[:20]) == 0
