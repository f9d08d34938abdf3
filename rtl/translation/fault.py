"""The fault log: records of refused accesses, in order, for the partition manager.

Each refused access leaves either a record or a count in ``lost``; none goes unnoticed while the
count is below its limit. A place is kept for each requester: however many accesses of others are
refused, the first of a requester that has none in its place leaves a record. The record shown stays
as it is until it is dropped.

Clock domain: ``sync``. Latency: 3 cycles from a refusal to its record being shown. Throughput: one
refusal a cycle.
"""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.contract.model import codes
from byway.rtl.translation.event import Event, EventSignature
from byway.rtl.translation.window import REQUESTER_BITS, WINDOW_BITS

__all__ = ["FaultLayout", "FaultLog", "FaultRecordLayout", "FaultStatusSignature"]


class FaultRecordLayout(data.StructLayout):
    """Who was refused, and why; fields as in the register ``fault_record``."""

    def __init__(self):
        super().__init__(
            {
                "requester": unsigned(REQUESTER_BITS),
                "window": unsigned(WINDOW_BITS),
                "reason": unsigned(bits_for(max(codes("fault_reason")))),
                "write": unsigned(1),
            }
        )


class FaultLayout(data.StructLayout):
    """One refused access.

    Members
    -------
    record : FaultRecordLayout
        Who, and why.
    address : unsigned(64)
        I/O bus address that was asked for.
    """

    def __init__(self):
        super().__init__({"record": FaultRecordLayout(), "address": unsigned(64)})


class FaultStatusSignature(wiring.Signature):
    """The register ``fault_status``, from the side of the fault log.

    Members
    -------
    valid : Out(1)
        A record is shown.
    valid_modify : In(1)
        Drop it.
    lost : Out(16)
        Refusals that found no room, saturating.
    lost_modify : In(1)
        Clear `lost`; a refusal lost in the same cycle counts.
    """

    def __init__(self):
        super().__init__(
            {"valid": Out(1), "valid_modify": In(1), "lost": Out(16), "lost_modify": In(1)}
        )


class FaultLog(wiring.Component):
    """Keeps fault records.

    Parameters
    ----------
    depth : int
        Records it holds, the one shown included: a power of two.
    requesters : int
        From 0 on, those that have a place kept for them: fewer than `depth`.

    Members
    -------
    fault : In(EventSignature(FaultLayout()))
        Refused accesses.
    fault_status : Out(FaultStatusSignature())
        Whether a record is shown, how many were lost, and their dismissal.
    fault_record, fault_address : Out(FaultRecordLayout()), Out(64)
        The oldest record, while one is shown.

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    fault: Event
    fault_status: Any
    fault_record: data.View
    fault_address: Signal

    def __init__(self, *, depth: int = 8, requesters: int = 2):
        if requesters < 1:
            raise ValueError(f"Requesters must be a positive integer, not {requesters!r}")
        if depth <= requesters or depth & (depth - 1):
            raise ValueError(
                f"Depth must be a power of two above {requesters} for as many requesters, "
                f"not {depth!r}"
            )
        self.depth = depth
        self.requesters = requesters
        super().__init__(
            {
                "fault": In(EventSignature(FaultLayout())),
                "fault_status": Out(FaultStatusSignature()),
                "fault_record": Out(FaultRecordLayout()),
                "fault_address": Out(64),
            }
        )

    def elaborate(self, platform):
        """A ring of records, the oldest in a register, and the count of those lost."""
        m = Module()

        kept = data.StructLayout({"fault": FaultLayout(), "in_place": unsigned(1)})
        m.submodules.records = records = Memory(shape=kept, depth=self.depth, init=[])
        write = records.write_port()
        read = records.read_port(domain="comb")
        status = self.fault_status
        level = Signal(range(self.depth + 1))

        # A refusal is looked at a cycle later. It gets the place of its requester, or, if that is
        # taken, one that is kept for nobody.
        fault = Signal(FaultLayout())
        coming = Signal()
        taken = Signal(self.requesters)
        is_known = fault.record.requester < self.requesters
        in_place = Signal()
        m.d.sync += [coming.eq(self.fault.valid), fault.eq(self.fault.payload)]
        m.d.comb += in_place.eq(is_known & ~taken.bit_select(fault.record.requester, 1))

        # A drop is for the record that software saw, so it does nothing while none is shown.
        put = Signal()
        drop = Signal()
        m.d.comb += put.eq(coming & (in_place | (level < self.depth - self.requesters)))
        m.d.comb += drop.eq(status.valid_modify & status.valid)
        m.d.comb += write.data.fault.eq(fault)
        m.d.comb += write.data.in_place.eq(in_place)
        m.d.comb += write.en.eq(put)
        m.d.sync += write.addr.eq(write.addr + put)
        m.d.sync += read.addr.eq(read.addr + drop)
        m.d.sync += level.eq(level + put - drop)
        m.d.sync += status.valid.eq((level != 0) & ~drop)
        shown_in_place = Signal()
        m.d.sync += shown_in_place.eq(read.data.in_place)
        m.d.sync += self.fault_record.eq(read.data.fault.record)
        m.d.sync += self.fault_address.eq(read.data.fault.address)
        with m.If(drop & shown_in_place):
            m.d.sync += taken.bit_select(self.fault_record.requester, 1).eq(0)
        with m.If(put & in_place):
            m.d.sync += taken.bit_select(fault.record.requester, 1).eq(1)

        # What finds no room is counted.
        lost = Signal()
        m.d.comb += lost.eq(coming & ~put)
        with m.If(status.lost_modify):
            m.d.sync += status.lost.eq(lost)
        with m.Elif(lost & ~status.lost.all()):
            m.d.sync += status.lost.eq(status.lost + 1)

        return m
