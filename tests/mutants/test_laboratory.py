"""The laboratory tells a catch from everything else that a test may end in."""

import pytest

from tests.mutants.laboratory import ROOT, examine
from tests.mutants.mutant import Mutant, check_mutants

TEST = "tests/rtl/test_outstanding.py::test_of_the_memorys_answers_only_decerr_is_changed"
FILE = "translation/outstanding.py"
ANSWER = "return Mux(resp == Resp.DECERR, Resp.SLVERR, resp)"
#: Seconds in which that test ends, even on a busy machine.
LIMIT = 60


def mutant(new, *, old=ANSWER, test=TEST):
    return Mutant("a mutant", FILE, old, new, test)


@pytest.mark.parametrize(
    ("new", "result"),
    [
        ("return resp", "caught"),
        ("return Mux(resp != Resp.DECERR, resp, Resp.SLVERR)", "passed"),
        ("return Mux(resp == Resp.DECERR, Resp.SLVERR, resp", "error"),  # It cannot be read,
        ("return resp.no_such_member", "error"),  # nor this be built,
        ("assert resp is None", "error"),  # nor this, whose assertion is not one of the test.
    ],
)
def test_only_a_failed_assertion_of_the_test_is_a_catch(new, result, tmp_path):
    outcome = examine(tmp_path, TEST, mutant(new), limit=LIMIT)
    assert outcome.result == result, outcome.how


@pytest.mark.parametrize(
    ("test", "limit", "result"),
    [(TEST, 0.1, "timeout"), ("tests/rtl/test_outstanding.py::test_of_nothing", LIMIT, "error")],
)
def test_what_does_not_end_or_is_not_there_is_no_catch(test, limit, result, tmp_path):
    assert examine(tmp_path, test, mutant("return resp"), limit=limit).result == result


def test_the_hardware_itself_stays_as_it_is(tmp_path):
    before = (ROOT / "rtl" / FILE).read_text()
    examine(tmp_path, TEST, mutant("return resp"), limit=LIMIT)
    assert (ROOT / "rtl" / FILE).read_text() == before


@pytest.mark.parametrize("old", ["not in this file", "resp"])
def test_text_that_is_not_there_once_is_an_error(old, tmp_path):
    with pytest.raises(ValueError, match=r"must be in rtl/translation/outstanding\.py once, not "):
        examine(tmp_path, TEST, mutant("x", old=old), limit=LIMIT)


def test_two_mutants_must_differ():
    with pytest.raises(ValueError, match="not unique"):
        check_mutants([mutant("return resp"), mutant("return resp")])
