"""The board around the adapter: pins in vectors, the register master, and all parts together."""

import random
from typing import Any

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from byway.rtl.bus.axi4 import Burst, Resp
from byway.sim.board.axi_memory import AxiMemory, MemoryManner
from byway.sim.board.board import Board, BoardParameters
from byway.sim.board.pins import Pin, PinBench, Pins
from byway.sim.board.register_master import RegisterMaster
from byway.sim.board_bench import adapter_pins, lay_out, pack, unpack
from byway.sim.mac_bench import on_the_wire

DATA = random.Random(5).randbytes(60)


@pytest.fixture
def pins():
    return adapter_pins()


MIXED = wiring.Signature(
    {
        "first": In(3),
        "port": Out(wiring.Signature({"request": Out(5), "answer": In(7)})),
        "late": Out(1),
        "wide": In(70),
        "sum": Out(12),
    }
)


class Mixed(wiring.Component):
    """Ports of many widths in both directions; every output follows from the inputs."""

    first: Any
    port: Any
    late: Any
    wide: Any
    sum: Any

    def __init__(self):
        super().__init__(MIXED)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.port.request.eq(self.first + 1),
            self.late.eq(Cat(self.wide, self.port.answer).xor()),
            self.sum.eq(self.wide[60:] + self.port.answer),
        ]
        return m


def test_pins_lie_one_after_the_other_and_the_preferred_ones_lowest():
    pins = lay_out(MIXED, first=("port_", "sum"))
    assert pins.inputs == {"port_answer": Pin(0, 7), "first": Pin(7, 3), "wide": Pin(10, 70)}
    assert pins.outputs == {"port_request": Pin(0, 5), "sum": Pin(5, 12), "late": Pin(17, 1)}
    assert (pins.input_width, pins.output_width) == (80, 18)


def test_pins_without_preference_keep_the_order_of_the_ports():
    pins = lay_out(MIXED)
    assert list(pins.inputs) == ["first", "port_answer", "wide"]
    assert list(pins.outputs) == ["port_request", "late", "sum"]


def test_pin_takes_its_own_bits_of_a_vector():
    pin = Pin(4, 8)
    assert pin.mask == 0xFF0
    assert pin.of(0xABCDE) == 0xCD


def test_pin_bench_joins_every_pin_to_its_port():
    component = Mixed()
    pins = Pins.of(component, first=("port_", "sum"))
    bench = PinBench(component, pins)
    rng = random.Random(3)

    async def check(ctx):
        for _ in range(50):
            first, answer, wide = rng.getrandbits(3), rng.getrandbits(7), rng.getrandbits(70)
            ctx.set(bench.inputs, pack(pins.inputs, first=first, port_answer=answer, wide=wide))
            assert unpack(pins.outputs, ctx.get(bench.outputs)) == {
                "port_request": first + 1,
                "sum": (wide >> 60) + answer,
                "late": (wide.bit_count() + answer.bit_count()) % 2,
            }
            await ctx.delay(1e-9)

    simulator = Simulator(bench)
    simulator.add_testbench(check)
    simulator.run()


# --- RegisterMaster


class RegisterSlave:
    """Registers that answer a `RegisterMaster` with every channel late by a chosen time."""

    def __init__(self, pins: Pins, rng: random.Random, resp: Resp = Resp.OKAY):
        self.pins = pins
        self.rng = rng
        self.resp = resp
        self.master = RegisterMaster(pins)
        self.values: dict[int, int] = {}
        self.taken: list[str] = []  # Handshakes by channel.

    def finish(self) -> None:
        """Serve the access that was begun until the master says that it has ended."""
        late = {channel: self.rng.randint(0, 4) for channel in ("aw", "w", "ar", "answer")}
        held: dict[str, dict[str, int]] = {}
        for cycle in range(50):
            if not self.master.busy:
                return
            outputs = {
                f"{channel}ready": int(cycle >= late[channel] and channel not in held)
                for channel in ("aw", "w", "ar")
            }
            kind = "b" if {"aw", "w"} <= held.keys() else "r" if "ar" in held else ""
            late["answer"] -= bool(kind)
            if kind and late["answer"] < 0:
                outputs |= {f"{kind}valid": 1, f"{kind}resp": self.resp}
                self._answer(kind, held, outputs)
            vector = self.master.tick(pack(self.pins.outputs, "s_axil_", **outputs))
            seen = unpack(self.pins.inputs, vector, "s_axil_")
            assert seen["bready"]
            assert seen["rready"]
            for channel in ("aw", "w", "ar"):
                assert not (channel in held and seen[f"{channel}valid"]), "shown after its taking"
                if seen[f"{channel}valid"] and outputs.get(f"{channel}ready"):
                    held[channel] = seen
                    self.taken.append(channel)
        raise AssertionError("the master never ends")

    def _answer(self, kind: str, held: dict[str, dict[str, int]], outputs: dict[str, int]):
        if kind == "b":
            assert held["w"]["wstrb"] == 0xF
            self.values[held["aw"]["awaddr"]] = held["w"]["wdata"]
        else:
            outputs["rdata"] = self.values.get(held["ar"]["araddr"], 0)


