"""The link partner: a host behind the wire that answers ARP and receives one TCP stream at a time.

It shares no code with the stack that sends to it, so that the two judge each other: every frame is
parsed anew and its IPv4 and TCP checksums are recomputed. What fails is counted and dropped, as a
network card would. Sources: RFC 826, RFC 1071, RFC 5681 (4.2), RFC 7323, RFC 9293.
"""

import hashlib
import struct
from dataclasses import dataclass, field

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet
from scapy.utils import checksum

__all__ = ["LinkPartner", "PartnerCounts"]

_MODULUS = 1 << 32


@dataclass
class PartnerCounts:
    """What the partner saw.

    Attributes
    ----------
    frames, data_frames : int
        Good frames, and those among them with TCP payload.
    data_bytes : int
        Payload of those, repetitions included.
    payload_bytes : int
        Payload taken in order, without repetitions.
    bad_fcs, bad_ipv4_checksum, bad_tcp_checksum : int
        Frames dropped.
    out_of_order : int
        Data segments that did not come next.
    """

    frames: int = 0
    data_frames: int = 0
    data_bytes: int = 0
    payload_bytes: int = 0
    bad_fcs: int = 0
    bad_ipv4_checksum: int = 0
    bad_tcp_checksum: int = 0
    out_of_order: int = 0

    @property
    def bad(self) -> int:
        """Frames dropped for a wrong check sequence or checksum."""
        return self.bad_fcs + self.bad_ipv4_checksum + self.bad_tcp_checksum


@dataclass
class _Stream:
    """The receiving end of a connection."""

    address: tuple[str, str, int, int]
    receive_next: int
    send_next: int
    timestamps: bool
    recent_timestamp: int = 0
    unacknowledged: int = 0
    finished: bool = False
    closed: bool = False
    later: dict[int, tuple[bytes, bool]] = field(default_factory=dict)


