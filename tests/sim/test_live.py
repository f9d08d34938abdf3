"""``byway live``, run as a user does: unmodified programs, two kernels, the RTL between them."""

import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgReader

from byway.sim import command
from byway.sim.engines.engine import EngineError
from byway.sim.scenarios import live as scenario

BYWAY = [sys.executable, "-m", "byway.sim.command", "live"]

needs_namespaces = pytest.mark.usefixtures("namespaces")

#: Serves a folder: `SERVE PORT FOLDER`; fetches: `FETCH URL FILE`.
SERVE = f"exec {sys.executable} -m http.server"
FETCH = """
import sys, time, urllib.request
for attempt in range(100):
    try:
        data = urllib.request.urlopen(sys.argv[1], timeout=60).read()
        break
    except OSError:
        time.sleep(0.1)
open(sys.argv[2], "wb").write(data)
"""


def live(
    folder: Path, *arguments: str | Path, before: tuple[str, ...] = ()
) -> tuple[int, str, str, dict]:
    """Run the command; returns exit code, output, errors, and ``result.json`` if it is there."""
    whole = [*before, *BYWAY, "--out", folder / "out", *arguments]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=240)
    result = folder / "out" / "result.json"
    figures = json.loads(result.read_text()) if result.exists() else {}
    return done.returncode, done.stdout, done.stderr, figures


@needs_namespaces
def test_pings_come_back_and_are_on_the_wire(tmp_path):
    if shutil.which("ping") is None:
        pytest.skip("ping is not installed")
    code, output, _errors, figures = live(
        tmp_path, "--", "ping", "-c", "20", "-i", "0.01", "partner"
    )
    assert code == 0
    assert "20 received, 0% packet loss" in output
    status = figures["status"]
    assert status["bad_frames"] == status["faults"] == status["refused"] == status["lost"] == 0
    assert status["copied_transmit"] == 0
    with PcapNgReader(str(tmp_path / "out" / "wire.pcapng")) as reader:
        packets = [Ether(bytes(packet)) for packet in reader]
    assert sum(ICMP in packet and packet[ICMP].type == 8 for packet in packets) == 20
    assert sum(ICMP in packet and packet[ICMP].type == 0 for packet in packets) == 20


@needs_namespaces
def test_file_over_http_arrives_whole_in_super_frames(tmp_path):
    data = os.urandom(1 << 20)
    (tmp_path / "file").write_bytes(data)
    code, _output, errors, figures = live(
        tmp_path,
        f"--run=hosted={SERVE} 8000 --directory {tmp_path}",
        "--in=partner",
        "--",
        sys.executable,
        "-c",
        FETCH,
        "http://hosted:8000/file",
        str(tmp_path / "got"),
    )
    assert code == 0, errors
    assert (tmp_path / "got").read_bytes() == data
    status = figures["status"]
    assert figures["offloads"][:4] == ["CHECKSUM", "TSO4", "TSO6", "TSO_ECN"]
    assert status["goodput_simulated"] > 0.6 * 941.5e6
    assert status["payload_bytes"] >= len(data)
    (super_frames,) = status["super_frames"]
    assert 0 < super_frames < len(data) // 1448 // 10
    assert status["blocks"]["segments"] > 10 * super_frames
    assert status["checksums_by_cpu"] == [0]
    assert status["bad_frames"] == status["faults"] == status["not_taken"] == 0
    assert "GET /file" in (tmp_path / "out" / "hosted-1.log").read_text()


@needs_namespaces
def test_datagrams_are_cut_by_the_adapter_over_both_versions_of_ip(tmp_path):
    """As QUIC sends them; those of 20 bytes are too short for the adapter, and cut before."""
    server = """
import socket
listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
listener.bind(("::", 7000))
while True:
    data, peer = listener.recvfrom(65536)
    listener.sendto(data, peer)
"""
    client = """
import os, socket
SOL_UDP, UDP_SEGMENT = 17, 103
for family, address in ((socket.AF_INET6, "fd62:7977:6179::fe"), (socket.AF_INET, "10.0.0.254")):
    for size, count in ((1000, 40), (20, 9)):
        peer = socket.socket(family, socket.SOCK_DGRAM)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        peer.settimeout(0.2)
        peer.connect((address, 7000))
        while True:  # Until the server is there, and addresses are resolved.
            try:
                peer.send(b"hello")
                peer.recv(9)
                break
            except OSError:
                pass
        peer.settimeout(30)
        data = os.urandom(size * count - 7)
        peer.setsockopt(SOL_UDP, UDP_SEGMENT, size)
        peer.send(data)
        got = [peer.recv(65536) for _ in range(count)]
        assert got == [data[at : at + size] for at in range(0, len(data), size)], (family, size)
print("all the same")
"""
    (tmp_path / "server.py").write_text(server)
    code, output, errors, figures = live(
        tmp_path,
        f"--run=partner=exec {sys.executable} {tmp_path / 'server.py'}",
        "--",
        sys.executable,
        "-c",
        client,
    )
    assert code == 0, errors
    assert output == "all the same\n"
    status = figures["status"]
    if "USO4" in figures["offloads"]:
        assert status["super_frames"] == [2]
        assert status["blocks"]["segments"] >= 2 * 40
    assert status["bad_frames"] == status["malformed"] == status["refused"] == 0


