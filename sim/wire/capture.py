"""What passed on the wire, in the pcapng form that Wireshark reads."""

from pathlib import Path
from types import TracebackType

from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter

__all__ = ["Capture"]


class Capture:
    """Writes frames, without FCS, to `path`; a context manager."""

    def __init__(self, path: Path):
        self._writer = PcapNgWriter(str(path))
        self._writer.write_header(Ether())  # Tells the kind of link even if no frame follows.

    def write(self, frame: bytes, time_ns: int) -> None:
        """Append `frame`, whose first bit was on the wire at `time_ns` after reset."""
        self._writer.write_packet(frame, sec=time_ns / 1e9)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def __enter__(self) -> "Capture":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