class LinkPartner:
    """A host at `address`, listening on every TCP port.

    Parameters
    ----------
    mac, address : str
        Station address and IPv4 address.
    mtu : int
        Longest IP packet of its link; its MSS option follows from it.
    window : int
        Receive window in bytes; scaled by 2^7 on the wire, so a multiple of 128 up to 8 MiB.
    delay_ns : int
        Longest time that an acknowledgement is held back [RFC 5681, 4.2].
    """

    _SHIFT = 7

    def __init__(
        self,
        mac: str = "02:00:00:00:01:01",
        address: str = "10.0.0.2",
        *,
        mtu: int = 1500,
        window: int = 1 << 20,
        delay_ns: int = 500_000,
    ):
        self.mac = mac
        self.address = address
        self.counts = PartnerCounts()
        self.digest = hashlib.sha256()
        self._mtu = mtu
        self._window = window >> self._SHIFT
        self._delay = delay_ns
        self._stream: _Stream | None = None
        self._deadline: int | None = None
        self._time_us = 0

    @property
    def finished(self) -> bool:
        """The stream's FIN was received, and everything before it."""
        return self._stream is not None and self._stream.finished

    @property
    def accepted(self) -> bool:
        """A SYN has been received."""
        return self._stream is not None

    @property
    def closed(self) -> bool:
        """The stream is finished, and the sender has acknowledged this end's FIN."""
        return self._stream is not None and self._stream.closed

    @property
    def deadline_ns(self) -> int | None:
        """When an acknowledgement that is held back is due."""
        return self._deadline

    def tick(self, time_ns: int) -> list[bytes]:
        """Frames to send because their time has come."""
        if self._stream is None or self._deadline is None or self._deadline > time_ns:
            return []
        return [self._reply(self._stream, "A")]

    def receive(self, frame: bytes, good: bool, time_ns: int) -> list[bytes]:
        """Take a frame from the wire; returns the frames to send back.

        Parameters
        ----------
        frame : bytes
            Without FCS.
        good : bool
            The frame check sequence was right.
        time_ns : int
        """
        if not good:
            self.counts.bad_fcs += 1
            return []
        self._time_us = time_ns // 1000
        packet = Ether(frame)
        if ARP in packet:
            self.counts.frames += 1
            return self._answer_arp(packet[ARP])
        if packet.dst != self.mac or IP not in packet or not self._sound(frame, packet[IP]):
            return []
        self.counts.frames += 1
        if TCP not in packet or packet[IP].dst != self.address:
            return []
        return self._receive_tcp(frame, packet[IP], packet.src, time_ns)

    def _sound(self, frame: bytes, ip: Packet) -> bool:
        start = 14
        l4 = start + 4 * ip.ihl
        if checksum(frame[start:l4]):
            self.counts.bad_ipv4_checksum += 1
            return False
        if ip.proto == 6:
            segment = frame[l4 : start + ip.len]
            pseudo = frame[start + 12 : start + 20] + struct.pack("!HH", 6, len(segment))
            if checksum(pseudo + segment):
                self.counts.bad_tcp_checksum += 1
                return False
        return True

    def _answer_arp(self, arp: Packet) -> list[bytes]:
        if arp.op != 1 or arp.pdst != self.address:
            return []
        answer = ARP(op=2, hwsrc=self.mac, psrc=self.address, hwdst=arp.hwsrc, pdst=arp.psrc)
        return [_padded(bytes(Ether(src=self.mac, dst=arp.hwsrc, type=0x0806) / answer))]

    def _receive_tcp(self, frame: bytes, ip: Packet, mac: str, time_ns: int) -> list[bytes]:
        segment = ip[TCP]
        options = dict(segment.options)
        if segment.flags.S:
            return self._accept(ip, mac, options)
        stream = self._stream
        if stream is None or (ip.src, segment.sport, segment.dport) != (
            stream.address[1],
            stream.address[2],
            stream.address[3],
        ):
            return []
        start = 14 + 4 * ip.ihl + 4 * segment.dataofs
        payload = frame[start : 14 + ip.len]
        if stream.finished and segment.ack == (stream.send_next + 1) % _MODULUS:
            stream.closed = True
        if not payload and not segment.flags.F:
            return []
        if payload:
            self.counts.data_frames += 1
            self.counts.data_bytes += len(payload)
        if "Timestamp" in options and _after(segment.seq, stream.receive_next) <= 0:
            stream.recent_timestamp = options["Timestamp"][0]
        if stream.finished:
            return [self._reply(stream, "FA")]  # The partner's FIN was lost, or its answer was.
        in_order = segment.seq == stream.receive_next and not stream.later
        stream.later[segment.seq] = (payload, bool(segment.flags.F))
        self._deliver(stream)
        self.counts.out_of_order += not in_order
        if stream.finished:
            return [self._reply(stream, "FA")]
        if not in_order:
            return [self._reply(stream, "A")]
        stream.unacknowledged += 1
        if stream.unacknowledged >= 2 or segment.flags.P:
            return [self._reply(stream, "A")]
        self._deadline = time_ns + self._delay
        return []

    def _accept(self, ip: Packet, mac: str, options: dict) -> list[bytes]:
        segment = ip[TCP]
        stream = _Stream(
            address=(mac, ip.src, segment.sport, segment.dport),
            receive_next=(segment.seq + 1) % _MODULUS,
            send_next=0x1000,
            timestamps="Timestamp" in options,
            recent_timestamp=options.get("Timestamp", (0, 0))[0],
        )
        self._stream = stream
        answer = [("MSS", self._mtu - 40), ("NOP", None), ("WScale", self._SHIFT)]
        reply = self._reply(stream, "SA", answer)
        stream.send_next += 1
        return [reply]

    def _deliver(self, stream: _Stream) -> None:
        """Take what comes next, also out of what came early; forget what came again."""
        progress = True
        while progress:
            progress = False
            for sequence in sorted(stream.later, key=lambda s: _after(s, stream.receive_next)):
                payload, fin = stream.later[sequence]
                ahead = _after(sequence, stream.receive_next)
                if ahead > 0:
                    break
                del stream.later[sequence]
                fresh = payload[-ahead:] if ahead else payload
                if -ahead > len(payload) or stream.finished:
                    continue
                self.digest.update(fresh)
                self.counts.payload_bytes += len(fresh)
                stream.receive_next = (stream.receive_next + len(fresh) + fin) % _MODULUS
                stream.finished = fin
                progress = True

    def _reply(self, stream: _Stream, flags: str, options: list | None = None) -> bytes:
        stream.unacknowledged = 0
        self._deadline = None
        mac, address, port, local_port = stream.address
        options = list(options or [])
        if stream.timestamps:
            times = (self._time_us % _MODULUS, stream.recent_timestamp)
            options += [("NOP", None), ("NOP", None), ("Timestamp", times)]
        window = min(self._window << self._SHIFT, 0xFFFF) if "S" in flags else self._window
        packet = (
            Ether(src=self.mac, dst=mac, type=0x0800)
            / IP(src=self.address, dst=address, id=0, flags="DF")
            / TCP(
                sport=local_port,
                dport=port,
                seq=stream.send_next,
                ack=stream.receive_next,
                flags=flags,
                window=window,
                options=options,
            )
        )
        return _padded(bytes(packet))


def _after(sequence: int, reference: int) -> int:
    """How far `sequence` lies after `reference`, negative if before [RFC 9293, 3.4]."""
    difference = (sequence - reference) % _MODULUS
    return difference - _MODULUS if difference >= _MODULUS // 2 else difference


def _padded(frame: bytes) -> bytes:
    """`frame` with the padding that Ethernet asks for."""
    return frame.ljust(60, b"\0")
