"""The generated accessors and the C header against the model of the contract."""

import random
import re
import shutil
import subprocess
from typing import Any

import pytest

from byway.rtl.contract import model
from byway.rtl.contract.generate import FOLDER
from byway.rtl.contract.tree import Group, Register
from byway.sw.contract import records, registers
from byway.sw.contract.records import Completion, TransmitDescriptor, TransmitStatus
from byway.sw.contract.registers import AdapterPage, InvalidateScope, ManagerPage, RingStopReason

PAGES = [page for page in model.register_space().members if isinstance(page, Group)]


class DictBus:
    """Registers that hold what was written; keeps the order of the accesses."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.accesses: list[tuple[str, int]] = []

    def read(self, offset: int) -> int:
        self.accesses.append(("read", offset))
        return self.words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        assert offset % 4 == 0
        assert 0 <= value < 1 << 32
        self.accesses.append(("write", offset))
        self.words[offset] = value


def class_of(name: str, module: Any) -> Any:
    return getattr(module, "".join(map(str.capitalize, name.split("_"))))


def every_register(bus: DictBus):
    """Each register of the contract: its accessor, its offset on the bus, its model."""
    for page in PAGES:
        accessor = class_of(page.type_name, registers)(bus)
        for path, offset, register in page.registers():
            found = accessor
            for step in path:
                found = found[step] if isinstance(step, int) else getattr(found, step)
            yield found, offset, register


def random_values(register: Register, rng: random.Random) -> dict[str, int]:
    """A value for each field; of a code, one of its members."""
    values = {}
    for field in register.fields:
        if field.code is None:
            values[field.name] = rng.getrandbits(field.width)
        else:
            values[field.name] = rng.choice(list(model.codes(field.code))).value
    return values


def together(register: Register, values: dict[str, int]) -> int:
    return sum(values[field.name] << field.low for field in register.fields)


def test_pages_lie_where_the_contract_says():
    for page in PAGES:
        assert getattr(registers, f"{page.name.upper()}_PAGE") == page.offset
    assert registers.DOORBELL_STRIDE == registers.PAGE_SIZE == 4096


def test_every_register_reads_its_fields_low_half_first():
    rng = random.Random(1)
    bus = DictBus()
    for accessor, offset, register in every_register(bus):
        values = random_values(register, rng)
        noise = rng.getrandbits(register.width)  # Between the fields: must not matter.
        for field in register.fields:
            noise &= ~(((1 << field.width) - 1) << field.low)
        bits = together(register, values) | noise
        for part in range(0, register.width, 32):
            bus.words[offset + part // 8] = bits >> part & 0xFFFF_FFFF
        bus.accesses.clear()
        read = accessor.read()
        assert {name: getattr(read, name) for name in values} == values, register.name
        parts = range(0, register.width // 8, 4)
        assert bus.accesses == [("read", offset + part) for part in parts]


def test_every_writable_register_writes_its_fields_and_no_other_has_write():
    rng = random.Random(2)
    bus = DictBus()
    for accessor, offset, register in every_register(bus):
        if not any(field.writable for field in register.fields):
            assert not hasattr(accessor, "write"), register.name
            continue
        values = random_values(register, rng)
        bus.accesses.clear()
        accessor.write(**values)
        parts = range(0, register.width, 32)
        written = sum(bus.words[offset + part // 8] << part for part in parts)
        assert written == together(register, values), register.name
        assert bus.accesses == [("write", offset + part // 8) for part in parts]


def test_fields_that_are_not_given_get_their_reset_value_or_0_where_1_clears():
    bus = DictBus()
    for accessor, offset, register in every_register(bus):
        if any(field.writable for field in register.fields):
            accessor.write()
            reset = {f.name: 0 if f.write_one_clears else f.reset or 0 for f in register.fields}
            parts = range(0, register.width, 32)
            written = sum(bus.words[offset + part // 8] << part for part in parts)
            assert written == together(register, reset), register.name
    page = AdapterPage(bus)
    page.ring[1].size.write()
    assert page.ring[1].size.read().size_log2 == 4
    page.ring[1].interrupt_status.write(stopped=1)
    assert page.ring[1].interrupt_status.read().completion == 0


def test_a_page_can_lie_anywhere_on_a_bus():
    bus = DictBus()
    AdapterPage(bus, registers.ADAPTER_PAGE).ring[3].size.write(size_log2=9)
    assert AdapterPage(bus).ring[3].size.read().size_log2 == 0
    assert AdapterPage(bus, registers.ADAPTER_PAGE).ring[3].size.read().size_log2 == 9


def test_codes_are_read_as_enumerations():
    bus = DictBus()
    page = AdapterPage(bus)
    assert page.ring[0].status.read().reason is RingStopReason.NONE
    bus.words[0x418] = 3 << 4
    assert page.ring[0].status.read().reason is RingStopReason.DOORBELL_RANGE
    bus.words[0x418] = 9 << 4
    with pytest.raises(ValueError, match=r"^9 is not a valid RingStopReason$"):
        page.ring[0].status.read()
    manager = ManagerPage(bus)
    manager.invalidate.write(start=1, scope=InvalidateScope.WINDOW, window=3)
    assert manager.invalidate.read().scope is InvalidateScope.WINDOW
    for name in model.enumerations():
        codes = model.codes(name)
        module = records if hasattr(records, codes.__name__) else registers
        generated = getattr(module, codes.__name__)
        assert {code.name: code.value for code in generated} == {c.name: c.value for c in codes}


@pytest.mark.parametrize("value", [-1, 16])
def test_a_value_that_does_not_fit_is_refused_and_nothing_is_written(value):
    bus = DictBus()
    message = f"^RingSize.size_log2 must be 0 to 15, not {value}$"
    with pytest.raises(ValueError, match=message):
        AdapterPage(bus).ring[0].size.write(size_log2=value)
    assert not bus.accesses


@pytest.mark.parametrize("index", [-1, 32])
def test_an_index_without_room_is_refused(index):
    with pytest.raises(IndexError, match=f"^Index must be 0 to 31, not {index}$"):
        AdapterPage(DictBus()).ring[index]


@pytest.mark.parametrize("name", model.records())
def test_records_pack_as_the_rtl_lays_them_out_and_unpack_again(name):
    rng = random.Random(3)
    layout = model.record(name)
    record_class = class_of(name, records)
    assert layout.size == record_class.SIZE * 8
    for _round in range(50):
        values = {}
        for _path, _address, register in model.records()[name].registers():
            values |= random_values(register, rng)
        record = record_class(**values)
        packed = record.pack()
        assert int.from_bytes(packed, "little") == layout.const(values).as_bits()
        assert record_class.unpack(packed) == record
    assert record_class().pack() == bytes(record_class.SIZE)


def test_a_record_of_a_wrong_size_or_with_an_unknown_code_is_refused():
    with pytest.raises(ValueError, match=r"^Completion must have 16 bytes, not 15$"):
        Completion.unpack(bytes(15))
    with pytest.raises(ValueError, match=r"^255 is not a valid TransmitStatus$"):
        Completion.unpack(b"\xff" * 16)
    with pytest.raises(ValueError, match=r"^TransmitDescriptor.fragments must be 0 to 255, not 3"):
        TransmitDescriptor(fragments=300).pack()
    assert Completion.unpack(bytes(16)).status is TransmitStatus.SUCCESS


needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@needs_gcc
def test_the_c_header_compiles_and_its_numbers_are_those_of_the_contract(tmp_path):
    """Sizes, offsets, masks and codes by static assertion."""
    claims = {}
    for name, group in model.records().items():
        claims[f"sizeof({name}_t)"] = group.size
        for path, address, _register in group.registers():
            claims[f"offsetof({name}_t, {path[0]})"] = address
    space = model.register_space(rings=model.MAXIMUM_RINGS, windows=model.MAXIMUM_WINDOWS)
    for path, address, _register in space.registers():
        member = re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, path)))
        claims[f"offsetof(byway_t, {member})"] = address
    for page in space.members:
        assert isinstance(page, Group)
        for register in (r for r in page.members if isinstance(r, Register)):
            for field in register.fields:
                prefix = f"{page.type_name}__{register.name}__{field.name}".upper()
                claims[f"{prefix}_bp"] = field.low
                claims[f"{prefix}_bm"] = ((1 << field.width) - 1) << field.low
    for name, code in model.enumerations().items():
        for member in code:
            claims[f"{name}__{member.name}".upper()] = member.value
    source = tmp_path / "claims.c"
    source.write_text(
        '#include <stddef.h>\n#include "byway.h"\n'
        + "".join(f'_Static_assert({left} == {right:#x}, "");\n' for left, right in claims.items())
    )
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{FOLDER}", str(source)]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr


@needs_gcc
def test_a_record_filled_in_c_has_the_bytes_of_the_python_record(tmp_path):
    rng = random.Random(4)
    lines, expected = [], b""
    for name, group in model.records().items():
        values = {}
        lines.append(f"{{ {name}_t r; memset(&r, 0, sizeof r);")
        for path, _address, register in group.registers():
            chosen = random_values(register, rng)
            lines += [f"r.{path[0]}.f.{field} = {value}ULL;" for field, value in chosen.items()]
            values |= chosen
        lines.append("fwrite(&r, sizeof r, 1, stdout); }")
        expected += class_of(name, records)(**values).pack()
    source = tmp_path / "fill.c"
    source.write_text(
        '#include <stdio.h>\n#include <string.h>\n#include "byway.h"\nint main(void) {\n'
        + "\n".join(lines)
        + "\nreturn 0; }\n"
    )
    program = tmp_path / "fill"
    command = ["gcc", "-Wall", "-Werror", f"-I{FOLDER}", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    assert subprocess.run([program], capture_output=True, check=True).stdout == expected
