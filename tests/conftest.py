"""What all tests need of the process that they run in."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C works here and in what tests start, even if who started the tests ignores it.

    A job that a script's shell puts into the background begins so, and its children inherit it.
    """
    kept = signal.getsignal(signal.SIGINT)
    if kept is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, kept)
