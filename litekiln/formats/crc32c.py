"""CRC-32C in plain Python, quick enough for a checkpoint of many megabytes.

Byte by byte takes Python seconds per 10 MB. But a checksum is a remainder of polynomials over bits, so a long message may first be
shortened to another with the same remainder, by shifting and adding (XOR) all of it as one number. SPARSE is a multiple of
CRC-32C's polynomial with four terms: x^6777 + x^484 + x^100 + 1. Its square, with all exponents doubled, is one too, and so on.
"""

POLYNOMIAL = 0x82F63B78  # the first bit of a byte counts most
SPARSE = (6777, 484, 100)
BYTEWISE = 2048  # bytes that are not worth shortening


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value


TABLE = [_row(value) for value in range(256)]


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    if len(data) > BYTEWISE:
        data, crc = _shortened(data, crc), 0
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """CRC-32C as LevelDB stores it: rotated and shifted, so that a checksum of checksums stays sound."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _shortened(data: bytes, crc: int) -> bytes:
    """A short message with the same remainder, for a checksum that begins at 0."""
    bits, message = 8 * len(data), int.from_bytes(data, "little") ^ crc
    degree, *others = SPARSE
    gap = degree - others[0]
    for squared in range((bits // (degree + gap)).bit_length(), -1, -1):
        step = (gap << squared) // 8 * 8  # a message has whole bytes
        while bits >= step + (degree << squared):
            # The first bits come back further on, at the distances of the other terms from the first.
            first = message & ((1 << step) - 1)
            message >>= step
            for term in (*others, 0):
                message ^= first << (((degree - term) << squared) - step)
            bits -= step
    return message.to_bytes(bits // 8, "little")
