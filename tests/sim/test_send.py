"""``byway send`` on every engine: what arrives is what was sent, at the wire's own rate.

The figures that the product promises are judged here: no byte copied by a processor, no gap beyond
the twelve byte times that the wire asks for, the owner's own speed for a partition that shares.
"""

import hashlib
import itertools
import json
import pydoc_data.topics
import random
import shutil
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import checksum, rdpcap

from byway.rtl import export
from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.wire import GMII
from byway.sim.engines import cocotb, native_build
from byway.sim.engines.fingerprint import fingerprint
from byway.sim.scenarios import send as scenario
from byway.sim.scenarios.send import SendOptions, SendResult, send
from byway.sim.scenarios.transfer import Transfer, TransferFigures
from byway.sim.wire.link_partner import LinkPartner
from byway.sim.wire.medium import AROUND_BYTES, GAP_BYTES
from byway.sw.stack.network_device import Frame, NetworkDevice

HOSTED, PARTNER = "10.0.0.1", "10.0.0.2"


def needs(simulator: str, program: str):
    missing = shutil.which(program) is None
    return pytest.param(
        simulator, marks=pytest.mark.skipif(missing, reason=f"{program} is not installed")
    )


EVERY = ["amaranth", "native", needs("cxxrtl", "clang++"), "verilator", needs("icarus", "iverilog")]


class Loud:
    """A network device that keeps the payload bytes of each frame it takes."""

    def __init__(self, device: NetworkDevice):
        self._device = device
        self.payloads: list[int] = []

    def transmit(self, frames: list[Frame]) -> int:
        taken = self._device.transmit(frames)
        self.payloads += [sum(part.length for part in frame.payload) for frame in frames[:taken]]
        return taken

    def __getattr__(self, name: str):
        return getattr(self._device, name)


@dataclass
class Transfers:
    """Figures of both transfers of a run, and the payload bytes of the frames handed down."""

    figures: list[TransferFigures] = field(default_factory=list)
    devices: list[Loud] = field(default_factory=list)


@pytest.fixture(autouse=True, scope="module")
def one_adapter():
    """One adapter for all runs over GMII, converted to Verilog once, which takes seconds."""
    adapter = SharedAdapter()
    make_another = scenario.adapter_for
    known = fingerprint(SharedAdapter)
    texts: list[str] = []

    def make():
        return adapter

    def adapter_for(hosted, *, data_width, wire):
        usual = (data_width, wire) == (64, GMII.name)
        return make if usual else make_another(hosted, data_width=data_width, wire=wire)

    def to_verilog(bench, top):
        bench._MustUse__silence = True
        if not texts:
            texts.append(export.to_verilog(bench, top))
        return texts[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenario, "adapter_for", adapter_for)
        patch.setattr(cocotb, "to_verilog", to_verilog)
        patch.setattr(
            native_build, "fingerprint", lambda of: known if of is make else fingerprint(of)
        )
        yield


@pytest.fixture
def transfers(monkeypatch):
    """The transfers of the runs of this test, redirected first."""
    kept = Transfers()

    class Watched(Transfer):
        def __init__(self, engine, *, device, **more):
            loud: Any = Loud(device)
            super().__init__(engine, device=loud, **more)
            kept.figures.append(self.figures)
            kept.devices.append(loud)

    monkeypatch.setattr(scenario, "Transfer", Watched)
    return kept


def run(data: bytes, folder: Path, **options) -> SendResult:
    return send(data, SendOptions(**options), folder, name="data")


def frames_sent(folder: Path, sender: str = HOSTED) -> list[bytes]:
    """TCP frames that `sender` put on the wire, from the capture."""
    packets = rdpcap(str(folder / "wire.pcapng"))
    return [bytes(p) for p in packets if TCP in p and p[IP].src == sender]


def payload_of(frame: bytes) -> bytes:
    """TCP payload by the lengths in the headers, so that padding is left out."""
    ip = Ether(frame)[IP]
    return frame[14 + 4 * ip.ihl + 4 * ip[TCP].dataofs : 14 + ip.len]


def check_capture(folder: Path, data: bytes, result: SendResult) -> None:
    """Every frame of the capture parses, carries right checksums, and together they carry `data`.

    Nothing of the partner is used: this is a second opinion.
    """
    for packet in rdpcap(str(folder / "wire.pcapng")):
        frame = bytes(packet)
        assert len(frame) >= 60
        if IP not in packet:
            continue
        ip = packet[IP]
        segment = frame[14 + 4 * ip.ihl : 14 + ip.len]
        assert checksum(frame[14 : 14 + 4 * ip.ihl]) == 0
        pseudo = frame[26:34] + struct.pack("!HH", ip.proto, len(segment))
        assert checksum(pseudo + segment) == 0
        rebuilt = ip.copy()
        del rebuilt.chksum, rebuilt[TCP].chksum
        rebuilt = IP(bytes(rebuilt))
        assert (rebuilt.chksum, rebuilt[TCP].chksum) == (ip.chksum, ip[TCP].chksum)
    sent = frames_sent(folder)
    assert b"".join(map(payload_of, sent)) == data
    assert len([frame for frame in sent if payload_of(frame)]) == result.data_frames


