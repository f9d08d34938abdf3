"""The native engines: the adapter and its board compiled to one shared library.

The board is that of the other engines once more, in C++ (``sim/native``), over the very bytes that
system memory is in Python; a call moves time on until software has something to do. Where
nothing goes in and the adapter says that it is quiescent, time leaps, and cycles stay exact: one
more cycle is run before each leap, and has to leave all of the model's state as it was.

There are two makers of models of the adapter: Verilator for the engine called native, and CXXRTL,
where clang is present, as the second opinion. All else is the same.
"""

import ctypes
import os
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring

from byway.rtl.bus.axi4 import Resp
from byway.sim.board.board import BoardParameters
from byway.sim.board.bus_beat import DATA_BYTES, BusBeat
from byway.sim.board.wire import WIRES
from byway.sim.board.wire_frame import WireFrame, judge
from byway.sim.engines.engine import EngineError
from byway.sim.engines.local_hardware import BufferMemory, CallbackBus
from byway.sim.engines.native_build import LIBRARY, build_native
from byway.sim.engines.native_cxxrtl import CxxrtlMaker
from byway.sim.engines.native_library import NativeMemoryManner, load_library
from byway.sim.engines.native_model import ModelMaker
from byway.sim.engines.native_verilator import VerilatorMaker
from byway.sim.engines.section import EVENTS, WHOLE_RUN, Around, Section

__all__ = ["NATIVES", "NativeEngine"]

_VERILATOR = VerilatorMaker()
#: Name of a native engine -> maker of its models.
NATIVES: dict[str, ModelMaker] = {maker.engine: maker for maker in (_VERILATOR, CxxrtlMaker())}


class _State(ctypes.Structure):
    """As ``State`` in ``board.h``."""

    _fields_ = [
        ("cycle", ctypes.c_uint64),
        ("frames", ctypes.c_uint64),
        ("data", ctypes.c_uint32),
        ("response", ctypes.c_uint8),
        ("adapter_interrupt", ctypes.c_uint8),
        ("manager_interrupt", ctypes.c_uint8),
        ("quiescent", ctypes.c_uint8),
        ("restless", ctypes.c_uint8),
    ]


