"""The standard Huffman tables, for JPEGs without tables: many webcams and every RTP/JPEG stream leave them out.

They are those of the JPEG standard, annex K.3. A decoder for files refuses a picture without tables.
"""

from litekiln_pi.sources.jpeg_stream import EOI, RESTARTS, SOI, SOS, TEM

DHT = 0xC4
ARITHMETIC = range(0xC9, 0xD0)  # frames of these kinds have no Huffman tables at all

# How many codes there are of 1, 2, … 16 bits
_DC_LUMA_COUNTS = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
_DC_CHROMA_COUNTS = bytes((0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0))
_AC_LUMA_COUNTS = bytes((0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D))
_AC_CHROMA_COUNTS = bytes((0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77))
_DC_VALUES = bytes(range(12))
# Each value: how many zeros come before it, and how many bits it has
_AC_LUMA_VALUES = bytes.fromhex(
    "0102030004110512213141061351610722711432"
    "8191a1082342b1c11552d1f02433627282090a16"
    "1718191a25262728292a3435363738393a434445"
    "464748494a535455565758595a63646566676869"
    "6a737475767778797a838485868788898a929394"
    "95969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6"
    "b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8"
    "d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8"
    "f9fa"
)
_AC_CHROMA_VALUES = bytes.fromhex(
    "0001020311040521310612415107617113223281"
    "08144291a1b1c109233352f0156272d10a162434"
    "e125f11718191a262728292a35363738393a4344"
    "45464748494a535455565758595a636465666768"
    "696a737475767778797a82838485868788898a92"
    "939495969798999aa2a3a4a5a6a7a8a9aab2b3b4"
    "b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6"
    "d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8"
    "f9fa"
)


def _segment(place: int, counts: bytes, values: bytes) -> bytes:
    content = bytes((place,)) + counts + values
    return bytes((0xFF, DHT)) + (len(content) + 2).to_bytes(2, "big") + content


STANDARD_TABLES = (
    _segment(0x00, _DC_LUMA_COUNTS, _DC_VALUES)
    + _segment(0x10, _AC_LUMA_COUNTS, _AC_LUMA_VALUES)
    + _segment(0x01, _DC_CHROMA_COUNTS, _DC_VALUES)
    + _segment(0x11, _AC_CHROMA_COUNTS, _AC_CHROMA_VALUES)
)


def with_tables(jpeg: bytes) -> bytes:
    """The same JPEG, with the standard tables before its first scan when it has none. Anything else is returned unchanged."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == TEM or marker in RESTARTS:
            at += 2
        elif marker == SOS:
            return jpeg[:at] + STANDARD_TABLES + jpeg[at:]
        elif marker in (DHT, SOI, EOI) or marker in ARITHMETIC:
            return jpeg
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg
