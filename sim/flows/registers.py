"""Registers as software sees them: the contract page by page.

`tests/rtl/test_register_bank.py` shows every field of the bank alone; here it is in its place, with
the adapter and the bridge behind it.
"""

from collections.abc import Callable, Iterator

from byway.rtl.contract.model import constant, register_space
from byway.rtl.contract.tree import Field
from byway.sim.flows.flow import Bench, flow
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    IDENTITY_PAGE,
    MANAGER_PAGE,
    PAGE_SIZE,
    WINDOW_PAGE,
    IdentityPage,
)

__all__ = ["promised", "reset_values", "snapshot", "words"]

_WORD = 4
_MASK = 0xFFFF_FFFF


def words() -> Iterator[tuple[int, list[tuple[Field, int]]]]:
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
        reset = field.reset or 0
        value |= reset << place if place >= 0 else reset >> -place
    return value & _MASK


def _defined(fields: list[tuple[Field, int]]) -> int:
    """The bits of a word whose value after reset the contract promises."""
    undefined = 0
    for field, place in fields:
        ones = (1 << field.width) - 1 if field.reset is None else 0
        undefined |= ones << place if place >= 0 else ones >> -place
    return _MASK & ~undefined


def _readable(fields: list[tuple[Field, int]]) -> bool:
    return any(field.readable for field, _place in fields)


def snapshot(bench: Bench) -> dict[int, int]:
    """The value of every word that can be read, by address."""
    return {
        address: bench.registers.read(address) for address, fields in words() if _readable(fields)
    }


def promised(values: dict[int, int]) -> dict[int, int]:
    """What of a `snapshot` the contract promises after reset; the rest is 0."""
    return {
        address: values[address] & _defined(fields)
        for address, fields in words()
        if address in values
    }


def reset_values() -> dict[int, int]:
    """What is `promised` of a `snapshot` after reset."""
    return {address: _after_reset(fields) for address, fields in words() if _readable(fields)}


def _is_refused(access: Callable[[], object]) -> bool:
    try:
        access()
    except OSError:
        return True
    return False


@flow()
def identity_is_the_contract(bench: Bench) -> None:
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
    assert geometry.rings == constant("geometry.rings")
    assert geometry.windows == constant("geometry.windows")


@flow(stall=0.3)
def every_register_starts_at_its_reset_value(bench: Bench) -> None:
    """Each word is there, and is what the contract gives as its reset."""
    assert promised(snapshot(bench)) == reset_values()
    assert not bench.adapter_interrupt
    assert not bench.manager_interrupt


@flow()
def holes_are_refused(bench: Bench) -> None:
    """Between the registers, past the last page and in read-only registers nothing is written."""
    there = {address for address, _fields in words()}
    past_the_end = DOORBELL_PAGE + DOORBELL_STRIDE * constant("geometry.rings")
    holes = [*range(0, past_the_end, _WORD)]
    chosen = [hole for hole in bench.rng.sample(holes, 200) if hole not in there]
    for hole in [*chosen, past_the_end, past_the_end + PAGE_SIZE - _WORD]:
        assert _is_refused(lambda hole=hole: bench.registers.read(hole)), f"read of {hole:#x}"
        assert _is_refused(lambda hole=hole: bench.registers.write(hole, _MASK)), hex(hole)
    for address, fields in words():
        if not any(field.writable for field, _place in fields):
            refused = _is_refused(lambda at=address: bench.registers.write(at, _MASK))
            assert refused, f"write to {address:#x}"
    assert promised(snapshot(bench)) == reset_values()


@flow()
def a_page_changes_no_other(bench: Bench) -> None:
    """Whatever is written to one page, the registers of every other page stay as they are.

    Doorbells come first, as no ring runs then; and the manager page last, as nothing is bound until
    then: so nothing starts. No ring is reset, which is meant to change its pages.
    """
    rings = range(constant("geometry.rings"))
    doorbells = [DOORBELL_PAGE + DOORBELL_STRIDE * ring for ring in rings]
    for page in (*doorbells, ADAPTER_PAGE, WINDOW_PAGE, MANAGER_PAGE):
        before = snapshot(bench)
        for address, fields in words():
            inside = page <= address < page + PAGE_SIZE
            resets = any(field.write_one_sets for field, _place in fields)
            if inside and not resets and any(field.writable for field, _place in fields):
                bench.registers.write(address, bench.rng.getrandbits(32))
        after = snapshot(bench)
        changed = {address for address in before if before[address] != after[address]}
        assert changed, f"nothing changed in page {page:#x}"
        elsewhere = {hex(a) for a in changed if not page <= a < page + PAGE_SIZE}
        assert not elsewhere, f"page {page:#x} changed {elsewhere}"
