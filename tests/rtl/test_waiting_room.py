# amaranth: UnusedElaboratable=no
"""`WaitingRoom` gives back in order what it was given, and knows who must wait, and for what."""

import functools
import operator
import random

import pytest
from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.sim import Simulator

from byway.rtl.translation.waiting_room import WaitingRoom

SHAPE = data.StructLayout({"number": unsigned(16)})


@pytest.mark.parametrize(("seed", "room"), [(0, 2), (1, 4), (2, 16)])
def test_requests_leave_in_order_and_conflict_with_those_whose_order_they_keep(seed, room):
    rng = random.Random(f"waiting {seed}")
    dut = WaitingRoom(SHAPE, id_width=2, slots=3, room=room)
    inside = []  # (number, write, id, slots)

    async def testbench(ctx):
        entered = 0
        fullest = 0
        at_the_door = 0
        for step in range(600):
            where = f"seed {seed}, step {step}"
            enters = len(inside) < room and rng.random() < (0.9 if step // 100 % 2 else 0.4)
            new = entered, rng.randrange(2), rng.randrange(4), rng.choice([0, 1, 2, 4])
            ctx.set(dut.enter.valid, enters)
            ctx.set(dut.enter.payload, {"number": new[0]})
            ctx.set(dut.enter_order, {"write": new[1], "id": new[2]})
            ctx.set(dut.enter_slots, new[3])
            leaves = rng.random() < 0.5
            ctx.set(dut.first.ready, leaves)
            write, id_ = rng.randrange(2), rng.randrange(4)
            ctx.set(dut.order, {"write": write, "id": id_})
            await ctx.delay(1e-9)
            expected = any(
                other_write if write else not other_write and other_id == id_
                for _number, other_write, other_id, _slots in inside
            )
            assert ctx.get(dut.conflict) == expected, where
            assert ctx.get(dut.empty) == (not inside), where
            shown = len(inside) - at_the_door
            assert ctx.get(dut.first.valid) == (shown > 0), where
            slots = functools.reduce(operator.or_, (one[3] for one in inside), 0)
            assert ctx.get(dut.slots) == slots, where
            if shown:
                assert ctx.get(dut.first_slots) == inside[0][3], where
                assert ctx.get(dut.first.payload.number) == inside[0][0], where
                if leaves:
                    inside.pop(0)
            if enters:
                inside.append(new)
                entered += 1
            at_the_door = int(enters)
            fullest = max(fullest, len(inside))
            await ctx.tick()
        assert fullest == room, f"seed {seed}: it was never full"

    simulator = Simulator(dut)
    simulator.add_clock(8e-9)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("room", [1, 3])
def test_an_impossible_room_is_refused(room):
    with pytest.raises(ValueError, match=f"^Room must be a power of two, at least 2, not {room}$"):
        WaitingRoom(SHAPE, id_width=2, room=room)
