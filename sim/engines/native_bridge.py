"""A managed bridge compiled to C++, between rings that ask for memory and that memory.

For measurements: the rings are a model in C++ (``sim/native/rings.h``) that asks as fast as it may
and notes how each access was served; a million cycles take about a second. What is asked for, and
the notes, are numpy's arrays.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from byway.rtl.bus.axi4 import Resp
from byway.rtl.translation.managed_bridge import ManagedBridge
from byway.sim.board.axi_memory import MemoryManner
from byway.sim.engines.engine import EngineError
from byway.sim.engines.local_hardware import BufferMemory, CallbackBus
from byway.sim.engines.native_build import LIBRARY, build_native
from byway.sim.engines.native_library import NativeMemoryManner, load_library
from byway.sim.engines.native_verilator import VerilatorMaker

__all__ = ["ACCESS", "SERVED", "BridgeRing", "NativeBridge"]

#: As ``Access`` in ``rings.h``: a burst at an I/O bus address.
ACCESS = np.dtype(
    [
        ("address", np.uint64),
        ("beats", np.uint16),
        ("size", np.uint8),
        ("identifier", np.uint8),
        ("write", np.uint8),
    ],
    align=True,
)
#: As ``Served``: the cycles in which an access was first offered, was taken, and ended.
SERVED = np.dtype(
    [
        ("offered", np.uint64),
        ("taken", np.uint64),
        ("ended", np.uint64),
        ("ring", np.uint32),
        ("response", np.uint32),
    ],
    align=True,
)
_RING = np.dtype(
    [(name, np.uint64) for name in ("first", "count", "begun", "under_way", "depth", "user")]
)
_FOREVER = 1 << 62
_BOARD = ctypes.c_void_p
_ARGUMENTS = {
    "byway_open": [ctypes.c_void_p, ctypes.c_uint64, ctypes.POINTER(NativeMemoryManner)],
    "byway_cycle": [_BOARD],
    "byway_data": [_BOARD],
    "byway_read": [_BOARD, ctypes.c_uint32],
    "byway_write": [_BOARD, ctypes.c_uint32, ctypes.c_uint32],
    "byway_run": [
        _BOARD,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.POINTER(ctypes.c_uint64),
    ],
    "byway_close": [_BOARD],
}
_RESULTS = {
    "byway_open": _BOARD,
    "byway_cycle": ctypes.c_uint64,
    "byway_data": ctypes.c_uint32,
    "byway_read": ctypes.c_uint8,
    "byway_write": ctypes.c_uint8,
    "byway_run": ctypes.c_void_p,
}


class BridgeRing(NamedTuple):
    """A ring and what it asks for, in order.

    Attributes
    ----------
    requester : int
        The number in AxUSER.
    accesses : numpy array of ACCESS
    depth : int
        Accesses that may be under way at a time.
    """

    requester: int
    accesses: np.ndarray
    depth: int


class NativeBridge:
    """A managed bridge with `parameters`, and a memory of `memory_bytes` that behaves as `manner`.

    Attributes
    ----------
    memory : BufferMemory
    registers : CallbackBus
        The register bus; what the bridge refuses raises `OSError`.

    Raises `EngineError` if it cannot be compiled.
    """

    def __init__(self, *, memory_bytes: int, manner: MemoryManner, **parameters: int):
        make: Callable[[], ManagedBridge] = functools.partial(ManagedBridge, **parameters)
        path = build_native(make, VerilatorMaker(), board="bridge.cpp") / LIBRARY
        self._library = load_library("native bridge", path, _ARGUMENTS, _RESULTS)
        storage = bytearray(memory_bytes)
        # As long as C++ has their address, these bytes must not move.
        self._pinned = (ctypes.c_uint8 * len(storage)).from_buffer(storage)
        self.memory = BufferMemory(storage)
        self.registers = CallbackBus(self._read_register, self._write_register)
        self._board: int | None = self._library.byway_open(
            ctypes.addressof(self._pinned), len(storage), NativeMemoryManner.of(manner)
        )

    def _open_board(self) -> int:
        if self._board is None:
            raise EngineError("The native bridge has been closed")
        return self._board

    @property
    def cycle(self) -> int:
        """Cycles since reset."""
        return self._library.byway_cycle(self._open_board())

    def _read_register(self, address: int) -> int:
        self._check(self._library.byway_read(self._open_board(), address), address)
        return self._library.byway_data(self._open_board())

    def _write_register(self, address: int, value: int) -> None:
        self._check(self._library.byway_write(self._open_board(), address, value), address)

    def _check(self, response: int, address: int) -> None:
        if response != Resp.OKAY:
            raise OSError(f"The bridge refused the access to register {address:#x}")

    def run(
        self, rings: Sequence[BridgeRing], *, turn: int = 1, cycles: int = _FOREVER
    ) -> np.ndarray:
        """Let `rings` take turns, each with up to `turn` accesses, until all is answered.

        After `cycles` they ask for nothing new. Returns an array of `SERVED`, in the order in which
        the accesses ended; ``ring`` is an index into `rings`. Raises `EngineError` if the bridge
        hangs.
        """
        accesses = np.concatenate([ring.accesses for ring in rings]).astype(ACCESS)
        state = np.zeros(len(rings), _RING)
        state["count"] = [len(ring.accesses) for ring in rings]
        state["first"][1:] = np.cumsum(state["count"])[:-1]
        state["depth"] = [ring.depth for ring in rings]
        state["user"] = [ring.requester for ring in rings]
        count = ctypes.c_uint64()
        log = self._library.byway_run(
            self._open_board(),
            accesses.ctypes.data,
            state.ctypes.data,
            len(rings),
            turn,
            cycles,
            ctypes.byref(count),
        )
        if count.value != state["begun"].sum():
            raise EngineError(f"The bridge hangs in cycle {self.cycle}")
        if not count.value:
            return np.zeros(0, SERVED)
        return np.frombuffer(ctypes.string_at(log, count.value * SERVED.itemsize), SERVED)

    def close(self) -> None:
        """Let the model go; may be called again."""
        if self._board is not None:
            self._library.byway_close(self._board)
            self._board = None
