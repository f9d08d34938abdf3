"""Waveforms of parts of a run on the native engines: exactly the cycles that were asked for.

A component counts cycles on a register's data lines, so that the waveform itself tells which cycle
each of its moments belongs to.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.hdl import Module, Mux, Signal

from byway.rtl.shared_adapter import SharedAdapter
from byway.sim.board.board import BoardParameters
from byway.sim.board_bench import AdapterShell
from byway.sim.engines.engine import EngineError
from byway.sim.engines.native import NATIVES, NativeEngine
from byway.sim.engines.open_engine import open_engine
from byway.sim.engines.section import WHOLE_RUN, Around, Cycles, parse_section

PARAMETERS = BoardParameters(memory_bytes=1 << 16)
needs_clang = pytest.mark.skipif(shutil.which("clang++") is None, reason="clang is not installed")
EVERY = ["native", pytest.param("cxxrtl", marks=needs_clang)]
#: Registers of `Source`.
FAULT, REST, SEND = 0, 4, 8
#: In the units of a waveform, picoseconds.
CYCLE, HALF = 8000, 4000


class Source(AdapterShell):
    """The ports of a shared adapter. It counts cycles, unless it is to rest.

    A write to FAULT sets the manager's interrupt; one to REST lets it rest, or not; one to SEND has
    it hold TX_EN for as many cycles, which is no good frame.
    """

    def __init__(self):
        super().__init__(address_width=4)

    def elaborate(self, platform):
        m = Module()
        axil = self.s_axil
        counter = Signal(32)
        left = Signal(32)
        m.d.sync += counter.eq(Mux(self.quiescent, 0, counter + 1))
        m.d.comb += axil.rdata.eq(counter)
        m.d.comb += self.gmii.tx_en.eq(left != 0)
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.If(axil.awvalid & axil.wvalid & ~axil.bvalid):
            m.d.comb += [axil.awready.eq(1), axil.wready.eq(1)]
            m.d.sync += axil.bvalid.eq(1)
            with m.Switch(axil.awaddr):
                with m.Case(FAULT):
                    m.d.sync += self.manager_interrupt.eq(axil.wdata[0])
                with m.Case(REST):
                    m.d.sync += self.quiescent.eq(axil.wdata[0])
                    m.d.sync += counter.eq(0)
                with m.Case(SEND):
                    m.d.sync += left.eq(axil.wdata)
        with m.Elif(axil.bready):
            m.d.sync += axil.bvalid.eq(0)
        return m


class Waveform:
    """A VCD, read: the values of the ports at each time."""

    def __init__(self, path: Path):
        header, changes = path.read_text().split("$enddefinitions $end")
        codes = {
            code: name
            for code, name in re.findall(r"\$var \w+ +\d+ (\S+) (\w+)[^$]*\$end", header)
            if name in ("s_axil_rdata", "manager_interrupt", "gmii_tx_en", "clk")
        }
        assert len(set(codes.values())) == 4
        self.times: list[int] = []
        self.values: list[dict[str, int]] = []
        now: dict[str, int] = {}
        for line in changes.split("\n"):
            self._take(line, codes, now)
        assert self.times == sorted(set(self.times)), "time runs forward"

    def _take(self, line: str, codes: dict[str, str], now: dict[str, int]) -> None:
        if line.startswith("#"):
            self.times.append(int(line[1:]))
            self.values.append(dict(now))
        elif line:
            value, code = line[1:].split(" ") if line[0] == "b" else (line[0], line[1:])
            if code in codes:
                now[codes[code]] = self.values[-1][codes[code]] = int(value, 2)

    @property
    def cycles(self) -> tuple[int, int]:
        """The first and the last: a cycle begins half a cycle early."""
        return (self.times[0] + HALF) // CYCLE, (self.times[-1] + HALF) // CYCLE

    def first(self, name: str, value: int = 1) -> int:
        """The first cycle in which a port has a value."""
        moments = zip(self.times, self.values, strict=True)
        return next((time + HALF) // CYCLE for time, values in moments if values[name] == value)


@pytest.fixture(params=EVERY)
def engine(request):
    engine = NativeEngine(Source, PARAMETERS, maker=NATIVES[request.param], can_record=True)
    yield engine
    engine.close()


def run_to(engine, cycle: int) -> None:
    """Run with calls of all lengths; frames are left to nobody."""
    while engine.cycle < cycle:
        engine.run(min(1 + engine.cycle % 97, cycle - engine.cycle))
        engine.frames.clear()


def check_counter(wave: Waveform) -> None:
    """Each moment shows the values of its own cycle."""
    for time, values in zip(wave.times, wave.values, strict=True):
        assert values["s_axil_rdata"] == (time + HALF) // CYCLE
        assert values["clk"] == (time // HALF) % 2


def test_a_window_shows_exactly_its_cycles(engine, tmp_path):
    path = tmp_path / "wave.vcd"
    engine.record(path, Cycles(120, 345))
    run_to(engine, 1000)
    wave = Waveform(path)
    assert wave.cycles == (120, 345)
    assert len(wave.times) == 2 * (345 - 120 + 1)
    check_counter(wave)


def test_recordings_follow_each_other_while_the_engine_runs(engine, tmp_path):
    paths = [tmp_path / f"{number}.vcd" for number in range(4)]
    run_to(engine, 50)
    engine.record(paths[0])
    run_to(engine, 70)
    engine.end_recording()
    run_to(engine, 90)
    engine.record(paths[1], Cycles(0, 100))
    run_to(engine, 95)
    engine.record(paths[2], Cycles(95, 97))
    run_to(engine, 200)
    engine.record(paths[3], Around("fault"))
    engine.end_recording()
    assert [Waveform(path).cycles for path in paths[:3]] == [(50, 70), (90, 95), (95, 97)]
    for path in paths[:3]:
        check_counter(Waveform(path))
    assert not paths[3].exists(), "there was no fault"


@pytest.mark.parametrize(("before", "cycles"), [(1000, 100), (1049, 50), (30, 50), (777, 1)])
def test_a_fault_stands_in_the_middle_of_its_waveform(engine, tmp_path, before, cycles):
    path = tmp_path / "wave.vcd"
    engine.record(path, Around("fault", cycles=cycles))
    run_to(engine, before)
    engine.registers.write(FAULT, 1)
    engine.registers.write(FAULT, 0)
    # Only the first counts.
    engine.registers.write(FAULT, 1)
    engine.registers.write(FAULT, 0)
    run_to(engine, engine.cycle + 2 * cycles)
    wave = Waveform(path)
    event = wave.first("manager_interrupt")
    assert before <= event <= before + 5
    assert wave.cycles == (max(0, event - cycles), event + cycles)
    check_counter(wave)


def test_a_frame_is_shown_from_before_its_first_byte_to_after_its_last(engine, tmp_path):
    path = tmp_path / "wave.vcd"
    engine.record(path, Around("frame", 3, 40))
    for length in (20, 30, 150, 20):
        run_to(engine, engine.cycle + 60)
        engine.registers.write(SEND, length)
        run_to(engine, engine.cycle + length)
    run_to(engine, engine.cycle + 100)
    wave = Waveform(path)
    event = wave.first("gmii_tx_en")
    assert wave.cycles == (event - 40, event + 150 - 1 + 40)
    on_wire = {
        time // CYCLE
        for time, now in zip(wave.times, wave.values, strict=True)
        if now["gmii_tx_en"]
    }
    assert len(on_wire) in (150, 151)
    check_counter(wave)


def test_a_bad_frame_is_an_error_in_the_cycle_in_which_it_ends(engine, tmp_path):
    path = tmp_path / "wave.vcd"
    engine.record(path, Around("error", cycles=70))
    run_to(engine, 500)
    engine.registers.write(SEND, 30)
    run_to(engine, 800)
    wave = Waveform(path)
    event = wave.first("gmii_tx_en") + 30 - 1
    assert wave.cycles == (event - 70, event + 70)
    check_counter(wave)


@pytest.mark.parametrize("name", EVERY)
def test_an_event_near_the_end_of_the_run_is_kept_as_far_as_it_goes(name, tmp_path):
    path = tmp_path / "wave.vcd"
    section = Around("fault", cycles=500)
    engine = open_engine(name, Source, PARAMETERS, waveform=path, section=section)
    run_to(engine, 1234)
    engine.registers.write(FAULT, 1)
    engine.run(10)
    last = engine.cycle
    engine.close()
    wave = Waveform(path)
    assert wave.cycles == (wave.first("manager_interrupt") - 500, last)


def test_time_that_leaps_leaps_into_a_window_and_over_what_is_before_an_event(engine, tmp_path):
    window, event = tmp_path / "window.vcd", tmp_path / "event.vcd"
    engine.registers.write(REST, 1)
    engine.record(window, Cycles(1_000_000, 1_000_100))
    engine.run(2_000_000)
    assert Waveform(window).cycles == (1_000_000, 1_000_100)

    engine.record(event, Around("fault", cycles=300))
    engine.run(1_000_000)
    engine.registers.write(FAULT, 1)
    engine.registers.write(FAULT, 0)
    engine.run(1_000_000)
    wave = Waveform(event)
    fault = wave.first("manager_interrupt")
    assert 3_000_000 < fault < 3_000_020
    assert wave.cycles == (fault - 300, fault + 300)
    assert {values["s_axil_rdata"] for values in wave.values} == {0}


def test_what_cannot_be_recorded_is_refused(engine, tmp_path):
    nowhere = tmp_path / "nowhere" / "wave.vcd"
    with pytest.raises(FileNotFoundError) as error:
        engine.record(nowhere)
    assert error.value.filename == str(nowhere)
    engine.record(nowhere, Around("fault", cycles=5))
    engine.registers.write(FAULT, 1)
    with pytest.raises(FileNotFoundError):
        engine.end_recording()
    engine.run(1)
    fast = NativeEngine(SharedAdapter, PARAMETERS, maker=NATIVES[engine.name])
    with pytest.raises(EngineError, match=f"^{engine.name} was not opened to record a waveform$"):
        fast.record(tmp_path / "wave.vcd")
    fast.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("name", EVERY)
def test_a_full_disk_is_told_and_does_not_end_the_process(name):
    """In a process of its own, as Verilator's own answer would be to end it."""
    text = f"""
from pathlib import Path
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_waveform import PARAMETERS, Source, open_engine
engine = open_engine({name!r}, Source, PARAMETERS, waveform=Path("/dev/full"))
engine.run(10_000)
try:
    engine.close()
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.stdout == "No space left on device\n", done.stderr


@pytest.mark.parametrize("name", ["amaranth", "icarus", "verilator"])
def test_other_engines_say_that_they_cannot(name, tmp_path):
    with pytest.raises(
        EngineError, match=rf"^The engine {name} leaves waveforms of whole runs only"
    ):
        open_engine(name, Source, PARAMETERS, waveform=tmp_path / "wave.vcd", section=Cycles(1, 2))


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("0:0", Cycles(0, 0)),
        ("12:3456", Cycles(12, 3456)),
        ("fault", Around("fault")),
        ("error:7", Around("error", cycles=7)),
        ("frame:3", Around("frame", 3)),
        ("frame:3:1000000", Around("frame", 3, 1_000_000)),
    ],
)
def test_sections_are_called_by_what_they_hold(text, section):
    assert parse_section(text) == section != WHOLE_RUN


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "5:4", "-1:4", "1:", "1:2:3", "fault:0", "fault:1000001", "faults", "frame"),
        *("frame:0", "frame:1:0", "frame:x", "error:", "٣:٤", "1:2\n"),
        "9999999999999999:9999999999999999",
    ],
)
def test_anything_else_is_refused_with_what_there_is(text):
    with pytest.raises(ValueError, match=r"^section must be FIRST:LAST, fault") as error:
        parse_section(text)
    assert str(error.value).endswith(f"not {text!r}")
