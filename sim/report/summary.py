"""The summary that a person reads after a run."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from byway.sim.board.wire import WIRES
from byway.sim.scenarios.send import SendResult

__all__ = ["print_summary", "printable"]


def printable(name: object) -> str:
    """`name`, of a file or given by the user, as text that fits in a line and in UTF-8."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(name))
    return text.encode(errors="backslashreplace").decode()


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def print_summary(result: SendResult, folder: Path) -> None:
    """Print what `result` says, and where its files lie."""
    console = Console(highlight=False)
    verdict = Text("equal", "bold green") if result.intact else Text("DIFFERENT", "bold red")
    table = Table(
        title=Text(f"{printable(result.file)}: hosted partition -> shared adapter -> wire"),
        show_header=False,
        box=None,
        title_justify="left",
        pad_edge=False,
    )
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    rate = result.goodput_bits_per_second
    per_super_frame = result.crossings_per_super_frame
    rows: list[tuple[str, str | Text]] = [
        (
            "engine",
            f"{result.engine}, {result.cycles:,} cycles of {WIRES[result.wire].cycle_ns:g} ns",
        ),
        ("payload", f"{result.bytes:,} bytes in {result.data_frames:,} frames"),
        ("super-frames", f"{result.super_frames:,}, segmented by the adapter"),
        ("frames on the wire", f"{result.frames:,}, {result.bad_frames:,} with a wrong checksum"),
        (
            "goodput",
            "-"
            if rate is None
            else f"{rate / 1e6:.2f} Mbit/s, {_ratio(result.goodput_of_limit)} of the wire's limit",
        ),
        (
            "redirected / dedicated",
            f"{_ratio(result.redirected_over_dedicated)} of the owner's speed",
        ),
        ("doorbell to first byte", f"{result.doorbell_to_first_byte_cycles or 0:,} cycles"),
        (
            "partition crossings",
            f"{result.crossings:,}, those for acknowledgements included"
            + (f": {per_super_frame:.1f} for each 64 KiB" if per_super_frame else ""),
        ),
        (
            "bytes copied by a CPU",
            f"{result.cpu_bytes_copied:,} to send; {result.receive_bytes_copied:,} on the way "
            "back, which software bridges",
        ),
        (
            "translation",
            f"{result.iotlb_hits:,} IOTLB hits, {result.iotlb_misses:,} misses, "
            f"{result.iotlb_prefetches:,} prefetches, {result.faults:,} faults",
        ),
        ("SHA-256 sent", result.sha256_sent),
        ("SHA-256 received", Text.assemble(result.sha256_received, "  ", verdict)),
    ]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    console.print(Text(f"Left in {printable(folder)}: {', '.join(result.files)}", "dim"))
