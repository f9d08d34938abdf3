"""A partition, or the driver in it, vanishes in the midst of traffic; what is left is watched.

Two hosted partitions share the adapter. The one that is to die sends as much as it can, so that its
DMA is under way at every moment; the survivor sends over TCP. At a cycle that follows from the seed
the victim is gone: between two cycles of the hardware, or in the midst of what its own software
does, after any of its hcalls or register accesses. Its memory is filled with poison at once. Then

- no byte of poison may be on the wire, and none may be overwritten;
- the survivor must go on at the rate that it has alone, and its partner receive what was sent;
- who is started in the victim's place must be able to send.

When the hosting partition, or its driver, dies, the adapter is gone with it: nothing more is sent
until it is assigned anew. The same seed gives the same run, cycle for cycle.
"""

import enum
import itertools
import random
from dataclasses import dataclass

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.open_engine import open_engine
from byway.sim.scenarios.error import ScenarioError
from byway.sim.scenarios.flood import FILLING, HEADERS, Flood
from byway.sim.scenarios.machine import PARTITION_BYTES, adapter_for, board_for
from byway.sim.scenarios.sharers import SHARERS, Sharers
from byway.sim.scenarios.transfer import DataFrame, Transfer, rate_of_limit
from byway.sim.scenarios.watched_hardware import POISON, WatchedHardware
from byway.sim.wire.medium import GAP_BYTES
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.partition import Partition

__all__ = ["DeathResult", "Victim", "die"]

#: What the survivor sends, and who is started in the victim's place.
_BYTES, _BYTES_AFTERWARDS = 96 << 10, 4 << 10
#: Cycles within which death comes; how long it waits for the victim's software to run.
_LIFE = 110_000
_WAIT = 30_000
#: Time for the adapter to do what it must not.
_WATCH = 30_000


class Victim(enum.Enum):
    """Who dies."""

    HOSTED = "hosted partition"
    HOSTED_DRIVER = "hosted driver"
    HOSTING = "hosting partition"
    HOSTING_DRIVER = "hosting driver"

    @property
    def owns_adapter(self) -> bool:
        """The adapter goes with it."""
        return self in (Victim.HOSTING, Victim.HOSTING_DRIVER)

    @property
    def is_driver(self) -> bool:
        """The partition stays."""
        return self in (Victim.HOSTED_DRIVER, Victim.HOSTING_DRIVER)


@dataclass(frozen=True, kw_only=True)
class DeathResult:
    """What a run came to.

    Attributes
    ----------
    cycle : int
        When death came.
    in_call : bool
        The victim's software was running.
    end_cycles : int
        Cycles until nothing of the victim was under way.
    poison_on_wire, pages_written : int
        Frames with poison; pages of the victim's that were written after it was gone.
    victim_frames : int
        Frames that the victim has sent.
    idle_cycles : int or None
        From the death until the survivor was done, cycles in which the wire carried neither frames
        of the victim nor of the survivor with payload, nor the gap behind them. None if the
        survivor had nothing left to send, or no adapter.
    survivor_rate : float or None
        From the victim's last frame on, the survivor's rate on the wire over that of the same
        frames back to back.
    survivor_retransmissions : int
    intact : bool
        All partners, those of the restarted included, received what was sent.
    """

    cycle: int
    in_call: bool
    end_cycles: int
    poison_on_wire: int
    pages_written: int
    victim_frames: int
    idle_cycles: int | None
    survivor_rate: float | None
    survivor_retransmissions: int
    intact: bool


class _VanishedError(Exception):
    """The software that raises it is gone, and never comes back to what it was doing."""


