"""Mutants of who may reach what: bindings, windows, extents, bursts, permissions, addresses."""

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

_TRANSLATOR = "translation/translator.py"
_STAGES = "translation/stages.py"
_REQUEST = "translation/request.py"
_PROOF = "tests/formal/test_bridge.py::test_always"
_CROSS = f"{_PROOF}[bursts that cross are not forwarded]"
_TABLES = "tests/formal/test_tables.py::test_walks_stay_in_their_table"
_TEST = "tests/rtl/test_translator.py::test"
_TRAFFIC = (
    "tests/rtl/test_bridge.py::test_random_traffic_is_translated_or_refused_as_the_tables_say"
    "[0-0.0-0.0-timing0]"
)
_BURSTS = f"{_TEST}_only_bursts_that_stay_in_their_page_pass"

MUTANTS = [
    Mutant(
        "a requester whose binding is not valid has window 0",
        _STAGES,
        "bound.unbound.eq(~binding.valid)",
        "bound.unbound.eq(0)",
        _TABLES,
    ),
    Mutant(
        "the binding is that of the ID, not of the requester",
        _STAGES,
        "lookup.requester.eq(chosen.request.user)",
        "lookup.requester.eq(chosen.request.id)",
        _TABLES,
    ),
    Mutant(
        "every requester has window 0",
        _STAGES,
        "Mux(binding.valid, binding.window, 0)",
        "Mux(binding.valid, 0, 0)",
        _TABLES,
    ),
    Mutant(
        "a disabled window translates",
        _STAGES,
        "looked_up.disabled.eq(~window.enable)",
        "looked_up.disabled.eq(0)",
        _TABLES,
    ),
    Mutant(
        "a window reaches one page too far",
        _TRANSLATOR,
        "(index >= looked_up.entries, Reason.EXTENT)",
        "(index > looked_up.entries, Reason.EXTENT)",
        _TABLES,
    ),
    Mutant(
        "page indexes are cut to 32 bits before the extent is checked",
        _TRANSLATOR,
        "(index >= looked_up.entries, Reason.EXTENT)",
        "(index[:32] >= looked_up.entries, Reason.EXTENT)",
        f"{_TEST}_a_page_past_the_table_is_an_extent_error",
    ),
    Mutant(
        "a page index is not added to the table's base, but joined by OR",
        _TRANSLATOR,
        "looked_up.table_base + page.index[_INDEX_BITS:]",
        "looked_up.table_base | page.index[_INDEX_BITS:]",
        _TABLES,
    ),
    Mutant(
        "an entry is read at its mirror image within its page of the table",
        _TRANSLATOR,
        "Cat(page.index[:_INDEX_BITS], looked_up.table_base",
        "Cat(~page.index[:_INDEX_BITS], looked_up.table_base",
        _TABLES,
    ),
    Mutant(
        "bursts that leave their page pass",
        _TRANSLATOR,
        "(self._burst_check.crosses(looked_up.burst, looked_up.request), Reason.PAGE_CROSSING)",
        "(looked_up.burst.reserved, Reason.PAGE_CROSSING)",
        _CROSS,
    ),
    Mutant(
        "bursts of an undefined kind pass",
        _TRANSLATOR,
        "(looked_up.burst.reserved, Reason.BURST_TYPE)",
        "(looked_up.disabled, Reason.BURST_TYPE)",
        _BURSTS,
    ),
    Mutant(
        "of several reasons the last is reported",
        _TRANSLATOR,
        "for condition, reason in reversed(reasons):",
        "for condition, reason in reasons:",
        _TRAFFIC,
    ),
    Mutant(
        "what an entry does not permit passes",
        _TRANSLATOR,
        "refused.eq(subject.refused | ~permits)",
        "refused.eq(subject.refused)",
        f"{_TEST}_what_the_table_does_not_permit_is_refused_by_walk_and_by_hit",
    ),
    Mutant(
        "after a walk, any permission permits any access",
        _TRANSLATOR,
        "Mux(returned.write, returned.entry.write, returned.entry.read)",
        "(returned.entry.write | returned.entry.read)",
        f"{_TEST}_what_the_table_does_not_permit_is_refused_by_walk_and_by_hit",
    ),
    Mutant(
        "an entry that could not be read counts as not mapped",
        _TRANSLATOR,
        "with m.If(walks.result.error):",
        "with m.If(0):",
        _TRAFFIC,
    ),
    Mutant(
        "the upper half of a page is translated as its lower half",
        _TRANSLATOR,
        "Cat(request.addr[:PAGE_BITS], entry.rpn)",
        "Cat(request.addr[: PAGE_BITS - 1], 0, entry.rpn)",
        f"{_PROOF}[bursts are forwarded as they are]",
    ),
    Mutant(
        "a page number of the system has its lowest bit from the I/O bus address",
        _TRANSLATOR,
        "Cat(request.addr[:PAGE_BITS], entry.rpn)",
        "Cat(request.addr[: PAGE_BITS + 1], entry.rpn[1:])",
        _TRAFFIC,
    ),
    Mutant(
        "the requester of a refusal is the ID",
        _TRANSLATOR,
        "fault.record.requester.eq(request.user)",
        "fault.record.requester.eq(request.id)",
        f"{_TEST}_a_request_of_nobody_is_unbound",
    ),
    Mutant(
        "every refusal is that of a read",
        _TRANSLATOR,
        "fault.record.write.eq(subject.write)",
        "fault.record.write.eq(0)",
        _TRAFFIC,
    ),
    Mutant(
        "refusals for want of a permission are not recorded",
        _TRANSLATOR,
        "self.fault.valid.eq(subject.valid & refused)",
        "self.fault.valid.eq(subject.valid & subject.refused)",
        f"{_TEST}_what_the_table_does_not_permit_is_refused_by_walk_and_by_hit",
    ),
    Mutant(
        "the address of a refusal is that of the system",
        _TRANSLATOR,
        "fault.address.eq(request.addr)",
        "fault.address.eq(Cat(request.addr[:PAGE_BITS], entry.rpn))",
        _TRAFFIC,
    ),
    Mutant(
        "the length of a burst is measured in half words",
        _REQUEST,
        "found.span.eq(request.len << request.size)",
        "found.span.eq((request.len << request.size) >> 1)",
        _CROSS,
    ),
    Mutant(
        "a burst is measured from the start of its page",
        _REQUEST,
        "(request.addr[:PAGE_BITS] + found.span)[PAGE_BITS:].any()",
        "found.span[PAGE_BITS:].any()",
        _CROSS,
    ),
    Mutant(
        "a burst may end on the first byte of the next page",
        _REQUEST,
        "(request.addr[:PAGE_BITS] + found.span)[PAGE_BITS:].any()",
        "((request.addr[:PAGE_BITS] + found.span) > 1 << PAGE_BITS)",
        _CROSS,
    ),
    Mutant(
        "a WRAP burst of any length passes",
        _REQUEST,
        "found.reserved.eq(undefined | wraps |",
        "found.reserved.eq(undefined |",
        _BURSTS,
    ),
    Mutant(
        "a burst type that AXI4 reserves passes",
        _REQUEST,
        "found.reserved.eq(undefined | wraps |",
        "found.reserved.eq(wraps |",
        _BURSTS,
    ),
    Mutant(
        "beats that are wider than the bus pass",
        _REQUEST,
        "| (request.size > self._largest_size)",
        "| 0",
        _BURSTS,
    ),
]
