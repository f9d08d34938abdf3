"""Points of a sweep on Dask: on processes of this machine, or on a cluster that is there already.

What a worker had under way when it was lost is run again on another, and processes of this machine
are replaced. Nothing of this is to be seen on the terminal: a sweep tells what came of each point.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from multiprocessing import forkserver

import dask.config
import psutil
from distributed import Client, LocalCluster, as_completed
from distributed.comm.core import connect
from distributed.versions import VersionMismatchWarning

from byway.sim.scenarios.share import ShareOptions
from byway.sim.sweep.row import Row, failed, measure, version_of
from byway.sim.temporary_folder import temporary_folder

__all__ = ["ClusterError", "local_client", "remote_client", "run_points"]

#: Seconds within which a scheduler has to answer.
_PATIENCE = 10
_SETTINGS = {
    # Ctrl-C reaches every process of a terminal and is meant for the client alone: the workers, and
    # those that replace them, are begotten by a process that ignores it.
    "distributed.worker.multiprocessing-method": "forkserver",
    # Workers that may be lost under a point before it is taken to be the cause.
    "distributed.scheduler.allowed-failures": 5,
}


class ClusterError(Exception):
    """The cluster cannot be had or is lost; the text says why in one line."""


@contextlib.contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """The client of `workers` processes of this machine, which end with the context.

    Raises `ClusterError` if they cannot be started.
    """
    with contextlib.ExitStack() as stack:
        scratch = str(stack.enter_context(temporary_folder("byway-sweep-")))
        stack.enter_context(dask.config.set({**_SETTINGS, "temporary-directory": scratch}))
        stack.enter_context(_silence())
        with _handling_ctrl_c(signal.SIG_IGN):
            multiprocessing.set_forkserver_preload(["distributed"])
            try:
                forkserver.ensure_running()
            except OSError as error:  # Its socket is a temporary file.
                raise ClusterError(f"Cannot start processes from {scratch}: {error}") from error
        pressed: list[int] = []
        with _handling_ctrl_c(lambda number, _frame: pressed.append(number)):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                env={"TMPDIR": scratch},  # Nothing of an engine outlives its killed worker.
                dashboard_address="127.0.0.1:0",  # None is a port that others may have.
                silence_logs=logging.CRITICAL,
            )
            stack.callback(_end, cluster)
        if pressed:
            raise KeyboardInterrupt
        yield stack.enter_context(Client(cluster, set_as_default=False))


@contextlib.contextmanager
def _handling_ctrl_c(handler: Callable[[int, object], object] | signal.Handlers) -> Iterator[None]:
    """Handle Ctrl-C otherwise for a while, where it can be handled at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(cluster: LocalCluster) -> None:
    """End the workers at once, and what they have started: nobody waits for their work."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        with contextlib.suppress(psutil.NoSuchProcess):
            if nanny.pid is not None:
                worker = psutil.Process(nanny.pid)
                for process in (worker, *worker.children(recursive=True)):
                    process.kill()
    cluster.close()


@contextlib.contextmanager
def remote_client(address: str) -> Iterator[Client]:
    """The client of the cluster whose scheduler is at `address`.

    Raises `ClusterError` if there is none.
    """
    with _silence():
        try:
            # A client that finds no scheduler does not go away quietly.
            asyncio.run(_reach(address))
            client = Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, ImportError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ClusterError(f"No Dask scheduler at {address}: {reason}") from error
        with client:
            yield client


async def _reach(address: str) -> None:
    comm = await connect(address, timeout=_PATIENCE)
    await comm.close()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            yield
    finally:
        logging.disable(before)


def run_points(client: Client, points: Sequence[ShareOptions]) -> Iterator[Row]:
    """Run `points` and yield the row of each as soon as it is there.

    Raises `ClusterError` if the scheduler is lost.
    """
    futures = client.map(measure, points, [version_of(point) for point in points], pure=False)
    point_of = dict(zip(futures, points, strict=True))
    for future in as_completed(futures, loop=client.loop):
        try:
            row = future.result()
        except CancelledError as error:
            where = client.scheduler.address if client.scheduler else "its address"
            raise ClusterError(f"The Dask scheduler at {where} is lost") from error
        except Exception as error:  # Of Dask: a point's own are in its row.
            point = point_of[future]
            row = failed(point, version_of(point), f"{type(error).__name__}: {error}")
        future.release()
        yield row