class _Death(Sharers):
    """The death of a victim, and what is looked at afterwards."""

    def __init__(self, hardware: WatchedHardware, victim: Victim, rng: random.Random):
        self._victim = victim
        self._dying: Partition | None = None
        self._flood: Flood | None = None
        self._wants_call = False
        self._in_call = False
        self._death = 0
        self._dead_since = 0
        self._end_cycles = 0
        self._pages: list[int] = []
        super().__init__(hardware, rng)

    def software(self) -> bool:
        """Let all software act; that of the victim may vanish as it does."""
        if self._dying is None:
            return super().software()
        try:
            ran = super().software()
            if self._flood is not None:
                self._flood.pump()
            return super().software() or ran
        except _VanishedError:
            self._in_call = True
            self._kill()
            return True

    def called(self, caller: Partition, *what: object) -> None:
        """An hcall after which its caller may be gone."""
        self._maybe_vanish(caller)

    def _maybe_vanish(self, caller: Partition) -> None:
        is_due = self._wants_call and self.hardware.cycle >= self._death
        if caller is self._dying and is_due:
            raise _VanishedError

    def _on_time(self) -> int | None:
        if self._dying is None:
            return None
        last = self._death + _WAIT * self._wants_call
        if self.hardware.cycle >= last:
            self._kill()
            return None
        return self._death if self.hardware.cycle < self._death else last

    def _kill(self) -> None:
        """End the victim, and fill what was its memory."""
        dying, self._dying, self._flood = self._dying, None, None
        assert dying is not None
        memory = dying.memory
        found = (memory.physical_page(page) for page in range(memory.size // PAGE_SIZE))
        self._pages = [page for page in found if page is not None]
        before = self.hardware.cycle
        if self._victim.is_driver:
            self.manager.restart(dying)
        else:
            self.manager.terminate(dying)
        self._dead_since = self.hardware.cycle
        self._end_cycles = self._dead_since - before
        for page in self._pages:
            self.hardware.memory.write(page * PAGE_SIZE, POISON * PAGE_SIZE)

    def _written_pages(self) -> int:
        """How many pages are not as they were filled; they are zero afterwards."""
        whole = POISON * PAGE_SIZE
        written = 0
        for page in self._pages:
            written += self.hardware.memory.read(page * PAGE_SIZE, PAGE_SIZE) != whole
            self.hardware.memory.write(page * PAGE_SIZE, bytes(PAGE_SIZE))
        return written

    def carry_out(self) -> DeathResult:
        """Live, die, be watched, and begin anew."""
        hardware, owns_adapter = self.hardware, self._victim.owns_adapter
        dying = self.hosting if owns_adapter else self.hosted[0]
        device = self.owner if owns_adapter else self.devices[0]
        hardware.apart_mac = device.features.mac
        self._flood = Flood(dying, device, self.rng)
        self.manager.dispatch()
        self._death = hardware.cycle + self.rng.randrange(_LIFE)
        self._wants_call = self.rng.random() < 0.5
        self._dying = dying
        hardware.on_time = self._on_time
        hardware.on_access = lambda: self._maybe_vanish(self.hosting)
        survivor: Transfer | None = None
        if owns_adapter:
            while self._dying is not None:
                self.software()
                hardware.run(_WATCH)
        else:
            (survivor,) = self.send(1, length=_BYTES)
            if self._dying is not None:
                raise ScenarioError("the survivor was done before the victim died")
        self._watch()
        written = self._written_pages()
        last_frames = list(hardware.apart)
        if owns_adapter:
            self._begin_hosting_anew()
            self.send(0, 1, length=_BYTES_AFTERWARDS)
        else:
            self._begin_hosted_anew()
            self.send(0, length=_BYTES_AFTERWARDS)

        for frame in last_frames:
            payload = frame.data[HEADERS:]
            self.intact &= frame.good and payload == FILLING * len(payload)
        data = [] if survivor is None else survivor.figures.data
        theirs = [(f.first_cycle, f.last_cycle, len(f.data), 0) for f in last_frames]
        death = self._dead_since - self._end_cycles
        quiet = max([death, *(frame.last_cycle for frame in last_frames)])
        after = [frame for frame in data if frame[0] >= death]
        both = sorted([*after, *(frame for frame in theirs if frame[0] >= death)])
        return DeathResult(
            cycle=death,
            in_call=self._in_call,
            end_cycles=self._end_cycles,
            poison_on_wire=len(hardware.poisoned),
            pages_written=written,
            victim_frames=len(last_frames),
            idle_cycles=_idle(both) if after else None,
            survivor_rate=rate_of_limit(
                [frame for frame in after if frame[0] > quiet], hardware.wire
            ),
            survivor_retransmissions=survivor.figures.retransmissions if survivor else 0,
            intact=self.intact,
        )

    def _watch(self) -> None:
        """Give the adapter time."""
        end = self.hardware.cycle + _WATCH
        while self.hardware.cycle < end:
            self.hardware.run(end - self.hardware.cycle)
            self.manager.dispatch()

    def _begin_hosting_anew(self) -> None:
        if self._victim is Victim.HOSTING:
            self.hosting = self.manager.create_partition("hosting again", PARTITION_BYTES)
            self.start_hosting()
            for number in range(SHARERS):
                self.connect(number)
                self.start_hosted(number)
        else:
            self.start_hosting()
            for number in range(SHARERS):
                self.serve(number)
            self.manager.dispatch()
        if not all(device.link_up for device in self.devices):
            raise ScenarioError("the hosted partitions do not come back")

    def _begin_hosted_anew(self) -> None:
        self.hardware.apart_mac = b""
        if self._victim is Victim.HOSTED:
            self.hosted[0] = self.manager.create_partition("hosted1 again", PARTITION_BYTES)
            self.connect(0)
        self.start_hosted(0)


def _idle(frames: list[DataFrame]) -> int:
    """Cycles between frames, in the order of the wire, beyond the gaps that must be."""
    return sum(
        max(0, begins - ends - 1 - GAP_BYTES)
        for (_begins, ends, *_sizes), (begins, *_more) in itertools.pairwise(frames)
    )


def die(victim: Victim, seed: int, *, engine: str = "native") -> DeathResult:
    """Carry out a run; raises `ScenarioError` if who is to go on does not."""
    rng = random.Random(f"{victim.value} {seed}")
    manner = MemoryManner(
        latency=rng.choice((0, 40, 200)),
        stalls=rng.choice((0, 4000)),
        reorders=rng.random() < 0.5,
        seed=seed,
    )
    hardware = WatchedHardware(
        open_engine(engine, adapter_for(SHARERS), board_for(SHARERS, manner))
    )
    try:
        return _Death(hardware, victim, rng).carry_out()
    finally:
        hardware.close()
