"""What lies outside of the register bank: how an external array of the contract is reached.

The bank knows where the registers of an array are and what may be read and written; what is in them
is kept by somebody else, such as `byway.rtl.contract.register_table`. Reading and writing have
places of their own, as they go on at the same time.
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from byway.rtl.contract.tree import WORD_BITS, Group, Register

__all__ = ["ExternalSignature"]


class ExternalSignature(wiring.Signature):
    """An external array of registers or register files, from the side of the register bank.

    Parameters
    ----------
    array : Group or Register
        The array.
    count : int or None
        Its elements; None if as many as `array` says.

    Members
    -------
    read_index, read_word : Out, Out
        An element of the array, and a word in it.
    read_data : In(32)
        The word that these named in the cycle before; 0 between the fields.
    write_index, write_word : Out, Out
        An element of the array, and a word in it that may be written.
    write_data, write_strobe : Out(32), Out(4)
        What is written there, and which of its bytes: none, but in the one cycle of a write.
    """

    def __init__(self, array: Group | Register, *, count: int | None = None):
        self.count = array.count if count is None else count
        if self.count is None or self.count < 1:
            raise ValueError(f"Count must be a positive integer, not {self.count!r}")
        self.words = array.stride * 8 // WORD_BITS
        index = Out(bits_for(self.count - 1))
        word = Out(bits_for(self.words - 1))
        super().__init__(
            {
                "read_index": index,
                "read_word": word,
                "read_data": In(WORD_BITS),
                "write_index": index,
                "write_word": word,
                "write_data": Out(WORD_BITS),
                "write_strobe": Out(WORD_BITS // 8),
            }
        )