class _Frame(ctypes.Structure):
    """As ``Frame`` in ``board.h``."""

    _fields_ = [
        ("first", ctypes.c_uint64),
        ("last", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("bytes", ctypes.c_void_p),
        ("error", ctypes.c_uint8),
    ]


class _Section(ctypes.Structure):
    """As ``Section`` in ``waveform.h``."""

    _fields_ = [
        ("first", ctypes.c_uint64),
        ("last", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("cycles", ctypes.c_uint64),
        ("event", ctypes.c_uint32),
    ]

    @staticmethod
    def of(section: Section) -> "_Section":
        if isinstance(section, Around):
            event = 1 + EVENTS.index(section.event)
            return _Section(number=section.number, cycles=section.cycles, event=event)
        last = _FOREVER if section.last is None else section.last
        return _Section(first=section.first, last=last)


_FOREVER = (1 << 60) - 1
#: As ``BusBeat`` in ``axi_memory.h``.
_BEAT = struct.Struct(f"=QQIHBB{DATA_BYTES}s")
#: Function of the library -> types of its arguments.
_BOARD = ctypes.c_void_p
_ARGUMENTS = {
    "byway_open": [
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.POINTER(NativeMemoryManner),
        ctypes.c_bool,
    ],
    "byway_wire": [],
    "byway_state": [_BOARD],
    "byway_run": [_BOARD, ctypes.c_uint64, ctypes.c_bool],
    "byway_clock_alone": [_BOARD, ctypes.c_uint64],
    "byway_read": [_BOARD, ctypes.c_uint32],
    "byway_write": [_BOARD, ctypes.c_uint32, ctypes.c_uint32],
    "byway_take_frame": [_BOARD, ctypes.POINTER(_Frame)],
    "byway_take_beats": [_BOARD, ctypes.POINTER(ctypes.c_void_p)],
    "byway_record": [_BOARD, ctypes.c_char_p, ctypes.POINTER(_Section)],
    "byway_end_recording": [_BOARD],
    "byway_look_at_error": [_BOARD, ctypes.c_uint64],
    "byway_close": [_BOARD],
}


_RESULTS: dict[str, type] = {
    "byway_open": _BOARD,
    "byway_wire": ctypes.c_char_p,
    "byway_state": ctypes.POINTER(_State),
    "byway_take_beats": ctypes.c_uint64,
    "byway_record": ctypes.c_int,
    "byway_end_recording": ctypes.c_int,
}


class NativeEngine:
    """Runs the shared adapter that `make` makes as compiled C++; an `Engine`.

    Parameters
    ----------
    make : callable or Path
        Called, and the adapter elaborated, unless that very design is known to have been compiled:
        see `byway.sim.engines.fingerprint`. Or a library that was compiled.
    parameters : BoardParameters
    maker : ModelMaker
        One of `NATIVES`.
    waveform : Path or None
        Where to leave a VCD.
    section : Section
        Of what.
    can_record : bool
        Make `record` possible, which makes the model slower; a waveform does as well.

    Raises `EngineError` if it cannot be compiled, `OSError` if the waveform cannot be written.
    """

    def __init__(
        self,
        make: Callable[[], wiring.Component] | Path,
        parameters: BoardParameters,
        *,
        maker: ModelMaker = _VERILATOR,
        waveform: Path | None = None,
        section: Section = WHOLE_RUN,
        can_record: bool = False,
    ):
        self.name = maker.engine
        self._can_record = can_record or waveform is not None
        if not isinstance(make, Path):
            make = build_native(make, maker, waves=self._can_record) / LIBRARY
        self._library = load_library(self.name, make, _ARGUMENTS, _RESULTS)
        self.wire = WIRES[self._library.byway_wire().decode()]
        storage = bytearray(parameters.memory_bytes)
        # As long as C++ has their address, these bytes must not move.
        self._pinned = (ctypes.c_uint8 * len(storage)).from_buffer(storage)
        self.memory = BufferMemory(storage)
        self.registers = CallbackBus(self._read_register, self._write_register)
        self.frames: deque[WireFrame] = deque()
        self._board = self._library.byway_open(
            ctypes.addressof(self._pinned),
            len(storage),
            NativeMemoryManner.of(parameters.memory),
            parameters.watches_bus,
        )
        # A copy of the last state outlives the board.
        self._state: _State = self._library.byway_state(self._board).contents
        self._recording: Path | None = None
        if waveform is not None:
            self.record(waveform, section)

    @property
    def cycle(self) -> int:
        """Cycles since reset."""
        return self._state.cycle

    @property
    def time_ns(self) -> int:
        """Time since reset in nanoseconds."""
        return self.wire.ns(self._state.cycle)

    @property
    def adapter_interrupt(self) -> bool:
        """Level of the line to the adapter driver."""
        return bool(self._state.adapter_interrupt)

    @property
    def manager_interrupt(self) -> bool:
        """Level of the line to the partition manager."""
        return bool(self._state.manager_interrupt)

    @property
    def quiescent(self) -> bool:
        """Nothing is under way in the adapter."""
        return bool(self._state.quiescent)

    def run(self, cycles: int, *, until_rest: bool = False) -> None:
        """Advance until software has something to do, at most `cycles`; see `Engine`.

        Raises `EngineError` if the adapter declares itself quiescent and is not.
        """
        cycles = 1 if self.frames else cycles
        self._library.byway_run(self._open_board(), cycles, until_rest)
        if self._state.restless:
            raise EngineError(
                f"{self.name}: the adapter declared itself quiescent, but its state changed in "
                f"cycle {self.cycle - 1}"
            )
        self._take_frames()

    def take_beats(self) -> list[BusBeat]:
        """What has passed on the memory bus since the last call, if the board watches it."""
        place = ctypes.c_void_p()
        count = self._library.byway_take_beats(self._open_board(), place)
        if not count:
            return []
        content = ctypes.string_at(place.value or 0, count * _BEAT.size)
        return list(map(BusBeat._make, _BEAT.iter_unpack(content)))

    def record(self, path: Path, section: Section = WHOLE_RUN) -> None:
        """From now on, record a waveform of `section`, in place of one that is being recorded.

        The file is whole when the section is over, at the latest with `end_recording` or `close`;
        of an event that does not happen there is none. Raises `OSError` if a file cannot be
        written, `EngineError` if the engine was not opened to record.
        """
        board = self._open_board()
        if not self._can_record:
            raise EngineError(f"{self.name} was not opened to record a waveform")
        self.end_recording()
        self._recording = path
        name = os.fsencode(path)
        self._check_file(self._library.byway_record(board, name, _Section.of(section)))

    def end_recording(self) -> None:
        """Finish the waveform, if one is being recorded; raises as `record`."""
        self._check_file(self._library.byway_end_recording(self._open_board()))

    def _check_file(self, failure: int) -> None:
        if failure:
            raise OSError(failure, os.strerror(failure), str(self._recording))

    def clock_alone(self, cycles: int) -> None:
        """Clock the model without a board, which counts no cycles: what is left is its own cost."""
        self._library.byway_clock_alone(self._open_board(), cycles)

    def _take_frames(self) -> None:
        frame = _Frame()
        while self._state.frames:
            self._library.byway_take_frame(self._board, frame)
            whole = ctypes.string_at(frame.bytes, frame.length)
            error = bool(frame.error)
            judged = judge(whole, frame.first, frame.last, error=error, lanes=self.wire.lanes)
            if not judged.good:
                self._library.byway_look_at_error(self._board, judged.last_cycle)
            self.frames.append(judged)

    def _read_register(self, address: int) -> int:
        self._library.byway_read(self._open_board(), address)
        self._end_access(address)
        return self._state.data

    def _write_register(self, address: int, value: int) -> None:
        self._library.byway_write(self._open_board(), address, value)
        self._end_access(address)

    def _end_access(self, address: int) -> None:
        self._take_frames()
        if self._state.response != Resp.OKAY:
            raise OSError(f"The adapter refused the access to register {address:#x}")

    def _open_board(self) -> int:
        if self._board is None:
            raise EngineError(f"{self.name} has been closed")
        return self._board

    def close(self) -> None:
        """Finish the waveform and let the model go; may be called again. Raises as `record`."""
        if self._board is not None:
            failure = self._library.byway_end_recording(self._board)
            self._state = _State.from_buffer_copy(self._state)
            self._library.byway_close(self._board)
            self._board = None
            self._check_file(failure)
