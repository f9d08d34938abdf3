"""The judge and its markers: what is granted passes, and nothing beside it."""

import random

import pytest

from byway.sim.board.bus_beat import BeatKind, BusBeat
from byway.sim.board.wire_frame import WireFrame
from byway.sim.fuzz.grants import Grant, Grants
from byway.sim.fuzz.judge import Judge
from byway.sim.fuzz.markers import EPOCHS, MAXIMUM_BYTES, OWNERS, marked_page, markers_in
from byway.sim.fuzz.watch import Table
from byway.sw.contract.records import Completion, TransmitStatus

PAGE = 4096
WALKER = 32


class OneGrant(Grants):
    """Ring 1 may read page 5 in cycles 100 to 199."""

    def find(self, ring, page, access, cycle):
        granted = (ring, page, access) == (1, 5, 1) and 100 <= cycle < 200
        return Grant(5, 1, 100, 200) if granted else None


@pytest.fixture
def judge():
    judge = Judge(OneGrant, walker_id=WALKER, bus_bytes=8)
    judge.tables.append((1, Table(page=9, entries=16)))
    return judge


def beat(cycle=150, address=5 * PAGE, identifier=3, requester=1, kind=BeatKind.READ_DATA, size=8):
    page = marked_page(1, 1, address // PAGE % 1000)
    at = address % PAGE // 8 * 8
    data = page[at : at + 8].ljust(16, b"\0")
    return BusBeat(cycle, address, identifier, requester, kind, size, data)


def frame(data, cycle=300):
    return WireFrame(data.ljust(60, b"\0"), cycle, cycle + 80, True)


# --- The bus


@pytest.mark.parametrize("kind", [BeatKind.READ_ADDRESS, BeatKind.READ_DATA])
@pytest.mark.parametrize("cycle", [100, 199])
@pytest.mark.parametrize("address", [5 * PAGE, 6 * PAGE - 8])
def test_what_is_granted_passes(judge, kind, cycle, address):
    judge.judge_beats([beat(cycle=cycle, address=address, kind=kind)])
    assert not judge.violations


@pytest.mark.parametrize(
    "wrong",
    [
        {"cycle": 99},
        {"cycle": 200},
        {"address": 6 * PAGE},
        {"address": 5 * PAGE - 8},
        {"address": (5 << 52) + 5 * PAGE},
        {"requester": 0},
        {"requester": 2},
        {"kind": BeatKind.WRITE_ADDRESS},
        {"kind": BeatKind.WRITE_DATA, "address": 5 * PAGE + 8},
        {"identifier": WALKER},
        {"identifier": WALKER, "address": 9 * PAGE, "requester": 0},
        {"identifier": WALKER, "address": 9 * PAGE + 16 * 8},
        {"identifier": WALKER, "address": 9 * PAGE + 4},
        {"identifier": WALKER, "address": 9 * PAGE, "size": 16},
        {"identifier": WALKER, "address": 9 * PAGE, "kind": BeatKind.WRITE_ADDRESS},
    ],
    ids=str,
)
def test_what_is_not_is_told(judge, wrong):
    judge.judge_beats([beat(), beat(**wrong), beat()])
    (violation,) = judge.violations
    assert violation.cycle == wrong.get("cycle", 150)
    assert violation.kind in ("foreign beat", "walk")


def test_a_walk_reads_an_entry_of_its_table(judge):
    places = [9 * PAGE + 8 * index for index in range(16)]
    judge.judge_beats([beat(address=place, identifier=WALKER + 3) for place in places])
    assert not judge.violations


def test_a_use_before_does_not_vouch_for_one_after(judge):
    judge.judge_beats([beat(cycle=150), beat(cycle=250)])
    assert [violation.cycle for violation in judge.violations] == [250]


# --- The wire


def test_a_marker_that_its_ring_has_read_passes_at_any_byte(judge):
    judge.judge_beats([beat(address=5 * PAGE + 64), beat(address=5 * PAGE + 72)])
    page = marked_page(1, 1, 5)
    for shift in range(8):
        judge.judge_frame(frame(bytes(20 + shift) + page[64:80]))
    assert judge.markers == 16
    assert not judge.violations


def test_a_marker_that_nobody_has_read_is_foreign(judge):
    judge.judge_beats([beat(address=5 * PAGE + 64)])
    page = marked_page(1, 1, 5)
    judge.judge_frame(frame(page[64:72] + b"---" + page[72:80]))
    (violation,) = judge.violations
    assert violation.kind == "foreign bytes"
    assert violation.text.endswith("owner 1, epoch 1, address 0x5048")


def test_a_marker_that_was_read_later_is_foreign(judge):
    judge.judge_beats([beat(address=5 * PAGE, cycle=150)])
    judge.judge_frame(frame(marked_page(1, 1, 5)[:8], cycle=60))
    assert [violation.kind for violation in judge.violations] == ["foreign bytes"]


def test_two_rings_do_not_make_a_frame():
    class Everything(Grants):
        def find(self, ring, page, access, cycle):
            return Grant(page, access, 0)

    judge = Judge(Everything, walker_id=WALKER, bus_bytes=8)
    judge.judge_beats([beat(address=5 * PAGE), beat(address=6 * PAGE, requester=2)])
    one, two = marked_page(1, 1, 5)[:8], marked_page(1, 1, 6)[:8]
    judge.judge_frame(frame(one * 3))
    judge.judge_frame(frame(two * 3))
    assert not judge.violations
    judge.judge_frame(frame(one + two))
    assert [violation.kind for violation in judge.violations] == ["foreign bytes"]


def test_two_owners_do_not_make_a_frame():
    class Everything(Grants):
        def find(self, ring, page, access, cycle):
            return Grant(page, access, 0)

    judge = Judge(Everything, walker_id=WALKER, bus_bytes=8, one_owner=True)
    words = [marked_page(owner, 1, 5)[:8] for owner in (1, 2)]
    judge.judge_beats([beat()._replace(data=word.ljust(16, b"\0")) for word in words])
    for word in words:
        judge.judge_frame(frame(word * 2))
    assert not judge.violations
    judge.judge_frame(frame(words[0] + words[1]))
    assert [violation.kind for violation in judge.violations] == ["foreign bytes"]


@pytest.mark.parametrize("bus_bytes", [8, 16])
def test_a_completion_names_its_ring(bus_bytes):
    class Everything(Grants):
        def find(self, ring, page, access, cycle):
            return Grant(page, access, 0)

    judge = Judge(Everything, walker_id=WALKER, bus_bytes=bus_bytes)
    record = Completion(status=TransmitStatus.MSS_RANGE, ring=1, generation=1).pack()

    def write(requester):
        for at in range(0, Completion.SIZE, bus_bytes):
            written = beat(address=5 * PAGE + at, kind=BeatKind.WRITE_DATA, requester=requester)
            data = record[at : at + bus_bytes].ljust(16, b"\0")
            judge.judge_beats([written._replace(data=data)])

    write(1)
    assert not judge.violations
    write(2)
    assert [violation.kind for violation in judge.violations] == ["foreign completion"]
    assert judge.statuses == {"mss_range": 2}


# --- Markers


@pytest.mark.parametrize("seed", range(3))
def test_markers_tell_owner_epoch_and_place_wherever_they_begin(seed):
    rng = random.Random(seed)
    owner, epoch = rng.randrange(OWNERS), rng.randrange(EPOCHS)
    page = rng.randrange(MAXIMUM_BYTES // PAGE)
    content = marked_page(owner, epoch, page)
    assert len(content) == PAGE
    cut = rng.randrange(1, 8)
    found = list(markers_in(rng.randbytes(3) + content[cut:] + rng.randbytes(5)))
    inside = [marker for marker in found if marker.word in content]
    assert [marker.address for marker in inside] == list(
        range(page * PAGE + 8, (page + 1) * PAGE, 8)
    )
    assert {(marker.owner, marker.epoch) for marker in inside} == {(owner, epoch)}


def test_other_bytes_are_no_markers():
    rng = random.Random(0)
    assert len(list(markers_in(rng.randbytes(200_000)))) <= 1
    assert not list(markers_in(bytes(range(256)) * 50))
    assert not list(markers_in((b"\x80" + bytes(7)) * 50))
    assert not list(markers_in(bytes(1000)))


def test_what_no_marker_can_tell_is_refused():
    for numbers in ((OWNERS, 0, 0), (0, EPOCHS, 0), (0, 0, MAXIMUM_BYTES // PAGE), (-1, 0, 0)):
        with pytest.raises(ValueError, match="no marker tells"):
            marked_page(*numbers)
