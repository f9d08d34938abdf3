"""The programs that a build runs: what breaks it off, an error or Ctrl-C, ends them all at once."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from byway.sim.engines.engine import EngineError

__all__ = ["BuildCommands"]

Command = Sequence[str | Path]


class BuildCommands:
    """Runs programs in a folder; of no use once one has failed.

    Parameters
    ----------
    folder : Path
        What they say goes to ``build.log`` there.
    environment : mapping
    failure : str
        What an `EngineError` says if one fails, before it tells where their words are.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *, failure: str):
        self._folder = folder
        self._environment = environment
        self._failure = failure
        self._log = folder / "build.log"
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen] = set()
        self._broken_off = False

    def run(self, *command: str | Path, **environment: str) -> None:
        """Run a program to its end; raises `EngineError` if it fails."""
        self._run([command], environment)

    def run_all(self, commands: Sequence[Command]) -> None:
        """Run programs, as many at once as there are processors; raises as `run`."""
        self._run(commands, {})

    def _run(self, commands: Sequence[Command], environment: Mapping[str, str]) -> None:
        # In threads of their own, where no Ctrl-C comes between a start and its being known.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            try:
                for done in [pool.submit(self._run_one, one, environment) for one in commands]:
                    done.result()
            except BaseException:
                self._break_off()
                raise

    def _run_one(self, command: Command, environment: Mapping[str, str]) -> None:
        process = self._start(command, environment)
        if process.wait():
            self._break_off()
            raise self._error()
        with self._lock:
            self._running.discard(process)

    def _start(self, command: Command, environment: Mapping[str, str]) -> subprocess.Popen:
        with self._lock, self._log.open("a") as output:
            if self._broken_off:
                raise self._error()
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # It is ended with all that it has started.
            )
            self._running.add(process)
        return process

    def _break_off(self) -> None:
        with self._lock:
            self._broken_off = True
            running = list(self._running)
        for process in running:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)  # At which a compiler tidies up.
        for process in running:
            process.wait()

    def _error(self) -> EngineError:
        return EngineError(f"{self._failure}; its words are in {self._log}")
