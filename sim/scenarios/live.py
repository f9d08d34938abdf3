"""``byway live``: unmodified programs on real kernels, with the simulated adapter between them."""

import contextlib
import json
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.wire import GMII
from byway.sim.engines.open_engine import ENGINES, open_engine, waveform_suffix
from byway.sim.engines.section import WHOLE_RUN, Section
from byway.sim.live.hosted_kernel import HostedKernel
from byway.sim.live.network import LiveNetwork
from byway.sim.live.programs import Program, Programs
from byway.sim.live.status import LiveStatus, StatusReader
from byway.sim.live.traffic import LiveTraffic
from byway.sim.report.results_folder import results_folder
from byway.sim.scenarios.machine import Machine, adapter_for, board_for
from byway.sim.wire.capture import Capture

__all__ = ["LiveOptions", "LiveResult", "Task", "live"]

_FILES = ("wire.pcapng", "result.json")
_WAVES = ("wave.vcd", "wave.fst")
_STATUS_SECONDS = 0.25
#: How long a program may take to end after Ctrl-C, and the last frames to leave the adapter.
_GRACE_SECONDS = 3.0
_DRAIN_SECONDS = 1.0
_INTERRUPTED = 130


@dataclass(frozen=True)
class Task:
    """A program to run.

    Attributes
    ----------
    place : str
        Name of a partition or of the partner, see `byway.sim.live.network`.
    command : tuple of str
        Program and arguments.
    text : str
        What the user calls it.
    """

    place: str
    command: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class LiveOptions:
    """What can be chosen of a run.

    Attributes
    ----------
    main : Task
        The run ends with it. It has the terminal.
    background : tuple of Task
        Started before it, and ended with it.
    prompt : bool
        `main` is a shell.
    engine : str
        A name of `byway.sim.engines.open_engine.ENGINES`.
    hosted : int
        Hosted partitions.
    mtu : int
        Longest IP packet on the wire, in bytes.
    wire : str
        One of `byway.sim.board.wire.WIRES`.
    data_width : int
        One of `byway.sim.scenarios.machine.DATA_WIDTHS`.
    memory_latency : int
        Cycles added to each access to system memory.
    waveform : Section or None
        Leave a waveform of it; a run without its event leaves none.
    """

    main: Task
    background: tuple[Task, ...] = ()
    prompt: bool = False
    engine: str = ENGINES[0]
    hosted: int = 1
    mtu: int = 1500
    wire: str = GMII.name
    data_width: int = 64
    memory_latency: int = 0
    waveform: Section | None = None


@dataclass(frozen=True)
class LiveResult:
    """What a run came to; ``result.json`` holds the same under the same names.

    Attributes
    ----------
    engine, wire : str
    exit_code : int
        Of the main program; 130 after Ctrl-C.
    ended : dict
        Background program that failed before the main one ended -> its exit code.
    offloads : tuple of str
        What the hosted kernels were allowed to leave to the adapter.
    status : LiveStatus
        At the end.
    files : tuple of str
        Names of the files left.
    """

    engine: str
    wire: str
    exit_code: int
    ended: dict[str, int]
    offloads: tuple[str, ...]
    status: LiveStatus
    files: tuple[str, ...]


def live(
    options: LiveOptions, folder: Path, *, on_status: Callable[[LiveStatus], None]
) -> LiveResult:
    """Carry out a run and leave its files in `folder`.

    Parameters
    ----------
    options : LiveOptions
    folder : Path
        Made if it is not there; touched at the end only.
    on_status : callable
        Told a few times a second how the run stands.

    Raises
    ------
    ScenarioError, EngineError
        The network or the engine cannot be had.
    OSError
        `folder` cannot be written to.
    """
    logs = [f"{task.place}-{number}.log" for number, task in enumerate(options.background, 1)]
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(results_folder(folder, (*_FILES, *_WAVES, *logs)))
        interrupts = stack.enter_context(_Interrupts())
        suffix = waveform_suffix(options.engine)
        wave = results / f"wave{suffix}" if options.waveform else None
        parameters = board_for(options.hosted, MemoryManner(latency=options.memory_latency))
        with Console(stderr=True).status(f"starting {options.engine}; the first time it compiles"):
            engine = open_engine(
                options.engine,
                adapter_for(options.hosted, data_width=options.data_width, wire=options.wire),
                parameters,
                waveform=wave,
                section=options.waveform or WHOLE_RUN,
            )
        stack.callback(engine.close)
        interrupts.keep()
        machine = Machine(engine, mtu=options.mtu, hosted=options.hosted)
        macs = [host.device.features.mac for host in machine.hosted]
        network = stack.enter_context(LiveNetwork(macs, mtu=options.mtu))
        kernels = [
            HostedKernel(place.tap, host.device, host.memory)
            for place, host in zip(network.hosted, machine.hosted, strict=True)
        ]
        network.partner.tap.set_carrier(True)
        capture = stack.enter_context(Capture(results / "wire.pcapng"))
        traffic = LiveTraffic(engine, machine, kernels, network.partner.tap, capture)
        reader = StatusReader(engine, machine, kernels, traffic)
        programs = stack.enter_context(Programs(network))
        background = [
            programs.start(task.place, task.command, text=task.text, log=results / log)
            for task, log in zip(options.background, logs, strict=True)
        ]
        main = programs.start(
            options.main.place,
            options.main.command,
            text=options.main.text,
            prompt=f"{options.main.place}$ " if options.prompt else None,
        )
        run = _Run(traffic, reader, main, background, interrupts, on_status)
        exit_code = run.until_the_end(ignore_interrupts=options.prompt)
        programs.close()
        run.drain()
        status = reader.read()
        engine.close()
        capture.close()
        result = LiveResult(
            engine=engine.name,
            wire=engine.wire.name,
            exit_code=exit_code,
            ended=run.ended,
            offloads=tuple(str(offload.name) for offload in kernels[0].offloads),
            status=status,
            files=(*_FILES, *logs, *([wave.name] if wave and wave.exists() else [])),
        )
        (results / "result.json").write_text(json.dumps(asdict(result), indent=2) + "\n")
    return result


