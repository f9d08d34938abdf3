"""A partition that sends as much as its device takes: frames of all sizes, without a stack."""

import random
from collections import Counter

from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.partition import Partition
from byway.sw.stack.network_device import Fragment, Frame, FrameOutcome, NetworkDevice, Offload

__all__ = ["FILLING", "HEADERS", "MOST_IDLE", "Flood"]

#: What the payload of every frame consists of, behind so many bytes of headers.
FILLING = b"\x11"
HEADERS = 54

#: Payload of the frames, of which so many are under way at a time.
_SIZES = (46, 1400, 9_000, 40_000)
_UNDER_WAY = 6
_MSS = 1400

#: Cycles for which the wire may idle when the ring of a flood is reset: what had been handed on
#: passes the adapter unread, 3 cycles for each burst and 2 for each segment, and if no frame of
#: another is among it, the wire meanwhile lives on what is in the frame buffer.
MOST_IDLE = _UNDER_WAY * (3 * (max(_SIZES) // 256 + 3) + 2 * (max(_SIZES) // _MSS + 1))


class Flood:
    """See the module.

    Parameters
    ----------
    partition : Partition
    device : NetworkDevice
        Of that partition.
    rng : random.Random
        Chooses sizes.

    Attributes
    ----------
    outcomes : Counter
        What became of the frames.
    address, length : int
        Where all of them are from, in the partition's memory.
    """

    def __init__(self, partition: Partition, device: NetworkDevice, rng: random.Random):
        self.outcomes: Counter[FrameOutcome] = Counter()
        self.length = max(_SIZES)
        self.address = partition.memory.allocate(self.length, align=PAGE_SIZE)
        self._device = device
        self._rng = rng
        self._under_way = 0
        partition.memory.write(self.address, FILLING * self.length)
        self._mapping = device.map(self.address, self.length)
        source = device.features.mac
        self._ethernet = bytes.fromhex("0200000000fe") + source + b"\x08\x00"

    def pump(self) -> None:
        """Send what there is room for."""
        for _frame in range(_UNDER_WAY - self._under_way):
            if self._device.free_entries:
                self._under_way += 1
                if not self._device.transmit([self._frame(self._rng.choice(_SIZES))]):
                    self._under_way -= 1

    def _frame(self, length: int) -> Frame:
        ip = bytes.fromhex("4500") + (40 + length).to_bytes(2, "big")
        ip += bytes.fromhex("0000400040060000") + bytes((10, 9, 0, 1)) + bytes((10, 9, 0, 2))
        tcp = bytes.fromhex("0400005000000000000000005018ffff00000000")
        offload = Offload(
            checksum_ipv4=True,
            checksum_tcp=True,
            mss=_MSS if length > _MSS else 0,
            l2_length=14,
            l3_length=20,
            l4_length=20,
        )
        fragment = Fragment(self._mapping, self.address, length)
        return Frame(self._ethernet + ip + tcp, (fragment,), offload, self._completed)

    def _completed(self, outcome: FrameOutcome) -> None:
        self.outcomes[outcome] += 1
        self._under_way -= 1
