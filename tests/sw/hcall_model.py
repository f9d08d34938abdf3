"""A plain model of the partition manager's tables: what each hcall answers, and what it maps.

Written from LoPAR and from nothing else. It knows partitions by name and their memory by logical
address: no physical page, no back pointer, no cache. A clone is an entry of the adapter that tells
which entry of a client it was made from, until something else is stored there.

Every hcall is a method that takes the caller's name first, and answers as the hcall does.
"""

from dataclasses import dataclass, field
from typing import Any

from byway.sw.manager.return_codes import ReturnCode as R

PAGE = 4096
READ, WRITE = 1, 2
MOST_BYTES = 128 * 1024
ENABLE, DISABLE, DISABLE_ALL, LIMITS = 0x0C, 0x0B, 0x0A, 0x14


@dataclass
class Entry:
    """Whose page, which, and how it may be reached; unmapped, the page number means nothing."""

    holder: str = ""
    page: int = 0
    access: int = 0
    source: tuple[int, int] | None = None
    """Of a clone: LIOBN and index of the client's entry."""


BUCKET = Entry("the bit bucket", 0, WRITE)


@dataclass
class Window:
    owner: str
    entries: list[Entry]
    of_adapter: bool = False
    bucket_allowed: bool | None = None
    """None for all but the windows of clients."""


@dataclass
class Queue:
    liobn: int
    ioba: int
    length: int
    element: int
    irq: int
    next: int = 0


@dataclass(eq=False)
class End:
    owner: str
    unit: int
    liobn: int
    irq: int
    table: int
    """LIOBN of the client's window."""
    r_liobn: int | None = None
    partner: "End | None" = None
    crq: Queue | None = None
    subs: dict[int, Queue] = field(default_factory=dict)

    @property
    def partners_crq(self):
        return self.partner.crq if self.partner else None

    @property
    def is_open(self):
        return self.crq is not None and self.partners_crq is not None


class Refused(Exception):  # noqa: N818 - an answer, not an error.
    def __init__(self, code, value=0):
        self.answer = (code, value, 0)


def need(condition, code, value=0):
    if not condition:
        raise Refused(code, value)


