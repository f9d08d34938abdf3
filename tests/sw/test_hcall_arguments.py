"""Every argument of every hcall, wrong in every way: LoPAR's code for it, and nothing changed.

For each hcall stands here a call that succeeds, and for each of its arguments the values that are
wrong, with the answer to each: out of range, misaligned, foreign, stale, of another kind, in use.
All are called on one machine, and after each the whole state of manager, partitions and hardware is
what it was before, but for the counts of calls. The good call comes last: so the one wrong argument
is what each of the others was refused for.
"""

import collections
import enum
import inspect

import pytest

from byway.sw.contract.access import Fields
from byway.sw.manager.hcalls import Hcalls
from byway.sw.manager.return_codes import ReturnCode as R
from byway.sw.manager.rtce_hcalls import MAXIMUM_COPY
from byway.sw.manager.vioctl import VioSubfunction

PAGE = 4096
END = 16 * PAGE
COMMAND = 0x80 << 56
EVERY_BIT = (1 << 64) - 1
NO_REGISTER = (-1, -PAGE, 1 << 64, (1 << 64) + PAGE)
BAD = R.H_PARAMETER

HCALLS = sorted(name for name in dir(Hcalls) if name.startswith("h_"))


def parameters_of(name):
    kinds = inspect.signature(getattr(Hcalls, name)).parameters.values()
    return [p.name for p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD][1:]


# ---------------------------------------------------------------- the whole state of a machine


def frozen(root, *, without=()):
    """All that is reached from `root`, as plain values; objects in `without` are left out."""
    seen = {id(left_out): "left out" for left_out in without}

    def freeze(value):
        if id(value) in seen:
            return seen[id(value)]
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if isinstance(value, (list, tuple, collections.deque)):
            return tuple(map(freeze, value))
        if isinstance(value, dict):
            return tuple((freeze(key), freeze(item)) for key, item in value.items())
        if isinstance(value, (enum.Enum, Fields)) or not hasattr(value, "__dict__"):
            return repr(value)
        if callable(value):
            return repr(value)
        seen[id(value)] = f"{type(value).__name__} {len(seen)}"
        return seen[id(value)], freeze(vars(value))

    return freeze(root)


def test_the_state_that_is_compared_is_all_there_is(shared):
    """So that what is equal is not equal for want of looking."""
    hosted, client = shared.hosted, shared.vnic.client
    before = frozen(shared.manager)
    assert frozen(shared.manager) == before
    for change in (
        lambda: hosted.memory.write(5, b"x"),
        lambda: shared.hosting.hcalls.h_put_tce(shared.adapter.liobn[0], 5 * PAGE, 0x1003),
        lambda: hosted.hcalls.h_put_tce(client.liobn, 5 * PAGE, 0x1003),
        lambda: hosted.hcalls.h_liobn_attributes(client.liobn, 1, 0),
        lambda: hosted.hcalls.h_reg_sub_crq(client.unit, 0, PAGE),
        lambda: shared.enable_interrupt(client, next(iter(client.sub_crqs.values())).irq),
        lambda: shared.hardware.registers.write(0, 1),
        lambda: shared.hardware.dma_read(0, 5 * PAGE, 1),
    ):
        shared.manager.counters.hcalls.clear()
        change()
        shared.manager.counters.hcalls.clear()
        after = frozen(shared.manager)
        assert after != before
        before = after


# ---------------------------------------------------------------- the table


def around(good):
    """I/O bus addresses near `good` and far from it that no page of a window of 16 starts at."""
    return [good + 1, good + 8, good + PAGE - 1, END, END + PAGE, 1 << 63, -PAGE & EVERY_BIT]


def memory_addresses(partition):
    """What is no address of a page of `partition`."""
    return [8, PAGE + 1, 2 * PAGE - 8, partition.memory.size, 1 << 40, -PAGE & EVERY_BIT]


