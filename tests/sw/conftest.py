"""Machines without RTL, on which the software runs."""

from typing import Any

import pytest

from byway.sw.manager.manager import PartitionManager
from tests.sw import shared_machine
from tests.sw.adapter_model import AdapterModel
from tests.sw.fake_hardware import FakeHardware
from tests.sw.hcall_world import World
from tests.sw.machine import WINDOW_BYTES, Machine, SharedMachine


@pytest.fixture
def make_hardware() -> type[FakeHardware]:
    return FakeHardware


@pytest.fixture
def hardware() -> FakeHardware:
    return FakeHardware()


@pytest.fixture
def machine(hardware: FakeHardware) -> Machine:
    manager = PartitionManager(hardware)
    return Machine(
        hardware=hardware,
        manager=manager,
        hosting=manager.create_partition("hosting", 256 * 1024),
        hosted=manager.create_partition("hosted", 256 * 1024),
        other=manager.create_partition("other", 256 * 1024),
    )


@pytest.fixture
def shared(machine: Machine) -> SharedMachine:
    connections = [machine.connect(client) for client in (machine.hosted, machine.other)]
    for connection in connections:
        machine.open(connection)
    return SharedMachine(
        **vars(machine),
        adapter=machine.manager.assign_adapter(machine.hosting, window_bytes=WINDOW_BYTES),
        vnic=connections[0],
        other_vnic=connections[1],
    )


class Share:
    """The helpers of `shared_machine`, and machines that run the model of the adapter."""

    def __getattr__(self, name: str) -> Any:
        return getattr(shared_machine, name)

    def machine(
        self, *, clients: int = 1, rings: int = 2, without: tuple[str, ...] = (), **options: int
    ) -> Any:
        """A shared machine, with an adapter that is `without` some of its capabilities."""
        hardware = FakeHardware(memory_bytes=16 << 20, rings=rings, windows=rings + 2)
        model = AdapterModel(hardware, rings=rings, **dict.fromkeys(without, 0))
        return shared_machine.SharedMachine(hardware, model, clients, **options)


@pytest.fixture(scope="session")
def share() -> Share:
    return Share()


@pytest.fixture
def world(shared: SharedMachine) -> World:
    """A machine with something of every kind that an hcall can name wrongly."""
    return World(shared)
