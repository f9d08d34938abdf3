"""Hostile descriptors, memory that refuses or fails, rings that stop: nothing hangs.

Each fault is put between good frames, on the same ring or on another, and those must leave as if
nothing had been. A bench
that sees the bus fails the flow if the bridge touches a page that is not granted.
"""

from collections.abc import Iterator

from byway.rtl.contract.model import constant
from byway.sim.flows.flow import PAGE, Bench, flow
from byway.sim.flows.frames import Frame, single, sized, super_frame
from byway.sim.flows.ring import Ring, Window
from byway.sw.contract.records import TransmitStatus
from byway.sw.contract.registers import (
    FaultReason,
    InvalidateScope,
    ManagerFaultRecord,
    RingStopReason,
)

_SUCCESS = TransmitStatus.SUCCESS
_MOST_FRAME = constant("frame_limits.maximum_frame")
_MOST_HEADER = constant("frame_limits.maximum_header")
_MOST_FRAGMENTS = constant("frame_limits.maximum_fragments")
_LEAST_MSS = constant("mss_limits.minimum_mss")
_MOST_MSS = constant("mss_limits.maximum_mss")
_LONGEST_V4 = constant("large_send_v4.maximum_packet")
_LONGEST_V6 = constant("large_send_v6.maximum_packet")

Pieces = list[tuple[int, int]]


def _start(bench: Bench, number: int = 0) -> tuple[Window, Ring]:
    window = Window(bench, number)
    ring = Ring(bench, window, interrupts=True)
    ring.adapter.mac_control.write(transmit_enable=1)
    window.manager.interrupt_enable.write(fault=1)
    return window, ring


def _send_good(bench: Bench, ring: Ring) -> Frame:
    frame = sized(bench.rng, ring.number, bench.rng.randrange(60, 400))
    ring.send(frame, fragments=bench.rng.randint(1, 3))
    return frame


def _expect_on_wire(bench: Bench, frames: list[Frame]) -> None:
    """What left, from the beginning of the flow on, is `frames` and nothing else."""
    expected = [leaf for frame in frames for leaf in frame.leaves]
    bench.wait_for(lambda: len(bench.frames) >= len(expected), "good frames on the wire")
    bench.run(2000)
    assert [frame.data for frame in bench.frames] == expected


def _faults(bench: Bench, window: Window) -> list[tuple[ManagerFaultRecord, int]]:
    """Take every fault record, with its address."""
    manager = window.manager
    found = []
    while manager.fault_status.read().valid:
        assert bench.manager_interrupt
        found.append((manager.fault_record.read(), manager.fault_address.read().address))
        manager.fault_status.write(valid=1)
    bench.run(4)
    assert not bench.manager_interrupt
    return found