class _Interrupts:
    """Ctrl-C, a hang-up and a request to end; a context manager.

    Each breaks off what is under way, as Ctrl-C does, but after `keep` waits until someone looks.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self.ended = False
        self._keeping = False
        self._handlers: list = []

    def __enter__(self) -> "_Interrupts":
        def note(number: int, _frame: object) -> None:
            if not self._keeping:
                raise KeyboardInterrupt
            self.count += 1
            self.ended |= number != signal.SIGINT

        self._handlers = [signal.signal(number, note) for number in self._SIGNALS]
        return self

    def keep(self) -> None:
        """From now on someone looks."""
        self._keeping = True

    def __exit__(self, *_details: object) -> None:
        for number, handler in zip(self._SIGNALS, self._handlers, strict=True):
            signal.signal(number, handler)


class _Run:
    """Moves the traffic on until the main program has ended.

    Attributes
    ----------
    ended : dict
        Background program that has failed -> its exit code.
    """

    def __init__(
        self,
        traffic: LiveTraffic,
        reader: StatusReader,
        main: Program,
        background: Sequence[Program],
        interrupts: _Interrupts,
        on_status: Callable[[LiveStatus], None],
    ):
        self.ended: dict[str, int] = {}
        self._traffic = traffic
        self._reader = reader
        self._main = main
        self._background = list(background)
        self._interrupts = interrupts
        self._on_status = on_status
        self._status_due = 0.0

    def until_the_end(self, *, ignore_interrupts: bool) -> int:
        """Run; returns the exit code. Ctrl-C reaches the main program by itself: it may end."""
        code = self._until_main_ends(ignore_interrupts=ignore_interrupts)
        if not self._interrupts.count:
            self._name_failed()
        self._background.clear()  # What ends from now on has been made to.
        return code

    def _until_main_ends(self, *, ignore_interrupts: bool) -> int:
        deadline = None
        while (code := self._main.exit_code) is None:
            self._tell()
            interrupts = self._interrupts
            if interrupts.ended:
                return _INTERRUPTED
            if interrupts.count and not ignore_interrupts:
                deadline = deadline or time.monotonic() + _GRACE_SECONDS
                if interrupts.count > 1 or time.monotonic() > deadline:
                    return _INTERRUPTED
            if not self._traffic.step():
                self._wait()
        return _INTERRUPTED if deadline or self._interrupts.ended else code

    def drain(self) -> None:
        """Let what is under way in the adapter reach the wire."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._traffic.step() and time.monotonic() < deadline:
            self._tell()

    def _wait(self) -> None:
        """Sleep until a kernel sends, a program ends, or the status is due."""
        with selectors.DefaultSelector() as selector:
            for source in (*self._traffic.waiting_for, self._main):
                selector.register(source, selectors.EVENT_READ)
            selector.select(max(0.0, self._status_due - time.monotonic()))

    def _tell(self) -> None:
        if time.monotonic() < self._status_due:
            return
        self._status_due = time.monotonic() + _STATUS_SECONDS
        self._on_status(self._reader.read())
        self._name_failed()

    def _name_failed(self) -> None:
        """Tell of the background programs that have failed, each once."""
        for program in list(self._background):
            if code := program.exit_code:
                self._background.remove(program)
                self.ended[program.text] = code
                print(f"byway: {program.text} ended with exit code {code}", file=sys.stderr)
