"""The ``byway`` command. Wrong input gets one clear line and exit code 2, never a traceback."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        # To import all that takes as long as a short run: Ctrl-C ends that in one line as well.
        from byway.sim.commands.all import carry_out

        return carry_out(arguments)
    except KeyboardInterrupt:
        print("byway: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
