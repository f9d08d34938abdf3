"""Mutants of the registers: pages, words, bytes, tables, and who is behind which doorbell."""

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

_DECODE = "contract/decode.py"
_BANK = "contract/register_bank.py"
_MANAGER = "translation/manager.py"
_TABLE = "contract/register_table.py"
_DECODER = (
    "tests/rtl/test_decode.py"
    "::test_the_decoder_selects_the_range_two_cycles_later_and_nothing_between_ranges"
)
_REGISTERS = "tests/rtl/test_register_bank.py::test"
_WRITES = f"{_REGISTERS}_writes_change_the_strobed_bytes_of_their_register_and_nothing_else"
_SHARED = "tests/rtl/test_shared_adapter.py::test"
_TABLES = "tests/rtl/test_register_table.py::test"

MUTANTS = [
    Mutant(
        "an array of registers has a word too many",
        _DECODE,
        "self.address < one.stop",
        "self.address <= one.stop",
        _DECODER,
    ),
    Mutant(
        "a register is in every page that has its offset",
        _DECODE,
        "matches[low, self._digit(one.start, low)] for low in digits)",
        "matches[low, self._digit(one.start, low)] for low in list(digits)[:-1])",
        _DECODER,
    ),
    Mutant(
        "an address selects before it counts",
        _DECODE,
        "m.d.sync += match.eq(self.start & (digit == value))",
        "m.d.sync += match.eq(digit == value)",
        _DECODER,
    ),
    Mutant(
        "a write to no register is answered with OKAY",
        _BANK,
        "axil.bresp.eq(Mux(answer.selected, Resp.OKAY, Resp.SLVERR))",
        "axil.bresp.eq(Resp.OKAY)",
        f"{_REGISTERS}_offsets_without_a_register_answer_with_an_error_and_change_nothing",
    ),
    Mutant(
        "a read of no register is answered with OKAY",
        _BANK,
        "axil.rresp.eq(Mux(values.selected[-1], Resp.OKAY, Resp.SLVERR))",
        "axil.rresp.eq(Resp.OKAY)",
        f"{_REGISTERS}_offsets_without_a_register_answer_with_an_error_and_change_nothing",
    ),
    Mutant(
        "a write to a register that may only be read is answered with OKAY",
        _BANK,
        "self._accesses(lambda register: register.writable)",
        "self._accesses(lambda register: True)",
        _WRITES,
    ),
    Mutant(
        "a write changes bytes that its strobe leaves out",
        _BANK,
        "with m.If(select & write.strobe[lane]):",
        "with m.If(select):",
        _WRITES,
    ),
    Mutant(
        "a cause that comes while software clears it is lost",
        _BANK,
        "value.eq((value & ~ones) | port.set.replicate(len(value)))",
        "value.eq((value | port.set.replicate(len(value))) & ~ones)",
        f"{_REGISTERS}_no_event_is_lost_when_software_clears_in_the_cycle_in_which_hardware_sets",
    ),
    Mutant(
        "an element of an array is written as the one that is twice as far",
        _BANK,
        "return address[low:high], address[_WORD_SHIFT:low]",
        "return address[low:high] << 1, address[_WORD_SHIFT:low]",
        "tests/rtl/test_external.py::test_everything_written_reads_back",
    ),
    Mutant(
        "a strobe of an array lasts until the next write",
        _BANK,
        "            m.d.sync += ports.write_strobe.eq(0)\n",
        "",
        "tests/rtl/test_external.py::test_reads_and_writes_reach_the_words_of_the_arrays_and_no_others",
    ),
    Mutant(
        "the number of a window or requester is cut to those that there are",
        _TABLE,
        "(self.number, found_element))",
        "(self.number[: len(registers.write_index)], found_element))",
        f"{_TABLES}_windows_are_found_by_their_number_and_others_are_disabled",
    ),
    Mutant(
        "a window is written into the memory whatever the strobe",
        _TABLE,
        "m.d.comb += writer.en.eq(strobe)",
        "m.d.comb += writer.en.eq(strobe.any().replicate(len(strobe)))",
        f"{_TABLES}_a_table_reads_and_finds_what_was_written",
    ),
    Mutant(
        "a window is enabled by a write of any of its words",
        _TABLE,
        "with m.If(strobe[lane]):",
        "with m.If(strobe.any()):",
        f"{_TABLES}_a_table_reads_and_finds_what_was_written",
    ),
    Mutant(
        "every doorbell is that of ring 0",
        "shared_adapter.py",
        "doorbell = self._bank.doorbell[number].transmit.producer",
        "doorbell = self._bank.doorbell[0].transmit.producer",
        f"{_SHARED}_a_ring_is_rung_granted_and_translated_as_its_own_pages_say",
    ),
    Mutant(
        "a ring has the grants of ring 0",
        "shared_adapter.py",
        "granted = getattr(registers.offloads, name).value",
        "granted = getattr(page.ring[0].offloads, name).value",
        f"{_SHARED}_a_ring_is_rung_granted_and_translated_as_its_own_pages_say",
    ),
    Mutant(
        "the manager is not told of a refusal unless records were lost",
        _MANAGER,
        "interrupt.eq(status.valid & manager.interrupt_enable.fault.value)",
        "interrupt.eq(status.lost.any() & manager.interrupt_enable.fault.value)",
        f"{_SHARED}_a_refusal_is_told_to_the_manager_if_it_wants_to_hear_of_it",
    ),
    Mutant(
        "the window to invalidate is the number of the page",
        _MANAGER,
        "invalidate.window.eq(manager.invalidate.window.value)",
        "invalidate.window.eq(manager.invalidate_page.index.value)",
        f"{_SHARED}_an_invalidation_takes_back_what_its_registers_name",
    ),
]
