"""An AXI4 memory over plain bytes, a cycle at a time.

It answers reads in order after a settable latency at one beat a cycle, takes a write beat every
cycle, and keeps every rule that the adapter may rely on. An access outside the memory is answered
with DECERR. It can be made difficult, by chance that depends on a seed: to stall on every channel,
to answer out of order and beat by beat interleaved [AMBA AXI4, IHI 0022, A5.3], and to refuse.
Timing depends on the cycle alone, so that every engine sees the same; ``sim/native/axi_memory.h``
is the same in C++.
"""

from collections import deque
from dataclasses import dataclass

from byway.rtl.bus.axi4 import Burst, Resp
from byway.sim.board.bus_beat import DATA_BYTES, BeatKind, BusBeat
from byway.sim.board.chance import Use, chance
from byway.sim.board.pins import Pins

__all__ = ["AxiMemory", "MemoryManner"]


@dataclass(frozen=True, kw_only=True)
class MemoryManner:
    """How a memory behaves.

    Attributes
    ----------
    latency : int
        Cycles added between the acceptance of an address and the first beat or response.
    outstanding : int
        Addresses accepted and not answered, reads and writes each.
    stalls : int
        Of 65,536 cycles, how many a channel stalls for that does not have to wait, each by itself.
    reorders : bool
        Beats and responses of different IDs overtake one another.
    errors : int
        Of 65,536 bursts, how many are answered with SLVERR. Such a write changes nothing.
    seed : int
        Of all that is left to chance.
    """

    latency: int = 0
    outstanding: int = 32
    stalls: int = 0
    reorders: bool = False
    errors: int = 0
    seed: int = 0


@dataclass(slots=True, eq=False)
class _Burst:
    """A burst that was asked for, and what of it is still to come."""

    first_cycle: int
    identifier: int
    requester: int
    address: int
    beats: int
    beat_bytes: int
    kind: int
    container: int
    response: int

    def advance(self) -> None:
        """Go on to the next beat [A3.4.1]."""
        self.beats -= 1
        if self.kind != Burst.FIXED:
            self.address += self.beat_bytes - self.address % self.beat_bytes
            if self.kind == Burst.WRAP and self.address % self.container == 0:
                self.address -= self.container


