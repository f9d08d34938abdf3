"""What asks for translation: an AXI address channel as a structure, and whether it is well formed.

A page is the unit of translation, so a request may be translated by its first address only if all
its beats stay in one page. AXI4 says so of every burst [AMBA AXI4, IHI 0022, A3.4.1]; the bridge
trusts no master to keep to it. A FIXED burst stays within its first beat, and a WRAP burst of 2,
4, 8 or 16 beats in its container, which is never larger than a page and aligned to its own size.
"""

from collections.abc import Iterator

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import data

from byway.rtl.bus.axi4 import PAGE_BYTES, AXI4Signature, Burst

__all__ = ["PAGE_BITS", "AddressLayout", "BurstCheck", "TranslatedLayout", "channel_fields"]

#: Address bits that translation leaves alone.
PAGE_BITS = PAGE_BYTES.bit_length() - 1


class AddressLayout(data.StructLayout):
    """The payload of an AR or AW channel; names as the standard's, without their first letters.

    Parameters
    ----------
    addr_width, id_width, user_width : int
        Widths in bits of AxADDR, AxID and AxUSER.
    """

    def __init__(self, *, addr_width: int, id_width: int, user_width: int):
        self.parameters = {
            "addr_width": addr_width,
            "id_width": id_width,
            "user_width": user_width,
        }
        super().__init__(
            {
                "id": unsigned(id_width),
                "addr": unsigned(addr_width),
                "len": unsigned(8),
                "size": unsigned(3),
                "burst": unsigned(2),
                "user": unsigned(user_width),
            }
        )

    @classmethod
    def of(cls, axi: AXI4Signature) -> "AddressLayout":
        """The address channels of `axi`."""
        return cls(addr_width=axi.addr_width, id_width=axi.id_width, user_width=axi.user_width)


class TranslatedLayout(data.StructLayout):
    """A request that has been judged.

    Parameters
    ----------
    request : AddressLayout
        Shape of the request.

    Members
    -------
    request : AddressLayout
        The request; ``addr`` is a system address, and means nothing if the request is refused.
    refused : unsigned(1)
        It must not reach the memory bus.
    """

    def __init__(self, request: AddressLayout):
        super().__init__({"request": request, "refused": unsigned(1)})


def channel_fields(axi, prefix: str, payload) -> Iterator[tuple[Value, Value]]:
    """Pairs of (signal of `axi`, field of `payload`) for its address channel `prefix`: ar or aw."""
    for name in payload.shape().members:
        yield getattr(axi, prefix + name), payload[name]


class BurstCheck:
    """Tells in two steps, with a register stage of the caller between, if a burst is acceptable.

    Parameters
    ----------
    data_width : int
        Width of the bus in bits.

    Attributes
    ----------
    layout : data.StructLayout
        What the first step finds, for the caller to register.
    """

    layout = data.StructLayout(
        {
            "reserved": unsigned(1),
            "increments": unsigned(1),
            "span": unsigned(15),
        }
    )

    def __init__(self, *, data_width: int):
        self._largest_size = (data_width // 8).bit_length() - 1

    @property
    def has_long(self) -> bool:
        """Whether a burst can be longer than half a page."""
        return 256 << self._largest_size > PAGE_BYTES // 2

    def is_long(self, request) -> Value:
        """Whether the beats of `request` are together more than half a page."""
        half = PAGE_BITS - 1
        sizes = range(half - 7, self._largest_size + 1)
        long = [(request.size == size) & request.len[half - size :].any() for size in sizes]
        return Cat(long).any()

    def reaches_upper(self, request) -> Value:
        """Whether `request` uses the upper half of its page; where it begins decides, if short."""
        is_upper = request.addr[PAGE_BITS - 1]
        if self.has_long:
            is_upper |= self.is_long(request)
        return is_upper

    def measure(self, m: Module, request) -> data.View:
        """First step: the kind of burst, and how far its last beat lies from its first."""
        found = Signal(self.layout)
        wraps = (request.burst == Burst.WRAP) & ~request.len.matches(1, 3, 7, 15)
        undefined = ~request.burst.matches(Burst.FIXED, Burst.INCR, Burst.WRAP)
        m.d.comb += found.reserved.eq(undefined | wraps | (request.size > self._largest_size))
        m.d.comb += found.increments.eq(request.burst == Burst.INCR)
        m.d.comb += found.span.eq(request.len << request.size)
        return found

    @staticmethod
    def crosses(found, request) -> Value:
        """Second step: whether `request`, measured as `found`, leaves the page it begins in.

        Beats after the first begin at multiples of their size [A3.4.1]. The page ends at one, so
        it makes no difference that a first beat off its size is not moved back to it.
        """
        return found.increments & (request.addr[:PAGE_BITS] + found.span)[PAGE_BITS:].any()
