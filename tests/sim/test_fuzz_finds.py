"""The fuzz finds faults: each is planted, is found within a few seeds, and again in that cycle."""

import dataclasses

import pytest

from byway.sim.fuzz.grants import Grants
from byway.sim.fuzz.markers import marked_page
from byway.sim.fuzz.plant import Plant
from byway.sim.fuzz.player import play
from byway.sw.contract.records import TranslationControlEntry
from byway.sw.contract.registers import (
    ADAPTER_PAGE,
    DOORBELL_PAGE,
    DOORBELL_STRIDE,
    MANAGER_PAGE,
    AdapterPage,
    ManagerBinding,
    ManagerInvalidate,
    ManagerPage,
)
from byway.sw.manager.rtce_hcalls import RtceHcalls

#: The first to play a design compiles it.
pytestmark = pytest.mark.timeout(900)

SEEDS = range(300)


class Registers:
    """Registers whose writes pass through `change`."""

    def __init__(self, bus, change):
        self._bus = bus
        self._change = change

    def read(self, offset):
        return self._bus.read(offset)

    def write(self, offset, value):
        changed = self._change(offset, value)
        if changed is not None:
            self._bus.write(offset, changed)


class Memory:
    """Memory in which the manager's TCEs pass through `change`."""

    def __init__(self, memory, change):
        self._memory = memory
        self._change = change
        self.size = memory.size
        self.read = memory.read

    def write(self, address, data):
        if len(data) == TranslationControlEntry.SIZE:
            old, new = (
                TranslationControlEntry.unpack(content)
                for content in (self._memory.read(address, len(data)), data)
            )
            if new.read or new.write or old.read or old.write:
                data = self._change(old, new).pack()
        self._memory.write(address, data)


class Hardware:
    def __init__(self, hardware, *, registers=None, memory=None):
        self._hardware = hardware
        self.registers = registers or hardware.registers
        self.memory = memory or hardware.memory

    @property
    def adapter_interrupt(self):
        return self._hardware.adapter_interrupt

    @property
    def manager_interrupt(self):
        return self._hardware.manager_interrupt

    @property
    def time_ns(self):
        return self._hardware.time_ns


def offset_of(register, page: type = ManagerPage, base=MANAGER_PAGE):
    """Where a register of a page is, by default the manager's."""
    seen = []

    class Finder:
        def read(self, offset):
            seen.append(offset)
            return 0

        def write(self, offset, value): ...

    register(page(Finder(), base)).read()
    return seen[0]


class KnowsOfNoGrant(Plant):
    class Deaf(Grants):
        def called(self, call): ...

    grants = Deaf


class ForgetsToInvalidate(Plant):
    """The manager returns from revocations without any."""

    def hardware(self, hardware):
        place = offset_of(lambda page: page.invalidate)

        def change(offset, value):
            if offset == place:
                fields = ManagerInvalidate.from_int(value)
                return dataclasses.replace(fields, start=0).to_int()
            return value

        return Hardware(hardware, registers=Registers(hardware.registers, change))


class InvalidatesTheWrongPage(Plant):
    def hardware(self, hardware):
        place = offset_of(lambda page: page.invalidate_page)

        def change(offset, value):
            return value ^ 1 if offset == place else value

        return Hardware(hardware, registers=Registers(hardware.registers, change))


class BindsTheWrongWindow(Plant):
    """Rings 1 and 2 translate by one another's."""

    def hardware(self, hardware):
        places = [offset_of(lambda page, ring=ring: page.binding[ring]) for ring in (1, 2)]

        def change(offset, value):
            if offset in places:
                fields = ManagerBinding.from_int(value)
                return dataclasses.replace(fields, window=3 - fields.window).to_int()
            return value

        return Hardware(hardware, registers=Registers(hardware.registers, change))


class PermitsToWriteWhatMayBeRead(Plant):
    def hardware(self, hardware):
        def change(_old, new):
            return dataclasses.replace(new, write=1) if new.read else new

        return Hardware(hardware, memory=Memory(hardware.memory, change))


class PermitsToReadWhatMayBeWritten(Plant):
    def hardware(self, hardware):
        def change(_old, new):
            return dataclasses.replace(new, read=1) if new.write else new

        return Hardware(hardware, memory=Memory(hardware.memory, change))


