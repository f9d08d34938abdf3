"""Several hosted partitions send at once, each a stream of its own, and share the wire.

Each partition has a partner of its own behind the wire and sends random bytes to it; all begin
together. What is measured is the wire's use as a whole, and how evenly it was shared.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.board import BoardParameters
from byway.sim.board.wire import GMII
from byway.sim.engines.engine import Engine
from byway.sim.engines.open_engine import ENGINES, open_engine
from byway.sim.scenarios.machine import Machine, adapter_for, board_for
from byway.sim.scenarios.traffic import Traffic
from byway.sim.scenarios.transfer import Transfer, rate_of_limit
from byway.sim.wire.link_partner import LinkPartner
from byway.sw.contract.registers import MANAGER_PAGE, ManagerPage
from byway.sw.stack.tcp import MAXIMUM_MSS

__all__ = ["ShareOptions", "ShareResult", "open_shared_engine", "share"]


@dataclass(frozen=True, kw_only=True)
class ShareOptions:
    """What can be chosen of a run.

    Attributes
    ----------
    engine : str
        A name of `byway.sim.engines.open_engine.ENGINES`.
    wire : str
        One of `byway.sim.board.wire.WIRES`.
    data_width : int
        One of `byway.sim.scenarios.machine.DATA_WIDTHS`.
    hosted : int
        Partitions that send.
    bytes : int
        What each of them sends, at least 1.
    mtu : int
        Longest IP packet on the wire, in bytes.
    mss : int or None
        Most payload bytes of a segment; None for what the MTU leaves beside the headers.
    memory_latency, memory_outstanding, memory_stalls : int
        As in `MemoryManner`.
    seed : int
        Of the bytes sent and of the memory's stalls.
    """

    engine: str = ENGINES[0]
    wire: str = GMII.name
    data_width: int = 64
    hosted: int = 1
    bytes: int = 256 << 10
    mtu: int = 1500
    mss: int | None = None
    memory_latency: int = 0
    memory_outstanding: int = 32
    memory_stalls: int = 0
    seed: int = 0

    @property
    def board(self) -> BoardParameters:
        """The board that the run needs."""
        manner = MemoryManner(
            latency=self.memory_latency,
            outstanding=self.memory_outstanding,
            stalls=self.memory_stalls,
            seed=self.seed,
        )
        return board_for(self.hosted, manner)


@dataclass(frozen=True, kw_only=True)
class ShareResult:
    """What a run came to.

    Attributes
    ----------
    cycles : int
        From the first doorbell to the last byte on the wire.
    goodput_of_limit, goodput_bits_per_second : float
        Payload rate from the first preamble byte to the end of the last frame with payload; over
        the rate of the same frames back to back, and absolute.
    partition_goodput_min, partition_goodput_max : float
        Bits a second of the slowest and of the fastest partition, from the first payload of all to
        the last of its own.
    fairness : float
        Jain's index of those rates: 1 if all are equal, 1 over the partitions if one had it all.
    frames, data_frames, super_frames, retransmissions : int
        On the wire, those with payload, handed to the adapter as super-frames, sent again.
    crossings, cpu_bytes_copied, receive_bytes_copied : int
        Switches between partitions; payload bytes that a processor copied to send, and bytes that
        software copied on the way back. Set-up not included.
    iotlb_hits, iotlb_misses, iotlb_prefetches, faults : int
        Of the translation bridge.
    bad_frames : int
        Frames that a partner refused for a wrong FCS or checksum.
    sha256_equal : bool
        Every partner received what its partition sent.
    """

    cycles: int
    goodput_of_limit: float
    goodput_bits_per_second: float
    partition_goodput_min: float
    partition_goodput_max: float
    fairness: float
    frames: int
    data_frames: int
    super_frames: int
    retransmissions: int
    crossings: int
    cpu_bytes_copied: int
    receive_bytes_copied: int
    iotlb_hits: int
    iotlb_misses: int
    iotlb_prefetches: int
    faults: int
    bad_frames: int
    sha256_equal: bool

    @property
    def intact(self) -> bool:
        """The partners received what was sent, and nothing broken on the way."""
        return self.sha256_equal and not self.bad_frames


def open_shared_engine(options: ShareOptions) -> Engine:
    """Start the engine that `share` needs; raises `EngineError` if it cannot be had."""
    make = adapter_for(options.hosted, data_width=options.data_width, wire=options.wire)
    return open_engine(options.engine, make, options.board)


def share(engine: Engine, options: ShareOptions) -> ShareResult:
    """Carry out a run on an engine of `open_shared_engine`; raises `ScenarioError` if it fails."""
    machine = Machine(engine, mtu=options.mtu, hosted=options.hosted)
    partners = [
        LinkPartner(f"02:00:00:00:02:{number:02x}", f"10.0.1.{number}", mtu=options.mtu)
        for number in range(1, 1 + options.hosted)
    ]
    texts = [
        random.Random(f"{options.seed}/{number}").randbytes(options.bytes)
        for number in range(options.hosted)
    ]
    transfers = [
        Transfer(
            engine,
            memory=host.memory,
            device=host.device,
            partner=partner,
            doorbells=machine.doorbells,
            address=f"10.0.0.{number}",
            mss=options.mss or MAXIMUM_MSS,
            data=text,
        )
        for number, (host, partner, text) in enumerate(
            zip(machine.hosted, partners, texts, strict=True), 1
        )
    ]
    before = machine.counts()
    Traffic(engine, transfers, software=machine.software, deliver=machine.deliver).run()
    after = machine.counts()

    page = ManagerPage(engine.registers, MANAGER_PAGE)
    figures = [transfer.figures for transfer in transfers]
    data = sorted(frame for each in figures for frame in each.data)
    first, last = data[0][0], data[-1][1]
    wire = engine.wire

    def rate(payload: int, until: int) -> float:
        """Bits a second since the first payload of all."""
        return payload * 8 / wire.seconds(until - first + 1)

    rates = [rate(each.payload_bytes, each.data[-1][1]) for each in figures]
    return ShareResult(
        cycles=max(f.last_byte for f in figures) - min(f.first_doorbell for f in figures) + 1,
        goodput_of_limit=rate_of_limit(data, wire) or 0.0,
        goodput_bits_per_second=rate(sum(f.payload_bytes for f in figures), last),
        partition_goodput_min=min(rates),
        partition_goodput_max=max(rates),
        fairness=_fairness(rates),
        frames=sum(f.frames for f in figures),
        data_frames=len(data),
        super_frames=sum(f.super_frames for f in figures),
        retransmissions=sum(f.retransmissions for f in figures),
        crossings=after.crossings - before.crossings,
        cpu_bytes_copied=(
            after.transmit_bytes
            - before.transmit_bytes
            + sum(t.ip.touched.copied for t in transfers)
        ),
        receive_bytes_copied=after.receive_bytes - before.receive_bytes,
        iotlb_hits=page.iotlb_hits.read().count,
        iotlb_misses=page.iotlb_misses.read().count,
        iotlb_prefetches=page.iotlb_prefetches.read().count,
        faults=page.faults.read().count,
        bad_frames=sum(partner.counts.bad for partner in partners),
        sha256_equal=all(
            partner.digest.digest() == hashlib.sha256(text).digest()
            for partner, text in zip(partners, texts, strict=True)
        ),
    )


def _fairness(rates: Sequence[float]) -> float:
    """The index of Jain, Chiu and Hawe [DEC-TR-301]."""
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
