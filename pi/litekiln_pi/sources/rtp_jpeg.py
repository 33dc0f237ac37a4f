"""JPEGs from RTP packets (RFC 2435): they are sent without their headers, which are rebuilt from the packets."""

import struct
from dataclasses import dataclass, field

from litekiln_pi.sources.huffman import STANDARD_TABLES
from litekiln_pi.sources.jpeg_stream import MOST_BYTES

ZIGZAG = tuple(
    sorted(range(64), key=lambda place: (place // 8 + place % 8, place // 8 if (place // 8 + place % 8) % 2 else place % 8))
)
# The JPEG standard's example tables, row by row (annex K.1)
_LUMA = (
    *(
        16,
        11,
        10,
        16,
        24,
        40,
        51,
        61,
        12,
        12,
        14,
        19,
        26,
        58,
        60,
        55,
        14,
        13,
        16,
        24,
        40,
        57,
        69,
        56,
        14,
        17,
        22,
        29,
        51,
        87,
        80,
        62,
    ),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_CORNER = {0: 17, 1: 18, 8: 18, 9: 21, 2: 24, 16: 24, 10: 26, 17: 26, 3: 47, 24: 47, 18: 56, 11: 66, 25: 66}
_CHROMA = tuple(_CHROMA_CORNER.get(place, 99) for place in range(64))
SAMPLING = {0: 0x21, 1: 0x22}  # of the luma, by type: 4:2:2 and 4:2:0
RESTARTS = 64  # added to a type whose packets have a restart header
IN_BAND = 128  # from this Q on, the packets contain the tables


class Damaged(Exception):
    """A packet that breaks the rules."""


class TooLarge(Exception):
    """The camera's frames are larger than RTP/JPEG allows."""


@dataclass
class _Frame:
    """A frame that arrives in pieces."""

    timestamp: int
    kind: int
    width: int
    height: int
    interval: int
    tables: bytes
    data: bytearray = field(default_factory=bytearray)


class RtpJpeg:
    """Takes packets in order and gives whole JPEGs; a frame with a missing packet is dropped."""

    def __init__(self, payload_type: int = 26) -> None:
        self._payload_type = payload_type
        self._frame: _Frame | None = None
        self._sequence = -1
        self._known: dict[int, bytes] = {}  # tables by their Q, sent once
        self.damaged = 0

    def feed(self, packet: bytes) -> bytes | None:
        """The frame that this packet completes. TooLarge when no later packet can help."""
        try:
            return self._take(packet)
        except (Damaged, struct.error, IndexError):
            self._drop()
            self.damaged += 1
            return None

    def _drop(self) -> None:
        self.damaged += self._frame is not None
        self._frame = None

    def _take(self, packet: bytes) -> bytes | None:
        ends, sequence, timestamp, kind, payload = _rtp(packet)
        if kind != self._payload_type:
            return None
        if sequence != (self._sequence + 1) & 0xFFFF or (self._frame and self._frame.timestamp != timestamp):
            self._drop()
        self._sequence = sequence
        offset, header_kind, quality = int.from_bytes(payload[1:4], "big"), payload[4], payload[5]
        width, height = payload[6] * 8, payload[7] * 8
        at, interval = 8, 0
        if header_kind & RESTARTS and header_kind < IN_BAND:
            interval = struct.unpack_from(">H", payload, at)[0]
            at += 4
        if not offset:
            self._drop()
            if header_kind & ~RESTARTS not in SAMPLING:
                raise Damaged
            if not (width and height):
                raise TooLarge
            tables, at = self._tables(quality, payload, at)
            self._frame = _Frame(timestamp, header_kind & ~RESTARTS, width, height, interval, tables)
        frame = self._frame
        if frame is None:
            return None  # its beginning is lost
        if offset != len(frame.data) or offset + len(payload) - at > MOST_BYTES:
            raise Damaged
        frame.data += payload[at:]
        if not ends:
            return None
        self._frame = None
        return _jpeg(frame)

    def _tables(self, quality: int, payload: bytes, at: int) -> tuple[bytes, int]:
        """The quantization tables' segments, and where the coded data begins."""
        if quality < IN_BAND:
            if not 1 <= quality <= 99:
                raise Damaged
            return _segment_of_tables(0, scaled(_LUMA, quality) + scaled(_CHROMA, quality)), at
        precision, length = struct.unpack_from(">xBH", payload, at)
        at += 4
        if not length:  # sent in an earlier frame
            if quality not in self._known or quality == 255:
                raise Damaged
            return self._known[quality], at
        if at + length > len(payload):
            raise Damaged
        self._known[quality] = _segment_of_tables(precision, payload[at : at + length])
        return self._known[quality], at + length


def _rtp(packet: bytes) -> tuple[bool, int, int, int, bytes]:
    """Whether the packet ends a frame, its number, its time, its payload's type, and the payload."""
    first, second, sequence, timestamp = struct.unpack_from(">BBHI", packet)
    if first >> 6 != 2:
        raise Damaged
    start, end = 12 + 4 * (first & 15), len(packet)
    if first & 0x10:  # an extension
        start += 4 + 4 * struct.unpack_from(">xxH", packet, start)[0]
    if first & 0x20:  # padding
        end -= packet[-1]
    if end - start < 8:
        raise Damaged
    return bool(second & 0x80), sequence, timestamp, second & 0x7F, packet[start:end]


def scaled(table: tuple[int, ...], quality: int) -> bytes:
    """A table for a quality of 1 to 99, in the zigzag order of files."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return bytes(min(255, max(1, (table[place] * factor + 50) // 100)) for place in ZIGZAG)


def _segment_of_tables(precision: int, values: bytes) -> bytes:
    """The segments of one table for luma and one for both colours; a single table serves for all."""
    segments, at = b"", 0
    for place in (0, 1):
        size = 128 if precision >> place & 1 else 64
        if place and at == len(values):
            at = 0
        table = values[at : at + size]
        if len(table) < size:
            raise Damaged
        segments += b"\xff\xdb" + struct.pack(">HB", size + 3, (size == 128) << 4 | place) + table
        at += size
    return segments


def _jpeg(frame: _Frame) -> bytes:
    components = bytes((1, SAMPLING[frame.kind], 0, 2, 0x11, 1, 3, 0x11, 1))
    parts = [
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
        frame.tables,
        b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, frame.height, frame.width, 3) + components,
        b"\xff\xdd" + struct.pack(">HH", 4, frame.interval) if frame.interval else b"",
        STANDARD_TABLES,
        b"\xff\xda" + struct.pack(">HB", 12, 3) + bytes((1, 0, 2, 0x11, 3, 0x11, 0, 63, 0)),
        bytes(frame.data),
        b"" if frame.data.endswith(b"\xff\xd9") else b"\xff\xd9",
    ]
    return b"".join(parts)
