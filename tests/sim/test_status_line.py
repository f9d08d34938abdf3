"""The status line: at the foot of a terminal, in its own lines elsewhere."""

import fcntl
import os
import pty
import struct
import sys
import termios

from byway.sim.report import status_line
from byway.sim.report.status_line import StatusLine


def test_foot_of_the_terminal_shows_the_text_cut_to_its_width(monkeypatch):
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    with os.fdopen(terminal, "w") as errors, os.fdopen(reader, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", errors)
        with StatusLine() as line:
            line.show("one")
            first = screen.read(4096).decode()
            assert "\x1b[1;23r" in first  # All but the last line scrolls.
            assert "\x1b[24;1H\x1b[2K\x1b[7mone\x1b[0m" in first
            line.show("x" * 50)
            second = screen.read(4096).decode()
            assert "x" * 20 in second
            assert "x" * 21 not in second
            assert "\x1b[1;23r" not in second
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 20, 0, 0))
            line.show("grown")
            assert "\x1b[1;29r" in screen.read(4096).decode()
        assert "\x1b[r" in screen.read(4096).decode()  # The whole terminal scrolls again.


def test_without_a_terminal_a_line_comes_now_and_then(monkeypatch, capsys):
    times = iter([0.0, 1.0, 9.0, 10.5, 10.6, 11.0])
    monkeypatch.setattr(status_line.time, "monotonic", lambda: next(times))
    with StatusLine() as line:
        for text in ("early", "early too", "due", "early again"):
            line.show(text)
    assert capsys.readouterr().err == "due\n"
