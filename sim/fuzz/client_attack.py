"""A hosted partition that attacks: its server, the adapter through it, and the other partitions."""

import contextlib
import random
from collections.abc import Callable

from byway.sim.fuzz.names import Names, random_hcall
from byway.sim.fuzz.partition import FuzzedPartition
from byway.sw.generic_checksum import GenericChecksum
from byway.sw.hosted.hosted_driver import HostedDriver
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.stack.network_device import Fragment, Frame, Offload
from byway.sw.vnic.codes import CRQ_COMMAND
from byway.sw.vnic.commands import RequestMap, RequestUnmap
from byway.sw.vnic.descriptors import ScatterGatherEntry, TransmitFlag, TransmitFrame

__all__ = ["ClientAttack"]

#: Action -> how often.
_WEIGHTS = {
    "send": 8,
    "submit": 5,
    "garble": 2,
    "hcalls": 4,
    "revoke": 4,
    "remap": 3,
    "ask_for_a_map": 3,
    "message": 3,
    "scribble": 2,
    "leave": 0.3,
}
_LENGTHS = (1, 7, 14, 59, 60, 64, 100, 300, 1000)
_ELEMENT = 32


class ClientAttack:
    """Attacks from `partition`, a client of the hosting interface.

    Its driver has set it up, so that it has a ring and maps to misuse.

    Parameters
    ----------
    partition : FuzzedPartition
    device : HostedDriver
    names : Names
    rng : random.Random
    """

    def __init__(
        self, partition: FuzzedPartition, device: HostedDriver, names: Names, rng: random.Random
    ):
        self._partition = partition
        self._device = device
        self._names = names
        self._rng = rng
        assert partition.connection is not None
        self._end = partition.connection.client
        self._actions: list[Callable[[], None]] = [getattr(self, name) for name in _WEIGHTS]
        self._maps: dict[int, int] = {}
        self._mapped: list[int] = []
        for _ in range(2):
            page = partition.free.pop(0)
            with contextlib.suppress(RuntimeError, ValueError):
                self._maps[device.map(page * PAGE_SIZE, PAGE_SIZE)] = page
        self._find_mapped()

    def choose(self) -> Callable[[], None]:
        """What to do next. It raises whatever its own software makes of it."""
        return self._rng.choices(self._actions, list(_WEIGHTS.values()))[0]

    # Actions

    def send(self) -> None:
        """Send as it should: there must be something under way that can be disturbed."""
        rng = self._rng
        frames = []
        for _ in range(rng.randint(1, 3)):
            mapping, page = rng.choice(list(self._maps.items()))
            length = rng.choice((40, 150, 600, 1600))
            offset = rng.randint(0, PAGE_SIZE - length)
            payload = (Fragment(mapping, page * PAGE_SIZE + offset, length),)
            header = rng.randbytes(54)
            large = length > 1500 or rng.random() < 0.3
            if large:
                mss, is_udp = rng.choice((64, 200, 536)), rng.random() < 0.3
                offload = Offload(mss=mss, udp_segmentation=is_udp, l3_length=20, l4_length=20)
            else:
                offload = Offload(generic=GenericChecksum(34, 16) if rng.random() < 0.2 else None)
            frames.append(Frame(header, payload, offload))
        self._device.transmit(frames)

    def submit(self) -> None:
        """Describe a frame that its driver would not."""
        rng = self._rng
        flags = TransmitFlag(rng.choice((0x80, 0x80, 0xC4, 0xD4, 0xF4, 0xEC, rng.randrange(256))))
        generic = GenericChecksum(rng.choice((14, 34, 54, 7, 65535)), rng.choice((0, 6, 16, 65535)))
        entries = tuple(self._entry() for _ in range(rng.choice((1, 1, 1, 2, 3, 8, 31))))
        frame = TransmitFrame(
            correlator=rng.getrandbits(32),
            flags=flags,
            vlan_tag=rng.getrandbits(16) if rng.random() < 0.05 else None,
            generic=generic if rng.random() < 0.15 else None,
            mss=rng.choice((0, 1, 63, 64, 200, 9000, 65535)),
            l2_length=rng.choice((14, 14, 14, 0, 18, 255)),
            l3_length=rng.choice((20, 20, 20, 0, 60, 65535)),
            l4_length=rng.choice((20, 20, 20, 8, 0, 255)),
            ethernet_header=rng.randbytes(14),
            entries=entries,
        )
        for element in frame.pack():
            if rng.random() < 0.02:
                continue
            self._send_element(element)

    def garble(self) -> None:
        """Send elements that are no description of anything."""
        for _ in range(self._rng.randint(1, 4)):
            kind = self._rng.choice((0x10, 0x11, 0x12, 0x30, 0, 0xFF))
            self._send_element(bytes((CRQ_COMMAND, kind)) + self._rng.randbytes(_ELEMENT - 2))

    def hcalls(self) -> None:
        """Make arbitrary hcalls."""
        for _ in range(self._rng.randint(1, 4)):
            random_hcall(self._rng, self._partition.partition, self._names)

    def revoke(self) -> None:
        """Take back what the adapter may be reading, and write something else there."""
        rng = self._rng
        self._find_mapped()
        index = rng.choice(self._mapped) if self._mapped else 1
        count = rng.choice((1, 1, 2, 8))
        call = self._partition.hcalls
        if count == 1:
            call.h_put_tce(self._end.liobn, index * PAGE_SIZE, rng.choice((0, 2)))
        else:
            call.h_stuff_tce(self._end.liobn, index * PAGE_SIZE, 0, count)
        for page in self._partition.block:
            if rng.random() < 0.5:
                self._partition.mark(page)

    def remap(self) -> None:
        """Put a page of its own where another is, with any permission."""
        rng = self._rng
        index = rng.choice(self._mapped) if self._mapped else rng.randrange(64)
        tce = rng.choice(self._partition.block) * PAGE_SIZE | rng.randrange(4)
        self._partition.hcalls.h_put_tce(self._end.liobn, index * PAGE_SIZE, tce)

    def ask_for_a_map(self) -> None:
        """Ask the server to let the adapter reach something, or to forget it."""
        rng = self._rng
        number = rng.choice((*self._maps, rng.randrange(1, 256)))
        if rng.random() < 0.6:
            ioba = rng.choice((rng.randrange(1 << 20), rng.getrandbits(32)))
            self._send_message(RequestMap(number, ioba, rng.choice((1, PAGE_SIZE, 9000))).pack())
        else:
            self._send_message(RequestUnmap(number).pack())

    def message(self) -> None:
        """Send any command."""
        rng = self._rng
        code = rng.randrange(64) | rng.choice((0, 0, 0x80))
        self._send_message(bytes((CRQ_COMMAND, code)) + rng.randbytes(14))

    def scribble(self) -> None:
        """Write into its own memory: queues, lists, headers, whatever lies there."""
        pages = self._partition.memory.size // PAGE_SIZE
        page = self._rng.randrange(pages)
        if page not in self._partition.block:
            address = page * PAGE_SIZE + self._rng.randrange(PAGE_SIZE // 16) * 16
            self._partition.memory.write(address, self._rng.randbytes(self._rng.choice((1, 16))))

    def leave(self) -> None:
        """Deregister in the middle of everything; sometimes come again."""
        self._partition.hcalls.h_free_crq(self._end.unit)
        if self._rng.random() < 0.5:
            self._device.partner_gone()

    # Parts of them

    def _find_mapped(self) -> None:
        window = self._end.window
        self._mapped = [n for n in range(window.pages) if window.entry(n).read]

    def _entry(self) -> ScatterGatherEntry:
        rng = self._rng
        number = rng.choice((*self._maps, 1, rng.randrange(1, 256)))
        index = rng.choice(self._mapped) if self._mapped else rng.randrange(64)
        ioba = rng.choice((index * PAGE_SIZE, index * PAGE_SIZE + rng.randrange(PAGE_SIZE)))
        if rng.random() < 0.05:
            ioba = rng.getrandbits(64)
        return ScatterGatherEntry(number, ioba, rng.choice(_LENGTHS))

    def _send_element(self, element: bytes) -> None:
        handle = self._submission()
        words = [int.from_bytes(element[at : at + 8], "big") for at in range(0, _ELEMENT, 8)]
        self._partition.hcalls.h_send_sub_crq(
            self._end.unit, handle, words[0], words[1], words[2], words[3]
        )

    def _submission(self) -> int:
        granted = self._device.granted
        handles = [handle for _owner, handle in self._names.handles] or [0]
        known = granted is not None and self._rng.random() < 0.97
        return granted.submission if known and granted else self._rng.choice(handles)

    def _send_message(self, element: bytes) -> None:
        high, low = (int.from_bytes(part, "big") for part in (element[:8], element[8:]))
        self._partition.hcalls.h_send_crq(self._end.unit, high, low)
