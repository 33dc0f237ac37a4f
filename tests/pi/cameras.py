"""Network cameras for tests: an HTTP and an RTSP server that do what a test wants, even wrong things."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.pi.jpegs import SOS, segments

DQT, SOF0, DRI = 0xDB, 0xC0, 0xDD
Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """The server's port. Each connection is served in a thread; errors of clients that leave are ignored."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=one, args=(listening.accept()[0],), daemon=True)
                threads.append(thread)
                thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listening.getsockname()[1]
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for thread in [accepting, *threads]:
            thread.join(5)


def request_of(connection: socket.socket) -> str:
    """The next request's head; "" when no more comes."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return ""
        data += byte
    return data.decode("utf-8", "surrogateescape")


def header_of(request: str, name: str) -> str:
    found = [line.partition(":")[2].strip() for line in request.splitlines() if line.lower().startswith(name.lower() + ":")]
    return found[0] if found else ""


def packets_of(jpeg: bytes, timestamp: int, first: int = 0, *, quality: int = 255, longest: int = 1400) -> list[bytes]:
    """RTP packets of a baseline JPEG by RFC 2435; with a quality under 128 the tables are not sent."""
    parts = list(segments(jpeg))
    tables = b"".join(
        content[place + 1 : place + 65] for marker, content in parts if marker == DQT for place in range(0, len(content), 65)
    )
    sizes = next(content for marker, content in parts if marker == SOF0)
    intervals = [struct.unpack(">H", content)[0] for marker, content in parts if marker == DRI]
    scan = next(content for marker, content in parts if marker == SOS)
    data = scan[struct.unpack(">H", scan[:2])[0] :]
    height, width = struct.unpack(">HH", sizes[1:5])
    kind = {0x21: 0, 0x22: 1}[sizes[7]] + 64 * bool(intervals)
    packets, offset = [], 0
    while offset < len(data):
        header = struct.pack(">I", offset) + bytes((kind, quality, (width + 7) // 8, (height + 7) // 8))
        if intervals:
            header += struct.pack(">HH", intervals[0], 0xFFFF)
        if quality >= 128 and not offset:
            header += struct.pack(">BBH", 0, 0, len(tables)) + tables
        piece = data[offset : offset + longest - len(header)]
        offset += len(piece)
        number = (first + len(packets)) & 0xFFFF
        last = 0x80 if offset == len(data) else 0
        packets.append(struct.pack(">BBHII", 0x80, last | 26, number, timestamp & 0xFFFFFFFF, 1) + header + piece)
    return packets


SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n"
    "m=audio 0 RTP/AVP 0\r\na=control:sound\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:track1\r\n"
)


class RtspServer:
    """Answers in order, and after PLAY sends `packets` on a channel; `answers` replaces the answers to methods."""

    def __init__(self, packets: list[bytes], *, sdp: str = SDP, answers: dict[str, str] | None = None, pause: float = 0) -> None:
        self.packets, self.sdp, self.answers, self.pause = packets, sdp, answers or {}, pause
        self.requests: list[str] = []
        self.challenge = ""  # sent with 401 unless `accepts` allows the request's Authorization
        self.accepts: Callable[[str, str], bool] = lambda _method, _proof: True
        self.gone = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        while request := request_of(connection):
            self.requests.append(request)
            method, url = request.split(" ")[:2]
            connection.sendall(self._answer(method, url, request).encode("utf-8", "surrogateescape"))
            if method == "PLAY" and "PLAY" not in self.answers:
                threading.Thread(target=self._send, args=(connection,), daemon=True).start()
            if method == "TEARDOWN":
                break
        self.gone.set()

    def methods(self) -> list[str]:
        return [request.split(" ")[0] for request in self.requests]

    def _send(self, connection: socket.socket) -> None:
        with suppress(OSError):
            for packet in self.packets:
                if self.gone.wait(self.pause):
                    return
                connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)

    def _answer(self, method: str, url: str, request: str) -> str:
        number = f"CSeq: {header_of(request, 'CSeq')}\r\n"
        proof = header_of(request, "Authorization")
        if self.challenge and not (proof and self.accepts(method, proof)):
            return f"RTSP/1.0 401 Unauthorized\r\n{number}WWW-Authenticate: {self.challenge}\r\n\r\n"
        if method in self.answers:
            return self.answers[method].replace("CSEQ\r\n", number)
        more, body = "", ""
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
        elif method == "DESCRIBE":
            more, body = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(self.sdp)}\r\n", self.sdp
        elif method == "SETUP":
            more = f"Transport: {header_of(request, 'Transport')}\r\nSession: 12345678;timeout=2\r\n"
        return f"RTSP/1.0 200 OK\r\n{number}{more}\r\n{body}"
