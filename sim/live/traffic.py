"""Carries frames between kernels, through the machine and over the wire.

The kernels live in wall time, the adapter in simulated time. Simulated time runs as fast as the
engine can while anything is under way in the adapter, and stands still otherwise: what a kernel
does takes none, as with all software here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from byway.sim.engines.engine import Engine
from byway.sim.live.hosted_kernel import HostedKernel
from byway.sim.scenarios.machine import Machine
from byway.sim.wire.capture import Capture
from byway.sim.wire.receive_coalescer import Joined, ReceiveCoalescer
from byway.sim.wire.tap import Tap

__all__ = ["LiveTraffic", "WireCounts", "payload_bytes"]

#: Most cycles between two looks at the kernels: about one long frame on the wire.
_CHUNK = 2_000
#: Most frames on the way back between two looks at the adapter.
_BATCH = 64
_ETHERNET_HEADER = 14


@dataclass
class WireCounts:
    """What passed on the wire.

    Attributes
    ----------
    frames, bytes, payload_bytes : int
        From the adapter: frames, their bytes without FCS, and TCP or UDP payload in them.
    bad : int
        Those among them that the link partner dropped, for a wrong FCS or preamble.
    not_taken : int
        Those that its kernel did not take.
    back_frames, back_bytes : int
        To the adapter.
    """

    frames: int = 0
    bytes: int = 0
    payload_bytes: int = 0
    bad: int = 0
    not_taken: int = 0
    back_frames: int = 0
    back_bytes: int = 0


class LiveTraffic:
    """Joins a machine, the kernels of its hosted partitions, and the link partner's kernel.

    Parameters
    ----------
    engine : Engine
    machine : Machine
        What `engine` runs.
    kernels : sequence of HostedKernel
    partner : Tap
        Of the link partner, which has no offloads.
    capture : Capture

    Attributes
    ----------
    wire : WireCounts
    """

    def __init__(
        self,
        engine: Engine,
        machine: Machine,
        kernels: Sequence[HostedKernel],
        partner: Tap,
        capture: Capture,
    ):
        self.wire = WireCounts()
        self._engine = engine
        self._machine = machine
        self._kernels = kernels
        self._partner = partner
        self._capture = capture
        self._coalescer = ReceiveCoalescer()
        self._first_cycle = engine.cycle

    @property
    def cycles(self) -> int:
        """Cycles since the traffic began."""
        return self._engine.cycle - self._first_cycle

    def step(self) -> bool:
        """Move everything on a little; returns whether there is more to do at once."""
        busy = self._take_from_partner()
        for kernel in self._kernels:
            busy |= kernel.pump()
        busy |= self._machine.software()
        if busy or not self._at_rest:
            self._engine.run(_CHUNK, until_rest=True)
            while self._engine.frames:
                self._take_from_adapter()
            busy = True
        else:
            self._give_to_partner(self._coalescer.flush())
        return busy

    @property
    def waiting_for(self) -> list[Tap]:
        """What to wait for when there is nothing to do: TAPs whose frames could be taken."""
        return [self._partner, *(kernel.tap for kernel in self._kernels if kernel.room)]

    @property
    def _at_rest(self) -> bool:
        engine = self._engine
        return engine.quiescent and not (engine.adapter_interrupt or engine.manager_interrupt)

    def _take_from_partner(self) -> bool:
        for number in range(_BATCH):
            read = self._partner.read()
            if read is None:
                return number > 0
            _header, frame = read
            self.wire.back_frames += 1
            self.wire.back_bytes += len(frame)
            self._capture.write(frame, self._engine.time_ns)
            self._machine.deliver(frame)
        return True

    def _take_from_adapter(self) -> None:
        frame = self._engine.frames.popleft()
        wire = self.wire
        wire.frames += 1
        wire.bytes += len(frame.data)
        self._capture.write(frame.data, self._engine.wire.ns(frame.first_cycle))
        if not frame.good:
            wire.bad += 1
            return
        wire.payload_bytes += payload_bytes(frame.data)
        self._give_to_partner(self._coalescer.receive(frame.data))

    def _give_to_partner(self, frames: Sequence[Joined]) -> None:
        for header, frame in frames:
            self.wire.not_taken += not self._partner.write(frame, header)


def payload_bytes(frame: bytes) -> int:
    """Bytes of TCP or UDP payload in a frame with one IPv4 or IPv6 header; 0 of any other."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == 0x0800 and len(frame) >= _ETHERNET_HEADER + 20:
        l4 = _ETHERNET_HEADER + 4 * (frame[_ETHERNET_HEADER] & 0xF)
        end = _ETHERNET_HEADER + int.from_bytes(frame[16:18], "big")
        protocol = frame[23]
    elif kind == 0x86DD and len(frame) >= _ETHERNET_HEADER + 40:
        l4 = _ETHERNET_HEADER + 40
        end = l4 + int.from_bytes(frame[18:20], "big")
        protocol = frame[20]
    else:
        return 0
    if protocol == 6 and len(frame) >= l4 + 20:
        return max(0, end - l4 - 4 * (frame[l4 + 12] >> 4))
    return max(0, end - l4 - 8) if protocol == 17 else 0
