"""A machine on which an hcall can go wrong in every way."""

from byway.sw.manager.return_codes import ReturnCode as R

PAGE = 4096
END = 16 * PAGE
COMMAND = 0x80 << 56


class World:
    """A machine with something of every kind: own, foreign, stale, closed, strict and full."""

    def __init__(self, shared):
        self.shared = shared
        self.hosted, self.hosting = shared.hosted, shared.hosting
        self.client, self.server = shared.vnic
        self.other_client, self.other_server = shared.other_vnic
        self.rings = shared.adapter.liobn
        connect = shared.manager.connect_vnic

        # Stale: a partition that has died, and a sub-CRQ at either end that was freed.
        self.dead = shared.manager.create_partition("dead", 16 * PAGE)
        connection = connect(self.dead, self.hosting, window_bytes=END)
        shared.open(connection)
        self.dead_client, self.dead_server = connection
        shared.manager.terminate(self.dead)
        ends = (self.client, self.server, self.other_client, self.other_server)
        for end in ends:
            shared.map_new_page(end, PAGE)
        self.stale_handle, self.stale_irq = self._sub_crq(self.client)
        self.hosted.hcalls.h_free_sub_crq(self.client.unit, self.stale_handle)
        self.stale_server_handle, _ = self._sub_crq(self.server)
        self.hosting.hcalls.h_free_sub_crq(self.server.unit, self.stale_server_handle)
        queues = [self._sub_crq(end) for end in ends]
        self.handle, self.server_handle, _, self.other_handle = (handle for handle, _ in queues)
        self.irq, self.server_irq = queues[0][1], queues[1][1]

        # At 4, 5, 6 of the windows: both ways, read only, write only. A clone of the client's 5.
        for end in (self.client, self.server):
            for page, access in ((4, 3), (5, 1), (6, 2)):
                shared.map_new_page(end, page * PAGE, access=access)
        clone = (self.server.r_liobn, 5 * PAGE, self.rings[0], 3 * PAGE, 1)
        assert self.hosting.hcalls.h_put_rtce(*clone) == (R.H_SUCCESS, 1)

        # A connection that is not open, one whose server is another, one without bit bucket.
        self.closed_client, self.closed_server = connect(
            self.hosted, self.hosting, window_bytes=END
        )
        for end in (self.closed_client, self.closed_server):
            shared.map_new_page(end, 0)
            shared.map_new_page(end, PAGE, access=1)
            shared.map_new_page(end, 4 * PAGE)
        self.closed_handle, _ = self._sub_crq(self.closed_server, ioba=4 * PAGE)
        _, self.foreign_server = connect(self.hosted, shared.other, window_bytes=END)
        strict = connect(self.hosted, self.hosting, window_bytes=END, bit_bucket_allowed=False)
        self.strict_client, self.strict_server = strict
        shared.open(strict)
        shared.map_new_page(self.strict_client, 4 * PAGE)
        clone = (self.strict_server.r_liobn, 4 * PAGE, self.rings[0], 4 * PAGE, 1)
        assert self.hosting.hcalls.h_put_rtce(*clone) == (R.H_SUCCESS, 1)

        # Full queues, and lists in memory: good until their last entry.
        unit, hcalls = self.other_client.unit, shared.other.hcalls
        while hcalls.h_send_crq(unit, COMMAND, 0) is R.H_SUCCESS:
            pass
        while hcalls.h_send_sub_crq(unit, self.other_handle, COMMAND, 0, 0, 0) is R.H_SUCCESS:
            pass
        self.bad_tces = self._list(self.hosted, [1 << 40 | 3])
        self.tces = self._list(self.hosted, [0x1003, 0x2001, 0x3002, 0x4003, 1 << 40 | 1])
        self.r_iobas = self._list(self.hosting, [4 * PAGE, 6 * PAGE, END, 4 * PAGE + 8])
        elements = [COMMAND, 0, 0, 0] * 4 + [0xC0 << 56, 0, 0, 0]
        self.elements = self._list(self.hosted, elements)
        for end, page in (
            (self.client, self.elements),
            (self.other_client, self._list(shared.other, elements)),
        ):
            end.owner.hcalls.h_put_tce(end.liobn, 7 * PAGE, page | 1)

    def _sub_crq(self, end, *, ioba=PAGE):
        code, handle, irq = end.owner.hcalls.h_reg_sub_crq(end.unit, ioba, PAGE)
        assert code in (R.H_SUCCESS, R.H_CLOSED)
        return handle, irq

    @staticmethod
    def _list(partition, doublewords):
        page = partition.memory.allocate(PAGE, align=PAGE)
        partition.memory.write(page, b"".join(each.to_bytes(8, "big") for each in doublewords))
        return page
