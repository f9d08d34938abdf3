"""Joins a bridge to the pages of the partition manager in a register bank."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from byway.rtl.counter import Counter
from byway.rtl.translation.bridge import TranslationBridge

__all__ = ["connect_manager"]


def connect_manager(
    m: Module, manager: Any, window: Any, bridge: TranslationBridge, *, interrupt: Signal
) -> None:
    """Give `bridge` to the partition manager.

    Parameters
    ----------
    m : Module
        What holds both; it gets the counters as submodules.
    manager, window
        The two pages, as `byway.rtl.contract.register_bank.RegisterBank` has them.
    bridge : TranslationBridge
    interrupt : Signal
        The line to the partition manager, a level: driven here.
    """
    wiring.connect(m, manager.binding, bridge.binding)
    wiring.connect(m, window.window, bridge.window)
    invalidate = bridge.invalidate
    m.d.comb += [
        invalidate.start.eq(manager.invalidate.start.value),
        invalidate.scope.eq(manager.invalidate.scope.value),
        invalidate.window.eq(manager.invalidate.window.value),
        invalidate.index.eq(manager.invalidate_page.index.value),
        manager.invalidate_status.busy.value.eq(invalidate.busy),
    ]
    status, record = bridge.fault_status, bridge.fault_record
    m.d.comb += [
        manager.fault_status.valid.value.eq(status.valid),
        manager.fault_status.lost.value.eq(status.lost),
        status.valid_modify.eq(manager.fault_status.valid.modify),
        status.lost_modify.eq(manager.fault_status.lost.modify),
        manager.fault_record.requester.value.eq(record.requester),
        manager.fault_record.window.value.eq(record.window),
        manager.fault_record.reason.value.eq(record.reason),
        manager.fault_record.write.value.eq(record.write),
        manager.fault_address.address.value.eq(bridge.fault_address),
    ]
    m.d.sync += interrupt.eq(status.valid & manager.interrupt_enable.fault.value)
    for name, event in (
        ("iotlb_hits", bridge.iotlb_hit),
        ("iotlb_misses", bridge.iotlb_miss),
        ("iotlb_prefetches", bridge.iotlb_prefetch),
        ("faults", bridge.fault),
    ):
        m.submodules[f"count_{name}"] = counter = Counter()
        m.d.sync += counter.amount.eq(event)
        m.d.comb += getattr(manager, name).count.value.eq(counter.count)
