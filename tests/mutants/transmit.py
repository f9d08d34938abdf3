"""Mutants of the adapter: in whose name it reads and writes, and when it stops doing so."""

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

_RINGS = "transmit/rings.py"
_RING = "transmit/ring.py"
_SCHEDULER = "transmit/scheduler.py"
_PARSER = "transmit/parser.py"
_READER = "transmit/reader.py"
_SEGMENTER = "transmit/segmenter.py"
_TAG_INSERTER = "transmit/tag_inserter.py"
_COMPLETION = "transmit/completion.py"
_ARBITER = "bus/read_arbiter.py"
_NAMES = "tests/formal/test_requesters.py::test_requests_carry_the_requester_of_their_ring"
_BEATS = "tests/formal/test_reader.py::test_every_beat_comes_out_once_in_its_place_as_it_came"
_FRAMES = "tests/rtl/test_rings.py::test_every_frame_of_every_ring_is_completed[64-timing0-bursts0]"
_PARSED = (
    "tests/rtl/test_parser.py::test_every_frame_gets_the_status_of_the_reference[0.0-0.0-0.0-64]"
)
_CHECKS = "tests/rtl/test_descriptor_checks.py::test"
_GRANTS = f"{_CHECKS}_every_set_of_flags_meets_every_grant_that_is_missing"
_EDGES = f"{_CHECKS}_descriptors_at_the_edges_fail_the_checks_of_the_reference"
_RING_STOPS = (
    "tests/formal/test_ring.py"
    "::test_a_ring_asks_for_nothing_when_it_may_not_and_stops_when_it_is_refused"
)
_STOPS = "tests/rtl/test_rings_stop.py::test"

