"""Random hcalls from several partitions, against a plain model of the tables.

After each call the answer, every mapping, all memory, and who was interrupted agree with the model,
and what must hold whatever the partitions do holds. Accesses of the adapter fill the bridge's cache
all the time, so that an invalidation that was not asked for, or not waited for, shows.
"""

import collections
import inspect
import random

import pytest

from byway.sw.contract.registers import MANAGER_PAGE, ManagerPage
from byway.sw.manager.hcalls import Hcalls
from byway.sw.manager.return_codes import ReturnCode as R
from byway.sw.manager.rtce import Clone
from byway.sw.manager.tables import is_mapped
from tests.sw import hcall_model

PAGE = 4096
PAGES = 8
RING_PAGES = 6
MEMORY_PAGES = 16
COMMAND = 0x80 << 56

PARAMETERS = {
    name: [
        parameter.name
        for parameter in list(inspect.signature(method).parameters.values())[1:]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    for name, method in inspect.getmembers(Hcalls, inspect.isfunction)
    if name.startswith("h_")
}
OF_SERVERS = {"h_put_rtce", "h_put_rtce_indirect", "h_remove_rtce", "h_copy_rdma"}
WEIGHTS = {
    **dict.fromkeys(("h_put_rtce", "h_put_rtce_indirect", "h_put_tce", "h_reg_crq"), 3),
    "h_send_sub_crq_indirect": 2,
    **dict.fromkeys(("h_free_sub_crq", "h_liobn_attributes", "h_remove_rtce"), 0.4),
    **dict.fromkeys(("h_enable_crq", "h_free_crq"), 0.2),
}
"""How often each is chosen; the others once: so that much is mapped, cloned, and taken back."""


class Pair:
    """A machine and its model, always called alike."""

    def __init__(self, machine):
        self.machine = machine
        self.bridge = machine.hardware.bridge
        self.invalidate_status = ManagerPage(
            machine.hardware.registers, MANAGER_PAGE
        ).invalidate_status
        self.server = machine.manager.create_partition("server", MEMORY_PAGES * PAGE)
        clients = [
            machine.manager.create_partition(name, MEMORY_PAGES * PAGE) for name in ("one", "two")
        ]
        self.partitions = {p.name: p for p in (self.server, *clients)}
        self.model = hcall_model.Model(dict.fromkeys(self.partitions, MEMORY_PAGES))
        adapter = machine.manager.assign_adapter(self.server, window_bytes=RING_PAGES * PAGE)
        self.rings = adapter.liobn
        entry, window = hcall_model.Entry, hcall_model.Window
        for liobn in self.rings:
            self.model.windows[liobn] = window("server", [entry()] * RING_PAGES, of_adapter=True)
        self.vnics = []
        for client, allowed in zip(clients, (True, False), strict=True):
            vnic = machine.manager.connect_vnic(
                client, self.server, window_bytes=PAGES * PAGE, bit_bucket_allowed=allowed
            )
            self.vnics.append(vnic)
            ends = []
            for end in vnic:
                attribute = allowed if end is vnic.client else None
                blank = window(end.owner.name, [entry()] * PAGES, bucket_allowed=attribute)
                self.model.windows[end.liobn] = blank
                known = hcall_model.End(
                    end.owner.name, end.unit, end.liobn, end.irq, vnic.client.liobn
                )
                self.model.ends[end.unit] = known
                ends.append(known)
                self._listen(end.owner, end.irq)
            ends[1].r_liobn = vnic.server.r_liobn
            ends[0].partner, ends[1].partner = ends[1], ends[0]
        self.rung = set()
        self.adapter_windows = set()
        self.buckets = set()
        self.answers = collections.Counter()
        self.revoked = 0

    def _listen(self, partition, irq):
        partition.on_interrupt(irq, lambda: self.rung.add(irq))

    def poke(self, name, address, data):
        """Let a partition write its own memory."""
        self.partitions[name].memory.write(address, data)
        self.model.memory[name][address : address + len(data)] = data

    def call(self, name, hcall, arguments):
        """Let a partition make an hcall of both."""
        self.rung.clear()
        self.model.rung.clear()
        clones = self._clones()
        expected = self.model.call(name, hcall, arguments)
        self.revoked += len(clones - self._clones()) * (name != "server")
        answer = getattr(self.partitions[name].hcalls, hcall)(*arguments)
        code, *values = answer if isinstance(answer, tuple) else (answer,)
        what = f"{hcall}({', '.join(map(hex, arguments))}) by {name}"
        assert code is expected[0], f"{what}: {code.name}, not {expected[0].name}"
        if hcall == "h_reg_sub_crq" and code in (R.H_SUCCESS, R.H_CLOSED):
            handle, irq = values
            subs = self.model.ends[arguments[0]].subs
            subs[handle] = subs.pop(-1)
            subs[handle].irq = irq
            self._listen(self.partitions[name], irq)
        else:
            assert tuple(values) == expected[1 : len(values) + 1], what
        assert not self.invalidate_status.read().busy, what
        self.answers[hcall, code] += 1
        self.machine.manager.dispatch()
        assert self.rung == self.model.rung, what
        self.compare(what)
        self.check_clones(what)

    def _clones(self):
        """Entries of the adapter that are clones."""
        return {
            (ring, at, entry.source)
            for ring in self.rings
            for at, entry in enumerate(self.model.windows[ring].entries)
            if entry.source
        }

    def kill_a_client(self):
        """Let the second client die, and another partition get its pages."""
        client = self.vnics[1].client.owner
        del self.partitions[client.name]
        self.rung.clear()
        self.model.rung.clear()
        self.machine.manager.terminate(client)
        self.model.kill(client.name)
        del self.model.memory[client.name]
        heir = self.machine.manager.create_partition("heir", MEMORY_PAGES * PAGE)
        self.partitions["heir"] = heir
        self.model.memory["heir"] = bytearray(MEMORY_PAGES * PAGE)
        self.machine.manager.dispatch()
        assert self.rung == self.model.rung
        self.compare("death")
        self.check_clones("death")

    # ------------------------------------------------------------ what is compared

    def place(self, physical_page):
        """Whose page this is, and which of its pages."""
        for name, partition in self.partitions.items():
            page = partition.memory.logical_page(physical_page)
            if page is not None:
                return name, page
        self.buckets.add(physical_page)
        return "the bit bucket", 0

    def compare(self, what):
        for ring, liobn in enumerate(self.rings):
            for at, entry in enumerate(self.model.windows[liobn].entries):
                for access in (1, 2):
                    address = self.bridge.translate(ring, at * PAGE, write=access == 2)
                    real = None if address is None else self.place(address // PAGE)
                    wanted = (entry.holder, entry.page) if entry.access & access else None
                    assert real == wanted, f"{what}: ring {ring}, page {at}, access {access}"
        self.bridge.fault_queue.clear()
        for end in (end for vnic in self.vnics for end in vnic):
            known = self.model.windows[end.liobn]
            for at, entry in enumerate(known.entries):
                real = end.window.entry(at)
                assert (real.read | real.write << 1) == entry.access, f"{what}: page {at}"
                if entry.access:
                    assert self.place(real.rpn) == (entry.holder, entry.page), f"{what}: page {at}"
            assert bool(end.window.attributes) == bool(known.bucket_allowed), what
            model_end = self.model.ends.get(end.unit)
            if model_end:
                assert end.is_open == model_end.is_open, what
                assert set(end.sub_crqs) == set(model_end.subs), what
        for name, memory in self.model.memory.items():
            if name in self.partitions:
                assert self.partitions[name].memory.read(0, len(memory)) == memory, what

    def check_clones(self, what):
        """What holds without any model."""
        granted = set()
        for vnic in self.vnics:
            table = vnic.client.rtce_table
            for index in range(table.pages):
                clone = table.live_clone(index)
                if clone is None:
                    continue
                assert is_mapped(table.entry(index)), what
                assert vnic.client.is_open, what
                assert clone.window.origins[clone.index] == (table, index), what
                assert clone.window.entry(clone.index) == table.entry(index), what
                self.adapter_windows.add(clone.window)
                granted.add(clone)
        for window in self.adapter_windows:
            for at, (table, index) in window.origins.items():
                assert table.live_clone(index) == Clone(window, at), what
            for at in range(window.pages):
                entry = window.entry(at)
                if is_mapped(entry) and Clone(window, at) not in granted:
                    own = window.owner.memory.logical_page(entry.rpn) is not None
                    assert own or (entry.write and not entry.read), what
        assert len(self.buckets) <= 1, what
        for partition in self.partitions.values():
            pages = {partition.memory.physical_page(page) for page in range(MEMORY_PAGES)}
            assert not pages & self.buckets, what


class Chooser:
    """Chooses hcalls that are nearly right, most of them wholly.

    Parameters
    ----------
    pair
        The machine, of which every name is known, everybody's.
    """

    def __init__(self, pair, rng):
        self.pair, self.model, self.rng = pair, pair.model, rng
        self.weights = [WEIGHTS.get(name, 1) for name in PARAMETERS]

    def step(self):
        """One call, perhaps after some partition has freed elements of its queues."""
        rng, pair = self.rng, self.pair
        if rng.random() < 0.2:
            pair.poke(rng.choice(list(pair.partitions)), rng.randrange(14) * PAGE, bytes(PAGE))
        (name,) = rng.choices(list(PARAMETERS), self.weights)
        vnic = rng.choice(pair.vnics)
        end = vnic.server if name in OF_SERVERS else rng.choice(vnic)
        owner = end.owner.name
        if owner not in pair.partitions:
            return
        caller = owner if rng.random() < 0.97 else rng.choice(list(pair.partitions))
        chosen = [
            self._anything() if rng.random() < 0.04 else self._plausible(parameter, name, vnic, end)
            for parameter in PARAMETERS[name]
        ]
        self._fill_lists(name, end)
        pair.call(caller, name, chosen)

    def _page(self, liobn, access):
        """I/O bus address of a page of a window, most often of one that permits `access`."""
        entries = self.model.windows[liobn].entries
        good = [at for at, entry in enumerate(entries) if entry.access & access]
        anywhere = not good or self.rng.random() < 0.2
        return PAGE * (self.rng.randrange(len(entries)) if anywhere else self.rng.choice(good))

    def _plausible(self, parameter, name, vnic, end):
        rng, client, server = self.rng, vnic.client, vnic.server
        partner = self.model.ends.get(end.unit) and self.model.ends[end.unit].partner
        own = self.model.ends[end.unit].subs if end.unit in self.model.ends else {}
        ring = rng.choice(self.pair.rings)
        if parameter == "liobn":
            of_ring = "rtce" in name or (end is server and rng.random() < 0.4)
            return ring if of_ring else end.liobn
        if parameter == "ioba" and name in {"h_put_tce", "h_stuff_tce", "h_put_tce_indirect"}:
            cloned = [at for at in range(PAGES) if self.model.clones_of(end.liobn, at)]
            return PAGE * rng.choice([rng.randrange(PAGES), *cloned])
        if parameter in {"s_liobn", "d_liobn"}:
            return rng.choice([server.liobn, server.r_liobn])
        if parameter in {"s_ioba", "d_ioba"}:
            return self._page(rng.choice(vnic).liobn, 3) + rng.choice([0, 0, 1, 100, PAGE - 1])
        if parameter == "ioba" and name in {"h_reg_sub_crq", "h_send_sub_crq_indirect"}:
            return self._page(end.liobn, 2 if name == "h_reg_sub_crq" else 1)
        if parameter == "length" and name == "h_copy_rdma":
            return rng.choice([0, 1, 50, 100, PAGE, PAGE + 1, rng.randrange(3 * PAGE)])
        if parameter == "handle":
            queues = own if name == "h_free_sub_crq" else partner.subs if partner else {}
            return rng.choice(list(queues) or [0])
        return {
            "unit": end.unit,
            "r_liobn": server.r_liobn,
            "r_ioba": self._page(client.liobn, 3),
            "queue_ioba": self._page(end.liobn, 2),
            "ioba": rng.randrange(RING_PAGES) * PAGE,
            "page": 14 * PAGE,
            "length": rng.choice([PAGE, PAGE, PAGE, 2 * PAGE, 100]),
            "count": rng.choice([0, 1, 1, 1, 2, 3, 5]),
            "tce": self._tce(),
            "tce_value": rng.getrandbits(64),
            "reset_mask": rng.randrange(4),
            "set_mask": rng.choice([0, 0, 1, 3]),
            "high": rng.choice([0x80, 0x80, 0xC0, 0xFF, 0]) << 56 | rng.getrandbits(56),
            "w0": rng.choice([0x80, 0x80, 0x80, 0xC0]) << 56 | rng.getrandbits(56),
            "subfunction": rng.choice([0x0A, 0x0B, 0x0C, 0x0C, 0x0C, 0x14]),
            "parameter_1": rng.choice([0, end.irq, *(queue.irq for queue in own.values())]),
            "parameter_2": 0,
            "parameter_3": 0,
        }.get(parameter, rng.getrandbits(64))

    def _tce(self):
        """Of a page that no list lies in, with much access, most often."""
        page = self.rng.randrange(14) if self.rng.random() < 0.97 else MEMORY_PAGES
        return page * PAGE | self.rng.choice([0, 1, 2, 3, 3, 3])

    def _fill_lists(self, name, end):
        rng, owner = self.rng, end.owner.name
        if name == "h_send_sub_crq_indirect":
            for page in range(14):
                if rng.random() < 0.3:
                    elements = [
                        rng.choice([0x80] * 9 + [0]).to_bytes(1, "big") + rng.randbytes(31)
                        for _ in range(4)
                    ]
                    self.pair.poke(owner, page * PAGE, b"".join(elements))
            return
        table = self.model.ends[end.unit].table
        make = self._tce if name == "h_put_tce_indirect" else lambda: self._page(table, 3)
        self.pair.poke(owner, 14 * PAGE, b"".join(make().to_bytes(8, "big") for _ in range(4)))

    def _anything(self):
        rng, pair = self.rng, self.pair
        ends = [end for vnic in pair.vnics for end in vnic]
        names = [*pair.rings, *(vnic.server.r_liobn for vnic in pair.vnics)]
        names += [number for end in ends for number in (end.unit, end.liobn, end.irq)]
        names += [handle for end in ends for handle in end.sub_crqs]
        return rng.choice(
            [
                lambda: rng.choice(names) + rng.choice([-1, 0, 0, 1]),
                lambda: rng.randrange(-2, PAGES + 2) * PAGE + rng.choice([0, 0, 0, 8]),
                lambda: rng.choice([4, 31, 128, 129, 512, 513, 128 * 1024 + 1]),
                lambda: rng.choice([0x7F, 0x80, 0xC0, 0xFF]) << 56,
                lambda: (1 << rng.randrange(66)) - rng.randrange(2),
                lambda: rng.getrandbits(64),
            ]
        )()


@pytest.mark.parametrize("seed", range(4))
def test_random_hcalls_agree_with_a_plain_model(machine, seed):
    rng = random.Random(seed)
    pair = Pair(machine)
    chooser = Chooser(pair, rng)
    for end in (end for vnic in pair.vnics for end in vnic):
        name = end.owner.name
        pair.call(name, "h_stuff_tce", (end.liobn, 0, 0, PAGES))
        for page in range(PAGES // 2):
            pair.call(name, "h_put_tce", (end.liobn, page * PAGE, (page + 1) * PAGE | 3))
    dies_at = 1200 if seed % 2 else None
    for number in range(1500):
        try:
            if number == dies_at:
                pair.kill_a_client()
            chooser.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {number}: {error}") from error
    succeeded = {name for name, code in pair.answers if code in (R.H_SUCCESS, R.H_CLOSED)}
    assert succeeded == set(PARAMETERS), f"seed {seed}"
    assert pair.revoked > 10, f"seed {seed}"
