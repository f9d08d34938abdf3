"""Every stream and every AXI channel that a component offers keeps the law, whatever is around it.

The law [Amaranth, `amaranth.lib.stream`; AMBA AXI4, IHI 0022, A3.2.1]:

1. What is offered and not taken is offered again in the next cycle, with the same payload.
2. Valid does not wait for ready.

The first is shown without bound in time, with reset at any moment: of the surroundings only the
same law is assumed, and what a component besides documents that it needs (`CONTRACTS`). Sizes are
the smallest at which what waits can be overtaken. The second is shown of every component by a
consumer whose ready is a function of all that the component offers: if any valid or payload were
in turn a function of a ready, that would be a combinational cycle, and Amaranth finds those.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from amaranth.asserts import AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import (
    Array,
    Assert,
    Assume,
    Cat,
    CombinationalCycle,
    Cover,
    Elaboratable,
    Module,
    Signal,
    Value,
)
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.timing import PARAMETERS, components
from byway.rtl.translation.request import AddressLayout

WIDTHS = {"addr_width": 13, "data_width": 64, "id_width": 1, "user_width": 1}
REQUEST = AddressLayout(addr_width=12, id_width=1, user_width=1)
TRANSLATION = {"windows": 2, "iotlb_sets": 2, "iotlb_ways": 1, "walks": 2}
READER_SLOTS = 2
READER_BEATS = 2

#: The components that are the source of a channel, and their parameters here.
SMALL: dict[str, dict[str, Any]] = {
    "adapter": {"rings": 1},
    "burst_splitter": {"addr_width": 12, "data_width": 32, "burst_bytes": 8},
    "bypass_buffer": {"shape": 2},
    "bypass_queue": {"shape": 2, "depth": 2},
    "checksummer": {"data_width": 32},
    "commit_queue": {"shape": 2, "depth": 2},
    "completion_writer": {"rings": 2, "addr_width": 32, "id_width": 1},
    "dma_reader": {
        "addr_width": 12,
        "data_width": 32,
        "slots": READER_SLOTS,
        "burst_bytes": 4 * READER_BEATS,
    },
    "downsizer": {"data_width": 32, "narrow_width": 16},
    "frame_buffer": {"data_width": 16, "depth_bytes": 16, "depth_packets": 2},
    "frame_parser": {"rings": 2, "data_width": 128},
    "invalidator": {"windows": 2},
    "lane": {"request": REQUEST, "room": 2},
    "managed_bridge": {**WIDTHS, **TRANSLATION, "requesters": 2, "outstanding": 2},
    "packer": {"data_width": 16},
    "read_arbiter": {
        "id_ranges": [(0, 1), (1, 1)],
        "addr_width": 12,
        "data_width": 32,
        "id_width": 1,
        "user_width": 1,
    },
    "read_path": {**WIDTHS, "outstanding": 2, "walks": 2},
    "register_bank": {"rings": 1, "windows": 1},
    "segment_planner": {"lanes": 2},
    "segmenter": {"data_width": 16, "maximum_header": 8},
    "shared_adapter": {"rings": 1, "windows": 1},
    "skid_buffer": {"shape": 2},
    "tag_inserter": {"data_width": 32},
    "translation_agent": {**WIDTHS, **TRANSLATION, "outstanding": 2},
    "translation_bridge": {**WIDTHS, **TRANSLATION, "requesters": 2, "outstanding": 2},
    "translator": {**WIDTHS, **TRANSLATION, "room": 2},
    "transmit_path": {"rings": 1},
    "transmit_ring": {"addr_width": 32, "data_width": 128},
    "transmit_rings": {"rings": 2, "addr_width": 32, "data_width": 128},
    "waiting_room": {"shape": data.StructLayout({"number": 2}), "id_width": 1, "room": 2},
    "walker": {"addr_width": 13, "user_width": 1, "slots": 2},
    "walks": {"windows": 2, "user_width": 1, "slots": 2},
    "write_path": {**WIDTHS, "outstanding": 2},
}

#: These hand out channels of their parts, of which the law is shown, and have none of their own.
WHOLES = {
    "adapter",
    "managed_bridge",
    "shared_adapter",
    "translation_agent",
    "translation_bridge",
    "transmit_path",
}
PARTS = sorted(SMALL.keys() - WHOLES)

#: Their memories are large as single bits, so induction takes the place of PDR.
LARGE = ["frame_parser", "transmit_rings"]


class Channel(NamedTuple):
    """A stream, or a channel of an AXI bundle; `flow` is that of its payload."""

    name: str
    flow: wiring.Flow
    valid: Value
    ready: Value
    payload: Value


def channels(component: wiring.Component) -> Iterator[Channel]:
    """The channels among the ports of `component`: whatever has a valid and a ready."""
    bundles: dict[tuple, dict[str, Any]] = defaultdict(dict)
    flows: dict[tuple, wiring.Flow] = {}
    for path, member, port in component.signature.flatten(component):
        bundles[path[:-1]][str(path[-1])] = Value.cast(port)
        flows[path] = member.flow
    for path, ports in bundles.items():
        for valid in ports:
            prefix = valid.removesuffix("valid")
            ready = f"{prefix}ready"
            if prefix != valid and ready in ports:
                yield Channel(
                    "_".join(map(str, (*path, prefix))).rstrip("_"),
                    flows[*path, valid],
                    ports[valid],
                    ports[ready],
                    Cat(
                        port
                        for name, port in ports.items()
                        if name.startswith(prefix) and name not in (valid, ready)
                    ),
                )


def small(name: str) -> Any:
    """The component of that name, of a small size."""
    return components()[name](**SMALL.get(name, PARAMETERS.get(name, {})))


def waits(m: Module, channel: Channel | stream.Interface) -> Value:
    """Whether the channel was offered and not taken in the cycle before."""
    result = Signal()
    m.d.sync += result.eq(channel.valid & ~channel.ready)
    return result


class Law(Elaboratable):
    """What waits is offered again: claimed of a source by Assert, granted by Assume."""

    def __init__(self, channel: Channel, claim: Callable):
        self.channel = channel
        self.claim = claim

    def elaborate(self, platform):
        m = Module()
        valid, payload = self.channel.valid, self.channel.payload
        waited = waits(m, self.channel)
        before = Signal.like(payload)
        m.d.sync += before.eq(payload)
        m.d.comb += self.claim(~waited | (valid & (payload == before)), "what waits stays")
        if self.claim is Assert:
            m.d.comb += Cover(waited & self.channel.ready, "it waits, and is taken")
        return m


class AnySurroundings(Elaboratable):
    """A component between surroundings that do as they like within the law and its contract."""

    def __init__(self, name: str):
        self.name = name

    def elaborate(self, platform):
        """The submodule of a law has the name of its channel, by which a failure tells of it."""
        m = Module()
        m.submodules.dut = dut = small(self.name)
        for _path, member, port in dut.signature.flatten(dut):
            if member.flow == In:
                m.d.comb += Value.cast(port).eq(AnySeq(len(Value.cast(port))))
        for channel in channels(dut):
            m.submodules[channel.name] = Law(channel, Assert if channel.flow == Out else Assume)
        if self.name in CONTRACTS:
            CONTRACTS[self.name](m, dut)
        return m


class SideBySide(Elaboratable):
    """Several components, each in surroundings of its own."""

    def __init__(self, names: list[str]):
        self.names = names

    def elaborate(self, platform):
        m = Module()
        for name in self.names:
            m.submodules[name] = AnySurroundings(name)
        return m


def memory_answers_what_it_was_asked(m: Module, dut) -> None:
    """A beat belongs to a burst that is not complete [A5.3]: else slots were freed unused."""
    axi = dut.m_axi
    due = Array(Signal(range(READER_BEATS + 1), name=f"due_{slot}") for slot in range(READER_SLOTS))
    m.d.comb += Assume(~axi.rvalid | (due[axi.rid] != 0), "a beat has a burst")
    with m.If(axi.rvalid):
        m.d.sync += due[axi.rid].eq(due[axi.rid] - 1)
    with m.If(axi.arvalid & axi.arready):
        m.d.sync += due[axi.arid].eq(axi.arlen + 1)


def a_pipeline_gives_back_what_entered(m: Module, dut) -> None:
    """Else there were less than none inside. And `hold`, "offer nothing", takes an offer back."""
    offer = dut.offer
    entered = Signal(range(dut.room + 1))
    m.d.sync += entered.eq(entered + (offer.valid & offer.ready) - dut.judged.valid)
    m.d.comb += Assume(~dut.judged.valid | (entered != 0), "what leaves has entered")
    m.d.comb += Assume(~waits(m, offer) | ~dut.hold, "no hold while an offer waits")


def there_is_room_for_who_enters(m: Module, dut) -> None:
    """Else one request took the place of another."""
    level = Signal(range(dut.room + 1))
    m.d.sync += level.eq(level + dut.enter.valid - (dut.first.valid & dut.first.ready))
    m.d.comb += Assume(~dut.enter.valid | (level != dut.room), "who enters finds room")


#: What components need of their surroundings beyond the law of streams.
CONTRACTS = {
    "dma_reader": memory_answers_what_it_was_asked,
    "lane": a_pipeline_gives_back_what_entered,
    "waiting_room": there_is_room_for_who_enters,
}


class ReadyForWhatIsOffered(Elaboratable):
    """A component whose consumers all decide within the cycle, by all that it offers."""

    def __init__(self, component: wiring.Component):
        self.component: Any = component  # Amaranth's types do not say that it elaborates.

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = self.component
        offers = [channel for channel in channels(self.component) if channel.flow == Out]
        offered = Cat((offer.valid, offer.payload) for offer in offers)
        for offer in offers:
            m.d.comb += offer.ready.eq(offered.any())
        return m


class ShyBuffer(wiring.Component):
    """Breaks the second law: it shows what it has only to those who are ready."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self):
        offer = stream.Signature(1)
        super().__init__({"i": In(offer), "o": Out(offer)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.valid.eq(self.i.valid & self.o.ready)
        m.d.comb += self.o.payload.eq(self.i.payload)
        m.d.comb += self.i.ready.eq(self.o.ready)
        return m


@pytest.mark.parametrize("name", PARTS)
def test_what_is_offered_stays_until_it_is_taken(verify, name):
    if name in LARGE:
        verify.induct(AnySurroundings(name), depth=2)
    else:
        verify.reach(AnySurroundings(name))


@pytest.mark.parametrize("names", [[name for name in PARTS if name not in LARGE], LARGE])
def test_every_channel_can_wait(verify, names):
    verify.cover(SideBySide(names), depth=16, flatten=True)


@pytest.mark.parametrize("name", components())
def test_valid_does_not_wait_for_ready(name):
    component = small(name)
    rtlil.convert(ReadyForWhatIsOffered(component), name="top", ports=[])
    is_source = any(channel.flow == Out for channel in channels(component))
    assert is_source == (name in SMALL), f"{name} is missing above, or should be"


def test_a_valid_that_waits_for_ready_is_found():
    with pytest.raises(CombinationalCycle):
        rtlil.convert(ReadyForWhatIsOffered(ShyBuffer()), name="top", ports=[])
