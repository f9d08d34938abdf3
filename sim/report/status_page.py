"""A small web page on this machine that shows how a live run stands.

Its files lie in ``page/``. ``/status`` is a stream of server-sent events, one for each status, and
``/status.json`` the latest one. Nobody but this machine reaches the page, and no other site that a
browser has open can read it: foreign names that resolve here are refused (DNS rebinding), and the
browser is told to load nothing from elsewhere.
"""

import contextlib
import json
import secrets
import socket
import socketserver
import threading
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal

from byway.sim.live.status import LiveStatus

__all__ = ["ADDRESS", "PageReport", "StatusPage"]

#: Where the page is served.
ADDRESS = "127.0.0.1"

_FOLDER = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/figures.js": ("figures.js", "text/javascript; charset=utf-8"),
    "/strip_chart.js": ("strip_chart.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_NAMES = ("127.0.0.1", "localhost")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: How long a browser may keep a request, or bytes that it was sent, waiting.
_PATIENCE_SECONDS = 10.0
#: How often a stream without news is tried, to learn that its browser has gone.
_HEARTBEAT_SECONDS = 5.0
#: How often the server looks whether it is to stop.
_POLL_SECONDS = 0.1
#: How long browsers may take to fetch the last status at the end of a run.
_FAREWELL_SECONDS = 0.5


@dataclass(frozen=True)
class PageReport:
    """What the page is told.

    Attributes
    ----------
    command : str
        What runs, and
    place : str
        where.
    engine : str
    hosted : tuple of str
        Names of the hosted partitions.
    state : str
        ``starting`` until there is a status.
    exit_code : int or None
        Of a run that has ended; None if it came to nothing.
    status : LiveStatus or None
        The latest.
    run : str
        Tells one run from another that is served at the same address later.
    """

    command: str
    place: str
    engine: str
    hosted: tuple[str, ...]
    state: Literal["starting", "running", "ended"] = "starting"
    exit_code: int | None = None
    status: LiveStatus | None = None
    run: str = ""


class StatusPage:
    """Serves the page; a context manager.

    Neither `show` nor `close` waits for a browser, but for `close` up to half a second, so that
    those that look learn the end. While nobody looks nothing is done but to keep the latest status.

    Parameters
    ----------
    report : PageReport
        Of a run that starts.
    port : int
        0 for one that is free.

    Attributes
    ----------
    url : str

    Raises `OSError` if the port cannot be had.
    """

    def __init__(self, report: PageReport, port: int = 0):
        self._latest = _Latest(replace(report, run=secrets.token_hex(8)))
        self._server = _Server((ADDRESS, port), self._latest)
        self.url = f"http://{ADDRESS}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="page", daemon=True
        )
        self._thread.start()

    def show(self, status: LiveStatus) -> None:
        """Show `status` instead of the one before."""
        self._latest.put(replace(self._latest.report, state="running", status=status))

    def end(self, status: LiveStatus, exit_code: int) -> None:
        """Say that the run has ended, and how it stands."""
        self._latest.put(
            replace(self._latest.report, state="ended", status=status, exit_code=exit_code)
        )

    def close(self) -> None:
        """Stop serving; a run that has not been said to have ended came to nothing."""
        if self._latest.report.state != "ended":
            self._latest.put(replace(self._latest.report, state="ended"))
        self._latest.wait_for_watchers(_FAREWELL_SECONDS)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "StatusPage":
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()


class _Latest:
    """The latest report, and those who wait for a later one."""

    def __init__(self, report: PageReport):
        self.report = report
        self._number = 0
        self._watchers = 0
        self._changed = threading.Condition()

    def put(self, report: PageReport) -> None:
        with self._changed:
            self.report = report
            self._number += 1
            self._changed.notify_all()

    def watch(self) -> Generator[PageReport | None, None, None]:
        """The report, and each later one until the run has ended; None where none comes for long.

        Who is slow gets the latest and misses those between.
        """
        seen = -1
        with self._watching():
            while True:
                with self._changed:
                    if seen == self._number:
                        self._changed.wait(_HEARTBEAT_SECONDS)
                    new, seen, report = seen != self._number, self._number, self.report
                yield report if new else None
                if report.state == "ended":
                    return

    def wait_for_watchers(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._watchers, timeout=seconds)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        with self._changed:
            self._watchers += 1
        try:
            yield
        finally:
            with self._changed:
                self._watchers -= 1
                self._changed.notify_all()


class _Server(socketserver.ThreadingTCPServer):
    """A thread for each connection; none of them holds up the end."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], latest: _Latest):
        self.latest = latest
        self._connections: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request, client_address):
        """As always, but remember the connection."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        """As always, and forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Give port and connections up: a thread that waits for its browser is let go."""
        super().server_close()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """A browser that went away or hangs is none of the run's business."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    timeout = _PATIENCE_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.headers.get("Host", "").partition(":")[0].lower() not in _NAMES:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif path in _FILES:
            name, kind = _FILES[path]
            self._answer((_FOLDER / name).read_bytes(), kind)
        elif path == "/status.json":
            self._answer(_encoded(self._latest.report), "application/json")
        elif path == "/status":
            self._stream()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """As GET; what answers leaves the body out."""
        self.do_GET()

    def end_headers(self) -> None:
        """Add what every answer bears."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """Name of the server; what it is made with is nobody's business."""
        return "byway"

    def log_message(self, format: str, *_arguments: object) -> None:
        """Keep the terminal for the programs that run."""

    @property
    def _latest(self) -> _Latest:
        assert isinstance(self.server, _Server)
        return self.server.latest

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(b"retry: 1000\n\n")
        with contextlib.closing(self._latest.watch()) as reports:
            for report in reports:
                news = b":\n\n" if report is None else b"data: %b\n\n" % _encoded(report)
                self.wfile.write(news)


def _encoded(report: PageReport) -> bytes:
    return json.dumps(asdict(report)).encode()