def _expect_faults(
    bench: Bench, window: Window, reason: FaultReason, page: int, *, write: bool = False
) -> None:
    """There are faults, and all are of `window`, for `reason`, in page `page` of it."""
    bench.wait_for(lambda: bench.manager_interrupt, f"interrupt for {reason.name}")
    for record, address in _faults(bench, window):
        told = (record.requester, record.window, record.reason, record.write, address // PAGE)
        bound = 0 if reason is FaultReason.UNBOUND else window.number
        assert told == (window.number, bound, reason, write, page), f"{record} {address:#x}"


def _hostile(
    frame: Frame, place: int
) -> Iterator[tuple[str, TransmitStatus, Pieces, dict[str, int]]]:
    """Descriptors that are wrong in one way: why, status, fragments, fields.

    `frame` asks for the TCP and IPv4 checksums; its bytes are at `place`.
    """
    length = len(frame.data)
    whole = [(place, length)]
    fields = frame.fields
    ip, l4 = fields["ip_offset"], fields["l4_offset"]
    offsets = {"ip_offset": ip, "l4_offset": l4}
    large = offsets | {"mss": 100, "header_length": l4 + 20, "large_send": 1}
    s = TransmitStatus
    yield "no byte", s.LENGTH_SHORT, [(place, 0)], {}
    tagged = {"insert_vlan": 1}
    yield "long with its tag", s.LENGTH_LONG, [(place, _MOST_FRAME - 3)], tagged
    yield "less than a header", s.LENGTH_SHORT, [(place, 13)], {}
    yield "an empty fragment", s.LENGTH_SHORT, [(place, 40), (place, 0), (place, 40)], {}
    yield "long", s.LENGTH_LONG, [(place, _MOST_FRAME + 1)], {}
    packet = ip + _LONGEST_V4 + 1
    yield "long packet", s.LENGTH_LONG, [(place, packet)], large
    v6 = {"ipv6": 1, "l4_offset": ip + 40, "header_length": ip + 60, "checksum_ipv4": 0}
    packet = ip + _LONGEST_V6 + 1
    yield "long packet of IPv6", s.LENGTH_LONG, [(place, packet)], large | v6
    yield "a byte more", s.LENGTH_MISMATCH, whole, {"total_length": length - 1}
    yield "a byte less", s.LENGTH_MISMATCH, [(place, 40), (place, 40)], {"total_length": 81}
    for count in (0, _MOST_FRAGMENTS + 1, 255):
        yield f"{count} fragments", s.FRAGMENT_COUNT, whole, {"fragments": count}
    for header in (_MOST_HEADER + 1, 255, l4 + 19, 0):
        yield f"header of {header}", s.HEADER_LENGTH, whole, large | {"header_length": header}
    short = [(place, l4 + 19)]
    yield "header beyond frame", s.HEADER_LENGTH, short, large
    for mss in (0, _LEAST_MSS - 1, _MOST_MSS + 1, 65_535):
        yield f"MSS of {mss}", s.MSS_RANGE, whole, large | {"mss": mss}
    for wrong in (
        {"ip_offset": ip + 1},
        {"l4_offset": l4 + 1},
        {"ip_offset": 12},
        {"l4_offset": ip + 18},
        {"l4_offset": ip - 2},
    ):
        yield f"offsets {wrong}", s.OFFSET_RANGE, whole, fields | wrong
        yield f"offsets {wrong}", s.OFFSET_RANGE, whole, large | wrong
    yield "no room for TCP", s.OFFSET_RANGE, short, fields
    udp = offsets | {"checksum_udp": 1}
    yield "no room for UDP", s.OFFSET_RANGE, [(place, l4 + 7)], udp
    ipv4 = offsets | {"checksum_ipv4": 1}
    yield "no room for IPv4", s.OFFSET_RANGE, [(place, l4 - 1)], ipv4
    yield "TCP and UDP", s.FLAGS_CONFLICT, whole, fields | {"checksum_udp": 1}
    yield "large send of UDP", s.FLAGS_CONFLICT, whole, large | {"checksum_udp": 1}
    yield "large send of both", s.FLAGS_CONFLICT, whole, large | {"udp_segmentation": 1}
    yield "IPv4 checksum of IPv6", s.FLAGS_CONFLICT, whole, fields | v6 | {"checksum_ipv4": 1}
    yield "no room for IPv6", s.OFFSET_RANGE, whole, fields | v6 | {"l4_offset": ip + 38}
    generic = {"checksum_generic": 1, "checksum_start": l4, "checksum_offset": 16}
    yield "generic and large send", s.FLAGS_CONFLICT, whole, large | generic
    for wrong in (
        {"checksum_start": l4 + 1},
        {"checksum_offset": 17},
        {"checksum_start": 12},
    ):
        yield f"generic {wrong}", s.OFFSET_RANGE, whole, generic | wrong
    yield "generic past the frame", s.OFFSET_RANGE, [(place, l4 + 17)], generic
    # Beside another checksum its field must lie behind the header that has that one.
    yield "generic within TCP", s.OFFSET_RANGE, whole, fields | generic


@flow()
def hostile_descriptors_drop_their_frame_alone(bench: Bench) -> None:
    """Each wrong descriptor has its status, and the good frame behind it leaves."""
    window, ring = _start(bench)
    frame = single(bench.rng, 0, "tcp", bench.rng.randbytes(500), version=4)
    place = window.take(len(frame.data), 123)
    window.write(place, frame.data)
    good = []
    cases = list(_hostile(frame, place))
    for why, status, pieces, fields in cases:
        ring.post(pieces, **fields)
        good.append(_send_good(bench, ring))
        if bench.rng.random() < 0.5:
            ring.ring()
            refused, _sent = ring.finish()[-2:]
            assert (refused.status, refused.segments) == (status, 0), why
    ring.ring()
    outcomes = [(completion.status, completion.segments) for completion in ring.finish()]
    for (why, status, _pieces, _fields), got in zip(cases, outcomes[::2], strict=True):
        assert got == (status, 0), why
    assert outcomes[1::2] == [(_SUCCESS, 1)] * len(cases)
    _expect_on_wire(bench, good)
    assert ring.adapter.dropped.read().count == len(cases)
    assert not _faults(bench, window)


@flow()
def offloads_that_are_not_granted_are_refused(bench: Bench) -> None:
    """Every offload by itself, at a ring that has all but that one."""
    window, ring = _start(bench)
    frame = single(bench.rng, 0, "tcp", bench.rng.randbytes(300), version=4)
    place = window.take(len(frame.data))
    window.write(place, frame.data)
    whole = [(place, len(frame.data))]
    offsets = {name: frame.fields[name] for name in ("ip_offset", "l4_offset")}
    v6 = offsets | {"ipv6": 1, "l4_offset": offsets["ip_offset"] + 40}
    header = {"header_length": offsets["l4_offset"] + 40, "mss": 100}
    asked = {
        "checksum_ipv4": (whole, offsets | {"checksum_ipv4": 1}),
        "checksum_tcp": (whole, offsets | {"checksum_tcp": 1}),
        "checksum_udp": (whole, offsets | {"checksum_udp": 1}),
        "large_send_v4": (whole, offsets | header | {"large_send": 1}),
        "scatter_gather": ([(place, 30), (place + 30, 50)], {}),
        "checksum_tcp_v6": (whole, v6 | {"checksum_tcp": 1}),
        "checksum_udp_v6": (whole, v6 | {"checksum_udp": 1}),
        "large_send_v6": (whole, v6 | header | {"large_send": 1}),
        "udp_segmentation": (whole, v6 | header | {"udp_segmentation": 1}),
        "checksum_generic": (whole, {"checksum_generic": 1, "checksum_start": 34}),
        "vlan_insertion": (whole, {"insert_vlan": 1, "vlan_tag": 7}),
    }
    for missing in asked:
        ring.stop()
        ring.registers.offloads.write(**{name: name != missing for name in asked})
        ring.start()
        for pieces, fields in asked.values():
            ring.post(pieces, **fields)
        ring.ring()
        ring.expect(
            *(TransmitStatus.NOT_GRANTED if name == missing else _SUCCESS for name in asked)
        )
    assert not _faults(bench, window)


@flow()
def data_that_is_not_granted_stays_in_memory(bench: Bench) -> None:
    """Pages not mapped, not for reading, past the table, and in the midst of a frame."""
    window, ring = _start(bench)
    good = []

    def refused(pieces: Pieces, reason: FaultReason, page: int) -> None:
        before = _send_good(bench, ring)
        ring.post(pieces)
        behind = [_send_good(bench, ring) for _number in range(2)]
        ring.ring()
        done = [completion.status for completion in ring.finish_or_restart()]
        _expect_faults(bench, window, reason, page)
        # Those behind the refused one were started in time, or were not.
        started = len(done) - 2
        assert done == [_SUCCESS, TransmitStatus.MEMORY_REFUSED] + [_SUCCESS] * started
        good.extend([before, *behind[:started]])

    mapped = window.take(3 * PAGE)
    middle = mapped // PAGE + 1
    window.unmap(middle)
    refused([(mapped + PAGE + 77, 500)], FaultReason.NOT_MAPPED, middle)
    refused([(mapped + 2 * PAGE - 1, 60)], FaultReason.NOT_MAPPED, middle)
    refused([(mapped + PAGE - 1000, 1500)], FaultReason.NOT_MAPPED, middle)
    refused([(mapped, 40), (mapped + PAGE, 1), (mapped, 40)], FaultReason.NOT_MAPPED, middle)
    write_only = window.take(PAGE, read=False, write=True)
    refused([(write_only, 900)], FaultReason.READ_DENIED, write_only // PAGE)
    beyond = window.entries * PAGE
    refused([(beyond, 60)], FaultReason.EXTENT, window.entries)
    far = 1 << 63 | beyond
    refused([(far, 64)], FaultReason.EXTENT, far // PAGE)
    _expect_on_wire(bench, good)
    manager = window.manager
    assert manager.faults.read().count >= 7
    assert manager.fault_status.read().lost == 0


@flow()
def a_super_frame_is_spoilt_from_where_it_is_refused(bench: Bench) -> None:
    """The segments before may leave, whole; no byte from the refusal on; the ring starts anew."""
    window, ring = _start(bench)
    frame = super_frame(bench.rng, 0, bench.rng.randbytes(3 * PAGE), 1000)
    place = window.take(len(frame.data))
    window.write(place, frame.data)
    window.unmap(place // PAGE + 2)
    ring.post([(place, len(frame.data))], **frame.fields)
    ring.ring()
    (refused,) = ring.finish_or_restart()
    assert refused.status == TransmitStatus.MEMORY_REFUSED
    _expect_faults(bench, window, FaultReason.NOT_MAPPED, place // PAGE + 2)
    good = _send_good(bench, ring)
    ring.ring()
    ring.expect(_SUCCESS)
    before = refused.segments
    assert before <= 2 * PAGE // 1000
    left = Frame(frame.data, frame.fields, frame.leaves[:before])
    _expect_on_wire(bench, [left, good])


@flow()
def memory_that_fails_is_told_from_refusal(bench: Bench) -> None:
    """SLVERR from data is a memory error; from a table, a refusal with the reason recorded."""
    window, ring = _start(bench)
    place = window.take(2 * PAGE)
    window.spoil(place // PAGE + 1)
    good = []
    for pieces in (
        [(place + PAGE, 64)],
        [(place + PAGE - 8, 600)],
        [(place, 99), (place + PAGE, 1)],
    ):
        ring.post(pieces)
        good.append(_send_good(bench, ring))
        ring.ring()
        ring.expect(TransmitStatus.MEMORY_ERROR, _SUCCESS)
    assert not _faults(bench, window)
    frame = sized(bench.rng, 0, 64)
    fresh = window.take(PAGE)
    window.write(fresh, frame.data)
    window.unmap(fresh // PAGE)
    window.map(fresh // PAGE)
    # The entries of the rings stay in the IOTLB.
    window.use_table(bench.memory.broken)
    ring.post([(fresh, 64)])
    ring.ring()
    (refused,) = ring.finish_or_restart()[-1:]
    assert refused.status == TransmitStatus.MEMORY_REFUSED
    _expect_faults(bench, window, FaultReason.TABLE_ERROR, fresh // PAGE)
    window.use_table(window.table)
    ring.post([(fresh, 64)])
    ring.ring()
    ring.expect(_SUCCESS)
    _expect_on_wire(bench, [*good, frame])


@flow(stall=0.15, longest_latency=20)
def a_stopped_ring_starts_anew_and_disturbs_no_other(bench: Bench) -> None:
    """Every reason to stop, the interrupt, the recovery, and a busy neighbour."""
    window, ring = _start(bench, 0)
    _neighbour_window, neighbour = _start(bench, 1)
    descriptors, completions = ring.descriptors // PAGE, ring.completions // PAGE

    def doorbell_too_far() -> None:
        ring.doorbell.transmit.write(producer=ring.producer + ring.size + 1)

    def doorbell_back() -> None:
        ring.ring()
        ring.doorbell.transmit.write(producer=ring.producer - 1)

    refused_descriptor = RingStopReason.DESCRIPTOR_REFUSED
    refused_completion = RingStopReason.COMPLETION_REFUSED
    faults = [
        (lambda: window.unmap(descriptors), refused_descriptor, FaultReason.NOT_MAPPED),
        (lambda: window.spoil(descriptors), refused_descriptor, None),
        (lambda: window.map(completions), refused_completion, FaultReason.WRITE_DENIED),
        (lambda: window.spoil(completions), refused_completion, None),
        (doorbell_too_far, RingStopReason.DOORBELL_RANGE, None),
        (doorbell_back, RingStopReason.DOORBELL_RANGE, None),
    ]
    bench.rng.shuffle(faults)
    for spoil, reason, fault in faults:
        for _number in range(3):
            _send_good(bench, neighbour)
        neighbour.ring()
        _send_good(bench, ring)
        spoil()
        if reason is not RingStopReason.DOORBELL_RANGE:
            ring.ring()
        status = ring.registers.status.read
        bench.wait_for(lambda status=status: status().stopped == 1, f"stop for {reason.name}")
        assert status().reason == reason
        causes = ring.registers.interrupt_status
        bench.wait_for(lambda causes=causes: causes.read().stopped == 1, "interrupt cause")
        assert bench.adapter_interrupt
        assert ring.adapter.interrupt_summary.read().rings & 1
        if fault is not None:
            page, write = (
                (descriptors, False) if reason is refused_descriptor else (completions, True)
            )
            _expect_faults(bench, window, fault, page, write=write)
        # Repair, and start anew.
        ring.stop()
        window.map(descriptors)
        window.map(completions, write=True)
        causes.write(completion=1, stopped=1)
        ring.start()
        assert not ring.registers.status.read().stopped
        _send_good(bench, ring)
        ring.ring()
        ring.expect(_SUCCESS)
        assert all(completion.status == _SUCCESS for completion in neighbour.finish())
    assert len(neighbour.done) == 3 * len(faults)
    assert not neighbour.registers.status.read().stopped
    bench.run(200)  # A completion is in memory before its cause is set.
    for each in (ring, neighbour):
        each.registers.interrupt_status.write(completion=1, stopped=1)
    bench.wait_for(lambda: not bench.adapter_interrupt, "fall of the interrupt", 100)


@flow(stall=0.15, longest_latency=40)
def a_ring_is_reset_alone(bench: Bench) -> None:
    """At any moment, with its memory granted or not: it is as new, and a busy neighbour goes on."""
    window, ring = _start(bench, 0)
    _neighbour_window, neighbour = _start(bench, 1)
    binding = window.manager.binding[0]
    for turn in range(4):
        for number in range(8):
            frame = super_frame(bench.rng, 0, bench.rng.randbytes(6000), 1000)
            if number % 4 == 0 and ring.room() > 4:
                ring.send(frame)
            _send_good(bench, ring)
            _send_good(bench, neighbour)
        ring.ring()
        neighbour.ring()
        bench.run(bench.rng.randrange(1, 3000))
        if turn % 2:
            binding.write(valid=0)
            window.invalidate()
        ring.reset()
        registers = ring.registers
        assert not registers.control.read().enable
        assert registers.status.read().to_int() == 0
        assert registers.interrupt_status.read().to_int() == 0
        assert registers.interrupt_enable.read().to_int() == 0
        assert ring.doorbell.transmit.read().producer == 0
        # Until it is enabled the doorbell is not heard.
        ring.ring()
        binding.write(valid=1, window=0)
        _faults(bench, window)
        registers.interrupt_enable.write(completion=1, stopped=1)
        ring.start()
        _send_good(bench, ring)
        ring.ring()
        ring.expect(_SUCCESS)
        assert len(ring.done) == 1
        assert all(completion.status == _SUCCESS for completion in neighbour.finish())
    assert len(neighbour.done) == 4 * 8


@flow()
def without_a_window_nothing_is_reached(bench: Bench) -> None:
    """A ring that is not bound, or whose window is switched off, reads not even a descriptor."""
    window, ring = _start(bench)
    page = ring.descriptors // PAGE
    switch = window.registers.control
    binding = window.manager.binding[0]
    good = []
    for spoil, repair, reason in (
        (
            lambda: binding.write(valid=0),
            lambda: binding.write(valid=1, window=0),
            FaultReason.UNBOUND,
        ),
        (
            lambda: switch.write(enable=0),
            lambda: switch.write(enable=1),
            FaultReason.WINDOW_DISABLED,
        ),
    ):
        spoil()
        window.manager.invalidate.write(start=1, scope=InvalidateScope.EVERYTHING)
        _send_good(bench, ring)
        ring.ring()
        _expect_faults(bench, window, reason, page)
        bench.wait_for(lambda: ring.registers.status.read().stopped == 1, "stop of the ring")
        ring.stop()
        repair()
        ring.start()
        good.append(_send_good(bench, ring))
        ring.ring()
        ring.expect(_SUCCESS)
    _expect_on_wire(bench, good)


@flow(stall=0.2, longest_latency=30)
def a_grant_taken_back_under_traffic_is_gone(bench: Bench) -> None:
    """Once the invalidation has ended no beat of the page moves, while frames from it go on."""
    window, ring = _start(bench)
    _neighbour_window, neighbour = _start(bench, 1)
    place = window.take(PAGE)
    page = place // PAGE
    for _turn in range(6):
        for _number in range(12):
            ring.post([(place + bench.rng.randrange(PAGE // 2), bench.rng.randrange(60, 1500))])
            _send_good(bench, neighbour)
        ring.ring()
        neighbour.ring()
        bench.run(bench.rng.randrange(1500))
        window.unmap(page)
        outcomes = [completion.status for completion in ring.finish_or_restart()]
        assert set(outcomes) <= {_SUCCESS, TransmitStatus.MEMORY_REFUSED}
        assert all(completion.status == _SUCCESS for completion in neighbour.finish())
        refusals = outcomes[-12:].count(TransmitStatus.MEMORY_REFUSED)
        faults = _faults(bench, window)
        assert bool(refusals) == bool(faults), f"{refusals} refusals, {faults}"
        assert all(record.reason == FaultReason.NOT_MAPPED for record, _address in faults)
        window.map(page)
