"""Whoever has the adapter's registers attacks with them: rings, descriptors, doorbells, TCEs.

An owner that still serves its clients on the other rings attacks with a ring of its own alone. It
leaves that ring's interrupts off, since its driver would answer for a ring that it does not know,
and the MAC on, since everybody's frames need it.
"""

import contextlib
import dataclasses
import random
from collections.abc import Callable, Sequence

from byway.rtl.contract.model import register_space
from byway.sim.fuzz.names import Names, random_hcall
from byway.sim.fuzz.partition import FuzzedPartition
from byway.sim.fuzz.plan import DESIGNS
from byway.sw.contract.records import ScatterGatherEntry, TransmitDescriptor
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    AdapterPage,
    DoorbellPage,
    RingOffloads,
    RingRegisters,
)
from byway.sw.manager.adapter_sharing import AdapterAssignment
from byway.sw.manager.connection import ServerEnd
from byway.sw.manager.memory import PAGE_SIZE, PartitionFault
from byway.sw.manager.register_page import RegisterPage
from byway.sw.vnic.codes import CRQ_COMMAND

__all__ = ["RingAttack"]

#: Action -> how often; what an owner does that attacks with a ring of its own, and one that
#: attacks everybody.
_OWN = {
    "program": 4,
    "ring_register": 3,
    "descriptors": 3,
    "doorbell": 4,
    "map_own": 3,
    "unmap": 2,
}
_EVERYBODY = {
    **_OWN,
    "any_register": 4,
    "redirect": 5,
    "copy": 2,
    "hcalls": 4,
    "message": 2,
    "element": 2,
    "scribble": 2,
    "switch_mac": 0.5,
    "leave": 0.2,
}
_LENGTHS = (14, 15, 60, 64, 100, 200, 400, 1514)
_ENTRY = TransmitDescriptor.SIZE
#: Of the largest design.
_RINGS = 1 + max(design.hosted for design in DESIGNS)
#: Offsets in the adapter page at which there is something.
_KNOWN = [
    address - ADAPTER_PAGE
    for _path, address, _register in register_space(rings=_RINGS).registers()
    if ADAPTER_PAGE <= address < ADAPTER_PAGE + PAGE_SIZE
]


