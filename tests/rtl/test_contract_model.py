"""The model of the contract against the SystemRDL compiler's own view of ``byway.rdl``."""

import pytest
from amaranth.hdl import unsigned
from systemrdl.node import FieldNode, RegNode

from byway.rtl.contract import model


def compiled_registers(top: str, *parameters: int) -> list[RegNode]:
    nodes = model.elaborate(top, *parameters).top.descendants(unroll=True)
    return [node for node in nodes if isinstance(node, RegNode)]


@pytest.mark.parametrize(("rings", "windows"), [(2, 4), (3, 8), (1, 1), (32, 256)])
def test_every_register_stands_where_the_compiler_puts_it(rings, windows):
    space = model.register_space(rings=rings, windows=windows)
    expected = [
        (node.absolute_address, node.inst_name, [(f.inst_name, f.low, f.high) for f in fields])
        for node in compiled_registers("byway", rings, windows)
        for fields in [list(node.fields())]
    ]
    assert [
        (address, register.name, [(field.name, field.low, field.high) for field in register.fields])
        for _path, address, register in space.registers()
    ] == expected


def test_paths_name_arrays_and_indexes():
    paths = [path for path, _address, _register in model.register_space().registers()]
    assert ("adapter", "ring", 1, "size") in paths
    assert ("manager", "binding", 0) in paths
    assert ("doorbell", 1, "transmit") in paths


def test_the_source_has_defaults_for_rings_and_windows():
    default = model.register_space()
    assert default == model.register_space(rings=2, windows=16)
    assert model.constant("geometry.rings") == 2


def test_the_most_rings_are_as_many_as_the_summary_has_bits():
    (summary,) = (
        register
        for _path, _address, register in model.register_space().registers()
        if register.name == "interrupt_summary"
    )
    assert [field.width for field in summary.fields] == [model.MAXIMUM_RINGS]


def test_external_arrays_are_known_with_their_place():
    space = model.register_space(rings=3, windows=5)
    assert [
        (".".join(map(str, path)), address, array.count, array.stride)
        for path, address, array in space.externals()
    ] == [("manager.binding", 0x1400, 3, 4), ("window.window", 0x3000, 5, 16)]
    inside = {path for path, _address, _register in space.registers(external=False)}
    outside = {path for path, _address, _register in space.registers()} - inside
    assert len(outside) == 3 + 5 * 3
    assert all(path[:2] in (("manager", "binding"), ("window", "window")) for path in outside)
    # What has no reset value is promised none, and stands outside.
    assert {
        (path[-1], field.name)
        for path, _address, register in space.registers()
        for field in register.fields
        if field.reset is None
    } == {
        (path[-1], field.name)
        for path, _address, register in space.registers()
        if path in outside
        for field in register.fields
        if field.name not in ("valid", "enable")
    }
    assert model.external("window.window").stride == 16


def test_records_are_flat_with_bit_0_in_the_first_byte():
    positions = {
        (node.parent.inst_name, field.inst_name): (node.address_offset * 8 + field.low, field.width)
        for node in compiled_registers("byway_records")
        for field in node.fields()
    }
    for name, group in model.records().items():
        layout = model.record(name)
        assert layout.size == group.size * 8
        for field, (offset, width) in positions.items():
            if field[0] == name:
                assert layout[field[1]].offset == offset, field
                assert layout[field[1]].shape == unsigned(width), field
        assert len(list(layout)) == sum(field[0] == name for field in positions)


def test_codes_are_enumerations_with_capital_members():
    used = set()
    for top in ("byway", "byway_records"):
        for field in model.elaborate(top).top.descendants():
            code = field.get_property("encode") if isinstance(field, FieldNode) else None
            if code is not None:
                used.add(code.type_name)
    assert set(model.enumerations()) == used
    for name, code in model.enumerations().items():
        assert {member.name: int(member) for member in model.codes(name)} == {
            member.name.upper(): member.value for member in code
        }
    assert model.codes("transmit_status").__name__ == "TransmitStatus"
    assert model.codes("transmit_status").SUCCESS == 0


