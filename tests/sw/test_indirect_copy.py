"""Indirect hcalls copy their list before they look at it: no time between check and use.

The caller changes its page, to something hostile, as soon as the manager has read from it.
"""

import pytest

from byway.sw.manager.return_codes import ReturnCode

PAGE = 4096
COMMAND = b"\x80".ljust(32, b"g")
HOSTILE = (1 << 40 | 3).to_bytes(8, "big") * 512


@pytest.fixture
def changing(world, monkeypatch):
    """Make a page with this content, which changes when it has been read; return its address."""
    memory = world.shared.hardware.memory
    read = memory.read
    changed = set()

    def read_once(address, length):
        content = read(address, length)
        if address // PAGE in changed:
            memory.write(address // PAGE * PAGE, HOSTILE)
        return content

    monkeypatch.setattr(memory, "read", read_once)

    def make(partition, content):
        page = partition.memory.allocate(PAGE, align=PAGE)
        partition.memory.write(page, content)
        changed.add(partition.memory.physical_page(page // PAGE))
        return page

    return make


def doublewords(*values):
    return b"".join(value.to_bytes(8, "big") for value in values)


def test_tces_that_were_checked_are_those_that_are_stored(world, changing):
    hcalls, liobn = world.hosted.hcalls, world.client.liobn
    page = changing(world.hosted, doublewords(0x3001, 0x4002, 0x5003))
    assert hcalls.h_put_tce_indirect(liobn, 8 * PAGE, page, 3) is ReturnCode.H_SUCCESS
    stored = [hcalls.h_get_tce(liobn, (8 + n) * PAGE)[1] for n in range(3)]
    assert stored == [0x3001, 0x4002, 0x5003]
    assert world.hosted.memory.read(page, PAGE) == HOSTILE


def test_addresses_that_were_checked_are_those_that_are_cloned(world, changing):
    page = changing(world.hosting, doublewords(6 * PAGE, 4 * PAGE))
    place = (page, world.server.r_liobn, world.rings[1], 0, 2)
    assert world.hosting.hcalls.h_put_rtce_indirect(*place) == (ReturnCode.H_SUCCESS, 2)
    clones = [world.client.rtce_table.live_clone(n) for n in (6, 4)]
    assert [clone and clone.index for clone in clones] == [0, 1]


def test_elements_that_were_checked_are_those_that_are_sent(world, changing):
    client, server = world.client, world.server
    page = changing(world.hosted, COMMAND * 3)
    world.hosted.hcalls.h_put_tce(client.liobn, 8 * PAGE, page | 1)
    send = world.hosted.hcalls.h_send_sub_crq_indirect
    assert send(client.unit, world.server_handle, 8 * PAGE, 3) is ReturnCode.H_SUCCESS
    address = server.window.entry(1).rpn * PAGE
    assert world.shared.hardware.memory.read(address, 96) == COMMAND * 3
