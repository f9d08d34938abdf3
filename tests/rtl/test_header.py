# amaranth: UnusedElaboratable=no
"""`HeaderCopier` gives every segment the header that the rule of large send wants.

The reference is `byway.sim.segment_bench`. Every word is looked at in every cycle, taken or not,
and ``ready`` is where the component promises it: so words follow each other without a gap.
"""

import random
import struct
from dataclasses import dataclass

import pytest
from amaranth.sim import Simulator

from byway.rtl.transmit.header import HeaderCopier
from byway.sim.segment_bench import CWR, FIN, PSH, segment_header

#: Data width and longest header.
SIZES = [(16, 192), (32, 255), (64, 192), (128, 100), (512, 255)]


@dataclass
class Frame:
    """A frame of so many segments; one of none passes without large send."""

    header: bytes
    ip_offset: int
    l4_offset: int
    mss: int
    segments: int
    bare: bool  # Ends with the only header: no payload behind it.
    ipv6: bool
    udp: bool

    def segment_header(self, number: int, ip_length: int, l4_length: int) -> bytes:
        """The reference: the header of segment `number`."""
        return segment_header(
            self.header,
            ip_offset=self.ip_offset,
            l4_offset=self.l4_offset,
            ip_length=ip_length,
            l4_length=l4_length,
            ipv6=self.ipv6,
            udp=self.udp,
            number=number,
            payload_before=number * self.mss,
            last=number >= self.segments - 1,
        )

    def plan(self, number: int, ip_length: int, l4_length: int, lanes: int) -> dict:
        """What the copier looks at of the plan of segment `number`."""
        return {
            "first": int(number == 0),
            "last": int(number >= self.segments - 1),
            "command": {
                "mss": self.mss,
                "header_length": len(self.header),
                "ip_offset": self.ip_offset,
                "l4_offset": self.l4_offset,
                "ipv6": int(self.ipv6),
                "checksum_tcp": int(self.segments > 0 and not self.udp),
                "checksum_udp": int(self.udp),
                "large_send": int(self.segments > 0),
            },
            "header_rows": (len(self.header) - 1) // lanes,
            "header_tail": (len(self.header) - 1) % lanes + 1,
            "ip_length": ip_length,
            "l4_length": l4_length,
        }


class Bench:
    """A copier, and frames for it as the segmenter would show them."""

    def __init__(self, *, data_width, maximum_header, seed="", stall=0.0, pause=0.0):
        self.dut = HeaderCopier(data_width=data_width, maximum_header=maximum_header)
        self.lanes = data_width // 8
        self.rng = random.Random(seed)
        self.seed, self.stall, self.pause = seed, stall, pause
        self.ready = False

    def run(self, frames):
        async def bench(ctx):
            await self.cycle(ctx, restart=True)
            for frame in frames:
                segments = max(1, frame.segments)
                for number in range(segments):
                    lengths = self.rng.getrandbits(16), self.rng.getrandbits(16)
                    ctx.set(self.dut.plan, frame.plan(number, *lengths, self.lanes))
                    if frame.segments:
                        header = frame.segment_header(number, *lengths)
                        given = frame.header if number == 0 else None
                        await self.take(ctx, header, given, restart=frame.bare)
                    if not frame.bare:
                        await self.pass_payload(ctx)
                        await self.cycle(ctx, restart=number == segments - 1)

        simulator = Simulator(self.dut)
        simulator.add_clock(8e-9)
        simulator.add_testbench(bench)
        simulator.run()

    async def pass_payload(self, ctx):
        """Cycles in which no word of the header is wanted, or none."""
        while self.rng.random() < self.pause:
            await self.cycle(ctx)

    async def take(self, ctx, header, given, *, restart):
        """Take `header`, of which the packet brings `given` if this is the first segment."""
        for start in range(0, len(header), self.lanes):
            wanted = header[start : start + self.lanes]
            tail = start + self.lanes >= len(header)
            source = self.rng.randbytes(self.lanes)
            if given is not None:
                # Behind the header its payload passes, in the same word.
                payload = source[len(wanted) :]
                source = given[start : start + self.lanes] + payload
                wanted += payload
            taken = False
            while not taken:
                await self.pass_payload(ctx)
                taken = self.ready and self.rng.random() >= self.stall
                await self.cycle(
                    ctx, source, wanted, take=taken, tail=tail, restart=restart and taken and tail
                )

    async def cycle(self, ctx, source=b"", wanted=b"", *, take=False, tail=False, restart=False):
        """Show a word of the packet, and see what the header's word is; of payload if none is."""
        dut, where = self.dut, f"seed {self.seed!r}"
        active = bool(wanted)
        if not active:
            source = wanted = self.rng.randbytes(self.lanes)
        ctx.set(dut.restart, restart)
        ctx.set(dut.source, int.from_bytes(source, "little"))
        ctx.set(dut.active, active)
        ctx.set(dut.take, take)
        _clk, _rst, ready, word, is_tail = await ctx.tick().sample(dut.ready, dut.word, dut.tail)
        assert ready == self.ready, where
        if ready or not active:
            assert word.to_bytes(self.lanes, "little")[: len(wanted)] == wanted, where
        if ready and active:
            assert is_tail == tail, where
        self.ready = not (restart or (take and tail))


def random_frame(rng, maximum_header):
    """Any header that may come, its numbers often about to wrap."""
    ip_offset = 2 * rng.randint(7, (maximum_header - 40) // 2)
    l4_offset = 2 * rng.randint(ip_offset // 2 + 10, min(ip_offset + 60, maximum_header - 20) // 2)
    least = l4_offset + 20
    header = bytearray(rng.randbytes(rng.choice([least, rng.randint(least, maximum_header)])))
    if rng.random() < 0.5:
        struct.pack_into("!H", header, ip_offset + 4, 0xFFFF - rng.randrange(4))
        struct.pack_into("!I", header, l4_offset + 4, 2**32 - rng.randrange(1, 20_000))
    if rng.random() < 0.5:
        header[l4_offset + 13] |= FIN | PSH | CWR
    segments = rng.choice([0, 1, 1, 2, 3, 4])
    udp = rng.random() < 0.3
    if udp and rng.random() < 0.5:
        del header[l4_offset + 8 :]
    return Frame(
        header=bytes(header),
        ip_offset=ip_offset,
        l4_offset=l4_offset,
        mss=rng.choice([64, 1448, 9000, rng.getrandbits(16)]),
        segments=segments,
        bare=segments == 1 and rng.random() < 0.5,
        ipv6=rng.random() < 0.4,
        udp=udp,
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("stall", "pause"), [(0.0, 0.0), (0.6, 0.0), (0.3, 0.3)])
def test_every_segment_has_its_header(size, stall, pause):
    data_width, maximum_header = size
    seed = f"{size} {stall} {pause}"
    rng = random.Random(seed)
    frames = [random_frame(rng, maximum_header) for _ in range(14)]
    Bench(
        data_width=data_width,
        maximum_header=maximum_header,
        seed=f"bench {seed}",
        stall=stall,
        pause=pause,
    ).run(frames)


@pytest.mark.parametrize(
    ("data_width", "maximum_header", "message"),
    [
        (64, 0, "Maximum header must be 1 to 255 bytes, not 0"),
        (64, 256, "Maximum header must be 1 to 255 bytes, not 256"),
        (8, 192, "Data width of pieces must be at least 16, not 8"),
        (48, 192, "Data width must be 8 times a power of two, not 48"),
    ],
)
def test_wrong_parameters_are_named(data_width, maximum_header, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        HeaderCopier(data_width=data_width, maximum_header=maximum_header)
