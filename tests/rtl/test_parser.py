# amaranth: UnusedElaboratable=no
"""`FrameParser` gives every frame the status that the contract names, and starts the good ones.

The reference is `FrameRequest.verdict`.
"""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from byway.rtl.contract.model import codes
from byway.rtl.transmit.parser import FrameParser
from byway.rtl.transmit.ring import OffloadGrants
from byway.sim.bench import stream_get
from byway.sim.descriptor_bench import Fragment, FrameRequest, random_request

STATUS = codes("transmit_status")
OFFLOADS = set(OffloadGrants().members)
RINGS = 3
AHEAD = 16


class Bench:
    """A parser, frames for it, and everything that comes out of it."""

    #: Cycles for which the output named `held` is not taken.
    HOLD = 600

    def __init__(self, *, data_width=64, seed="", idle=0.0, stall=0.0, breaks=0.0, held=""):
        self.dut = FrameParser(rings=RINGS, data_width=data_width, frames_ahead=AHEAD)
        self.row_bytes = data_width // 8
        self.seed, self.idle, self.stall, self.breaks = seed, idle, stall, breaks
        self.held = held
        self.cycle = 0
        self.deadline = 0
        self.last_rows, self.fragments, self.frames, self.contexts = [], [], [], []
        self.started = 0

    async def count(self, ctx):
        async for _clk, _rst, started in ctx.tick().sample(self.dut.started):
            self.cycle += 1
            self.started += started
            assert self.cycle < self.deadline, f"frames are missing, seed {self.seed!r}"

    async def offer(self, ctx, frame, rng):
        """Hand over the entries of one frame; or only some of them, as if it was broken off."""
        ring, granted, consumer, request = frame
        rows, dut = self.dut.rows, self.dut
        entries = request.entries()
        per_entry = len(entries[0]) // self.row_bytes
        total = len(entries) * per_entry
        broken = rng.random() < self.breaks
        count = rng.randrange(1, total) if broken else total
        while not ctx.get(dut.room):
            await ctx.tick()
        for number in range(count):
            while rng.random() < self.idle:
                await ctx.tick()
            entry, row = divmod(number, per_entry)
            start = row * self.row_bytes
            word = entries[entry][start : start + self.row_bytes]
            ctx.set(rows.valid, 1)
            ctx.set(rows.descriptor, entry == 0)
            ctx.set(rows.row, row)
            ctx.set(rows.data, int.from_bytes(word, "little"))
            ctx.set(rows.ring, ring)
            ctx.set(rows.offloads, dict.fromkeys(granted, 1))
            ctx.set(rows.consumer, consumer if number == 0 else rng.getrandbits(16))
            await ctx.tick()
            ctx.set(rows.valid, 0)
        if broken:
            await self.offer(ctx, frame, rng)
        else:
            self.last_rows.append(self.cycle)
            # The scheduler begins a frame two cycles after the row that ends another, or later.
            await ctx.tick()

    def run(self, frames):
        """Parse `frames`, each (ring, offloads granted, consumer, request)."""
        dut = self.dut
        self.deadline = 1000 * len(frames) + 1000
        good = [frame for frame in frames if frame[3].verdict(frame[1]) == STATUS.SUCCESS]

        async def put(ctx):
            rng = random.Random(f"put {self.seed}")
            for frame in frames:
                await self.offer(ctx, frame, rng)

        def getter(name, count, into):
            async def get(ctx):
                rng = random.Random(f"{name} {self.seed}")
                if name == self.held:
                    await ctx.tick().repeat(self.HOLD)
                for _ in range(count):
                    payload = await stream_get(ctx, getattr(dut, name), rng=rng, stall=self.stall)
                    into.append((self.cycle, payload))

            return get

        sim = Simulator(dut)
        sim.add_clock(1e-6)
        sim.add_process(self.count)
        sim.add_testbench(put)
        sim.add_testbench(
            getter("fragments", sum(len(frame[3].fragments) for frame in good), self.fragments)
        )
        sim.add_testbench(getter("frames", len(good), self.frames))
        sim.add_testbench(getter("contexts", len(frames), self.contexts))
        sim.run()
        self.check(frames, good)

    def check(self, frames, good):
        """What came out is what the reference says, and nothing besides."""
        what = f"seed {self.seed!r}"
        contexts = [
            (context.ring, STATUS(context.status), context.correlator, context.consumer)
            for _cycle, context in self.contexts
        ]
        expected = [
            (
                ring,
                STATUS(request.verdict(granted)),
                request.correlator,
                (consumer + len(request.entries())) % 2**16,
            )
            for ring, granted, consumer, request in frames
        ]
        assert contexts == expected, what
        fragments = [
            (fragment.address, fragment.length, fragment.requester, fragment.last)
            for _cycle, fragment in self.fragments
        ]
        assert fragments == [
            (part.address, part.length, ring, int(number == request.count - 1))
            for ring, _granted, _consumer, request in good
            for number, part in enumerate(request.fragments)
        ], what
        commands = [
            {name: command[name] for name in good[0][3].command()}
            for _cycle, command in self.frames
        ]
        assert commands == [request.command() for *_, request in good], what
        assert self.started == len(good), what


