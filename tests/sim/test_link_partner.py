"""The link partner takes a stream in any order, refuses broken frames, closes when all is there."""

import hashlib
import itertools

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from byway.sim.wire.link_partner import LinkPartner

MAC, ADDRESS = "02:00:00:00:00:01", "10.0.0.1"
START = (1 << 32) - 150  # The sequence numbers wrap within the stream.
PARTS = [bytes([65 + n]) * 100 for n in range(3)]


def segment(flags: str, seq: int, payload: bytes = b"", *, ack: int = 0x1001) -> bytes:
    packet = Ether(src=MAC, dst="02:00:00:00:01:01") / IP(src=ADDRESS, dst="10.0.0.2")
    header = TCP(sport=9, dport=5001, flags=flags, seq=seq % (1 << 32), ack=ack)
    return bytes(packet / header / payload).ljust(60, b"\0")


def answers(frames: list[bytes]) -> list[tuple[str, int]]:
    """Flags, and how many bytes of the stream are acknowledged."""
    segments = [Ether(frame)[TCP] for frame in frames]
    return [(str(s.flags), (s.ack - START - 1) % (1 << 32)) for s in segments]


STREAM = [segment("A", START + 1 + 100 * n, part) for n, part in enumerate(PARTS)]
STREAM.append(segment("FA", START + 301))


@pytest.fixture
def partner():
    partner = LinkPartner()
    assert answers(partner.receive(segment("S", START), True, 0)) == [("SA", 0)]
    return partner


def test_arp_for_its_address_is_answered_and_no_other():
    partner = LinkPartner()
    ask = Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff")
    (answer,) = partner.receive(bytes(ask / ARP(hwsrc=MAC, psrc=ADDRESS, pdst="10.0.0.2")), True, 0)
    assert Ether(answer)[ARP].hwsrc == partner.mac
    assert len(answer) == 60
    assert not partner.receive(bytes(ask / ARP(hwsrc=MAC, pdst="10.0.0.9")), True, 0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_stream_in_any_order_is_whole_and_is_closed(partner, order):
    """The FIN is answered with a FIN also when it waited for a segment before it."""
    replies = [answers(partner.receive(STREAM[number], True, 0)) for number in order]
    assert partner.finished
    assert replies[-1] == [("FA", 301)]
    assert partner.digest.digest() == hashlib.sha256(b"".join(PARTS)).digest()
    assert not partner.closed
    partner.receive(segment("A", START + 302, ack=0x1002), True, 0)
    assert partner.closed


def test_segment_out_of_order_is_acknowledged_at_once(partner):
    assert answers(partner.receive(STREAM[1], True, 0)) == [("A", 0)]
    assert answers(partner.receive(STREAM[2], True, 0)) == [("A", 0)]
    assert answers(partner.receive(STREAM[0], True, 0)) == [("A", 300)]
    assert partner.counts.out_of_order == 3


def test_every_other_segment_in_order_is_acknowledged_and_a_single_one_in_time(partner):
    assert partner.receive(STREAM[0], True, 1000) == []
    assert answers(partner.receive(STREAM[1], True, 2000)) == [("A", 200)]
    assert partner.deadline_ns is None
    assert partner.receive(STREAM[2], True, 3000) == []
    assert partner.deadline_ns == 503_000
    assert partner.tick(502_999) == []
    assert answers(partner.tick(503_000)) == [("A", 300)]


def test_segment_that_comes_again_is_counted_once(partner):
    for frame in (STREAM[0], STREAM[0], STREAM[1], STREAM[0], STREAM[2], STREAM[3]):
        partner.receive(frame, True, 0)
    assert partner.counts.payload_bytes == 300
    assert partner.counts.data_bytes == 500
    assert partner.digest.digest() == hashlib.sha256(b"".join(PARTS)).digest()


def test_lost_fin_is_sent_again(partner):
    for frame in STREAM:
        partner.receive(frame, True, 0)
    assert answers(partner.receive(STREAM[3], True, 0)) == [("FA", 301)]


@pytest.mark.parametrize(
    ("place", "counter"),
    [
        *[(place, "bad_ipv4_checksum") for place in (14 + 8, 14 + 12)],
        *[(place, "bad_tcp_checksum") for place in (34 + 4, 34 + 16, 54, 153)],
    ],
)
def test_broken_frame_is_counted_and_not_answered(partner, place, counter):
    frame = bytearray(STREAM[0])
    frame[place] ^= 0x10
    assert partner.receive(bytes(frame), True, 0) == []
    assert getattr(partner.counts, counter) == partner.counts.bad == 1
    assert partner.counts.data_bytes == 0


def test_wrong_fcs_is_counted_and_not_answered(partner):
    assert partner.receive(STREAM[3], False, 0) == []
    assert partner.counts.bad_fcs == partner.counts.bad == 1
    assert not partner.finished
