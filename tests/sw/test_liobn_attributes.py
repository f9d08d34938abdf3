"""H_LIOBN_ATTRIBUTES: the owner of a client's window chooses whether the bit bucket is allowed."""

import pytest

from byway.sw.manager.return_codes import ReturnCode

PAGE = 4096
BIT_BUCKET = 1
EVERY_BIT = (1 << 64) - 1


@pytest.fixture
def attributes(shared):
    """The hosted partition's call for its window, and what it returns when it succeeds."""

    def change(reset_mask, set_mask):
        liobn = shared.vnic.client.liobn
        code, value = shared.hosted.hcalls.h_liobn_attributes(liobn, reset_mask, set_mask)
        assert code is ReturnCode.H_SUCCESS
        return value

    return change


def test_reset_comes_before_set_and_unknown_bits_are_ignored(attributes):
    assert attributes(0, 0) == BIT_BUCKET
    assert attributes(EVERY_BIT - BIT_BUCKET, EVERY_BIT - BIT_BUCKET) == BIT_BUCKET
    assert attributes(BIT_BUCKET, 0) == 0
    assert attributes(0, 0) == 0
    assert attributes(0, EVERY_BIT) == BIT_BUCKET
    assert attributes(EVERY_BIT, BIT_BUCKET) == BIT_BUCKET
    assert attributes(EVERY_BIT, 0) == 0


def test_it_decides_what_happens_to_a_live_clone(shared, attributes):
    client, server = shared.vnic
    shared.map_new_page(client, 4 * PAGE)
    place = (server.r_liobn, 4 * PAGE, shared.adapter.liobn[1], 0, 1)
    shared.hosting.hcalls.h_put_rtce(*place)
    hcalls = shared.hosted.hcalls
    attributes(BIT_BUCKET, 0)
    assert hcalls.h_put_tce(client.liobn, 4 * PAGE, 0) is ReturnCode.H_RESOURCE
    assert hcalls.h_free_crq(client.unit) is ReturnCode.H_RESOURCE
    assert shared.hardware.dma_read(1, 0, 1) is not None
    attributes(0, BIT_BUCKET)
    assert hcalls.h_put_tce(client.liobn, 4 * PAGE, 0) is ReturnCode.H_SUCCESS
    assert shared.hardware.dma_read(1, 0, 1) is None
    assert shared.hardware.dma_write(1, 0, b"dropped")


def test_windows_that_nobody_clones_have_no_attribute(shared):
    change = shared.hosting.hcalls.h_liobn_attributes
    for liobn in (shared.vnic.server.liobn, *shared.adapter.liobn):
        assert change(liobn, 0, EVERY_BIT) == (ReturnCode.H_SUCCESS, 0)


def test_only_the_owner_has_a_window(shared):
    other = shared.other.hcalls.h_liobn_attributes
    client, server = shared.vnic
    for liobn in (client.liobn, server.liobn, server.r_liobn, 0, EVERY_BIT):
        assert other(liobn, BIT_BUCKET, 0) == (ReturnCode.H_PARAMETER, 0)
    # The window behind a server's second pane is its client's.
    server_call = shared.hosting.hcalls.h_liobn_attributes
    assert server_call(server.r_liobn, BIT_BUCKET, 0) == (ReturnCode.H_PARAMETER, 0)
    assert client.rtce_table.bit_bucket_allowed
