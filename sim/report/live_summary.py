"""What a person reads of a live run: a line while it runs, a table at its end."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from byway.sim.board.wire import WIRES
from byway.sim.live.status import LiveStatus
from byway.sim.report.summary import printable
from byway.sim.scenarios.live import LiveResult

__all__ = ["print_live_summary", "status_text"]


def status_text(status: LiveStatus) -> str:
    """How a run stands, in a line."""
    return (
        f" {status.simulated_seconds * 1e3:,.3f} ms simulated, "
        f"{status.cycles_per_second / 1e3:,.0f} kcycles/s | "
        f"{status.frames:,} frames out, {status.back_frames:,} back | "
        f"{status.goodput_simulated / 1e6:,.1f} Mbit/s simulated, "
        f"{status.goodput_wall / 1e6:,.2f} wall | {status.faults:,} faults "
    )


def print_live_summary(result: LiveResult, folder: Path) -> None:
    """Print to standard error what `result` says, and where its files lie."""
    status = result.status
    console = Console(stderr=True, highlight=False)
    table = Table(
        title="hosted kernels -> shared adapter -> wire -> partner's kernel",
        show_header=False,
        box=None,
        title_justify="left",
        pad_edge=False,
    )
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    bad = status.bad_frames + status.refused + status.lost + status.malformed + status.not_taken
    rows = [
        (
            "engine",
            f"{result.engine}, {status.cycles:,} cycles of {WIRES[result.wire].cycle_ns:g} ns "
            f"in {status.wall_seconds:.1f} s",
        ),
        ("left to the adapter", ", ".join(result.offloads) or "nothing"),
        (
            "kernels sent",
            f"{sum(status.sent):,} frames, {sum(status.super_frames):,} of them super-frames"
            + (f" ({', '.join(f'{n:,}' for n in status.sent)})" if len(status.sent) > 1 else ""),
        ),
        (
            "frames on the wire",
            f"{status.frames:,}, {status.payload_bytes:,} bytes of payload; {bad:,} bad or dropped",
        ),
        (
            "goodput",
            f"{status.goodput_simulated / 1e6:.2f} Mbit/s simulated, "
            f"{status.goodput_wall / 1e6:.2f} Mbit/s of wall time",
        ),
        ("wire in use", f"{status.wire_use:.4f} of simulated time"),
        (
            "way back",
            f"{status.back_frames:,} frames; software bridges it: "
            f"{status.copied_receive:,} bytes copied",
        ),
        (
            "done by a CPU",
            f"{status.copied_transmit:,} bytes copied to send, "
            f"{sum(status.checksums_by_cpu):,} checksums",
        ),
        ("partition crossings", f"{status.crossings:,}, {status.messages:,} messages"),
        (
            "translation",
            f"{status.blocks['iotlb_hits']:,} IOTLB hits, {status.blocks['iotlb_misses']:,} "
            f"misses, {status.faults:,} faults",
        ),
    ]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    console.print(Text(f"Left in {printable(folder)}: {', '.join(result.files)}", "dim"))
