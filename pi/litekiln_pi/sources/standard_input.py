"""Frames from a pipe, as `rpicam-vid --codec mjpeg --flush -o -` writes them. It is live, and ends with the pipe."""

import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

from litekiln_pi.errors import BadUse
from litekiln_pi.frames import Shot
from litekiln_pi.place import here
from litekiln_pi.saying import Say, to_stderr
from litekiln_pi.sources import ribbon
from litekiln_pi.sources.huffman import with_tables
from litekiln_pi.sources.jpeg_stream import JpegStream

CHUNK = 1 << 18
SLICE = 0.2  # seconds between two checks whether to stop
DOUBT = 4 * 1024 * 1024  # bytes without a frame until a hint is printed
PIPE = f"{ribbon.PIPED}{here('  (-i, without -t)', '')}"
EXPECTED = f"no JPEG frame on standard input{{so_far}}. Is it MJPEG? {ribbon.H264}:\n  {ribbon.PIPED}"


class StandardInput:
    """JPEGs one after another, or a multipart body."""

    name, live = "standard input", True

    def __init__(self, stream: BinaryIO | None = None, *, say: Say = to_stderr) -> None:
        if stream is None and sys.stdin is None:
            raise BadUse("--source - reads a camera's frames from a pipe, but standard input is closed", PIPE)
        self._file = stream or sys.stdin.buffer
        self._say = say
        self._stopping = threading.Event()
        if self._file.isatty():
            msg = "--source - reads a camera's frames from a pipe, but nothing is piped in"
            raise BadUse(msg, PIPE)

    def shots(self) -> Iterator[Shot]:
        stream, came, frames, doubted = JpegStream(self.name, say=self._say), 0, 0, False
        for data in self._chunks():
            came += len(data)
            for jpeg in stream.feed(data):
                frames += 1
                yield Shot(jpeg=with_tables(jpeg))
            if came > DOUBT and not frames and not doubted:
                doubted = True
                self._say(EXPECTED.format(so_far=f" in its first {came / 1e6:.0f} MB"))
        if not frames and not doubted and not self._stopping.is_set():
            self._say(
                EXPECTED.format(so_far=f", which ended after {came} bytes" + ("" if came else here(" (docker run needs -i)", "")))
            )

    def _chunks(self) -> Iterator[bytes]:
        try:
            number = self._file.fileno()
        except OSError:  # not a file of the system: reading never waits
            while not self._stopping.is_set() and (data := self._file.read(CHUNK)):
                yield data
            return
        while not self._stopping.is_set():
            if not select.select([number], [], [], SLICE)[0]:
                continue
            data = os.read(number, CHUNK)
            if not data:
                return
            yield data

    def stop(self) -> None:
        self._stopping.set()