class LeavesClones(Plant):
    """A clone that is to lead to the bit bucket stays as it is."""

    def hardware(self, hardware):
        def change(old, new):
            return old if old.read and not new.read and new.write else new

        return Hardware(hardware, memory=Memory(hardware.memory, change))


class MapsThePageBeside(Plant):
    def hardware(self, hardware):
        def change(_old, new):
            return dataclasses.replace(new, rpn=new.rpn ^ 1) if new.read or new.write else new

        return Hardware(hardware, memory=Memory(hardware.memory, change))


class LosesDoorbells(Plant):
    """Every third of ring 1 is not heard."""

    def hardware(self, hardware):
        rung = []

        def change(offset, value):
            if offset == DOORBELL_PAGE + DOORBELL_STRIDE:
                rung.append(value)
                return value if len(rung) % 3 else None
            return value

        return Hardware(hardware, registers=Registers(hardware.registers, change))


class KeepsARingRunning(Plant):
    """Ring 2 cannot be switched off."""

    def hardware(self, hardware):
        place = offset_of(lambda page: page.ring[2].control, AdapterPage, ADAPTER_PAGE)

        def change(offset, value):
            return 1 if offset == place else value

        return Hardware(hardware, registers=Registers(hardware.registers, change))


class Wire(Plant):
    """Does something with the tenth frame."""

    def __init__(self):
        self._frames = 0

    def wire(self, frame):
        self._frames += 1
        return self.tenth(frame) if self._frames == 10 else [frame]

    def tenth(self, frame):
        raise NotImplementedError


class LosesAFrame(Wire):
    def tenth(self, frame):
        return []


class DoublesAFrame(Wire):
    def tenth(self, frame):
        return [frame, frame]


class BreaksAFrame(Wire):
    def tenth(self, frame):
        return [dataclasses.replace(frame, good=False)]


class ChangesAByte(Wire):
    def tenth(self, frame):
        data = frame.data[:-1] + bytes((frame.data[-1] ^ 1,))
        return [dataclasses.replace(frame, data=data)]


class LeaksABit(Wire):
    """Eight bytes of somebody, never read by anybody, at the end of a frame of another."""

    def tenth(self, frame):
        data = frame.data[:-11] + marked_page(1, 99, 5)[64:72] + b"\0\0\0"
        return [dataclasses.replace(frame, data=data)]


@pytest.mark.parametrize(
    ("fault", "kinds", "seeds"),
    [
        (KnowsOfNoGrant, {"foreign beat"}, 1),
        (ForgetsToInvalidate, {"foreign beat"}, 60),
        (InvalidatesTheWrongPage, {"foreign beat"}, 200),
        (BindsTheWrongWindow, {"walk", "foreign beat"}, 1),
        (PermitsToWriteWhatMayBeRead, {"wrong table", "foreign beat", "foreign write"}, 5),
        (PermitsToReadWhatMayBeWritten, {"wrong table", "foreign beat"}, 5),
        (LeavesClones, {"wrong table", "foreign beat"}, 60),
        (MapsThePageBeside, {"foreign beat", "wrong table"}, 5),
        (KeepsARingRunning, {"hang", "software"}, 60),
        (LosesDoorbells, {"hang", "lost frame"}, 60),
        (LosesAFrame, {"lost frame"}, 60),
        (DoublesAFrame, {"lost frame"}, 60),
        (BreaksAFrame, {"broken frame"}, 20),
        (ChangesAByte, {"lost frame", "foreign bytes"}, 60),
        (LeaksABit, {"foreign bytes"}, 20),
    ],
)
def test_a_planted_fault_is_found(fault, kinds, seeds):
    for seed in range(seeds):
        violation = play(seed, plant=fault()).violation
        if violation is not None:
            break
    else:
        pytest.fail(f"{fault.__name__} was not found in {seeds} seeds")
    assert violation.kind in kinds, f"seed {seed}: {violation}"
    assert play(seed, plant=fault()).violation == violation


def test_an_hcall_that_raises_is_found(monkeypatch):
    def put(self, *arguments):
        raise IndexError("list index out of range")

    monkeypatch.setattr(RtceHcalls, "h_remove_rtce", put)
    for seed in SEEDS:
        violation = play(seed).violation
        if violation is not None and "h_remove_rtce" in violation.text:
            assert violation.kind == "hcall"
            assert "raised IndexError: list index out of range" in violation.text
            return
    pytest.fail("not found")
