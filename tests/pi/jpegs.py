"""JPEGs in parts, for tests of the code that parses JPEGs."""

from collections.abc import Iterator

DHT, SOS = 0xC4, 0xDA


def segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Each marker with its segment's content, up to the first scan, which includes all that follows."""
    at = 2
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == SOS:
            yield marker, jpeg[at + 2 :]
            return
        yield marker, jpeg[at + 4 : at + 2 + length]
        at += 2 + length


def without_tables(jpeg: bytes) -> bytes:
    """The JPEG without its Huffman tables, as webcams send it."""
    kept = b"\xff\xd8"
    for marker, content in segments(jpeg):
        if marker == SOS:
            kept += bytes((0xFF, marker)) + content
        elif marker != DHT:
            kept += bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content
    return kept
