"""An AXI4 memory over plain bytes, a cycle at a time.

It answers reads in order after a settable latency at one beat a cycle, takes a write beat every
cycle, and keeps every rule that the adapter may rely on. An access outside the memory is answered
with DECERR. Timing depends on the cycle alone, so that every engine sees the same.
"""

from collections import deque

from byway.rtl.bus.axi4 import Burst, Resp
from byway.sim.board.pins import Pins

__all__ = ["AxiMemory"]


class AxiMemory:
    """The AXI4 subordinate at the port whose pins begin with `prefix`.

    Parameters
    ----------
    pins : Pins
        Where the port's pins are.
    storage : bytearray or memoryview
        The bytes; addresses run from 0.
    latency : int
        Cycles added between the acceptance of an address and the first beat or response.
    outstanding : int
        Addresses accepted and not answered, reads and writes each.
    """

    def __init__(
        self,
        pins: Pins,
        storage: bytearray | memoryview,
        *,
        prefix: str = "m_axi_",
        latency: int = 0,
        outstanding: int = 32,
    ):
        self._storage = storage
        self._latency = latency
        self._outstanding = outstanding
        self._in = {n[len(prefix) :]: p for n, p in pins.inputs.items() if n.startswith(prefix)}
        self._out = {n[len(prefix) :]: p for n, p in pins.outputs.items() if n.startswith(prefix)}
        self._bytes = self._in["rdata"].width // 8
        # Reads: [first cycle, id, next address, beats left, bytes a beat, increments]
        self._reads: deque[list[int]] = deque()
        # Writes: [id, next address, beats left, bytes a beat, increments, response]
        self._writes: deque[list[int]] = deque()
        self._data: deque[tuple[int, int]] = deque()
        self._responses: deque[tuple[int, int, int]] = deque()

    @property
    def idle(self) -> bool:
        """Nothing is being answered."""
        return not (self._reads or self._writes or self._responses or self._data)

    def _inside(self, address: int, length: int) -> bool:
        return address + length <= len(self._storage)

    def _read_beat(self, cycle: int, rready: int) -> int:
        read = self._reads[0]
        first, rid, address, beats, size, increment = read
        if cycle < first:
            return 0
        base = address - address % self._bytes
        if self._inside(base, self._bytes):
            data = int.from_bytes(self._storage[base : base + self._bytes], "little")
            resp = Resp.OKAY
        else:
            data = 0
            resp = Resp.DECERR
        pins = self._in
        vector = (
            pins["rvalid"].mask
            | rid << pins["rid"].offset
            | data << pins["rdata"].offset
            | resp << pins["rresp"].offset
            | (beats == 1) << pins["rlast"].offset
        )
        if rready:
            if beats == 1:
                self._reads.popleft()
            else:
                if increment:
                    read[2] = address - address % size + size
                read[3] = beats - 1
        return vector

    def _write_beats(self, cycle: int) -> None:
        while self._writes and self._data:
            write = self._writes[0]
            wid, address, beats, size, increment, resp = write
            data, strobes = self._data.popleft()
            base = address - address % self._bytes
            if self._inside(base, self._bytes):
                for lane in range(self._bytes):
                    if strobes >> lane & 1:
                        self._storage[base + lane] = data >> 8 * lane & 0xFF
            else:
                write[5] = resp = Resp.DECERR
            if increment:
                write[1] = address - address % size + size
            write[2] = beats - 1
            if beats == 1:
                self._writes.popleft()
                self._responses.append((cycle + 1 + self._latency, wid, resp))

    def tick(self, cycle: int, outputs: int) -> int:
        """Given the adapter's outputs in this cycle, return what the inputs are to be."""
        out = self._out
        pins = self._in
        vector = pins["wready"].mask
        if self._responses and self._responses[0][0] <= cycle:
            _cycle, bid, bresp = self._responses[0]
            vector |= (
                pins["bvalid"].mask | bid << pins["bid"].offset | bresp << pins["bresp"].offset
            )
            if out["bready"].of(outputs):
                self._responses.popleft()
        if self._reads:
            vector |= self._read_beat(cycle, out["rready"].of(outputs))
        if len(self._reads) < self._outstanding:
            vector |= pins["arready"].mask
            if outputs & out["arvalid"].mask:
                self._reads.append(
                    [
                        cycle + 1 + self._latency,
                        out["arid"].of(outputs),
                        out["araddr"].of(outputs),
                        out["arlen"].of(outputs) + 1,
                        1 << out["arsize"].of(outputs),
                        out["arburst"].of(outputs) == Burst.INCR,
                    ]
                )
        if len(self._writes) + len(self._responses) < self._outstanding:
            vector |= pins["awready"].mask
            if outputs & out["awvalid"].mask:
                self._writes.append(
                    [
                        out["awid"].of(outputs),
                        out["awaddr"].of(outputs),
                        out["awlen"].of(outputs) + 1,
                        1 << out["awsize"].of(outputs),
                        out["awburst"].of(outputs) == Burst.INCR,
                        Resp.OKAY,
                    ]
                )
        if outputs & out["wvalid"].mask:
            self._data.append((out["wdata"].of(outputs), out["wstrb"].of(outputs)))
        if self._data:
            self._write_beats(cycle)
        return vector
