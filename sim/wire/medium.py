"""What a frame takes on the wire beside its data, in bytes, of which GMII carries one a cycle."""

__all__ = ["AROUND_BYTES", "FCS_BYTES", "GAP_BYTES", "MINIMUM_BYTES", "OVERHEAD_BYTES", "PREAMBLE"]

#: With the start frame delimiter [IEEE 802.3, 3.2.1 and 3.2.2].
PREAMBLE = bytes([0x55] * 7 + [0xD5])
#: Frame check sequence [3.2.9].
FCS_BYTES = 4
#: The shortest frame, without FCS [4.4.2, minFrameSize].
MINIMUM_BYTES = 60
#: Least gap between the end of a frame and the next preamble [4.4.2, interPacketGap].
GAP_BYTES = 12
#: Before and after the data of a frame.
AROUND_BYTES = len(PREAMBLE) + FCS_BYTES
#: By how much longer than its data a frame occupies the wire, the gap after it included.
OVERHEAD_BYTES = AROUND_BYTES + GAP_BYTES
