"""A program that sends JPEGs over TCP without any protocol, as `rpicam-vid --codec mjpeg --listen -o tcp://…` does."""

import threading
from collections.abc import Iterator
from contextlib import closing

from litekiln_pi.errors import BadUse
from litekiln_pi.frames import Shot
from litekiln_pi.saying import Say, to_stderr
from litekiln_pi.sources import ribbon
from litekiln_pi.sources.connection import Connection, Stopped, address_of
from litekiln_pi.sources.huffman import with_tables
from litekiln_pi.sources.jpeg_stream import JpegStream

PATIENCE = 10.0  # seconds from one frame to the next: rpicam-vid needs some for its first
CHUNK = 1 << 16
DOUBT = 4 * 1024 * 1024  # bytes without a frame: it is something else
LOOKS = "it looks like tcp://HOST:PORT, as in tcp://127.0.0.1:8888"


class TcpCamera:
    """A live source. When the program at the other end ends or restarts, the loop connects again."""

    live = True

    def __init__(self, url: str, *, say: Say = to_stderr) -> None:
        self._address = address_of(url)
        if not self._address.port:
            raise BadUse("--source: that tcp address has no port", LOOKS)
        if self._address.path.strip("/") or self._address.user or self._address.password:
            raise BadUse("--source: a tcp address has no path, name or password", LOOKS)
        self.name, self._say = self._address.shown.rstrip("/"), say
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def shots(self) -> Iterator[Shot]:
        try:
            with closing(Connection(self._address, self._stopping)) as connection:
                yield from self._frames(connection)
        except Stopped:
            return

    def _frames(self, connection: Connection) -> Iterator[Shot]:
        stream, came, first, frames = JpegStream(self.name, say=self._say), 0, b"", 0
        connection.expect(PATIENCE, "no JPEG frame")
        while not self._stopping.is_set():
            data = connection.read(CHUNK)
            if not data:
                raise connection.lost("the program there ended the stream" if frames else self._no_frame(came))
            came, first = came + len(data), first or bytes(data[:4])
            if first.startswith(ribbon.H264_STARTS) or (came > DOUBT and not frames):
                raise connection.lost(_other(first, came))
            for jpeg in stream.feed(data):
                frames += 1
                yield Shot(jpeg=with_tables(jpeg))
                connection.expect(PATIENCE, "no further frame")

    def _no_frame(self, came: int) -> str:
        return f"it ended after {came} bytes without a JPEG frame: is its camera in use by another program?"


def _other(first: bytes, came: int) -> str:
    if first.startswith(ribbon.H264_STARTS):
        return f"it sends H.264, which needs a video decoder. {ribbon.WITH_MJPEG}"
    return f"no JPEG frame in its first {came / 1e6:.0f} MB: is it MJPEG? {ribbon.WITH_MJPEG}"