MUTANTS = [
    Mutant(
        "entries are read in the name of ring 0",
        _RINGS,
        "axi.aruser.eq(turns.index)",
        "axi.aruser.eq(0)",
        f"{_NAMES}[EntriesAreFetched]",
    ),
    Mutant(
        "entries of a ring are given to the next one",
        _RINGS,
        "axi.arid.eq(turns.index + self.first_read_id)",
        "axi.arid.eq((turns.index + 1) % self.rings + self.first_read_id)",
        f"{_NAMES}[EntriesAreFetched]",
    ),
    Mutant(
        "every ring takes every beat of entries for its own",
        _RINGS,
        "is_own = axi.rvalid & (axi.rid == self.first_read_id + number)",
        "is_own = axi.rvalid",
        _FRAMES,
    ),
    Mutant(
        "entries are stored where those of ring 0 are",
        _RINGS,
        "Array(ring.slot for ring in rings)[beat.ring], beat.ring)",
        "Array(ring.slot for ring in rings)[beat.ring])",
        _FRAMES,
    ),
    Mutant(
        "the offloads of ring 0 are granted to all rings",
        _RINGS,
        "scheduler.offloads[number].eq(self.config[number].offloads)",
        "scheduler.offloads[number].eq(self.config[0].offloads)",
        _FRAMES,
    ),
    Mutant(
        "entries are read past the end of a ring",
        _RING,
        "index.eq(fetched & index_mask)",
        "index.eq(fetched)",
        "tests/rtl/test_ring.py::test_entries_are_fetched_in_blocks_and_frames_become_ready",
    ),
    Mutant(
        "a doorbell may overtake the consumer",
        _RING,
        "((ahead | unconsumed) & ~index_mask)",
        "(ahead & ~index_mask)",
        "tests/rtl/test_ring.py::test_doorbells_keep_within_the_size_of_the_consumer",
    ),
    Mutant(
        "a doorbell may move by more than the size of the ring",
        _RING,
        "overrun.eq(rung & ((ahead | unconsumed) & ~index_mask).any())",
        "overrun.eq(0)",
        "tests/rtl/test_ring.py::test_doorbells_move_forward_by_no_more_than_the_size",
    ),
    Mutant(
        "entries that were refused make frames",
        _RING,
        "failed.eq(failed | self.beat_error)",
        "failed.eq(0)",
        "tests/rtl/test_ring_end.py::test_entries_from_one_that_failed_on_become_no_frame",
    ),
    Mutant(
        "a ring does not stop when its entries are refused",
        _RING,
        "with m.Elif(self.beat_valid & self.beat_error):",
        "with m.Elif(0):",
        _RING_STOPS,
    ),
    Mutant(
        "a ring that has stopped goes on asking for entries",
        _RING,
        "running.eq(status.active & ~status.stopped & ~draining)",
        "running.eq(status.active & ~draining)",
        _RING_STOPS,
    ),
    Mutant(
        "frames are handed on though data of their ring was refused",
        _RING,
        "drop.eq(self.refused | self.data_refused | config.reset)",
        "drop.eq(self.refused | config.reset)",
        _RING_STOPS,
    ),
    Mutant(
        "a ring does not stop when its data is refused",
        _RING,
        "with m.Elif(self.data_refused):",
        "with m.Elif(0):",
        _RING_STOPS,
    ),
    Mutant(
        "a reset lets whole frames go on",
        _RING,
        "drop.eq(self.refused | self.data_refused | config.reset)",
        "drop.eq(self.refused | self.data_refused)",
        _RING_STOPS,
    ),
    Mutant(
        "a ring that is being reset may start again",
        _RING,
        "self.starts.eq(~status.active & config.enable & ~config.reset)",
        "self.starts.eq(~status.active & config.enable)",
        _RING_STOPS,
    ),
    Mutant(
        "a reset is over while something of the ring is under way",
        _RING,
        "status.reset_done.eq(~status.active & config.reset)",
        "status.reset_done.eq(config.reset)",
        _RING_STOPS,
    ),
    Mutant(
        "data is fetched for a ring that is being reset",
        _READER,
        "axi.arvalid.eq(splitter.bursts.valid & has_slot & ~burst.dropped)",
        "axi.arvalid.eq(splitter.bursts.valid & has_slot)",
        "tests/rtl/test_reader.py::test_of_a_requester_that_is_dropped_nothing_more_is_asked_for",
    ),
    Mutant(
        "a burst that is not fetched comes as all its beats",
        _READER,
        "wanted_write.data.length.eq(Mux(burst.dropped, 0, burst.length))",
        "wanted_write.data.length.eq(burst.length)",
        "tests/rtl/test_reader.py::test_a_burst_that_is_dropped_takes_three_cycles",
    ),
    Mutant(
        "a frame that is not spoilt is broken off",
        _SEGMENTER,
        "ends_early.eq(beat.last & is_spoilt & ~plan.last)",
        "ends_early.eq(beat.last & ~plan.last)",
        "tests/rtl/test_segmenter.py::test_mixed_frames_match_the_reference[0-0-True]",
    ),
    Mutant(
        "a frame that ends with its addresses gets a tag",
        _TAG_INSERTER,
        "(tag.insert & (rest == left) & ~piece.last)",
        "(tag.insert & (rest == left))",
        "tests/rtl/test_tag_inserter.py::test_tags_stand_behind_the_addresses[0-0-0-64]",
    ),
    Mutant(
        "a read of entries that is refused looks like one that is not",
        _RINGS,
        "beat.error.eq(axi.rresp[1])",
        "beat.error.eq(axi.rresp[1] & ~axi.rresp[0])",
        "tests/formal/test_ring.py::test_reads_that_fail_stop_their_ring",
    ),
    Mutant(
        "a frame that is followed on the bus takes entries of any ring",
        _SCHEDULER,
        "with m.If(beat.valid & (beat.ring == chosen) & ~beat.opens & ~beat.error):",
        "with m.If(beat.valid & ~beat.opens & ~beat.error):",
        f"{_NAMES}[RowsAreHandedOn]",
    ),
    Mutant(
        "frames are read from the part of the store that is ring 0's",
        _SCHEDULER,
        "self.store_address.eq(Cat(row, slot, chosen))",
        "self.store_address.eq(Cat(row, slot))",
        f"{_NAMES}[RowsAreHandedOn]",
    ),
    Mutant(
        "fragments are asked for in the name of the ring before",
        _PARSER,
        "fragment_queue.item.requester.eq(rows.ring)",
        "fragment_queue.item.requester.eq(ring)",
        f"{_NAMES}[FragmentsAreNamed]",
    ),
    Mutant(
        "the fragments of a refused frame are fetched",
        _PARSER,
        "fragment_queue.commit.eq(self.started)",
        "fragment_queue.commit.eq(verdict)",
        "tests/rtl/test_parser.py::test_edges_lie_where_the_contract_draws_them",
    ),
    Mutant(
        "large send needs no grant",
        _PARSER,
        '                | (frame.large_send & refused("large_send"))\n',
        "",
        _GRANTS,
    ),
    Mutant(
        "UDP segmentation needs no grant",
        _PARSER,
        "                | (frame.udp_segmentation & ~granted.udp_segmentation)\n",
        "",
        _GRANTS,
    ),
    Mutant(
        "the generic checksum needs no grant",
        _PARSER,
        "                | (generic & ~granted.checksum_generic)\n",
        "",
        _GRANTS,
    ),
    Mutant(
        "a VLAN tag needs no grant",
        _PARSER,
        "                | (frame.insert_vlan & ~granted.vlan_insertion)\n",
        "",
        _GRANTS,
    ),
    Mutant(
        "a frame may be longer by its tag",
        _PARSER,
        'maximum_frame = constant("frame_limits.maximum_frame") - tag_bytes',
        'maximum_frame = constant("frame_limits.maximum_frame")',
        _EDGES,
    ),
    Mutant(
        "what is granted over IPv4 is granted over IPv6",
        _PARSER,
        'return ~Mux(frame.ipv6, getattr(granted, f"{name}_v6"), of_v4)',
        "return ~of_v4",
        _GRANTS,
    ),
    Mutant(
        "a generic checksum may overwrite the header of another",
        _PARSER,
        "self.field_in_header.eq(generic & by_protocol & (field < headers))",
        "self.field_in_header.eq(0)",
        _EDGES,
    ),
    Mutant(
        "a generic checksum may lie past the frame",
        _PARSER,
        "((start < _ETHERNET_HEADER) | (field + _CHECKSUM > total))",
        "(start < _ETHERNET_HEADER)",
        _EDGES,
    ),
    Mutant(
        "fragments that do not add up make a frame",
        _PARSER,
        "adds_up.eq(missing == length)",
        "adds_up.eq(1)",
        _PARSED,
    ),
    Mutant(
        "bursts are asked for in the name of the fragment that comes next",
        _READER,
        "burst.requester.eq(requester)",
        "burst.requester.eq(taken.requester)",
        f"{_NAMES}[FragmentsAreRead]",
    ),
    Mutant(
        "a slot of the reorder buffer is used before it is read",
        _READER,
        "has_slot = in_use != self.slots",
        "has_slot = in_use != self.slots + 1",
        _BEATS,
    ),
    Mutant(
        "data that was refused looks like data that could not be read",
        _READER,
        "put.data.error.eq(Cat(axi.rresp[0] & failed, failed))",
        "put.data.error.eq(Cat(0, failed))",
        _BEATS,
    ),
    Mutant(
        "completions are written in the name of ring 0",
        _COMPLETION,
        "axi.awuser.eq(ring)",
        "axi.awuser.eq(0)",
        f"{_NAMES}[CompletionsAreWritten]",
    ),
    Mutant(
        "completions of all rings are written where those of ring 0 are",
        _COMPLETION,
        "base.eq(config.completion_base)",
        "base.eq(self.configs[0].completion_base)",
        f"{_NAMES}[CompletionsAreWritten]",
    ),
    Mutant(
        "completions are written past the end of their ring",
        _COMPLETION,
        "index.eq(count & (size - 1))",
        "index.eq(count)",
        "tests/rtl/test_completion.py::test_each_frame_has_its_completion_in_order",
    ),
    Mutant(
        "a completion that was refused counts as written",
        _COMPLETION,
        "self.completed[ring].eq(is_this & ~failed)",
        "self.completed[ring].eq(is_this)",
        "tests/rtl/test_completion.py::test_a_refused_write_mutes_its_ring_alone",
    ),
    Mutant(
        "a ring whose completion was refused goes on writing",
        _COMPLETION,
        "with m.If(self.mute.bit_select(ring, 1)):",
        "with m.If(0):",
        "tests/rtl/test_completion.py::test_a_refused_write_mutes_its_ring_alone",
    ),
    Mutant(
        "a frame whose data was refused is reported as one that could not be read",
        _COMPLETION,
        "with m.Case(Resp.DECERR):\n                            "
        "m.d.sync += result.status.eq(_STATUS.MEMORY_REFUSED)",
        "with m.Case(Resp.DECERR):\n                            "
        "m.d.sync += result.status.eq(_STATUS.MEMORY_ERROR)",
        "tests/rtl/test_completion.py::test_each_frame_has_its_completion_in_order",
    ),
    Mutant(
        "reads are asked for in the name of the first master",
        _ARBITER,
        "offered = Array(getattr(master, name) for master in masters)",
        'offered = Array(getattr(masters[0] if name == "aruser" else master, name) '
        "for master in masters)",
        f"{_NAMES}[ReadsAreMerged]",
    ),
    Mutant(
        "beats go to the master of the ID below as well",
        _ARBITER,
        "(memory.rid < first + count)",
        "(memory.rid <= first + count)",
        "tests/rtl/test_read_arbiter.py::test_each_master_gets_its_own_beats_from_awkward_memory",
    ),
]
