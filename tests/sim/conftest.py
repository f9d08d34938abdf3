"""What tests of the simulation need of the system."""

from collections.abc import Callable
from pathlib import Path

import pytest

from byway.sim.live.network import LiveNetwork
from byway.sim.scenarios.error import ScenarioError


def pytest_addoption(parser):
    parser.addoption("--deaths", type=int, help="how many deaths of each kind to try")


@pytest.fixture(scope="session")
def namespaces():
    """Network namespaces and TAP devices may be made here."""
    try:
        LiveNetwork([bytes.fromhex("020000000001")], mtu=1500).close()
    except ScenarioError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def runs() -> Callable[[int], bool]:
    """Whether the process of a number runs, which one that waits to be reaped does not."""

    def state_is_alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    return state_is_alive
