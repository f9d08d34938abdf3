# amaranth: UnusedElaboratable=no
"""`Adapter` alone on a memory bus: what drivers ask for leaves on GMII, and is counted.

The reference is Scapy, which builds every frame and its checksums. The adapter is given the same
frames with rubbish in the checksums, or many of them as one super-frame, and some that it must
drop. Addresses are those of the memory, as nothing translates.
"""

import random
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from amaranth.sim import Simulator
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from byway.rtl.adapter import Adapter
from byway.rtl.bus.axi4 import PAGE_BYTES, Resp
from byway.rtl.contract.model import codes, record
from byway.rtl.transmit.transmit_path import TransmitPath
from byway.sim.axi_memory_bench import AXIMemoryBench, AXITiming, SparseMemory
from byway.sim.board.wire_frame import judge
from byway.sim.descriptor_bench import ENTRY_BYTES, Fragment, FrameRequest
from byway.sim.rings_bench import AWKWARD, RECORD_BYTES, RingBench
from byway.sim.wire.medium import GAP_BYTES, OVERHEAD_BYTES

STATUS = codes("transmit_status")
COMPLETION = record("completion")
IDEAL = AXITiming()
MSS = 96
#: First page of the frames of ring 0; those of ring r lie 0x100 * r pages further.
DATA_PAGE = 0x10_0000
#: Cycles without a frame after which none is expected to come.
SILENCE = 40


@dataclass
class Handed:
    """A frame or super-frame as it is handed over, and what must leave for it."""

    data: bytes
    leaves: list[bytes]
    fields: dict = field(default_factory=dict)
    error: int = Resp.OKAY

    @property
    def is_super(self):
        return "mss" in self.fields


def padded(packet):
    return bytes(packet).ljust(60, b"\0")


def lower_layers(rng, ring, number=0):
    ether = Ether(dst="02:00:00:00:ff:01", src=f"02:00:00:00:00:{ring:02x}")
    return ether / IP(src=f"10.0.0.{ring}", dst="10.1.0.1", id=number, ttl=rng.randrange(1, 256))


def spoilt(rng, packet):
    """`packet` with rubbish in its checksums."""
    packet = packet.copy()
    for layer in (IP, TCP, UDP):
        if layer in packet:
            packet[layer].chksum = rng.getrandbits(16)
    return bytes(packet)


def single(rng, ring):
    """A frame of TCP or UDP, with or without checksums to insert."""
    upper, name = rng.choice([(TCP, "checksum_tcp"), (UDP, "checksum_udp")])
    packet = (
        lower_layers(rng, ring)
        / upper(sport=rng.getrandbits(16))
        / rng.randbytes(rng.randrange(100))
    )
    if rng.random() < 0.3:
        return Handed(bytes(packet), [padded(packet)])
    fields = {"ip_offset": 14, "l4_offset": 34, "flags": frozenset({"checksum_ipv4", name})}
    return Handed(spoilt(rng, packet), [padded(packet)], fields)


def super_frame(rng, ring, length):
    """A super-frame with so many bytes of payload; PSH stays in its last segment alone."""
    lower, sequence = lower_layers(rng, ring), rng.getrandbits(32)
    payload = rng.randbytes(length)
    leaves = []
    for number, start in enumerate(range(0, length, MSS)):
        lower[IP].id = number
        flags = "PA" if start + MSS >= length else "A"
        tcp = TCP(seq=(sequence + start) % 2**32, flags=flags)
        leaves.append(padded(lower / tcp / payload[start : start + MSS]))
    lower[IP].id = 0
    fields = {
        "ip_offset": 14,
        "l4_offset": 34,
        "header_length": 54,
        "mss": MSS,
        "flags": frozenset({"large_send"}),
    }
    whole = lower / TCP(seq=sequence, flags="PA") / payload
    return Handed(spoilt(rng, whole), leaves, fields)


def refused(rng, ring):
    """A frame whose data the memory does not give."""
    return replace(single(rng, ring), leaves=[], error=rng.choice([Resp.SLVERR, Resp.DECERR]))


def malformed(rng, ring):
    """A frame whose offloads the descriptor describes wrongly."""
    handed = single(rng, ring)
    fields = {"ip_offset": 13, "l4_offset": 34, "flags": frozenset({"checksum_ipv4"})}
    return Handed(handed.data, [], fields)