def table(w):
    """By name: the caller, the good arguments, and wrong values for each, by answer.

    An argument without wrong values takes whatever a register holds.
    """
    hosted, hosting, c, s = w.hosted, w.hosting, w.client, w.server
    no_window = [0, 1, w.other_client.liobn, s.liobn, s.r_liobn, *w.rings, w.dead_client.liobn]
    no_window += [c.unit, w.handle, 1 << 32 | c.liobn]
    no_unit = [0, 1, s.unit, w.other_client.unit, w.dead_client.unit, c.liobn, w.handle]
    no_unit += [1 << 32 | c.unit, EVERY_BIT]
    no_memory = [page | access for page in memory_addresses(hosted)[3:] for access in (1, 2, 3)]
    no_pane = [0, 1, s.liobn, c.liobn, *w.rings, w.foreign_server.r_liobn, s.unit, EVERY_BIT]
    closed_panes = [w.closed_server.r_liobn, w.dead_server.r_liobn]
    no_adapter = [0, 1, s.liobn, s.r_liobn, c.liobn, w.dead_client.liobn, s.unit, EVERY_BIT]
    no_pane_or_own = [0, 1, c.liobn, *w.rings, w.foreign_server.r_liobn, *closed_panes, s.unit]
    no_pane_or_own += [w.dead_client.liobn, w.other_client.liobn, EVERY_BIT]
    unmapped, read_only, write_only = 9 * PAGE, 5 * PAGE, 6 * PAGE
    counts = [13, 513, 1 << 32, 1 << 52, EVERY_BIT]
    no_queue = {BAD: [*around(0), PAGE, 2 * PAGE, unmapped]}
    no_length = {BAD: [0, 1, PAGE - 1, PAGE + 32, 2 * PAGE, END + PAGE, 1 << 63, EVERY_BIT]}
    headers = [header << 56 for header in (0, 1, 0x7F, 0x81, 0xC0, 0xFF)]
    r_ioba = {BAD: around(4 * PAGE), R.H_REMOTE_PARM: [unmapped, 0xF000], R.H_RESOURCE: [read_only]}

    return {
        "h_put_tce": (
            hosted,
            (c.liobn, 8 * PAGE, 0x3003),
            {BAD: [*no_window, EVERY_BIT]},
            {BAD: around(8 * PAGE)},
            {BAD: no_memory},
        ),
        "h_get_tce": (
            hosted,
            (c.liobn, 4 * PAGE),
            {BAD: [*no_window, EVERY_BIT]},
            {BAD: around(4 * PAGE)},
        ),
        "h_stuff_tce": (
            hosted,
            (c.liobn, 8 * PAGE, 0x3003, 8),
            {BAD: [*no_window, EVERY_BIT]},
            {BAD: [*around(8 * PAGE), 9 * PAGE]},
            {BAD: no_memory},
            {BAD: [9, 16, 512], R.H_P4: [513, 1 << 32, EVERY_BIT]},
        ),
        "h_put_tce_indirect": (
            hosted,
            (c.liobn, 8 * PAGE, w.tces, 4),
            {BAD: no_window, R.H_FUNCTION: [1 << 63, EVERY_BIT, -c.liobn & EVERY_BIT]},
            {BAD: [*around(8 * PAGE), 13 * PAGE]},
            {BAD: [*memory_addresses(hosted), w.bad_tces]},
            {BAD: [5, 9, 512, 513, EVERY_BIT]},
        ),
        "h_liobn_attributes": (hosted, (c.liobn, 1, 0), {BAD: [*no_window, EVERY_BIT]}, {}, {}),
        "h_put_rtce": (
            hosting,
            (s.r_liobn, 4 * PAGE, w.rings[1], 0, 1),
            {BAD: no_pane, R.H_REMOTE_PARM: closed_panes, R.H_RESOURCE: [w.strict_server.r_liobn]},
            r_ioba,
            {BAD: no_adapter},
            {BAD: around(0)},
            {BAD: counts},
        ),
        "h_put_rtce_indirect": (
            hosting,
            (w.r_iobas, s.r_liobn, w.rings[1], 12 * PAGE, 2),
            {BAD: memory_addresses(hosting)},
            {BAD: no_pane, R.H_REMOTE_PARM: closed_panes, R.H_RESOURCE: [w.strict_server.r_liobn]},
            {BAD: no_adapter},
            {BAD: [*around(12 * PAGE), 15 * PAGE]},
            {BAD: [5, *counts], (R.H_REMOTE_PARM, 2): [3, 4]},
        ),
        "h_remove_rtce": (
            hosting,
            (s.r_liobn, 5 * PAGE, w.rings[0], 3 * PAGE, 1, 0),
            {BAD: no_pane},
            {BAD: around(5 * PAGE)},
            {BAD: no_adapter},
            {BAD: around(3 * PAGE)},
            {BAD: counts},
            {},
        ),
        "h_copy_rdma": (
            hosting,
            (100, s.r_liobn, 4 * PAGE, s.liobn, 4 * PAGE + 50),
            {
                BAD: [MAXIMUM_COPY + 1, 1 << 63, EVERY_BIT],
                R.H_SOURCE_PARM: [13 * PAGE, MAXIMUM_COPY],
                R.H_DEST_PARM: [12 * PAGE - 49],
                R.H_PERMISSION: [PAGE, 3 * PAGE],
            },
            {R.H_SOURCE_PARM: no_pane_or_own},
            {
                R.H_SOURCE_PARM: [END, END - 99, 1 << 63, EVERY_BIT],
                R.H_PERMISSION: [unmapped, write_only, 4 * PAGE - 99, 6 * PAGE - 99],
            },
            {R.H_DEST_PARM: no_pane_or_own},
            {
                R.H_DEST_PARM: [END, END - 99, 1 << 63, EVERY_BIT],
                R.H_PERMISSION: [unmapped, read_only, 5 * PAGE - 99],
            },
        ),
        "h_reg_crq": (
            hosted,
            (w.closed_client.unit, 0, PAGE),
            {BAD: no_unit, R.H_RESOURCE: [c.unit]},
            no_queue,
            no_length,
        ),
        "h_free_crq": (
            hosted,
            (c.unit,),
            {BAD: no_unit, R.H_RESOURCE: [w.strict_client.unit]},
        ),
        "h_send_crq": (
            hosted,
            (c.unit, 0xC001 << 48, 0),
            {BAD: no_unit, R.H_CLOSED: [w.closed_client.unit]},
            {BAD: [0, 1, 0x7F << 56, 0xFF << 56, EVERY_BIT]},
            {},
        ),
        "h_enable_crq": (hosted, (c.unit,), {BAD: no_unit}),
        "h_reg_sub_crq": (
            hosted,
            (w.closed_client.unit, 0, PAGE),
            {BAD: no_unit},
            no_queue,
            no_length,
        ),
        "h_free_sub_crq": (
            hosted,
            (c.unit, w.handle),
            {BAD: [*no_unit, w.closed_client.unit]},
            {BAD: [0, 1, w.stale_handle, w.server_handle, w.irq, 1 << 32 | w.handle, EVERY_BIT]},
        ),
        "h_send_sub_crq": (
            hosted,
            (c.unit, w.server_handle, COMMAND, 0, 0, 0),
            {BAD: [*no_unit, w.closed_client.unit]},
            {BAD: [0, w.handle, w.stale_server_handle, w.other_handle, w.server_irq, EVERY_BIT]},
            {BAD: headers},
            {},
            {},
            {},
        ),
        "h_send_sub_crq_indirect": (
            hosted,
            (c.unit, w.server_handle, 7 * PAGE, 4),
            {BAD: [*no_unit, w.closed_client.unit]},
            {BAD: [0, w.handle, w.stale_server_handle, w.other_handle, w.server_irq, EVERY_BIT]},
            {BAD: [END, END - 96, unmapped, write_only, 8 * PAGE - 96, 7 * PAGE + 32, EVERY_BIT]},
            {BAD: [0, 5, 129, 1 << 59, EVERY_BIT]},
        ),
        "h_vioctl": (
            hosted,
            (c.unit, VioSubfunction.ENABLE_VIO_INTERRUPT, w.irq, 0, 0),
            {BAD: [*no_unit, w.closed_client.unit]},
            {
                R.H_NOT_FOUND: [0, 1, 0x11, 0x1E, 1 << 32 | 0x0C, EVERY_BIT],
                BAD: [
                    VioSubfunction.DISABLE_ALL_VIO_INTERRUPTS,
                    VioSubfunction.GET_MAX_REDIRECTED_MAPPINGS,
                ],
            },
            {BAD: [0, w.server_irq, w.stale_irq, w.other_client.irq, w.handle, 1 << 32 | w.irq]},
            {BAD: [1, EVERY_BIT]},
            {BAD: [1, EVERY_BIT]},
        ),
    }


