"""AXI4 memory for test benches on Amaranth's simulator, and a judge of the master's manners.

`AXIMemoryBench` answers one bundle of `byway.rtl.bus.axi4`, seen from the master's side. Within
what the standard allows it is as awkward as `AXITiming` says: latency, stalls, gaps, bursts of
different IDs in any order and with their beats interleaved. Bursts of one ID are answered in order
[AMBA AXI4, IHI 0022, A5.3]. It fails, by `AssertionError`, on a master that

- changes or withdraws an address or a write beat before it is taken [A3.2.1];
- asks for a burst that is not INCR, is wider than the bus, or crosses 4 KiB [A3.4.1];
- ends a write burst early or late [A3.4.1];
- strobes lanes outside the bytes of a beat [A3.4.3].

`SparseMemory` is what it reads and writes. A bench runs as background testbenches::

    memory = SparseMemory()
    bench = AXIMemoryBench(dut.m_axi, memory, rng=random.Random(seed))
    sim.add_testbench(bench.reads, background=True)
    sim.add_testbench(bench.writes, background=True)  # For a bundle that can write.
"""

import dataclasses
import random
from collections import Counter, deque

from amaranth.hdl import Cat

from byway.rtl.bus.axi4 import PAGE_BYTES, Burst, Resp

__all__ = ["AXIBurst", "AXIMemoryBench", "AXITiming", "SparseMemory"]