class AdapterBench:
    """Drivers, memory and wire around an adapter; each ring's driver rings its doorbell once."""

    def __init__(self, rings, *, seed="", data_width=64, timing=IDEAL):
        self.seed = seed
        self.handed = rings
        self.dut = Adapter(rings=len(rings), data_width=data_width)
        self.memory = SparseMemory()
        self.memory_bench = AXIMemoryBench(
            self.dut.m_axi, self.memory, timing=timing, rng=random.Random(f"memory {seed}")
        )
        rng = random.Random(f"places {seed}")
        self.rings = [
            RingBench(number, [self.place(rng, number, *each) for each in enumerate(frames)], 8)
            for number, frames in enumerate(rings)
        ]
        self.wire = []
        self.told = {"dropped": 0, "stalled": 0, "segments": []}
        self.completions = 0
        self.counters = {}

    def place(self, rng, ring, number, handed):
        """Lay a frame into memory in up to 5 pieces, and describe it."""
        count = rng.randint(1, 5)
        cuts = sorted(rng.sample(range(1, len(handed.data)), count - 1))
        fragments = []
        for piece, (start, end) in enumerate(pairwise([0, *cuts, len(handed.data)])):
            page = DATA_PAGE + 0x100 * ring + 16 * number + 2 * piece
            address = page * PAGE_BYTES + rng.randrange(PAGE_BYTES)
            self.memory.write(address, handed.data[start:end])
            fragments.append(Fragment(address, end - start))
        if handed.error:
            # One byte is enough.
            self.memory.fail(fragments[-1].address, 1, handed.error)
        total = len(handed.data)
        return FrameRequest(tuple(fragments), count, total, correlator=number, **handed.fields)

    def driver(self, ring):
        config, status = self.dut.config[ring.number], self.dut.status[ring.number]

        async def drive(ctx):
            for index, entry in enumerate(ring.entries):
                place = ring.descriptor_page * PAGE_BYTES + index * ENTRY_BYTES
                self.memory.write(place, entry)
            ctx.set(config.descriptor_base, ring.descriptor_page)
            ctx.set(config.completion_base, ring.completion_page)
            ctx.set(config.size_log2, ring.size_log2)
            ctx.set(config.offloads, dict.fromkeys(ring.granted, 1))
            ctx.set(config.enable, 1)
            await ctx.tick().until(status.active)
            ctx.set(config.producer, len(ring.entries))
            ctx.set(config.producer_modify, 1)
            await ctx.tick()
            ctx.set(config.producer_modify, 0)

        return drive

    async def watch(self, ctx):
        """Note what passes, until everything is completed and the wire has been silent a while."""
        dut, path, told = self.dut, self.dut.transmit_path, self.told
        axi = dut.m_axi
        handed = [handed for frames in self.handed for handed in frames]
        leaves = sum(len(frame.leaves) for frame in handed)
        whole, errors = bytearray(), 0
        cycle, silence, busy = 0, SILENCE, 0
        while self.completions < len(handed) or len(self.wire) < leaves or silence < SILENCE:
            _edge, _reset, *values = await ctx.tick().sample(
                *(dut.gmii.txd, dut.gmii.tx_en, dut.gmii.tx_er),
                *(path.busy, path.dropped, path.segments),
                axi.rvalid & (axi.rid < path.outstanding),
                *(status.completion for status in dut.status),
            )
            txd, enable, error, busy, dropped, segments, data, *completions = values
            assert busy or not data, f"data comes for nobody, seed {self.seed}"
            silence = 0 if enable else silence + 1
            if enable:
                whole.append(txd)
                errors |= error
            elif whole:
                first = cycle - len(whole)
                self.wire.append(judge(bytes(whole), first, cycle - 1, error=bool(errors)))
                whole.clear()
            told["stalled"] += busy and silence > GAP_BYTES
            told["dropped"] += dropped
            told["segments"] += [segments] * (segments > 0)
            self.completions += sum(completions)
            cycle += 1
            assert cycle < 10_000, f"no end, seed {self.seed}"
        assert not busy, self.seed
        names = ("frames", "bytes", "segments", "dropped", "cycles_busy", "cycles_stalled")
        self.counters = {name: ctx.get(getattr(dut.counters, name)) for name in names}

    def run(self, *, held=0):
        """Run with the MAC enabled after `held` cycles."""

        async def enable(ctx):
            await ctx.tick().repeat(held + 1)
            ctx.set(self.dut.transmit_enable, 1)

        simulator = Simulator(self.dut)
        simulator.add_clock(8e-9)
        for side in (self.memory_bench.reads, self.memory_bench.writes):
            simulator.add_testbench(side, background=True)
        for ring in self.rings:
            simulator.add_testbench(self.driver(ring))
        simulator.add_testbench(enable)
        simulator.add_testbench(self.watch)
        simulator.run()

    def check(self):
        """Wire, completions, counters and requesters are what they must be."""
        assert all(frame.good for frame in self.wire), self.seed
        for number, frames in enumerate(self.handed):
            left = [frame.data for frame in self.wire if frame.data[11] == number]
            assert left == [leaf for handed in frames for leaf in handed.leaves], self.seed
            self.check_completions(self.rings[number], frames)

        everything = [handed for frames in self.handed for handed in frames]
        segments = [len(handed.leaves) for handed in everything if handed.is_super]
        dropped = sum(not handed.leaves for handed in everything)
        sizes = [len(frame.data) for frame in self.wire]
        assert sorted(self.told["segments"]) == sorted(segments), self.seed
        assert self.told["dropped"] == dropped, self.seed
        assert self.counters == {
            "frames": len(sizes),
            "bytes": sum(sizes),
            "segments": sum(segments),
            "dropped": dropped,
            "cycles_busy": sum(size + OVERHEAD_BYTES for size in sizes),
            "cycles_stalled": self.told["stalled"],
        }, self.seed

        for burst in self.memory_bench.read_bursts + self.memory_bench.write_bursts:
            ring, area = self.rings[burst.user], burst.address // PAGE_BYTES & -0x100
            mine = ring.descriptor_page, ring.completion_page, DATA_PAGE + 0x100 * burst.user
            assert area in mine, f"{burst}, seed {self.seed}"

    def check_completions(self, ring, frames):
        """Good frames end with their number of segments, others with their status."""
        ring.ends = [
            {"segments": len(handed.leaves), "error": handed.error}
            for handed, request in zip(frames, ring.requests, strict=True)
            if request.verdict(ring.granted) == STATUS.SUCCESS
        ]
        for number, expected in enumerate(ring.expected()):
            place = ring.completion_page * PAGE_BYTES + number * RECORD_BYTES
            content = self.memory.read(place, RECORD_BYTES)
            view = COMPLETION.from_bits(int.from_bytes(content, "little"))
            completion = {str(name): int(view[name]) for name, _field in COMPLETION}
            assert completion == expected, f"ring {ring.number}, seed {self.seed}"