def check_result(folder: Path, data: bytes, result: SendResult) -> None:
    """The run was clean, and ``result.json`` says what `result` does."""
    digest = hashlib.sha256(data).hexdigest()
    assert result.sha256_sent == digest
    assert result.sha256_received == digest
    assert result.intact
    assert result.bytes == len(data)
    assert (result.bad_frames, result.retransmissions, result.faults) == (0, 0, 0)
    assert result.cpu_bytes_copied == 0
    written = json.loads((folder / "result.json").read_text())
    assert written == json.loads(json.dumps(asdict(result)))
    assert sorted(path.name for path in folder.iterdir()) == sorted(result.files)
    check_capture(folder, data, result)


def gaps_inside_super_frames(figures: TransferFigures, payloads: list[int]) -> list[int]:
    """Byte times between neighbouring frames that were cut from the same super-frame."""
    ends = set(itertools.accumulate(length for length in payloads if length))
    gaps = []
    done = 0
    for (_, last, _, payload), (first, _, _, _) in itertools.pairwise(figures.data):
        done += payload
        if done not in ends:
            gaps.append(first - last - 1)
    assert done + figures.data[-1][3] in ends
    return gaps


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by engine and length of the file, each made once: what was sent, result, folder."""
    done: dict[tuple[str, int], tuple[bytes, SendResult, Path]] = {}

    def run_once(engine: str, length: int) -> tuple[bytes, SendResult, Path]:
        if (engine, length) not in done:
            data, folder = random.Random(length).randbytes(length), tmp_path_factory.mktemp("run")
            done[engine, length] = data, run(data, folder, engine=engine), folder
        return done[engine, length]

    return run_once


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize("length", [0, 1, 8192])
def test_file_arrives_intact_on_every_engine(engine, length, runs):
    data, result, folder = runs(engine, length)
    assert result.engine == engine
    check_result(folder, data, result)
    assert result.data_frames == -(-length // 1448)
    assert (result.super_frames > 0) == (length > 1448)
    assert (result.goodput_of_limit is None) == (length == 0)


@pytest.mark.parametrize("engine", EVERY[1:])
def test_figures_do_not_depend_on_the_engine(engine, runs):
    """Cycles and counts are those of the RTL, not of who runs it."""
    _data, first, one = runs("amaranth", 8192)
    _data, second, other = runs(engine, 8192)
    assert asdict(first) | {"engine": engine} == asdict(second)
    assert (one / "wire.pcapng").read_bytes() == (other / "wire.pcapng").read_bytes()


def check_figures(result: SendResult, transfers: Transfers) -> None:
    """What the product promises of a file that is long enough to fill the wire."""
    assert result.goodput_of_limit is not None
    assert 0.999 <= result.goodput_of_limit <= 1
    assert 0.99 <= result.redirected_over_dedicated <= 1.01
    assert result.super_frames > 0
    assert 0 < result.doorbell_to_first_byte_cycles < 200
    assert result.crossings > 0
    assert result.iotlb_hits > result.iotlb_misses > 0
    for figures, device in zip(transfers.figures, transfers.devices, strict=True):
        inside = gaps_inside_super_frames(figures, device.payloads)
        assert len(inside) >= result.data_frames // 2
        assert set(inside) == {GAP_BYTES}
        between = [b[0] - a[1] - 1 for a, b in itertools.pairwise(figures.data)]
        assert min(between) == GAP_BYTES, "no frame may follow another more closely"
        # On the wire: preamble, frame, FCS, a byte a cycle.
        assert all(
            last - first + 1 == n + AROUND_BYTES for first, last, n, _payload in figures.data
        )


def test_64_kib_of_random_bytes_fill_the_wire(tmp_path, transfers):
    data = random.Random(64).randbytes(64 << 10)
    result = run(data, tmp_path)
    check_result(tmp_path, data, result)
    check_figures(result, transfers)


def test_file_of_half_a_mebibyte_fills_the_wire_and_the_figures_are_all_there(tmp_path, transfers):
    data = Path(pydoc_data.topics.__file__).read_bytes()
    assert len(data) >= 512 << 10
    result = run(data, tmp_path)
    check_result(tmp_path, data, result)
    check_figures(result, transfers)
    assert result.frames > result.data_frames == -(-len(data) // 1448)
    assert {
        "sha256_sent",
        "sha256_received",
        "frames",
        "goodput_of_limit",
        "redirected_over_dedicated",
        "doorbell_to_first_byte_cycles",
        "crossings",
        "cpu_bytes_copied",
        "iotlb_hits",
        "iotlb_misses",
        "faults",
        "engine",
        "cycles",
    } <= json.loads((tmp_path / "result.json").read_text()).keys()


@pytest.mark.parametrize(
    ("options", "largest"),
    [({"mss": 64}, 64), ({"mss": 536}, 536), ({"mtu": 9000}, 8948), ({"mtu": 576}, 524)],
    ids=["MSS 64", "MSS 536", "MTU 9000", "MTU 576"],
)
def test_segments_have_the_size_asked_for(options, largest, tmp_path, transfers):
    data = random.Random(largest).randbytes(40_000 if largest > 64 else 10_000)
    result = run(data, tmp_path, **options)
    check_result(tmp_path, data, result)
    # A super-frame is whole segments while more data follows, so only its end may be shorter.
    sizes = [len(payload_of(frame)) for frame in frames_sent(tmp_path) if payload_of(frame)]
    assert max(sizes) == largest
    assert sum(size < largest for size in sizes) <= result.super_frames + 1
    assert len(sizes) >= len(data) // largest
    assert result.super_frames > 0
    for figures, device in zip(transfers.figures, transfers.devices, strict=True):
        assert set(gaps_inside_super_frames(figures, device.payloads)) == {GAP_BYTES}


def test_slow_memory_delays_the_first_byte_and_not_the_rest(tmp_path, transfers):
    data = random.Random(200).randbytes(64 << 10)
    quick = run(data[:1], tmp_path / "quick")
    slow = run(data, tmp_path / "slow", memory_latency=200)
    check_result(tmp_path / "slow", data, slow)
    # At the least a descriptor, its translation, the data and its translation, one after another.
    waited = slow.doorbell_to_first_byte_cycles - quick.doorbell_to_first_byte_cycles
    assert waited >= 2 * 200
    for figures, device in list(zip(transfers.figures, transfers.devices, strict=True))[2:]:
        assert set(gaps_inside_super_frames(figures, device.payloads)) == {GAP_BYTES}


@pytest.mark.parametrize("memory_latency", [0, 200])
def test_ten_gigabits_a_second_fill_the_wire(memory_latency, tmp_path):
    data = random.Random(10).randbytes(512 << 10)
    wide = {"wire": "xgmii", "data_width": 128}
    result = run(data, tmp_path, memory_latency=memory_latency, **wide)
    check_result(tmp_path, data, result)
    assert result.wire == "xgmii"
    assert result.goodput_of_limit is not None
    assert result.goodput_bits_per_second is not None
    assert 0.99 <= result.goodput_of_limit <= 1
    assert 9.3e9 < result.goodput_bits_per_second < 10e9
    assert 0.99 <= result.redirected_over_dedicated <= 1.01


class Careless(LinkPartner):
    """A partner that loses frames, by their number on the wire, or gets them with a flipped bit."""

    lost: frozenset[int] = frozenset()
    flipped: frozenset[int] = frozenset()
    unread: frozenset[int] = frozenset()

    def __init__(self, **more):
        super().__init__(**more)
        self._number = 0

    def receive(self, frame: bytes, good: bool, time_ns: int) -> list[bytes]:
        number, self._number = self._number, self._number + 1
        if number in self.lost:
            return []
        if number in self.flipped:
            frame = frame[:-1] + bytes([frame[-1] ^ 4])
        return super().receive(frame, good and number not in self.unread, time_ns)


def careless(monkeypatch, **numbers):
    partner = type("Partner", (Careless,), {k: frozenset(v) for k, v in numbers.items()})
    monkeypatch.setattr(scenario, "LinkPartner", partner)


@pytest.mark.parametrize("lost", [{5}, {5, 6, 10}], ids=["one", "several"])
def test_lost_frames_are_sent_again(lost, tmp_path, monkeypatch):
    """Where three later frames tell of the loss: a timer of a second is 125 million cycles."""
    data = random.Random(3).randbytes(40_000)
    careless(monkeypatch, lost=lost)
    result = run(data, tmp_path)
    assert result.intact
    assert result.sha256_received == hashlib.sha256(data).hexdigest()
    assert result.cpu_bytes_copied == 0
    assert result.retransmissions >= len(lost)
    sent = [payload_of(frame) for frame in frames_sent(tmp_path)]
    assert sum(map(len, sent)) > len(data)


@pytest.mark.parametrize("cause", ["flipped", "unread"])
def test_broken_frame_is_counted_and_sent_again(cause, tmp_path, monkeypatch):
    data = random.Random(4).randbytes(20_000)
    careless(monkeypatch, **{cause: {7}})
    result = run(data, tmp_path)
    assert result.sha256_received == hashlib.sha256(data).hexdigest()
    assert result.bad_frames == 1
    assert result.retransmissions >= 1
    assert not result.intact
