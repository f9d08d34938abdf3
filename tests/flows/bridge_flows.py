"""The bridge alone behind another's AXI4 master, driven at random: nothing of it is the adapter's.

Data are compared with a plain reference, both buses are watched for the rules of AXI4, and memory
knows at every moment what it may be asked for.
"""

import itertools
import logging
import os
import warnings

import cocotb
from bench_bridge import BridgeBench
from bench_world import BridgeWorld
from cocotb.task import bridge
from cocotb.triggers import ClockCycles

from byway.sim.flows.flow import PAGE
from byway.sw.contract.registers import FaultReason

# The models use what cocotb has renamed since; all else that is warned of is an error.
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module=r"cocotbext\.")

_STALLS = ((0.0,), (0.1, 0.3), (0.0, 0.2, 0.5))
#: How much is done: a slower simulator does less.
_EFFORT = float(os.environ.get("BYWAY_EFFORT", "1"))


async def _begin(dut, name: str, *, transfers: bool = False) -> tuple[BridgeBench, BridgeWorld]:
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    bench = BridgeBench(dut, BridgeBench.seeded(name), transfers=transfers)
    await bench.reset()
    world = BridgeWorld(bench)
    await bridge(world.set_up)()
    return bench, world


@cocotb.test()
async def bursts_of_every_type_have_their_effect_or_none(dut) -> None:
    """Every type, length, size and alignment; pages come, change and go, also while in use."""
    bench, world = await _begin(dut, "bursts")
    rng = bench.rng
    kinds: set[tuple[bool, int]] = set()
    reasons: set[FaultReason] = set()
    rounds = max(3, round(6 * _EFFORT))
    for number in itertools.count():
        if number >= rounds and len(kinds) == 2 * 4 and reasons == set(FaultReason):
            break
        assert number < 4 * rounds, f"only {kinds} and {reasons} were seen"
        bench.stall(_STALLS[number % len(_STALLS)])
        await bridge(world.change)()
        victims = world.choose_victims() if number % 3 else []
        bursts = [world.random_burst(rng) for _ in range(80)]
        playing = cocotb.start_soon(bench.play(bursts))
        if victims:
            await ClockCycles(dut.clk, rng.randrange(600))
            await bridge(world.revoke)(victims)
            await bridge(world.take_records)()
        await playing
        await bench.settle()
        world.check(bursts)
        world.forget_revoked()
        await bridge(world.check_records)()
        kinds |= {(burst.write, burst.kind) for burst in bursts}
        reasons = {reason for _burst, possible in world.refused for reason in possible}
    # Refused ones put nothing on the memory bus: there is what was granted, and walks.
    offered, put = bench.rules["s_axi"].bursts, bench.rules["m_axi"].bursts
    for channel, write in (("ar", False), ("aw", True)):
        granted = [identifier for identifier in put[channel] if identifier < bench.identifiers]
        refused = sum(burst.write == write for burst, _reasons in world.refused)
        assert len(granted) == len(offered[channel]) - refused > 20, channel
    assert max(put["aw"]) < bench.identifiers, "a walk writes"


@cocotb.test()
async def transfers_are_cut_and_joined_by_another_master(dut) -> None:
    """`AxiMaster` reads and writes as much as it likes over pages that lie anywhere in memory."""
    bench, world = await _begin(dut, "transfers", transfers=True)
    rng, master = bench.rng, bench.master
    await bridge(world.map_all)()
    bench.stall(_STALLS[1])
    pages = 12
    mirrors = {0: bytearray(), 1: bytearray()}  # Window 1 is that of the requesters 1 and 2.
    for window, mirror in mirrors.items():
        for index in range(pages):
            place = world.mappings[window, index].page * PAGE
            mirror += bench.memory.software.read(place, PAGE)

    async def write(start: int, data: bytes, user: int) -> None:
        size = rng.randrange(bench.bus_bytes.bit_length())
        answer = await master.write(start, data, size=size, user=user)
        assert answer.resp == 0, f"write of {len(data)} bytes at {start:#x}"

    async def read(start: int, length: int, user: int, expected: bytes) -> None:
        size = rng.randrange(bench.bus_bytes.bit_length())
        answer = await master.read(start, length, size=size, user=user)
        assert answer.resp == 0, f"read of {length} bytes at {start:#x}"
        assert answer.data == expected, f"read of {length} bytes at {start:#x}"

    for _round in range(max(2, round(5 * _EFFORT))):
        # Parts of the address space that do not overlap, each read or written.
        cuts = sorted(rng.sample(range(1, pages * PAGE), 7))
        parts = list(itertools.pairwise([0, *cuts, pages * PAGE]))
        tasks = []
        for (start, stop), user in itertools.product(parts, (0, rng.choice((1, 2)))):
            mirror = mirrors[min(user, 1)]
            length = min(stop - start, rng.choice((rng.randint(1, 300), rng.randint(1, 6000))))
            if rng.random() < 0.5:
                data = rng.randbytes(length)
                mirror[start : start + length] = data
                tasks.append(cocotb.start_soon(write(start, data, user)))
            else:
                expected = bytes(mirror[start : start + length])
                tasks.append(cocotb.start_soon(read(start, length, user, expected)))
        for task in tasks:
            await task
        await bench.settle()
        for window, mirror in mirrors.items():
            for index in range(pages):
                place = world.mappings[window, index].page * PAGE
                held = bench.memory.software.read(place, PAGE)
                assert held == mirror[index * PAGE : (index + 1) * PAGE], (window, index)
    await bridge(world.check_records)()
