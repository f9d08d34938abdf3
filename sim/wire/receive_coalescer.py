"""Joins consecutive TCP segments, as the receiving ends of fast links do (GRO, LRO).

A kernel that takes segments one by one acknowledges every second one, and its peer's kernel answers
each acknowledgement with two segments: super-frames would never grow. What is joined here carries
a virtio-net header for large send the other way round: the kernel knows the segments it came from.

Joined are segments over IPv4 that differ in nothing but what large send changes, whose checksums
are right, and of which each but the last is as long as the first. All others pass as they are, and
the order within a connection stays. What nothing follows waits for `PATIENCE` other frames.
"""

import struct
from dataclasses import dataclass

from byway.sim.wire.internet_checksum import checksum_of, residue
from byway.sim.wire.virtio_net import Gso, VirtioNetHeader

__all__ = ["PATIENCE", "Joined", "ReceiveCoalescer"]

#: Other frames that may follow the last segment of those that are held back.
PATIENCE = 64

_IP = 14
_LEAST_IP_HEADER = 20
_LEAST_TCP_HEADER = 20
_LONGEST_PACKET = 65_535
_TCP = 6
_ACK, _PSH = 0x10, 0x08
_MODULUS = 1 << 32

Joined = tuple[VirtioNetHeader, bytes]
"""A frame for a kernel, and what its header says."""


@dataclass
class _Train:
    """Segments that follow each other; `newest` is the number of the last among all frames."""

    frames: list[bytes]
    header_length: int
    l4: int
    alike: bytes
    mss: int
    next_sequence: int
    length: int
    newest: int = 0


class ReceiveCoalescer:
    """Holds segments back until something else follows, `PATIENCE` others passed, or `flush`."""

    def __init__(self) -> None:
        #: The one that has waited longest first.
        self._trains: dict[bytes, _Train] = {}
        self._taken = 0

    def receive(self, frame: bytes) -> list[Joined]:
        """Take a frame, without FCS; returns what can be handed on, in order."""
        self._taken += 1
        return [*self._take(frame), *self._end_longest_waiting()]

    def _take(self, frame: bytes) -> list[Joined]:
        segment = _segment(frame)
        if segment is None:
            return [*self._end(_flow(frame)), (VirtioNetHeader(), frame)]
        flow, l4, header_length, end = segment
        payload = end - header_length
        sequence = int.from_bytes(frame[l4 + 4 : l4 + 8], "big")
        alike = _alike(frame, l4, header_length)
        done: list[Joined] = []
        train = self._trains.pop(flow, None)
        if train is not None and not (
            train.alike == alike
            and train.next_sequence == sequence
            and payload <= train.mss
            and train.length + payload <= _LONGEST_PACKET
        ):
            done = [_joined(train)]
            train = None
        if train is None:
            train = _Train([], header_length, l4, alike, payload, sequence, header_length - _IP)
        self._trains[flow] = train
        train.newest = self._taken
        train.frames.append(frame[:end])
        train.length += payload
        train.next_sequence = (sequence + payload) % _MODULUS
        if frame[l4 + 13] & _PSH or payload < train.mss:
            done += self._end(flow)
        return done

    def flush(self) -> list[Joined]:
        """What is held back."""
        return [joined for flow in list(self._trains) for joined in self._end(flow)]

    def _end(self, flow: bytes) -> list[Joined]:
        train = self._trains.pop(flow, None)
        return [] if train is None else [_joined(train)]

    def _end_longest_waiting(self) -> list[Joined]:
        """End the train whose time is up: with each frame that of one at most."""
        flow = next(iter(self._trains), None)
        if flow is None or self._taken - self._trains[flow].newest < PATIENCE:
            return []
        return self._end(flow)


def _segment(frame: bytes) -> tuple[bytes, int, int, int] | None:
    """Flow, offsets of L4 header, payload and end of a segment that may be joined; else None."""
    if len(frame) < _IP + _LEAST_IP_HEADER + _LEAST_TCP_HEADER or frame[12:15] != b"\x08\x00\x45":
        return None
    l4 = _IP + _LEAST_IP_HEADER
    end = _IP + int.from_bytes(frame[_IP + 2 : _IP + 4], "big")
    fragment = int.from_bytes(frame[_IP + 6 : _IP + 8], "big") & 0x3FFF
    header_length = l4 + 4 * (frame[l4 + 12] >> 4)
    if frame[_IP + 9] != _TCP or fragment or not l4 + _LEAST_TCP_HEADER <= header_length < end:
        return None
    if end > len(frame) or frame[l4 + 13] & ~_PSH != _ACK or residue(frame[_IP:l4]):
        return None
    pseudo = frame[_IP + 12 : l4] + struct.pack(">HH", _TCP, end - l4)
    if residue(pseudo, frame[l4:end]):
        return None
    return _flow(frame), l4, header_length, end


def _flow(frame: bytes) -> bytes:
    """Addresses and ports, if `frame` is of TCP over IPv4; else nothing that matters."""
    l4 = _IP + 4 * (frame[_IP] & 0xF) if len(frame) > _IP else len(frame)
    return frame[_IP + 12 : _IP + 20] + frame[l4 : l4 + 4]


def _alike(frame: bytes, l4: int, header_length: int) -> bytes:
    """The bytes of a header that all segments of a train share."""
    return b"".join(
        (
            frame[: _IP + 2],
            frame[_IP + 6 : _IP + 10],
            frame[l4 + 8 : l4 + 13],
            frame[l4 + 14 : l4 + 16],
            frame[l4 + 18 : header_length],
        )
    )


def _joined(train: _Train) -> Joined:
    if len(train.frames) == 1:
        return VirtioNetHeader(), train.frames[0]
    l4, header_length = train.l4, train.header_length
    header = bytearray(train.frames[0][:header_length])
    header[_IP + 2 : _IP + 4] = train.length.to_bytes(2, "big")
    header[_IP + 10 : _IP + 12] = bytes(2)
    header[_IP + 10 : _IP + 12] = checksum_of(header[_IP:l4]).to_bytes(2, "big")
    header[l4 + 13] = train.frames[-1][l4 + 13]
    l4_bytes = train.length - _LEAST_IP_HEADER
    pseudo = residue(header[_IP + 12 : l4], struct.pack(">HH", _TCP, l4_bytes))
    header[l4 + 16 : l4 + 18] = pseudo.to_bytes(2, "big")
    frame = bytes(header) + b"".join(part[header_length:] for part in train.frames)
    virtio = VirtioNetHeader(
        needs_checksum=True,
        gso=Gso.TCPV4,
        header_length=header_length,
        mss=train.mss,
        checksum_start=l4,
        checksum_offset=16,
    )
    return virtio, frame