def refused_whole(w):
    """Calls whose arguments are each as they should be, but not now, not together or not again."""
    c, s, hosted, hosting, other = w.client, w.server, w.hosted, w.hosting, w.shared.other
    unit, handle = w.other_client.unit, w.other_handle
    strict = w.strict_client.liobn
    return [
        (R.H_RESOURCE, hosted, "h_reg_crq", (c.unit, 0, PAGE)),
        (R.H_NOT_FOUND, hosting, "h_reg_crq", (w.dead_server.unit, 0, PAGE)),
        (R.H_SUCCESS, hosted, "h_free_crq", (w.closed_client.unit,)),
        (R.H_RESOURCE, hosting, "h_free_crq", (w.strict_server.unit,)),
        (R.H_RESOURCE, hosted, "h_put_tce", (strict, 4 * PAGE, 0)),
        (R.H_RESOURCE, hosted, "h_stuff_tce", (strict, 2 * PAGE, 0x3003, 3)),
        (R.H_RESOURCE, hosted, "h_put_tce_indirect", (strict, 2 * PAGE, w.tces, 3)),
        (BAD, hosted, "h_put_tce_indirect", (strict, 2 * PAGE, w.tces, 5)),
        (R.H_IN_USE, hosting, "h_put_rtce", (s.r_liobn, 5 * PAGE, w.rings[0], 3 * PAGE, 1)),
        (R.H_CLOSED, hosting, "h_send_crq", (w.dead_server.unit, COMMAND, 0)),
        (R.H_DROPPED, other, "h_send_crq", (unit, COMMAND, 0)),
        (R.H_DROPPED, other, "h_send_sub_crq", (unit, handle, COMMAND, 0, 0, 0)),
        (R.H_DROPPED, other, "h_send_sub_crq_indirect", (unit, handle, 7 * PAGE, 4)),
        (
            R.H_CLOSED,
            hosted,
            "h_send_sub_crq",
            (w.closed_client.unit, w.closed_handle, COMMAND, 0, 0, 0),
        ),
        (
            R.H_CLOSED,
            hosted,
            "h_send_sub_crq_indirect",
            (w.closed_client.unit, w.closed_handle, 4 * PAGE, 1),
        ),
    ]


