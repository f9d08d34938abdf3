"""A window and a ring of the adapter, programmed by hand with the generated accessors.

The flow plays the partition manager (`Window`) and the adapter driver (`Ring`), as simply as they
can be, and knows no more than the contract.
"""

import random
from collections.abc import Sequence
from dataclasses import fields

from byway.sim.flows.flow import PAGE, Bench
from byway.sim.flows.frames import Frame
from byway.sw.contract.records import (
    Completion,
    ScatterGatherEntry,
    TranslationControlEntry,
    TransmitDescriptor,
    TransmitStatus,
)
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    MANAGER_PAGE,
    WINDOW_PAGE,
    AdapterPage,
    DoorbellPage,
    InvalidateScope,
    ManagerPage,
    RingOffloads,
    RingStopReason,
    WindowPage,
)

__all__ = ["Ring", "Window", "pieces_of"]

_TABLE_ENTRIES = PAGE // TranslationControlEntry.SIZE
_INDEXES = 1 << 16
#: Long enough for whatever a ring holds to leave.
_FULL_RING_CYCLES = 200_000


class Window:
    """Window `number`, bound to the requester of the same number, over scattered pages.

    Parameters
    ----------
    bench : Bench
    number : int
    entries : int
        Its extent in pages, at most those of a table of one page.
    """

    def __init__(self, bench: Bench, number: int, entries: int = _TABLE_ENTRIES):
        self.number = number
        self.entries = entries
        self.manager = ManagerPage(bench.registers, MANAGER_PAGE)
        self._bench = bench
        self._memory = bench.memory
        self._pages: dict[int, int] = {}
        self._taken: set[int] = set()
        # The live entries: page, reading, writing.
        self._live: dict[int, tuple[int, bool, bool]] = {}
        self.table = self._memory.take_page()
        self.registers = WindowPage(bench.registers, WINDOW_PAGE).window[number]
        self.registers.size.write(entries=entries)
        self.use_table(self.table)
        self.manager.binding[number].write(valid=1, window=number)

    def use_table(self, page: int) -> None:
        """Have the entries read from system page `page`."""
        self._memory.readable.add(page)
        self.registers.control.write(enable=0)
        self.registers.table_base.write(page=page)
        self.registers.control.write(enable=1)

    def _set(self, index: int, entry: TranslationControlEntry) -> None:
        address = self.table * PAGE + index * entry.SIZE
        self._memory.software.write(address, entry.pack())

    def map(self, index: int, *, read: bool = True, write: bool = False) -> None:
        """Map page `index`, to the page it had before if there was one.

        A live entry that permits something else is taken back before.
        """
        if index not in self._pages:
            self._pages[index] = self._memory.take_page()
        wanted = (self._pages[index], read, write)
        if self._live.get(index, wanted) != wanted:
            self.unmap(index)
        self._grant(index, *wanted)

    def is_mapped(self, index: int) -> bool:
        """Whether page `index` has a live entry."""
        return index in self._live

    def spoil(self, index: int) -> None:
        """Map page `index` to where every access is an error, until it is unmapped."""
        self.unmap(index)
        self._grant(index, self._memory.broken, True, True)

    def _grant(self, index: int, page: int, read: bool, write: bool) -> None:
        self._live[index] = (page, read, write)
        self._set(index, TranslationControlEntry(read=read, write=write, rpn=page))
        if read:
            self._memory.readable.add(page)
        if write:
            self._memory.writable.add(page)

    def unmap(self, index: int) -> None:
        """Take page `index` away; when this returns, no beat of it may be on its way."""
        self._set(index, TranslationControlEntry())
        self.manager.invalidate_page.write(index=index)
        self.invalidate(InvalidateScope.PAGE)
        self._live.pop(index, None)
        for page in (self._pages[index], self._memory.broken):
            self._memory.readable.discard(page)
            self._memory.writable.discard(page)

    def invalidate(self, scope: InvalidateScope = InvalidateScope.WINDOW) -> None:
        """Have the bridge forget the window's entries, and wait until it has."""
        self.manager.invalidate.write(start=1, scope=scope, window=self.number)
        busy = self.manager.invalidate_status.read
        self._bench.wait_for(lambda: not busy().busy, "end of the invalidation")

    def take(self, size: int, offset: int = 0, *, read: bool = True, write: bool = False) -> int:
        """I/O bus address of `size` bytes that nobody uses, `offset` bytes into a page."""
        count = -(-(offset + size) // PAGE)
        first = next(
            first
            for first in range(self.entries - count + 1)
            if self._taken.isdisjoint(range(first, first + count))
        )
        for index in range(first, first + count):
            self._taken.add(index)
            self.map(index, read=read, write=write)
        return first * PAGE + offset

    def give_back(self, address: int, size: int) -> None:
        """What `take` gave may be taken again; it stays mapped."""
        self._taken.difference_update(range(address // PAGE, (address + size - 1) // PAGE + 1))

    def _runs(self, address: int, size: int):
        while size:
            index, offset = divmod(address, PAGE)
            length = min(size, PAGE - offset)
            yield self._pages[index] * PAGE + offset, length
            address, size = address + length, size - length

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at an I/O bus address."""
        for place, length in self._runs(address, len(data)):
            self._memory.software.write(place, data[:length])
            data = data[length:]

    def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes at an I/O bus address."""
        return b"".join(self._memory.software.read(p, n) for p, n in self._runs(address, size))


class Ring:
    """Ring `number` in memory of `window`.

    Parameters
    ----------
    bench : Bench
    window : Window
    size_log2 : int
        Entries of the ring, as a power of two.
    interrupts : bool
        Completions and stops raise the interrupt line.

    Attributes
    ----------
    registers : RingRegisters
    doorbell : DoorbellPage
    descriptors, completions : int
        I/O bus addresses of the two rings.
    producer : int
        Entries written so far, modulo 2^16.
    done : list of Completion
        Of this run of the ring, as far as they have been looked for.
    """

    def __init__(
        self, bench: Bench, window: Window, size_log2: int = 6, *, interrupts: bool = False
    ):
        self.number = window.number
        self.adapter = AdapterPage(bench.registers, ADAPTER_PAGE)
        self.registers = self.adapter.ring[self.number]
        page = DOORBELL_PAGE + self.number * DOORBELL_STRIDE
        self.doorbell = DoorbellPage(bench.registers, page)
        self.size = 1 << size_log2
        self.descriptors = window.take(self.size * TransmitDescriptor.SIZE)
        self.completions = window.take(self.size * Completion.SIZE, write=True)
        self._borrowed: dict[int, Sequence[tuple[int, int]]] = {}
        self._window = window
        self._bench = bench
        self._correlator = bench.rng.getrandbits(32)
        self.registers.descriptor_base.write(page=self.descriptors // PAGE)
        self.registers.completion_base.write(page=self.completions // PAGE)
        self.registers.size.write(size_log2=size_log2)
        self.registers.offloads.write(**{field.name: 1 for field in fields(RingOffloads)})
        self.registers.interrupt_enable.write(completion=interrupts, stopped=interrupts)
        self.start()

    def start(self) -> None:
        """Enable the ring; everything begins anew."""
        for pieces in self._borrowed.values():
            for piece in pieces:
                self._window.give_back(*piece)
        self._borrowed.clear()
        self.producer = 0
        self.done: list[Completion] = []
        self._waiting: list[tuple[int, int]] = []
        self._consumer = 0
        self._window.write(self.completions, bytes(self.size * Completion.SIZE))
        self.registers.control.write(enable=1)

    def stop(self) -> None:
        """Disable the ring, and wait until it is idle."""
        self.registers.control.write(enable=0)
        status = self.registers.status.read
        self._bench.wait_for(lambda: not status().active, f"end of ring {self.number}")

    def reset(self) -> None:
        """Have the partition manager reset the ring; it holds nothing and is disabled then."""
        register = self._window.manager.ring_reset[self.number]
        register.write(reset=1)
        self._bench.wait_for(lambda: not register.read().reset, f"reset of ring {self.number}")

    def post(self, pieces: Sequence[tuple[int, int]], **fields: int) -> int:
        """Write the descriptor of a frame into the ring; returns its correlator.

        If there is no room, the doorbell is rung and room waited for.

        Parameters
        ----------
        pieces : sequence of (I/O bus address, bytes)
            The fragments; empty for none.
        fields : int
            Further fields of the descriptor, or other values of those that follow from `pieces`.
        """
        address, length = pieces[0] if pieces else (0, 0)
        self._correlator = (self._correlator + 1) & 0xFFFF_FFFF
        values = {
            "address": address,
            "fragment_length": length,
            "fragments": len(pieces),
            "total_length": sum(length for _address, length in pieces),
            "correlator": self._correlator,
        }
        entries = [TransmitDescriptor(**values | fields).pack()]
        for at in range(1, len(pieces), 2):
            first, second = (*pieces[at : at + 2], (0, 0))[:2]
            entry = ScatterGatherEntry(
                first_address=first[0],
                first_length=first[1],
                second_address=second[0],
                second_length=second[1],
            )
            entries.append(entry.pack())
        if self.room() < len(entries):
            self.ring()
            self._bench.wait_for(
                lambda: self.room() >= len(entries),
                f"room in ring {self.number}",
                _FULL_RING_CYCLES,
            )
        for entry in entries:
            place = self.producer % self.size * TransmitDescriptor.SIZE
            self._window.write(self.descriptors + place, entry)
            self.producer = (self.producer + 1) % _INDEXES
        self._waiting.append((self._correlator, self.producer))
        return self._correlator

    def send(self, frame: Frame, *, fragments: int = 1) -> int:
        """Put `frame` in pieces into memory, and post it; returns its correlator.

        The memory may be used for another frame once this one is complete.
        """
        lengths = pieces_of(self._bench.rng, len(frame.data), fragments)
        pieces = []
        at = 0
        for length in lengths:
            address = self._window.take(length, self._bench.rng.randrange(PAGE))
            self._window.write(address, frame.data[at : at + length])
            pieces.append((address, length))
            at += length
        correlator = self.post(pieces, **frame.fields)
        self._borrowed[correlator] = pieces
        return correlator

    def ring(self) -> None:
        """Ring the doorbell for all that was posted."""
        self.doorbell.transmit.write(producer=self.producer)

    def room(self) -> int:
        """Entries that are free."""
        self.collect()
        return self.size - (self.producer - self._consumer) % _INDEXES

    def collect(self) -> None:
        """Take what completions there are into `done`, checking all but their status."""
        while self._waiting:
            turn, index = divmod(len(self.done), self.size)
            place = self.completions + index * Completion.SIZE
            completion = Completion.unpack(self._window.read(place, Completion.SIZE))
            if completion.generation == turn % 2:
                return
            correlator, consumer = self._waiting.pop(0)
            told = (completion.correlator, completion.consumer, completion.ring)
            assert told == (correlator, consumer, self.number), (
                f"{completion}, not of correlator {correlator} and consumer {consumer}"
            )
            self.done.append(completion)
            self._consumer = consumer
            for piece in self._borrowed.pop(correlator, ()):
                self._window.give_back(*piece)

    def is_complete(self) -> bool:
        """Whether all that was posted is complete."""
        self.collect()
        return not self._waiting

    def finish(self, cycles: int = _FULL_RING_CYCLES) -> list[Completion]:
        """Wait until all that was posted is complete; returns every completion since the start."""

        self._bench.wait_for(self.is_complete, f"completion on ring {self.number}", cycles)
        return self.done

    def finish_or_restart(self) -> list[Completion]:
        """Wait until all that was posted is complete, or refused data has stopped the ring.

        Then the ring is started anew. Returns the completions of the run that ended.
        """
        status = self.registers.status.read
        self._bench.wait_for(
            lambda: self.is_complete() or status().stopped == 1,
            f"completion or stop of ring {self.number}",
            _FULL_RING_CYCLES,
        )
        told = status()
        if told.stopped:
            assert told.reason is RingStopReason.DATA_REFUSED
            self.stop()
            self.collect()
        done = self.done
        if told.stopped:
            self.start()
        return done

    def expect(self, *statuses: TransmitStatus) -> None:
        """Wait for the end of what was posted; the last completions have these `statuses`."""
        got = [completion.status for completion in self.finish()[-len(statuses) :]]
        assert got == list(statuses), f"ring {self.number}: {got}, not {list(statuses)}"


def pieces_of(rng: random.Random, length: int, count: int) -> list[int]:
    """Random lengths, none 0 and at most `count`, that add up to `length`."""
    cuts = sorted(rng.sample(range(1, length), min(count, length) - 1))
    return [end - start for start, end in zip([0, *cuts], [*cuts, length], strict=True)]
