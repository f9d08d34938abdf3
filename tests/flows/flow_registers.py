"""Registers through another's AXI4-Lite master: the contract page by page, and reset at any time.

`tests/rtl/test_register_bank.py` shows every field of the bank alone; here it is in its place, with
the adapter and the bridge behind it.
"""

from collections.abc import Iterator

import pytest
from bench_adapter import FlowBench, flow
from bench_frames import sized, super_frame
from bench_ring import Ring, Window

from byway.rtl.contract.model import Field, constant, register_space
from byway.rtl.shared_adapter import SharedAdapter
from byway.sw.contract.records import TransmitStatus
from byway.sw.contract.registers import (
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    IDENTITY_PAGE,
    MANAGER_PAGE,
    PAGE_SIZE,
    IdentityPage,
    ManagerPage,
)

_WORD = 4


def _words() -> Iterator[tuple[int, list[tuple[Field, int]]]]:
    """Address of each word of the register space, and the fields in it with their place there."""
    for _path, address, register in register_space().registers():
        for part in range(0, register.width, 8 * _WORD):
            fields = [
                (field, field.low - part)
                for field in register.fields
                if field.low < part + 8 * _WORD and field.high >= part
            ]
            yield address + part // 8, fields


def _after_reset(fields: list[tuple[Field, int]]) -> int:
    value = 0
    for field, place in fields:
        value |= field.reset << place if place >= 0 else field.reset >> -place
    return value & 0xFFFF_FFFF


def _readable(fields: list[tuple[Field, int]]) -> bool:
    return any(field.readable for field, _place in fields)


def _snapshot(bench: FlowBench) -> dict[int, int]:
    """The value of every word that can be read, by address."""
    return {
        address: bench.registers.read(address) for address, fields in _words() if _readable(fields)
    }


def _reset_values() -> dict[int, int]:
    return {address: _after_reset(fields) for address, fields in _words() if _readable(fields)}


@flow
def identity_is_the_contract(bench: FlowBench) -> None:
    """What a driver reads first is what the contract says of this adapter."""
    page = IdentityPage(bench.registers, IDENTITY_PAGE)
    registers = {
        name: getattr(page, name).read()
        for name in ("identifier", "version", "capabilities", "frame_limits", "mss_limits")
    }
    registers["ring_limits"] = page.ring_limits.read()
    for name, values in registers.items():
        for field, value in vars(values).items():
            assert value == constant(f"{name}.{field}"), f"{name}.{field}"
    geometry = page.geometry.read()
    adapter = SharedAdapter()
    assert geometry.rings == adapter.rings
    assert geometry.windows == constant("geometry.windows")


@flow
def every_register_starts_at_its_reset_value(bench: FlowBench) -> None:
    """Each word is there, and is what the contract gives as its reset."""
    bench.stall(0.3)
    assert _snapshot(bench) == _reset_values()
    assert not bench.adapter_interrupt
    assert not bench.manager_interrupt


@flow
def holes_are_refused(bench: FlowBench) -> None:
    """Between the registers, past the last page and in read-only registers nothing is written."""
    there = {address for address, _fields in _words()}
    past_the_end = DOORBELL_PAGE + DOORBELL_STRIDE * constant("geometry.rings")
    holes = [*range(0, past_the_end, _WORD)]
    chosen = [hole for hole in bench.rng.sample(holes, 200) if hole not in there]
    for hole in [*chosen, past_the_end, past_the_end + PAGE_SIZE - _WORD]:
        with pytest.raises(OSError, match="SLVERR"):
            bench.registers.read(hole)
        with pytest.raises(OSError, match="SLVERR"):
            bench.registers.write(hole, 0xFFFF_FFFF)
    for address, fields in _words():
        if not any(field.writable for field, _place in fields):
            with pytest.raises(OSError, match="SLVERR"):
                bench.registers.write(address, 0xFFFF_FFFF)
    assert _snapshot(bench) == _reset_values()


@flow
def a_page_changes_no_other(bench: FlowBench) -> None:
    """Whatever is written to one page, the registers of every other page stay as they are.

    Doorbells come first, as no ring runs then; and the adapter page last but one, as nothing is
    bound then: so nothing starts.
    """
    rings = range(constant("geometry.rings"))
    doorbells = [DOORBELL_PAGE + DOORBELL_STRIDE * ring for ring in rings]
    adapter = MANAGER_PAGE + PAGE_SIZE
    for page in (*doorbells, adapter, MANAGER_PAGE):
        before = _snapshot(bench)
        for address, fields in _words():
            inside = page <= address < page + PAGE_SIZE
            if inside and any(field.writable for field, _place in fields):
                bench.registers.write(address, bench.rng.getrandbits(32))
        after = _snapshot(bench)
        changed = {address for address in before if before[address] != after[address]}
        assert changed, f"nothing changed in page {page:#x}"
        elsewhere = {hex(a) for a in changed if not page <= a < page + PAGE_SIZE}
        assert not elsewhere, f"page {page:#x} changed {elsewhere}"


@flow
def bytes_are_written_alone(bench: FlowBench) -> None:
    """Strobes: a byte or two written into a register leave the others as they were."""
    registers = [window.table_base for window in _windows(bench)]
    offsets = [
        address
        for path, address, _register in register_space().registers()
        if path[0] == "manager" and path[-1] == "table_base"
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
            bench.registers.write(offset + at, int.from_bytes(value, "little"), size)
            expected[at : at + size] = value
            assert register.read().page == int.from_bytes(expected, "little") >> 12


def _windows(bench: FlowBench):
    page = ManagerPage(bench.registers, MANAGER_PAGE)
    return [page.window[number] for number in range(constant("geometry.windows"))]


@flow
def reads_and_writes_at_once(bench: FlowBench) -> None:
    """A read and a write under way together, with stalls, do not mix."""
    bench.stall(0.4)
    offsets = [
        address
        for path, address, _register in register_space().registers()
        if path[0] == "manager" and path[-1] == "size"
    ]
    values = dict.fromkeys(offsets, 0)
    for _number in range(60):
        reading, writing = bench.rng.sample(offsets, 2)
        value = bench.rng.getrandbits(32)
        assert bench.registers.read_and_write(reading, writing, value) == values[reading]
        values[writing] = value


@flow
def reset_in_the_middle_of_everything(bench: FlowBench) -> None:
    """A reset while frames, descriptors and walks are under way: all begins anew, and works."""
    for frames_before in (0, 1, 3):
        ring = Ring(bench, Window(bench, 0))
        ring.adapter.mac_control.write(transmit_enable=1)
        for _number in range(3):
            ring.send(super_frame(bench.rng, 0, bench.rng.randbytes(5000), 1000), fragments=5)
        ring.ring()
        seen = len(bench.wire.frames) + frames_before
        bench.wait_for(lambda seen=seen: len(bench.wire.frames) >= seen, "frame before the reset")
        bench.run(bench.rng.randrange(300))
        bench.reset()
        assert _snapshot(bench) == _reset_values()
        quiet = len(bench.wire.frames)
        bench.run(3000)
        assert len(bench.wire.frames) == quiet, "a frame from before the reset"
    ring = Ring(bench, Window(bench, 1))
    ring.adapter.mac_control.write(transmit_enable=1)
    frame = sized(bench.rng, 1, 777)
    ring.send(frame, fragments=3)
    ring.ring()
    ring.expect(TransmitStatus.SUCCESS)
    bench.wait_for(lambda: bench.wire.frames[-1].data == frame.data, "the frame after the reset")