class Model:
    def __init__(self, pages):
        self.memory = {name: bytearray(count * PAGE) for name, count in pages.items()}
        self.windows: dict[int, Window] = {}
        self.ends: dict[int, End] = {}
        self.enabled: set[int] = set()
        self.rung: set[int] = set()

    def call(self, caller, name, arguments) -> tuple[Any, ...]:
        """Answer of an hcall, always as code and two values; those that it does not have are 0."""
        try:
            need(all(0 <= argument < 1 << 64 for argument in arguments), R.H_PARAMETER)
            answer = getattr(self, name)(caller, *arguments)
        except Refused as refused:
            return refused.answer
        return (*answer, 0, 0)[:3] if isinstance(answer, tuple) else (answer, 0, 0)

    # ------------------------------------------------------------ TCEs

    def h_put_tce(self, me, liobn, ioba, tce):
        return self.h_stuff_tce(me, liobn, ioba, tce, 1)

    def h_stuff_tce(self, me, liobn, ioba, tce, count):
        self.own_range(me, liobn, ioba, 1)
        need(count <= 512, R.H_P4)
        return self.store(me, liobn, ioba, [tce] * count, tce)

    def h_put_tce_indirect(self, me, liobn, ioba, page, count):
        need(liobn < 1 << 63, R.H_FUNCTION)
        return self.store(me, liobn, ioba, self.listed(me, page, count))

    def h_get_tce(self, me, liobn, ioba):
        index = self.own_range(me, liobn, ioba, 1)
        entry = self.windows[liobn].entries[index]
        if entry.access and entry.holder != me:
            return R.H_PARTIAL, (1 << 64) - PAGE | entry.access
        return R.H_SUCCESS, entry.page * PAGE | entry.access

    def h_liobn_attributes(self, me, liobn, reset_mask, set_mask):
        need(liobn in self.windows and self.windows[liobn].owner == me, R.H_PARAMETER)
        window = self.windows[liobn]
        if window.bucket_allowed is None:
            return R.H_SUCCESS, 0
        window.bucket_allowed = bool((window.bucket_allowed and not reset_mask & 1) or set_mask & 1)
        return R.H_SUCCESS, int(window.bucket_allowed)

    def store(self, me, liobn, ioba, tces, *further):
        index = self.own_range(me, liobn, ioba, len(tces))
        for tce in (*tces, *further):
            need(not tce & 3 or tce >> 12 < len(self.memory[me]) // PAGE, R.H_PARAMETER)
        window = self.windows[liobn]
        indexes = range(index, index + len(tces))
        clones = [clone for at in indexes for clone in self.clones_of(liobn, at)]
        need(not clones or window.bucket_allowed, R.H_RESOURCE)
        for ring, at in clones:
            self.windows[ring].entries[at] = BUCKET
        for at, tce in zip(indexes, tces, strict=True):
            window.entries[at] = Entry(me, tce >> 12, tce & 3)
        return R.H_SUCCESS

    def own_range(self, me, liobn, ioba, count):
        need(liobn in self.windows and self.windows[liobn].owner == me, R.H_PARAMETER)
        return self.index(self.windows[liobn], ioba, count)

    @staticmethod
    def index(window, ioba, count):
        need(ioba % PAGE == 0 and ioba // PAGE + count <= len(window.entries), R.H_PARAMETER)
        return ioba // PAGE

    def listed(self, me, page, count):
        memory = self.memory[me]
        need(count <= 512 and page % PAGE == 0 and page < len(memory), R.H_PARAMETER)
        return [int.from_bytes(memory[page + 8 * n :][:8], "big") for n in range(count)]

    def clones_of(self, liobn, index):
        return [
            (ring, at)
            for ring, window in self.windows.items()
            for at, entry in enumerate(window.entries)
            if entry.source == (liobn, index)
        ]

    # ------------------------------------------------------------ RTCEs and copies

    def h_put_rtce(self, me, r_liobn, r_ioba, liobn, ioba, count):
        end = self.pane(me, r_liobn)
        r_index = self.index(self.windows[end.table], r_ioba, count)
        index = self.adapter_range(me, liobn, ioba, count)
        return self.clone(end, [r_index + n for n in range(count)], liobn, index)

    def h_put_rtce_indirect(self, me, page, r_liobn, liobn, ioba, count):
        end = self.pane(me, r_liobn)
        index = self.adapter_range(me, liobn, ioba, count)
        r_iobas = self.listed(me, page, count)
        pages = len(self.windows[end.table].entries)
        for number, r_ioba in enumerate(r_iobas):
            need(r_ioba % PAGE == 0 and r_ioba // PAGE < pages, R.H_REMOTE_PARM, number)
        return self.clone(end, [r_ioba // PAGE for r_ioba in r_iobas], liobn, index)

    def h_remove_rtce(self, me, r_liobn, r_ioba, liobn, ioba, count, tce_value):
        end = self.pane(me, r_liobn)
        self.index(self.windows[end.table], r_ioba, count)
        index = self.adapter_range(me, liobn, ioba, count)
        for number in range(count):
            self.windows[liobn].entries[index + number] = Entry(page=tce_value >> 12)
        return R.H_SUCCESS, count

    def clone(self, end, r_indexes, liobn, index):
        for done, r_index in enumerate(r_indexes):
            entry = self.windows[end.table].entries[r_index]
            need(end.is_open and entry.access, R.H_REMOTE_PARM, done)
            clones = self.clones_of(end.table, r_index)
            need(clones != [(liobn, index + done)], R.H_IN_USE, done)
            need(not clones, R.H_RESOURCE, done)
            clone = Entry(entry.holder, entry.page, entry.access, (end.table, r_index))
            self.windows[liobn].entries[index + done] = clone
        return R.H_SUCCESS, len(r_indexes)

    def h_copy_rdma(self, me, length, s_liobn, s_ioba, d_liobn, d_ioba):
        need(length <= MOST_BYTES, R.H_PARAMETER)
        source = self.copy_window(me, s_liobn, R.H_SOURCE_PARM)
        destination = self.copy_window(me, d_liobn, R.H_DEST_PARM)
        size = {liobn: len(w.entries) * PAGE for liobn, w in self.windows.items()}
        need(s_ioba + length <= size[source], R.H_SOURCE_PARM)
        need(d_ioba + length <= size[destination], R.H_DEST_PARM)
        read_from = self.pieces(source, s_ioba, length, READ)
        write_to = self.pieces(destination, d_ioba, length, WRITE)
        need(read_from is not None and write_to is not None, R.H_PERMISSION)
        self.write(write_to, self.read(read_from))
        return R.H_SUCCESS

    def pane(self, me, r_liobn):
        ends = [e for e in self.ends.values() if e.r_liobn == r_liobn and e.owner == me]
        need(ends, R.H_PARAMETER)
        return ends[0]

    def adapter_range(self, me, liobn, ioba, count):
        need(liobn in self.windows and self.windows[liobn].of_adapter, R.H_PARAMETER)
        return self.own_range(me, liobn, ioba, count)

    def copy_window(self, me, liobn, refusal):
        window = self.windows.get(liobn)
        if window is not None and window.owner == me and not window.of_adapter:
            return liobn
        ends = [e for e in self.ends.values() if e.r_liobn == liobn and e.owner == me and e.is_open]
        need(ends, refusal)
        return ends[0].table

    # ------------------------------------------------------------ queues

    def h_reg_crq(self, me, unit, queue_ioba, length):
        end = self.end(me, unit)
        queue = self.queue(end, queue_ioba, length, 16, end.irq)
        need(end.partner, R.H_NOT_FOUND)
        need(end.crq is None, R.H_RESOURCE)
        end.crq = queue
        self.enabled.discard(end.irq)
        return R.H_SUCCESS if end.is_open else R.H_CLOSED

    def h_free_crq(self, me, unit):
        end = self.end(me, unit)
        clones = self.clones_of_table(end.table)
        need(not clones or self.windows[end.table].bucket_allowed, R.H_RESOURCE)
        self.close(end, 2)
        return R.H_SUCCESS

    def h_send_crq(self, me, unit, high, low):
        end = self.end(me, unit)
        need(high >> 63 and high >> 56 != 0xFF, R.H_PARAMETER)
        need(end.is_open, R.H_CLOSED)
        element = high.to_bytes(8, "big") + low.to_bytes(8, "big")
        need(self.put(end.partners_crq, [element]), R.H_DROPPED)
        return R.H_SUCCESS

    def h_enable_crq(self, me, unit):
        self.end(me, unit)
        return R.H_SUCCESS

    def h_reg_sub_crq(self, me, unit, ioba, length):
        """The caller of the model adds the queue under the handle that the manager gave."""
        end = self.end(me, unit)
        queue = self.queue(end, ioba, length, 32, 0)
        need(len(end.subs) < 64, R.H_RESOURCE)
        for at in range(0, length, 32):
            self.write(self.pieces(end.liobn, ioba + at, 1, WRITE), b"\0")
        end.subs[-1] = queue
        return R.H_SUCCESS if end.is_open else R.H_CLOSED

    def h_free_sub_crq(self, me, unit, handle):
        end = self.end(me, unit)
        need(handle in end.subs, R.H_PARAMETER)
        self.enabled.discard(end.subs.pop(handle).irq)
        return R.H_SUCCESS

    def h_send_sub_crq(self, me, unit, handle, *words):
        end, queue = self.partners_queue(me, unit, handle)
        need(words[0] >> 56 == 0x80, R.H_PARAMETER)
        return self.send(end, queue, [b"".join(word.to_bytes(8, "big") for word in words)])

    def h_send_sub_crq_indirect(self, me, unit, handle, ioba, count):
        end, queue = self.partners_queue(me, unit, handle)
        need(1 <= count <= 128 and ioba % PAGE + 32 * count <= PAGE, R.H_PARAMETER)
        pieces = self.pieces(end.liobn, ioba, 32 * count, READ)
        need(pieces is not None, R.H_PARAMETER)
        need(end.is_open, R.H_CLOSED)
        data = self.read(pieces)
        elements = [data[at : at + 32] for at in range(0, len(data), 32)]
        need(all(element[0] == 0x80 for element in elements), R.H_PARAMETER)
        return self.send(end, queue, elements)

    def h_vioctl(self, me, unit, subfunction, first, second, third):
        need(subfunction in (ENABLE, DISABLE, DISABLE_ALL, LIMITS), R.H_NOT_FOUND)
        end = self.end(me, unit)
        sources = {end.irq, *(queue.irq for queue in end.subs.values())}
        need(not second and not third, R.H_PARAMETER)
        need(first in sources if subfunction in (ENABLE, DISABLE) else not first, R.H_PARAMETER)
        if subfunction == LIMITS:
            need(end.r_liobn is not None, R.H_PARAMETER)
            return R.H_SUCCESS, 0, 1
        if subfunction == ENABLE:
            self.enabled.add(first)
        else:
            self.enabled -= {first} if subfunction == DISABLE else sources
        return R.H_SUCCESS

    def end(self, me, unit):
        need(unit in self.ends and self.ends[unit].owner == me, R.H_PARAMETER)
        return self.ends[unit]

    def queue(self, end, ioba, length, element, irq):
        whole = length > 0 and ioba % PAGE == 0 and length % PAGE == 0
        need(whole and self.pieces(end.liobn, ioba, length, WRITE) is not None, R.H_PARAMETER)
        return Queue(end.liobn, ioba, length, element, irq)

    def partners_queue(self, me, unit, handle):
        end = self.end(me, unit)
        queues = end.partner.subs if end.partner else {}
        need(handle in queues, R.H_PARAMETER)
        return end, queues[handle]

    def send(self, end, queue, elements):
        need(end.is_open, R.H_CLOSED)
        need(self.put(queue, elements), R.H_DROPPED)
        return R.H_SUCCESS

    def put(self, queue, elements):
        """Store elements at the next places, or none; returns whether there was room."""
        places = [self.slot(queue, queue.next + number) for number in range(len(elements))]
        if len(elements) * queue.element > queue.length:
            return False
        if any(place is None or self.read(place)[0] for place in places):
            return False
        for place, element in zip(places, elements, strict=True):
            self.write(place, element)
        queue.next += len(elements)
        self.rung |= {queue.irq} & self.enabled
        return True

    def slot(self, queue, number):
        at = queue.ioba + number * queue.element % queue.length
        return self.pieces(queue.liobn, at, queue.element, WRITE)

    # ------------------------------------------------------------ ends of connections

    def clones_of_table(self, table):
        pages = range(len(self.windows[table].entries))
        return [clone for index in pages for clone in self.clones_of(table, index)]

    def close(self, end, event):
        was, end.crq = end.crq, None
        self.enabled -= {end.irq, *(queue.irq for queue in end.subs.values())}
        end.subs.clear()
        for ring, at in self.clones_of_table(end.table):
            self.windows[ring].entries[at] = BUCKET
        queue = end.partners_crq
        if was and queue:
            element = bytes([0xFF, event]).ljust(16, b"\0")
            if not self.put(queue, [element]):
                newest = self.slot(queue, queue.next - 1)
                if newest is not None:
                    self.write(newest, element)
                    self.rung |= {queue.irq} & self.enabled

    def kill(self, name):
        """Let the partition `name`, a client, die."""
        for end in [end for end in self.ends.values() if end.owner == name]:
            self.close(end, 1)
            if end.partner:
                end.partner.partner = None
            del self.ends[end.unit]
            self.windows[end.liobn].owner = "nobody"
            self.windows[end.liobn].entries = [Entry() for _ in self.windows[end.liobn].entries]

    # ------------------------------------------------------------ memory through windows

    def pieces(self, liobn, ioba, length, access):
        """Where the bytes are, as (holder, address, bytes); None unless all permit `access`."""
        entries = self.windows[liobn].entries
        found = []
        while length:
            page, offset = divmod(ioba, PAGE)
            if page >= len(entries) or not entries[page].access & access:
                return None
            count = min(length, PAGE - offset)
            found.append((entries[page].holder, entries[page].page * PAGE + offset, count))
            ioba, length = ioba + count, length - count
        return found

    def read(self, pieces):
        return b"".join(bytes(self.memory[holder][at : at + n]) for holder, at, n in pieces)

    def write(self, pieces, data):
        for holder, at, count in pieces:
            self.memory[holder][at : at + count], data = data[:count], data[count:]
