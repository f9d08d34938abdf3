"""Everything at once, at random: frames of all kinds, refusals, stops, switches, invalidations.

Rings send while software does whatever it may; with an honest memory what leaves is judged in the
end, frame by frame, by the completions. With a memory that fails now and then a completion or a
descriptor can be lost: then what leaves is at least in order, and nothing else than was sent.
"""

import random
from collections.abc import Callable, Iterable, Iterator

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.flows.flow import PAGE, Bench, Flow
from byway.sim.flows.frames import Frame, random_single, random_super, sized
from byway.sim.flows.registers import words
from byway.sim.flows.ring import Ring, Window
from byway.sw.contract.records import Completion, TransmitStatus
from byway.sw.contract.registers import IDENTITY_PAGE, IdentityPage, InvalidateScope

__all__ = ["MIXTURE", "mixture", "random_manner"]

_LONGEST = 500
_FRAGMENTS = 7
#: Entries that a frame takes at most.
_MOST_ENTRIES = 1 + _FRAGMENTS // 2
#: A completion that was lost never comes.
_PATIENCE = 6_000
#: Longer than any frame here takes to leave.
_QUIET_CYCLES = 3_000


class _Sender:
    """A ring with its window, and what has become of its frames.

    Attributes
    ----------
    sent : list of list of bytes
        For each frame, in order: what may leave for it.
    left : list of bytes
        What must have left, by the completions.
    was_reset : bool
        Completions may have been lost.
    """

    def __init__(self, bench: Bench, number: int):
        self.window = Window(bench, number)
        self.ring = Ring(bench, self.window, bench.rng.choice((4, 5)), interrupts=True)
        self.sent: list[tuple[bytes, ...]] = []
        self.left: list[bytes] = []
        self._bench = bench
        self.was_reset = False
        self._begun = 0  # Frames before this run of the ring.
        self._shared = self.window.take(PAGE)
        self._spoilt = self.window.take(PAGE)
        self.window.spoil(self._spoilt // PAGE)
        self._page = sized(bench.rng, number, PAGE).data
        self.window.write(self._shared, self._page)

    @property
    def stopped(self) -> bool:
        """The hardware stopped the ring."""
        return bool(self.ring.registers.status.read().stopped)

    def has_room(self) -> bool:
        """For any frame."""
        return self.ring.room() >= _MOST_ENTRIES

    def send(self, frame: Frame) -> None:
        """Post `frame` from memory of its own."""
        self.sent.append(frame.leaves)
        self.ring.send(frame, fragments=self._bench.rng.randint(1, _FRAGMENTS))

    def send_shared(self) -> None:
        """Post a frame from the page that is granted at some times only."""
        length = self._bench.rng.randint(60, _LONGEST)
        self.sent.append((self._page[:length],))
        self.ring.post([(self._shared, length)])

    def send_refused(self) -> None:
        """Post a frame that must not leave."""
        rng = self._bench.rng
        beyond = self.window.entries * PAGE
        pieces, fields = rng.choice(
            [
                ([(self._spoilt + rng.randrange(PAGE), 100)], {}),
                ([(self._shared, 60), (beyond + rng.randrange(1 << 40), 60)], {}),
                ([(self._shared, 13)], {}),
                ([(self._shared, 100)], {"total_length": rng.choice((99, 101))}),
                ([(self._shared, 100)], {"checksum_udp": 1, "checksum_tcp": 1}),
                ([(self._shared, 100)], {"fragments": rng.choice((0, 32))}),
                ([(self._shared, 100)], {"large_send": 1, "ip_offset": 14, "l4_offset": 34}),
            ]
        )
        self.sent.append(())
        self.ring.post(pieces, **fields)

    def toggle_grant(self) -> None:
        """Take the shared page back if it is granted, else grant it."""
        index = self._shared // PAGE
        if self.window.is_mapped(index):
            self.window.unmap(index)
        else:
            self.window.map(index)

    def restart(self) -> None:
        """Switch the ring off and on."""
        self.ring.stop()
        self._begin()

    def reset(self) -> None:
        """Have the ring reset, and use it again: completions may be lost."""
        self.was_reset = True
        self.ring.reset()
        self._begin()

    def _begin(self) -> None:
        self.settle()
        self.window.map(self.ring.descriptors // PAGE)
        self.window.map(self.ring.completions // PAGE, write=True)
        self.ring.start()

    def settle(self) -> None:
        """Take the completions of this run of the ring for what has left."""
        self.ring.collect()
        run = self.sent[self._begun :]
        for leaves, completion in zip(run, self.ring.done, strict=False):
            self.left += leaves[: completion.segments]
            self._check(leaves, completion)
        self._begun = len(self.sent)

    def _check(self, leaves: tuple[bytes, ...], completion: Completion) -> None:
        if completion.status == TransmitStatus.SUCCESS:
            assert completion.segments == len(leaves), completion
        else:
            assert not leaves or completion.segments < len(leaves), completion

    def finish(self) -> None:
        """Let all leave that can."""
        self.ring.ring()
        end = self._bench.cycle + _PATIENCE
        while not (self.ring.is_complete() or self.stopped) and self._bench.cycle < end:
            self._bench.run(100)
        self.ring.stop()
        self.settle()


def _within(part: Iterable[bytes], whole: Iterable[bytes]) -> bool:
    """`part` is `whole` without some of its items."""
    rest: Iterator[bytes] = iter(whole)
    return all(item in rest for item in part)


class _Mix:
    """Does things at random to all senders of a bench."""

    def __init__(self, bench: Bench):
        self._bench = bench
        self._rng = bench.rng
        rings = IdentityPage(bench.registers, IDENTITY_PAGE).geometry.read().rings
        self._senders = [_Sender(bench, number) for number in range(rings)]
        self._words = [address for address, _fields in words()]
        self._holes = sorted({address + 4 for address in self._words}.difference(self._words))
        self._manager = self._senders[0].window.manager
        self._adapter = self._senders[0].ring.adapter
        self._adapter.mac_control.write(transmit_enable=1)
        self._manager.interrupt_enable.write(fault=1)
        self._actions: dict[Callable[[_Sender], None], int] = {
            self._send: 30,
            self._ring: 15,
            self._pass_time: 15,
            self._take_faults: 4,
            self._clear_causes: 6,
            self._peek: 6,
            self._switch_interrupts: 2,
            self._switch_mac: 3,
            self._invalidate: 2,
            _Sender.toggle_grant: 5,
            _Sender.restart: 2,
            _Sender.reset: 1,
            self._stop: 2,
        }

    def act(self) -> None:
        """One thing, to one ring."""
        (action,) = self._rng.choices(list(self._actions), list(self._actions.values()))
        sender = self._rng.choice(self._senders)
        if action in (self._send, self._ring) and sender.stopped:
            action = _Sender.restart
        action(sender)

    def _send(self, sender: _Sender) -> None:
        rng, number = self._rng, sender.ring.number
        for _number in range(rng.randint(1, 3)):
            if not sender.has_room():
                return
            kind = rng.randrange(8)
            if kind < 4:
                sender.send(random_single(rng, number, _LONGEST))
            elif kind < 6:
                sender.send(random_super(rng, number, _LONGEST))
            elif kind < 7:
                sender.send_shared()
            else:
                sender.send_refused()
        if rng.random() < 0.5:
            sender.ring.ring()

    def _ring(self, sender: _Sender) -> None:
        sender.ring.ring()

    def _pass_time(self, _sender: _Sender) -> None:
        self._bench.run(self._rng.choice((1, 7, 50, 300)))

    def _take_faults(self, _sender: _Sender) -> None:
        while self._manager.fault_status.read().valid:
            self._manager.fault_record.read()
            self._manager.fault_address.read()
            self._manager.fault_status.write(valid=1)

    def _clear_causes(self, sender: _Sender) -> None:
        sender.ring.registers.interrupt_status.read()
        sender.ring.registers.interrupt_status.write(completion=1, stopped=1)

    def _peek(self, _sender: _Sender) -> None:
        """Read any word, or next to one, where there is none."""
        address = self._rng.choice(self._rng.choice((self._words,) * 3 + (self._holes,)))
        try:
            self._bench.registers.read(address)
        except OSError:
            assert address not in self._words, f"read of {address:#x}"

    def _switch_interrupts(self, sender: _Sender) -> None:
        completion, stopped, fault = (self._rng.random() < 0.5 for _number in range(3))
        sender.ring.registers.interrupt_enable.write(completion=completion, stopped=stopped)
        self._manager.interrupt_enable.write(fault=fault)

    def _switch_mac(self, _sender: _Sender) -> None:
        self._adapter.mac_control.write(transmit_enable=0)
        self._bench.run(self._rng.randrange(200))
        self._adapter.mac_control.write(transmit_enable=1)

    def _invalidate(self, sender: _Sender) -> None:
        sender.window.invalidate(self._rng.choice(list(InvalidateScope)))

    def _stop(self, sender: _Sender) -> None:
        """Have the hardware stop the ring, for one reason or another."""
        ring = sender.ring
        reason = self._rng.randrange(3)
        if reason == 0:
            ring.doorbell.transmit.write(producer=(ring.producer + ring.size + 1) % (1 << 16))
        elif reason == 1:
            sender.window.unmap(ring.descriptors // PAGE)
        else:
            sender.window.spoil(ring.descriptors // PAGE)

    def finish(self) -> None:
        """Let all leave that can, and read every register."""
        for sender in self._senders:
            sender.finish()
        seen = -1
        while seen != len(self._bench.frames):
            seen = len(self._bench.frames)
            self._bench.run(_QUIET_CYCLES)
        self._take_faults(self._senders[0])
        for address in self._words:
            self._bench.registers.read(address)

    def judge(self, *, honest: bool) -> None:
        """Hold what left against what was sent; with an `honest` memory a reset alone loses
        completions."""
        wire = [frame.data for frame in self._bench.frames]
        for sender in self._senders:
            number = sender.ring.number
            ours = [data for data in wire if data[11] == number]
            may = [leaf for leaves in sender.sent for leaf in leaves]
            assert _within(ours, may), f"ring {number}: something that was not sent"
            assert _within(sender.left, ours), f"ring {number}: complete, and has not left"
            if honest and not sender.was_reset:
                assert ours == sender.left, f"ring {number}: left without a completion"


def random_manner(rng: random.Random) -> MemoryManner:
    """A memory of any manner; some fail now and then."""
    return MemoryManner(
        latency=rng.choice((0, 1, rng.randrange(60))),
        outstanding=rng.choice((1, 2, rng.randint(3, 32), 32)),
        stalls=rng.choice((0, rng.randrange(0x4000))),
        reorders=rng.random() < 0.5,
        errors=rng.choice((0, 0, rng.randrange(0x400))),
        seed=rng.getrandbits(64),
    )


def mixture(turns: int, *, honest: bool) -> Flow:
    """A flow of so many turns.

    Parameters
    ----------
    honest : bool
        The memory never fails: no completion is lost.
    """

    def everything_at_once(bench: Bench) -> None:
        mix = _Mix(bench)
        for _turn in range(turns):
            mix.act()
        mix.finish()
        mix.judge(honest=honest)

    return Flow(everything_at_once, stall=0.05, longest_latency=30)


#: Long enough that most of what may meet does.
MIXTURE = mixture(150, honest=True)
