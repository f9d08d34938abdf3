"""Namespaces, TAPs and the programs inside: what they see, and that nothing outlives them."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from byway.sim.live import network as network_module
from byway.sim.live.network import LiveNetwork
from byway.sim.live.network_namespace import NetworkNamespace
from byway.sim.live.programs import Program, Programs
from byway.sim.scenarios.error import ScenarioError
from byway.sim.wire import tap as tap_module
from byway.sim.wire.tap import Tap, TapOffload

pytestmark = pytest.mark.usefixtures("namespaces")

MACS = [bytes.fromhex("020000000001"), bytes.fromhex("020000000002")]


@pytest.fixture
def network():
    with LiveNetwork(MACS, mtu=1500) as network:
        yield network


@pytest.fixture
def programs(network):
    with Programs(network) as programs:
        yield programs


def wait(program: Program, seconds: float = 20) -> int:
    deadline = time.monotonic() + seconds
    while (code := program.exit_code) is None:
        assert time.monotonic() < deadline, "the program did not end"
        time.sleep(0.01)
    return code


def output_of(programs: Programs, place: str, script: str, log: Path) -> str:
    code = wait(programs.start(place, ["/bin/sh", "-c", script], text=script, log=log))
    assert code == 0, log.read_text()
    return log.read_text()


@pytest.mark.parametrize(
    ("place", "number"), [("hosted", 1), ("hosted1", 1), ("hosted2", 2), ("partner", 254)]
)
def test_program_sees_its_own_interface_and_the_names_of_the_others(
    place, number, network, programs, tmp_path
):
    script = "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; cat /etc/hosts; ls /proc"
    seen = output_of(programs, place, script, tmp_path / "log").split("\n")
    mac = {1: "02:00:00:00:00:01", 2: "02:00:00:00:00:02"}.get(number, "02:00:00:00:01:01")
    assert seen[:2] == [mac, "1500"]
    assert f"10.0.0.{number} {place}" in seen
    assert "10.0.0.254 partner" in seen
    processes = [word for word in seen[2:] if word.isdigit()]
    assert len(processes) <= 3, "the processes of the system are in sight"


def test_kernel_sends_what_the_device_was_offered_and_takes_what_comes(network, programs, tmp_path):
    place = network.hosted[0]
    place.tap.set_carrier(True)
    place.tap.offer(TapOffload.CHECKSUM | TapOffload.TSO4)
    program = programs.start(
        "hosted", ["ping", "-c", "1", "-W", "5", "partner"], text="ping", log=tmp_path / "log"
    )
    arp = None
    while arp is None or arp[12:14] != b"\x08\x06":
        assert program.exit_code is None, (tmp_path / "log").read_text()
        read = place.tap.read()
        arp = read and read[1]
    partner = network.partner.tap
    partner.set_carrier(True)
    assert partner.write(arp)
    deadline = time.monotonic() + 10
    answer = None
    while answer is None or answer[12:14] != b"\x08\x06":
        assert time.monotonic() < deadline
        read = partner.read()
        answer = read and read[1]
    assert answer[:6] == arp[6:12]


def test_exit_code_is_the_programs(programs, tmp_path):
    def code(*command: str) -> int:
        return wait(programs.start("partner", command, text="", log=tmp_path / "log"))

    assert code("true") == 0
    assert code("/bin/sh", "-c", "exit 7") == 7
    assert code("/bin/sh", "-c", "kill -9 $$") == 128 + signal.SIGKILL
    assert code(str(tmp_path / "nothing")) == 127
    assert "No such file" in (tmp_path / "log").read_text()
    assert code(str(tmp_path)) == 126


def marked(mark: str) -> list[int]:
    """Processes with `mark` in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if mark.encode() in arguments and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def until(condition, what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


DAEMON = "setsid sh -c 'trap \"\" HUP TERM INT; sleep {mark} & wait; sleep {mark}' & sleep {mark}"


def test_all_that_a_program_started_ends_with_it(programs, tmp_path):
    mark = f"9{os.getpid()}1"
    script = DAEMON.format(mark=mark)
    program = programs.start("hosted", ["/bin/sh", "-c", script], text="", log=tmp_path / "log")
    until(lambda: len(marked(mark)) >= 4, "the programs did not start")
    program.close()
    until(lambda: not marked(mark), f"{marked(mark)} are left")


OWNER = """
import sys, time
from byway.sim.live.network import LiveNetwork
from byway.sim.live.programs import Programs
network = LiveNetwork([bytes.fromhex("020000000001")], mtu=1500)
programs = Programs(network)
programs.start("hosted", ["/bin/sh", "-c", sys.argv[1]], text="")
time.sleep(60)
"""


def test_killing_the_owner_leaves_neither_process_nor_namespace():
    mark = f"9{os.getpid()}2"
    before = namespaces_in_use()
    script = DAEMON.format(mark=mark)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, script])
    until(lambda: len(marked(mark)) >= 5, "the programs did not start")
    assert len(namespaces_in_use()) > len(before)
    owner.kill()
    owner.wait()
    until(lambda: not marked(mark), f"{marked(mark)} are left")
    until(lambda: namespaces_in_use() <= before, "a namespace is left")


def namespaces_in_use() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                found.add(os.readlink(entry / "ns" / "net"))
    return found


def test_a_device_of_the_same_name_elsewhere_is_no_obstacle_but_inside_it_is(network):
    outside = NetworkNamespace()
    tap = outside.run(lambda: Tap("eth0"))
    with pytest.raises(OSError, match="busy"):
        outside.run(lambda: Tap("eth0"))
    tap.close()
    outside.close()


def test_what_the_system_refuses_is_said_in_one_line(monkeypatch):
    for error, words in (
        (PermissionError(1, "Operation not permitted"), "needs the right to make network"),
        (FileNotFoundError(2, "No such file"), "needs TAP devices, and there are none"),
        (OSError(16, "Device or resource busy"), "could not set its network up: Device or"),
    ):

        def refuse(_name: str, error: OSError = error) -> Tap:
            raise error

        monkeypatch.setattr(network_module, "Tap", refuse)
        with pytest.raises(ScenarioError, match=words) as told:
            LiveNetwork(MACS, mtu=1500)
        assert "\n" not in str(told.value)


def test_older_kernel_is_offered_what_it_knows(network, monkeypatch):
    udp = TapOffload.USO4 | TapOffload.USO6
    others = TapOffload.CHECKSUM | TapOffload.TSO4
    unknown, told = int(udp), []

    def older(_file: int, _request: int, offloads: int) -> int:
        told.append(offloads)
        if offloads & unknown:
            raise OSError(errno.EINVAL, "Invalid argument")
        return 0

    monkeypatch.setattr(tap_module.fcntl, "ioctl", older)
    tap = network.hosted[0].tap
    assert tap.offer(others | udp) == tap.offer(others) == others
    assert told == [others | udp, others, others]
    unknown |= TapOffload.CHECKSUM
    with pytest.raises(OSError, match="Invalid argument"):
        tap.offer(others | udp)
    with pytest.raises(OSError, match="Invalid argument"):
        tap.offer(others)


def test_tap_without_a_kernel_that_listens_loses_frames_and_says_so(network):
    network.partner.namespace.configure("eth0", mac=MACS[0], mtu=1400, addresses=[])
    tap = network.partner.tap
    tap.set_carrier(True)
    assert tap.write(bytes(60)) in (True, False)
    assert not tap.write(bytes(3))
