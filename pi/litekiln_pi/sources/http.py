"""A camera that sends its JPEGs over HTTP: as one endless answer (multipart/x-mixed-replace), or one picture for each request."""

import io
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from urllib.parse import urljoin

from litekiln_pi.errors import BadUse, SourceLost
from litekiln_pi.frames import Shot
from litekiln_pi.place import READS_A_PIPE
from litekiln_pi.saying import Say, to_stderr
from litekiln_pi.sources.connection import Address, Connection, Stopped, address_of
from litekiln_pi.sources.huffman import with_tables
from litekiln_pi.sources.jpeg_stream import MOST_BYTES, JpegStream
from litekiln_pi.sources.login import BYTES, Login

PATIENCE = 10.0  # seconds for an answer, and from one frame to the next
REDIRECTS, MOST_REDIRECTS = (301, 302, 303, 307, 308), 5
CHUNK = 1 << 16
PICTURES = ("image/jpeg", "image/jpg")  # some cameras write the second, which is no registered name
POLLED_A_SECOND = 2.0  # how often a single picture is asked for, unless --fps says
OTHER_VIDEO = re.compile(r"video/(mp4|h26|mp2t|webm|quicktime|x-flv)|mpegurl|dash")
USE_MJPEG = "switch its stream to MJPEG, or: ffmpeg -i {url} -f mjpeg - | " + READS_A_PIPE


class HttpCamera:
    """A live HTTP camera. Redirects are followed within HTTP; name and password only go to the host that they were given for."""

    live = True

    def __init__(self, url: str, *, fps: float = 0, say: Say = to_stderr) -> None:
        self._address, self._fps = address_of(url), fps
        self.name, self._say = self._address.shown, say
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def shots(self) -> Iterator[Shot]:
        try:
            exchange = self._opened()
            if exchange.kind in PICTURES:
                yield from self._pictures(exchange)
            else:
                with closing(exchange):
                    yield from self._frames(exchange.connection, exchange.response)
        except Stopped:
            return
        except (HTTPException, ValueError) as error:
            raise SourceLost(f"{self.name}: its answer is not HTTP: {type(error).__name__}") from None

    def _frames(self, connection: Connection, response: HTTPResponse) -> Iterator[Shot]:
        kind = response.headers.get_content_type()
        why_not = _no_stream(kind, self.name)
        if why_not:
            raise connection.lost(why_not)
        stream = JpegStream(self.name, say=self._say)
        connection.expect(PATIENCE, f"no JPEG frame in its answer ({kind})")
        while not self._stopping.is_set():
            data = response.read1(CHUNK)
            if not data:
                raise connection.lost("the camera ended the stream")
            for jpeg in stream.feed(data):
                yield Shot(jpeg=with_tables(jpeg))
                connection.expect(PATIENCE, "no further frame")

    def _pictures(self, exchange: "_Exchange") -> Iterator[Shot]:
        """A picture for each request, on one connection if the camera keeps it."""
        between, due = 1 / (self._fps or POLLED_A_SECOND), time.monotonic()
        try:
            while not self._stopping.is_set():
                yield Shot(jpeg=with_tables(self._picture(exchange)))
                due = max(due + between, time.monotonic())
                if self._stopping.wait(due - time.monotonic()):
                    return
                if not exchange.again():
                    exchange.close()
                    exchange = self._opened()
                if exchange.kind not in PICTURES:
                    raise exchange.connection.lost(f"it sent pictures, and now sends {exchange.kind}")
        finally:
            exchange.close()

    def _picture(self, exchange: "_Exchange") -> bytes:
        data = bytearray()
        while part := exchange.response.read1(CHUNK):
            data += part
            if len(data) > MOST_BYTES:
                raise exchange.connection.lost(f"its picture has more than {MOST_BYTES / 1e6:.0f} MB")
        if not data:
            raise exchange.connection.lost("its picture is empty")
        return bytes(data)

    def _opened(self) -> "_Exchange":
        """The exchange whose answer is the stream. Each request has its own connection."""
        address, login, asked = self._address, Login(self._address.user, self._address.password), False
        for _ in range(MOST_REDIRECTS + 2):
            known = login if _may_know(self._address, address) else Login("", "")
            exchange = _Exchange(address, known, self._stopping)
            try:
                response = exchange.response
                if response.status == 200:
                    return exchange
                if response.status == 401 and known and not asked:
                    asked = login.take([_as_sent(each) for each in response.headers.get_all("WWW-Authenticate", [])])
                    if asked:
                        exchange.close()
                        continue
                if response.status not in REDIRECTS:
                    raise exchange.connection.lost(_refusal(response, bool(known)))
                address = self._redirected(exchange.connection, address, response.headers.get("Location", ""))
            except BaseException:
                exchange.close()
                raise
            exchange.close()
        raise SourceLost(f"{self.name}: it redirects without end")

    def _redirected(self, connection: Connection, address: Address, place: str) -> Address:
        target = urljoin(address.url, place)
        if not place or not target.lower().startswith(("http://", "https://")):
            raise connection.lost("it redirects to an address that is neither http nor https")
        try:
            return address_of(target)
        except BadUse:
            raise connection.lost("it redirects to an invalid address") from None


