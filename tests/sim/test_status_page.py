"""What the server of the page of ``byway live`` answers, to whom, and that it holds nothing up."""

import concurrent.futures
import contextlib
import http.client
import json
import random
import socket
import socketserver
import time
from dataclasses import asdict, fields
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from byway.sim import command
from byway.sim.live.status import LiveStatus
from byway.sim.report import status_page
from byway.sim.report.status_page import PageReport, StatusPage

BLOCKS = (
    *("frames", "bytes", "segments", "dropped", "cycles_busy", "cycles_stalled"),
    *("iotlb_hits", "iotlb_misses", "faults"),
)
PER_PARTITION = ("sent", "super_frames", "checksums_by_cpu")


REPORT = PageReport(command="ping partner", place="hosted", engine="native", hosted=("hosted1",))


def status(value: int = 0, *, hosted: int = 1) -> LiveStatus:
    """Each figure is `value`."""
    every: dict = {field.name: value for field in fields(LiveStatus)}
    every |= {name: (value,) * hosted for name in PER_PARTITION}
    every["blocks"] = dict.fromkeys(BLOCKS, value)
    return LiveStatus(**every)


@pytest.fixture
def page():
    with StatusPage(REPORT) as page:
        yield page


def ask(page: StatusPage, path: str, method: str = "GET", **headers: str):
    """The answer, and its body."""
    connection = http.client.HTTPConnection(urlsplit(page.url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def port_of(page: StatusPage) -> int:
    port = urlsplit(page.url).port
    assert port
    return port


def reports(page: StatusPage):
    """Each report of the stream."""
    connection = http.client.HTTPConnection(urlsplit(page.url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/status")
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "code", "kind"),
    [
        ("/", 200, "text/html; charset=utf-8"),
        ("/page.js?1", 200, "text/javascript; charset=utf-8"),
        ("/status.json", 200, "application/json"),
        ("/none", 404, "text/html;charset=utf-8"),
        ("/../status_page.py", 404, "text/html;charset=utf-8"),
        ("//etc/passwd", 404, "text/html;charset=utf-8"),
    ],
)
def test_every_answer_forbids_what_is_foreign(page, method, path, code, kind):
    answer, body = ask(page, path, method)
    assert (answer.status, answer.headers["Content-Type"]) == (code, kind)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "byway"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert bool(body) == (method == "GET")
    if method == "GET":
        assert len(body) == int(answer.headers["Content-Length"])


def test_every_file_of_the_page_is_served(page):
    for file in (Path(status_page.__file__).parent / "page").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        assert ask(page, path)[1] == file.read_bytes()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", ""])
@pytest.mark.parametrize("path", ["/", "/status", "/status.json", "/none"])
def test_foreign_name_is_refused(page, path, host):
    assert ask(page, path, Host=host)[0].status == 421


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8080", "127.0.0.1:9"])
def test_own_names_are_taken_with_any_port(page, host):
    assert ask(page, "/", Host=host)[0].status == 200


def test_nothing_can_be_changed(page):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(page, "/", method)[0].status == 501


def test_no_other_address_is_listened_at(page):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port_of(page)), timeout=5)


def test_latest_status_is_told_whole(page):
    assert json.loads(ask(page, "/status.json")[1])["state"] == "starting"
    page.show(status(1))
    page.show(status(2, hosted=3))
    told = json.loads(ask(page, "/status.json")[1])
    assert told["state"] == "running"
    assert told["status"] == json.loads(json.dumps(asdict(status(2, hosted=3))))


def test_every_watcher_sees_the_run_go_on_to_its_end(page):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)

    def watch(_number: int) -> list[dict]:
        return list(reports(page))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = [pool.submit(watch, number) for number in range(8)]
        for value in range(60):
            page.show(status(value))
            time.sleep(chance.choice([0, 0, 0.01]))
        page.end(status(60), 3)
    for watcher in seen:
        *before, last = watcher.result()
        assert (last["state"], last["exit_code"], last["status"]["frames"]) == ("ended", 3, 60)
        frames = [one["status"]["frames"] for one in before if one["status"]]
        assert frames == sorted(set(frames)), f"seed {seed}"


def test_run_that_fails_has_ended_without_a_result():
    with StatusPage(REPORT) as page:
        told = reports(page)
        assert next(told)["state"] == "starting"
    assert [(one["state"], one["exit_code"]) for one in told] == [("ended", None)]


def test_nothing_is_written_while_nobody_looks(page, monkeypatch):
    monkeypatch.setattr(status_page.json, "dumps", lambda *_: pytest.fail("somebody wrote"))
    for value in range(100):
        page.show(status(value))


def test_browsers_that_hang_hold_up_neither_run_nor_end():
    with contextlib.ExitStack() as stack:
        page = StatusPage(REPORT)
        stream = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for request in (b"", b"GET / HT", stream, stream, stream):
            hung = stack.enter_context(socket.socket())
            hung.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            hung.connect(("127.0.0.1", port_of(page)))
            hung.sendall(request)
        slowest = 0.0
        for value in range(2000):
            begun = time.monotonic()
            page.show(status(value, hosted=31))
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.001)
        begun = time.monotonic()
        page.close()
        assert time.monotonic() - begun < 3
        assert slowest < 1


def refused(arguments: list[str], folder: Path, capsys) -> str:
    words = ["live", *arguments, "--out", str(folder / "out"), "--", "true"]
    assert command.main(words) == 2
    assert list(folder.iterdir()) == []
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    return errors


def test_port_in_use_is_refused(page, tmp_path, capsys):
    port = port_of(page)
    line = refused(["--page", str(port)], tmp_path, capsys)
    assert line == f"byway: Cannot serve the page on port {port}: Address already in use\n"


def test_port_that_is_not_allowed_is_refused(tmp_path, capsys, monkeypatch):
    def bind(_server):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socketserver.TCPServer, "server_bind", bind)
    line = refused(["--page", "80"], tmp_path, capsys)
    assert line == "byway: Cannot serve the page on port 80: Permission denied\n"


@pytest.mark.parametrize("port", ["-1", "65536", "x", "1.5"])
def test_port_that_is_none_is_refused(port, tmp_path, capsys):
    line = refused([f"--page={port}"], tmp_path, capsys)
    assert line.endswith(f"port must be a whole number from 0 to 65535, not {port!r}\n")
