"""A camera that gives one JPEG for each request: it is asked again and again, on one connection where it allows that."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

import pytest

from litekiln_pi.errors import SourceLost
from litekiln_pi.sources import http, open_source
from litekiln_pi.stills import as_jpeg
from tests.pi.cameras import header_of, request_of, server
from tests.pi.fakes import scene
from tests.pi.jpegs import without_tables
from tests.pi.test_sources import stopped_while_waiting

JPEGS = [as_jpeg(scene(red=(10 * place, 10, 100, 100))) for place in range(4)]
BASIC = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'


def picture(jpeg: bytes, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n{more}\r\n".encode() + jpeg


class Camera:
    """Answers requests in order, `each` of them on one connection, and counts connections."""

    def __init__(self, answer: Callable[[int, str], bytes], each: int = 1000) -> None:
        self.answer, self.each, self.connections, self.requests = answer, each, 0, list[str]()

    def __call__(self, connection: socket.socket) -> None:
        self.connections += 1
        with suppress(OSError):
            for _ in range(self.each):
                request = request_of(connection)
                if not request:
                    return
                self.requests.append(request)
                connection.sendall(self.answer(len(self.requests) - 1, request))


def polled(camera: Camera, count: int, login: str = "", fps: float = 200) -> list[bytes]:
    with server(camera) as port:
        source = open_source(f"http://{login}127.0.0.1:{port}/snapshot.jpg", fps=fps)
        assert source.live
        shots = source.shots()
        frames = [shot.jpeg for shot in islice(shots, count)]
        shots.close()  # type: ignore[attr-defined]
        return frames


def in_turn(place: int, _request: str) -> bytes:
    return picture(JPEGS[place % len(JPEGS)])


def test_pictures_come_one_by_one_on_one_connection() -> None:
    camera = Camera(in_turn)
    assert polled(camera, 4, fps=50) == JPEGS
    assert camera.connections == 1
    assert camera.requests[0].startswith("GET /snapshot.jpg HTTP/1.1\r\n")


@pytest.mark.parametrize(("each", "more"), [(1, ""), (3, ""), (1, "Connection: close\r\n")])
def test_a_camera_that_closes_its_connections_is_asked_on_new_ones(each: int, more: str) -> None:
    camera = Camera(lambda place, _: picture(JPEGS[place % 4], more), each)
    assert polled(camera, 4, fps=50) == JPEGS
    assert camera.connections == -(-4 // each)


def test_a_wrong_but_usual_name_of_the_format() -> None:
    camera = Camera(lambda place, request: in_turn(place, request).replace(b"image/jpeg", b"image/jpg"))
    assert polled(camera, 2, fps=50) == JPEGS[:2]


def test_a_jpeg_without_tables_gets_the_standard_ones() -> None:
    frames = polled(Camera(lambda _place, _request: picture(without_tables(JPEGS[0]))), 1)
    assert b"\xff\xc4" in frames[0]


def test_the_rate_is_that_of_fps() -> None:
    camera = Camera(in_turn)
    started = time.monotonic()
    assert len(polled(camera, 5, fps=20)) == 5
    assert time.monotonic() - started >= 0.19
    assert len(camera.requests) == 5, "no picture is asked for only to be dropped"
    assert http.POLLED_A_SECOND == 2


def test_a_login_is_sent_each_time_and_asked_for_again_when_it_is_refused() -> None:
    def answer(place: int, request: str) -> bytes:
        if not header_of(request, "Authorization") or place == 3:
            return BASIC.encode()
        return picture(JPEGS[0])

    camera = Camera(answer)
    assert len(polled(camera, 4, login="anna:geheim@", fps=50)) == 4
    assert camera.connections == 4, "two logins, and each request without one has a connection of its own"


def test_what_comes_after_a_picture_is_told() -> None:
    def lost(second: bytes) -> str:
        with server(Camera(lambda place, _: second if place else picture(JPEGS[0]))) as port:
            shots = open_source(f"http://127.0.0.1:{port}/s", fps=100).shots()
            next(shots)
            with pytest.raises(SourceLost) as why:
                next(shots)
        return str(why.value).partition("/s: ")[2]

    assert lost(b"HTTP/1.1 404 Gone\r\n\r\n").startswith("it has nothing at that path (404)")
    assert lost(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n") == "it sent pictures, and now sends text/html"


def test_a_picture_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 100_000)
    large = Camera(lambda _place, _request: picture(bytes(200_000)))
    with server(large) as port, pytest.raises(SourceLost, match="its picture has more than 0 MB"):
        list(open_source(f"http://127.0.0.1:{port}/").shots())


def test_stopping_ends_the_wait_for_the_next_one() -> None:
    with server(Camera(in_turn)) as port:
        assert len(stopped_while_waiting(open_source(f"http://127.0.0.1:{port}/", fps=0.1))) == 1
