import random

import pytest

from litekiln.formats.crc32c import BYTEWISE, TABLE, crc32c, masked_crc


def test_the_checksum_is_crc32c() -> None:
    crc = 0xE3069283  # the known value for these nine digits
    assert crc32c(b"123456789") == crc
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("size", [0, 1, BYTEWISE - 1, BYTEWISE, BYTEWISE + 1, 3000, 13_557, 54_321, 300_001])
def test_a_long_message_is_shortened_to_one_with_the_same_remainder(size: int) -> None:
    data = random.Random(size).randbytes(size)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    assert crc32c(data) == crc ^ 0xFFFFFFFF


def test_one_bit_makes_another_checksum() -> None:
    data = bytearray(random.Random(1).randbytes(100_000))
    before = crc32c(bytes(data))
    for place in (0, 50_000, 99_999):
        data[place] ^= 1
        assert crc32c(bytes(data)) != before
        data[place] ^= 1
