"""Packet streams: how frames travel between the blocks of the transmit path.

A packet travels on a ``stream.Signature(BeatLayout(data_width))`` as a run of beats that ends with
the beat whose ``last`` is set. The laws:

1. Bytes are in lane order: lane 0 of a beat (``data[0:8]``) comes first.
2. A beat holds ``count`` bytes, in lanes 0 to ``count - 1``. Only the last beat of a packet may
   hold fewer than all lanes; every beat holds at least one.
3. ``error`` is OKAY, or the AXI response (`byway.rtl.bus.axi4.Resp`) that spoilt the bytes of this
   beat. A packet with any such beat must not reach the wire; its length is still as announced.
4. As on every Amaranth stream, a beat that is valid stays as it is until it is taken, and valid
   does not wait for ready.

Pieces are what packets are made from: a run of `PieceLayout`, in which each holds any number of
bytes at any place of the word. `byway.rtl.bus.packer` joins pieces into packets.
"""

from amaranth import unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

__all__ = ["BeatLayout", "PieceLayout"]


def _lanes(data_width: int) -> int:
    lanes = data_width // 8
    if data_width % 8 or lanes < 1 or lanes & (lanes - 1):
        raise ValueError(f"Data width must be 8 times a power of two, not {data_width!r}")
    return lanes


class BeatLayout(data.StructLayout):
    """One beat of a packet.

    Parameters
    ----------
    data_width : int
        Width of ``data`` in bits: 8 times a power of two.
    """

    def __init__(self, data_width: int):
        self.lanes = _lanes(data_width)
        super().__init__(
            {
                "data": unsigned(data_width),
                "count": unsigned(bits_for(self.lanes)),
                "last": unsigned(1),
                "error": unsigned(2),
            }
        )


class PieceLayout(data.StructLayout):
    """Some bytes of a packet: ``count`` of them (1 to all lanes), from lane ``start`` on.

    Parameters
    ----------
    data_width : int
        Width of ``data`` in bits: 16 or more, 8 times a power of two.

    Members
    -------
    last : unsigned(1)
        The packet ends with this piece.
    error : unsigned(2)
        As in `BeatLayout`.
    """

    def __init__(self, data_width: int):
        self.lanes = _lanes(data_width)
        if self.lanes < 2:
            raise ValueError(f"Data width of pieces must be at least 16, not {data_width!r}")
        super().__init__(
            {
                "data": unsigned(data_width),
                "start": range(self.lanes),
                "count": unsigned(bits_for(self.lanes)),
                "last": unsigned(1),
                "error": unsigned(2),
            }
        )
