"""Parses the entries of a frame, checks them, and starts the frame or refuses it.

`FrameParser` makes a `FrameContext` of every frame, and of a good one a `FrameCommand` and its
fragments. Of a refused frame nothing else leaves: its fragments wait in a queue until the verdict,
so that nothing of it is ever fetched. The status is the first of these that applies; limits are
those of the frame with its VLAN tag, if one is to be inserted:

1. ``fragment_count``: no fragment, or more than the maximum. Only the descriptor is consumed.
2. ``length_short``: a fragment of length 0, or a frame shorter than an Ethernet header.
3. ``length_mismatch``: the fragments do not add up to the total length.
4. ``length_long``: a frame longer than the maximum; for segmentation, an IP packet longer than the
   maximum of its version.
5. ``flags_conflict``: what is of TCP together with what is of UDP; the IPv4 checksum of an IPv6
   packet; the generic checksum together with segmentation.
6. ``not_granted``: an offload that is not granted to the ring: each checksum asked for, over its
   version of IP; large send over its version, UDP segmentation (whose grants cover the checksums
   that they imply); a VLAN tag; more than one fragment (scatter/gather).
7. ``offset_range``: where a checksum by protocol or segmentation is asked for, an odd offset, an IP
   header that begins within the Ethernet header, or an L4 header that begins within the least IP
   header; for checksums besides, an L4 offset past the frame, or a least TCP or UDP header that
   ends past it. Where the generic checksum is asked for, an odd start or offset, a start within
   the Ethernet header, or a field that ends past the frame; and beside a checksum by protocol, a
   field that begins before the L4 header, or before the end of the least TCP or UDP header.
8. ``header_length``: for segmentation, a header longer than the maximum or the frame, or that ends
   before the least TCP or UDP header does.
9. ``mss_range``: for segmentation, an MSS out of range, or that with its header passes the maximum
   frame.

Clock domain: sync. Latency with a data width of 64: 2 cycles from the last row of a frame to its
first fragment, 3 to its command and context. Throughput: a row each cycle.

Source: `transmit_descriptor`, `scatter_gather_entry` and ``transmit_status`` of the contract;
IEEE 802.3 clause 3.2 (header), RFC 791, 8200, 768 and 9293 (least headers).
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from byway.rtl.contract.model import codes, constant, record
from byway.rtl.transmit.commit_queue import CommitQueue
from byway.rtl.transmit.completion import FrameContext
from byway.rtl.transmit.frame import Fragment, FrameCommand
from byway.rtl.transmit.ring import EntryRows, OffloadGrants
from byway.rtl.transmit.scheduler import RowSignature
from byway.rtl.transmit.tag_inserter import TAG_BYTES

__all__ = ["DescriptorChecks", "FrameParser"]

_ETHERNET_HEADER = 14
_LEAST_IPV4_HEADER = 20
_IPV6_HEADER = 40
_LEAST_TCP_HEADER = 20
_UDP_HEADER = 8
_CHECKSUM = 2
_OFFSETS = ("ip_offset", "l4_offset", "checksum_start", "header_length")

_DESCRIPTOR = record("transmit_descriptor")
_STATUS = codes("transmit_status")
_MOST_FRAGMENTS = constant("frame_limits.maximum_fragments")


class _KeptDescriptor(data.StructLayout):
    """The fields of a descriptor that are looked at once all have come."""

    def __init__(self):
        fields = {str(name): unsigned(field.width) for name, field in _DESCRIPTOR}
        del fields["address"], fields["fragment_length"]
        super().__init__(fields)


class DescriptorChecks(wiring.Component):
    """Checks of a descriptor by itself, each for its own, one cycle later.

    Parameters
    ----------
    maximum_fragments : int
        See `FrameParser`.

    Members
    -------
    descriptor : In
        The fields of the descriptor, those of the first fragment excepted.
    offloads : In(OffloadGrants())
        What is granted to the ring.
    fragment_count, length_short, ... : Out(1)
        The check of that name failed, as listed at the head of this file.
    field_range, field_in_header : Out(1)
        The check ``offset_range`` failed for the generic checksum: by its own limits, or as its
        field is not behind the headers of the other checksums. The first tells of all else.
    """

    descriptor: Any
    offloads: Any
    fragment_count: Signal
    length_short: Signal
    length_long: Signal
    flags_conflict: Signal
    not_granted: Signal
    offset_range: Signal
    field_range: Signal
    field_in_header: Signal
    header_length: Signal
    mss_range: Signal

    def __init__(self, *, maximum_fragments: int = _MOST_FRAGMENTS):
        self.maximum_fragments = maximum_fragments
        super().__init__(
            {
                "descriptor": In(_KeptDescriptor()),
                "offloads": In(OffloadGrants()),
                "fragment_count": Out(1),
                "length_short": Out(1),
                "length_long": Out(1),
                "flags_conflict": Out(1),
                "not_granted": Out(1),
                "offset_range": Out(1),
                "field_range": Out(1),
                "field_in_header": Out(1),
                "header_length": Out(1),
                "mss_range": Out(1),
            }
        )

    def elaborate(self, platform):
        """Compare everything side by side."""
        m = Module()
        frame, granted = self.descriptor, self.offloads
        segmented = frame.large_send | frame.udp_segmentation
        total = frame.total_length
        ip, l4 = frame.ip_offset, frame.l4_offset
        # A tag is before all that the offsets tell of, so that only outer limits are nearer by it.
        tag_bytes = Mux(frame.insert_vlan, TAG_BYTES, 0)
        maximum_frame = constant("frame_limits.maximum_frame") - tag_bytes
        maximum_header = constant("frame_limits.maximum_header") - tag_bytes
        farthest = (1 << len(ip)) - 1 - tag_bytes

        # Lengths and the count of fragments.
        long_packet = Mux(
            frame.ipv6,
            total > ip + constant("large_send_v6.maximum_packet"),
            total > ip + constant("large_send_v4.maximum_packet"),
        )
        m.d.sync += [
            self.fragment_count.eq(
                (frame.fragments == 0) | (frame.fragments > self.maximum_fragments)
            ),
            self.length_short.eq(total < _ETHERNET_HEADER),
            self.length_long.eq(Mux(segmented, long_packet, total > maximum_frame)),
        ]

        # What is asked for, and what is granted.
        is_tcp = frame.checksum_tcp | frame.large_send
        is_udp = frame.checksum_udp | frame.udp_segmentation
        generic = frame.checksum_generic
        tcp_alone = frame.checksum_tcp & ~segmented
        udp_alone = frame.checksum_udp & ~segmented

        def refused(name):
            of_v4 = getattr(granted, name if name.startswith("checksum") else f"{name}_v4")
            return ~Mux(frame.ipv6, getattr(granted, f"{name}_v6"), of_v4)

        m.d.sync += [
            self.flags_conflict.eq(
                (is_tcp & is_udp) | (frame.checksum_ipv4 & frame.ipv6) | (generic & segmented)
            ),
            self.not_granted.eq(
                (frame.checksum_ipv4 & ~segmented & ~granted.checksum_ipv4)
                | (tcp_alone & refused("checksum_tcp"))
                | (udp_alone & refused("checksum_udp"))
                | (frame.large_send & refused("large_send"))
                | (frame.udp_segmentation & ~granted.udp_segmentation)
                | (generic & ~granted.checksum_generic)
                | (frame.insert_vlan & ~granted.vlan_insertion)
                | ((frame.fragments > 1) & ~granted.scatter_gather)
            ),
        ]

        # Offsets. Where flags do not conflict, the headers end here.
        by_protocol = frame.checksum_ipv4 | is_tcp | is_udp
        headers = l4 + Mux(is_tcp, _LEAST_TCP_HEADER, Mux(is_udp, _UDP_HEADER, 0))
        least_ip_header = Mux(frame.ipv6, _IPV6_HEADER, _LEAST_IPV4_HEADER)
        out_of_order = (ip < _ETHERNET_HEADER) | (l4 < ip + least_ip_header)
        start, offset = frame.checksum_start, frame.checksum_offset
        field = start + offset
        m.d.sync += [
            self.offset_range.eq(
                (by_protocol & (ip[0] | l4[0] | out_of_order | (l4 > farthest)))
                | (by_protocol & ~segmented & (headers > total))
            ),
            self.field_range.eq(
                generic
                & (
                    (start[0] | offset[0] | (start > farthest))
                    | ((start < _ETHERNET_HEADER) | (field + _CHECKSUM > total))
                )
            ),
            self.field_in_header.eq(generic & by_protocol & (field < headers)),
        ]

        # Segmentation.
        header = frame.header_length
        m.d.sync += [
            self.header_length.eq(
                segmented & ((header > maximum_header) | (header > total) | (header < headers))
            ),
            self.mss_range.eq(
                segmented
                & (
                    (frame.mss < constant("mss_limits.minimum_mss"))
                    | (frame.mss > constant("mss_limits.maximum_mss"))
                    | (header + frame.mss > maximum_frame)
                )
            ),
        ]
        return m


class FrameParser(wiring.Component):
    """Starts or refuses frames; its laws stand at the head of this file.

    Parameters
    ----------
    rings : int
        How many rings there are.
    data_width : int
        Bits of a row: 64 or 128.
    frames_ahead : int
        Frames that can be parsed before the first of them is finished; a power of two from 4.
    maximum_fragments : int
        Of a frame, as the contract says; fewer make it small enough for proofs: 2**n - 1.

    Members
    -------
    rows : In(RowSignature(...))
        Entries of frames.
    room : Out(1)
        There is room for a whole frame, and for what may be on its way from the rows before.
    fragments : Out(stream.Signature(Fragment()))
        What to fetch.
    frames : Out(stream.Signature(FrameCommand()))
        What to do with it.
    contexts : Out(stream.Signature(FrameContext(rings)))
        What to tell of it, and of refused frames.
    started : Out(1)
        High for one cycle as a frame is started.

    Raises
    ------
    ValueError
        If `data_width` is not as above.
    """

    rows: Any
    room: Signal
    fragments: stream.Interface
    frames: stream.Interface
    contexts: stream.Interface
    started: Signal

    def __init__(
        self,
        *,
        rings: int = 4,
        data_width: int = 64,
        frames_ahead: int = 16,
        maximum_fragments: int = _MOST_FRAGMENTS,
    ):
        self.rings = rings
        self.frames_ahead = frames_ahead
        self.maximum_fragments = maximum_fragments
        self.entry_rows = EntryRows(data_width)
        super().__init__(
            {
                "rows": In(RowSignature(rings=rings, data_width=data_width)),
                "room": Out(1),
                "fragments": Out(stream.Signature(Fragment())),
                "frames": Out(stream.Signature(FrameCommand())),
                "contexts": Out(stream.Signature(FrameContext(rings))),
                "started": Out(1),
            }
        )

    def elaborate(self, platform):
        """Take rows apart, then judge the whole."""
        m = Module()
        rows = self.rows
        m.submodules.fragment_queue = fragment_queue = CommitQueue(
            Fragment(), depth=2 * (self.maximum_fragments + 1)
        )
        m.submodules.frame_queue = frame_queue = CommitQueue(
            FrameCommand(), depth=self.frames_ahead
        )
        m.submodules.context_queue = context_queue = CommitQueue(
            FrameContext(self.rings), depth=self.frames_ahead
        )
        wiring.connect(m, fragment_queue.items, wiring.flipped(self.fragments))
        wiring.connect(m, frame_queue.items, wiring.flipped(self.frames))
        wiring.connect(m, context_queue.items, wiring.flipped(self.contexts))

        # Room for a frame, one more than levels tell: they are late by the frame before.
        m.d.sync += self.room.eq(
            (fragment_queue.level <= self.maximum_fragments)
            & (frame_queue.level < self.frames_ahead - 1)
            & (context_queue.level < self.frames_ahead - 1)
        )

        # Keep the descriptor, and whose it is.
        descriptor = Signal(_KeptDescriptor())
        ring = Signal.like(rows.ring)
        offloads = Signal(OffloadGrants())
        consumer = Signal.like(rows.consumer)
        opens = self._at(0)
        for name in descriptor.shape().members:
            row, bits = self.entry_rows.place("transmit_descriptor", name)
            with m.If(self._at(row)):
                m.d.sync += descriptor[name].eq(rows.data[bits])
        with m.If(opens):
            m.d.sync += [
                ring.eq(rows.ring),
                offloads.eq(rows.offloads),
                consumer.eq(rows.consumer + 1),
            ]
        with m.Elif(rows.valid & (rows.row == 0)):
            m.d.sync += consumer.eq(consumer + 1)

        # Collect the fragments, and see whether they add up.
        ends, adds_up, has_empty = self._collect(m, fragment_queue)
        m.d.comb += fragment_queue.item.requester.eq(rows.ring)

        # Check the descriptor while the rest comes.
        m.submodules.checks = checks = DescriptorChecks(maximum_fragments=self.maximum_fragments)
        m.d.comb += [checks.descriptor.eq(descriptor), checks.offloads.eq(offloads)]
        last_checked, _bits = self.entry_rows.place("transmit_descriptor", "large_send")
        verdict = Signal()
        if last_checked < self.entry_rows.count - 1:
            m.d.sync += verdict.eq(ends)
        else:
            # The last row is checked too: wait for that.
            ended = Signal()
            m.d.sync += [ended.eq(ends), verdict.eq(ended)]

        # The verdict: the first check that failed.
        status = Signal(_STATUS, init=_STATUS.SUCCESS)
        failures = [
            (checks.fragment_count, _STATUS.FRAGMENT_COUNT),
            (checks.length_short | has_empty, _STATUS.LENGTH_SHORT),
            (~adds_up, _STATUS.LENGTH_MISMATCH),
            (checks.length_long, _STATUS.LENGTH_LONG),
            (checks.flags_conflict, _STATUS.FLAGS_CONFLICT),
            (checks.not_granted, _STATUS.NOT_GRANTED),
            (
                checks.offset_range | checks.field_range | checks.field_in_header,
                _STATUS.OFFSET_RANGE,
            ),
            (checks.header_length, _STATUS.HEADER_LENGTH),
            (checks.mss_range, _STATUS.MSS_RANGE),
        ]
        chosen: Value = Value.cast(status.init)
        is_bad: Value = Value.cast(0)
        for failed, code in reversed(failures):
            chosen = Mux(failed, code, chosen)
            is_bad = is_bad | failed
        m.d.comb += [status.eq(chosen), self.started.eq(verdict & ~is_bad)]

        # Start the frame or forget its fragments.
        m.d.comb += [
            fragment_queue.commit.eq(self.started),
            fragment_queue.rollback.eq(verdict | opens),
            frame_queue.push.eq(self.started),
            frame_queue.commit.eq(1),
            context_queue.push.eq(verdict),
            context_queue.commit.eq(1),
            context_queue.item.ring.eq(ring),
            context_queue.item.correlator.eq(descriptor.correlator),
            context_queue.item.status.eq(status),
            context_queue.item.consumer.eq(consumer),
        ]
        for name in frame_queue.item.shape().members:
            m.d.comb += frame_queue.item[name].eq(descriptor[name])
        # From here on the frame has its tag.
        with m.If(descriptor.insert_vlan):
            for name in ("total_length", *_OFFSETS):
                m.d.comb += frame_queue.item[name].eq(descriptor[name] + TAG_BYTES)
        segmented = descriptor.large_send | descriptor.udp_segmentation
        with m.If(segmented):
            m.d.comb += [
                frame_queue.item.large_send.eq(1),
                frame_queue.item.checksum_ipv4.eq(~descriptor.ipv6),
                frame_queue.item.checksum_tcp.eq(descriptor.large_send),
                frame_queue.item.checksum_udp.eq(descriptor.udp_segmentation),
            ]
        return m

    def _at(self, row: int) -> Value:
        """Whether this is row `row` of a descriptor."""
        return self.rows.valid & self.rows.descriptor & (self.rows.row == row)

    def _collect(self, m: Module, queue: CommitQueue) -> tuple[Signal, Signal, Signal]:
        """Put fragments into the queue as their lengths come.

        Returns whether the frame ends with this row; and for the cycle after it, whether the
        fragments bring as many bytes as the total length, and whether one had length 0.
        """
        rows, item = self.rows, queue.item
        place = self.entry_rows.place
        first_row, length_bits = place("transmit_descriptor", "fragment_length")
        rows_of_more = [
            place("scatter_gather_entry", name)[0] for name in ("first_length", "second_length")
        ]
        _row, count_bits = place("transmit_descriptor", "fragments")
        _row, total_bits = place("transmit_descriptor", "total_length")
        length = rows.data[length_bits]
        count = rows.data[count_bits]

        # An address stands in the same row as its length or, in narrow rows, in the one before.
        address = rows.data[: len(item.address)]
        if length_bits.start == 0:
            address_before = Signal.like(item.address)
            with m.If(rows.valid):
                m.d.sync += address_before.eq(address)
            address = address_before

        # Fragments still to come, and bytes. The first fragment sets both.
        left = Signal(range(self.maximum_fragments + 1))
        missing = Signal(range(self.maximum_fragments << len(item.length)))
        adds_up = Signal()  # None is missing.
        has_empty = Signal()
        is_first = self._at(first_row)
        is_further = (
            rows.valid
            & ~rows.descriptor
            & (left != 0)
            & ((rows.row == rows_of_more[0]) | (rows.row == rows_of_more[1]))
        )
        m.d.comb += [
            queue.push.eq(is_first | is_further),
            item.address.eq(address),
            item.length.eq(length),
            item.last.eq(Mux(rows.descriptor, count == 1, left == 1)),
        ]
        with m.If(is_first):
            in_range = (count != 0) & (count <= self.maximum_fragments)
            m.d.sync += [
                left.eq(Mux(in_range, count - 1, 0)),
                missing.eq(rows.data[total_bits] - length),
                adds_up.eq(rows.data[total_bits] == length),
                has_empty.eq(length == 0),
            ]
        with m.Elif(is_further):
            m.d.sync += [
                left.eq(left - 1),
                missing.eq(missing - length),
                adds_up.eq(missing == length),
                has_empty.eq(has_empty | (length == 0)),
            ]

        # The last entry's last row ends the frame, whether or not its fragment counts.
        ends = Signal()
        is_last_row = rows.valid & (rows.row == self.entry_rows.count - 1)
        m.d.comb += ends.eq(is_last_row & Mux(rows.descriptor, left == 0, left <= 1))
        return ends, adds_up, has_empty
