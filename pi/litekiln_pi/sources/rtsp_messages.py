"""RTSP requests and answers on one connection, with the camera's packets between them."""

import io
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from litekiln_pi.errors import SourceLost
from litekiln_pi.sources.connection import Connection
from litekiln_pi.sources.login import BYTES, Login

LONGEST_LINE, MOST_LINES, LONGEST_BODY = 8192, 100, 1 << 18


class Packet(NamedTuple):
    """Data from one channel."""

    channel: int
    content: bytes


class Answer(NamedTuple):
    """An answer to a request. Header names are in lower case; a repeated header has all its values."""

    status: int
    reason: str
    headers: dict[str, list[str]]
    body: str

    def header(self, name: str) -> str:
        return self.headers.get(name, [""])[0]


class Messages:
    """Requests out, answers and packets in."""

    def __init__(self, connection: Connection, login: Login) -> None:
        self._connection, self._login = connection, login
        self._reader = io.BufferedReader(connection, 1 << 16)
        self._count = 0
        self._asked = False
        self.session = ""

    def send(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> None:
        """Send a request. Its answer is read later or never."""
        self._count += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._count}", "User-Agent: litekiln"]
        if self.session:
            lines.append(f"Session: {self.session}")
        proof = self._login.header(method, url)
        if proof:
            lines.append(f"Authorization: {proof}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._connection.send(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", BYTES))

    def ask(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request, with name and password if the camera asks for them. Packets meanwhile are skipped."""
        while True:
            self.send(method, url, headers)
            answer = self.next()
            while isinstance(answer, Packet) or answer.header("cseq") not in ("", str(self._count)):
                answer = self.next()
            if answer.status != 401 or not self._login or self._asked:
                return answer
            self._asked = True
            if not self._login.take(answer.headers.get("www-authenticate", [])):
                return answer

    def next(self) -> Packet | Answer:
        """The next packet or answer. A request by the camera is refused, as the protocol demands, and skipped."""
        while True:
            first = self._exactly(1)
            if first == b"$":
                head = self._exactly(3)
                return Packet(head[0], self._exactly(int.from_bytes(head[1:], "big")))
            if first in b"\r\n":
                continue
            line = first + self._line()
            headers = self._headers()
            length = headers.get("content-length", ["0"])[0]
            if not (length.isascii() and length.isdecimal() and int(length) <= LONGEST_BODY):
                self._no_rtsp()
            body = self._exactly(int(length)).decode("utf-8", "replace")
            words = line.decode("utf-8", "replace").strip().split(" ", 2)
            if words[0].startswith("RTSP/") and len(words) > 1 and words[1].isascii() and words[1].isdecimal():
                return Answer(int(words[1]), words[2] if len(words) > 2 else "", headers, body)
            if not words[-1].startswith("RTSP/"):
                self._no_rtsp()
            number = headers.get("cseq", ["0"])[0]
            self._connection.send(f"RTSP/1.0 501 Not Implemented\r\nCSeq: {number}\r\n\r\n".encode("utf-8", BYTES))

    def _headers(self) -> dict[str, list[str]]:
        headers: dict[str, list[str]] = {}
        for _ in range(MOST_LINES):
            name, colon, value = self._line().decode("utf-8", BYTES).strip().partition(":")
            if not name and not colon:
                break
            headers.setdefault(name.strip().lower(), []).append(value.strip())
        else:
            self._no_rtsp()
        return headers

    def _line(self) -> bytes:
        line = self._reader.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            self._ended() if len(line) < LONGEST_LINE else self._no_rtsp()
        return line

    def _exactly(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) < count:
            self._ended()
        return data

    def _ended(self) -> NoReturn:
        raise self._lost("the camera ended the connection")

    def _no_rtsp(self) -> NoReturn:
        raise self._lost("its answer is not RTSP: is the port right?")

    def _lost(self, why: str) -> SourceLost:
        return self._connection.lost(why)
