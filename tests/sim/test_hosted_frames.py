"""Frames of every kind from a hosted partition through the RTL, with all that it was granted.

scapy builds them and knows what must be on the wire. Beyond single frames these are super-frames of
TCP and of UDP over both versions of IP, tunnels with two checksums, VLAN tags, and what IPv6 cannot
tell the length of.
"""

import random

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.open_engine import open_engine
from byway.sim.flows.frames import Frame as Sent
from byway.sim.flows.frames import random_single, random_super
from byway.sim.scenarios.machine import MAXIMUM_MTU, Machine, adapter_for, board_for
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, Offload

ROOM = 1 << 20
ETHERNET = 14


class Sender:
    """A hosted partition that sends from memory which the adapter may read."""

    def __init__(self):
        self.engine = open_engine("native", adapter_for(1), board_for(1, MemoryManner(latency=20)))
        self.machine = Machine(self.engine, mtu=MAXIMUM_MTU)
        (host,) = self.machine.hosted
        self.device, self.memory = host.device, host.memory
        self.address = self.memory.allocate(ROOM, align=4096)
        self.mapping = self.device.map(self.address, ROOM)
        self.free = self.address
        self.outcomes: list[FrameOutcome] = []

    def send(self, data: bytes, offload: Offload, header: int = ETHERNET) -> None:
        """Send a frame whose bytes from `header` on are read from where they lie."""
        payload = ()
        if data[header:]:
            self.memory.write(self.free, data[header:])
            payload = (Fragment(self.mapping, self.free, len(data) - header),)
            self.free += len(data) - header
        frame = Frame(data[:header], payload, offload, self.outcomes.append)
        assert self.device.transmit([frame]) == 1

    def run(self) -> list[bytes]:
        """What is on the wire by the time all is at rest."""
        frames: list[WireFrame] = []
        while self.machine.software() or not self.engine.quiescent:
            self.engine.run(10_000, until_rest=True)
            while self.engine.frames:
                frames.append(self.engine.frames.popleft())
        assert all(frame.good for frame in frames)
        return [frame.data for frame in frames]


@pytest.fixture
def sender():
    sender = Sender()
    yield sender
    sender.engine.close()


def offload_of(sent: Sent) -> Offload:
    """What the fields of an adapter's descriptor ask for, in the words of a device."""
    fields = sent.fields
    l3 = fields.get("ip_offset", ETHERNET)
    l4 = fields.get("l4_offset", l3)
    generic = GenericChecksum(fields.get("checksum_start", 0), fields.get("checksum_offset", 0))
    return Offload(
        ipv6=bool(fields.get("ipv6")),
        checksum_ipv4=bool(fields.get("checksum_ipv4")),
        checksum_tcp=bool(fields.get("checksum_tcp")),
        checksum_udp=bool(fields.get("checksum_udp")),
        generic=generic if fields.get("checksum_generic") else None,
        mss=fields.get("mss", 0),
        udp_segmentation=bool(fields.get("udp_segmentation")),
        vlan_tag=fields["vlan_tag"] if fields.get("insert_vlan") else None,
        l2_length=l3,
        l3_length=l4 - l3,
        l4_length=max(0, fields.get("header_length", 0) - l4),
    )


@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_hosted_partition_is_granted_leaves_as_asked(sender, seed):
    rng = random.Random(seed)
    expected: list[bytes] = []
    kinds: set[str] = set()
    for _ in range(40):
        single = rng.random() < 0.6
        sent = random_single(rng, 1, 1000) if single else random_super(rng, 1, 12_000)
        sender.send(sent.data, offload_of(sent), header=rng.randint(ETHERNET, 54))
        expected += sent.leaves
        kinds |= {name for name, value in sent.fields.items() if value}
    assert sender.run() == expected, f"seed {seed}"
    assert sender.outcomes == [FrameOutcome.SENT] * 40
    assert {"large_send", "udp_segmentation", "checksum_generic", "insert_vlan", "ipv6"} <= kinds


def test_a_super_frame_over_ipv6_may_be_longer_than_its_header_can_tell(sender):
    """BIG TCP: 262,144 bytes of IP packet, in which the payload length means nothing."""
    limit = sender.device.features.super_frames.large_send_v6
    assert limit == 262_144
    rng = random.Random(limit)
    link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:01:01")
    ip = IPv6(src="fd62::1", dst="fd62::fe")
    content = rng.randbytes(limit - 60)
    tcp = TCP(sport=1, dport=2, seq=0xFFFF_0000, flags="PA", chksum=0)
    header = bytes(link / ip / tcp)
    offload = Offload(ipv6=True, mss=8948, l3_length=40, l4_length=20)
    sender.send(header + content, offload, header=len(header))
    expected = []
    for at in range(0, len(content), 8948):
        part = content[at : at + 8948]
        flags = "PA" if at + 8948 >= len(content) else "A"
        own = TCP(sport=1, dport=2, seq=(0xFFFF_0000 + at) & 0xFFFF_FFFF, flags=flags)
        expected.append(bytes(link / ip / own / Raw(part)))
    assert sender.run() == expected
    assert sender.outcomes == [FrameOutcome.SENT]
    with pytest.raises(ValueError, match="at most 262144 bytes, not 262145"):
        sender.send(header + content + b"1", offload, header=len(header))