class RingAttack:
    """Attacks from `partition`, which owns the adapter.

    Parameters
    ----------
    partition : FuzzedPartition
    assignment : AdapterAssignment
    ends : sequence of ServerEnd
        Its connections with its clients.
    names : Names
    rng : random.Random
    everybody : bool
        Attack with every ring and by every means; otherwise with ring 0.
    """

    def __init__(
        self,
        partition: FuzzedPartition,
        assignment: AdapterAssignment,
        ends: Sequence[ServerEnd],
        names: Names,
        rng: random.Random,
        *,
        everybody: bool,
    ):
        self._partition = partition
        self._assignment = assignment
        self._ends = ends
        self._names = names
        self._rng = rng
        self._everybody = everybody
        self._rings = range(len(assignment.liobn)) if everybody else range(1)
        self._page = AdapterPage(assignment.adapter_page)
        weights = _EVERYBODY if everybody else _OWN
        self._actions: list[Callable[[], None]] = [getattr(self, name) for name in weights]
        self._weights = list(weights.values())
        self._pages = assignment.window_bytes // PAGE_SIZE
        #: Ring -> pages of its window that it has put to use.
        self._used: dict[int, list[int]] = {ring: [] for ring in self._rings}
        #: Ring -> page of memory in which its descriptors lie.
        self._descriptors: dict[int, int] = {}
        self._produced = dict.fromkeys(self._rings, 0)

    def choose(self) -> Callable[[], None]:
        """What to do next.

        It may raise `OSError` for an access that the adapter refuses, `PartitionFault` for one that
        the manager does, `ValueError` for a number that fits no register.
        """
        return self._rng.choices(self._actions, self._weights)[0]

    # Actions with a ring

    def program(self) -> None:
        """Set a ring up as a driver would, mostly, with descriptors of any kind."""
        rng = self._rng
        ring = rng.choice(self._rings)
        registers = self._page.ring[ring]
        if rng.random() < 0.8:
            registers.control.write(enable=0)
        descriptors, completions = rng.sample(self._partition.block, 2)
        places = [
            self._map(ring, descriptors, rng.choice((1, 1, 1, 3))),
            self._map(ring, completions, rng.choice((2, 2, 2, 3))),
        ]
        for page in rng.sample(self._partition.block, 2):
            self._map(ring, page, rng.choice((1, 1, 3, 2)))
        registers.descriptor_base.write(page=places[0])
        registers.completion_base.write(page=places[1])
        registers.size.write(size_log2=rng.choice((4, 4, 5, 7, 0, 15)))
        granted = {field.name: 1 for field in dataclasses.fields(RingOffloads)}
        granted[rng.choice(("checksum_udp", "large_send_v6", "checksum_generic"))] = 0
        registers.offloads.write(**granted)
        self._descriptors[ring] = descriptors
        self._produced[ring] = 0
        self._write_descriptors(ring, 0, 16)
        registers.control.write(enable=1)
        if self._everybody and rng.random() < 0.5:
            self._page.mac_control.write(transmit_enable=1)
        self._ring(ring, rng.randint(1, 8))

    def ring_register(self) -> None:
        """Write any register of a ring."""
        rng = self._rng
        ring = rng.choice(self._rings)
        registers = self._page.ring[ring]
        kind = rng.randrange(8)
        if kind == 0:
            registers.descriptor_base.write(page=self._some_page(ring))
        elif kind == 1:
            registers.completion_base.write(page=self._some_page(ring))
        elif kind == 2:
            registers.size.write(size_log2=rng.randrange(16))
        elif kind == 3:
            registers.control.write(enable=rng.randrange(2))
        elif kind == 4:
            registers.interrupt_status.write(completion=1, stopped=1)
        elif kind == 5:
            registers.status.read()
        elif kind == 6 and self._everybody:
            registers.interrupt_enable.write(completion=rng.randrange(2), stopped=rng.randrange(2))
        else:
            self._restart(registers)

    def descriptors(self) -> None:
        """Write over descriptors that the adapter may be reading, and announce them."""
        rng = self._rng
        if not self._descriptors:
            return self.program()
        ring = rng.choice(list(self._descriptors))
        self._write_descriptors(ring, rng.randrange(64), rng.randint(1, 6))
        self._ring(ring, rng.randint(0, 4))
        return None

    def doorbell(self) -> None:
        """Ring a doorbell, for some entries more or for any number."""
        ring = self._rng.choice(self._rings)
        if self._rng.random() < 0.85:
            self._ring(ring, self._rng.randint(0, 6))
        else:
            page = self._assignment.doorbell[ring]
            page.write(self._rng.choice((0, 0, 4, 8, 0x400)), self._value())

    def map_own(self) -> None:
        """Map a page of its own anywhere, over whatever is there."""
        ring = self._rng.choice(self._rings)
        page = self._rng.choice(self._partition.block)
        self._map(ring, page, self._rng.randrange(4), anywhere=self._rng.random() < 0.3)

    def unmap(self) -> None:
        """Take something away that the adapter may be using."""
        ring = self._rng.choice(self._rings)
        place = self._some_page(ring) % self._pages
        self._partition.hcalls.h_put_tce(self._assignment.liobn[ring], place * PAGE_SIZE, 0)

    # Actions against everybody

    def any_register(self) -> None:
        """Write or read anything in the pages that it has."""
        rng = self._rng
        assignment = self._assignment
        pages: list[RegisterPage] = [assignment.adapter_page] * 6
        pages += [assignment.identity_page, *assignment.doorbell]
        page = rng.choice(pages)
        for _ in range(rng.randint(1, 3)):
            offset = rng.choice(_KNOWN) if rng.random() < 0.8 else rng.randrange(1024) * 4
            with contextlib.suppress(OSError, PartitionFault):
                if rng.random() < 0.25:
                    page.read(offset)
                else:
                    page.write(offset, self._value())

    def redirect(self) -> None:
        """Clone what a client has mapped into any ring's window, its own or another's."""
        rng = self._rng
        if not self._ends:
            return
        end = rng.choice(self._ends)
        ring = rng.choice(self._rings)
        count = rng.choice((1, 1, 2, 8))
        source = rng.randrange(end.rtce_table.pages)
        place = rng.randrange(self._pages)
        liobn, ioba = self._assignment.liobn[ring], place * PAGE_SIZE
        hcalls = self._partition.hcalls
        if rng.random() < 0.3:
            # What has a clone already can be cloned once that one has gone.
            hcalls.h_remove_rtce(end.r_liobn, source * PAGE_SIZE, liobn, ioba, count, 0)
        _code, done = hcalls.h_put_rtce(end.r_liobn, source * PAGE_SIZE, liobn, ioba, count)
        self._used[ring] += range(place, place + min(done, count))

    def copy(self) -> None:
        """Have the manager copy between clients, or into its own memory."""
        rng = self._rng
        if not self._ends:
            return
        panes = [end.r_liobn for end in self._ends] + [end.liobn for end in self._ends]
        self._partition.hcalls.h_copy_rdma(
            rng.choice((1, 64, PAGE_SIZE, 9000)),
            rng.choice(panes),
            rng.randrange(64) * PAGE_SIZE,
            rng.choice(panes),
            rng.randrange(64) * PAGE_SIZE,
        )

    def hcalls(self) -> None:
        """Make arbitrary hcalls."""
        for _ in range(self._rng.randint(1, 4)):
            random_hcall(self._rng, self._partition.partition, self._names)

    def message(self) -> None:
        """Send a client any command or response."""
        rng = self._rng
        if self._ends:
            high = CRQ_COMMAND << 56 | rng.randrange(128) << 48 | rng.getrandbits(48)
            unit = rng.choice(self._ends).unit
            self._partition.hcalls.h_send_crq(unit, high, rng.getrandbits(64))

    def element(self) -> None:
        """Send a client completions of frames that it did or did not send."""
        rng = self._rng
        if not self._ends:
            return
        end = rng.choice(self._ends)
        if end.partner is not None and end.partner.sub_crqs:
            handle = rng.choice(list(end.partner.sub_crqs))
            first = (
                CRQ_COMMAND << 56 | rng.randint(0, 6) << 48 | rng.choice((0, rng.getrandbits(48)))
            )
            words = [rng.choice((0, 1, rng.getrandbits(64))) for _ in range(3)]
            self._partition.hcalls.h_send_sub_crq(
                end.unit, handle, first, words[0], words[1], words[2]
            )

    def scribble(self) -> None:
        """Write into its own memory: rings, queues, lists, whatever lies there."""
        memory = self._partition.memory
        address = self._rng.randrange(memory.size // 16) * 16
        memory.write(address, self._rng.randbytes(self._rng.choice((1, 8, 16))))

    def switch_mac(self) -> None:
        """Let frames leave, or not."""
        self._page.mac_control.write(transmit_enable=self._rng.randrange(2))

    def leave(self) -> None:
        """Part from a client in the middle of everything."""
        if self._ends:
            self._partition.hcalls.h_free_crq(self._rng.choice(self._ends).unit)

    # Parts of them

    def _map(self, ring: int, page: int, access: int, *, anywhere: bool = False) -> int:
        """Map a page of its memory in the window of `ring`; returns where."""
        rng = self._rng
        # Beyond what drivers map, unless it is to be over that.
        place = rng.randrange(1, self._pages) if anywhere else self._pages - 1 - rng.randrange(32)
        tce = page * PAGE_SIZE | access
        self._partition.hcalls.h_put_tce(self._assignment.liobn[ring], place * PAGE_SIZE, tce)
        self._used[ring].append(place)
        return place

    def _some_page(self, ring: int) -> int:
        used = self._used[ring]
        if used and self._rng.random() < 0.7:
            return self._rng.choice(used)
        return self._rng.choice(
            (self._rng.randrange(1, 96), self._rng.randrange(1 << 12), self._rng.getrandbits(52))
        )

    def _address(self, ring: int) -> int:
        rng = self._rng
        if rng.random() < 0.03:
            return rng.getrandbits(64)
        place = rng.choice(self._used[ring]) if self._used[ring] else 1
        if rng.random() < 0.15:
            place = rng.randrange(1, 96)
        return place * PAGE_SIZE + rng.choice((0, 0, rng.randrange(PAGE_SIZE), PAGE_SIZE - 20))

    def _ring(self, ring: int, more: int) -> None:
        self._produced[ring] = self._produced[ring] + more & 0xFFFF
        DoorbellPage(self._assignment.doorbell[ring]).transmit.write(producer=self._produced[ring])

    def _restart(self, registers: RingRegisters) -> None:
        registers.control.write(enable=0)
        registers.control.write(enable=1)

    def _write_descriptors(self, ring: int, first: int, count: int) -> None:
        page = self._descriptors[ring] * PAGE_SIZE
        entries: list[bytes] = []
        while len(entries) < count:
            entries += self._frame(ring)
        for number, entry in enumerate(entries, first):
            place = page + number % (PAGE_SIZE // _ENTRY) * _ENTRY
            self._partition.memory.write(place, entry)

    def _frame(self, ring: int) -> list[bytes]:
        """Entries of a frame: mostly a good one, or one with a wrong field, or garbage."""
        rng = self._rng
        if rng.random() < 0.08:
            return [rng.randbytes(_ENTRY)]
        lengths = [rng.choice(_LENGTHS) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        fields = {
            "address": self._address(ring),
            "fragment_length": lengths[0],
            "fragments": len(lengths),
            "total_length": sum(lengths),
            "correlator": rng.getrandbits(32),
        }
        if rng.random() < 0.3:
            fields |= self._offloads()
        if rng.random() < 0.15:
            name, width = rng.choice(_FIELDS)
            fields[name] = rng.choice((0, 1, (1 << width) - 1, rng.getrandbits(width)))
        entries = [TransmitDescriptor(**fields).pack()]
        for at in range(1, len(lengths), 2):
            second = lengths[at + 1] if at + 1 < len(lengths) else 0
            entries.append(
                ScatterGatherEntry(
                    first_address=self._address(ring),
                    first_length=lengths[at],
                    second_address=self._address(ring),
                    second_length=second,
                ).pack()
            )
        return entries

    def _offloads(self) -> dict[str, int]:
        """Fields that ask for something, and go together."""
        rng = self._rng
        ipv6 = rng.randrange(3) == 0
        l4 = 54 if ipv6 else 34
        fields = {"ip_offset": 14, "l4_offset": l4, "ipv6": ipv6, "checksum_ipv4": not ipv6}
        fields["insert_vlan"] = rng.randrange(4) == 0
        size = {"mss": rng.choice((64, 200, 536)), "header_length": l4 + 20}
        generic = {"checksum_start": l4 + 8, "checksum_offset": rng.choice((0, 0, 2, 6))}
        return fields | rng.choice(
            (
                {"checksum_tcp": 1},
                {"checksum_tcp": 1},
                {"large_send": 1, **size},
                {"large_send": 1, **size},
                {"large_send": 1, **size},
                {"udp_segmentation": 1, **size},
                {"checksum_generic": 1, "checksum_udp": 1, **generic},
            )
        )

    def _value(self) -> int:
        rng = self._rng
        return rng.choice(
            (
                0,
                1,
                1,
                3,
                0xFFFF_FFFF,
                rng.randrange(64),
                rng.randrange(64) << 12,
                rng.getrandbits(32),
            )
        )


_FIELDS = [
    (name, member.metadata["mask"].bit_length())
    for name, member in TransmitDescriptor.__dataclass_fields__.items()
    if "mask" in member.metadata
]
