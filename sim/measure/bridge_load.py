"""Loads for the bridge alone, and what they come to: streams, and rings in rotation.

Every requester has a window of its own, with a table in memory; bursts are of 8-byte beats unless
the bus is wider, and never cross a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from byway.rtl.bus.axi4 import PAGE_BYTES
from byway.rtl.contract.model import bridge_space
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.engine import EngineError
from byway.sim.engines.native_bridge import ACCESS, BridgeRing, NativeBridge
from byway.sw.contract.access import ReadWriteRegister
from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import (
    MANAGER_PAGE,
    WINDOW_PAGE,
    ManagerBinding,
    ManagerPage,
    WindowPage,
)

__all__ = ["BridgeLoad", "Rotation", "Stream", "rotation_rings", "stream_accesses"]

#: The share of a run that is left out at its start.
_SETTLING = 0.25
#: Addresses that the memory takes before it answers the first: no bound of its own.
_OUTSTANDING = 512


@dataclass(frozen=True)
class Stream:
    """How a stream of accesses was served.

    Attributes
    ----------
    cycles : int
        From the first address offered to the last answer.
    bytes_a_cycle : float
    misses, prefetches : int
        Walks that a request began, and walks begun ahead of use.
    """

    cycles: int
    bytes_a_cycle: float
    misses: int
    prefetches: int


@dataclass(frozen=True)
class Rotation:
    """How rings in rotation were served, when all had come into their rhythm.

    Attributes
    ----------
    bytes_a_cycle : float
    hit_rate : float
        Of all accesses, those that the IOTLB answered.
    walks_an_access : float
        Reads of TCEs, prefetches included.
    fewest, most : int
        Accesses of the ring that was served least, and most; a greedy one is left out.
    greedy : int
        Accesses of the greedy ring, if there is one.
    median, p99, longest : int
        Latency in cycles, from an address being offered to the last beat.
    """

    bytes_a_cycle: float
    hit_rate: float
    walks_an_access: float
    fewest: int
    most: int
    greedy: int
    median: int
    p99: int
    longest: int


def stream_accesses(
    pages: Sequence[int] | range,
    *,
    data_width: int = 64,
    burst_bytes: int = 128,
    write: bool = False,
    identifiers: int = 64,
) -> np.ndarray:
    """Bursts through `pages`, one page after the other, an ID after the other."""
    beat = data_width // 8
    offsets = np.arange(0, PAGE_BYTES, burst_bytes, dtype=np.uint64)
    accesses = np.zeros(len(pages) * len(offsets), ACCESS)
    starts = np.asarray(pages, np.uint64) * np.uint64(PAGE_BYTES)
    accesses["address"] = (starts[:, None] + offsets[None, :]).ravel()
    accesses["beats"] = burst_bytes // beat
    accesses["size"] = beat.bit_length() - 1
    accesses["identifier"] = np.arange(len(accesses)) % identifiers
    accesses["write"] = write
    return accesses


def rotation_rings(
    requesters: int,
    *,
    pages: int = 4,
    page_by_page: bool = True,
    rounds: int = 16,
    depth: int = 1,
    greedy_depth: int = 0,
    burst_bytes: int = 128,
) -> list[BridgeRing]:
    """Rings that read bursts of their own `pages`, `rounds` times over.

    With `page_by_page` each reads a page to its end before the next; otherwise each access is in
    another page than the one before. With `greedy_depth` the first ring reads one page alone, which
    hits, and may have so many accesses under way. An ID belongs to a ring.
    """
    rings = []
    bursts = PAGE_BYTES // burst_bytes
    for requester in range(requesters):
        accesses = stream_accesses(range(pages), burst_bytes=burst_bytes)
        if not page_by_page:
            accesses = accesses.reshape(pages, bursts).T.ravel()
        accesses = np.tile(accesses, rounds)
        accesses["identifier"] = requester % 256
        rings.append(BridgeRing(requester, accesses, depth))
    if greedy_depth:
        accesses = np.tile(stream_accesses([0], burst_bytes=burst_bytes), 16 * pages * rounds)
        accesses["identifier"] = 0
        rings[0] = BridgeRing(0, accesses, greedy_depth)
    return rings


def _answered(log: np.ndarray) -> np.ndarray:
    if log["response"].any():
        raise EngineError("The bridge or the memory refused an access that is granted")
    return log


class BridgeLoad:
    """A bridge whose requesters each have a window of as many pages, all readable and writable.

    Parameters
    ----------
    requesters, pages : int
    latency : int
        Of the memory, in cycles.
    **parameters : int
        Of the bridge; see `byway.rtl.translation.managed_bridge.ManagedBridge`.

    Raises `EngineError` as `NativeBridge`.
    """

    def __init__(self, *, requesters: int, pages: int, latency: int, **parameters: int):
        size = TranslationControlEntry.SIZE
        table_pages = -(-pages * size // PAGE_BYTES)
        tables = requesters * table_pages
        self.bridge = bridge = NativeBridge(
            memory_bytes=(tables + requesters * pages) * PAGE_BYTES,
            manner=MemoryManner(latency=latency, outstanding=_OUTSTANDING),
            requesters=requesters,
            windows=requesters,
            **parameters,
        )
        self._manager = ManagerPage(bridge.registers, MANAGER_PAGE)
        windows = WindowPage(bridge.registers, WINDOW_PAGE)
        bindings = {
            path[2]: address
            for path, address, _register in bridge_space(
                requesters=requesters, windows=requesters
            ).registers()
            if path[:2] == ("manager", "binding")
        }
        for number in range(requesters):
            first = tables + number * pages
            for page in range(pages):
                entry = TranslationControlEntry(read=1, write=1, rpn=first + page)
                place = number * table_pages * PAGE_BYTES + page * size
                bridge.memory.write(place, entry.pack())
            window = windows.window[number]
            window.table_base.write(page=number * table_pages)
            window.size.write(entries=pages)
            window.control.write(enable=1)
            # Of the manager page's own bindings there are as many as an adapter has rings.
            binding = ReadWriteRegister(bridge.registers, bindings[number], ManagerBinding)
            binding.write(valid=1, window=number)

    def _counts(self) -> np.ndarray:
        page = self._manager
        if page.faults.read().count:
            raise EngineError("The bridge refused an access that is granted")
        counters = (page.iotlb_hits, page.iotlb_misses, page.iotlb_prefetches)
        return np.array([counter.read().count for counter in counters])

    def stream(self, accesses: np.ndarray, *, depth: int = 64) -> Stream:
        """Have requester 0 stream through `accesses`, with `depth` of them under way."""
        before = self._counts()
        log = _answered(self.bridge.run([BridgeRing(0, accesses, depth)]))
        _hits, misses, prefetches = self._counts() - before
        cycles = int(log["ended"].max() - log["offered"].min()) + 1
        total = int(np.sum(accesses["beats"].astype(int) << accesses["size"]))
        return Stream(cycles, total / cycles, int(misses), int(prefetches))

    def rotation(self, rings: Sequence[BridgeRing], *, turn: int = 1, cycles: int) -> Rotation:
        """Have `rings` take turns of `turn` accesses, for `cycles`.

        Rings that may have more under way than the last one are greedy.
        """
        before = self._counts()
        begun = self.bridge.cycle
        log = _answered(self.bridge.run(rings, turn=turn, cycles=cycles))
        hits, misses, prefetches = self._counts() - before
        # What ended while all of them went on asking.
        first, last = begun + int(_SETTLING * cycles), begun + cycles
        seen = log[(log["ended"] >= first) & (log["ended"] < last)]
        served = np.bincount(seen["ring"], minlength=len(rings))
        access_bytes = np.array(
            [int(ring.accesses["beats"][0]) << int(ring.accesses["size"][0]) for ring in rings]
        )
        is_greedy = np.array([ring.depth > rings[-1].depth for ring in rings])
        latencies = np.sort((seen["ended"] - seen["offered"]).astype(int))
        return Rotation(
            bytes_a_cycle=float(served @ access_bytes) / (last - first),
            hit_rate=float(hits / len(log)),
            walks_an_access=float((misses + prefetches) / len(log)),
            fewest=int(served[~is_greedy].min()),
            most=int(served[~is_greedy].max()),
            greedy=int(served[is_greedy].sum()),
            median=int(latencies[len(latencies) // 2]),
            p99=int(latencies[len(latencies) * 99 // 100]),
            longest=int(latencies[-1]),
        )

    def close(self) -> None:
        """Let the bridge go."""
        self.bridge.close()
