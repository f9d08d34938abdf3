"""Packet streams: how frames travel between the blocks of the transmit path.

A packet travels on a ``stream.Signature(BeatLayout(data_width))`` as a run of beats that ends with
the beat whose ``last`` is set. The laws:

1. Bytes are in lane order: lane 0 of a beat (``data[0:8]``) comes first.
2. A beat holds ``count`` bytes, in lanes 0 to ``count - 1``. Only the last beat of a packet may
   hold fewer than all lanes; every beat holds at least one.
3. ``error`` means something only in the last beat. It says that the packet is not to be used;
   its bytes, and how many there are, then mean nothing.
4. As on every Amaranth stream, a beat that is valid stays as it is until it is taken, and valid
   does not wait for ready.
"""

from amaranth import unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

__all__ = ["BeatLayout"]


class BeatLayout(data.StructLayout):
    """One beat of a packet.

    Parameters
    ----------
    data_width : int
        Width of ``data`` in bits: 8 times a power of two.
    """

    def __init__(self, data_width: int):
        lanes = data_width // 8
        if data_width % 8 or lanes < 1 or lanes & (lanes - 1):
            raise ValueError(f"Data width must be 8 times a power of two, not {data_width!r}")
        self.lanes = lanes
        super().__init__(
            {
                "data": unsigned(data_width),
                "count": unsigned(bits_for(lanes)),
                "last": unsigned(1),
                "error": unsigned(1),
            }
        )