# ---------------------------------------------------------------- the tests


@pytest.fixture
def expect(world):
    """Make a call, and check its answer, and that it changes nothing."""
    manager = world.shared.manager
    counted = (manager.counters.hcalls, manager.counters.refusals)
    states = {}  # While each runs; nothing else may ever differ.

    def check(caller, name, arguments, expected):
        code, value = expected if isinstance(expected, tuple) else (expected, 0)
        manager.switch_to(caller)
        manager.counters.crossings = 0
        if caller not in states:
            states[caller] = frozen(manager, without=counted)
        answer = getattr(caller.hcalls, name)(*arguments)
        what = f"{name}{arguments} by {caller.name}"
        if isinstance(answer, tuple):
            assert answer == (code, value, 0)[: len(answer)], what
        else:
            assert answer is code, what
        unchanged = frozen(manager, without=counted) == states[caller]
        assert unchanged, what

    return check


@pytest.mark.parametrize("name", HCALLS)
def test_each_wrong_argument_has_its_code_and_changes_nothing(world, expect, name):
    caller, good, *wrong = table(world)[name]
    assert len(good) == len(wrong) == len(parameters_of(name))
    for place, wrong_values in enumerate(wrong):
        for expected, values in (*wrong_values.items(), (BAD, NO_REGISTER)):
            for value in values:
                expect(caller, name, (*good[:place], value, *good[place + 1 :]), expected)
    not_theirs = R.H_SOURCE_PARM if name == "h_copy_rdma" else BAD
    for stranger in (world.shared.other, world.dead):
        expect(stranger, name, good, not_theirs)
    answer = getattr(caller.hcalls, name)(*good)
    code = answer[0] if isinstance(answer, tuple) else answer
    assert code is (R.H_CLOSED if name in {"h_reg_crq", "h_reg_sub_crq"} else R.H_SUCCESS)


def test_calls_at_the_wrong_time_have_their_code_and_change_nothing(world, expect):
    for code, caller, name, arguments in refused_whole(world):
        expect(caller, name, arguments, code)


def test_what_a_client_may_not_do_for_itself_is_refused_with_every_right_argument(world, expect):
    """The hcalls of a server, by the client whose memory it is."""
    for name in ("h_put_rtce", "h_put_rtce_indirect", "h_remove_rtce"):
        _server, good, *_wrong = table(world)[name]
        expect(world.hosted, name, good, BAD)