class SparseMemory:
    """Memory of any size that remembers what was written, and which addresses fail.

    Bytes never written differ from address to address, so that a read of the wrong place shows.
    """

    def __init__(self):
        self._pages: dict[int, bytearray] = {}
        self._faults: list[tuple[range, Resp]] = []
        self._chance: tuple[int, float, int] | None = None

    def _page(self, number: int) -> bytearray:
        if number not in self._pages:
            self._pages[number] = bytearray(random.Random(number).randbytes(PAGE_BYTES))
        return self._pages[number]

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes from `address` on."""
        result = bytearray()
        while length:
            number, offset = divmod(address, PAGE_BYTES)
            chunk = self._page(number)[offset : offset + length]
            result += chunk
            address += len(chunk)
            length -= len(chunk)
        return bytes(result)

    def write(self, address: int, content: bytes, strobe: int = -1) -> None:
        """Write the bytes of `content` whose bit in `strobe` is set."""
        for lane, value in enumerate(content):
            if strobe >> lane & 1:
                number, offset = divmod(address + lane, PAGE_BYTES)
                self._page(number)[offset] = value

    def fail(self, address: int, length: int, response: Resp) -> None:
        """Answer `response` to every beat that touches these bytes, until `mend`."""
        self._faults.append((range(address, address + length), response))

    def fail_at_random(self, seed: int, probability: float, block_bytes: int = 8) -> None:
        """Let each aligned block of `block_bytes` fail with `probability`, until `mend`.

        Which blocks fail, and how, depends on the seed and the address alone.
        """
        self._chance = (seed, probability, block_bytes)

    def mend(self) -> None:
        """Let no address fail any more."""
        self._faults.clear()
        self._chance = None

    def response(self, address: int, length: int) -> Resp:
        """What a beat of `length` bytes at `address` is answered with."""
        for fault, response in self._faults:
            if fault.start < address + length and address < fault.stop:
                return response
        if self._chance is not None:
            seed, probability, block_bytes = self._chance
            dice = random.Random(f"{seed}/{address // block_bytes}")
            if dice.random() < probability:
                return dice.choice([Resp.SLVERR, Resp.DECERR])
        return Resp.OKAY


@dataclasses.dataclass(frozen=True)
class AXITiming:
    """How awkward a memory is. The default is an ideal one: a beat each cycle, in order.

    Members
    -------
    latency : tuple of int
        Least and most cycles from an address (for writes: from address and last beat, whichever
        is later) to the first beat of the answer; at least 1.
    stall : float
        Chance, each cycle, that an address or a write beat is not taken.
    gap : float
        Chance, each cycle, that no answer begins.
    ready_after_valid : bool
        Show ready only to a master that already shows valid, as the standard lets a slave do.
    reorder : bool
        Let bursts overtake those of other IDs.
    interleave : bool
        Mix the beats of read bursts of different IDs; implies `reorder`.
    exclusive_okay : bool
        Answer some good read beats with EXOKAY, which counts as OKAY.
    """

    latency: tuple[int, int] = (1, 1)
    stall: float = 0.0
    gap: float = 0.0
    ready_after_valid: bool = False
    reorder: bool = False
    interleave: bool = False
    exclusive_okay: bool = False


@dataclasses.dataclass
class AXIBurst:
    """A burst as the master asked for it.

    Members
    -------
    id, address, size, user : int
        AxID, AxADDR, AxSIZE, AxUSER.
    beats : int
        AxLEN + 1.
    cycle : int
        When the address was taken, counted from the start of its coroutine.
    """

    id: int
    address: int
    beats: int
    size: int
    user: int
    cycle: int

    def beat(self, number: int) -> tuple[int, int]:
        """Address and byte count of beat `number`; only the first may begin off its size."""
        width = 1 << self.size
        address = (self.address & -width) + number * width
        start = max(address, self.address)
        return start, address + width - start


@dataclasses.dataclass
class _Answer:
    """A burst that waits for its answer: due from a cycle on, so many beats given."""

    burst: AXIBurst
    due: int
    given: int = 0


_ADDRESS_FIELDS = ("id", "addr", "len", "size", "burst", "user")
_WRITE_FIELDS = ("data", "strb", "last")


class _Taker:
    """The ready side of one channel: its stalls, and the rule that what is offered stays."""

    def __init__(self, bus, channel: str, timing: AXITiming, rng: random.Random):
        self.channel = channel
        self.valid = getattr(bus, f"{channel}valid")
        self.ready = getattr(bus, f"{channel}ready")
        names = _WRITE_FIELDS if channel == "w" else _ADDRESS_FIELDS
        self._signals = {name: getattr(bus, channel + name) for name in names}
        self.payload = Cat(*self._signals.values())
        self._timing = timing
        self._rng = rng
        self._shown = 0
        self._offered: int | None = None

    def prepare(self, ctx) -> None:
        """Decide, for the cycle that begins, whether to be ready."""
        ready = self._rng.random() >= self._timing.stall
        if self._timing.ready_after_valid:
            ready = ready and self._offered is not None
        if ready != self._shown:
            self._shown = int(ready)
            ctx.set(self.ready, self._shown)

    def taken(self, valid: int, payload: int) -> dict[str, int] | None:
        """Judge the cycle that ended; return the payload by name if it was taken."""
        if self._offered is not None:
            assert valid, f"{self.channel}valid fell before {self.channel}ready rose"
            assert payload == self._offered, f"{self.channel} changed while it was not taken"
        self._offered = payload if valid and not self._shown else None
        if not (valid and self._shown):
            return None
        fields = {}
        for name, signal in self._signals.items():
            fields[name] = payload & (1 << len(signal)) - 1
            payload >>= len(signal)
        return fields


class AXIMemoryBench:
    """A memory behind an AXI4 bundle, and a judge of the master that uses it.

    Parameters
    ----------
    bus
        Interface of `AXI4ReadSignature`, `AXI4WriteSignature` or `AXI4Signature`, as the master
        has it.
    memory : SparseMemory
        What is read and written; benches may share it.
    timing : AXITiming
        Its manners.
    rng : random.Random
        Decides what `timing` leaves open.

    Attributes
    ----------
    read_bursts, write_bursts : list of AXIBurst
        Every burst asked for, in order.
    in_flight : Counter
        Bursts asked for and not yet answered to the end, by AxUSER.
    most_reads_in_flight, most_reads_of_an_id : int
        The most `reads_in_flight` ever, and the most of them that ever shared an ID.
    """

    def __init__(
        self,
        bus,
        memory: SparseMemory,
        *,
        timing: AXITiming | None = None,
        rng: random.Random | None = None,
    ):
        self.bus = bus
        self.memory = memory
        self.timing = timing or AXITiming()
        self.rng = rng or random.Random(0)
        self.read_bursts: list[AXIBurst] = []
        self.write_bursts: list[AXIBurst] = []
        self.in_flight: Counter[int] = Counter()
        self.most_reads_in_flight = 0
        self.most_reads_of_an_id = 0
        self._reads_of_id: Counter[int] = Counter()

    @property
    def reads_in_flight(self) -> int:
        """Read bursts asked for and not yet answered to the end."""
        return self._reads_of_id.total()

    def _burst(self, fields: dict[str, int], bus_bytes: int, cycle: int) -> AXIBurst:
        assert fields["burst"] == Burst.INCR, f"burst type {fields['burst']} is not INCR"
        assert 1 << fields["size"] <= bus_bytes, f"beats of 2**{fields['size']} bytes are too wide"
        burst = AXIBurst(
            id=fields["id"],
            address=fields["addr"],
            beats=fields["len"] + 1,
            size=fields["size"],
            user=fields["user"],
            cycle=cycle,
        )
        final, length = burst.beat(burst.beats - 1)
        assert burst.address // PAGE_BYTES == (final + length - 1) // PAGE_BYTES, (
            f"burst of {burst.beats} beats from {burst.address:#x} crosses 4 KiB"
        )
        return burst

    def _due(self, cycle: int) -> int:
        return cycle + self.rng.randint(*self.timing.latency)

    def _choose(self, waiting: list[_Answer], cycle: int, *, reorder: bool) -> _Answer | None:
        """The burst whose answer goes on now: the oldest of its ID, chosen as `timing` allows."""
        if not waiting or self.rng.random() < self.timing.gap:
            return None
        if not reorder:
            return waiting[0] if waiting[0].due <= cycle else None
        oldest: dict[int, _Answer] = {}
        for answer in waiting:
            oldest.setdefault(answer.burst.id, answer)
        due = [answer for answer in oldest.values() if answer.due <= cycle]
        return self.rng.choice(due) if due else None

    def _read_beat(self, answer: _Answer, bus_bytes: int) -> tuple[int, int, int, int]:
        burst = answer.burst
        start, length = burst.beat(answer.given)
        word = self.memory.read(start & -bus_bytes, bus_bytes)
        response = self.memory.response(start, length)
        if response == Resp.OKAY and self.timing.exclusive_okay and self.rng.random() < 0.3:
            response = Resp.EXOKAY
        answer.given += 1
        last = int(answer.given == burst.beats)
        return burst.id, int.from_bytes(word, "little"), response, last

    async def reads(self, ctx) -> None:
        """Serve the channels AR and R, for ever."""
        bus, timing = self.bus, self.timing
        bus_bytes = len(bus.rdata) // 8
        addresses = _Taker(bus, "ar", timing, self.rng)
        waiting: list[_Answer] = []
        current: _Answer | None = None  # A burst begun, where beats do not interleave.
        shown = False  # A beat is on R and not yet taken.
        user = 0  # Of that beat.
        cycle = 0
        while True:
            # Put the next beat on R unless one stands there.
            if not shown:
                answer = current
                if answer is None:
                    reorder = timing.reorder or timing.interleave
                    answer = self._choose(waiting, cycle, reorder=reorder)
                elif self.rng.random() < timing.gap:
                    answer = None
                if answer is not None:
                    rid, word, response, last = self._read_beat(answer, bus_bytes)
                    current = None if last or timing.interleave else answer
                    user = answer.burst.user
                    if last:
                        waiting.remove(answer)
                    ctx.set(bus.rid, rid)
                    ctx.set(bus.rdata, word)
                    ctx.set(bus.rresp, response)
                    ctx.set(bus.rlast, last)
                    shown = True
                ctx.set(bus.rvalid, shown)
            addresses.prepare(ctx)

            # Judge what happened in this cycle.
            _edge, _reset, valid, payload, rready = await ctx.tick().sample(
                addresses.valid, addresses.payload, bus.rready
            )
            if shown and rready:
                shown = False
                self._reads_of_id[ctx.get(bus.rid)] -= ctx.get(bus.rlast)
                self.in_flight[user] -= ctx.get(bus.rlast)
            fields = addresses.taken(valid, payload)
            if fields is not None:
                burst = self._burst(fields, bus_bytes, cycle)
                self.read_bursts.append(burst)
                waiting.append(_Answer(burst, self._due(cycle)))
                self._reads_of_id[burst.id] += 1
                self.in_flight[burst.user] += 1
                of_an_id = self._reads_of_id[burst.id]
                self.most_reads_of_an_id = max(self.most_reads_of_an_id, of_an_id)
                self.most_reads_in_flight = max(self.most_reads_in_flight, self.reads_in_flight)
            cycle += 1

    def _land(self, burst: AXIBurst, beats: list[dict[str, int]], bus_bytes: int) -> Resp:
        """Write a whole burst; beats that fail leave memory as it was."""
        assert len(beats) == burst.beats, f"{len(beats)} beats came for a burst of {burst.beats}"
        result = Resp.OKAY
        for number, beat in enumerate(beats):
            start, length = burst.beat(number)
            word = start & -bus_bytes
            lanes = (1 << length) - 1 << start - word
            strobe = beat["strb"]
            assert not strobe & ~lanes, f"strobes {strobe:#x} are outside lanes {lanes:#x}"
            response = self.memory.response(start, length)
            if response == Resp.OKAY:
                self.memory.write(word, beat["data"].to_bytes(bus_bytes, "little"), strobe)
            result = max(result, response)
        return result

    async def writes(self, ctx) -> None:
        """Serve the channels AW, W and B, for ever. Data lands when its burst is complete."""
        bus, timing = self.bus, self.timing
        bus_bytes = len(bus.wdata) // 8
        addresses = _Taker(bus, "aw", timing, self.rng)
        data = _Taker(bus, "w", timing, self.rng)
        asked: deque[AXIBurst] = deque()
        filling: list[dict[str, int]] = []
        complete: deque[list[dict[str, int]]] = deque()  # W may run ahead of AW [A3.3.1].
        waiting: list[_Answer] = []
        responses: dict[int, Resp] = {}
        shown = False
        user = 0
        cycle = 0
        while True:
            # Put the next response on B unless one stands there.
            if not shown:
                answer = self._choose(waiting, cycle, reorder=timing.reorder)
                if answer is not None:
                    waiting.remove(answer)
                    ctx.set(bus.bid, answer.burst.id)
                    ctx.set(bus.bresp, responses.pop(id(answer)))
                    user = answer.burst.user
                    shown = True
                ctx.set(bus.bvalid, shown)
            addresses.prepare(ctx)
            data.prepare(ctx)

            # Judge what happened in this cycle.
            _edge, _reset, aw_valid, aw, w_valid, w, bready = await ctx.tick().sample(
                addresses.valid, addresses.payload, data.valid, data.payload, bus.bready
            )
            if shown and bready:
                shown = False
                self.in_flight[user] -= 1
            fields = addresses.taken(aw_valid, aw)
            if fields is not None:
                asked.append(self._burst(fields, bus_bytes, cycle))
                self.write_bursts.append(asked[-1])
                self.in_flight[asked[-1].user] += 1
            beat = data.taken(w_valid, w)
            if beat is not None:
                filling.append(beat)
                if beat["last"]:
                    complete.append(filling)
                    filling = []

            # A burst is complete with its address and its last beat.
            if asked and complete:
                answer = _Answer(asked.popleft(), self._due(cycle))
                responses[id(answer)] = self._land(answer.burst, complete.popleft(), bus_bytes)
                waiting.append(answer)
            cycle += 1
