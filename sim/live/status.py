"""How a live run stands: what the status line, the page and the result tell."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from byway.sim.engines.engine import Engine
from byway.sim.live.hosted_kernel import HostedKernel
from byway.sim.live.traffic import LiveTraffic
from byway.sim.scenarios.machine import Machine
from byway.sim.wire.medium import OVERHEAD_BYTES
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    MANAGER_PAGE,
    AdapterPage,
    ManagerPage,
)
from byway.sw.stack.network_device import FrameOutcome

__all__ = ["LiveStatus", "StatusReader"]

#: Most cycles until an adapter at rest is so again after a register was read.
_SETTLING = 100


@dataclass(frozen=True)
class LiveStatus:
    """All counts are since the traffic began, but for the adapter's, which are since reset.

    Attributes
    ----------
    wall_seconds, simulated_seconds : float
        Simulated time stands still while nothing is under way.
    cycles : int
        The simulated time in cycles.
    cycles_per_second : float
        Of wall time, since the status before.
    frames, wire_bytes, payload_bytes : int
        From the adapter to the link partner; bytes without FCS; TCP and UDP payload.
    back_frames, back_bytes : int
        From the link partner, bridged in software.
    goodput_simulated, goodput_wall : float
        Payload bits per second of simulated and of wall time.
    wire_use : float
        Part of simulated time in which the wire towards the partner carried a frame, its preamble
        or the gap after it.
    bad_frames : int
        Frames that the link partner dropped for a wrong FCS.
    faults : int
        Accesses that the translation bridge refused.
    sent, super_frames, checksums_by_cpu : tuple of int
        Of each hosted partition: frames that its kernel sent, those that the adapter cut, and those
        whose checksum the adapter does not have.
    refused, lost, not_taken, malformed : int
        Frames that the adapter refused or lost, that a kernel did not take, that made no sense.
    crossings, messages, hcalls : int
        Switches between partitions, CRQ and sub-CRQ elements, calls of the partition manager.
    copied_transmit, copied_receive : int
        Bytes that a processor copied between partitions.
    blocks : dict
        Counter of the adapter -> its value.
    """

    wall_seconds: float
    simulated_seconds: float
    cycles: int
    cycles_per_second: float
    frames: int
    wire_bytes: int
    payload_bytes: int
    back_frames: int
    back_bytes: int
    goodput_simulated: float
    goodput_wall: float
    wire_use: float
    bad_frames: int
    faults: int
    sent: tuple[int, ...]
    super_frames: tuple[int, ...]
    checksums_by_cpu: tuple[int, ...]
    refused: int
    lost: int
    not_taken: int
    malformed: int
    crossings: int
    messages: int
    hcalls: int
    copied_transmit: int
    copied_receive: int
    blocks: dict[str, int]


class StatusReader:
    """Reads how a run stands.

    Parameters
    ----------
    engine : Engine
    machine : Machine
    kernels : sequence of HostedKernel
    traffic : LiveTraffic
    """

    def __init__(
        self,
        engine: Engine,
        machine: Machine,
        kernels: Sequence[HostedKernel],
        traffic: LiveTraffic,
    ):
        self._machine = machine
        self._kernels = kernels
        self._traffic = traffic
        self._engine = engine
        self._adapter = AdapterPage(engine.registers, ADAPTER_PAGE)
        self._manager = ManagerPage(engine.registers, MANAGER_PAGE)
        self._before = machine.counts()
        self._begun = time.monotonic()
        self._last = (self._begun, 0)
        self._blocks: dict[str, int] = {}
        self._blocks_cycle: int | None = None

    def read(self) -> LiveStatus:
        """How the run stands now.

        The adapter's counters cost simulated time, some 100 cycles, but at rest only once.
        """
        self._read_blocks()
        traffic, wire, counts = self._traffic, self._traffic.wire, self._machine.counts()
        now, cycles = time.monotonic(), traffic.cycles
        (last, last_cycles), self._last = self._last, (now, cycles)
        wall, simulated = now - self._begun, self._engine.wire.seconds(cycles)
        bits = 8 * wire.payload_bytes
        kernels = [kernel.counts for kernel in self._kernels]
        on_wire = wire.bytes + wire.frames * OVERHEAD_BYTES
        return LiveStatus(
            wall_seconds=wall,
            simulated_seconds=simulated,
            cycles=cycles,
            cycles_per_second=(cycles - last_cycles) / max(now - last, 1e-9),
            frames=wire.frames,
            wire_bytes=wire.bytes,
            payload_bytes=wire.payload_bytes,
            back_frames=wire.back_frames,
            back_bytes=wire.back_bytes,
            goodput_simulated=bits / simulated if cycles else 0.0,
            goodput_wall=bits / wall if wall else 0.0,
            wire_use=on_wire / (cycles * self._engine.wire.lanes) if cycles else 0.0,
            bad_frames=wire.bad,
            faults=self._machine.manager.counters.faults,
            sent=tuple(kernel.sent for kernel in kernels),
            super_frames=tuple(kernel.super_frames for kernel in kernels),
            checksums_by_cpu=tuple(kernel.checksums_by_cpu for kernel in kernels),
            refused=self._ended(FrameOutcome.REFUSED),
            lost=self._ended(FrameOutcome.LOST),
            not_taken=wire.not_taken + sum(kernel.not_taken for kernel in kernels),
            malformed=sum(kernel.malformed for kernel in kernels),
            crossings=counts.crossings - self._before.crossings,
            messages=counts.messages - self._before.messages,
            hcalls=counts.hcalls - self._before.hcalls,
            copied_transmit=counts.transmit_bytes - self._before.transmit_bytes,
            copied_receive=counts.receive_bytes - self._before.receive_bytes,
            blocks=self._blocks,
        )

    def _ended(self, outcome: FrameOutcome) -> int:
        return sum(kernel.outcomes[outcome] for kernel in self._kernels)

    def _read_blocks(self) -> None:
        """Take the counters as they are; without a cycle since the last time they are the same."""
        engine = self._engine
        if self._blocks_cycle == engine.cycle:
            return
        at_rest = engine.quiescent
        self._blocks = {
            name: getattr(self._adapter, name).read().count
            for name in ("frames", "bytes", "segments", "dropped", "cycles_busy", "cycles_stalled")
        }
        for name in ("iotlb_hits", "iotlb_misses", "faults"):
            self._blocks[name] = getattr(self._manager, name).read().count
        if at_rest:
            # What the reading stirred shall not look like something to read for.
            engine.run(_SETTLING, until_rest=True)
        self._blocks_cycle = engine.cycle