@pytest.mark.parametrize(("data_width", "timing", "held"), [(64, AWKWARD, 300), (128, AWKWARD, 0)])
def test_frames_of_every_kind_leave_as_scapy_builds_them_once_the_mac_is_enabled(
    data_width, timing, held
):
    seed = f"{data_width} {timing.stall}"
    rng = random.Random(seed)
    rings = []
    for ring in range(2):
        frames = [single(rng, ring), refused(rng, ring), malformed(rng, ring)]
        frames.append(super_frame(rng, ring, rng.choice([1, MSS, 2 * MSS, 2 * MSS + 1])))
        rng.shuffle(frames)
        rings.append([*frames, single(rng, ring)])
    bench = AdapterBench(rings, seed=seed, data_width=data_width, timing=timing)
    bench.run(held=held)
    bench.check()
    assert bench.wire[0].first_cycle >= held, seed


def test_segments_follow_each_other_with_exactly_the_gap():
    bench = AdapterBench([[super_frame(random.Random(0), 0, 4 * MSS)]])
    bench.run()
    bench.check()
    for earlier, later in pairwise(bench.wire):
        assert later.first_cycle - earlier.last_cycle == 1 + GAP_BYTES


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rings": 0}, "Rings must be 1 to 32, not 0"),
        ({"rings": 33}, "Rings must be 1 to 32, not 33"),
        ({"data_width": 32}, "Data width must be 64 or 128, not 32"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        TransmitPath(**parameters)
