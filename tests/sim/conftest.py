"""What tests of live traffic need of the system."""

import pytest

from byway.sim.live.network import LiveNetwork
from byway.sim.scenarios.error import ScenarioError


@pytest.fixture(scope="session")
def namespaces():
    """Network namespaces and TAP devices may be made here."""
    try:
        LiveNetwork([bytes.fromhex("020000000001")], mtu=1500).close()
    except ScenarioError as error:
        pytest.skip(str(error))
