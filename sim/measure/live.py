"""What live traffic and the native engine come to: ``python -m byway.sim.measure.live``.

Runs the ``byway`` command as a user does, on real kernels (which needs root), and compares with the
goals. Writes ``out/bench/live.json``, a list of figures; exit code 1 if a goal is missed, 2 if
something that it needs is not there.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from byway.sim.engines.native import NATIVES
from byway.sim.engines.native_build import build_native
from byway.sim.measure.figures import Figure, report
from byway.sim.scenarios.machine import adapter_for

__all__ = ["measure"]

_PROGRAMS = ("curl", "ping", "iperf3", "sha256sum")
_WIRE_BITS_PER_SECOND = 1e9
_FILE_BYTES = 16 << 20
_SENT_BYTES = 4 << 20
_PINGS = 1_000
_CONNECTIONS = 100
_SMALL_BYTES = 20_000
_IPERF_SECONDS = 60
_CURL = "curl -sS --retry 50 --retry-delay 1 --retry-connrefused"


class _Ran(NamedTuple):
    """A run of the command."""

    exit_code: int
    output: str
    errors: str
    seconds: float
    result: dict


def _byway(folder: Path, *arguments: str) -> _Ran:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "byway.sim.command", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun
    kept = folder / "result.json"
    result = json.loads(kept.read_text()) if kept.exists() else {}
    return _Ran(done.returncode, done.stdout, done.stderr, seconds, result)


def _live(folder: Path, *arguments: str) -> _Ran:
    out = folder / f"out-{len(list(folder.iterdir()))}"
    ran = _byway(out, "live", "--quiet", "--out", str(out), *arguments)
    if not ran.result:
        raise SystemExit(ran.errors.strip() or "byway: live left no result")
    return ran


def _serve(folder: Path) -> str:
    return f"--run=hosted=exec {sys.executable} -m http.server 8000 --directory {folder}"


def _http(folder: Path) -> list[Figure]:
    data = os.urandom(_FILE_BYTES)
    (folder / "file").write_bytes(data)
    fetch = f"{_CURL} -o {folder}/got http://hosted:8000/file"
    ran = _live(folder, _serve(folder), "--in=partner", "--", "sh", "-c", fetch)
    status = ran.result["status"]
    same = hashlib.sha256((folder / "got").read_bytes()).digest() == hashlib.sha256(data).digest()
    return [
        Figure("http_16_mib_sha256_equal", float(same), "", ">= 1"),
        Figure(
            "http_16_mib_of_wire_rate",
            status["goodput_simulated"] / _WIRE_BITS_PER_SECOND,
            "of 1 Gbit/s, simulated",
            ">= 0.6",
        ),
        Figure("http_16_mib_wall", status["goodput_wall"] / 1e6, "Mbit/s of wall time", ">= 1"),
        Figure(
            "http_16_mib_bytes_a_super_frame",
            _FILE_BYTES / max(1, sum(status["super_frames"])),
            "bytes",
        ),
    ]


def _pings(folder: Path) -> Figure:
    count = str(_PINGS)
    ran = _live(folder, "--", "ping", "-q", "-i", "0.002", "-c", count, "partner")
    lost = _PINGS if ran.exit_code else _PINGS - int(ran.output.split(" received")[0].split()[-1])
    return Figure("pings_lost_of_1000", lost, "", "<= 0")


def _connections(folder: Path) -> Figure:
    data = os.urandom(_SMALL_BYTES)
    (folder / "small").write_bytes(data)
    fetch = (
        f"for i in $(seq {_CONNECTIONS}); do {_CURL} http://hosted:8000/small | sha256sum & done; "
        "wait"
    )
    ran = _live(folder, _serve(folder), "--in=partner", "--", "sh", "-c", fetch)
    complete = ran.output.split().count(hashlib.sha256(data).hexdigest())
    return Figure("connections_complete_of_100", complete, "", ">= 100")


def _iperf3(folder: Path) -> list[Figure]:
    seconds = str(_IPERF_SECONDS)
    talk = f"sleep 1; exec iperf3 -J -c partner -t {seconds}"
    ran = _live(folder, "--run=partner=exec iperf3 -s -1", "--", "sh", "-c", talk)
    end = {} if ran.exit_code else json.loads(ran.output).get("end", {})
    received = end.get("sum_received", {}).get("bits_per_second", 0.0)
    failed = ran.exit_code != 0 or bool(ran.result["ended"])
    return [
        Figure("iperf3_60_s_errors", float(failed), "", "<= 0"),
        Figure("iperf3_60_s_wall", received / 1e6, "Mbit/s of wall time"),
    ]


def _send(folder: Path) -> list[Figure]:
    (folder / "sent").write_bytes(os.urandom(_SENT_BYTES))
    out = folder / "send"
    ran = _byway(out, "send", str(folder / "sent"), "--out", str(out))
    same = bool(ran.result) and ran.result["sha256_sent"] == ran.result["sha256_received"]
    return [
        Figure("send_4_mib_sha256_equal", float(same), "", ">= 1"),
        Figure("send_4_mib_seconds", ran.seconds, "s", "<= 60"),
    ]


def _starts() -> list[Figure]:
    """The first build, in a cache of its own, and a start after it, elaboration left out."""
    with tempfile.TemporaryDirectory(prefix="byway-cache-") as cache:
        script = (
            "import time; begun = time.monotonic(); "
            "from byway.sim.board.axi_memory import MemoryManner; "
            "from byway.sim.engines.open_engine import open_engine; "
            "from byway.sim.scenarios.machine import adapter_for, board_for; "
            "open_engine('native', adapter_for(1), board_for(1, MemoryManner())).close(); "
            "print(time.monotonic() - begun)"
        )
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        times = [
            float(
                subprocess.run(
                    [sys.executable, "-c", script],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _turn in range(2)
        ]
    return [
        Figure("first_native_build", times[0], "s", "<= 90"),
        Figure("cached_start", times[1], "s", "<= 1"),
    ]


def measure() -> list[Figure]:
    """Measure all of it, one after the other."""
    build_native(adapter_for(1), NATIVES["native"])
    with tempfile.TemporaryDirectory(prefix="byway-bench-") as name:
        folder = Path(name)
        return [
            *_http(folder),
            _pings(folder),
            _connections(folder),
            *_iperf3(folder),
            *_send(folder),
            *_starts(),
        ]


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m byway.sim.measure.live")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    folder = parser.parse_args().out
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        print(f"byway: bench-live needs {', '.join(missing)}", file=sys.stderr)
        return 2
    return report(measure(), folder / "live.json")


if __name__ == "__main__":
    sys.exit(main())
