"""The AXI4-Lite master through which the processors reach the registers, a cycle at a time."""

from byway.rtl.bus.axi4 import Resp
from byway.sim.board.pins import Pins

__all__ = ["RegisterMaster"]


class RegisterMaster:
    """One register access at a time at the port whose pins begin with `prefix`.

    `begin_read` or `begin_write` starts an access; `tick` carries it on; `busy` falls when it has
    ended, and then `response` and, for a read, `data` hold its result.
    """

    def __init__(self, pins: Pins, *, prefix: str = "s_axil_"):
        self._in = {n[len(prefix) :]: p for n, p in pins.inputs.items() if n.startswith(prefix)}
        self._out = {n[len(prefix) :]: p for n, p in pins.outputs.items() if n.startswith(prefix)}
        self._idle = self._in["bready"].mask | self._in["rready"].mask
        self._address = 0
        self._data = 0
        self.busy = False
        self.response = Resp.OKAY
        self.data = 0

    def begin_read(self, address: int) -> None:
        """Start the read of the register at `address`."""
        self._address = self._in["arvalid"].mask | address << self._in["araddr"].offset
        self._data = 0
        self.busy = True

    def begin_write(self, address: int, value: int) -> None:
        """Start the write of `value` to the register at `address`."""
        self._address = self._in["awvalid"].mask | address << self._in["awaddr"].offset
        self._data = (
            self._in["wvalid"].mask | self._in["wstrb"].mask | value << self._in["wdata"].offset
        )
        self.busy = True

    def tick(self, outputs: int) -> int:
        """Given the adapter's outputs in this cycle, return what the inputs are to be."""
        if not self.busy:
            return self._idle
        out = self._out
        vector = self._idle | self._address | self._data
        if self._address & self._in["awvalid"].mask and outputs & out["awready"].mask:
            self._address = 0
        if self._address & self._in["arvalid"].mask and outputs & out["arready"].mask:
            self._address = 0
        if self._data and outputs & out["wready"].mask:
            self._data = 0
        if outputs & out["bvalid"].mask:
            self.response = Resp(out["bresp"].of(outputs))
            self.busy = False
        if outputs & out["rvalid"].mask:
            self.response = Resp(out["rresp"].of(outputs))
            self.data = out["rdata"].of(outputs)
            self.busy = False
        return vector
