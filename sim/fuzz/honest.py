"""A well-behaved partition: it sends frames of marked memory, and knows what must arrive."""

import random
import struct
from dataclasses import dataclass, field

from byway.sim.fuzz.partition import FuzzedPartition
from byway.sim.wire.internet_checksum import checksum_of
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, NetworkDevice, Offload

__all__ = ["HonestSender", "Sent"]

_MINIMUM_FRAME = 60
_DESTINATION = bytes.fromhex("0200000000ff")
_ETHERTYPE, _IPV4, _TCP = 0x88B5, 0x0800, 6
_IP = struct.Struct(">BBHHHBBH4s4s")
_TCP_HEADER = struct.Struct(">HHIIBBHHH")
_HEADERS = 14 + _IP.size + _TCP_HEADER.size
_FINAL_FLAGS = 0x09  # FIN and PSH are for the last segment only.
#: Mapped ranges, and pages of each.
_RANGES, _PAGES = 2, 2


@dataclass
class Sent:
    """A frame that was handed over: what must be on the wire, and what became of it."""

    wire: tuple[bytes, ...]
    outcomes: list[FrameOutcome] = field(default_factory=list)


class HonestSender:
    """Sends from `partition` over its device.

    Parameters
    ----------
    partition : FuzzedPartition
    device : NetworkDevice
        With its link up.
    rng : random.Random

    Attributes
    ----------
    sent : list of Sent
        All frames that the device took, in order.
    """

    def __init__(self, partition: FuzzedPartition, device: NetworkDevice, rng: random.Random):
        self.sent: list[Sent] = []
        self._partition = partition
        self._device = device
        self._rng = rng
        self._nonce = rng.randbytes(6)
        self._number = 0
        self._mappings: dict[int, int] = {}
        for _ in range(_RANGES):
            pages = [partition.free.pop() for _ in range(_PAGES)]
            self._map(min(pages))

    def signed(self, data: bytes) -> bool:
        """Whether a frame begins as its plain ones do, which nobody else can know."""
        return data.startswith(self._plain_header())

    @property
    def settled(self) -> bool:
        """It is known what became of every frame."""
        return all(sent.outcomes for sent in self.sent)

    @property
    def link_up(self) -> bool:
        """Its device takes frames."""
        return self._device.link_up

    def act(self) -> str:
        """Send something, or turn a range of memory over; returns what was done.

        The link must be up.
        """
        if self._rng.random() < 0.12 and self.settled:
            return self._turn_over()
        if self._rng.random() < 0.2 and self._device.features.large_send_v4:
            self._send([self._super_frame()])
            return "super-frame"
        self._send([self._frame() for _ in range(self._rng.randint(1, 2))])
        return "frames"

    def panic(self) -> None:
        """Take every page back at once, whatever is under way, and write something else there.

        It must be a client.
        """
        hcalls, liobn = self._partition.hcalls, self._partition.liobn
        pages = self._partition.window_pages
        for first in range(0, pages, 512):
            hcalls.h_stuff_tce(liobn, first * PAGE_SIZE, 0, min(512, pages - first))
        for address in self._mappings.values():
            self._partition.mark(address // PAGE_SIZE, _PAGES)

    def _map(self, page: int) -> None:
        self._partition.mark(page, _PAGES)
        address = page * PAGE_SIZE
        self._mappings[self._device.map(address, _PAGES * PAGE_SIZE)] = address

    def _turn_over(self) -> str:
        """Take a range back, write something else there, and map it again."""
        mapping = self._rng.choice(list(self._mappings))
        address = self._mappings.pop(mapping)
        self._device.unmap(mapping)
        self._map(address // PAGE_SIZE)
        return "turn over"

    def _send(self, frames: list[tuple[Frame, Sent]]) -> None:
        taken = self._device.transmit([frame for frame, _sent in frames])
        self.sent += [sent for _frame, sent in frames[:taken]]

    def _payload(self, length: int) -> tuple[tuple[Fragment, ...], bytes]:
        """Fragments with so many bytes in all, and the bytes."""
        fragments, data = [], b""
        while length:
            count = min(length, self._rng.choice((1, 7, 64, 500, 9000)) or length)
            if len(fragments) == 2:
                count = length
            mapping, base = self._rng.choice(list(self._mappings.items()))
            count = min(count, _PAGES * PAGE_SIZE)
            address = base + self._rng.randint(0, _PAGES * PAGE_SIZE - count)
            fragments.append(Fragment(mapping, address, count))
            data += self._partition.memory.read(address, count)
            length -= count
        return tuple(fragments), data

    def _plain_header(self) -> bytes:
        return (
            _DESTINATION + self._device.features.mac + _ETHERTYPE.to_bytes(2, "big") + self._nonce
        )

    def _frame(self) -> tuple[Frame, Sent]:
        self._number += 1
        header = self._plain_header() + self._number.to_bytes(4, "big")
        fragments, data = self._payload(self._rng.choice((0, 5, 40, 40, 150, 400)))
        sent = Sent(((header + data).ljust(_MINIMUM_FRAME, b"\0"),))
        return Frame(header=header, payload=fragments, on_complete=sent.outcomes.append), sent

    def _super_frame(self) -> tuple[Frame, Sent]:
        """A super-frame of TCP over IPv4, and the segments it must become."""
        rng = self._rng
        mac = self._device.features.mac
        mss = rng.randint(64, 250)
        fragments, data = self._payload(rng.randint(1, 4 * mss))
        flags = 0x10 | rng.choice((0, 0x09))
        number, identification = rng.getrandbits(32), rng.getrandbits(16)
        ethernet = _DESTINATION + mac + _IPV4.to_bytes(2, "big")
        # The addresses sign the frame: the adapter leaves them as they are.
        self._number += 1
        source = b"\x0a" + self._nonce[:3]
        destination = self._nonce[3:] + bytes((self._number & 0xFF,))

        def segment(payload: bytes, at: int, last: bool, *, summed: bool) -> bytes:
            length = _IP.size + _TCP_HEADER.size + len(payload)
            count = at // mss
            fields = (0x45, 0, length, (identification + count) & 0xFFFF, 0, 64, _TCP)
            ip = _IP.pack(*fields, 0, source, destination)
            shown = flags if last else flags & ~_FINAL_FLAGS
            tcp = _TCP_HEADER.pack(1, 2, (number + at) % (1 << 32), 0, 0x50, shown, 512, 0, 0)
            if not summed:
                return ethernet + ip + tcp
            ip = _IP.pack(*fields, _checksum(ip), source, destination)
            pseudo = source + destination + struct.pack(">HH", _TCP, length - _IP.size)
            check = struct.pack(">H", _checksum(pseudo, tcp + payload))
            return ethernet + ip + tcp[:16] + check + tcp[18:] + payload

        starts = range(0, len(data), mss)
        wire = tuple(
            segment(data[at : at + mss], at, at + mss >= len(data), summed=True).ljust(
                _MINIMUM_FRAME, b"\0"
            )
            for at in starts
        )
        sent = Sent(wire)
        frame = Frame(
            header=segment(b"", 0, True, summed=False),
            payload=fragments,
            offload=Offload(mss=mss, l2_length=14, l3_length=_IP.size, l4_length=_TCP_HEADER.size),
            on_complete=sent.outcomes.append,
        )
        return frame, sent


def _checksum(*parts: bytes) -> int:
    """As IPv4 and TCP are sent: of the two that mean the same, 0 and not all ones."""
    return checksum_of(*parts) % 0xFFFF
