"""The Internet checksum [RFC 1071]."""

__all__ = ["checksum_of", "residue"]


def residue(*parts: bytes | bytearray) -> int:
    """The one's complement sum of `parts`, each padded to 16 bits; 0 stands for all ones too.

    Bytes with a right checksum among them have the residue 0.
    """
    # 2^16 leaves 1 when divided by 2^16 - 1, so that a sum of digits is a remainder.
    total = sum(int.from_bytes(part, "big") << 8 * (len(part) % 2) for part in parts)
    return total % 0xFFFF


def checksum_of(*parts: bytes | bytearray) -> int:
    """The checksum of `parts`, whose field for it holds 0; never 0 itself, but all ones.

    All ones is what UDP demands instead [RFC 768], and other protocols read it as the same number.
    """
    return 0xFFFF - residue(*parts)
