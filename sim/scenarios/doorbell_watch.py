"""When doorbells ring."""

from byway.sim.engines.engine import Engine
from byway.sw.contract.registers import DOORBELL_PAGE

__all__ = ["DoorbellWatch"]


class DoorbellWatch:
    """A register bus in front of an engine's, which keeps the cycle of each doorbell."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self.cycles: list[int] = []

    def read(self, offset: int) -> int:
        """Pass the read on."""
        return self._engine.registers.read(offset)

    def write(self, offset: int, value: int) -> None:
        """Pass the write on; take note of it if it is a doorbell."""
        self._engine.registers.write(offset, value)
        if offset >= DOORBELL_PAGE:
            self.cycles.append(self._engine.cycle)