@needs_namespaces
def test_inner_checksums_of_a_tunnel_are_left_to_the_adapter(tmp_path):
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed")
    tunnel = """
ip link add vxlan0 type vxlan id 5 remote {remote} dstport 4789 dev eth0 2>log || exit 77
ip address add {address} dev vxlan0
ip link set vxlan0 up
exec {then}
"""
    data = os.urandom(100_000)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "fetch.py").write_text(FETCH)
    fetch = f"{sys.executable} {tmp_path / 'fetch.py'} http://192.168.7.1:8000/file"
    for place, remote, address, then in (
        ("hosted", "10.0.0.254", "192.168.7.1/24", f"{SERVE[5:]} 8000 --directory {tmp_path}"),
        ("partner", "10.0.0.1", "192.168.7.2/24", f"{fetch} {tmp_path / 'got'}"),
    ):
        script = tunnel.format(remote=remote, address=address, then=then)
        (tmp_path / f"{place}.sh").write_text(script.replace("log", str(tmp_path / "log")))
    run = f"--run=hosted=sh {tmp_path / 'hosted.sh'}"
    end = ("--in=partner", "--", "sh", str(tmp_path / "partner.sh"))
    code, _output, errors, figures = live(tmp_path, run, *end)
    if code == 77:
        pytest.skip(f"no tunnels: {(tmp_path / 'log').read_text()}")
    assert code == 0, errors
    assert (tmp_path / "got").read_bytes() == data
    status = figures["status"]
    assert status["checksums_by_cpu"] == [0]
    assert status["payload_bytes"] > len(data)
    assert status["bad_frames"] == status["refused"] == status["malformed"] == 0


@needs_namespaces
def test_many_connections_at_once_over_both_versions_of_ip(tmp_path):
    server = """
import socket, threading
listener = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True,
                                backlog=200)
while True:
    peer, _ = listener.accept()
    threading.Thread(target=lambda peer=peer: (peer.sendall(peer.recv(9) * 1000),
                                               peer.close())).start()
"""
    client = """
import socket, threading, time
wrong = []
def talk(number):
    address = "fd62:7977:6179::fe" if number % 2 else "10.0.0.254"
    for attempt in range(100):
        try:
            peer = socket.create_connection((address, 7000), 60)
            break
        except OSError:
            time.sleep(0.1)
    word = b"%09d" % number
    peer.sendall(word)
    got = b""
    while part := peer.recv(65536):
        got += part
    if got != word * 1000:
        wrong.append(number)
threads = [threading.Thread(target=talk, args=(n,)) for n in range(50)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(threads), "ended,", len(wrong), "wrong")
"""
    (tmp_path / "server.py").write_text(server)
    code, output, errors, figures = live(
        tmp_path,
        f"--run=partner=exec {sys.executable} {tmp_path / 'server.py'}",
        "--",
        sys.executable,
        "-c",
        client,
    )
    assert code == 0, errors
    assert output == "50 ended, 0 wrong\n"
    assert figures["status"]["checksums_by_cpu"] == [0]
    assert figures["status"]["bad_frames"] == 0


# --- How it ends


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(number) for task in tasks for number in task.read_text().split()]