class AxiMemory:
    """The AXI4 subordinate at the port whose pins begin with `prefix`.

    Parameters
    ----------
    pins : Pins
        Where the port's pins are.
    storage : bytearray or memoryview
        The bytes; addresses run from 0.
    manner : MemoryManner
    passed : deque of BusBeat or None
        Where to put what passes on the bus, if anybody watches it.
    """

    def __init__(
        self,
        pins: Pins,
        storage: bytearray | memoryview,
        manner: MemoryManner,
        *,
        prefix: str = "m_axi_",
        passed: deque[BusBeat] | None = None,
    ):
        self._storage = storage
        self._manner = manner
        self._passed = passed
        self._in = {n[len(prefix) :]: p for n, p in pins.inputs.items() if n.startswith(prefix)}
        self._out = {n[len(prefix) :]: p for n, p in pins.outputs.items() if n.startswith(prefix)}
        self._bytes = self._in["rdata"].width // 8
        self._reads: deque[_Burst] = deque()
        self._writes: deque[_Burst] = deque()
        self._responses: deque[_Burst] = deque()
        self._data: deque[tuple[int, int]] = deque()
        # What is offered and not taken must stay.
        self._offered_beat: _Burst | None = None
        self._offered_response: _Burst | None = None
        self._taken = {"ar": 0, "aw": 0}

    @property
    def idle(self) -> bool:
        """Nothing is being answered, and nothing is left to chance."""
        return not (
            self._reads or self._writes or self._responses or self._data or self._manner.stalls
        )

    def _inside(self, base: int) -> bool:
        return base + self._bytes <= len(self._storage)

    def _stalls(self, cycle: int, use: Use) -> bool:
        manner = self._manner
        return bool(manner.stalls) and chance(manner.seed, cycle, use) < manner.stalls

    def _choose(self, waiting: deque[_Burst], cycle: int, stall: Use, order: Use) -> _Burst | None:
        """Which of the bursts goes next, if any."""
        if not waiting or self._stalls(cycle, stall):
            return None
        if not self._manner.reorders:
            return waiting[0] if waiting[0].first_cycle <= cycle else None
        oldest = {burst.identifier: burst for burst in reversed(waiting)}
        ready = [
            burst
            for burst in waiting
            if burst.first_cycle <= cycle and oldest[burst.identifier] is burst
        ]
        return ready[chance(self._manner.seed, cycle, order) % len(ready)] if ready else None

    def _respond(self, cycle: int, bready: int) -> int:
        response = self._offered_response or self._choose(
            self._responses, cycle, Use.WRITE_RESPONSE_STALL, Use.WRITE_RESPONSE_ORDER
        )
        if response is None:
            return 0
        self._offered_response = None if bready else response
        if bready:
            self._responses.remove(response)
        pins = self._in
        return (
            pins["bvalid"].mask
            | response.identifier << pins["bid"].offset
            | response.response << pins["bresp"].offset
        )

    def _offer_beat(self, cycle: int, rready: int) -> int:
        read = self._offered_beat or self._choose(
            self._reads, cycle, Use.READ_DATA_STALL, Use.READ_DATA_ORDER
        )
        if read is None:
            return 0
        base = read.address - read.address % self._bytes
        data, response = 0, read.response
        if not self._inside(base):
            response = Resp.DECERR
        elif response == Resp.OKAY:
            data = int.from_bytes(self._storage[base : base + self._bytes], "little")
        pins = self._in
        vector = (
            pins["rvalid"].mask
            | read.identifier << pins["rid"].offset
            | data << pins["rdata"].offset
            | response << pins["rresp"].offset
            | (read.beats == 1) << pins["rlast"].offset
        )
        self._offered_beat = None if rready else read
        if rready:
            self._watch(cycle, read, BeatKind.READ_DATA, data)
            read.advance()
            if read.beats == 0:
                self._reads.remove(read)
        return vector

    def _store_beats(self, cycle: int) -> None:
        while self._writes and self._data:
            write = self._writes[0]
            data, strobes = self._data.popleft()
            base = write.address - write.address % self._bytes
            if not self._inside(base):
                write.response = Resp.DECERR
            elif write.response != Resp.SLVERR:
                for lane in range(self._bytes):
                    if strobes >> lane & 1:
                        self._storage[base + lane] = data >> 8 * lane & 0xFF
            self._watch(cycle, write, BeatKind.WRITE_DATA, data)
            write.advance()
            if write.beats == 0:
                self._writes.popleft()
                write.first_cycle = cycle + 1 + self._manner.latency
                self._responses.append(write)

    def _take(self, channel: str, cycle: int, outputs: int, error: Use) -> _Burst:
        """The burst whose address is shown."""
        out = self._out
        beats = out[f"{channel}len"].of(outputs) + 1
        beat_bytes = 1 << out[f"{channel}size"].of(outputs)
        number = self._taken[channel]
        self._taken[channel] += 1
        manner = self._manner
        fails = bool(manner.errors) and chance(manner.seed, number, error) < manner.errors
        return _Burst(
            first_cycle=cycle + 1 + manner.latency,
            identifier=out[f"{channel}id"].of(outputs),
            requester=out[f"{channel}user"].of(outputs),
            address=out[f"{channel}addr"].of(outputs),
            beats=beats,
            beat_bytes=beat_bytes,
            kind=out[f"{channel}burst"].of(outputs),
            container=beats * beat_bytes,
            response=Resp.SLVERR if fails else Resp.OKAY,
        )

    def _watch(self, cycle: int, burst: _Burst, kind: BeatKind, data: int = 0) -> None:
        """Take note of an address, or of the beat that `burst` has come to, and its `data`."""
        if self._passed is not None:
            self._passed.append(
                BusBeat(
                    cycle,
                    burst.address,
                    burst.identifier,
                    burst.requester,
                    kind,
                    burst.beat_bytes,
                    data.to_bytes(DATA_BYTES, "little"),
                )
            )

    def tick(self, cycle: int, outputs: int) -> int:
        """Given the adapter's outputs in this cycle, return what the inputs are to be."""
        out = self._out
        pins = self._in
        limit = self._manner.outstanding
        vector = self._respond(cycle, out["bready"].of(outputs))
        vector |= self._offer_beat(cycle, out["rready"].of(outputs))
        if len(self._reads) < limit and not self._stalls(cycle, Use.READ_ADDRESS_STALL):
            vector |= pins["arready"].mask
            if outputs & out["arvalid"].mask:
                self._reads.append(self._take("ar", cycle, outputs, Use.READ_ERROR))
                self._watch(cycle, self._reads[-1], BeatKind.READ_ADDRESS)
        answering = len(self._writes) + len(self._responses)
        if answering < limit and not self._stalls(cycle, Use.WRITE_ADDRESS_STALL):
            vector |= pins["awready"].mask
            if outputs & out["awvalid"].mask:
                self._writes.append(self._take("aw", cycle, outputs, Use.WRITE_ERROR))
                self._watch(cycle, self._writes[-1], BeatKind.WRITE_ADDRESS)
        if not self._stalls(cycle, Use.WRITE_DATA_STALL):
            vector |= pins["wready"].mask
            if outputs & out["wvalid"].mask:
                self._data.append((out["wdata"].of(outputs), out["wstrb"].of(outputs)))
        if self._data:
            self._store_beats(cycle)
        return vector
