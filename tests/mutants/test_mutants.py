"""Every mutant of the guard is caught, by a proof or by a test that passes without it."""

import pytest

from tests.mutants.laboratory import examine

#: Seconds that a test may take beside a mutant, and as it is.
LIMIT = 180


@pytest.mark.timeout(LIMIT + 60)
def test_it_is_caught(mutant, tmp_path, note):
    outcome = examine(tmp_path, mutant.caught_by, mutant, limit=LIMIT)
    note({"mutant": mutant.name, "file": mutant.file, **outcome._asdict()})
    assert outcome.result == "caught", f"survives: {outcome.how}"


@pytest.mark.timeout(LIMIT + 60)
def test_it_passes_without_a_mutant(catcher, tmp_path):
    outcome = examine(tmp_path, catcher, None, limit=LIMIT)
    assert outcome.result == "passed", outcome.how
