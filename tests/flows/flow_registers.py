"""Registers through another's AXI4-Lite master: the contract, strobes, and reset at any time."""

from bench_adapter import FlowBench, cocotb_tests, flow

from byway.rtl.contract.model import constant, register_space
from byway.sim.flows import registers
from byway.sim.flows.frames import sized, super_frame
from byway.sim.flows.registers import promised, reset_values, snapshot
from byway.sim.flows.ring import Ring, Window
from byway.sw.contract.records import TransmitStatus
from byway.sw.contract.registers import WINDOW_PAGE, WindowPage

globals().update(cocotb_tests(registers, __name__))


@flow()
def bytes_are_written_alone(bench: FlowBench) -> None:
    """Strobes: a byte or two written into a register leave the others as they were."""
    registers = [window.table_base for window in _windows(bench)]
    offsets = [
        address
        for path, address, _register in register_space().registers()
        if path[0] == "window" and path[-1] == "table_base"
    ]
    for register, offset in zip(registers, offsets, strict=True):
        expected = bytearray(bench.rng.randbytes(8))
        expected[0] = 0
        expected[1] &= 0xF0  # Where the field of the page number begins.
        register.write(page=int.from_bytes(expected, "little") >> 12)
        for _number in range(6):
            size = bench.rng.choice((1, 2))
            at = bench.rng.randrange(2, 8 - size + 1)
            at -= at % size
            value = bench.rng.randbytes(size)
            bench.axil.write(offset + at, int.from_bytes(value, "little"), size)
            expected[at : at + size] = value
            assert register.read().page == int.from_bytes(expected, "little") >> 12


def _windows(bench: FlowBench):
    page = WindowPage(bench.registers, WINDOW_PAGE)
    return [page.window[number] for number in range(constant("geometry.windows"))]


@flow(stall=0.4)
def reads_and_writes_at_once(bench: FlowBench) -> None:
    """A read and a write under way together, with stalls, do not mix."""
    offsets = [
        address
        for path, address, _register in register_space().registers()
        if path[0] == "window" and path[-1] == "size"
    ]
    values = dict.fromkeys(offsets, 0)
    for offset in offsets:  # They are undefined after reset.
        bench.axil.write(offset, 0, 4)
    for _number in range(60):
        reading, writing = bench.rng.sample(offsets, 2)
        value = bench.rng.getrandbits(32)
        assert bench.axil.read_and_write(reading, writing, value) == values[reading]
        values[writing] = value


@flow()
def reset_in_the_middle_of_everything(bench: FlowBench) -> None:
    """A reset while frames, descriptors and walks are under way: all begins anew, and works."""
    for frames_before in (0, 1, 3):
        ring = Ring(bench, Window(bench, 0))
        ring.adapter.mac_control.write(transmit_enable=1)
        for _number in range(3):
            ring.send(super_frame(bench.rng, 0, bench.rng.randbytes(5000), 1000), fragments=5)
        ring.ring()
        seen = len(bench.frames) + frames_before
        bench.wait_for(lambda seen=seen: len(bench.frames) >= seen, "frame before the reset")
        bench.run(bench.rng.randrange(300))
        bench.reset()
        assert promised(snapshot(bench)) == reset_values()
        quiet = len(bench.frames)
        bench.run(3000)
        assert len(bench.frames) == quiet, "a frame from before the reset"
    ring = Ring(bench, Window(bench, 1))
    ring.adapter.mac_control.write(transmit_enable=1)
    frame = sized(bench.rng, 1, 777)
    ring.send(frame, fragments=3)
    ring.ring()
    ring.expect(TransmitStatus.SUCCESS)
    bench.wait_for(lambda: bench.frames[-1].data == frame.data, "the frame after the reset")
