"""Mutants of taking back: hold, drain, rest, forget, and only then say so."""

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

_INVALIDATOR = "translation/invalidator.py"
_TRANSLATOR = "translation/translator.py"
_AGENT = "translation/agent.py"
_PROOF = "tests/formal/test_bridge.py::test_always"
_ENDS = f"{_PROOF}[ends leave nothing]"
_REST = "tests/formal/test_paths.py::test_always[InvalidationsFindTheTranslatorAtRest]"

MUTANTS = [
    Mutant(
        "an invalidation ends before the IOTLB has forgotten",
        _INVALIDATOR,
        'with m.State("Forget"), m.If(self.invalidation.ready):',
        'with m.State("Forget"), m.If(1):',
        _REST,
    ),
    Mutant(
        "an invalidation does not wait for silence",
        _INVALIDATOR,
        'with m.State("Drain"), m.If(self.idle):',
        'with m.State("Drain"), m.If(1):',
        _REST,
    ),
    Mutant(
        "every invalidation is of window 0",
        _INVALIDATOR,
        "invalidation.page.window.eq(self.invalidate.window)",
        "invalidation.page.window.eq(0)",
        "tests/rtl/test_invalidator.py::test_each_invalidation_takes_its_steps_in_order_and_minds_no_other_start",
    ),
    Mutant(
        "a second start changes what the first one takes back",
        _INVALIDATOR,
        'with m.State("Drain"), m.If(self.idle):\n',
        'with m.State("Drain"), m.If(self.idle):\n'
        "                m.d.sync += invalidation.page.index.eq(self.invalidate.index)\n",
        "tests/rtl/test_invalidator.py::test_each_invalidation_takes_its_steps_in_order_and_minds_no_other_start",
    ),
    Mutant(
        "requests are let in during an invalidation",
        "translation/lane.py",
        "is_open.eq(~inside[-1] & ~self.hold)",
        "is_open.eq(~inside[-1])",
        _REST,
    ),
    Mutant(
        "pages are fetched ahead during an invalidation",
        _TRANSLATOR,
        "for one in (reads, writes, prefetcher):",
        "for one in (reads, writes):",
        _REST,
    ),
    Mutant(
        "the translator seems at rest while requests wait for a walk",
        _TRANSLATOR,
        "[prefetcher.proposal.valid, ~waiting.empty, ~walks.idle]",
        "[prefetcher.proposal.valid]",
        _REST,
    ),
    Mutant(
        "the translator seems at rest while a walk is under way",
        _TRANSLATOR,
        "[prefetcher.proposal.valid, ~waiting.empty, ~walks.idle]",
        "[prefetcher.proposal.valid, ~waiting.empty]",
        "tests/rtl/test_translator_ahead.py::test_a_stream_has_its_next_pages_walked_for_ahead_of_use[1]",
    ),
    Mutant(
        "the translator seems at rest while a request is in its first stage",
        _TRANSLATOR,
        "in (chosen, bound, looked_up, matched, returned)]",
        "in (bound, looked_up, matched, returned)]",
        _REST,
    ),
    Mutant(
        "the translator seems at rest while a request is in its last stage",
        _TRANSLATOR,
        "in (chosen, bound, looked_up, matched, returned)]",
        "in (chosen, bound, looked_up, returned)]",
        _REST,
    ),
    Mutant(
        "an invalidation does not wait for reads under way",
        _AGENT,
        "translator.idle & reads.idle & writes.idle",
        "translator.idle & writes.idle",
        _ENDS,
    ),
    Mutant(
        "an invalidation does not wait for writes under way",
        _AGENT,
        "translator.idle & reads.idle & writes.idle",
        "translator.idle & reads.idle",
        _ENDS,
    ),
    Mutant(
        "an invalidation does not wait for the translator",
        _AGENT,
        "translator.idle & reads.idle & writes.idle",
        "reads.idle & writes.idle",
        _ENDS,
    ),
    Mutant(
        "a read counts as over when its address is on the bus",
        "translation/read_path.py",
        "self.idle.eq(outstanding.none & ~addresses.o.valid)",
        "self.idle.eq(~addresses.o.valid)",
        _ENDS,
    ),
    Mutant(
        "a write counts as over when its data is on the bus",
        "translation/write_path.py",
        "self.idle.eq(outstanding.none & ~addresses.o.valid & ~beats.o.valid)",
        "self.idle.eq(owed.none & ~addresses.o.valid & ~beats.o.valid)",
        _ENDS,
    ),
    Mutant(
        "a lane lets in more than it has room for",
        "translation/lane.py",
        "is_open.eq(~inside[-1] & ~self.hold)",
        "is_open.eq(~self.hold)",
        "tests/rtl/test_lane.py::test_all_that_entered_is_given_back_though_nobody_takes_it",
    ),
]
