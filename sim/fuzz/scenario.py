"""A scenario: a seed, played once, and what must hold whatever the drivers do.

What is promised depends on who is hostile:

- *Isolation* always: nothing is on the memory bus that is not granted to that ring in that cycle,
  no marker on the wire that its ring has not read, and nobody's marked memory changes. The TCE
  tables in memory are in the end what was granted.
- *No end without rest* always: hcalls return a code; honest software does not fail over what
  others send it; once attacks have ceased, rings are switched off and the MAC on, which is what
  whoever takes the adapter over does, and no driver enables them again, the adapter comes to rest,
  with no ring active. It is as good as new then: a new owner's frames leave as they must.
- *Delivery* wherever the hosting partition serves its clients honestly, even while it drives a ring
  of its own with garbage and other clients attack: each frame that an honest client's device has
  taken is on the wire once, as it must be, in order, and is told as sent. A hosting partition that
  attacks its clients may lose any frame, and send what was granted as often as it likes.

An honest client of a hostile server takes all of its memory back at some point and goes on to use
it for other things: of those, nothing is ever seen.
"""

import random
from collections import Counter
from collections.abc import Callable

from byway.sim.board.wire_frame import WireFrame
from byway.sim.engines.engine import WatchingEngine
from byway.sim.fuzz.client_attack import ClientAttack
from byway.sim.fuzz.honest import HonestSender
from byway.sim.fuzz.outcome import Outcome
from byway.sim.fuzz.partition import FuzzedPartition
from byway.sim.fuzz.plan import Host, Plan
from byway.sim.fuzz.plant import Plant
from byway.sim.fuzz.ring_attack import RingAttack
from byway.sim.fuzz.world import World
from byway.sw.contract.registers import ADAPTER_PAGE, AdapterPage
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.owner_device import OwnerDevice
from byway.sw.manager.adapter_sharing import AdapterAssignment
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.methods import station_address
from byway.sw.stack.network_device import FrameOutcome

__all__ = ["Scenario"]

_Actor = ClientAttack | RingAttack | HonestSender

#: Cycles within which every frame under way is told of, and the adapter comes to rest.
_PATIENCE = 400_000
_STEP = 2_000
_OWNER_PAGES = 100


