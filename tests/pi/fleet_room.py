"""A room of thirty Pis on this machine, for tests: real servers with fake models, and some that are off, slow, hostile or shut."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from litekiln_pi.fleet.places import Place
from litekiln_pi.frames import Shot
from litekiln_pi.server import Settings
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import FakeBundle, FakeSource, scene
from tests.pi.serving import Running, running

TOKEN = "the room's word"
HOSTILE = '<img src=x onerror="document.title=1">\u202e<script>alert(1)</script>'


class Shapes(FakeBundle):
    """A bundle that looks like one that was built."""

    name = "shapes int8"
    manifest: ClassVar[dict[str, Any]] = {
        "model": "shapes", "variant": "int8", "litekiln": "1.4.0", "files": {"detect.tflite": "3fa9c1d2e4b5" + "0" * 52},
    }  # fmt: skip


class Careful(Shapes):
    report: ClassVar[dict[str, Any]] = {**Shapes.report, "verdict": "ok, with warnings"}


class Desk(FakeSource):
    """A picture that differs from desk to desk, four times a second: thirty of them run on two cores."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(rate=4)
        left = 20 + 37 * number % 160
        kind = ("red", "green", "blue")[number % 3]
        self._jpeg = as_jpeg(scene(320, 240, **{kind: (left, 50 + 3 * number, left + 110, 150 + 3 * number)}))

    def shots(self) -> Iterator[Shot]:
        for _ in super().shots():
            yield Shot(jpeg=self._jpeg)


@contextmanager
def answering(respond: Callable[[socket.socket, bytes], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers anything: its port, and the heads of all requests that it got."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(10)
                head = b""
                while b"\r\n\r\n" not in head:
                    part = connection.recv(4096)
                    if not part:
                        return
                    head += part
                heads.append(head)
                respond(connection, head)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], heads
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def whole(body: bytes, status: str = "200 OK", more: str = "") -> Callable[[socket.socket, bytes], None]:
    """Answers with a body."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
    return lambda connection, _: connection.sendall(head + body)


def huge(connection: socket.socket, _: bytes) -> None:
    """A body without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def trickling(over: threading.Event) -> Callable[[socket.socket, bytes], None]:
    """A byte now and then."""

    def respond(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        while not over.wait(0.2):
            connection.sendall(b" ")

    return respond


def nowhere() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Thirty:
    """The room: where all are, and those that tests look at."""

    places: list[Place] = field(default_factory=list)
    servers: dict[str, Running] = field(default_factory=dict)
    elsewhere: list[bytes] = field(default_factory=list)  # what the server got that a redirect leads to

    def add(self, port: int, name: str) -> None:
        self.places.append(Place("127.0.0.1", port, name=name))


@contextmanager
def thirty() -> Iterator[Thirty]:
    """Eighteen that are well, and twelve that aren't."""
    room, over = Thirty(), threading.Event()
    with ExitStack() as stack:

        def desk(number: int, name: str = "", bundle: type[FakeBundle] = Shapes, wrong: str = "", **more: Any) -> Running:
            settings = Settings(name=name or f"Desk {number}", **more)
            told = stack.enter_context(running(settings, Desk(number), bundle(), wrong=wrong, wait=False))
            room.servers[settings.name] = told
            room.add(told.port, settings.name)
            return told

        def other(respond: Callable[[socket.socket, bytes], None], name: str) -> list[bytes]:
            port, heads = stack.enter_context(answering(respond))
            room.add(port, name)
            return heads

        for number in range(1, 9):
            desk(number)
        room.add(nowhere(), "Desk 9")
        desk(10, token="another word")
        desk(11, token=TOKEN)
        desk(12, counts_only=True)
        desk(13, wrong="1 of 3 recorded detections seen")
        desk(14).source.gone = "there is no /dev/video0: is the camera plugged in?"
        other(trickling(over), "Desk 15")
        other(huge, "Desk 16")
        there, room.elsewhere = stack.enter_context(answering(whole(b"secret")))
        other(whole(b"", "302 Found", f"Location: http://127.0.0.1:{there}/secret\r\n"), "Desk 17")
        desk(18, HOSTILE[:60])
        desk(19, bundle=Careful)
        desk(20).pipeline.paused = True
        for number in range(21, 28):
            desk(number)
        for number in range(28, 31):
            room.add(nowhere(), f"Desk {number}")
        stack.callback(over.set)
        yield room
