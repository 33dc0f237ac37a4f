"""JPEGs from a stream of bytes: one after another, or with a multipart answer's headers between them.

A JPEG itself says where it ends: its segments have lengths, and in its coded data a 0 follows every 0xFF that is not a marker.
So no multipart boundary and no Content-Length is needed (cameras get both wrong), and a thumbnail's end marker inside a segment
ends nothing. Each byte is read once: a frame that breaks the rules is dropped, and the search goes on after the error.
"""

import re

from litekiln_pi.saying import Say, to_stderr

MOST_BYTES = 16 * 1024 * 1024  # of one frame; more is dropped, so that no stream fills the memory
SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01
RESTARTS = range(0xD0, 0xD8)
FIRST_MARKER = 0xC0  # below it only TEM is in use
START = b"\xff\xd8\xff"
_NO_FILL = re.compile(rb"[^\xff]")
_MARKER_IN_DATA = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
TOLD_EVERY = 100


class JpegStream:
    """Takes bytes in pieces of any size and gives whole JPEGs, unchanged."""

    def __init__(self, name: str = "", *, most_bytes: int = MOST_BYTES, say: Say = to_stderr) -> None:
        self.name, self.most_bytes, self._say = name, most_bytes, say
        self.damaged = self.too_large = 0
        self._buffer = bytearray()
        self._start = -1  # of the frame in the buffer; -1 during the search for one
        self._at = 0  # read up to here
        self._in_data = self._has_data = False

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete."""
        self._buffer += data
        frames: list[bytes] = []
        while self._step(frames):
            pass
        passed = min(self._at if self._start < 0 else self._start, len(self._buffer))
        del self._buffer[:passed]
        self._at -= passed
        self._start -= passed if self._start >= 0 else 0
        return frames

    @property
    def held(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun but not ended."""
        return self._start >= 0

    def _step(self, frames: list[bytes]) -> bool:
        """Read up to the next marker; False when that needs more bytes."""
        if self._start < 0:
            return self._seek()
        return self._pass_data() if self._in_data else self._pass_marker(frames)

    def _seek(self) -> bool:
        found = self._buffer.find(START, self._at)
        if found < 0:
            self._at = max(self._at, len(self._buffer) - len(START) + 1)
            return False
        self._begin(found)
        return True

    def _begin(self, start: int) -> None:
        self._start, self._at = start, start + 2
        self._in_data = self._has_data = False

    @property
    def _limit(self) -> int:
        return self._start + self.most_bytes

    def _pass_data(self) -> bool:
        """Skip coded data, up to the next marker that is not a restart."""
        end = min(len(self._buffer), self._limit)
        found = _MARKER_IN_DATA.search(self._buffer, self._at, end)
        if found:
            self._at, self._in_data = found.start(), False
            return True
        if end == self._limit:
            return self._give_up_too_large()
        self._at = max(self._at, end - 1)  # the last byte may be the first of a marker
        return False

    def _pass_marker(self, frames: list[bytes]) -> bool:
        at = self._at
        if at + 2 > self._limit:
            return self._give_up_too_large()
        if at + 2 > len(self._buffer):
            return False
        if self._buffer[at] != 0xFF:
            return self._give_up()
        marker = self._buffer[at + 1]
        if marker == 0xFF:
            return self._pass_fill()
        if marker == SOI:  # the frame before it was cut off
            self._count_damaged()
            self._begin(at)
        elif marker == EOI:
            self._finish(frames)
        elif marker == TEM or marker in RESTARTS:
            self._at += 2
        elif marker < FIRST_MARKER:
            return self._give_up()
        else:
            return self._pass_segment(marker)
        return True

    def _pass_fill(self) -> bool:
        """Skip fill bytes: any number of 0xFF may stand before a marker."""
        end = min(len(self._buffer), self._limit)
        found = _NO_FILL.search(self._buffer, self._at, end)
        self._at = (found.start() if found else end) - 1
        return bool(found) or (self._at + 2 > self._limit and self._give_up_too_large())

    def _pass_segment(self, marker: int) -> bool:
        at = self._at
        if at + 4 > self._limit:
            return self._give_up_too_large()
        if at + 4 > len(self._buffer):
            return False
        length = int.from_bytes(self._buffer[at + 2 : at + 4], "big")
        if length < 2:
            return self._give_up()
        self._at = at + 2 + length
        if marker == SOS:
            self._in_data = self._has_data = True
        return self._at <= self._limit or self._give_up_too_large()

    def _finish(self, frames: list[bytes]) -> None:
        end = self._at + 2
        if self._has_data:
            frames.append(bytes(self._buffer[self._start : end]))
        else:
            self._count_damaged()
        self._start, self._at = -1, end

    def _give_up(self) -> bool:
        """Drop the frame and search from here on, not from its start again: so no byte is read twice."""
        self._count_damaged()
        self._start = -1
        return True

    def _give_up_too_large(self) -> bool:
        self.too_large += 1
        if self.too_large % TOLD_EVERY == 1:
            self._say(f"{self.name}: a frame of more than {self.most_bytes / 1e6:.0f} MB was dropped: no camera sends such frames")
        self._start, self._at = -1, self._limit
        return True

    def _count_damaged(self) -> None:
        self.damaged += 1


def whole(data: bytes) -> bytes | None:
    """The JPEG in a buffer, without the bytes around it; None when no whole one is there."""
    frames = JpegStream(most_bytes=len(data) + 1).feed(data)
    return frames[0] if frames else None
