"""Mutants of what is known of the tables: walks, their results, the IOTLB."""

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

_IOTLB = "translation/iotlb.py"
_WALKER = "translation/walker.py"
_WALKS = "translation/walks.py"
_WALK = "tests/formal/test_paths.py::test_always[WalksAreReadAtTheirPlace]"
_ANSWERS = "tests/formal/test_cache.py::test_always"
_SLOTS = (
    "tests/rtl/test_walks.py"
    "::test_a_page_is_walked_for_once_at_a_time_and_its_result_is_kept_while_needed"
)

MUTANTS = [
    Mutant(
        "a page is found by its set alone",
        _IOTLB,
        "                    & (line.tag == read_page.index[self._set_bits :])\n",
        "",
        _ANSWERS,
    ),
    Mutant(
        "a page is found whatever its window",
        _IOTLB,
        "                    & (line.window == read_page.window)\n",
        "",
        _ANSWERS,
    ),
    Mutant(
        "a line is found though it is not valid",
        _IOTLB,
        "                    read_valid[way]\n                    & ",
        "                    ",
        _ANSWERS,
    ),
    Mutant(
        "any way of the set may permit",
        _IOTLB,
        "self.permits.eq((match & permit).any())",
        "self.permits.eq(permit.any())",
        _ANSWERS,
    ),
    Mutant(
        "a hit takes read permission for write permission",
        _IOTLB,
        "Mux(read_is_write, line.entry.write, line.entry.read)",
        "line.entry.read",
        _ANSWERS,
    ),
    Mutant(
        "lines are stored as those of window 0",
        _IOTLB,
        "writer.data.window.eq(stored.page.window)",
        "writer.data.window.eq(0)",
        _ANSWERS,
    ),
    Mutant(
        "an invalidation of everything is one of the window",
        _IOTLB,
        "scope.matches(Scope.EVERYTHING, Scope.EVERYTHING + 1)",
        "(scope.matches(Scope.EVERYTHING, Scope.EVERYTHING + 1) & (line.window == page.window))",
        _ANSWERS,
    ),
    Mutant(
        "the scope that the contract leaves undefined takes nothing back",
        _IOTLB,
        "scope.matches(Scope.EVERYTHING, Scope.EVERYTHING + 1)",
        "(scope == Scope.EVERYTHING)",
        _ANSWERS,
    ),
    Mutant(
        "an invalidation of a window is one of a page",
        _IOTLB,
        "((scope == Scope.WINDOW) | is_page)",
        "is_page",
        _ANSWERS,
    ),
    Mutant(
        "an invalidation of a page looks at the set of another window",
        _IOTLB,
        "Mux(scope == Scope.PAGE, self._set_of(page), 0)",
        "Mux(scope == Scope.PAGE, page.index[: self._set_bits], 0)",
        _ANSWERS,
    ),
    Mutant(
        "a sweep leaves out the last set",
        _IOTLB,
        "(swept_set == self.sets - 1)",
        "(swept_set == self.sets - 2)",
        _ANSWERS,
    ),
    Mutant(
        "an invalidation forgets at most one way of a set",
        _IOTLB,
        "forgotten.eq(Mux(forgets, meant, 0))",
        "forgotten.eq(Mux(forgets, meant & (~meant + 1), 0))",
        _ANSWERS,
    ),
    Mutant(
        "an entry that the memory did not read may be read by",
        _WALKER,
        "entry.read.eq(tce.read & ~error)",
        "entry.read.eq(tce.read)",
        _WALK,
    ),
    Mutant(
        "an entry that the memory did not read may be written by",
        _WALKER,
        "entry.write.eq(tce.write & ~error)",
        "entry.write.eq(tce.write)",
        _WALK,
    ),
    Mutant(
        "of the memory's errors only SLVERR counts for a walk",
        _WALKER,
        "beat.resp.matches(Resp.SLVERR, Resp.DECERR)",
        "beat.resp.matches(Resp.SLVERR)",
        _WALK,
    ),
    Mutant(
        "a walk is answered for the slot that is asking now",
        _WALKER,
        "self.walked.payload.slot.eq(beat.slot)",
        "self.walked.payload.slot.eq(walk.slot)",
        _WALK,
    ),
    Mutant(
        "an entry is taken from the low word of a wide bus",
        _WALKER,
        "words[walk.slot].eq(walk.place[:word_bits])",
        "words[walk.slot].eq(0)",
        "tests/rtl/test_walker.py::test_walks_read_the_eight_bytes_of_their_entry_and_answer_as_the_memory_does",
    ),
    Mutant(
        "a request joins the walk for that page of another window",
        _WALKS,
        "(pages[slot] == self.search.payload)",
        "(pages[slot].index == self.search.payload.index)",
        _SLOTS,
    ),
    Mutant(
        "a walk begins with the result of the one before in its slot",
        _WALKS,
        "                m.d.sync += done[slot].eq(0)\n",
        "",
        _SLOTS,
    ),
    Mutant(
        "a slot is free though somebody waits for its result",
        _WALKS,
        " & ~self.keep[slot]",
        "",
        _SLOTS,
    ),
    Mutant(
        "a slot is free before the IOTLB has its entry",
        _WALKS,
        "with m.If(stores[slot]):",
        "with m.If(begins & ~begins_here):",
        _SLOTS,
    ),
    Mutant(
        "what came of a walk is stored for another",
        _WALKS,
        "write.addr.eq(walked.slot)",
        "write.addr.eq(self.slot)",
        _SLOTS,
    ),
    Mutant(
        "an entry goes to the IOTLB as that of the newest walk",
        _WALKS,
        "refill.payload.page.eq(pages[walked.slot])",
        "refill.payload.page.eq(pages[self.slot])",
        _SLOTS,
    ),
]
