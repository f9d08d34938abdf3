"""The transmit path: from the doorbell to a finished frame, checksums in place.

    TransmitRings -- fragments --> DmaReader -> TagInserter -> Packer -+
       ^     |                                      ^                  v
       |     +------- frames -----------------------+------------> Segmenter -> Checksummer
       |                                                                            v
       +------------- ends ---------------------------------------------------- FrameBuffer -> frame

All addresses are I/O bus addresses, and each read and write carries the number of its ring as
AxUSER; what memory that is, the translation bridge decides.

Clock domain: ``sync``. Latency and throughput are those of the parts: every stream moves a beat a
cycle. Source: patent, FIG. 7, steps 760 and 770, on the side of the adapter.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.bus.axi4 import AXI4Signature
from byway.rtl.bus.packer import Packer
from byway.rtl.bus.packet import BeatLayout
from byway.rtl.bus.read_arbiter import ReadArbiter
from byway.rtl.bus.skid_buffer import SkidBuffer
from byway.rtl.contract.model import constant
from byway.rtl.transmit.checksum import Checksummer
from byway.rtl.transmit.frame_buffer import FrameBuffer
from byway.rtl.transmit.reader import DmaReader
from byway.rtl.transmit.ring import EntryRows, RingConfig, RingStatus
from byway.rtl.transmit.rings import TransmitRings, check_rings
from byway.rtl.transmit.segmenter import Segmenter
from byway.rtl.transmit.tag_inserter import TagInserter, TagLayout

__all__ = ["USER_WIDTH", "TransmitPath", "id_width"]

#: Width of AxUSER: the requester.
USER_WIDTH = 8


def id_width(rings: int, outstanding: int) -> int:
    """Width of the AXI4 IDs that an adapter needs: those of data come before those of the rings."""
    return bits_for(outstanding + rings - 1)


class TransmitPath(wiring.Component):
    """See the module.

    Parameters
    ----------
    rings : int
        Transmit rings, 1 to 32.
    data_width : int
        Width of the memory bus and of all streams in bits: 64 or 128.
    outstanding : int
        Data reads under way at most, and frames started ahead of those that are finished: a power
        of two from 4.
    completions : int
        Completion writes under way at most.

    Members
    -------
    config : In(RingConfig()), for each ring
    status : Out(RingStatus()), for each ring
    m_axi : Out(AXI4Signature)
        To memory, by I/O bus addresses.
    frame : Out(stream.Signature(BeatLayout(data_width)))
        Frames for the wire; valid does not fall inside a frame.
    busy : Out(1)
        A frame has been started and is not in the frame buffer yet.
    idle : Out(1)
        No entries are on their way, and no frame from its last entry to its completion; frames may
        still wait for the wire. A cycle late.
    dropped : Out(1)
        One cycle for each frame or super-frame that was dropped.
    segments : Out(16)
        In each cycle, how many segments a super-frame that ends now was cut into.

    Raises
    ------
    ValueError
        If a parameter is not as above.
    """

    config: Any
    status: Any
    m_axi: Any
    frame: stream.Interface
    busy: Signal
    idle: Signal
    dropped: Signal
    segments: Signal

    def __init__(
        self, *, rings: int = 2, data_width: int = 64, outstanding: int = 16, completions: int = 8
    ):
        check_rings(rings)
        EntryRows(data_width)
        if outstanding < 4 or outstanding & (outstanding - 1):
            raise ValueError(f"Outstanding must be a power of two from 4, not {outstanding!r}")
        self.rings = rings
        self.data_width = data_width
        self.outstanding = outstanding
        self.completions = completions
        self.axi = AXI4Signature(
            addr_width=64,
            data_width=data_width,
            id_width=id_width(rings, outstanding),
            user_width=USER_WIDTH,
        )
        super().__init__(
            {
                "config": In(RingConfig()).array(rings),
                "status": Out(RingStatus()).array(rings),
                "m_axi": Out(self.axi),
                "frame": Out(stream.Signature(BeatLayout(data_width))),
                "busy": Out(1),
                "idle": Out(1),
                "dropped": Out(1),
                "segments": Out(16),
            }
        )

    def elaborate(self, platform):
        """Join the parts."""
        m = Module()
        ids = id_width(self.rings, self.outstanding)
        widths = {"addr_width": 64, "data_width": self.data_width}
        m.submodules.rings = rings = TransmitRings(
            rings=self.rings,
            first_read_id=self.outstanding,
            read_id_width=ids,
            write_id_width=ids,
            frames_ahead=self.outstanding,
            completions=self.completions,
            **widths,
        )
        m.submodules.reader = reader = DmaReader(
            slots=self.outstanding,
            id_width=ids,
            user_width=USER_WIDTH,
            requesters=self.rings,
            **widths,
        )
        m.submodules.arbiter = arbiter = ReadArbiter(
            id_ranges=[(0, self.outstanding), (self.outstanding, self.rings)],
            id_width=ids,
            user_width=USER_WIDTH,
            **widths,
        )
        m.submodules.tag_inserter = tag_inserter = TagInserter(data_width=self.data_width)
        m.submodules.packer = packer = Packer(data_width=self.data_width)
        m.submodules.segmenter = segmenter = Segmenter(
            data_width=self.data_width, maximum_header=constant("frame_limits.maximum_header")
        )
        m.submodules.checksummer = checksummer = Checksummer(data_width=self.data_width)
        m.submodules.buffer = buffer = FrameBuffer(data_width=self.data_width)

        # Memory.
        for number in range(self.rings):
            wiring.connect(m, wiring.flipped(self.config[number]), rings.config[number])
            wiring.connect(m, rings.status[number], wiring.flipped(self.status[number]))
        wiring.connect(m, reader.m_axi, arbiter.s_axi[0])
        wiring.connect(m, rings.m_axi_read, arbiter.s_axi[1])
        for source in (arbiter.m_axi, rings.m_axi_write):
            for name, member in source.signature.members.items():
                outer, inner = getattr(self.m_axi, name), getattr(source, name)
                m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)

        # Data.
        wiring.connect(m, rings.fragments, reader.fragments)
        wiring.connect(m, reader.pieces, tag_inserter.pieces)
        wiring.connect(m, tag_inserter.tagged, packer.pieces)
        wiring.connect(m, packer.packet, segmenter.packet)
        wiring.connect(m, segmenter.segments, checksummer.segments)
        wiring.connect(m, segmenter.segment_packet, checksummer.packet)
        wiring.connect(m, checksummer.checked, buffer.packet)
        wiring.connect(m, checksummer.insertions, buffer.insertions)
        wiring.connect(m, buffer.frame, wiring.flipped(self.frame))
        wiring.connect(m, buffer.ends, rings.ends)

        # Of a ring that is reset nothing more is read.
        m.d.comb += [
            reader.drop.eq(Cat(config.reset for config in self.config)),
            self.idle.eq(rings.idle),
        ]

        # Each frame is told to the segmenter and to the tag inserter, to either when it is ready.
        m.submodules.tags = tags = SkidBuffer(shape=TagLayout())
        wiring.connect(m, tags.o, tag_inserter.tags)
        command = rings.frames.payload
        m.d.comb += [
            tags.i.payload.insert.eq(command.insert_vlan),
            tags.i.payload.control.eq(command.vlan_tag),
            tags.i.valid.eq(rings.frames.valid & segmenter.frames.ready),
        ]

        # A frame is remembered as a super-frame until it ends, for the counter of segments.
        m.submodules.kinds = kinds = SyncFIFO(width=1, depth=2 * self.outstanding)
        ended = buffer.ends.valid & buffer.ends.ready
        m.d.comb += [
            segmenter.frames.payload.eq(rings.frames.payload),
            segmenter.frames.valid.eq(rings.frames.valid & tags.i.ready),
            rings.frames.ready.eq(segmenter.frames.ready & tags.i.ready),
            kinds.w_data.eq(rings.frames.payload.large_send),
            kinds.w_en.eq(rings.frames.valid & rings.frames.ready),
            kinds.r_en.eq(ended),
        ]
        m.d.sync += [
            self.segments.eq(Mux(ended & kinds.r_data, buffer.ends.payload.segments, 0)),
            self.dropped.eq(rings.dropped),
            self.busy.eq(rings.busy),
        ]
        return m
