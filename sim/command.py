"""The ``byway`` command. Wrong input gets one clear line and exit code 2, never a traceback."""

import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["main"]

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        carry_out = _load()
        return carry_out(arguments)
    except KeyboardInterrupt:
        print("byway: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _load():
    """Import all that there is, which takes as long as a short run.

    Code that is imported may make another error of Ctrl-C, which ends the process here and now.
    """

    def end(_number: int, _frame: object) -> None:
        os.write(2, b"byway: interrupted\n")
        os._exit(_INTERRUPTED)

    kept = signal.signal(signal.SIGINT, end)
    try:
        from byway.sim.commands.all import carry_out
    finally:
        signal.signal(signal.SIGINT, kept)
    return carry_out


if __name__ == "__main__":
    sys.exit(main())
