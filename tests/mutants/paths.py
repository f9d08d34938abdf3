"""Mutants of what becomes of judged requests: the two paths, order, faults."""

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

_READ = "translation/read_path.py"
_WRITE = "translation/write_path.py"
_ROOM = "translation/waiting_room.py"
_FAULT = "translation/fault.py"
_FORWARDS = "tests/formal/test_paths.py::test_always[OnlyWhatIsNotRefusedIsForwarded"
_READS = "tests/rtl/test_read_path.py::test_every_read_is_answered_among_walks"
_WRITES = (
    "tests/rtl/test_write_path.py::test_memory_holds_what_was_permitted_and_every_write_is_answered"
)
_ANSWERS = "tests/formal/test_answers.py::test_every_access_is_answered_once_and_refused_if_it_was"
_ORDER = (
    "tests/rtl/test_waiting_room.py"
    "::test_requests_leave_in_order_and_conflict_with_those_whose_order_they_keep"
)
_FAULTS = "tests/formal/test_fault_log.py::test_every_refusal_is_noticed"

MUTANTS = [
    Mutant(
        "a refused read is on the bus",
        _READ,
        "self.table_read.valid | (takes & ~self.translated.payload.refused)",
        "self.table_read.valid | takes",
        f"{_FORWARDS} ar]",
    ),
    Mutant(
        "a refused read is answered before earlier ones",
        _READ,
        'm.State("Drain"), m.If(outstanding.one):',
        'm.State("Drain"), m.If(1):',
        f"{_ANSWERS}[ReadsAreAnswered]",
    ),
    Mutant(
        "a refused read is answered with OKAY",
        _READ,
        "answers.i.payload.resp.eq(Resp.DECERR)",
        "answers.i.payload.resp.eq(Resp.OKAY)",
        f"{_ANSWERS}[ReadsAreAnswered]",
    ),
    Mutant(
        "a refused read is answered with what is on the bus",
        _READ,
        "            m.d.comb += answers.i.payload.resp.eq(Resp.DECERR)\n",
        "            m.d.comb += answers.i.payload.resp.eq(Resp.DECERR)\n"
        "            m.d.comb += answers.i.payload.data.eq(axi.rdata)\n",
        f"{_ANSWERS}[ReadsAreAnswered]",
    ),
    Mutant(
        "a refused read is answered with a beat too few",
        _READ,
        "beats_left.eq(request.len)",
        "beats_left.eq(request.len - (request.len != 0))",
        f"{_ANSWERS}[ReadsAreAnswered]",
    ),
    Mutant(
        "the master sees the entries that are walked for",
        _READ,
        "answers.i.valid.eq(axi.rvalid & ~is_table)",
        "answers.i.valid.eq(axi.rvalid)",
        f"{_ANSWERS}[ReadsAreAnswered]",
    ),
    Mutant(
        "what the master reads is taken for an entry",
        _READ,
        "self.table_beat.valid.eq(axi.rvalid & axi.rready & is_table)",
        "self.table_beat.valid.eq(axi.rvalid & axi.rready)",
        f"{_ANSWERS}[ReadsAreAnswered]",
    ),
    Mutant(
        "walks go by IDs of the master's",
        _READ,
        "self.table_read.payload.id | 1 << id_width",
        "self.table_read.payload.id",
        f"{_FORWARDS} ar]",
    ),
    Mutant(
        "more reads are under way than can be counted",
        _READ,
        "opens & addresses.i.ready & outstanding.room & ~self.table_read.valid",
        "opens & addresses.i.ready & ~self.table_read.valid",
        "tests/rtl/test_read_path.py::test_as_many_reads_are_under_way_as_the_limit_lets",
    ),
    Mutant(
        "DECERR of the memory looks as if the bridge had refused",
        "translation/outstanding.py",
        "return Mux(resp == Resp.DECERR, Resp.SLVERR, resp)",
        "return resp",
        f"{_ANSWERS}[ReadsAreAnswered]",
    ),
    Mutant(
        "a refused write is on the bus",
        _WRITE,
        "addresses.i.valid.eq(takes & ~refused)",
        "addresses.i.valid.eq(takes)",
        f"{_FORWARDS} aw]",
    ),
    Mutant(
        "the data of a refused write is on the bus",
        _WRITE,
        "owed.begins.eq(takes & ~refused)",
        "owed.begins.eq(takes)",
        f"{_ANSWERS}[WritesAreAnswered]",
    ),
    Mutant(
        "of a refused write only the first beat is absorbed",
        _WRITE,
        "                with m.If(ends):\n",
        "                with m.If(self.beats.valid):\n",
        f"{_ANSWERS}[WritesAreAnswered]",
    ),
    Mutant(
        "write data passes before its address is judged",
        _WRITE,
        "passes.eq(~owed.none)",
        "passes.eq(1)",
        f"{_ANSWERS}[WritesAreAnswered]",
    ),
    Mutant(
        "a refused write is answered with OKAY",
        _WRITE,
        "answers.i.payload.resp.eq(Resp.DECERR)",
        "answers.i.payload.resp.eq(Resp.OKAY)",
        f"{_ANSWERS}[WritesAreAnswered]",
    ),
    Mutant(
        "a refused write is answered before earlier ones",
        _WRITE,
        'm.State("Drain"), m.If(outstanding.one):',
        'm.State("Drain"), m.If(1):',
        f"{_ANSWERS}[WritesAreAnswered]",
    ),
    Mutant(
        "a refused write is answered under the ID of the one behind it",
        _WRITE,
        "answers.i.payload.id.eq(refused_id)",
        "answers.i.payload.id.eq(request.id)",
        "tests/formal/test_order.py::test_always[RefusedRequestsAreAnswered writes]",
    ),
    Mutant(
        "reads of an ID may pass each other",
        _ROOM,
        "(~one.write & ~other.write & (one.id == other.id))",
        "(~one.write & ~other.write & (one.id != other.id))",
        _ORDER,
    ),
    Mutant(
        "writes of different IDs may pass each other, their data not",
        _ROOM,
        "(one.write & other.write) |",
        "(one.write & other.write & (one.id == other.id)) |",
        _ORDER,
    ),
    Mutant(
        "who is at the door of the waiting room may be passed",
        _ROOM,
        "self.conflict.eq(conflicts.any() | behind_door)",
        "self.conflict.eq(conflicts.any())",
        _ORDER,
    ),
    Mutant(
        "who begins to wait may be passed in that cycle",
        "translation/translator.py",
        "matched.waits.eq(waiting.conflict | enters)",
        "matched.waits.eq(waiting.conflict)",
        "tests/rtl/test_translator_order.py::test_writes_keep_their_order_and_reads_that_of_their_id_whatever_stalls",
    ),
    Mutant(
        "a record that comes as another is dropped takes no place of its own",
        _FAULT,
        "write.addr.eq(write.addr + put)",
        "write.addr.eq(write.addr + (put & ~drop))",
        _FAULTS,
    ),
    Mutant(
        "a fault log forgets that it is full as a record is dropped",
        _FAULT,
        "level.eq(level + put - drop)",
        "level.eq(level + put - drop - (drop & level[-1]))",
        _FAULTS,
    ),
    Mutant(
        "a refusal that finds no room in the log is not counted",
        _FAULT,
        "status.lost.eq(status.lost + 1)",
        "status.lost.eq(status.lost)",
        _FAULTS,
    ),
    Mutant(
        "the count of lost refusals wraps to 0",
        _FAULT,
        "with m.Elif(lost & ~status.lost.all()):",
        "with m.Elif(lost):",
        "tests/rtl/test_fault.py::test_the_count_of_lost_refusals_saturates",
    ),
    Mutant(
        "a refusal that is lost while the count is cleared is not counted",
        _FAULT,
        "status.lost.eq(lost)",
        "status.lost.eq(0)",
        _FAULTS,
    ),
    Mutant(
        "the place of a requester in the fault log is taken by others",
        _FAULT,
        "(in_place | (level < self.depth - self.requesters))",
        "(in_place | (level < self.depth))",
        _FAULTS,
    ),
    Mutant(
        "a requester has its place in the fault log once",
        _FAULT,
        "with m.If(drop & shown_in_place):",
        "with m.If(0):",
        _FAULTS,
    ),
    Mutant(
        "a record that software has not seen can be dropped",
        _FAULT,
        "drop.eq(status.valid_modify & status.valid)",
        "drop.eq(status.valid_modify & (level != 0))",
        _FAULTS,
    ),
]