def test_constants_are_those_of_the_identity_page():
    for node in compiled_registers("byway"):
        for field in node.fields():
            path = f"{node.inst_name}.{field.inst_name}"
            if node.get_path().startswith("byway.identity."):
                assert model.constant(path) == field.get_property("reset")
            else:
                with pytest.raises(KeyError):
                    model.constant(path)


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda: model.record("frame"), "has no record 'frame'; it has transmit_descriptor, "),
        (lambda: model.codes("colour"), "has no enumeration 'colour'; it has fault_reason, "),
        (
            lambda: model.external("ring"),
            "has no external array 'ring'; it has manager.binding, window.window",
        ),
        (lambda: model.constant("limits"), "has no constant 'limits'; it has identifier.code, "),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(look_up, message):
    with pytest.raises(KeyError) as caught:
        look_up()
    assert f"The contract {message}" in caught.value.args[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "default onwrite = woclr; default hw = w; default swmod;",
            "default hw = w; default swmod;",
            "manager.fault_status.valid, hardware's, must be written through woclr and swmod only",
        ),
        (
            "default onwrite = woclr; default hw = rw;",
            "default onwrite = wot; default hw = rw;",
            "byway.adapter.ring[].interrupt_status.completion must have no onwrite but woclr "
            "or woset, not wot",
        ),
        (
            "onwrite = woset; hwclr; } reset",
            "onwrite = woset; } reset",
            "manager.ring_reset.0.reset must be software's and have hwclr to have woset",
        ),
        (
            'desc = "A record is shown. Write 1 to drop it and show the next."; }',
            "hwclr; }",
            "manager.fault_status.valid must be held by the bank to have hwclr",
        ),
        (
            'desc = "The ring runs."; hwclr; } enable[0:0] = 0;',
            'desc = "The ring runs."; hwclr; } enable[0:0] = 1;',
            "adapter.ring.0.control.enable must be 0 after reset to have hwclr",
        ),
        (
            "default onwrite = woclr; default hw = rw;",
            "default hw = rw;",
            "adapter.ring.0.interrupt_status.completion must have woclr, as it has hwset",
        ),
        (
            'desc = "The ring runs."; hwclr; }',
            'desc = "The ring runs."; onwrite = woclr; }',
            "adapter.ring.0.control.enable must be hardware's, or have hwset, to have woclr",
        ),
        (
            'desc = "The ring runs."; hwclr; }',
            'desc = "The ring runs."; onread = rclr; }',
            "byway.adapter.ring[].control.enable must not change when it is read",
        ),
        (
            'field { desc = "Page number (address bits 63:12)."; }',
            "field { swmod; }",
            "adapter.ring.0.descriptor_base.page must lie in one 32-bit access to have swmod",
        ),
        (
            "doorbell_page doorbell[RINGS] @ 0x4000 += 0x1000;",
            "doorbell_page doorbell[RINGS] @ 0x4000 += 0x800;",
            "doorbell must have pages of 4096 bytes for itself",
        ),
        (
            'desc = "The ring runs."; hwclr; } enable[0:0] = 0;',
            'desc = "The ring runs."; hwclr; } enable[0:0];',
            "adapter.ring.0.control.enable must have a reset value, as it is not external",
        ),
        (
            "external binding[RINGS] @ 0x400 += 0x4;",
            "external binding @ 0x400;",
            "manager.binding must be an array to be external",
        ),
        *(
            (
                "window[WINDOWS] @ 0x000 += 0x10;",
                f"window[WINDOWS] @ {place};",
                "window.window, external, must have a stride that is a power of two, "
                "and lie at a multiple of its size rounded up to one",
            )
            for place in ("0x000 += 0x18", "0x080 += 0x10")
        ),
        *(
            (
                'field { desc = "The window translates."; }',
                f"field {{ {properties} }}",
                "window.window.control.enable must be what software wrote, as it is external",
            )
            for properties in ("swmod;", "singlepulse;", "hw = w; sw = r;", "sw = w;")
        ),
    ],
)
def test_what_the_bank_could_not_build_is_refused(tmp_path, monkeypatch, old, new, message):
    text = model.SOURCE.read_text()
    assert old in text
    source = tmp_path / "changed.rdl"
    source.write_text(text.replace(old, new))
    monkeypatch.setattr(model, "SOURCE", source)
    monkeypatch.setattr(model, "elaborate", model.elaborate.__wrapped__)
    with pytest.raises(ValueError, match=r"^.+$") as caught:
        model.register_space.__wrapped__()
    assert str(caught.value) == message
