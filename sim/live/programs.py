"""The programs that run inside a live network, unmodified, and their end.

Each lives in a process namespace of its own below a launcher, which the kernel kills with this
process: none outlives it, whatever happens to it.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from byway.sim.live import launcher
from byway.sim.live.network import LiveNetwork

__all__ = ["Program", "Programs"]


class Program:
    """A program that was started.

    Parameters
    ----------
    text : str
        What the user calls it.
    process : subprocess.Popen
        Its launcher.
    has_terminal : bool
        It was put into the foreground of the terminal, which is taken back at its end.

    Attributes
    ----------
    text : str
    """

    def __init__(self, text: str, process: subprocess.Popen, *, has_terminal: bool):
        self.text = text
        self._process = process
        self._has_terminal = has_terminal
        self._file: int | None = os.pidfd_open(process.pid)

    def fileno(self) -> int:
        """A file to wait for, readable once the program has ended."""
        if self._file is None:
            raise ValueError(f"{self.text} has been closed")
        return self._file

    @property
    def exit_code(self) -> int | None:
        """As a shell tells it; None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def close(self) -> None:
        """End the program, and all that it started, if it has not ended; may be called again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        if self._file is not None:
            os.close(self._file)
            self._file = None
            if self._has_terminal:
                _take_terminal_back()


def _take_terminal_back() -> None:
    """Be in the foreground of the terminal again, if there is one."""
    kept = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    signal.signal(signal.SIGTTOU, kept)


class Programs:
    """Starts programs in a network; a context manager that ends them.

    Parameters
    ----------
    network : LiveNetwork
    """

    def __init__(self, network: LiveNetwork):
        self._network = network
        self._programs: list[Program] = []

    def start(
        self,
        place: str,
        command: Sequence[str],
        *,
        text: str,
        log: Path | None = None,
        prompt: str | None = None,
    ) -> Program:
        """Start `command` in the namespace of `place`; returns at once.

        Parameters
        ----------
        place : str
            Name of a partition or of the partner.
        command : sequence of str
            Program and arguments.
        text : str
            What to call it.
        log : Path or None
            Where its output goes, without input; None for a program that has the terminal.
        prompt : str or None
            What a shell that has the terminal is to show before each command.
        """
        namespace = self._network.place(place).namespace.fileno()
        start = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(namespace)]
        environment = os.environ if prompt is None else {**os.environ, "PS1": prompt}
        group = "shared" if prompt is None else "own"
        arguments = [*start, str(self._network.hosts), group, *command]
        if log is None:
            process = subprocess.Popen(arguments, pass_fds=[namespace], env=environment)
        else:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    arguments,
                    pass_fds=[namespace],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        program = Program(text, process, has_terminal=prompt is not None)
        self._programs.append(program)
        return program

    def close(self) -> None:
        """End all of them."""
        while self._programs:
            self._programs.pop().close()

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()
