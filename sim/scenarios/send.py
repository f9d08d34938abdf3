"""``byway send``: a file leaves a hosted partition over the redirected path and is measured.

The file is sent twice in one run, on one machine: first by a hosted partition over the shared
adapter (the redirected path), then by the owner of the adapter from its own memory (the dedicated
one, for comparison). What is reported is the first, but for the ratio of the two.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from byway.sim.board.axi_memory import MemoryManner
from byway.sim.board.wire import GMII
from byway.sim.engines.engine import Engine
from byway.sim.engines.open_engine import ENGINES, open_engine, waveform_suffix
from byway.sim.engines.section import WHOLE_RUN, Section
from byway.sim.report.results_folder import results_folder
from byway.sim.scenarios.machine import Host, Machine, adapter_for, board_for
from byway.sim.scenarios.traffic import Traffic
from byway.sim.scenarios.transfer import Transfer, TransferFigures
from byway.sim.wire.capture import Capture
from byway.sim.wire.link_partner import LinkPartner
from byway.sw.contract.registers import MANAGER_PAGE, ManagerPage
from byway.sw.stack.tcp import MAXIMUM_MSS

__all__ = ["SendOptions", "SendResult", "send"]

_HOSTED_ADDRESS = "10.0.0.1"
_OWNER_ADDRESS = "10.0.0.3"
_SUPER_FRAME = 64 << 10
#: All that a run may leave.
_FILES = ("wire.pcapng", "result.json", "wave.vcd", "wave.fst")


@dataclass(frozen=True)
class SendOptions:
    """What can be chosen of a run.

    Attributes
    ----------
    engine : str
        A name of `byway.sim.engines.open_engine.ENGINES`.
    mtu : int
        Longest IP packet on the wire, in bytes.
    mss : int or None
        Most payload bytes of a segment; None for what the MTU leaves beside the headers.
    wire : str
        One of `byway.sim.board.wire.WIRES`.
    data_width : int
        One of `byway.sim.scenarios.machine.DATA_WIDTHS`.
    memory_latency : int
        Cycles added to each access to system memory.
    waveform : Section or None
        Leave a waveform of it; a run without its event leaves none.
    """

    engine: str = ENGINES[0]
    mtu: int = 1500
    mss: int | None = None
    wire: str = GMII.name
    data_width: int = 64
    memory_latency: int = 0
    waveform: Section | None = None


@dataclass(frozen=True)
class SendResult:
    """What a run came to; ``result.json`` holds the same under the same names.

    Attributes
    ----------
    file, engine, wire : str
        What was sent, what ran the RTL, and how frames left it.
    bytes, frames, data_frames, super_frames, retransmissions : int
        Of the file; of the connection on the wire, all frames and those with payload; handed to
        the adapter as super-frames; sent again.
    cycles, dedicated_cycles : int
        From the first doorbell to the last byte on the wire, redirected and dedicated.
    redirected_over_dedicated : float
        `dedicated_cycles` over `cycles`: 1 if sharing costs nothing.
    goodput_of_limit, goodput_bits_per_second : float or None
        Payload rate from the first preamble byte to the end of the last frame with payload; over
        the rate of the same frames back to back, and absolute. None for an empty file.
    doorbell_to_first_byte_cycles : int
        From the doorbell of the SYN, which finds the adapter idle, to its first preamble byte.
    crossings : int
        Times that control passed from one partition to another, set-up not included.
    crossings_per_super_frame : float or None
        The same for each 64 KiB of payload; None for less than that.
    messages, hcalls : int
        CRQ and sub-CRQ elements, and calls of the partition manager, set-up not included.
    cpu_bytes_copied : int
        Payload bytes that a processor copied to send, anywhere.
    receive_bytes_copied : int
        Bytes that software copied on the way back, which has no hardware path yet.
    iotlb_hits, iotlb_misses, iotlb_prefetches, faults : int
        Of the translation bridge, for the redirected path.
    bad_frames : int
        Frames that the partner refused for a wrong FCS or checksum.
    sha256_sent, sha256_received : str
    files : tuple of str
        Names of the files left.
    """

    file: str
    engine: str
    wire: str
    bytes: int
    frames: int
    data_frames: int
    super_frames: int
    retransmissions: int
    cycles: int
    dedicated_cycles: int
    redirected_over_dedicated: float
    goodput_of_limit: float | None
    goodput_bits_per_second: float | None
    doorbell_to_first_byte_cycles: int
    crossings: int
    crossings_per_super_frame: float | None
    messages: int
    hcalls: int
    cpu_bytes_copied: int
    receive_bytes_copied: int
    iotlb_hits: int
    iotlb_misses: int
    iotlb_prefetches: int
    faults: int
    bad_frames: int
    sha256_sent: str
    sha256_received: str
    files: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """The partner received what was sent, and nothing broken on the way."""
        return self.sha256_sent == self.sha256_received and not self.bad_frames


class _Bars:
    """Progress of the two transfers, on standard error."""

    def __init__(self, total: int):
        self._total = total
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )

    @contextlib.contextmanager
    def bar(self, text: str) -> Iterator:
        task = self._progress.add_task(text, total=max(1, self._total))

        def update(done: int) -> None:
            self._progress.update(task, completed=done)

        yield update
        self._progress.update(task, completed=max(1, self._total))

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._progress.stop()


class _Run:
    """The machine of a run, and the transfers over it."""

    def __init__(
        self, engine: Engine, data: bytes, options: SendOptions, capture: Capture, bars: _Bars
    ):
        self.machine = Machine(engine, mtu=options.mtu)
        self._engine = engine
        self._data = data
        self._options = options
        self._capture = capture
        self._bars = bars

    def transfer(
        self, text: str, host: Host, address: str
    ) -> tuple[TransferFigures, LinkPartner, int]:
        """Send the data from `host`; returns figures, partner, and bytes that its stack copied."""
        partner = LinkPartner(mtu=self._options.mtu)
        with self._bars.bar(text) as progress:
            transfer = Transfer(
                self._engine,
                memory=host.memory,
                device=host.device,
                partner=partner,
                doorbells=self.machine.doorbells,
                address=address,
                mss=self._options.mss or MAXIMUM_MSS,
                data=self._data,
            )
            traffic = Traffic(
                self._engine,
                [transfer],
                software=self.machine.software,
                deliver=self.machine.deliver,
                capture=self._capture,
                progress=progress,
            )
            traffic.run()
        return transfer.figures, partner, transfer.ip.touched.copied


def send(data: bytes, options: SendOptions, folder: Path, *, name: str) -> SendResult:
    """Carry out a run and leave its files in `folder`.

    Parameters
    ----------
    data : bytes
        What to send.
    options : SendOptions
    folder : Path
        Made if it is not there; touched at the end only.
    name : str
        What the summary calls `data`.

    Raises
    ------
    ScenarioError, EngineError
        The run failed, or the engine cannot be had.
    OSError
        `folder` cannot be written to.
    """
    with results_folder(folder, _FILES) as results, contextlib.ExitStack() as stack:
        suffix = waveform_suffix(options.engine)
        section = options.waveform or WHOLE_RUN
        wave = results / f"wave{suffix}" if options.waveform else None
        parameters = board_for(1, MemoryManner(latency=options.memory_latency))
        with Console(stderr=True).status(f"starting {options.engine}; the first time it compiles"):
            make = adapter_for(1, data_width=options.data_width, wire=options.wire)
            engine = open_engine(options.engine, make, parameters, waveform=wave, section=section)
        stack.callback(engine.close)
        capture = stack.enter_context(Capture(results / "wire.pcapng"))
        bars = stack.enter_context(_Bars(len(data)))
        run = _Run(engine, data, options, capture, bars)
        machine = run.machine

        before = machine.counts()
        redirected, partner, copied = run.transfer("redirected", machine.hosted[0], _HOSTED_ADDRESS)
        after = machine.counts()
        page = ManagerPage(engine.registers, MANAGER_PAGE)
        hits, misses = page.iotlb_hits.read().count, page.iotlb_misses.read().count
        prefetches, faults = page.iotlb_prefetches.read().count, page.faults.read().count
        dedicated, _partner, _copied = run.transfer("dedicated", machine.owner, _OWNER_ADDRESS)
        engine.close()
        capture.close()
        crossings = after.crossings - before.crossings
        result = SendResult(
            file=name,
            engine=engine.name,
            wire=engine.wire.name,
            bytes=len(data),
            frames=redirected.frames,
            data_frames=len(redirected.data),
            super_frames=redirected.super_frames,
            retransmissions=redirected.retransmissions,
            cycles=redirected.cycles,
            dedicated_cycles=dedicated.cycles,
            redirected_over_dedicated=dedicated.cycles / redirected.cycles,
            goodput_of_limit=redirected.goodput_of_limit,
            goodput_bits_per_second=redirected.goodput_bits_per_second,
            doorbell_to_first_byte_cycles=redirected.doorbell_to_first_byte,
            crossings=crossings,
            crossings_per_super_frame=(
                crossings * _SUPER_FRAME / len(data) if len(data) >= _SUPER_FRAME else None
            ),
            messages=after.messages - before.messages,
            hcalls=after.hcalls - before.hcalls,
            cpu_bytes_copied=after.transmit_bytes - before.transmit_bytes + copied,
            receive_bytes_copied=after.receive_bytes - before.receive_bytes,
            iotlb_hits=hits,
            iotlb_misses=misses,
            iotlb_prefetches=prefetches,
            faults=faults,
            bad_frames=partner.counts.bad,
            sha256_sent=hashlib.sha256(data).hexdigest(),
            sha256_received=partner.digest.hexdigest(),
            files=("wire.pcapng", "result.json", *([wave.name] if wave and wave.exists() else [])),
        )
        (results / "result.json").write_text(json.dumps(asdict(result), indent=2) + "\n")
    return result