class Scenario:
    """Plays `plan` on `engine`, which has just been opened on a board of `board_of`.

    Parameters
    ----------
    engine : WatchingEngine
    plan : Plan
    plant : Plant or None
        A fault to be found, for tests.
    """

    def __init__(self, engine: WatchingEngine, plan: Plan, plant: Plant | None = None):
        self._engine = engine
        self._plan = plan
        self._plant = plant or Plant()
        self._rng = random.Random(f"scenario {plan.seed}")
        self._outcome = Outcome(plan.seed)
        self._frames: list[WireFrame] = []
        self._stops: Counter[str] = Counter()
        self._senders: list[tuple[FuzzedPartition, HonestSender]] = []
        #: Those of them, and others, whose frames must arrive.
        self._promised: list[tuple[FuzzedPartition, HonestSender]] = []

    def play(self) -> Outcome:
        """Play it once."""
        world = self._world = World(self._engine, self._plan, self._plant)
        try:
            self._attack()
            self._end()
        except Exception as error:
            # An adapter that breaks its word, or what an accusation tells of already.
            text = f"{type(error).__name__}: {error}"
            world.judge.accuse(self._engine.cycle, "broken off", text)
        self._look()
        self._judge()
        return self._count()

    # The course of it

    def _attack(self) -> None:
        """Let everybody act by turns, while time goes on."""
        world, plan, rng = self._world, self._plan, self._rng
        actors: list[tuple[FuzzedPartition, _Actor]] = []
        for client, device in zip(world.hosted, world.devices, strict=True):
            own = random.Random(f"{client.name} {plan.seed}")
            if client.hostile:
                actors.append((client, ClientAttack(client, device, world.names, own)))
            else:
                sender = HonestSender(client, device, own)
                self._senders.append((client, sender))
                actors.append((client, sender))
        if plan.host is not Host.HOSTILE:
            self._promised += self._senders
        if plan.host is not Host.HONEST:
            everybody = plan.host is Host.HOSTILE
            ends = [c.connection.server for c in world.hosted if c.connection is not None]
            own = random.Random(f"hosting {plan.seed}")
            attack = RingAttack(
                world.hosting, world.assignment, ends, world.names, own, everybody=everybody
            )
            actors += [(world.hosting, attack)] * 2
        self._let_software_act()
        for turn in range(plan.turns):
            for partition, actor in rng.choices(actors, k=rng.choice((1, 1, 2))):
                if partition.alive:
                    self._act(partition, actor)
            if rng.random() < 0.008:
                self._kill_somebody()
            if plan.host is Host.HOSTILE and turn > plan.turns // 2 and rng.random() < 0.1:
                self._panic()
            self._advance(rng.randint(0, plan.pace))

    def _act(self, partition: FuzzedPartition, actor: _Actor) -> None:
        cycle = self._engine.cycle
        if isinstance(actor, HonestSender):
            if actor.link_up:
                what = actor.act()
            else:
                what = "link down"
                if self._plan.host is not Host.HOSTILE:
                    text = f"the link of {partition.name} is down"
                    self._world.judge.accuse(cycle, "lost link", text)
            self._outcome.actions[f"honest client: {what}"] += 1
        else:
            action = actor.choose()
            what = action.__name__
            try:
                action()
            except Exception as error:
                self._world.crashes[type(error).__name__] += 1
            part = "hosting" if isinstance(actor, RingAttack) else "client"
            self._outcome.actions[f"hostile {part}: {what}"] += 1
        self._note(cycle, partition.name, what)
        self._let_software_act()

    def _kill_somebody(self) -> None:
        """A hostile partition dies, and its memory becomes another's."""
        world = self._world
        hostile = [p for p in (*world.hosted, world.hosting) if p.hostile and p.alive]
        if not hostile:
            return
        victim = self._rng.choice(hostile)
        pages = victim.memory.size // PAGE_SIZE
        self._note(self._engine.cycle, victim.name, "dies")
        self._outcome.events["deaths"] += 1
        world.terminate(victim)
        heir = world.create(f"heir of {victim.name}", pages, hostile=False)
        heir.claim(pages // 2)
        world.hosted.append(heir)

    def _panic(self) -> None:
        """An honest client takes everything back from a server that it does not trust any more."""
        client, sender = self._rng.choice(self._senders)
        self._note(self._engine.cycle, client.name, "takes everything back")
        self._outcome.events["panics"] += 1
        sender.panic()

    def _end(self) -> None:
        """Attacks have ceased: what is under way ends."""
        world = self._world
        cycle = self._engine.cycle
        if self._plan.host is not Host.HOSTILE:
            if self._plan.host is Host.OWN_RING:
                AdapterPage(world.assignment.adapter_page).ring[0].control.write(enable=0)
            self._wait("frames of honest clients are under way", self._all_settled)
        else:
            if not world.hosting.alive:
                self._take_over("new owner")
            page = AdapterPage(world.assignment.adapter_page)
            # Else its driver would enable again what the partition manager resets from now on.
            world.hosting.partition.on_interrupt(world.assignment.fault_interrupt, None)
            for ring in range(len(world.assignment.liobn)):
                page.ring[ring].control.write(enable=0)
                page.ring[ring].interrupt_enable.write()
            page.mac_control.write(transmit_enable=1)
        self._wait("the adapter is busy", lambda: self._engine.quiescent)
        if self._plan.host is Host.HOSTILE:
            page = AdapterPage(world.assignment.adapter_page)
            for ring in range(len(world.assignment.liobn)):
                if page.ring[ring].status.read().active:
                    world.judge.accuse(
                        self._engine.cycle, "hang", f"ring {ring} is active though disabled"
                    )
        self._read_status(world.assignment)
        if self._plan.host is Host.HOSTILE and not self._plan.manner.errors:
            self._use_it_anew()
        self._outcome.events["cycles to rest"] += self._engine.cycle - cycle

    def _read_status(self, assignment: AdapterAssignment) -> None:
        """Take note of what the adapter has counted, and of the rings that it has stopped."""
        page = AdapterPage(self._engine.registers, ADAPTER_PAGE)
        self._outcome.events["segments"] += page.segments.read().count
        self._outcome.events["frames dropped"] += page.dropped.read().count
        for ring in range(len(assignment.liobn)):
            status = page.ring[ring].status.read()
            if status.stopped:
                self._stops[status.reason.name.lower()] += 1

    def _use_it_anew(self) -> None:
        """A new owner finds an adapter that works."""
        world = self._world
        if world.hosting.hostile:
            world.terminate(world.hosting)
            self._take_over("second owner")
        owner = world.hosting
        driver = AdapterDriver(world.assignment)
        device = OwnerDevice(driver, station_address(owner.partition))
        owner.claim(8)
        sender = HonestSender(owner, device, random.Random(f"anew {self._plan.seed}"))
        self._promised.append((owner, sender))
        for _ in range(3):
            self._note(self._engine.cycle, owner.name, sender.act())
        self._wait("frames of the new owner are under way", lambda: sender.settled)
        self._wait("the adapter is busy", lambda: self._engine.quiescent)

    def _take_over(self, name: str) -> None:
        """Another partition gets the adapter, whose owner has died."""
        world = self._world
        world.hosting = world.create(name, _OWNER_PAGES, hostile=False)
        world.assignment = world.assign(world.hosting)

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        end = self._engine.cycle + _PATIENCE
        self._let_software_act()
        while not done():
            if self._engine.cycle >= end:
                text = f"{what}, {_PATIENCE:,} cycles after the last attack"
                self._world.judge.accuse(self._engine.cycle, "hang", text)
                return
            self._advance(_STEP, until_rest=True)

    def _all_settled(self) -> bool:
        return all(sender.settled for _client, sender in self._senders)

    # Time

    def _advance(self, cycles: int, *, until_rest: bool = False) -> None:
        """Let time and software go on."""
        engine = self._engine
        end = engine.cycle + cycles
        while engine.cycle < end:
            engine.run(end - engine.cycle, until_rest=until_rest)
            self._let_software_act()
            if until_rest and engine.quiescent:
                return

    def _let_software_act(self) -> None:
        self._look()
        self._world.dispatch()

    def _look(self) -> None:
        engine = self._engine
        while engine.frames:
            self._frames += self._plant.wire(engine.frames.popleft())

    def _note(self, cycle: int, who: str, what: str) -> None:
        self._outcome.log.append((cycle, who, what))

    # Judgement

    def _judge(self) -> None:
        world, judge, cycle = self._world, self._world.judge, self._engine.cycle
        judge.judge_beats(self._engine.take_beats())
        for frame in self._frames:
            judge.judge_frame(frame)
        for ring, liobn in enumerate(world.assignment.liobn):
            for at, table in judge.tables:
                if at == ring:
                    length = table.entries * 8
                    content = self._engine.memory.read(table.page * PAGE_SIZE, length)
                    judge.judge_table(cycle, liobn, content)
        honest = [p for p in (*world.hosted, world.hosting) if p.alive and not p.hostile]
        for partition in honest:
            # A hosting partition that attacks with a ring of its own has put its pages to use.
            if partition is world.hosting and self._plan.host is Host.OWN_RING:
                continue
            wrong = partition.check()
            if wrong:
                judge.accuse(cycle, "foreign write", wrong)
        for partition, sender in self._promised:
            self._judge_delivery(partition, sender)

    def _judge_delivery(self, client: FuzzedPartition, sender: HonestSender) -> None:
        """Every frame once, whole, in order, and told as sent."""
        judge, cycle = self._world.judge, self._engine.cycle
        expected = [data for sent in sender.sent for data in sent.wire]
        known = set(expected)
        seen = [f.data for f in self._frames if f.data in known or sender.signed(f.data)]
        if seen != expected:
            at = next(
                (n for n, (a, b) in enumerate(zip(seen, expected, strict=False)) if a != b),
                min(len(seen), len(expected)),
            )
            text = (
                f"frame {at} of {client.name} did not come as it must: {len(seen)} frames of it "
                f"are on the wire, {len(expected)} must be"
            )
            judge.accuse(cycle, "lost frame", text)
        wrong = Counter(
            str(sent.outcomes) for sent in sender.sent if sent.outcomes != [FrameOutcome.SENT]
        )
        if wrong:
            judge.accuse(cycle, "lost frame", f"frames of {client.name} were told as {dict(wrong)}")

    def _count(self) -> Outcome:
        world, outcome = self._world, self._outcome
        judge = world.judge
        outcome.cycles = self._engine.cycle
        outcome.violation = min(judge.violations, default=None)
        outcome.hcalls = Counter(
            {f"{name} {code}": n for (name, code), n in world.hcalls.answers.items()}
        )
        outcome.faults = Counter(fault.reason.name.lower() for fault in world.manager.faults)
        outcome.completions = judge.statuses
        outcome.stops = self._stops + Counter(
            {reason.name.lower(): n for (_ring, reason), n in world.interface.driver.stops.items()}
        )
        events = outcome.events
        events["beats just before their grant ended"] += judge.late
        events["frames on the wire"] += len(self._frames)
        events["honest frames"] += sum(len(sender.sent) for _client, sender in self._senders)
        events["promised frames"] += sum(
            len(sent.wire) for _partition, sender in self._promised for sent in sender.sent
        )
        events["markers on the wire"] += judge.markers
        events["grants taken back"] += judge.grants.revoked
        events["faults"] += world.manager.counters.faults
        for kind, count in judge.beats.items():
            events[f"beats: {kind}"] += count
        for kind, count in world.crashes.items():
            events[f"hostile software failed: {kind}"] += count
        events[f"host: {self._plan.host.value}"] += 1
        return outcome