def _may_know(given: Address, address: Address) -> bool:
    """Whether this address gets the password: the one that it was given for, or the same host by https."""
    same = (given.scheme, given.host, given.port) == (address.scheme, address.host, address.port)
    return same or (given.host == address.host and (given.scheme, address.scheme) == ("http", "https"))


class _Exchange:
    """A request and the start of its answer; more requests if the answers have an end."""

    def __init__(self, address: Address, login: Login, stopping: threading.Event) -> None:
        self._address, self._login = address, login
        self.connection = Connection(address, stopping)
        self._reader = _Lent(self.connection, CHUNK)
        try:
            self._ask()
        except BaseException:
            self.close()
            raise

    @property
    def kind(self) -> str:
        return self.response.headers.get_content_type()

    def again(self) -> bool:
        """Send the same request on this connection. False when the camera has closed it, or gives no picture this time."""
        if self.response.will_close:
            return False
        try:
            self._ask()
        except (HTTPException, SourceLost):
            return False
        return self.response.status == 200

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def _ask(self) -> None:
        self.response = HTTPResponse(_Readable(self._reader), method="GET")  # type: ignore[arg-type]
        self._send(self._address, self._login)
        self.response.begin()

    def _send(self, address: Address, login: Login) -> None:
        path = address.path if address.path.startswith("/") else f"/{address.path}"
        proof = login.header("GET", path)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {address.site}",
            "Accept: multipart/x-mixed-replace, image/jpeg",
        ]
        if proof:
            lines.append(f"Authorization: {proof}")
        self.connection.expect(PATIENCE, "no answer")
        self.connection.send(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", BYTES))


def _as_sent(header: str) -> str:
    """A header in UTF-8: http.client makes one character of each byte."""
    return header.encode("latin-1").decode("utf-8", BYTES)


class _Lent(io.BufferedReader):
    """What answers are read from. An answer closes it at its end, but the connection stays for the next."""

    def close(self) -> None:
        pass


class _Readable:
    """The part of a socket that HTTPResponse uses."""

    def __init__(self, reader: _Lent) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self._reader


def _refusal(response: HTTPResponse, tried: bool) -> str:
    if response.status == 401:
        return "it refuses that name and password" if tried else "it needs a name and password: http://NAME:PASSWORD@…"
    if response.status == 404:
        return "it has nothing at that path (404): the camera's manual names the path of its MJPEG stream"
    return f"it answers {response.status} {response.reason}"


def _no_stream(kind: str, url: str) -> str:
    if OTHER_VIDEO.search(kind):
        return f"it sends {kind}, not MJPEG: {USE_MJPEG.format(url=url)}"
    if kind.startswith("text/"):
        return f"it sends a page ({kind}), not a stream: give the address of the MJPEG stream itself"
    if kind.startswith("image/"):
        return f"it sends a picture in another format ({kind}): give the address of its JPEG, or of the MJPEG stream"
    return ""