def started(folder: Path, *arguments: str) -> subprocess.Popen:
    """The command, once its main program runs."""
    process = subprocess.Popen(
        [*BYWAY, "--out", folder / "out", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


@needs_namespaces
def test_exit_code_is_the_commands_and_a_failing_server_is_named(tmp_path, runs):
    """Also one that fails at the last moment, but none that is ended with the run."""
    server = f"until [ -e {tmp_path}/fail ]; do sleep 0.01; done; exit 3"
    script = f"echo running; until [ -e {tmp_path}/end ]; do :; done; exit 7"
    others = (f"--run=partner={server}", "--run=hosted=exec sleep 600")
    process = started(tmp_path, *others, "--", "/bin/sh", "-c", script)
    (below,) = [
        pid
        for pid in children_of(process.pid)
        if server.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    (tmp_path / "fail").touch()
    until = time.monotonic() + 60
    while runs(below):
        assert time.monotonic() < until, "the server does not end"
        time.sleep(0.001)
    (tmp_path / "end").touch()
    _output, errors = process.communicate(timeout=60)
    assert process.returncode == 7
    figures = json.loads((tmp_path / "out" / "result.json").read_text())
    assert figures["exit_code"] == 7
    assert figures["ended"] == {f"partner={server}": 3}
    assert errors.count(" ended with exit code ") == 1
    assert f"byway: partner={server} ended with exit code 3\n" in errors
    assert "Traceback" not in errors


@needs_namespaces
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "TERM", "HUP"]
)
def test_interrupted_run_ends_its_programs_and_keeps_its_results(number, tmp_path):
    script = "trap '' INT TERM HUP; echo running; sleep 600 & wait; sleep 600"
    process = started(tmp_path, "--", "/bin/sh", "-c", script)
    below = children_of(process.pid)
    assert below
    os.killpg(process.pid, number)
    begun = time.monotonic()
    _output, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 20
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"result.json", "wire.pcapng"}
    assert json.loads((tmp_path / "out" / "result.json").read_text())["exit_code"] == 130
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            raise AssertionError(f"{pid} is left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupt_while_the_engine_is_compiled_ends_the_run(number, tmp_path, capsys, monkeypatch):
    """Ctrl-C may end the compiler as well, of which nobody is to be told."""

    def compile_slowly(*_arguments, **_more):
        signal.raise_signal(number)
        raise EngineError("native could not compile the adapter")

    monkeypatch.setattr(scenario, "open_engine", compile_slowly)
    assert command.main(["live", "--out", str(tmp_path / "out"), "--", "true"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "byway: interrupted"
    assert not list(tmp_path.iterdir())


@needs_namespaces
def test_without_the_right_to_namespaces_it_says_so_and_names_the_alternative(tmp_path):
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    drop = ("setpriv", "--bounding-set", "-sys_admin,-net_admin", "--inh-caps", "-all")
    code, output, errors, _figures = live(tmp_path, "--", "true", before=drop)
    assert code == 2
    assert output == ""
    (line,) = [line for line in errors.splitlines() if line.startswith("byway: ")]
    assert "as root has" in line
    assert "byway send" in line
    assert not (tmp_path / "out").exists()


@needs_namespaces
def test_without_tap_devices_it_says_so_and_names_the_alternative(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    hide = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh")
    code, _output, errors, _figures = live(tmp_path, "--", "true", before=hide)
    assert code == 2
    (line,) = [line for line in errors.splitlines() if line.startswith("byway: ")]
    assert "needs TAP devices, and there are none" in line
    assert "byway send" in line


#: Runs its arguments where / is no mount point, below the folder that comes first.
CHROOT = """
root=$1; shift; here=$PWD
for place in /*; do
  if [ -L "$place" ]; then cp -P "$place" "$root/"
  elif [ -d "$place" ]; then mkdir -p "$root$place" && mount --rbind "$place" "$root$place"; fi
done
exec chroot "$root" sh -c 'cd "$1" && shift && exec "$@"' sh "$here" "$@"
"""


@needs_namespaces
def test_in_a_chroot_programs_run_without_mounts_of_their_own(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    before = ("unshare", "-m", "sh", "-c", CHROOT, "sh", str(root))
    code, output, errors, _figures = live(
        tmp_path, "--", "sh", "-c", "cat /proc/net/dev; exit 4", before=before
    )
    assert code == 4, errors
    assert "Traceback" not in errors
    assert output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--in", "nowhere", "--", "true"], "No place is called 'nowhere'; there are hosted, "),
        (["--in", "hosted2", "--", "true"], "No place is called 'hosted2'"),
        (["--run", "true"], "--run wants PLACE=COMMAND, not 'true'"),
        (["--run", "hosted= "], "--run wants PLACE=COMMAND"),
        (["--run", "elsewhere=true"], "No place is called 'elsewhere'"),
        (["--hosted", "0"], "hosted partitions must be a whole number from 1 to"),
        (["--hosted", "99"], "hosted partitions must be a whole number from 1 to"),
        (["--", "no-such-program-at-all"], "Cannot run no-such-program-at-all: there is no such"),
        (["--mtu", "1"], "MTU must be"),
        (["--engine", "vcs"], "invalid choice"),
    ],
)
def test_wrong_arguments_get_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(["live", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("byway: ")
    assert words in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_out_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert command.main(["live", "--out", str(tmp_path / "file"), "--", "true"]) == 2
    assert capsys.readouterr().err.startswith(f"byway: Cannot write to {tmp_path / 'file'}")


@needs_namespaces
def test_prompt_shares_the_terminal_with_the_status_line_and_ctrl_c_is_the_shells(tmp_path):
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [*BYWAY, "--out", tmp_path / "out", "--in", "partner"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "SHELL": "/bin/sh", "TERM": "xterm"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    seen = ""

    def until_seen(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < deadline, f"no {text!r} in {seen!r}"
            if select.select([main], [], [], 0.1)[0]:
                seen += os.read(main, 65536).decode()

    until_seen("partner$ ")
    os.write(main, b"cat /etc/hosts; echo mark$((40 + 2))\n")
    until_seen("mark42")
    assert "10.0.0.1 hosted1" in seen
    until_seen("faults")
    assert "\x1b[1;23r" in seen
    os.write(main, b"sh -c 'echo sleeps$((40 + 2)); exec sleep 1000'\n")
    until_seen("sleeps42")
    os.write(main, b"\x03")
    os.write(main, b"echo again$((40 + 2))\n")
    until_seen("again42")
    os.write(main, b"exit 5\n")
    until_seen("result.json")
    assert process.wait(30) == 5, seen
    os.close(main)
    assert "Traceback" not in seen
