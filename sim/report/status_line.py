"""A status line at the foot of the terminal, below whatever programs write above it.

The terminal scrolls all but its last line, so that unmodified programs and a prompt can share it.
Where standard error is no terminal, a line is written now and then instead.
"""

import os
import sys
import time

__all__ = ["StatusLine"]

_SAVE, _RESTORE = "\x1b7", "\x1b8"
_SECONDS_BETWEEN_LINES = 10.0


class StatusLine:
    """Shows the last text that it was given; a context manager."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._rows = 0
        self._written = time.monotonic()

    def __enter__(self) -> "StatusLine":
        return self

    def show(self, text: str) -> None:
        """Show `text` instead of what was there."""
        if self._terminal:
            self._show_at_foot(text)
        elif time.monotonic() - self._written >= _SECONDS_BETWEEN_LINES:
            self._written = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def _show_at_foot(self, text: str) -> None:
        size = os.get_terminal_size(sys.stderr.fileno())
        written = ""
        if size.lines != self._rows:
            self._rows = size.lines
            # A line feed first, so that the cursor is not on the line that is taken away.
            written += f"\n{_SAVE}\x1b[1;{size.lines - 1}r{_RESTORE}\x1b[1A"
        written += (
            f"{_SAVE}\x1b[{size.lines};1H\x1b[2K\x1b[7m{text[: size.columns]}\x1b[0m{_RESTORE}"
        )
        self._write(written)

    def __exit__(self, *_details: object) -> None:
        if self._rows:
            self._write(f"{_SAVE}\x1b[{self._rows};1H\x1b[2K\x1b[r{_RESTORE}")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
