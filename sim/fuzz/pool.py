"""Processes of this machine that play seeds, each for itself.

A process that does not come back, or ends, is the finding of a seed: it is told as that seed's
outcome, and another process takes its place.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Generator, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from byway.sim.engines.engine import EngineError
from byway.sim.fuzz.judge import Violation
from byway.sim.fuzz.outcome import Outcome
from byway.sim.fuzz.player import play

__all__ = ["SECONDS", "play_all", "serve"]

#: After which a scenario is taken to hang; the longest takes a second.
SECONDS = 120


def serve(orders: Connection, engine: str) -> None:
    """Play the seeds that come, and send what they come to, until there are no more.

    Ends the process if a scenario is not over after `SECONDS`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who gives the orders.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Who gives the orders may end at any time, with an outcome still on its way or not.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            seed = orders.recv()
            # Ends the process, wherever it is, and even if it never comes back from the engine.
            signal.alarm(SECONDS)
            try:
                outcome = play(seed, engine=engine)
            except EngineError as error:
                orders.send(error)
                return
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                outcome = Outcome(seed, violation=Violation(0, "broken off", text))
            signal.alarm(0)
            if outcome.violation is None:
                outcome.log.clear()  # Of no use to anybody, and the longest part of it.
            orders.send(outcome)


class _Worker:
    """A process, and the seed that it has."""

    def __init__(self, engine: str):
        context = multiprocessing.get_context("spawn")
        self.orders, far = context.Pipe()
        self.process: BaseProcess = context.Process(target=serve, args=(far, engine), daemon=True)
        kept = signal.signal(signal.SIGINT, signal.SIG_IGN)  # What it begins with.
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, kept)
        far.close()
        self.seed = 0

    def give(self, seed: int) -> None:
        """Have it play `seed`."""
        self.seed = seed
        with contextlib.suppress(BrokenPipeError):  # It shows when the outcome is taken.
            self.orders.send(seed)

    def take(self) -> Outcome | None:
        """The outcome of its seed, None if it has ended; raises `EngineError`."""
        try:
            got = self.orders.recv()
        except (EOFError, ConnectionResetError):
            return None
        if isinstance(got, EngineError):
            raise got
        return got

    def end(self) -> None:
        """End the process, whatever it does."""
        self.orders.close()
        self.process.kill()
        self.process.join()


def _lost(worker: _Worker) -> Outcome:
    """The outcome of a seed under which a process ended."""
    worker.process.join()
    code = worker.process.exitcode or 0
    if code == -signal.SIGALRM:
        return Outcome(worker.seed, violation=Violation(0, "hang", f"not over in {SECONDS} s"))
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Outcome(worker.seed, violation=Violation(0, "crash", f"its process ended by {how}"))


def play_all(seeds: Iterable[int], *, jobs: int, engine: str) -> Generator[Outcome, None, None]:
    """Play `seeds` on `jobs` processes; yields the outcomes in the order in which they come.

    The processes end with the iterator. Raises `EngineError` if the engine cannot be had.
    """
    waiting = iter(seeds)
    workers: dict[Any, _Worker] = {}  # By the end of the pipe that this side has.
    try:
        while True:
            for seed in _some(waiting, jobs - len(workers)):
                worker = _Worker(engine)
                workers[worker.orders] = worker
                worker.give(seed)
            if not workers:
                return
            for ready in wait(list(workers)):
                worker = workers[ready]
                outcome = worker.take()
                if outcome is None:
                    yield _lost(worker)
                    workers.pop(worker.orders).end()
                    continue
                for seed in _some(waiting, 1):
                    worker.give(seed)
                    break
                else:
                    workers.pop(worker.orders).end()
                yield outcome
    finally:
        for worker in workers.values():
            worker.end()


def _some(seeds: Iterator[int], count: int) -> Iterator[int]:
    """The next `count` of them, as far as there are."""
    for _ in range(count):
        seed = next(seeds, None)
        if seed is None:
            return
        yield seed
