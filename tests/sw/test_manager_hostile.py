"""Hostile partitions: garbage at every hcall is answered by a code, and reaches nobody else."""

import inspect
import itertools
import random

import pytest

from byway.sw.manager.hcalls import Hcalls
from byway.sw.manager.return_codes import ReturnCode

PAGE = 4096
PAGES = 16

HCALLS = {
    name: [
        parameter.name
        for parameter in list(inspect.signature(method).parameters.values())[1:]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    for name, method in inspect.getmembers(Hcalls, inspect.isfunction)
    if name.startswith("h_")
}


def test_every_hcall_of_the_first_list_is_attacked():
    assert sorted(HCALLS) == [
        "h_copy_rdma",
        "h_enable_crq",
        "h_free_crq",
        "h_free_sub_crq",
        "h_get_tce",
        "h_liobn_attributes",
        "h_put_rtce",
        "h_put_rtce_indirect",
        "h_put_tce",
        "h_put_tce_indirect",
        "h_reg_crq",
        "h_reg_sub_crq",
        "h_remove_rtce",
        "h_send_crq",
        "h_send_sub_crq",
        "h_send_sub_crq_indirect",
        "h_stuff_tce",
        "h_vioctl",
    ]


class Attacker:
    """Calls hcalls with arguments that are half plausible, half anything.

    Parameters
    ----------
    caller
        The hostile partition.
    shared
        The machine, of which the attacker knows every name, its own and others'.
    handles
        Sub-CRQ handles.
    """

    def __init__(self, caller, shared, handles, rng):
        self.caller = caller
        self.rng = rng
        ends = [*shared.vnic, *shared.other_vnic]
        self.units = self._own_first([(end.unit, end.owner) for end in ends])
        windows = [(end.liobn, end.owner) for end in ends]
        windows += [(liobn, shared.hosting) for liobn in shared.adapter.liobn]
        self.liobns = self._own_first(windows)
        self.panes = [vnic.server.r_liobn for vnic in (shared.vnic, shared.other_vnic)]
        self.handles = handles

    def _own_first(self, named):
        """Names, those of the caller's own things three times."""
        return [name for name, owner in named for _ in range(3 if owner is self.caller else 1)]

    def attack(self, calls):
        """Make so many calls; return how many succeeded."""
        succeeded = 0
        for _ in range(calls):
            name, parameters = self.rng.choice(list(HCALLS.items()))
            answer = getattr(self.caller.hcalls, name)(*map(self._argument, parameters))
            code = answer[0] if isinstance(answer, tuple) else answer
            assert isinstance(code, ReturnCode)
            succeeded += code is ReturnCode.H_SUCCESS
        return succeeded

    def _argument(self, parameter):
        return self._plausible(parameter) if self.rng.random() < 0.8 else self._anything()

    def _plausible(self, parameter):
        rng = self.rng
        if parameter == "unit":
            return rng.choice(self.units)
        if parameter == "handle":
            return rng.choice(self.handles)
        if parameter == "r_liobn":
            return rng.choice(self.panes)
        if parameter.endswith("liobn"):
            return rng.choice(self.liobns + self.panes)
        if parameter.endswith("ioba") or parameter == "page":
            return rng.randrange(PAGES) * PAGE
        if parameter == "length":
            return rng.choice([1, 100, PAGE, 2 * PAGE])
        if parameter == "count":
            return rng.randrange(4)
        if parameter in {"high", "w0"}:
            return 0x80 << 56 | rng.getrandbits(56)
        return rng.randrange(64) * PAGE | rng.randrange(4)

    def _anything(self):
        rng = self.rng
        names = self.units + self.liobns + self.panes + self.handles
        return rng.choice(
            [
                lambda: rng.choice(names) + rng.choice([-1, 0, 1]),
                lambda: rng.randrange(PAGES * PAGE),
                lambda: rng.randrange(-3, 20),
                lambda: rng.choice([0x80, 0xC0, 0xFF, 0x7F]) << 56 | rng.getrandbits(56),
                lambda: rng.choice([31, 32, 63, 64, 65, 127, 128, 129, 511, 512, 513]),
                lambda: 1 << rng.randrange(70),
                lambda: -(1 << rng.randrange(70)),
                lambda: rng.getrandbits(64),
                lambda: (1 << 64) - rng.randrange(3),
            ]
        )()


def add_sub_crqs(shared):
    """A sub-CRQ at page 1 of each window; their handles."""
    handles = []
    for end in (*shared.vnic, *shared.other_vnic):
        shared.map_new_page(end, PAGE)
        handles.append(end.owner.hcalls.h_reg_sub_crq(end.unit, PAGE, PAGE)[1])
    return handles


def pages_of(partition):
    return [partition.memory.read(page * PAGE, PAGE) for page in range(64)]


def entries_of(window):
    return [window.entry(index) for index in range(window.pages)]


@pytest.mark.parametrize("seed", range(3))
def test_a_hostile_client_reaches_neither_another_client_nor_its_server(shared, seed):
    rng = random.Random(seed)
    handles = add_sub_crqs(shared)
    other, server = shared.other_vnic
    shared.map_new_page(other, 4 * PAGE)
    place = (server.r_liobn, 4 * PAGE, shared.adapter.liobn[0], 0, 1)
    assert shared.hosting.hcalls.h_put_rtce(*place)[0] is ReturnCode.H_SUCCESS

    hosting = shared.hosting.memory
    # The attacker may send to the queues at pages 0 and 1 of its server's window.
    queues = {hosting.logical_page(shared.vnic.server.window.entry(n).rpn) for n in (0, 1)}

    def everything_else():
        return (
            pages_of(shared.other),
            [page for number, page in enumerate(pages_of(shared.hosting)) if number not in queues],
            [entries_of(end.window) for end in (*shared.other_vnic, shared.vnic.server)],
            [len(end.sub_crqs) for end in (*shared.other_vnic, shared.vnic.server)],
            other.is_open,
            [
                shared.hardware.bridge.translate(ring, page * PAGE)
                for ring, page in itertools.product(range(2), range(PAGES))
            ],
        )

    before = everything_else()
    attacker = Attacker(shared.hosted, shared, handles, rng)
    for round_number in range(10):
        shared.hosted.hcalls.h_stuff_tce(shared.vnic.client.liobn, 0, 0x1003, PAGES)
        shared.hosted.hcalls.h_reg_crq(shared.vnic.client.unit, 0, PAGE)
        assert attacker.attack(400) > 10, f"seed {seed}, round {round_number}"
        assert everything_else() == before, f"seed {seed}, round {round_number}"


@pytest.mark.parametrize("seed", range(3))
def test_a_hostile_server_reaches_only_what_its_clients_have_mapped(shared, seed):
    rng = random.Random(seed)
    handles = add_sub_crqs(shared)
    clients = {}
    for vnic in (shared.vnic, shared.other_vnic):
        for ioba, access in ((4 * PAGE, 1), (5 * PAGE, 2), (6 * PAGE, 3)):
            shared.map_new_page(vnic.client, ioba, access=access)
        partition = vnic.client.owner
        for page in range(64):
            partition.memory.write(page * PAGE + PAGE // 2, b"mine")
        clients[partition] = vnic.client
    before = {partition: pages_of(partition) for partition in clients}
    windows = [entries_of(end.window) for end in clients.values()]
    access_of = {
        (entry.rpn, bool(write))
        for entries in windows
        for entry in entries
        for write in (0, 1)
        if (entry.write if write else entry.read)
    }
    attacker = Attacker(shared.hosting, shared, handles, rng)
    for round_number in range(10):
        for vnic in (shared.vnic, shared.other_vnic):
            shared.hosting.hcalls.h_stuff_tce(vnic.server.liobn, 0, 0x1003, PAGES)
            shared.hosting.hcalls.h_reg_crq(vnic.server.unit, 0, PAGE)
        where = f"seed {seed}, round {round_number}"
        assert attacker.attack(400) > 10, where
        for ring, page, write in itertools.product(range(2), range(PAGES), (False, True)):
            address = shared.hardware.bridge.translate(ring, page * PAGE, write=write)
            if address is None:
                continue
            owners = [p for p in clients if p.memory.logical_page(address // PAGE) is not None]
            assert not owners or (address // PAGE, write) in access_of, where
        for partition, pages in before.items():
            for number, (old, new) in enumerate(zip(pages, pages_of(partition), strict=True)):
                physical = partition.memory.physical_page(number)
                assert old == new or (physical, True) in access_of, where
    assert [entries_of(end.window) for end in clients.values()] == windows, f"seed {seed}"


def test_every_call_of_a_hostile_partition_is_recorded(shared):
    counters = shared.manager.counters
    before, refused_before = counters.hcalls.total(), counters.refusals.total()
    succeeded = Attacker(shared.hosted, shared, [1], random.Random(0)).attack(500)
    assert counters.hcalls.total() == before + 500
    assert counters.refusals.total() == refused_before + 500 - succeeded
