"""The waiting room: requests that cannot go on yet, in the order in which they came.

A request waits for a walk, or because one before it waits with which it must keep its order: reads
with those of their ID, writes with all others, since write data has no ID and follows the order of
the addresses [AMBA AXI4, IHI 0022, A5.3, A5.4]. All others pass them by.

Clock domain: ``sync``. Latency: 2 cycles from a request being put to its being shown; a search is
answered in the same cycle. Throughput: one request a cycle.
"""

import functools
import operator

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from byway.rtl.translation.event import Event, EventSignature

__all__ = ["OrderLayout", "WaitingRoom"]


class OrderLayout(data.StructLayout):
    """What a request must keep its order with.

    Parameters
    ----------
    id_width : int
        Width of AxID in bits.

    Members
    -------
    write : unsigned(1)
        It is a write.
    id : unsigned(id_width)
        Its ID.
    """

    def __init__(self, *, id_width: int):
        super().__init__({"write": unsigned(1), "id": unsigned(id_width)})

    @staticmethod
    def keeps(one, other) -> Value:
        """Whether the order of the two must be kept."""
        return (one.write & other.write) | (~one.write & ~other.write & (one.id == other.id))


class WaitingRoom(wiring.Component):
    """Keeps requests in order.

    Parameters
    ----------
    shape : data.StructLayout
        Shape of a request.
    slots : int
        Walks that can be waited for.
    id_width : int
        Width of AxID in bits.
    room : int
        Requests it holds: a power of two, at least 2.

    Members
    -------
    enter, enter_order : In(EventSignature(shape)), In(OrderLayout(id_width=id_width))
        A request that comes to wait. There must be room for it.
    enter_slots : In(slots)
        The walk it waits for, a bit each; none, if it waits for its turn alone.
    order, conflict : In(OrderLayout(id_width=id_width)), Out(1)
        Whether a request would have to wait behind one that is here, those that enter now excepted.
    first, first_slots : Out(stream.Signature(shape)), Out(slots)
        The request that came first, and the walk it waits for.
    slots : Out(slots)
        Walks that some request here waits for.
    empty : Out(1)
        No request is here.

    Raises
    ------
    ValueError
        If `room` is not as above.
    """

    enter: Event
    enter_order: data.View
    enter_slots: Signal
    order: data.View
    conflict: Signal
    first: stream.Interface
    first_slots: Signal
    slots: Signal
    empty: Signal

    def __init__(self, shape: data.StructLayout, *, id_width: int, slots: int = 8, room: int = 16):
        if room < 2 or room & (room - 1):
            raise ValueError(f"Room must be a power of two, at least 2, not {room!r}")
        self.shape = shape
        self.room = room
        order = OrderLayout(id_width=id_width)
        super().__init__(
            {
                "enter": In(EventSignature(shape)),
                "enter_order": In(order),
                "enter_slots": In(slots),
                "order": In(order),
                "conflict": Out(1),
                "first": Out(stream.Signature(shape)),
                "first_slots": Out(slots),
                "slots": Out(slots),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        """A ring in memory; what is searched at once, order and walks, lies in flip-flops."""
        m = Module()
        # Who enters is known late in the cycle: it passes the door before it is given its place.
        door = Signal(
            data.StructLayout(
                {
                    "valid": 1,
                    "request": self.shape,
                    "order": self.order.shape(),
                    "slots": len(self.slots),
                }
            )
        )
        m.d.sync += door.valid.eq(self.enter.valid)
        m.d.sync += door.request.eq(self.enter.payload)
        m.d.sync += door.order.eq(self.enter_order)
        m.d.sync += door.slots.eq(self.enter_slots)

        m.submodules.ring = ring = Memory(shape=self.shape, depth=self.room, init=[])
        write = ring.write_port()
        read = ring.read_port(domain="comb")
        taken = Signal(self.room)
        orders = Signal(data.ArrayLayout(self.order.shape(), self.room))
        awaited = Signal(data.ArrayLayout(len(self.slots), self.room))
        leaves = Signal()

        m.d.comb += write.en.eq(door.valid)
        m.d.comb += write.data.eq(door.request)
        m.d.sync += write.addr.eq(write.addr + door.valid)
        m.d.comb += self.first.payload.eq(read.data)
        m.d.comb += leaves.eq(self.first.valid & self.first.ready)
        m.d.sync += read.addr.eq(read.addr + leaves)

        # Whether there is a first, and what it waits for, is at hand in registers: it leads to the
        # result of its walk.
        following = Signal.like(read.addr)
        stays = Signal()  # One is here beside the first.
        m.d.comb += following.eq(read.addr + 1)
        m.d.comb += stays.eq(door.valid | (write.addr != following))
        m.d.sync += self.first.valid.eq(
            Mux(self.first.valid, ~self.first.ready | stays, door.valid)
        )
        m.d.sync += self.first_slots.eq(Mux(leaves, awaited[following], awaited[read.addr]))
        with m.If(door.valid & (write.addr == Mux(leaves, following, read.addr))):
            m.d.sync += self.first_slots.eq(door.slots)

        m.d.comb += self.empty.eq(~door.valid & ~self.first.valid)

        conflicts = Signal(self.room)
        for place in range(self.room):
            m.d.comb += conflicts[place].eq(
                taken[place] & OrderLayout.keeps(orders[place], self.order)
            )
            with m.If(leaves & (read.addr == place)):
                m.d.sync += taken[place].eq(0)
            with m.If(door.valid & (write.addr == place)):
                m.d.sync += taken[place].eq(1)
                m.d.sync += orders[place].eq(door.order)
                m.d.sync += awaited[place].eq(door.slots)
        behind_door = door.valid & OrderLayout.keeps(door.order, self.order)
        m.d.comb += self.conflict.eq(conflicts.any() | behind_door)
        needed = [Mux(taken[place], awaited[place], 0) for place in range(self.room)]
        needed.append(Mux(door.valid, door.slots, 0))
        m.d.comb += self.slots.eq(functools.reduce(operator.or_, needed))
        return m
