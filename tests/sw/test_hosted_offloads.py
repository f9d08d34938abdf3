"""The virtual hosted device driver and the adapter's functions: used as granted, and no others.

scapy knows what must be on the wire.
"""

from dataclasses import replace

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from byway.sw.functions import AdvancedFunctions, SuperFrameLimits, named_by
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.hosted.set_up import Wishes
from byway.sw.stack.network_device import Frame, FrameOutcome, Offload

FUNCTIONS = tuple(AdvancedFunctions().functions)
CONTENT = bytes((7 * n + n // 251) % 256 for n in range(50_000))


@pytest.mark.parametrize("missing", FUNCTIONS)
def test_what_the_adapter_lacks_is_neither_granted_nor_used(share, missing):
    machine = share.machine(without=(missing,))
    device = machine.device()
    assert not getattr(device.features, missing)
    offloads = machine.model.page.registers.ring[1].offloads.read()
    assert not getattr(offloads, missing)
    asked = Offload(ipv6=missing.endswith("_v6"), l3_length=20, l4_length=20)
    if "large_send" in missing:
        asked = replace(asked, mss=1448)
    elif missing == "checksum_generic":
        asked = Offload(generic=GenericChecksum(34, 16))
    elif missing == "udp_segmentation":
        asked = replace(asked, mss=1000, udp_segmentation=True)
    else:
        asked = replace(asked, **{missing.removesuffix("_v6"): True})
    with pytest.raises(ValueError, match=f"^{missing} is not granted to this device$"):
        device.transmit([Frame(share.header(6), offload=asked)])


def test_large_send_is_not_taken_without_the_checksums_that_it_implies(share):
    device = share.machine(without=("checksum_ipv4", "checksum_tcp_v6")).device()
    assert not device.features.large_send_v4
    assert not device.features.large_send_v6
    assert device.features.super_frames == SuperFrameLimits(udp_segmentation=65535)


def test_without_tag_insertion_no_tag_is_asked_for(share):
    machine = share.machine(without=("vlan_insertion",))
    device = machine.device()
    assert not device.features.vlan_insertion
    frame = Frame(share.header(46), offload=Offload(vlan_tag=7))
    with pytest.raises(ValueError, match=r"^vlan_insertion is not granted to this device$"):
        device.transmit([frame])


def test_a_tag_is_inserted_by_the_adapter(share):
    machine = share.machine()
    device = machine.device()
    frames = [Frame(share.header(46), offload=Offload(vlan_tag=tag)) for tag in (0xE00A, 0, None)]
    assert device.transmit(frames) == 3
    machine.manager.dispatch()
    found = [Ether(frame) for _ring, frame in machine.model.wire]
    assert [frame.type for frame in found] == [0x8100, 0x8100, found[2].type]
    assert [(frame.prio, frame.vlan) for frame in found[:2]] == [(7, 10), (0, 0)]
    with pytest.raises(ValueError, match=r"^VLAN tag must have 16 bits, not be 0x10000$"):
        device.transmit([Frame(share.header(46), offload=Offload(vlan_tag=1 << 16))])


def test_what_the_client_does_not_wish_for_is_not_granted(share):
    machine = share.machine()
    device = machine.device(wishes=Wishes(offloads=AdvancedFunctions(checksum_tcp=True)))
    offloads = machine.model.page.registers.ring[1].offloads.read()
    assert named_by(offloads) == named_by(AdvancedFunctions(checksum_tcp=True))
    assert (device.features.checksum_tcp, device.features.checksum_ipv4) == (True, False)


@pytest.mark.parametrize("version", [IP, IPv6])
def test_a_super_frame_of_udp_is_cut_into_datagrams(share, version):
    machine = share.machine()
    device = machine.device()
    outcomes: list[FrameOutcome] = []
    fragment = machine.payload(device, CONTENT)
    ip = IP(src="10.0.0.1", dst="10.0.0.2") if version is IP else IPv6(src="fd62::1", dst="fd62::2")
    headers = Ether(src=share.MACS[1], dst=share.PEER) / ip / UDP(sport=1, dport=2)
    offload = Offload(
        ipv6=version is IPv6,
        mss=1400,
        udp_segmentation=True,
        l3_length=len(ip),
        l4_length=8,
    )
    assert device.transmit([Frame(bytes(headers), (fragment,), offload, outcomes.append)]) == 1
    machine.manager.dispatch()
    assert outcomes == [FrameOutcome.SENT]
    expected = []
    for number, at in enumerate(range(0, len(CONTENT), 1400)):
        datagram = headers / Raw(CONTENT[at : at + 1400])
        if version is IP:
            datagram[IP].id = 1 + number
        expected.append((1, bytes(datagram)))
    assert machine.model.wire == expected


def test_a_generic_checksum_is_inserted_by_the_adapter(share):
    machine = share.machine()
    device = machine.device()
    packet = Ether(src=share.MACS[1], dst=share.PEER) / IP(dst="10.0.0.2", src="10.0.0.1")
    good = bytes(packet / ICMP(id=7) / Raw(b"anybody?"))
    zeroed = good[:36] + bytes(2) + good[38:]
    device.transmit([Frame(zeroed, offload=Offload(generic=GenericChecksum(34, 2)))])
    machine.manager.dispatch()
    assert machine.model.wire == [(1, good)]
