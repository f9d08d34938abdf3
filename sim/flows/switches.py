"""Switches under traffic: a ring is disabled, the MAC is held, interrupts are masked."""

from byway.sim.flows.flow import Bench, flow
from byway.sim.flows.frames import Frame, sized
from byway.sim.flows.ring import Ring, Window
from byway.sw.contract.records import TransmitStatus


def _start(bench: Bench, number: int = 0, *, mac: bool = True) -> Ring:
    ring = Ring(bench, Window(bench, number))
    ring.adapter.mac_control.write(transmit_enable=mac)
    return ring


def _post(bench: Bench, ring: Ring, count: int) -> list[Frame]:
    frames = [sized(bench.rng, ring.number, bench.rng.randrange(60, 500)) for _ in range(count)]
    for frame in frames:
        ring.send(frame, fragments=bench.rng.randint(1, 3))
    ring.ring()
    return frames


@flow(stall=0.1, longest_latency=20)
def a_disabled_ring_ends_in_order(bench: Bench) -> None:
    """What was begun is finished and complete, what was not never leaves; then it starts anew."""
    ring = _start(bench)
    expected: list[bytes] = []
    for _turn in range(6):
        frames = _post(bench, ring, 16)
        bench.run(bench.rng.randrange(3000))
        ring.stop()
        ring.collect()
        assert all(completion.status == TransmitStatus.SUCCESS for completion in ring.done)
        status = ring.registers.status.read()
        assert not status.stopped
        assert status.consumer == (ring.done[-1].consumer if ring.done else 0)
        expected += [leaf for frame in frames[: len(ring.done)] for leaf in frame.leaves]
        ring.start()
    expected += _post(bench, ring, 1)[0].leaves
    ring.expect(TransmitStatus.SUCCESS)
    bench.wait_for(lambda: len(bench.frames) >= len(expected), "frames on the wire")
    bench.run(1000)
    assert [frame.data for frame in bench.frames] == expected


@flow()
def a_held_mac_loses_nothing(bench: Bench) -> None:
    """Frames wait while the MAC is switched off, the one that had begun leaves whole."""
    ring = _start(bench, mac=False)
    frames = _post(bench, ring, 20)
    bench.run(3000)
    assert not bench.frames
    for _turn in range(4):
        ring.adapter.mac_control.write(transmit_enable=1)
        bench.run(bench.rng.randrange(1000))
        ring.adapter.mac_control.write(transmit_enable=0)
        bench.run(600)
        quiet = len(bench.frames)
        bench.run(600)
        assert len(bench.frames) == quiet, "a frame while the MAC was off"
    ring.adapter.mac_control.write(transmit_enable=1)
    ring.expect(*[TransmitStatus.SUCCESS] * len(frames))
    bench.wait_for(lambda: len(bench.frames) == len(frames), "frames on the wire")
    assert [frame.data for frame in bench.frames] == [frame.leaves[0] for frame in frames]


@flow()
def interrupts_follow_their_masks(bench: Bench) -> None:
    """A cause is there when its completion is, and raises the line only where it is enabled."""
    rings = [_start(bench, 0), _start(bench, 1)]
    page = rings[0].adapter
    for masked in (0, 1):
        loud = 1 - masked
        rings[masked].registers.interrupt_enable.write()
        rings[loud].registers.interrupt_enable.write(completion=1)
        _post(bench, rings[masked], 1)
        rings[masked].finish()
        bench.run(50)
        assert rings[masked].registers.interrupt_status.read().completion
        assert not bench.adapter_interrupt
        assert page.interrupt_summary.read().rings == 0
        _post(bench, rings[loud], 2)
        bench.wait_for(lambda: bench.adapter_interrupt, "interrupt")
        rings[loud].collect()
        assert rings[loud].done, "an interrupt before the completion was in memory"
        rings[loud].finish()
        assert page.interrupt_summary.read().rings == 1 << loud
        bench.run(50)
        rings[loud].registers.interrupt_status.write(completion=1)
        bench.run(4)
        assert not bench.adapter_interrupt
        assert not rings[loud].registers.interrupt_status.read().completion
        # Enabled late, a cause that is there raises the line.
        rings[masked].registers.interrupt_enable.write(completion=1)
        bench.run(4)
        assert bench.adapter_interrupt
        assert page.interrupt_summary.read().rings == 1 << masked
        rings[masked].registers.interrupt_status.write(completion=1)