def test_register_master_reads_what_it_wrote_whenever_channels_are_ready(pins):
    rng = random.Random(4)
    slave = RegisterSlave(pins, rng)
    expected = {}
    for number in range(60):
        address, value = 4 * rng.randrange(16), rng.getrandbits(32)
        if rng.random() < 0.5:
            slave.master.begin_write(address, value)
            expected[address] = value
            channels = {"aw", "w"}
        else:
            slave.master.begin_read(address)
            channels = {"ar"}
        slave.taken.clear()
        slave.finish()
        assert sorted(slave.taken) == sorted(channels), f"access {number}"
        assert slave.master.response == Resp.OKAY
        if channels == {"ar"}:
            assert slave.master.data == expected.get(address, 0), f"access {number}"
    assert slave.values == expected


def test_register_master_shows_nothing_when_nothing_was_begun(pins):
    seen = unpack(pins.inputs, RegisterMaster(pins).tick((1 << pins.output_width) - 1))
    assert {name for name, value in seen.items() if value} == {"s_axil_bready", "s_axil_rready"}


@pytest.mark.parametrize("resp", [Resp.SLVERR, Resp.DECERR])
def test_register_master_tells_of_a_refused_access(pins, resp):
    slave = RegisterSlave(pins, random.Random(2), resp)
    slave.master.begin_write(0x20, 1)
    slave.finish()
    assert slave.master.response == resp
    slave.resp = Resp.OKAY
    slave.master.begin_read(0x20)
    slave.finish()
    assert slave.master.response == Resp.OKAY
    slave.resp = resp
    slave.master.begin_read(0x20)
    slave.finish()
    assert slave.master.response == resp


# --- Board


def board_after(pins, sequence):
    """Inputs that a board gives for each of `sequence`, output values by pin."""
    board = Board(pins, bytearray(4096), BoardParameters(memory_bytes=4096))
    return board, [
        unpack(pins.inputs, board.tick(pack(pins.outputs, **outputs))) for outputs in sequence
    ]


def test_board_counts_cycles_and_shows_interrupts(pins):
    board, _inputs = board_after(pins, [{}, {"adapter_interrupt": 1}])
    assert board.cycle == 2
    assert (board.adapter_interrupt, board.manager_interrupt) == (True, False)
    assert board.attention
    board.tick(pack(pins.outputs, manager_interrupt=1))
    assert (board.adapter_interrupt, board.manager_interrupt) == (False, True)
    board.tick(0)
    assert not board.attention


def test_board_shows_quiescence_which_asks_for_nothing(pins):
    board, _inputs = board_after(pins, [{}, {"quiescent": 1}])
    assert board.quiescent
    assert not board.attention
    board.tick(0)
    assert not board.quiescent


def test_frame_on_the_wire_asks_for_attention(pins):
    wire = [{"gmii_tx_en": 1, "gmii_txd": value} for value in on_the_wire(DATA)]
    board, _inputs = board_after(pins, [{}, *wire])
    assert not board.attention
    board.tick(0)
    assert board.attention
    assert board.frames[0].data == DATA
    assert board.frames[0].good


@pytest.mark.parametrize("answer", ["rvalid", "bvalid"])
def test_equal_answers_in_a_row_come_as_often_as_asked_for(pins, answer):
    """Two answers that look the same must not be taken for inputs that stay."""
    ask = {"arvalid": 1} if answer == "rvalid" else {"awvalid": 1, "wvalid": 1, "wstrb": 0xFF}
    board = Board(pins, bytearray(4096), BoardParameters(memory=MemoryManner(latency=5)))
    answers = 0
    for cycle in range(40):
        shown = ask if cycle < 2 else {}
        inputs = board.tick(pack(pins.outputs, "m_axi_", rready=1, bready=1, **shown))
        answers += unpack(pins.inputs, inputs, "m_axi_")[answer]
    assert answers == 2


def test_busy_wire_does_not_hide_memory_or_registers(pins):
    """The short cut for cycles that move nothing but the wire must not skip or repeat anything."""
    rng = random.Random(6)
    board = Board(pins, bytearray(random.Random(1).randbytes(4096)), BoardParameters())
    memory = AxiMemory(pins, bytearray(random.Random(1).randbytes(4096)), MemoryManner())
    master = RegisterMaster(pins)
    ready = {"rready": 1, "bready": 1}
    show: dict[str, int] = {}
    for cycle in range(5000):
        if rng.random() < 0.2:
            at, burst = rng.choice([0, 8, 4088, 4096]), {"len": rng.randint(0, 3), "size": 3}
            shown = {"addr": at, "burst": Burst.INCR, "valid": 1, **burst}
            show = rng.choice(
                [
                    {},
                    ready,
                    ready | {f"ar{name}": value for name, value in shown.items()},
                    ready | {f"aw{name}": value for name, value in (shown | {"len": 0}).items()},
                    ready | {"wvalid": 1, "wdata": rng.getrandbits(1), "wstrb": 0xFF},
                ]
            )
        if rng.random() < 0.02 and not master.busy:
            board.master.begin_read(16)
            master.begin_read(16)
        outputs = (
            pack(pins.outputs, "m_axi_", **show)
            | pack(pins.outputs, "gmii_", tx_en=1, txd=rng.getrandbits(8))
            | pack(pins.outputs, "s_axil_", rvalid=int(master.busy and rng.random() < 0.2))
        )
        expected = memory.tick(cycle, outputs) | master.tick(outputs)
        assert board.tick(outputs) == expected, f"cycle {cycle}, seed 6"
        assert board.master.busy == master.busy, f"cycle {cycle}, seed 6"
