"""The stream of pictures, and the mode in which no picture leaves the Pi."""

import base64
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
from PIL import Image

from litekiln_pi.server import Limits, Settings
from litekiln_pi.stills import COLOURS, as_jpeg
from tests.pi.fakes import FakeModel, FakeSource, scene, wait_for
from tests.pi.serving import Running, running


@contextmanager
def _watching(site: Running, query: str = "", *headers: str) -> Iterator[Iterator[bytes]]:
    """The JPEGs of a stream, as another program reads them: by boundary and length."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as connection:
        lines = "".join(f"{line}\r\n" for line in (f"GET /stream.mjpg{query} HTTP/1.0", "Host: x", *headers))
        connection.sendall(f"{lines}\r\n".encode())
        with connection.makefile("rb") as stream:
            assert stream.readline().startswith(b"HTTP/1.1 200")
            kind = _head(stream)["content-type"]
            assert kind.startswith("multipart/x-mixed-replace; boundary=")
            yield _pictures(stream, kind.partition("boundary=")[2])


def _head(stream: io.BufferedReader) -> dict[str, str]:
    found = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(": ")
        found[name.lower()] = value
    return found


def _pictures(stream: io.BufferedReader, boundary: str) -> Iterator[bytes]:
    while True:
        assert stream.readline().decode().strip() == f"--{boundary}"
        head = _head(stream)
        assert head["content-type"] == "image/jpeg"
        yield stream.read(int(head["content-length"]))
        assert stream.readline() == b"\r\n"


def test_the_stream_has_the_camera_s_pictures_with_boxes() -> None:
    with running() as site, _watching(site) as pictures:
        jpegs = [next(pictures) for _ in range(3)]
        assert len(set(jpegs)) == 3
        picture = Image.open(io.BytesIO(jpegs[-1])).convert("RGB")
        assert picture.size == (320, 240)
        wanted = tuple(int(COLOURS[0][place : place + 2], 16) for place in (1, 3, 5))
        near = numpy.abs(numpy.asarray(picture, numpy.int16) - wanted).max(2) < 30
        assert near.sum() > 100  # the box and its name


def test_pictures_of_a_machine_with_wrong_results_say_so() -> None:
    """Home Assistant shows no more of the Pi than this."""
    for wrong, marked in (("", False), ("1 of 3 recorded detections are seen here", True)):
        with running(wrong=wrong) as site, _watching(site) as pictures:
            corner = numpy.asarray(Image.open(io.BytesIO(next(pictures))).convert("RGB"), numpy.int16)[:12, :100]
            assert (numpy.abs(corner - (0xC0, 0, 0)).max(2) < 60).mean() > 0.5 if marked else (corner.max() < 180)


def test_the_rate_is_limited() -> None:
    for limits, query in ((Limits(moving_rate=5), ""), (Limits(), "?rate=5"), (Limits(moving_rate=5), "?rate=100")):
        with running(Settings(limits=limits)) as site, _watching(site, query) as pictures:
            next(pictures)
            started = time.monotonic()
            for _ in range(3):
                next(pictures)
            assert time.monotonic() - started > 2 / 5


def test_a_rate_that_is_none() -> None:
    with running() as site:
        for text in ("0", "-1", "nan", "fast"):
            answer = site.ask(f"/stream.mjpg?rate={text}")
            assert (answer.status, answer.error) == (400, f"rate={text} is not a number of frames a second from 0.1 to 10")
        head = site.ask("/stream.mjpg", "HEAD")
        assert (head.status, head.body) == (200, b"")


def test_the_stream_has_so_many_places() -> None:
    with running(Settings(limits=Limits(moving_pictures=1))) as site:
        with _watching(site) as pictures:
            next(pictures)
            answer = site.ask("/stream.mjpg")
            assert (answer.status, answer.error) == (503, "too many streams of pictures are open already")
        time.sleep(0.1)

        def again() -> bool:
            try:
                with _watching(site) as pictures:
                    return bool(next(pictures))
            except AssertionError:
                return False

        wait_for(again)


def test_who_watches_slowly_holds_up_nothing() -> None:
    with running(source=FakeSource(rate=100)) as site, _watching(site, "?rate=10") as pictures:
        next(pictures)
        time.sleep(0.5)
        site.loop_goes_on()


def test_a_token_as_the_password_of_the_stream() -> None:
    def basic(password: str) -> str:
        return "Basic " + base64.b64encode(f"any:{password}".encode()).decode()

    with running(Settings(token="a-token", limits=Limits(guess_seconds=0.01))) as site:
        refused = site.ask("/stream.mjpg")
        assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Basic realm="litekiln"')
        for wrong in (
            basic("wrong"),
            basic(""),
            "Basic a-token",
            "Basic \xe4",
            f"Bearer {base64.b64encode(b'any:a-token').decode()}",
        ):
            assert site.ask("/stream.mjpg", authorization=wrong).status == 401
        with _watching(site, "", f"Authorization: {basic('a-token')}") as pictures:
            next(pictures)
        with _watching(site, "", "Authorization: Bearer a-token") as pictures:
            next(pictures)
        other = site.ask("/api/state", authorization=basic("a-token"))
        assert (other.status, other.headers["www-authenticate"]) == (401, "Bearer")


WHY = "this Pi gives no pictures, only what it counts (--counts-only)"


def test_with_counts_only_no_picture_is_given() -> None:
    green = as_jpeg(scene(green=(40, 60, 140, 160)))
    with running(Settings(counts_only=True), model=FakeModel()) as site:
        for path, method in (("/api/frame", "GET"), ("/stream.mjpg", "GET"), ("/api/snapshot", "POST")):
            answer = site.ask(path, method)
            assert (answer.status, answer.error) == (403, WHY)
        for path, accept in (("/api/detect?as=jpeg", "*/*"), ("/api/detect", "image/jpeg")):
            answer = site.post(path, green, accept=accept)
            assert (answer.status, answer.error) == (403, WHY)
        assert [each["name"] for each in site.post("/api/detect", green).data["detections"]] == ["green"]
        assert [each["name"] for each in site.ask("/api/detections").data["detections"]] == ["red"]
        assert site.ask("/api/state").data["counts_only"] is True
        assert site.ask("/api/events").status == 200


def test_with_counts_only_no_answer_is_a_picture() -> None:
    """Whatever a path answers: none of the answers to all of them holds a picture."""
    with running(Settings(counts_only=True)) as site:
        for route in site.app.routes:
            for method in route.methods or ():
                answer = site.ask(route.path.replace("{name}", "app.js"), method)
                kind = answer.headers["content-type"] or ""
                assert not kind.startswith(("image/", "multipart/")), route.path
                assert b"\xff\xd8\xff" not in answer.body