def random_frame(rng, correlator):
    granted = OFFLOADS if rng.random() < 0.9 else OFFLOADS - {rng.choice(sorted(OFFLOADS))}
    return rng.randrange(RINGS), granted, rng.getrandbits(16), random_request(rng, correlator)


@pytest.mark.parametrize("data_width", [64, 128])
@pytest.mark.parametrize(
    ("idle", "stall", "breaks"), [(0.0, 0.0, 0.0), (0.3, 0.0, 0.3), (0.0, 0.8, 0.1)]
)
def test_every_frame_gets_the_status_of_the_reference(data_width, idle, stall, breaks):
    seed = f"{data_width}/{idle}/{stall}/{breaks}"
    rng = random.Random(seed)
    bench = Bench(data_width=data_width, seed=seed, idle=idle, stall=stall, breaks=breaks)
    bench.run([random_frame(rng, rng.getrandbits(32)) for _ in range(150)])


def plain(length=60, **changes):
    request = FrameRequest((Fragment(0x1234_5678_9ABC_DEF0, length),), 1, length)
    return replace(request, **changes)


def tcp(total, **changes):
    return plain(total, ip_offset=14, l4_offset=34, flags=frozenset({"checksum_tcp"}), **changes)


def large_send(total=10_000, **changes):
    offsets = {"ip_offset": 14, "l4_offset": 34, "header_length": 54, "mss": 1448}
    return plain(total, **{"flags": frozenset({"large_send"}), **offsets, **changes})


def large_send_v6(total=10_000, **changes):
    offsets = {"ip_offset": 14, "l4_offset": 54, "header_length": 74, "mss": 1448}
    flags = {"flags": frozenset({"large_send", "ipv6"})}
    return plain(total, **{**flags, **offsets, **changes})


