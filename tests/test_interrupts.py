"""Ctrl-C reaches tests and what they start, also where the tests were told to ignore it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest


def test_interrupt_raises_here_and_ends_a_child():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    child = "import signal; signal.raise_signal(signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", child], stderr=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in done.stderr


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_parent_that_ignores_interrupts_does_not_matter(workers):
    test = f"{Path(__file__)}::{test_interrupt_raises_here_and_ends_a_child.__name__}"
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers]
    done = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *pytest_command, test],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
