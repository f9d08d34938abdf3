"""What the shared adapter reaches, beside what is possible; in simulated cycles, so exact.

Every frame leaves ring 0 through the translation bridge. Over GMII with a bus of 64 bits and a
memory that answers at once; over XGMII with one of 128 bits and a memory 200 cycles away.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.measure.doorbell import doorbell_to_wire
from byway.sim.measure.figures import Figure, Limit
from byway.sim.measure.frame_rate import FrameRate, large_send_rate, single_frame_rate
from byway.sim.scenarios.machine import adapter_for

__all__ = ["GIGABIT", "TEN_GIGABIT", "Speed", "measure"]

_MSS = 1448
#: Doorbell to wire: bytes of the frame, whether the adapter sums it, most cycles that it may take.
_DOORBELLS = ((60, False, 67), (1514, True, 307))
#: Cycles of memory latency, and most cycles that each of them may add.
_FAR, _EACH = 100, 2


class Speed(NamedTuple):
    """A wire, the machine around it, and its goals, as parts of the limit.

    Attributes
    ----------
    name : str
    make : callable
        Makes the adapter.
    latency : int
        Of the memory, in cycles.
    goals : dict
        Bytes of a frame -> goal.
    large_send_goal : float
    """

    name: str
    make: Callable[[], SharedAdapter]
    latency: int
    goals: dict[int, float]
    large_send_goal: float


GIGABIT = Speed(
    "1g",
    adapter_for(1),
    0,
    dict.fromkeys((60, 61, 64, 128, 256, 512, 1024, 1514, 9014), 0.999),
    0.999,
)
TEN_GIGABIT = Speed(
    "10g",
    adapter_for(1, data_width=128, wire="xgmii"),
    200,
    {60: 0.95} | dict.fromkeys((128, 256, 512, 1024, 1514, 9014), 0.99),
    0.99,
)


def measure() -> Iterator[Figure]:
    """Measure figure by figure."""
    for speed in (GIGABIT, TEN_GIGABIT):
        yield from frame_rates(speed)
        yield large_send(speed)
    yield from doorbells()


def frame_rates(speed: Speed) -> Iterator[Figure]:
    """Frames of one size, each with a descriptor of its own, for each size that has a goal."""
    for size, goal in speed.goals.items():
        rate = single_frame_rate(
            speed.make, size, frames=1000 if size < 1000 else 250, latency=speed.latency
        )
        yield Figure(
            f"{speed.name}_frames_of_{size}",
            rate.frames_per_second,
            "frames/s",
            f">= {goal} of limit",
            rate.limit,
        )


def large_send(speed: Speed) -> Figure:
    """The payload of segments of a large send."""
    rate = large_send_rate(speed.make, _MSS, super_frames=20, latency=speed.latency)
    megabits = 8 * _MSS / 1e6
    return Figure(
        f"{speed.name}_large_send_mss_{_MSS}",
        rate.frames_per_second * megabits,
        "Mbit/s",
        f">= {speed.large_send_goal} of limit",
        _payload_limit(rate, megabits),
    )


def _payload_limit(rate: FrameRate, megabits: float) -> Limit:
    frames = rate.limit
    bits_per_second = rate.wire.bits_per_second / 1e6
    formula = frames.formula.partition(" / ")[2]
    return Limit(frames.value * megabits, f"{bits_per_second:.0f} * {_MSS} / {formula}")


def doorbells() -> Iterator[Figure]:
    """From the doorbell to the first preamble byte, and what each cycle of latency adds."""
    for size, checksum, goal in _DOORBELLS:
        name = f"doorbell_to_wire_{size}" + checksum * "_summed"
        near, far = (
            doorbell_to_wire(GIGABIT.make, size, latency=latency, checksum=checksum)
            for latency in (0, _FAR)
        )
        yield Figure(name, near, "cycles", f"<= {goal}")
        # Of those that each cycle of memory latency adds.
        yield Figure(f"{name}_per_latency", (far - near) / _FAR, "cycles", f"<= {_EACH}")