def tunnel(total=200, **changes):
    """UDP over IPv4 outside; inside, the checksum of whatever protocol."""
    offsets = {"ip_offset": 14, "l4_offset": 34, "checksum_start": 84, "checksum_offset": 16}
    flags = {"flags": frozenset({"checksum_udp", "checksum_generic"})}
    return plain(total, **{**flags, **offsets, **changes})


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (plain(14), STATUS.SUCCESS),
        (plain(13), STATUS.LENGTH_SHORT),
        (plain(9216), STATUS.SUCCESS),
        (plain(9217), STATUS.LENGTH_LONG),
        (plain(60, total_length=61), STATUS.LENGTH_MISMATCH),
        (plain(60, count=0), STATUS.FRAGMENT_COUNT),
        (plain(60, count=32), STATUS.FRAGMENT_COUNT),
        (tcp(54), STATUS.SUCCESS),
        (tcp(53), STATUS.OFFSET_RANGE),
        (large_send(14 + 65_535), STATUS.SUCCESS),
        (large_send(14 + 65_536), STATUS.LENGTH_LONG),
        (large_send(54), STATUS.SUCCESS),
        (large_send(53), STATUS.HEADER_LENGTH),
        (large_send(header_length=53), STATUS.HEADER_LENGTH),
        (large_send(header_length=192), STATUS.SUCCESS),
        (large_send(header_length=193), STATUS.HEADER_LENGTH),
        (large_send(mss=64), STATUS.SUCCESS),
        (large_send(mss=63), STATUS.MSS_RANGE),
        (large_send(mss=9000), STATUS.SUCCESS),
        (large_send(mss=9001), STATUS.MSS_RANGE),
        (large_send(ip_offset=130, l4_offset=150, header_length=192, mss=9000), STATUS.SUCCESS),
        (large_send(flags=frozenset({"large_send", "checksum_udp"})), STATUS.FLAGS_CONFLICT),
        (large_send(flags=frozenset({"large_send", "checksum_generic"})), STATUS.FLAGS_CONFLICT),
        (large_send(flags=frozenset({"large_send", "udp_segmentation"})), STATUS.FLAGS_CONFLICT),
        (large_send(flags=frozenset({"large_send", "ipv6"})), STATUS.OFFSET_RANGE),
        (large_send_v6(), STATUS.SUCCESS),
        (large_send_v6(14 + 262_144), STATUS.SUCCESS),
        (large_send_v6(14 + 262_145), STATUS.LENGTH_LONG),
        (large_send_v6(l4_offset=52), STATUS.OFFSET_RANGE),
        (
            large_send_v6(flags=frozenset({"large_send", "ipv6", "checksum_ipv4"})),
            STATUS.FLAGS_CONFLICT,
        ),
        (
            large_send(flags=frozenset({"udp_segmentation"}), header_length=42),
            STATUS.SUCCESS,
        ),
        (
            large_send(flags=frozenset({"udp_segmentation"}), header_length=41),
            STATUS.HEADER_LENGTH,
        ),
        (plain(9212, flags=frozenset({"insert_vlan"})), STATUS.SUCCESS),
        (plain(9213, flags=frozenset({"insert_vlan"})), STATUS.LENGTH_LONG),
        (
            large_send(header_length=188, flags=frozenset({"large_send", "insert_vlan"})),
            STATUS.SUCCESS,
        ),
        (
            large_send(header_length=189, flags=frozenset({"large_send", "insert_vlan"})),
            STATUS.HEADER_LENGTH,
        ),
        (
            tunnel(400, checksum_start=250, flags=frozenset({"checksum_generic", "insert_vlan"})),
            STATUS.SUCCESS,
        ),
        (
            tunnel(400, checksum_start=252, flags=frozenset({"checksum_generic", "insert_vlan"})),
            STATUS.OFFSET_RANGE,
        ),
        (tunnel(), STATUS.SUCCESS),
        (tunnel(102), STATUS.SUCCESS),
        (tunnel(101), STATUS.OFFSET_RANGE),
        (tunnel(checksum_start=85), STATUS.OFFSET_RANGE),
        (tunnel(checksum_offset=15), STATUS.OFFSET_RANGE),
        (tunnel(checksum_start=42, checksum_offset=0), STATUS.SUCCESS),
        (tunnel(checksum_start=40, checksum_offset=0), STATUS.OFFSET_RANGE),
        (
            tunnel(flags=frozenset({"checksum_generic"}), checksum_start=14, checksum_offset=0),
            STATUS.SUCCESS,
        ),
        (
            tunnel(flags=frozenset({"checksum_generic"}), checksum_start=12, checksum_offset=8),
            STATUS.OFFSET_RANGE,
        ),
    ],
)
def test_edges_lie_where_the_contract_draws_them(request_, status):
    assert request_.verdict(OFFLOADS) == status
    Bench(seed="edges").run([(1, OFFLOADS, 0, request_), (2, OFFLOADS, 7, plain())])


def test_lengths_that_wrap_around_do_not_add_up():
    # 31 fragments whose lengths add up to the total modulo 2**20.
    parts = tuple(Fragment(number, 0xFFFFF) for number in range(31))
    request = plain(60, fragments=parts, count=31, total_length=31 * 0xFFFFF % 2**20)
    Bench(seed="wrap").run([(0, OFFLOADS, 0, request), (0, OFFLOADS, 16, plain())])


def test_first_fragment_leaves_two_cycles_after_the_last_row():
    bench = Bench(seed="latency")
    bench.run([(0, OFFLOADS, 0, plain())])
    assert bench.fragments[0][0] - bench.last_rows[0] == 2
    assert bench.frames[0][0] - bench.last_rows[0] == 3
    assert bench.contexts[0][0] - bench.last_rows[0] == 3


@pytest.mark.parametrize("held", ["fragments", "frames", "contexts"])
def test_nothing_is_lost_while_an_output_is_not_taken(held):
    """There is no room any more before any queue is full, and all comes out afterwards."""
    rng = random.Random(held)
    frames = []
    for number in range(2 * AHEAD):
        count = rng.choice([1, 31]) if held == "fragments" else 1
        parts = tuple(Fragment(rng.getrandbits(64), 20) for _ in range(count))
        request = plain(20 * count, fragments=parts, count=count, correlator=number)
        frames.append((number % RINGS, OFFLOADS, number, replace(request, mss=number)))
    Bench(seed=held, held=held).run(frames)


@pytest.mark.parametrize("data_width", [32, 256])
def test_other_data_widths_are_refused(data_width):
    with pytest.raises(ValueError, match=f"Data width must be 64 or 128, not {data_width}"):
        FrameParser(data_width=data_width)
